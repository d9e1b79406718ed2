"""How many calls a minute an endpoint lets in, where it turned out that this is what it counts.

A quota is a rate, not a width: no number of slots keeps to one, for calls take longer or shorter. So calls are let go
as by a bucket (`bucket.py`) of a size that is learnt: what the endpoint let in during the minute before it refused.

| seen | done |
| --- | --- |
| nothing yet | calls are counted; none waits |
| calls wait, and the last refusal is a minute ago | one more than the pace, then two in a second, four … (`ramp.py`) |
| none of those is refused | the pace is that much more |

An endpoint that counts tokens is paced by calls as large as those of the last minute.
"""

import anyio

from swarm.endpoints.traffic.bucket import MINUTE, Bucket
from swarm.endpoints.traffic.ramp import Ramp

_UNLIMITED = 1_000_000_000


class Pace(Bucket):
    """Calls in any minute: any number until one is learnt."""

    def __init__(self) -> None:
        super().__init__(_UNLIMITED)
        self.learnt: int | None = None
        """Calls a minute that were let in; None until that limits anything."""
        self._ramp = Ramp()
        self._more_at = 0.0

    @property
    def full(self) -> bool:
        """Whether a call would be too many now, even one that has waited already when the pace was learnt."""
        self._expire()
        return self.begun >= self.size

    def learn(self, calls: int, took: float) -> None:
        """Limit the calls of any minute from now on."""
        self.size = self.learnt = max(1, calls)
        self._ramp = Ramp(took)
        self._more_at = anyio.current_time() + MINUTE

    def _expire(self) -> None:
        super()._expire()
        now = anyio.current_time()
        if self.learnt is None or self._used < self.size or self._held or now < self._opens_at:
            return
        self.learnt = self.size
        self.size += 1
        self._ramp.go(now)

    @property
    def _opens_at(self) -> float:
        return max(self._more_at, self._ramp.at)

    def _changes_at(self) -> float:
        at = super()._changes_at()
        return min(at, self._opens_at) if self._opens_at > anyio.current_time() else at
