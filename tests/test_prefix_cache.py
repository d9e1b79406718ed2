"""Calls that begin alike follow the first of them, in virtual time; nobody waits longer than said."""

from random import Random
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy
from swarm.endpoints.account import Account
from swarm.endpoints.offline import Offline
from swarm.endpoints.prefix_cache import (
    KEPT,
    KEPT_SECONDS,
    LEAST_TOKENS,
    TOKEN_BYTES,
    WAIT_SECONDS,
    Leads,
    PrefixFirst,
    prefix_of,
)
from swarm.endpoints.route import routes_of
from swarm.endpoints.router import connect
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.endpoints.wiring import Wiring
from swarm.spec.chat import Data, Form, Message, Reply, Request, Text, ToolSpec, says
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer, Function, Received, reply
from swarm.testing.fake import STREAM_HEAD, chunks, piece, sse

LONG = "x" * (LEAST_TOKENS * TOKEN_BYTES)


def ask(number: int = 0, shared: str = LONG, **more: Any) -> Request:
    parts = (Data(of="input", name="notes", text=shared), Text(text=f"Do {number}."))
    return Request(model="default", messages=(says("system", "Work."), Message(role="user", parts=parts)), **more)


class Server:
    """An endpoint whose first token comes after a while, the rest of its answer later; it notes when it is asked."""

    def __init__(self, first: float = 1.0, rest: float = 10.0, *, streams: bool = True) -> None:
        self.asked: list[float] = []
        self.leads = Leads()
        self.warm = PrefixFirst(Function(self._answer), self.leads)
        self.first, self.rest, self.streams = first, rest, streams
        self.error: Exception | None = None
        self._began = anyio.current_time()

    async def _answer(self, request: Request) -> Reply | Exception:
        self.asked.append(round(anyio.current_time() - self._began, 6))
        await anyio.sleep(self.first)
        if self.error is not None:
            return self.error
        if self.streams:
            self.leads.begun(request)
        await anyio.sleep(self.rest)
        return reply("So.")

    async def all(self, *requests: Request, gap: float = 0.0) -> list[float]:
        """Send requests side by side; give when each was asked, from the start of the first."""
        before, start = len(self.asked), anyio.current_time() - self._began
        async with anyio.create_task_group() as group:
            for request in requests:
                group.start_soon(self._one, request)
                await anyio.sleep(gap)
        return [round(each - start, 6) for each in self.asked[before:]]

    async def _one(self, request: Request) -> None:
        try:
            await self.warm.complete(request)
        except EndpointBusy:
            assert self.error is not None


