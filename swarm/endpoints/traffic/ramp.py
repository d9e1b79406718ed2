"""How what was shut, or is new, is opened: one call, then two in a second, four, eight …, evenly spaced.

A 429 comes sooner than an answer, for an endpoint does no work for it. So a call that was not refused within a second
counts as let in, and what goes too far is noticed after one or two calls, not after all that wait.
"""

from math import inf

WATCHED_SECONDS = 1.0
"""How long the first call is watched before another follows, at least: most refusals take less."""
MOST_SECONDS = 15.0
"""… at most: where a refusal takes as long as an answer, it says nothing sooner."""
OPEN = 512
"""Calls a second from which on nothing is held back."""


class Ramp:
    """Says when the next call may go."""

    def __init__(self, took: float = 0.0, *, over: bool = False) -> None:
        """Start with one call, where the last refusal took so many seconds; or at the end, with `over`."""
        self._watched = min(MOST_SECONDS, max(WATCHED_SECONDS, 2 * took))
        self._rate = OPEN if over else 1
        self._left = 1
        self._at = -inf

    @property
    def over(self) -> bool:
        """Whether nothing is held back any more."""
        return self._rate >= OPEN

    @property
    def at(self) -> float:
        """When the next one may go."""
        return -inf if self.over else self._at

    def go(self, now: float) -> None:
        """Take in that one goes."""
        self._at = now + self._watched / self._rate
        self._left -= 1
        if self._left <= 0:
            self._faster()

    def answered(self) -> None:
        """Take in that one that went was answered: there is no need to watch it longer."""
        self._at = -inf
        self._faster()

    def _faster(self) -> None:
        self._rate = min(OPEN, 2 * self._rate)
        self._left = self._rate
