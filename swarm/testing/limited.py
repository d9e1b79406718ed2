"""An endpoint with a rate limit that it does not announce."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import anyio

from swarm.base.errors import EndpointBusy
from swarm.spec.chat import Reply, Request
from swarm.testing.doubles import reply

REFUSAL_SECONDS = 0.05
"""Seconds until a 429 arrives: one round trip."""


def _no_limit(seconds: float) -> int:
    del seconds
    return 10_000


@dataclass
class Limited:
    """An endpoint with a maximum of parallel calls, or of calls per minute.

    It answers 429 to the rest.

    Use it in virtual time. An answer takes between 0.7 and 1.3 times `latency` seconds.
    """

    capacity: Callable[[float], int] = field(default_factory=lambda: _no_limit)
    """Maximum parallel calls, as a function of the seconds since `began`."""
    latency: float = 10.0
    rpm: int | None = None
    """Maximum calls per minute. If all calls are similar, it is a token quota too."""
    by_clock: bool = False
    """True if the quota is per minute of a clock that starts at half a minute; else it is per any
    60 seconds."""
    retry_after: float | None = None
    """Seconds that a 429 asks to wait, or None."""
    served: list[float] = field(default_factory=list[float])
    """Times of answered calls, in seconds since `began`."""
    refused: list[float] = field(default_factory=list[float])
    """Times of refused calls, in seconds since `began`."""
    began: float = 0.0
    """Start of its time, on the clock of the event loop."""
    rng: Random = field(default_factory=lambda: Random(5))  # noqa: S311 - reproducible
    _active: int = 0
    _admitted: list[float] = field(default_factory=list[float])

    async def complete(self, request: Request) -> Reply:
        """Answer, or raise `EndpointBusy`."""
        del request
        now = anyio.current_time() - self.began
        self._admitted = [at for at in self._admitted if self._counts(at, now)]
        exceeds_quota = self.rpm is not None and len(self._admitted) >= self.rpm
        if exceeds_quota or self._active >= self.capacity(now):
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
        """Return the number of refused calls per minute."""
        minutes = range(int(seconds // 60))
        return [sum(60 * n <= at < 60 * (n + 1) for at in self.refused) for n in minutes]

    def _counts(self, at: float, now: float) -> bool:
        return (at + 30) // 60 == (now + 30) // 60 if self.by_clock else at > now - 60
