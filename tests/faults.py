"""The fault matrix: what an endpoint does, and what a caller sees of it, in one line.

A `Case` is one line of a row of `docs/faults.md`; the number of the row is the test's id. The test asserts `seen`, and
the document prints it (`tests/faults_table.py`), so the document cannot be wrong.
"""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from random import Random
from types import ModuleType
from typing import Any, Literal, cast

import pytest
from attempts import Tried

from swarm.attempt.loop import carry_out
from swarm.attempt.types import Attempt
from swarm.base.errors import AttemptError, EndpointBusy, EndpointError
from swarm.endpoints import Endpoint
from swarm.endpoints.traffic.backoff import BACKOFFS, USUAL
from swarm.endpoints.traffic.retry import Retrying
from swarm.endpoints.wire.openai import OpenAIEndpoint
from swarm.record.outcome import Outcome
from swarm.spec.chat import Reply, Request, says
from swarm.spec.task import Model
from swarm.testing.fake import STREAM_HEAD, Answer, FakeServer, Scripted, piece, sse

KEY = "sk-canary-0123456789abcdef"
ASK = Request(model="default", messages=(says("user", "hi"),))
QUICK = {kind: replace(backoff, base=0.001, most=0.002) for kind, backoff in BACKOFFS.items()}
"""The real numbers of tries, without the waits between them."""
QUICK_USUAL = replace(USUAL, base=0.001, most=0.002)


@dataclass(frozen=True)
class Case:
    """One form of a fault, and what a caller sees of it."""

    row: int
    """The row of `docs/faults.md`."""
    what: str
    """This form, in a few words."""
    seen: str
    give: Any = None
    """Data for its test."""

    def __str__(self) -> str:
        return f"fault-{self.row}"


def of(*cases: Case) -> pytest.MarkDecorator:
    """Parametrize a test with its cases. If a row has several, the id also names the form."""
    rows = [case.row for case in cases]
    names = [f"{case}-{case.what}" if rows.count(case.row) > 1 else str(case) for case in cases]
    return pytest.mark.parametrize("case", cases, ids=[name.replace(" ", "-") for name in names])


def cases_in(module: ModuleType) -> Iterator[Case]:
    """Yield the cases of a module's tests."""
    for test in vars(module).values():
        for mark in cast("list[pytest.Mark]", getattr(test, "pytestmark", [])):
            if mark.name == "parametrize" and mark.args[0] == "case":
                yield from mark.args[1]


class Counted:
    """An endpoint whose calls are counted."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.calls = 0
        self._endpoint = endpoint

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        return await self._endpoint.complete(request)


def model(server: FakeServer | str, **settings: Any) -> Model:
    url = server if isinstance(server, str) else server.url
    return Model.model_validate({"endpoint": url, "name": "m", "key": KEY, "deadline": 60, **settings})


def calls(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"


def told(result: Reply | EndpointError, number: int) -> str:
    """Return one line about the result of a request."""
    if isinstance(result, Reply):
        return f"answered {result.text!r}, {calls(number)}"
    busy = "retried" if isinstance(result, EndpointBusy) else "refused"
    return f"{'endpoint stopped' if result.stops else busy}: {result.kind}, {calls(number)}"


async def ask_once(at: FakeServer | str, **settings: Any) -> tuple[Reply | EndpointError, int]:
    """Complete one request, with retries that do not wait. Return the result and the number of calls."""
    this = model(at, **settings)
    async with OpenAIEndpoint(this) as wire:
        counted = Counted(wire)
        endpoint = Retrying(counted, rng=Random(1), deadline=this.deadline, backoffs=QUICK, usual=QUICK_USUAL)
        try:
            result: Reply | EndpointError = await endpoint.complete(ASK)
        except EndpointError as error:
            check_error(error)
            result = error
    if isinstance(at, FakeServer):
        assert len(at.requests) == counted.calls, "nothing below repeats a call"
    return result, counted.calls


def check_error(error: EndpointError) -> None:
    """Assert what is true of every error of an endpoint."""
    message = str(error)
    assert KEY not in message
    assert len(message.encode()) <= 2200
    assert message.isprintable()


async def seen_on_the_wire(*answers: Answer, **settings: Any) -> str:
    """Return one line about a request that always gets the answers; a transient fault must pass if it occurs once."""
    async with FakeServer(*answers) as server:
        result, number = await ask_once(server, **settings)
    line = told(result, number)
    if isinstance(result, EndpointBusy) and number > 1:
        async with FakeServer(*answers, "passed") as server:
            after, number = await ask_once(server, **settings)
        assert isinstance(after, Reply), after
        line += f"; once: {told(after, number)}"
    return line


@dataclass(frozen=True)
class Seen:
    """The result of an attempt."""

    line: str
    tried: Tried
    outcome: Outcome | AttemptError
    bodies: list[Any]
    """The bodies of the requests."""


async def seen_by_an_attempt(attempt: Attempt, *answers: Scripted, stream: bool = False) -> Seen:
    """Return the result of an attempt at a step whose model gives the answers, on the wire."""
    tried = Tried(attempt)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(FakeServer(*answers))
        endpoint = await stack.enter_async_context(OpenAIEndpoint(model(server, stream=stream)))
        try:
            outcome: Outcome | AttemptError = await carry_out(
                attempt, endpoint=endpoint, tools=tried.library.box, note=tried.note
            )
        except AttemptError as error:
            outcome = error
    number = len(server.requests)
    if isinstance(outcome, Outcome):
        output = outcome.output if isinstance(outcome.output, str) else json.dumps(outcome.output)
        line = f"done: {output}, {calls(number)}"
    else:
        again = "may be retried" if outcome.may_help else "final"
        line = f"step failed: {outcome.kind} ({again}), {calls(number)}"
    return Seen(line, tried, outcome, [received.body for received in server.requests])


def streamed(*chunks: Any, done: bool = True, then: Literal["keep", "close", "reset"] = "keep") -> Answer:
    """Return a stream of chunks, with its end."""
    pieces = [piece(sse([chunk], done=False)) for chunk in chunks]
    end = (piece(sse([], done=True)),) if done else ()
    last = (piece(b""),) if then == "keep" else ()
    return Answer(pieces=(STREAM_HEAD, *pieces, *end, *last), then=then)


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"model": "fake", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
