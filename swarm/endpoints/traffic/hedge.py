"""A second call for a straggler: the first answer wins, both are paid for.

A few calls take far longer than the rest for reasons that a second one does not share (Dean and Barroso 2013, "The
Tail at Scale"). What is waited for before the second is the 95th percentile of what like calls took, so that about one
in twenty is made twice; never more than one in ten is. The second takes a slot, and a part of the quota, that is free:
it never makes anybody wait. What the loser took until then counts among the times, or the percentile would sink.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from math import ceil

import anyio

from swarm.base.errors import AttemptError, EndpointBusy
from swarm.spec.chat import Reply

SEEN = 100
"""Calls that are remembered."""
LEAST = 20
"""Calls that must have been seen: the 95th percentile of fewer is their largest."""
PERCENTILE = 0.95
MOST = 0.1
"""Share of calls that may be made twice."""

Result = Reply | EndpointBusy | None
Once = Callable[[Callable[[], None]], Awaitable[Result]]
"""Makes one call; calls what it is given right before it is sent. None if it was not made after all."""


class Hedge:
    """Watches how long the calls of one model take, and makes the slowest ones twice."""

    def __init__(self) -> None:
        self.calls = 0
        """Calls that could have been made twice."""
        self.doubled = 0
        """Those that were."""
        self._seconds: deque[float] = deque(maxlen=SEEN)

    @property
    def after(self) -> float | None:
        """Seconds after which a call is a straggler; None while too little is known, or too many were made twice."""
        if len(self._seconds) < LEAST or self.doubled >= MOST * self.calls:
            return None
        return sorted(self._seconds)[ceil(PERCENTILE * len(self._seconds)) - 1]

    async def race(self, first: Once, second: Once) -> Result:
        """Make the first call, and the second if it straggles. Raises what the first raises, if the second fails too.

        An answer that won over a call in flight counts that call; its tokens are for whoever reserved them.
        """
        self.calls += 1
        runners = [_Runner(first)]
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await runners[0].run()
                if runners[0].won or len(runners) == 1:
                    group.cancel_scope.cancel()

            group.start_soon(run)
            await self._straggles(runners[0])
            runners.append(_Runner(second))
            await runners[1].run()
            if runners[1].won:
                group.cancel_scope.cancel()
        return self._result(runners)

    async def _straggles(self, runner: "_Runner") -> None:
        """Wait until a call is a straggler; for ever if it is not to be helped."""
        await runner.sent.wait()
        after = self.after
        await anyio.sleep_until(runner.began + after) if after is not None else await anyio.sleep_forever()

    def _result(self, runners: list["_Runner"]) -> Result:
        first = runners[0]
        winner = next((each for each in runners if each.won), first)
        if winner.won and first.sent.is_set():
            self._seconds.append(anyio.current_time() - first.began)
        others = [each for each in runners if each is not winner and each.sent.is_set()]
        self.doubled += len(runners) > 1 and runners[1].sent.is_set()
        if winner.error is not None:
            raise winner.error
        result = winner.result
        if not isinstance(result, Reply):
            return result
        usage = result.usage
        for other in others:
            told = other.result.usage if isinstance(other.result, Reply) else usage.model_copy(update=_ONE_CALL)
            usage += told
        return result.model_copy(update={"usage": usage})


_ONE_CALL = {"calls": 1, "input_tokens": 0, "output_tokens": 0, "cached_tokens": 0}


class _Runner:
    """One of the two calls."""

    def __init__(self, once: Once) -> None:
        self._once = once
        self.sent = anyio.Event()
        self.began = 0.0
        self.result: Result = None
        self.error: AttemptError | None = None

    @property
    def won(self) -> bool:
        return isinstance(self.result, Reply)

    def _begin(self) -> None:
        self.began = anyio.current_time()
        self.sent.set()

    async def run(self) -> None:
        try:
            self.result = await self._once(self._begin)
        except AttemptError as error:
            self.error = error
