"""Hedging of stragglers, in virtual time."""

from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy
from swarm.endpoints.traffic.bucket import Quota
from swarm.endpoints.traffic.hedge import LEAST, Hedge
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.spec.chat import Reply, Request, ToolSpec, Usage, says
from swarm.testing import Function, reply
from tests.limits import Paced

ASK = Request(model="default", messages=(says("user", "hi"),))
WITH_TOOLS = ASK.model_copy(update={"tools": (ToolSpec(name="look", description="", parameters={}),)})


def busy() -> EndpointBusy:
    return EndpointBusy("busy", kind="server_error")


class Straggling:
    """An endpoint that takes one second; an hour for the calls with the given numbers."""

    def __init__(self, *slow: int) -> None:
        self.slow = slow
        self.calls = 0
        self.cancelled = 0

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        try:
            await anyio.sleep(250 if self.calls in self.slow else 1)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return reply("ok", usage=Usage(calls=1, input_tokens=10, output_tokens=5))


@pytest.mark.anyio
@pytest.mark.virtual
class TestHedge:
    async def warm(self, straggling: Straggling, **settings: Any) -> Retrying:
        """Return an endpoint that has seen enough calls."""
        endpoint = Retrying(straggling, rng=Random(1), hedge=Hedge(), **settings)
        for _ in range(LEAST):
            await endpoint.complete(ASK)
        return endpoint

    async def test_a_straggler_is_made_twice_and_the_first_answer_wins(self) -> None:
        straggling = Straggling(LEAST + 1)
        endpoint = await self.warm(straggling)
        began = anyio.current_time()
        answer = await endpoint.complete(ASK)
        assert anyio.current_time() - began == pytest.approx(2)
        assert (straggling.calls, straggling.cancelled, answer.usage.calls) == (LEAST + 2, 1, 2)

    async def test_both_are_charged(self) -> None:
        straggling = Straggling(LEAST + 1)
        charged: list[str] = []

        async def around(request: Request, attempt: Callable[..., Any]) -> Any:
            done = False
            try:
                result = await attempt(lambda: None)
                done = True
            finally:
                charged.append("answered" if done else "in full")
            return result

        endpoint = await self.warm(straggling, around=around)
        del charged[:]
        await endpoint.complete(ASK)
        assert sorted(charged) == ["answered", "in full"]

    async def test_the_first_may_still_win(self) -> None:
        seconds = iter([1.0] * LEAST + [1.5, 100.0])

        async def complete(request: Request) -> Reply:
            await anyio.sleep(next(seconds))
            return reply("ok")

        endpoint = Retrying(Function(complete), rng=Random(1), hedge=Hedge())
        for _ in range(LEAST):
            await endpoint.complete(ASK)
        began = anyio.current_time()
        assert (await endpoint.complete(ASK)).usage.calls == 2
        assert anyio.current_time() - began == pytest.approx(1.5)

    async def test_never_with_tools_nor_before_enough_is_known(self) -> None:
        straggling = Straggling(LEAST + 1)
        endpoint = await self.warm(straggling)
        await endpoint.complete(WITH_TOOLS)
        assert straggling.calls == LEAST + 1
        early = Straggling(3)
        fresh = Retrying(early, rng=Random(1), hedge=Hedge())
        for _ in range(4):
            await fresh.complete(ASK)
        assert early.calls == 4

    async def test_it_takes_no_slot_that_is_wanted_and_no_call_over_a_quota(self) -> None:
        for settings in (
            {"limit": Limit(start=1, most=1)},
            {"slots": anyio.CapacityLimiter(1)},
            {"quota": Quota(rpm=LEAST + 1, tpm=None, max_tokens=1)},
        ):
            straggling = Straggling(LEAST + 1)
            endpoint = await self.warm(straggling, **settings)
            await endpoint.complete(ASK)
            assert straggling.calls == LEAST + 1, settings

    async def test_a_second_call_takes_its_own_part_of_the_pace(self) -> None:
        limit = Paced("here", start=8)
        limit.learn(LEAST + 2)
        straggling = Straggling(LEAST + 1)
        endpoint = await self.warm(straggling, limit=limit)
        assert not limit.full
        await endpoint.complete(ASK)
        assert straggling.calls == LEAST + 2
        assert limit.full, "the first call and the second have used what was left"

    async def test_at_most_one_call_in_ten_is_made_twice(self) -> None:
        straggling = Straggling(*range(LEAST + 1, 500, 2))
        endpoint = await self.warm(straggling)
        for _ in range(80):
            await endpoint.complete(ASK)
        assert straggling.calls <= (LEAST + 80) * 1.1 + 1

    async def test_where_both_fail_the_first_error_counts_and_is_tried_again(self) -> None:
        calls = 0

        async def complete(request: Request) -> Reply | Exception:
            nonlocal calls
            calls += 1
            if calls in (LEAST + 1, LEAST + 2):
                await anyio.sleep(5)
                return busy()
            await anyio.sleep(1 if calls <= LEAST else 0.5)
            return reply("ok")

        endpoint = Retrying(Function(complete), rng=Random(1), hedge=Hedge())
        for _ in range(LEAST):
            await endpoint.complete(ASK)
        assert (await endpoint.complete(ASK)).usage.calls == 3
