"""Trying again: the one place where a call is repeated, and the one where it waits for its turn.

    for each try:   wait while the endpoint cools down  →  take a slot  →  call  →  give the slot back
                    →  on `EndpointBusy`: back off, and the whole endpoint with it where the fault was a rate limit

A slot is held while a call is on the wire and never while anybody waits. Backoff is exponential with full jitter
(Brooker 2015, "Exponential Backoff And Jitter"): the delay before try n + 1 is uniform in [0, min(most, base · 2ⁿ⁻¹)].
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import anyio

from swarm.base.error_kinds import WAITS
from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.bucket import Permit, Quota
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.hedge import Hedge
from swarm.endpoints.traffic.limit import Limit
from swarm.spec.chat import Reply, Request


@dataclass(frozen=True)
class Backoff:
    """How often, and how far apart, a kind of fault is tried again."""

    tries: int = 4
    """Calls in all, the first one included."""
    base: float = 0.5
    """Longest wait before the second try, in seconds; it doubles with each further one."""
    most: float = 8.0
    """Longest wait before any try, in seconds."""

    def seconds(self, failed: int, rng: Random) -> float:
        """Draw the wait after `failed` tries of this kind, from 1."""
        return rng.uniform(0.0, min(self.most, self.base * 2.0 ** min(failed - 1, 60)))


USUAL = Backoff()
"""For faults that pass by themselves or not at all."""

BACKOFFS: Mapping[str, Backoff] = {
    "malformed": Backoff(tries=2),  # what answers with a web page does it again
    "empty": Backoff(tries=2),
    "bad_request": Backoff(tries=2),  # here only by the endpoint's own wish (`x-should-retry`)
    "rate_limited": Backoff(tries=16, most=30.0),  # it always passes: bounded by the deadline first
    "overloaded": Backoff(tries=8, base=2.0, most=30.0),
}
"""By kind; `USUAL` for the others. One request meets few kinds, so the tries of all of them bound its calls."""

Begin = Callable[[], None]
"""Says that a call is being sent."""
Try = Callable[[Begin], Awaitable[Reply | EndpointBusy | None]]
"""Makes one try, None where it was not made after all; calls what it is given right before anything is sent."""
Around = Callable[[Request, Try], Awaitable[Reply | EndpointBusy | None]]
"""Goes around each try, outside of its slot and its deadline: what a try may cost is reserved there, and settled."""

_Error = TypeVar("_Error", EndpointBusy, EndpointRefused)


@dataclass
class _Tally:
    """What one request has cost so far."""

    left: float
    """Seconds until its deadline; time in the queue for a slot does not count."""
    calls: int = 0
    failed: dict[str, int] = field(default_factory=dict[str, int])
    """Tries that failed, by kind."""


async def _free(request: Request, attempt: Try) -> Reply | EndpointBusy | None:
    """Make a try that costs nothing."""
    del request
    return await attempt(lambda: None)


class Retrying:
    """Completes requests with another endpoint, trying again when that may help."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        rng: Random,
        deadline: float = 300.0,
        slots: anyio.CapacityLimiter | None = None,
        cooldown: Cooldown | None = None,
        limit: Limit | None = None,
        quota: Quota | None = None,
        hedge: Hedge | None = None,
        backoffs: Mapping[str, Backoff] = BACKOFFS,
        usual: Backoff = USUAL,
        around: Around = _free,
    ) -> None:
        """Wrap an endpoint.

        `rng` draws the jitter. `deadline` bounds one request in seconds, its retries and waits included, but not the
        queues for slots and quotas. `slots` bounds the calls of a model. `cooldown` and `limit` are shared by
        everything that calls the same endpoint with the same key; `quota` and `hedge` belong to a model. `around` is a
        budget's.
        """
        self._endpoint = endpoint
        self._rng = rng
        self._deadline = deadline
        self._slots = slots
        self._cooldown = cooldown or Cooldown()
        self._limit = limit
        self._quota = quota
        self._hedge = hedge
        self._backoffs = backoffs
        self._usual = usual
        self._around = around
        self._served = False
        self._stopped: EndpointRefused | None = None

    @property
    def cooling(self) -> float:
        """Seconds for which callers wait, because the endpoint wants to be left alone."""
        return self._cooldown.seconds

    async def complete(self, request: Request) -> Reply:
        """Give the answer of the first try that succeeds, or raise the last try's error.

        An endpoint that refused for good (a bad key, a spent quota) is not called again. One that cannot be reached,
        and never was, is refused for good too.
        """
        began = anyio.current_time()
        tally = _Tally(left=self._deadline)
        while True:
            self._go_on(tally)
            waited = anyio.current_time()
            await self._cooldown.passed()
            tally.left -= anyio.current_time() - waited
            result = await self._try(request, tally)
            if isinstance(result, Reply):
                self._served = True
                usage = result.usage.model_copy(update={"calls": tally.calls + result.usage.calls})
                seconds = anyio.current_time() - began
                return result.model_copy(update={"usage": usage, "seconds": seconds})
            if result is not None:
                await self._back_off(result, tally)

    def _go_on(self, tally: _Tally) -> None:
        """Raise if there is no use in another call."""
        if self._stopped is not None:
            raise _again(self._stopped)
        if (wait := self._cooldown.seconds) > tally.left:
            raise EndpointBusy(
                f"the endpoint wants to be left alone for {wait:.0f} s, which is past the deadline of the call; "
                "`swarm resume` goes on later",
                kind="rate_limited",
                retry_after=wait,
            )

    async def _try(self, request: Request, tally: _Tally) -> Reply | EndpointBusy | None:
        """Make one call, and another beside it where it straggles; each is charged by itself."""
        if self._hedge is None or request.tools:
            return await self._around(request, lambda begin: self._in_slot(request, tally, begin))
        spare = _Tally(left=tally.left)
        result = await self._hedge.race(
            lambda sent: self._around(request, lambda begin: self._in_slot(request, tally, _both(begin, sent))),
            lambda sent: self._around(request, lambda begin: self._in_spare(request, spare, _both(begin, sent))),
        )
        tally.calls += spare.calls
        return result

    async def _in_slot(self, request: Request, tally: _Tally, begin: Begin) -> Reply | EndpointBusy | None:
        """Make one call in a slot; None if the endpoint cooled down, or refused for good, while it queued for one."""
        permit = Permit() if self._quota is None else await self._quota.take(request)
        try:
            if self._limit is not None:
                await self._limit.join(permit)
            if not await self._cooldown.turn():
                return None
            if self._limit is not None:
                self._limit.begin()
            async with self._slots or nullcontext(), self._limit or nullcontext():
                return await self._call(request, tally, _both(begin, permit.begin), permit)
        finally:
            permit.close()

    async def _in_spare(self, request: Request, tally: _Tally, begin: Begin) -> Reply | EndpointBusy | None:
        """Make one call where that makes nobody wait; None if it would."""
        permit = Permit() if self._quota is None else self._quota.take_now(request)
        if permit is None:
            return None
        borrower, slots = object(), self._slots
        try:
            if not self._cooldown.open or not (self._limit is None or self._limit.join_now(permit)):
                return None
            if slots is not None:
                slots.acquire_on_behalf_of_nowait(borrower)
            try:
                with nullcontext() if self._limit is None else self._limit.spare():
                    return await self._call(request, tally, _both(begin, permit.begin), permit)
            finally:
                if slots is not None:
                    slots.release_on_behalf_of(borrower)
        except anyio.WouldBlock:
            return None
        finally:
            permit.close()

    async def _call(self, request: Request, tally: _Tally, begin: Begin, permit: Permit) -> Reply | EndpointBusy | None:
        if self._cooldown.seconds > 0 or self._stopped is not None or (self._limit is not None and self._limit.full):
            return None
        began = anyio.current_time()
        begin()
        beside = 0 if self._limit is None else self._limit.sent()
        try:
            with anyio.fail_after(tally.left):
                reply = await self._endpoint.complete(request)
        except TimeoutError:
            error = EndpointBusy(f"no answer within {self._deadline:g} s, retries included", kind="timeout")
            return self._failed(error, began, tally, permit, beside)
        except EndpointBusy as error:
            return self._failed(error, began, tally, permit, beside)
        except EndpointRefused as error:
            self._failed(error, began, tally, permit, beside)
            raise
        finally:
            tally.left -= anyio.current_time() - began
        permit.settle(reply)
        self._cooldown.answered(began)
        if self._limit is not None:
            self._limit.answered(began)
        return reply

    def _failed(self, error: _Error, began: float, tally: _Tally, permit: Permit, beside: int) -> _Error:
        """Take in that a call failed: what it counted, and what it says about the endpoint."""
        tally.calls += 1
        error.calls = tally.calls
        permit.failed(error.kind)
        if error.kind not in WAITS:
            self._cooldown.answered(began)  # it was let in, whatever became of it
        elif isinstance(error, EndpointBusy):
            self._cool(error, began)
        if self._limit is not None and error.kind in WAITS:
            wait = error.retry_after if isinstance(error, EndpointBusy) else None
            if error.kind == "rate_limited":
                self._limit.refused(began, wait, beside=beside)
            else:
                self._limit.strained(wait)
        if isinstance(error, EndpointRefused) and error.stops:
            self._stopped = error
        return error

    def _cool(self, error: EndpointBusy, began: float) -> None:
        """Keep everybody out for a while, longer each time in a row."""
        strikes, told = self._cooldown.refused(began), error.retry_after
        backoff = self._backoffs.get(error.kind, self._usual)
        if told is not None:
            self._cooldown.shut(max(told, min(backoff.most, told * 2.0 ** min(strikes - 1, 60))))
        elif strikes:
            self._cooldown.shut(backoff.seconds(strikes, self._rng))

    async def _back_off(self, error: EndpointBusy, tally: _Tally) -> None:
        """Wait before the next try, or raise the error where there is none."""
        kind = error.kind
        failed = tally.failed[kind] = tally.failed.get(kind, 0) + 1
        backoff = self._backoffs.get(kind, self._usual)
        if kind in WAITS:
            wait = self._cooldown.seconds
        elif error.retry_after is None:
            wait = backoff.seconds(failed, self._rng)
        else:
            wait = error.retry_after
            self._cooldown.shut(wait)
        if failed >= backoff.tries or wait >= tally.left:
            raise self._given_up(error, tally)
        await anyio.sleep(wait)
        tally.left -= wait

    def _given_up(self, error: EndpointBusy, tally: _Tally) -> EndpointError:
        if tally.calls > 1:
            error = _again(error, f"{error} (tried {tally.calls} times)")
            error.calls = tally.calls
        if error.kind != "unreachable" or self._served:
            return error
        self._stopped = EndpointRefused(str(error), kind="unreachable", endpoint=error.endpoint, stops=True)
        return _again(self._stopped)


def _both(first: Begin, second: Begin) -> Begin:
    def call() -> None:
        first()
        second()

    return call


def _again(error: _Error, message: str | None = None) -> _Error:
    """Make the same error anew: one that is raised twice would carry both tracebacks."""
    fresh = type(error)(message or str(error), kind=error.kind, endpoint=error.endpoint, status=error.status)
    if isinstance(error, EndpointBusy) and isinstance(fresh, EndpointBusy):
        fresh.retry_after = error.retry_after
    fresh.stops = error.stops
    return fresh
