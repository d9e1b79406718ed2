"""Tariffs: the cost of a model's tokens, in whole picodollars so that sums are exact in any order."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from swarm.spec.chat import Usage
from swarm.spec.task import Price

PICOS = 10**12
"""Picodollars per US dollar. A token at 1 USD per million costs a million picodollars."""


def picos_of(usd: float) -> int:
    """Return US dollars in picodollars, rounded."""
    return round(Fraction(usd) * PICOS)


def usd_of(picos: int) -> float:
    """Return picodollars in US dollars."""
    return picos / PICOS


@dataclass(frozen=True)
class Tariff:
    """Prices of one model's tokens, by size of the input."""

    tiers: tuple[tuple[int, Price], ...]
    """Pairs of input tokens and a price. A call with more input tokens pays this price for all its
    tokens. The first pair has 0 tokens."""
    source: Literal["task", "list price", "free"] = "task"
    """Origin of the price: the task, the provider's list, or a server on this machine, which is
    free."""

    def picos(self, usage: Usage) -> int:
        """Return the cost of a call in picodollars."""
        price = [price for start, price in self.tiers if usage.input_tokens > start or start == 0][-1]
        cached = price.input if price.cached is None else price.cached
        uncached_cost = (usage.input_tokens - usage.cached_tokens) * _each(price.input)
        cached_cost = usage.cached_tokens * _each(cached)
        return uncached_cost + cached_cost + usage.output_tokens * _each(price.output)

    def worst(self, input_tokens: int, output_tokens: int) -> int:
        """Return the maximum cost in picodollars of a call with at most these tokens.

        It uses the highest price of the tiers that the call can reach, and of cached input if that
        price is higher.
        """
        reached = [price for start, price in self.tiers if input_tokens > start or start == 0]
        input_price = max(_each(max(price.input, price.cached or 0.0)) for price in reached)
        output_price = max(_each(price.output) for price in reached)
        return input_tokens * input_price + output_tokens * output_price


def flat(price: Price, source: Literal["task", "list price", "free"] = "task") -> Tariff:
    """Return a tariff with the same price for every call."""
    return Tariff(((0, price),), source)


FREE = flat(Price(), "free")
"""Tariff of a server on this machine."""


def _each(usd_per_million: float) -> int:
    """Return the price of one token in picodollars, rounded."""
    return round(usd_per_million * 1e6)
