"""Backoff: how many tries each kind of fault gets, and the waits between them.

Backoff is exponential with full jitter (Brooker 2015, "Exponential Backoff And Jitter"): the delay
before try n + 1 is uniform in [0, min(most, base · 2ⁿ⁻¹)].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random


def doubled(base: float, failed: int, most: float) -> float:
    """Return `base`, doubled with each failure after the first, and `most` at most."""
    return min(most, base * 2.0 ** min(failed - 1, 60))  # 2.0 ** 1024 would overflow


@dataclass(frozen=True)
class Backoff:
    """How many tries a kind of fault gets, and the waits between them."""

    tries: int = 4
    """Maximum calls, the first one included."""
    base: float = 0.5
    """Maximum seconds before the second try. Doubled with each further one."""
    most: float = 8.0
    """Maximum seconds before any try."""

    def seconds(self, failed: int, rng: Random) -> float:
        """Draw the wait after `failed` tries of this kind, from 1."""
        return rng.uniform(0.0, doubled(self.base, failed, self.most))


USUAL = Backoff()
"""Backoff of the kinds without an entry below: they pass by themselves or not at all."""

BACKOFFS: Mapping[str, Backoff] = {
    "malformed": Backoff(tries=2),  # a server that answers with a web page does it again
    "empty": Backoff(tries=2),
    "bad_request": Backoff(tries=2),  # here only if the endpoint sends `x-should-retry`
    "rate_limited": Backoff(tries=16, most=30.0),  # it always passes: the deadline ends it first
    "overloaded": Backoff(tries=8, base=2.0, most=30.0),
}
"""Backoffs by kind of fault. One request meets few kinds, so their tries bound its calls."""
