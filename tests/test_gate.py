"""A server that is gone: calls wait, one asks, nothing counts. In virtual time."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy, EndpointError, EndpointRefused
from swarm.endpoints.pool import Pool
from swarm.endpoints.traffic.cooldown import Cooldown
from swarm.endpoints.traffic.gate import Gate
from swarm.endpoints.traffic.limit import Limit
from swarm.endpoints.traffic.retry import Retrying
from swarm.record.events import EndpointBack, EndpointGone
from swarm.spec.chat import Reply, Request, says
from swarm.testing import BusyServer, Function, reply
from tests.busy_servers import about, slots

ASK = Request(model="m", messages=(says("user", "x"),))

Told = EndpointGone | EndpointBack


class Away:
    """A server that answers at once, and says something else between two times."""

    def __init__(self, start: float, end: float, *kinds: str) -> None:
        self.asked: list[float] = []
        self.most = self.now = 0
        self._span = start, end
        self._kinds = list(kinds) or ["unreachable"]

    async def complete(self, request: Request) -> Reply:
        began = anyio.current_time()
        self.asked.append(began)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await anyio.sleep(0.01)
        finally:
            self.now -= 1
        if self._span[0] <= began < self._span[1]:
            kind = self._kinds.pop(0) if len(self._kinds) > 1 else self._kinds[0]
            raise EndpointBusy("no server", kind=kind)
        return reply("ok")


def at_gate(server: Any, *, patience: float = 600, **settings: Any) -> tuple[Retrying, list[Told]]:
    told: list[Told] = []
    gate = Gate("here", patience=patience, tell=told.append)
    return Retrying(server, rng=Random(1), gate=gate, cooldown=Cooldown(), **settings), told


async def together(act: Callable[[], Any], count: int) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(act)


@pytest.mark.anyio
@pytest.mark.virtual
class TestGate:
    async def test_a_restart_costs_no_call_and_one_at_a_time_asks(self) -> None:
        start = anyio.current_time()
        server = Away(start + 1, start + 30)
        endpoint, told = at_gate(server, deadline=5)
        await endpoint.complete(ASK)
        await anyio.sleep_until(start + 2)
        del server.asked[:]
        served: list[int] = []

        async def call() -> None:
            served.append((await endpoint.complete(ASK)).usage.calls)

        await call_after_closing(server, call)
        assert len(served) == 11
        assert set(served) == {1}, "a call that found no server is none"
        times = [at - start - 2 for at in server.asked if at < start + 30]
        assert times[0] == 0.0
        assert [b - a for a, b in pairwise(times)] == pytest.approx([0.5, 1, 2, 3, 5, 5, 5, 5], abs=0.1)
        gone, back = told
        assert (gone.endpoint, back.endpoint) == ("here", "here")
        assert isinstance(gone, EndpointGone)
        assert isinstance(back, EndpointBack)
        assert gone.why == "no server"
        assert back.seconds == pytest.approx(31.6, abs=0.2)
        assert back.probes == 9

    async def test_once_it_is_back_calls_go_one_then_two_a_second_and_not_all_at_once(self) -> None:
        start = anyio.current_time()
        server = Away(start + 1, start + 10)
        endpoint, _ = at_gate(server)
        await endpoint.complete(ASK)
        await anyio.sleep_until(start + 2)
        await call_after_closing(server, lambda: endpoint.complete(ASK), count=50)
        back = [at for at in server.asked if at >= start + 10]
        assert len(back) == 51
        assert server.most < 50

    @pytest.mark.parametrize("kind", ["overloaded", "server_error", "disconnected", "timeout"])
    async def test_a_server_that_loads_is_still_gone(self, kind: str) -> None:
        start = anyio.current_time()
        endpoint, told = at_gate(Away(start + 1, start + 60, "unreachable", "unreachable", kind))
        await endpoint.complete(ASK)
        await anyio.sleep_until(start + 2)
        assert (await endpoint.complete(ASK)).usage.calls >= 1
        assert [type(each) for each in told] == [EndpointGone, EndpointBack]

    async def test_a_connection_lost_in_mid_answer_is_made_again_at_once_and_closes_it_if_there_is_none(self) -> None:
        start = anyio.current_time()
        server = Away(start + 1, start + 20, "disconnected", "unreachable")
        endpoint, told = at_gate(server)
        await endpoint.complete(ASK)
        await anyio.sleep_until(start + 2)
        await endpoint.complete(ASK)
        assert server.asked[2] - server.asked[1] == pytest.approx(0.01)
        assert len(told) == 2

    async def test_an_address_that_never_answered_stops_as_ever(self) -> None:
        endpoint, told = at_gate(Away(0, 1e9))
        with pytest.raises(EndpointRefused) as caught:
            await endpoint.complete(ASK)
        assert caught.value.stops
        assert told == []

    async def test_after_the_patience_each_call_fails_once_and_later_ones_at_once(self) -> None:
        start = anyio.current_time()
        endpoint, _ = at_gate(Away(start + 1, 1e9), patience=90)
        await endpoint.complete(ASK)
        await anyio.sleep_until(start + 2)
        errors: list[EndpointError] = []

        async def call() -> None:
            with pytest.raises(EndpointRefused, match=r"here has been gone for 1:30: no server; start it") as caught:
                await endpoint.complete(ASK)
            errors.append(caught.value)

        await together(call, 5)
        assert len(errors) == 5
        assert {(error.kind, error.may_help, error.stops) for error in errors} == {("unreachable", False, False)}
        began = anyio.current_time()
        assert began == pytest.approx(start + 92, abs=5)
        await call()
        assert anyio.current_time() == began

    async def test_a_refusal_of_its_own_shows_that_it_is_back(self) -> None:
        answers = [reply("ok"), EndpointBusy("no", kind="unreachable"), EndpointRefused("long", kind="context_length")]
        endpoint, told = at_gate(Function(lambda _: answers.pop(0)))
        await endpoint.complete(ASK)
        with pytest.raises(EndpointRefused, match="long"):
            await endpoint.complete(ASK)
        assert len(told) == 2

    async def test_what_waits_can_be_cancelled_and_a_cancelled_probe_makes_room_for_the_next(self) -> None:
        start = anyio.current_time()
        server = Away(start + 1, start + 20)
        endpoint, _ = at_gate(server)
        await endpoint.complete(ASK)
        await anyio.sleep_until(start + 2)
        with anyio.move_on_after(5):
            await together(lambda: endpoint.complete(ASK), 5)
        assert anyio.current_time() == pytest.approx(start + 7)
        assert (await endpoint.complete(ASK)).text == "ok"

    async def test_a_pool_asks_its_next_member_meanwhile_and_comes_back(self) -> None:
        start = anyio.current_time()
        first, second = Away(start + 1, start + 40), Away(0, 0)
        gates = [Gate("first"), Gate("second")]
        members = [
            Retrying(each, rng=Random(1), gate=gate, cooldown=Cooldown())
            for each, gate in zip((first, second), gates, strict=True)
        ]
        pool = Pool(members, gates=gates)
        for _ in range(100):
            await pool.complete(ASK)
            await anyio.sleep(1)
        assert 35 <= len(second.asked) <= 60
        assert first.asked[-1] > start + 90

    async def test_many_callers_of_a_server_with_slots_lose_nothing(self) -> None:
        server = BusyServer(slots=slots(8), seconds=about(1), away=((5, 25),), loads=6)
        limit = Limit("here", start=16, most=100, deadline=60)
        endpoint, told = at_gate(server, limit=limit, deadline=60)
        done = 0

        async def work() -> None:
            nonlocal done
            for _ in range(3):
                await endpoint.complete(ASK)
                done += 1

        async with server.serving():
            await together(work, 100)
            assert server.now < 300 / 8 + 20 + 6 + 12
        assert done == 300
        assert len(told) == 2


async def call_after_closing(server: Away, call: Callable[[], Any], count: int = 10) -> None:
    """Let one call find that the server is gone, and then others."""
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.sleep(0.1)
        for _ in range(count):
            group.start_soon(call)
