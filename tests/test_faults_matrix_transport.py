"""Rows 24 to 36 of the fault matrix: connections that are refused, lost, silent, slow, closed, secure or led astray."""

import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSListener
from faults import ASK, Case, ask_once, calls, model, of, seen_on_the_wire, told

from swarm.base.errors import EndpointBusy
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.spec.chat import Reply, Request, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Task
from swarm.testing import Function
from swarm.testing.fake import Answer, FakeServer, Received, completion, http
from tests.models import run_with
from tests.together import Together

pytestmark = pytest.mark.anyio

OK = http(200, json.dumps(completion(Answer(), model="m")).encode())
STRANGER = Path(__file__).parent / "data" / "stranger.pem"
"""A certificate that nobody signed, and its key; made for these tests, and good for nothing else."""
PASSES = "once: answered 'passed', 2 calls"


@of(
    Case(26, "reset", f"retried: disconnected, 4 calls; {PASSES}", Answer(pieces=(), then="reset")),
    Case(27, "closed", f"retried: disconnected, 4 calls; {PASSES}", Answer(pieces=(), then="close")),
    Case(27, "not HTTP", f"retried: disconnected, 4 calls; {PASSES}",
         Answer(pieces=(b"\x00\x01garbage not http\r\n\r\n",), then="close")),
    Case(31, "50 bytes short", f"retried: disconnected, 4 calls; {PASSES}",
         Answer(pieces=(OK.replace(b"content-length: ", b"content-length: 9"),), then="close")),
)  # fmt: skip
async def test_a_connection_that_is_lost(case: Case) -> None:
    assert await seen_on_the_wire(case.give) == case.seen


@of(
    Case(24, "no server", "endpoint stopped: unreachable, 4 calls", "http://127.0.0.1:9/v1"),
    Case(25, "no such name", "endpoint stopped: unreachable, 4 calls", "http://nowhere.invalid/v1"),
)
async def test_an_endpoint_that_was_never_reached(case: Case) -> None:
    result, number = await ask_once(case.give)
    assert told(result, number) == case.seen


@of(
    Case(28, "never answers", "timeout at the deadline, 1 call; the step may be retried",
         Answer(pieces=(), then="hang")),
    Case(29, "headers only", "timeout at the deadline, 1 call; the step may be retried",
         Answer(pieces=(b"HTTP/1.1 200 X\r\ncontent-length: 500\r\n\r\n{",), then="hang")),
    Case(30, "single bytes", "timeout at the deadline, 1 call; the step may be retried",
         Answer(pieces=tuple(bytes([byte]) for byte in OK), pause=0.02)),
)  # fmt: skip
async def test_silence_ends_at_the_deadline(case: Case) -> None:
    async with FakeServer(case.give) as server:
        result, number = await ask_once(server, deadline=0.3)
    assert isinstance(result, EndpointBusy)
    assert case.seen == f"{result.kind} at the deadline, {calls(number)}; the step may be retried"


@of(Case(28, "once in a run", "the step's second attempt is answered"))
@pytest.mark.virtual
async def test_a_step_outlives_a_call_that_hangs(case: Case, tmp_path: Path) -> None:
    task = Task(goal="x", plan=Plan(steps=(Step(id="a", prompt="Go."),)), folder=tmp_path)
    calls = 0

    async def hang_once(request: Request) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            await anyio.sleep_forever()
        return "here"

    result = await run_with(Retrying(Function(hang_once), rng=Random(1), deadline=20), task)
    assert calls == 2
    assert result.status == "done"
    assert case.seen == "the step's second attempt is answered"


async def ask_together(endpoint: OpenAIEndpoint, number: int) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(endpoint.complete, ASK)


@of(Case(32, "300 parallel calls", "300 connections; no pool can be exhausted"))
async def test_connections_do_not_run_out(case: Case) -> None:
    together = Together(300)
    async with FakeServer(respond=together.respond) as server, OpenAIEndpoint(model(server)) as endpoint:
        await ask_together(endpoint, 300)
        assert server.peak == 300
        assert case.seen == f"{server.connections} connections; no pool can be exhausted"


@of(Case(33, "after every answer", "20 of 20 answered, no retry"))
async def test_connections_closed_between_calls(case: Case) -> None:
    async with FakeServer(Answer(pieces=(OK,), then="close")) as server, OpenAIEndpoint(model(server)) as endpoint:
        answered = 0
        for _ in range(20):
            answered += (await endpoint.complete(ASK)).text == "ok"
            await anyio.wait_all_tasks_blocked()
        assert len(server.requests) == 20
        assert case.seen == f"{answered} of 20 answered, no retry"


@of(Case(34, "1,000 in ten waves", "the next 40 of 40 answered"))
async def test_calls_that_are_cancelled(case: Case) -> None:
    there = anyio.Semaphore(0)

    async def respond(received: Received) -> str:
        if b"stay" not in received.raw:
            return "ok"
        there.release()
        await anyio.sleep_forever()
        return ""

    stay = ASK.model_copy(update={"messages": (says("user", "stay"),)})
    async with FakeServer(respond=respond) as server, OpenAIEndpoint(model(server)) as endpoint:
        for _ in range(10):
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(endpoint.complete, stay)
                for _ in range(100):
                    await there.acquire()
                group.cancel_scope.cancel()
        await ask_together(endpoint, 40)
        assert len(server.requests) == 1040
    assert case.seen == "the next 40 of 40 answered"


@asynccontextmanager
async def secure_server() -> AsyncGenerator[str]:
    """Serve TLS with a certificate that nobody signed; give the base URL."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(STRANGER)
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = tcp.extra(anyio.abc.SocketAttribute.local_port)

    async def serve(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            pytest.fail("the request went out to a stranger")

    async with TLSListener(tcp, context) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"https://127.0.0.1:{port}/v1"
        group.cancel_scope.cancel()


@of(
    Case(35, "untrusted certificate", "endpoint stopped: tls, 1 call", "stranger"),
    Case(35, "no TLS", "endpoint stopped: tls, 1 call", "plain"),
)
async def test_a_secure_connection_that_fails(case: Case) -> None:
    if case.give == "plain":
        async with FakeServer() as server:
            result, number = await ask_once(server.url.replace("http:", "https:"))
    else:
        async with secure_server() as url:
            result, number = await ask_once(url)
    assert told(result, number) == case.seen


@of(
    Case(36, "another host", "through the proxy", "http://elsewhere.invalid/v1"),
    Case(36, "loopback", "direct", None),
)
async def test_proxies_of_the_environment(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer() as proxy, FakeServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        result, number = await ask_once(case.give or server.url)
        assert isinstance(result, Reply), result
        assert (number, len(proxy.requests) + len(server.requests)) == (1, 1)
        if proxy.requests:
            assert proxy.requests[0].path == "http://elsewhere.invalid/v1/chat/completions"
        assert case.seen == ("through the proxy" if proxy.requests else "direct")