@pytest.mark.anyio
@pytest.mark.virtual
class TestWaiting:
    async def test_the_wait_for_the_first_one_is_counted_as_waiting(self) -> None:
        async def slow(_: Request) -> str:
            await anyio.sleep(4)
            return "done"

        account = Account()
        endpoint = PrefixFirst(Function(slow), Leads())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(endpoint.complete, ask(0))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(endpoint.complete, ask(1, account=account))
        assert account.clock.waited == {"slots": 4}

    async def test_siblings_follow_the_first_ones_first_token(self) -> None:
        assert await Server(first=1.5).all(*map(ask, range(4))) == [0.0, 1.5, 1.5, 1.5]

    async def test_without_a_stream_its_answer_is_followed(self) -> None:
        assert await Server(1.0, 2.0, streams=False).all(*map(ask, range(3))) == [0.0, 3.0, 3.0]

    @pytest.mark.parametrize("gap", [0.0, 0.7])
    async def test_nobody_waits_longer_than_said(self, gap: float) -> None:
        asked = await Server(first=100.0).all(*map(ask, range(3)), gap=gap)
        assert asked == [0.0, WAIT_SECONDS, WAIT_SECONDS], "from when the leader was sent on, not from when they came"

    async def test_a_leader_that_fails_lets_all_go_and_the_next_one_leads(self) -> None:
        server = Server(first=2.0)
        server.error = EndpointBusy("no")
        assert await server.all(*map(ask, range(3))) == [0.0, 2.0, 2.0]
        server.error = None
        assert await server.all(*map(ask, range(3))) == [0.0, 2.0, 2.0]

    async def test_a_leader_that_is_cancelled_lets_all_go(self) -> None:
        server = Server(first=4.0)

        async def lead() -> None:
            with anyio.move_on_after(1.0):
                await server.warm.complete(ask(0))

        async with anyio.create_task_group() as group:
            group.start_soon(lead)
            await anyio.lowlevel.checkpoint()
            group.start_soon(server.warm.complete, ask(1))
        assert server.asked == [0.0, 1.0]

    async def test_what_is_read_is_waited_for_no_more_until_caches_forget_it(self) -> None:
        server = Server()
        await server.all(ask(0))
        for wait, asked in ((0.0, [0.0, 0.0]), (KEPT_SECONDS - 20, [0.0, 0.0]), (KEPT_SECONDS, [0.0, 1.0])):
            await anyio.sleep(wait)
            assert await server.all(ask(1), ask(2)) == asked

    async def test_other_beginnings_and_short_ones_wait_for_nobody(self) -> None:
        server = Server()
        other = ask(1, "y" + LONG)
        tools = ask(2, tools=(ToolSpec(name="t", description="", parameters={}),))
        form = ask(3, form=Form(name="f", json_schema={"type": "object"}))
        short = [ask(number, LONG[: LEAST_TOKENS * 3]) for number in range(3)]
        assert await server.all(ask(0), other, tools, form, *short) == [0.0] * 7

    async def test_what_is_remembered_is_bounded(self) -> None:
        server = Server(0.0, 0.0)
        for number in range(KEPT + 1):
            await server.warm.complete(ask(0, f"{number}{LONG}"))
        server.first = 1.0
        assert await server.all(ask(0, f"{KEPT}{LONG}"), ask(1, f"{KEPT}{LONG}")) == [0.0, 0.0]
        assert await server.all(ask(0, f"0{LONG}"), ask(1, f"0{LONG}")) == [0.0, 1.0]


def test_a_beginning_ends_with_the_part_that_makes_it_long() -> None:
    assert prefix_of(ask(1)) == prefix_of(ask(2)) is not None
    assert prefix_of(ask(1, "")) is None
    other_role = Request(model="default", messages=(says("user", "Work."), *ask(1).messages[1:]))
    assert prefix_of(other_role) != prefix_of(ask(1))


def streamed() -> Answer:
    """Write an answer whose second half comes late."""
    first, *rest = [piece(sse([each], done=False)) for each in chunks(Answer("one two three four five"), model="m")[1:]]
    return Answer(pieces=(STREAM_HEAD, first, b"".join(rest) + piece(sse([])) + piece(b"")), pause=0.3)


@pytest.mark.anyio
async def test_the_wire_tells_of_the_first_token() -> None:
    told: list[Request] = []
    came, request = anyio.Event(), ask()

    def first(which: Request) -> None:
        told.append(which)
        came.set()

    async with (
        FakeServer(streamed()) as server,
        OpenAIEndpoint(Model(endpoint=server.url, name="m", stream=True), on_first_token=first) as wire,
        anyio.create_task_group() as group,
    ):
        group.start_soon(wire.complete, request)
        await came.wait()
        assert server.in_flight == 1, "before the answer is whole"
    assert told == [request]
    async with (
        FakeServer("one two") as server,
        OpenAIEndpoint(Model(endpoint=server.url, name="m"), on_first_token=first) as wire,
    ):
        await wire.complete(request)
    assert len(told) == 1, "an answer that is not streamed has no first token"


@pytest.mark.anyio
@pytest.mark.parametrize("warm", [True, False])
async def test_a_model_says_whether_it_is_done(warm: bool) -> None:
    both = anyio.Event()

    async def respond(received: Received) -> str:
        if server.in_flight == 2:
            both.set()
        with anyio.move_on_after(0.1 if warm else 60):  # nobody can wait for a call that must not come
            await both.wait()
        return "So."

    server = FakeServer(respond=respond)
    async with server:
        models = {"default": Model(endpoint=server.url, name="m", warm=warm)}
        async with (
            connect(routes_of(models), Wiring(offline=Offline, rng=Random(1))) as router,
            anyio.create_task_group() as group,
        ):
            group.start_soon(router.complete, ask(0))
            group.start_soon(router.complete, ask(1))
    assert (len(server.requests), server.peak) == (2, 1 if warm else 2)
