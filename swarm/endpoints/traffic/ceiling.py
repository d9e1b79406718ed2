"""The width that last was too much, and how long it is not tried again."""

from math import inf

import anyio

from swarm.endpoints.traffic.refusals import AS_MANY, COOL_SECONDS, LONE_SECONDS

HOLD_SECONDS = 60.0
"""Seconds for which a width that was too much is not tried again: quotas are counted per minute."""


class Ceiling:
    """A width that growth stops below for a while.

    The first time it is tried again after `COOL_SECONDS`, because one refusal may be bad luck. If about as many are
    refused then, or if the endpoint asked to wait, it is `HOLD_SECONDS`.
    """

    def __init__(self) -> None:
        self.at: float = inf
        """The width that was too much; infinite if none was."""
        self.asked = 0.0
        """Seconds that the last rate limit asked to wait."""
        self._before: float = -inf
        """The one before it."""
        self._until = -inf

    def lower(self, at: int) -> None:
        """Note that so many were too much."""
        is_known = abs(at - self._before) <= (1 - AS_MANY) * at
        self.at = self._before = at
        seconds = HOLD_SECONDS if is_known or self.asked > LONE_SECONDS else COOL_SECONDS
        self._until = anyio.current_time() + seconds

    def under(self, size: float) -> float:
        """Return the width that growth to `size` ends at."""
        if size < self.at:
            return size
        return self.at - 1 if anyio.current_time() < self._until else self.at
