"""One step with an endpoint whose answers never end: it costs that step, and no other one any time or space."""

import json
from typing import Any

import pytest

from swarm.attempt.answers import MOST_CHARACTERS, fit
from swarm.attempt.tool_turns import CALLS_A_TURN
from swarm.attempt.transcript import KEPT_CALLS, usable
from swarm.budget.ledger import worst_input
from swarm.endpoints.wire.answers import MOST_ARGUMENTS, MOST_CALLS, Assembly
from swarm.spec.chat import Message, Request, ToolCall, says
from swarm.testing import reply

pytestmark = pytest.mark.anyio

DEEP = "[" * 900 + "1," * 400_000 + "1" + "]" * 900
"""Wide at the bottom of a deep nest: laid out with indentation it has gigabytes."""


def called(count: int, arguments: str = "{}") -> dict[str, Any]:
    call: dict[str, Any] = {"type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"content": None, "tool_calls": [call | {"id": f"c{n}", "index": n} for n in range(count)]}


def of_chunks(*messages: dict[str, Any]) -> Assembly:
    assembly = Assembly()
    for message in messages:
        assembly.add(json.dumps({"choices": [{"index": 0, "delta": message}]}).encode())
    return assembly


def test_tool_calls_are_cut_when_the_answer_is_read() -> None:
    assert MOST_CALLS == CALLS_A_TURN + 1, "the last one tells the model that there were too many"
    whole = Assembly()
    whole.whole(json.dumps({"choices": [{"message": called(60_000), "finish_reason": "tool_calls"}]}).encode())
    assert len(whole.calls) == MOST_CALLS
    assert len(of_chunks(called(500), called(500)).calls) == MOST_CALLS


def test_arguments_are_cut_when_the_answer_is_read() -> None:
    pieces = [called(1, "x" * 700_000) for _ in range(3)]
    (draft,) = of_chunks(*pieces).calls
    assert len("".join(draft.arguments)) == MOST_ARGUMENTS


def test_an_endpoint_object_that_asks_for_thousands_of_tools_gets_some() -> None:
    calls: list[tuple[str, dict[str, Any]]] = [("look", {})]
    answer = reply(calls=calls * 60_000)
    assert len(usable(answer, has_tools=True).tool_calls) == KEPT_CALLS


def test_arguments_are_counted_without_laying_them_out() -> None:
    asked = (says("user", "x"), Message(role="assistant", tool_calls=(ToolCall(id="c", name="n", arguments=DEEP),)))
    assert worst_input(Request(model="m", messages=asked)) > len(DEEP)
    flat = "[" + "1," * 9_000 + "1]"
    asked = (Message(role="assistant", tool_calls=(ToolCall(id="c", name="n", arguments=flat),)),)
    assert worst_input(Request(model="m", messages=asked)) >= len(json.dumps(json.loads(flat), indent=4))


def test_an_answer_that_is_too_long_to_be_checked_is_an_error_for_its_model() -> None:
    found = fit("1" * (MOST_CHARACTERS + 1), {"type": "integer"})
    assert found.errors == ("$: the answer has 262,145 characters; the maximum is 262,144",)
