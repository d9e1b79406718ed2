"""An endpoint that takes only so much, and does not say how much."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import anyio

from swarm.base.errors import EndpointBusy
from swarm.spec.chat import Reply, Request
from swarm.testing.doubles import reply

REFUSAL_SECONDS = 0.05


def _anything(seconds: float) -> int:
    del seconds
    return 10_000


@dataclass
class Limited:
    """Answers as many calls at once as it has room for, or as many a minute, and says 429 to the rest.

    For virtual time: an answer takes `latency` seconds, between 0.7 and 1.3 of it.
    """

    capacity: Callable[[float], int] = field(default_factory=lambda: _anything)
    """Calls at once, by the seconds since `began`."""
    latency: float = 10.0
    rpm: int | None = None
    """Calls a minute: a quota of tokens, where all calls are alike."""
    by_clock: bool = False
    """Whether the quota is of each minute of a clock, which is half over at first; else of any 60 seconds."""
    retry_after: float | None = None
    """Seconds that a 429 asks to wait."""
    served: list[float] = field(default_factory=list[float])
    """When calls were answered."""
    refused: list[float] = field(default_factory=list[float])
    """When they were not."""
    began: float = 0.0
    """When its first second was, on the clock of the event loop."""
    rng: Random = field(default_factory=lambda: Random(5))  # noqa: S311 - the same each time
    _active: int = 0
    _admitted: list[float] = field(default_factory=list[float])

    async def complete(self, request: Request) -> Reply:
        """Answer, or refuse."""
        del request
        now = anyio.current_time() - self.began
        self._admitted = [at for at in self._admitted if self._counts(at, now)]
        if self._active >= self.capacity(now) or (self.rpm is not None and len(self._admitted) >= self.rpm):
            self.refused.append(now)
            await anyio.sleep(REFUSAL_SECONDS)
            raise EndpointBusy("429", kind="rate_limited", status=429, retry_after=self.retry_after)
        self._active += 1
        self._admitted.append(now)
        try:
            await anyio.sleep(self.latency * self.rng.uniform(0.7, 1.3))
        finally:
            self._active -= 1
        self.served.append(anyio.current_time() - self.began)
        return reply("ok")

    def refused_by_minute(self, seconds: float) -> list[int]:
        """Count the 429s of each minute."""
        return [sum(60 * n <= at < 60 * (n + 1) for at in self.refused) for n in range(int(seconds // 60))]

    def _counts(self, at: float, now: float) -> bool:
        return (at + 30) // 60 == (now + 30) // 60 if self.by_clock else at > now - 60
