"""Ramp: gradual opening of what was shut or is new: one call, then two in a second, then four.

A 429 arrives sooner than an answer, because the endpoint does no work for it. So a call that is not
refused within a second counts as admitted, and excess is noticed after one or two calls, not after
all that wait.
"""

from math import inf

WATCHED_SECONDS = 1.0
"""Minimum seconds between the first call and the next: most refusals take less."""
MOST_SECONDS = 15.0
"""Maximum seconds of that, if refusals are slow."""
OPEN = 512
"""Calls per second from which on no call is delayed."""


class Ramp:
    """Times at which calls may be sent."""

    def __init__(self, took: float = 0.0, *, over: bool = False) -> None:
        """Start with one call, after a refusal that took `took` seconds; with `over`, at the end."""
        self._watched = min(MOST_SECONDS, max(WATCHED_SECONDS, 2 * took))
        self._rate = OPEN if over else 1
        self._left = 1
        self._at = -inf

    @property
    def over(self) -> bool:
        """Whether no call is delayed any more."""
        return self._rate >= OPEN

    @property
    def at(self) -> float:
        """When the next call may be sent."""
        return -inf if self.over else self._at

    def go(self, now: float) -> None:
        """Note that a call is sent."""
        self._at = now + self._watched / self._rate
        self._left -= 1
        if self._left <= 0:
            self._faster()

    def answered(self) -> None:
        """Note that such a call was answered: the next ones need not wait for a refusal."""
        self._at = -inf
        self._faster()

    def _faster(self) -> None:
        self._rate = min(OPEN, 2 * self._rate)
        self._left = self._rate
