"""Connections: kept, closed, refused, secure; on both backends, with real sockets."""

import json
import socket
from typing import Any

import anyio
import pytest

from swarm.base.errors import EndpointBusy, EndpointRefused
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.spec.chat import Request, says
from swarm.spec.task import Model
from swarm.testing.fake import Answer, FakeServer, Received, completion, http

pytestmark = pytest.mark.anyio

ASK = Request(model="default", messages=(says("user", "hi"),))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


def model(server: FakeServer | str, **settings: Any) -> Model:
    url = server if isinstance(server, str) else server.url
    return Model.model_validate({"endpoint": url, "name": "m", "key": "sk-1", "deadline": 60, **settings})


async def test_nothing_leaves_for_another_origin() -> None:
    import httpx2

    from swarm.endpoints.wire.shapes import BadAnswer
    from swarm.endpoints.wire.transport import open_transport

    async with FakeServer() as server, FakeServer() as other:
        transport = open_transport(server.url, key="sk-1", agent="test")
        with pytest.raises(BadAnswer, match="to 127"):
            await transport.handle_async_request(httpx2.Request("POST", other.url, content=b"{}"))
        assert (server.connections, other.connections) == (0, 0)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with FakeServer() as server:
        url = server.url
    async with OpenAIEndpoint(model(url)) as endpoint:
        with pytest.raises(EndpointBusy) as caught:
            await endpoint.complete(ASK)
    assert caught.value.kind == "unreachable"


async def test_a_plain_server_where_a_secure_one_is_expected_stops() -> None:
    async with FakeServer() as server, OpenAIEndpoint(model(server.url.replace("http:", "https:"))) as endpoint:
        with pytest.raises(EndpointRefused) as caught:
            await endpoint.complete(ASK)
    assert (caught.value.kind, caught.value.stops) == ("tls", True)


async def test_an_answer_to_nothing_is_not_the_next_call_s() -> None:
    stray = http(200, json.dumps(completion(Answer("stray"), model="m")).encode())
    twice = http(200, json.dumps(completion(Answer("first"), model="m")).encode()) + stray
    async with FakeServer(Answer(pieces=(twice,)), "second") as server, OpenAIEndpoint(model(server)) as endpoint:
        assert [(await endpoint.complete(ASK)).text for _ in range(2)] == ["first", "second"]


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    whole = http(200, json.dumps(completion(Answer(), model="m")).encode())
    async with FakeServer(Answer(pieces=(whole,), then="close")) as server, OpenAIEndpoint(model(server)) as endpoint:
        for _ in range(5):
            await endpoint.complete(ASK)
            await anyio.wait_all_tasks_blocked()
        assert server.connections == 5


async def test_a_name_that_does_not_exist_is_unreachable() -> None:
    async with OpenAIEndpoint(model("http://nowhere.invalid/v1")) as endpoint:
        with pytest.raises(EndpointBusy) as caught:
            await endpoint.complete(ASK)
    assert caught.value.kind == "unreachable"


class Barrier:
    """A server that answers requests in groups of a given size, once a group is complete."""

    def __init__(self, together: int) -> None:
        self.together = together
        self.count = 0
        self.full = anyio.Event()

    async def respond(self, received: Received) -> str:
        self.count += 1
        full = self.full
        if self.count % self.together == 0:
            full.set()
            self.full = anyio.Event()
        await full.wait()
        return "ok"


async def test_connections_are_kept_and_survive_cancelled_calls() -> None:
    barrier = Barrier(30)

    async def calls(endpoint: OpenAIEndpoint, number: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(endpoint.complete, ASK)

    server = FakeServer(respond=barrier.respond)
    async with server, OpenAIEndpoint(model(server)) as endpoint:
        async with anyio.create_task_group() as group:
            group.start_soon(calls, endpoint, 29)
            while barrier.count < 29:  # noqa: ASYNC110 - calls are cancelled when the server has all of them
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        await endpoint.complete(ASK)
        await calls(endpoint, 30)
        before = server.connections
        await calls(endpoint, 30)
        assert server.connections == before, "idle connections are used again"


async def test_fault_168_a_call_knows_whether_it_still_connects() -> None:
    import httpx2

    from swarm.endpoints.wire.connecting import Leaving, leaving
    from swarm.endpoints.wire.transport import open_transport

    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # the queue of the system takes one connection, and leaves the others without an answer
        for each in (one, two):
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        call = Leaving()
        leaving.set(call)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        transport = open_transport(url, key=None, agent="test")
        with anyio.move_on_after(0.05) as scope:
            await transport.handle_async_request(httpx2.Request("POST", url, content=b"{}"))
        assert scope.cancelled_caught
        assert call.connects
        await transport.aclose()
    async with FakeServer() as server, OpenAIEndpoint(model(server)) as endpoint:
        await endpoint.complete(ASK)
        assert not call.connects
