"""The public test doubles."""

import subprocess
import sys
from pathlib import Path
from random import Random

import anyio
import pytest

from swarm.base.errors import AttemptError, EndpointRefused
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.spec.chat import Reply, Request, says
from swarm.spec.task import Model
from swarm.testing import Answer, FakeServer, Faulty, Function, Received, Scripted, reply, virtual_time
from swarm.testing.faulty import FAULTS

ASK = Request(model="default", messages=(says("user", "hi"),))


def question(n: int) -> Request:
    return Request(model="default", messages=(says("user", f"question {n}"),))


@pytest.mark.anyio
async def test_scripted_answers_in_order_and_runs_out() -> None:
    endpoint = Scripted("a", reply("b"), EndpointRefused("c"))
    assert (await endpoint.complete(ASK)).text == "a"
    assert (await endpoint.complete(ASK)).text == "b"
    with pytest.raises(EndpointRefused):
        await endpoint.complete(ASK)
    with pytest.raises(AssertionError, match="has no answer for request"):
        await endpoint.complete(ASK)


@pytest.mark.anyio
@pytest.mark.parametrize("fault", FAULTS)
async def test_faulty_raises_what_it_is_asked_for(fault: str) -> None:
    with pytest.raises(AttemptError) as caught:
        await Faulty(Scripted("never"), seed=1, rates={fault: 1.0}).complete(ASK)
    assert caught.value.kind in {fault, "empty"}


@pytest.mark.anyio
async def test_faulty_fails_the_same_calls_in_any_order() -> None:
    async def failures(order: list[int], seed: int) -> dict[int, bool]:
        endpoint = Faulty(Function(lambda _: "ok"), seed=seed, rates={"rate_limited": 0.2, "server_error": 0.1})
        seen: dict[int, bool] = {}
        for n in order:
            try:
                await endpoint.complete(question(n))
                seen[n] = False
            except AttemptError:
                seen[n] = True
        return seen

    forwards = await failures(list(range(300)), seed=1)
    assert forwards == await failures(list(reversed(range(300))), seed=1)
    assert forwards != await failures(list(range(300)), seed=2)
    assert 60 < sum(forwards.values()) < 120


def test_a_misspelt_fault_is_an_error() -> None:
    with pytest.raises(AssertionError, match="rate_limit"):
        Faulty(Scripted(), seed=1, rates={"rate_limit": 1.0})


def test_virtual_time_passes_at_once() -> None:
    """Sleep for a year; the suite's timeout is the assertion."""

    async def main() -> float:
        began = anyio.current_time()
        await anyio.sleep(365 * 86_400)
        return anyio.current_time() - began

    for _ in range(2):
        backend, options = virtual_time()
        assert anyio.run(main, backend=backend, backend_options=options) == pytest.approx(365 * 86_400)


@pytest.mark.anyio
@pytest.mark.virtual
async def test_bad_weather_slows_calls_and_fails_none() -> None:
    """Retry under faults: a third of all calls fails, and every request is answered."""
    rates = {
        "rate_limited": 0.2,
        "server_error": 0.05,
        "disconnected": 0.03,
        "truncated_stream": 0.03,
        "malformed": 0.02,
    }
    faulty = Faulty(Function(lambda _: "ok"), seed=3, rates=rates)
    endpoint = Retrying(faulty, rng=Random(1), slots=anyio.CapacityLimiter(16))
    replies: list[Reply] = []

    async def one(n: int) -> None:
        replies.append(await endpoint.complete(question(n)))

    async with anyio.create_task_group() as group:
        for n in range(300):
            group.start_soon(one, n)
    assert len(replies) == 300
    assert faulty.calls < 600
    assert sum(answer.usage.calls for answer in replies) == faulty.calls


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_server_counts_what_is_in_flight() -> None:
    full = anyio.Event()

    async def respond(received: Received) -> str:
        if len(server.requests) == 50:
            full.set()
        await full.wait()
        return "ok"

    server = FakeServer(respond=respond)
    async with server, OpenAIEndpoint(Model(endpoint=server.url, name="m")) as endpoint:
        async with anyio.create_task_group() as group:
            for n in range(50):
                group.start_soon(endpoint.complete, question(n))
        assert (server.peak, server.in_flight, len(server.requests)) == (50, 0, 50)
        assert {r.body["messages"][0]["content"] for r in server.requests} == {f"question {n}" for n in range(50)}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_server_answers_by_script_or_by_function() -> None:
    async def respond(received: Received) -> str:
        return received.body["messages"][0]["content"].upper()

    scripted = FakeServer("one", Answer("two", finish="length"), "three")
    async with scripted, OpenAIEndpoint(Model(endpoint=scripted.url, name="m")) as endpoint:
        replies = [await endpoint.complete(ASK) for _ in range(4)]
    assert [answer.text for answer in replies] == ["one", "two", "three", "three"]
    assert replies[1].finish == "length"
    function = FakeServer(respond=respond)
    async with function, OpenAIEndpoint(Model(endpoint=function.url, name="m", stream=True)) as endpoint:
        assert (await endpoint.complete(ASK)).text == "HI"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_error_in_the_block_leaves_it_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with FakeServer():
            raise ZeroDivisionError


@pytest.mark.anyio
async def test_the_server_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('[{"when": "weather", "text": "rain"}, {"when": "broken", "status": 404}]', encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "swarm.testing.server", "--rules", str(rules), "--answer", "other"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: ASYNC220 - nothing else runs
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            async with OpenAIEndpoint(Model(endpoint=url, name="m")) as endpoint:
                asked = [question(1), ASK.model_copy(update={"messages": (says("user", "how is the weather?"),)})]
                assert [(await endpoint.complete(request)).text for request in asked] == ["other", "rain"]
                with pytest.raises(EndpointRefused):
                    await endpoint.complete(ASK.model_copy(update={"messages": (says("user", "broken"),)}))
        finally:
            server.terminate()
