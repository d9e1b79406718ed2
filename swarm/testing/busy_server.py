"""A model server in virtual time: it queues what is too much, is slower the more it has to do, and goes away.

What tests of limits need is not an answer but when it comes. So the server is a sum: calls wait in
a queue for a slot, and those that have one share its speed. A caller who gives up is not noticed,
as behind most proxies: the server works on, and its slot stays taken.
"""

import heapq
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Literal

import anyio

from swarm.base.errors import EndpointBusy
from swarm.spec.chat import Reply, Request, Usage
from swarm.testing.doubles import reply

REFUSAL_SECONDS = 0.05
"""Seconds until a refusal arrives: one round trip."""
UNLIMITED = 1_000_000
"""More slots than any test has calls."""


def _a_second(at: float, rng: Random) -> float:
    del at, rng
    return 1.0


def _round_trip(rng: Random) -> float:
    del rng
    return REFUSAL_SECONDS


def _unlimited(at: float) -> int:
    del at
    return UNLIMITED


@dataclass(eq=False)
class _Arrival:
    """A call at the server."""

    work: float
    """Seconds that it takes alone."""
    done: anyio.Event = field(default_factory=anyio.Event)
    broken: bool = False
    """Whether its connection was lost."""


@dataclass
class BusyServer:
    """An endpoint that queues. Enter `serving` around all calls, in virtual time.

    Without settings it answers any number of calls, each after one second.
    """

    seconds: Callable[[float, Random], float] = field(default_factory=lambda: _a_second)
    """Seconds of an answer alone, from the seconds since the start; drawn in the order of arrival."""
    slots: Callable[[float], int] = field(default_factory=lambda: _unlimited)
    """Calls that are worked on at the same time, by the seconds since the start."""
    order: Literal["fifo", "random", "lifo"] = "fifo"
    """Which of those that wait is next."""
    knee: int = UNLIMITED
    """Calls above which all are slower, in proportion: a server that batches does no more a second."""
    thrashes: int = UNLIMITED
    """Calls above which it does less a second, in proportion."""
    refuses: float = 0.0
    """Share of calls that are refused with a 429, whatever the load."""
    most: int = UNLIMITED
    """Calls above which a 429 is the answer."""
    bucket: tuple[float, int] | None = None
    """Calls that are admitted a second, and at once after a pause; a 429 is the answer to the rest."""
    refusal_seconds: Callable[[Random], float] = field(default_factory=lambda: _round_trip)
    """Seconds until a refusal arrives."""
    retry_after: float | None = None
    """Seconds that a refusal asks to wait."""
    on_headers: Callable[[Mapping[str, str]], object] | None = None
    """Receives what the headers of an answer say about the bucket."""
    hangs: float = 0.0
    """Share of calls that are never answered, and hold no slot."""
    away: tuple[tuple[float, float], ...] = ()
    """Seconds between which there is no server; what it works on is lost."""
    loads: float = 0.0
    """Seconds after being away in which it answers 503."""
    tokens_a_second: float = 20.0
    """Tokens of an answer for each second of `seconds`."""
    rng: Random = field(default_factory=lambda: Random(5))  # noqa: S311 - reproducible
    calls: int = 0
    """Calls that came, those that found no server included."""
    wasted: int = 0
    """Calls that were worked on and whose caller had given up, or would have been."""
    refusals: list[float] = field(default_factory=list[float])
    """When each call came that got a 429."""
    took: list[float] = field(default_factory=list[float])
    """Seconds of each answered call."""
    _began: float = 0.0
    _waiting: list[_Arrival] = field(default_factory=list[_Arrival])
    _active: list[tuple[float, int, _Arrival]] = field(default_factory=list[tuple[float, int, _Arrival]])
    """A heap by the work at which a job is done."""
    _worked: float = 0.0
    """Work that each active job has had since the start."""
    _at: float = 0.0
    """When that was computed."""
    _tokens: float = inf
    """What the bucket holds, and when that was computed."""
    _filled: float = 0.0
    _number: int = 0
    _changed: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        self._began = self._at = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(self._serve)
            for start, _ in self.away:
                group.start_soon(self._go_away, start)
            yield
            group.cancel_scope.cancel()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return anyio.current_time() - self._began

    async def complete(self, request: Request) -> Reply:
        """Answer. Raise `EndpointBusy` if the server is away, loads, refuses or breaks off."""
        del request
        self.calls += 1
        now = self.now
        if any(start <= now < end for start, end in self.away):
            raise EndpointBusy("connection refused", kind="unreachable")
        if any(end <= now < end + self.loads for _, end in self.away):
            raise EndpointBusy("loading", kind="overloaded", status=503)
        full = len(self._active) + len(self._waiting) >= self.most or not self._has_token(now)
        if full or self.rng.random() < self.refuses:
            self.refusals.append(now)
            await anyio.sleep(self.refusal_seconds(self.rng))
            raise EndpointBusy("429", kind="rate_limited", status=429, retry_after=self.retry_after)
        job = _Arrival(self.seconds(now, self.rng))
        if self.rng.random() < self.hangs:
            await anyio.sleep(inf)
        self._advance()
        self._waiting.append(job)
        self._changed.set()
        try:
            await job.done.wait()
        except BaseException:
            self.wasted += 1
            raise
        if job.broken:
            raise EndpointBusy("the connection was lost", kind="disconnected")
        self.took.append(self.now - now)
        self._tell()
        tokens = max(1, round(job.work * self.tokens_a_second))
        return reply("ok", usage=Usage(calls=1, input_tokens=10, output_tokens=tokens))

    def _has_token(self, now: float) -> bool:
        """Take a token of the bucket if there is one."""
        if self.bucket is None:
            return True
        rate, size = self.bucket
        self._tokens = min(float(size), self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _tell(self) -> None:
        if self.on_headers is not None and self.bucket is not None:
            left, rate = int(self._tokens), self.bucket[0]
            until = max(0.0, (1 - self._tokens) / rate)
            names = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
            self.on_headers(dict(zip(names, (str(left), f"{until:.3f}s"), strict=True)))

    async def _go_away(self, start: float) -> None:
        await anyio.sleep_until(self._began + start)
        lost = [*self._waiting, *(job for _, _, job in self._active)]
        self._waiting, self._active = [], []
        for job in lost:
            job.broken = True
            job.done.set()
        self._changed.set()

    async def _serve(self) -> None:
        """Give slots, and finish jobs when they are due."""
        while True:
            self._advance()
            while self._active and self._active[0][0] <= self._worked + 1e-9:
                heapq.heappop(self._active)[2].done.set()
            while self._waiting and len(self._active) < self.slots(self.now):
                job = self._waiting.pop(self._next())
                self._number += 1
                heapq.heappush(self._active, (self._worked + job.work, self._number, job))
            due = (self._active[0][0] - self._worked) / self._speed if self._active else inf
            self._changed = anyio.Event()
            with anyio.move_on_after(min(due, 1.0) if self._waiting else due):  # slots may change with the time
                await self._changed.wait()

    def _next(self) -> int:
        if self.order == "fifo":
            return 0
        return len(self._waiting) - 1 if self.order == "lifo" else self.rng.randrange(len(self._waiting))

    @property
    def _speed(self) -> float:
        """Work that each active job gets in a second."""
        active = len(self._active)
        if active <= self.knee:
            return 1.0
        return self.knee / active * min(1.0, self.thrashes / active)

    def _advance(self) -> None:
        now = anyio.current_time()
        self._worked += (now - self._at) * self._speed
        self._at = now
