"""Hedging: a second call for a straggler. The first answer wins, and both are paid for.

A few calls take far longer than the rest, for reasons that a second call does not share (Dean and
Barroso 2013, "The Tail at Scale"). The second starts at the 95th percentile of the times of similar
calls, so about one call in twenty is made twice; at most one in ten is. It takes a slot and a part
of the quota that are free: it never makes another caller wait. The time that a losing call took
until then counts, too, or the percentile would fall.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from math import ceil

import anyio

from swarm.base.errors import AttemptError, EndpointBusy
from swarm.spec.chat import Reply, Usage

SEEN = 100
"""Calls whose times are kept."""
LEAST = 20
"""Minimum calls before one is hedged: the 95th percentile of fewer is their maximum."""
PERCENTILE = 0.95
"""Percentile of the times at which a call becomes a straggler."""
MOST = 0.1
"""Maximum share of calls that are made twice."""

Result = Reply | EndpointBusy | None
"""A reply, a fault that a retry may help, or None if the call was not made."""
Once = Callable[[Callable[[], None]], Awaitable[Result]]
"""One call. Calls its argument right before it is sent."""


class Hedge:
    """Hedging of the calls of one model, by how long they take."""

    def __init__(self) -> None:
        self.calls = 0
        """Calls that could have been made twice."""
        self.doubled = 0
        """Calls that were made twice."""
        self._seconds: deque[float] = deque(maxlen=SEEN)

    @property
    def after(self) -> float | None:
        """Seconds after which a call is a straggler.

        None while too few times are known, or if too many calls were made twice.
        """
        if len(self._seconds) < LEAST or self.doubled >= MOST * self.calls:
            return None
        return sorted(self._seconds)[ceil(PERCENTILE * len(self._seconds)) - 1]

    async def race(self, first: Once, second: Once) -> Result:
        """Make the first call, and the second if it straggles. Return the first reply.

        If both fail, return or raise what the first does. A reply that won over a call in flight
        counts that call; its tokens are settled by whoever reserved them.
        """
        self.calls += 1
        one, two = _Runner(first), _Runner(second)
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await one.run()
                # A loser is cancelled in flight: the winner's caller must not wait for it. If the
                # first call failed while the second runs, the second may still win.
                if one.won or not two.started:
                    group.cancel_scope.cancel()

            group.start_soon(run)
            await self._straggles(one)
            await two.run()
            if two.won:
                group.cancel_scope.cancel()
        return self._result(one, two)

    async def _straggles(self, runner: "_Runner") -> None:
        """Wait until a call is a straggler; forever if it may not be hedged.

        `race` cancels this wait when the call ends.
        """
        await runner.sent.wait()
        after = self.after
        if after is None:
            await anyio.sleep_forever()
        else:
            await anyio.sleep_until(runner.began + after)

    def _result(self, one: "_Runner", two: "_Runner") -> Result:
        winner, loser = (two, one) if two.won and not one.won else (one, two)
        if winner.won and one.sent.is_set():
            self._seconds.append(anyio.current_time() - one.began)
        self.doubled += two.sent.is_set()
        if winner.error is not None:
            raise winner.error
        result = winner.result
        if not isinstance(result, Reply) or not loser.sent.is_set():
            return result
        usage = result.usage + _usage_of(loser, of_winner=result.usage)
        return result.model_copy(update={"usage": usage})


class _Runner:
    """One of the two calls."""

    def __init__(self, once: Once) -> None:
        self._once = once
        self.started = False
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
        """Make the call; keep its result or its error. A cancellation passes through."""
        self.started = True
        try:
            self.result = await self._once(self._begin)
        except AttemptError as error:
            self.error = error


_ONE_CALL = {"calls": 1, "input_tokens": 0, "output_tokens": 0, "cached_tokens": 0}


def _usage_of(loser: _Runner, *, of_winner: Usage) -> Usage:
    """Return the usage of the call that lost: its own if it was answered, otherwise one call."""
    if isinstance(loser.result, Reply):
        return loser.result.usage
    return of_winner.model_copy(update=_ONE_CALL)
