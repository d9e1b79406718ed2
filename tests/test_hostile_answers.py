"""One step with an endpoint whose answers never end: it costs that step, and no other one any time or space."""

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.attempt.answers import MOST_CHARACTERS, fit
from swarm.attempt.judge import CUT_TEXT
from swarm.attempt.tool_turns import CALLS_A_TURN
from swarm.attempt.transcript import KEPT_CALLS, usable, within_cap
from swarm.budget.ledger import worst_input
from swarm.endpoints.wire.answers import MOST_ARGUMENTS, MOST_CALLS, MOST_WORD, Assembly
from swarm.record.events import StepFinished
from swarm.record.outcome import CUT
from swarm.spec.chat import Form, Message, Reply, Request, Text, ToolCall, says
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function, reply
from tests.attempts import attempt
from tests.models import events_of, run_with

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


def test_fault_141_tool_calls_are_cut_when_the_answer_is_read() -> None:
    assert MOST_CALLS == CALLS_A_TURN + 1, "the last one tells the model that there were too many"
    whole = Assembly()
    whole.whole(json.dumps({"choices": [{"message": called(60_000), "finish_reason": "tool_calls"}]}).encode())
    assert len(whole.calls) == MOST_CALLS
    assert len(of_chunks(called(500), called(500)).calls) == MOST_CALLS


def test_arguments_are_cut_when_the_answer_is_read() -> None:
    pieces = [called(1, "x" * 700_000) for _ in range(3)]
    (draft,) = of_chunks(*pieces).calls
    assert len("".join(draft.arguments)) == MOST_ARGUMENTS


def test_names_are_cut_when_the_answer_is_read() -> None:
    whole, said = Assembly(), {"message": {"content": "x"}, "finish_reason": "e" * 1_000_000}
    whole.whole(json.dumps({"model": "m" * 1_000_000, "choices": [said]}).encode())
    assert (len(whole.model), len(whole.finish or "")) == (MOST_WORD, MOST_WORD)
    stream = of_chunks({"content": "x"})
    stream.add(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "e" * 1_000_000}]}).encode())
    assert len(stream.finish or "") == MOST_WORD


def test_an_endpoint_object_that_asks_for_thousands_of_tools_gets_some() -> None:
    calls: list[tuple[str, dict[str, Any]]] = [("look", {})]
    answer = reply(calls=calls * 60_000)
    assert len(usable(answer, has_tools=True).tool_calls) == KEPT_CALLS


@pytest.mark.parametrize(
    ("text", "step", "kept"),
    [
        ("x" * 24_000, {}, 24_000),
        ("x" * 24_001, {}, 24_000),
        ("ä" * 12_000, {}, 24_000),
        ("x" + "ä" * 12_000, {}, 23_999),
        ("x" * 24_001, {"partial_of": "a"}, 6_000),
        ("x" * 6_000, {"partial_of": "a"}, 6_000),
        ("x" * 24_000, {"partial_of": "a", "output": {"type": "array"}}, 24_000),
        ("x" * 24_001, {"length": 500, "partial_of": "a"}, 3_000),
    ],
)
def test_an_answer_far_beyond_its_cap_is_truncated_when_it_is_read(text: str, step: dict[str, Any], kept: int) -> None:
    tried = attempt(settings={"max_tokens": 1000}, step=Step(id="s", prompt="Find.", **step))
    form = Form(name="a", json_schema={}) if "output" in step else None
    asked = Request(model="m", messages=(), max_tokens=step.get("length"), form=form)
    read = within_cap(tried, asked, reply(text))
    assert len(read.text.encode()) == kept
    assert read.finish == ("stop" if kept == len(text.encode()) else "length")


def test_reasoning_in_place_of_an_answer_is_no_way_around_the_cap() -> None:
    thought = Message(role="assistant", raw={"reasoning_content": "x" * 24_001})
    tried, asked = attempt(settings={"max_tokens": 1000}), Request(model="m", messages=())
    read = within_cap(tried, asked, Reply(message=thought))
    assert (read.finish, read.message.thought) == ("length", "")
    spoken = thought.model_copy(update={"parts": (Text(text="Yes."),)})
    assert within_cap(tried, asked, Reply(message=spoken)).message == spoken, "beside an answer it has a cap of its own"


def test_the_own_fields_of_a_model_may_raise_its_cap() -> None:
    tried = attempt(settings={"max_tokens": 1, "extra": {"max_completion_tokens": 1000}, "params": {}})
    assert within_cap(tried, Request(model="m", messages=()), reply("x" * 24_000)).finish == "stop"


async def test_steps_whose_answers_never_end_are_reported_with_a_note(tmp_path: Path) -> None:
    """What they wrote is cut where it is read. So reading it in parts ends, whatever those answer."""
    steps = tuple(Step(id=f"s{n}", prompt="Find.") for n in range(3))
    end = Step(id="end", agent="reducer", prompt="Merge.", after=("s0", "s1", "s2"))
    task = Task(
        goal="Find.",
        plan=Plan(steps=(*steps, end)),
        models={"default": Model(endpoint="offline", max_tokens=200)},
        limits=Limits(tokens=None),
        folder=tmp_path,
    )
    model = Function(lambda _: "long " * 20_000)
    result = await run_with(model, task)
    assert (result.status, result.exit_code) == ("partial", 3)
    assert result.report is not None
    assert len(model.requests) < 400, "without the cut there are thousands, until a limit ends the run"
    finished = {event.step: event.outcome for event in events_of(result.folder) if isinstance(event, StepFinished)}
    assert finished["s0"].left_out == (CUT_TEXT,)
    assert CUT in finished["s0"].doubts, "so it is not cached as whole"


def test_arguments_are_counted_without_laying_them_out() -> None:
    asked = (says("user", "x"), Message(role="assistant", tool_calls=(ToolCall(id="c", name="n", arguments=DEEP),)))
    assert worst_input(Request(model="m", messages=asked)) > len(DEEP)
    flat = "[" + "1," * 9_000 + "1]"
    asked = (Message(role="assistant", tool_calls=(ToolCall(id="c", name="n", arguments=flat),)),)
    assert worst_input(Request(model="m", messages=asked)) >= len(json.dumps(json.loads(flat), indent=4))


def test_an_answer_that_is_too_long_to_be_checked_is_an_error_for_its_model() -> None:
    found = fit("1" * (MOST_CHARACTERS + 1), {"type": "integer"})
    assert found.errors == ("$: the answer has 262,145 characters; the maximum is 262,144",)
