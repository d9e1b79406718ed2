"""Pace: how many calls per minute an endpoint admits, once it is known to count them.

A quota is a rate, not a width: no number of slots keeps to one, because calls take longer or
shorter. So calls are sent as from a bucket (`bucket.py`) whose size is learned: what the endpoint
admitted during the minute before it refused.

| event | effect |
| --- | --- |
| nothing learned yet | calls are counted; none waits |
| calls wait, and the last refusal is a minute ago | one more, then two in a second … (`ramp.py`) |
| none of those is refused | the pace is that much higher |

If an endpoint counts tokens, the pace is right for calls as large as those of the last minute.
"""

import anyio

from swarm.endpoints.traffic.bucket import MINUTE, Bucket
from swarm.endpoints.traffic.ramp import Ramp

_UNLIMITED = 1_000_000_000
"""Calls per minute until a pace is learned: more than any process makes."""


class Pace(Bucket):
    """Calls in any minute: unlimited until a pace is learned."""

    def __init__(self) -> None:
        super().__init__(_UNLIMITED)
        self.learnt: int | None = None
        """Calls per minute that were admitted; None until that is a limit."""
        self._ramp = Ramp()
        self._more_at = 0.0

    @property
    def full(self) -> bool:
        """Whether another call would exceed the pace, even one that took its part before."""
        self._expire()
        return self.begun >= self.size

    def learn(self, calls: int, took: float) -> None:
        """Limit the calls of any minute from now on. `took` is the seconds of the refusal."""
        self.size = self.learnt = max(1, calls)
        self._ramp = Ramp(took)
        self._more_at = anyio.current_time() + MINUTE

    def _expire(self) -> None:
        super()._expire()
        now = anyio.current_time()
        in_use = self._used >= self.size and not self._held
        if self.learnt is None or not in_use or now < self._opens_at:
            return
        # All of the pace is used, and the last trial was not refused: it is right; try one more.
        self.learnt = self.size
        self.size += 1
        self._ramp.go(now)

    @property
    def _opens_at(self) -> float:
        return max(self._more_at, self._ramp.at)

    def _changes_at(self) -> float:
        at = super()._changes_at()
        return min(at, self._opens_at) if self._opens_at > anyio.current_time() else at
