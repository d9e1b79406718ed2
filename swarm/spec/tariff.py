"""Prices: what the tokens of a model cost, in whole picodollars so that sums are exact in any order."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from swarm.spec.chat import Usage
from swarm.spec.task import Price

PICOS = 10**12
"""Parts of a dollar that money is counted in: a token at a dollar a million is a million of them."""


def picos_of(usd: float) -> int:
    """Write dollars as a whole number of their smallest part, to the nearest."""
    return round(Fraction(usd) * PICOS)


def usd_of(picos: int) -> float:
    """Write money as dollars."""
    return picos / PICOS


@dataclass(frozen=True)
class Tariff:
    """What tokens of one model cost."""

    tiers: tuple[tuple[int, Price], ...]
    """Each price with the tokens of input beyond which it holds, for the whole call; the first from 0."""
    source: Literal["task", "list price", "free"] = "task"
    """Whose price it is: the task's own, the provider's list, or that of a machine of one's own."""

    def picos(self, usage: Usage) -> int:
        """Price what a call used."""
        price = [price for start, price in self.tiers if usage.input_tokens > start or start == 0][-1]
        cached = price.input if price.cached is None else price.cached
        plain = usage.input_tokens - usage.cached_tokens
        return (
            plain * _each(price.input) + usage.cached_tokens * _each(cached) + usage.output_tokens * _each(price.output)
        )

    def worst(self, input_tokens: int, output_tokens: int) -> int:
        """Price a call that uses at most so much, at the dearest price it can meet."""
        met = [price for start, price in self.tiers if input_tokens > start or start == 0]
        dear = max(_each(max(price.input, price.cached or 0.0)) for price in met)
        return input_tokens * dear + output_tokens * max(_each(price.output) for price in met)


def flat(price: Price, source: Literal["task", "list price", "free"] = "task") -> Tariff:
    """Make a tariff of one price for every call."""
    return Tariff(((0, price),), source)


FREE = flat(Price(), "free")
"""What a machine of one's own takes."""


def _each(usd_a_million: float) -> int:
    """Price one token, to the nearest millionth of a millionth of a dollar."""
    return round(usd_a_million * 1e6)
