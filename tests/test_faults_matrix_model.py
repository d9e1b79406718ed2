"""Rows 64 to 85 of the fault matrix: what a model says, through the wire and a whole attempt, or a whole run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attempts import FIGURE, Tried, attempt, planning
from faults import Case, of, seen_by_an_attempt

from swarm.attempt.tool_turns import CALLS_A_TURN
from swarm.attempt.transcript import in_order
from swarm.attempt.types import Attempt, Given
from swarm.record.outcome import Outcome
from swarm.spec.chat import Request
from swarm.spec.task import Limits, Task
from swarm.testing.fake import Answer, Scripted
from tests.models import Model, run_with

pytestmark = pytest.mark.anyio

LOOK = ("look_up",)
EMPTY = Answer("")
CUT = Answer('{"mb": 5}', finish="length")
FIVE = Answer('{"mb": 5}')


def asks(*words: str) -> Answer:
    """Ask for the tool that is granted."""
    return Answer("", calls=tuple(("look_up", {"word": word}) for word in words))


def raw_calls(*written: Mapping[str, Any]) -> Answer:
    """Ask for tools in words of one's own."""
    return Answer("", message={"content": None, "tool_calls": list(written)}, finish="tool_calls")


def call(arguments: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look_up", "arguments": arguments}, **more}


async def seen(case: Case, made: Attempt, *answers: Scripted) -> Tried:
    """Hold that a case shows the same whole and streamed; give the attempt for more."""
    whole = await seen_by_an_attempt(made, *answers)
    streamed = await seen_by_an_attempt(made, *answers, stream=True)
    assert (whole.line, streamed.line) == (case.seen, case.seen)
    return whole.tried


@of(
    Case(64, "once", "done: Here., 2 calls", (EMPTY, "Here.")),
    Case(64, "always", "step failed: empty (may be retried), 2 calls", (EMPTY,)),
    Case(66, "content_filter", "step failed: refused (final), 1 call", (Answer("I", finish="content_filter"),)),
    Case(66, "refusal", "step failed: refused (final), 1 call", (Answer("", message={"refusal": "I must not."}),)),
    Case(85, "always", "step failed: empty (may be retried), 2 calls", (Answer(" \n"),)),
)
async def test_words_that_are_none(case: Case) -> None:
    await seen(case, attempt(), *case.give)


@of(
    Case(65, "once", 'done: {"mb": 5}, 2 calls', (CUT, FIVE)),
    Case(65, "always, and it looks complete", "step failed: truncated (final), 2 calls", (CUT,)),
    Case(67, "once", 'done: {"mb": 5}, 2 calls', ("about five, I'd say", FIVE)),
    Case(67, "always", "step failed: form (may be retried), 3 calls", ("about five, I'd say",)),
    Case(68, "once", 'done: {"mb": 5}, 2 calls', ('{"mb": "five"}', FIVE)),
    Case(68, "always", "step failed: form (may be retried), 3 calls", ('{"mb": "five"}',)),
    Case(69, "fences", 'done: {"mb": 5}, 1 call', ('```json\n{"mb": 5}\n```',)),
    Case(69, "prose around", 'done: {"mb": 5}, 1 call', ('Sure! Here it is:\n{"mb": 5}\nAnything else?',)),
)
async def test_words_that_should_have_a_form(case: Case) -> None:
    tried = await seen(case, attempt(output=FIGURE, settings={"max_tokens": 100}), *case.give)
    if case.give[0] is not CUT and len(case.give) > 1:
        assert ("five" if case.row == 68 else "no JSON") in tried.words[0], "the error goes back in words"


async def test_a_cut_answer_has_its_cap_raised_once() -> None:
    made = attempt(output=FIGURE, settings={"max_tokens": 100})
    bodies = (await seen_by_an_attempt(made, CUT, FIVE)).bodies
    assert [body["max_tokens"] for body in bodies] == [4096, 200]


WIPE = Answer("", calls=(("wipe", {}),))


@of(
    Case(70, "once", "done: Well., 2 calls", ((Answer("", calls=(("nothing", {}),)), "Well."), [])),
    Case(70, "always", "step failed: unknown_tool (final), 3 calls", ((Answer("", calls=(("nothing", {}),)),), [])),
    Case(71, "not JSON", "done: Well., 2 calls", ((raw_calls(call('{"wrod": "te', id="x")), "Well."), [])),
    Case(72, "an object", "done: Well., 2 calls", ((raw_calls(call({"word": "tea"}, id="x")), "Well."), ["tea"])),
    Case(73, "no id", "done: Well., 2 calls", ((raw_calls(call('{"word": "tea"}')), "Well."), ["tea"])),
    Case(75, "the same id in every turn", "done: Well., 3 calls",
         ((raw_calls(call('{"word": "a"}', id="x")), raw_calls(call('{"word": "b"}', id="x")), "Well."), ["a", "b"])),
    Case(76, "always", "step failed: loop (final), 4 calls", ((asks("tea"),), ["tea", "tea"])),
    Case(78, "500 calls", "done: Well., 2 calls",
         ((asks(*(str(n) for n in range(500))), "Well."), [str(n) for n in range(CALLS_A_TURN)])),
    Case(79, "wipe", "done: Well., 2 calls", ((WIPE, "Well."), [])),
)  # fmt: skip
async def test_tools_that_are_asked_for(case: Case) -> None:
    answers, ran = case.give
    tried = await seen(case, attempt(tools=LOOK), *answers)
    assert sorted(tried.library.asked) == sorted(ran)
    results = [said for said in in_order(tried.said) if said.role == "tool"]
    asked = [one.id for said in tried.said for one in said.tool_calls]
    assert len(set(asked)) == len(asked)
    assert "" not in asked
    if "failed" not in case.seen:
        assert [said.tool_call_id for said in results] == asked, "every call has a result, in order"


@of(Case(74, "two calls, one id", "done: Well., 2 calls", '{"word": "%s"}'))
async def test_one_id_for_two_calls(case: Case) -> None:
    twice = raw_calls(*(call(case.give % word, id="x") for word in "ab"))
    tried = await seen(case, attempt(tools=LOOK), twice, "Well.")
    assert sorted(tried.library.asked) == ["a", "b"]
    assert sorted(tried.results) == ["A", "B"]


@of(
    Case(77, "endless different words", "done: 0 1 2, 1 call", ("0 1 2", "length")),
    Case(77, "endless repeated words", "done: It is 5. And again., 1 call",
         ("It is 5. " + "And again. " * 2000, "repeats")),
)  # fmt: skip
async def test_words_for_ever_meet_the_cap(case: Case) -> None:
    said, finish = case.give
    tried = await seen(case, attempt(), Answer(said, finish="length"))
    assert tried.turns[0].finish == finish
    bodies = (await seen_by_an_attempt(attempt(), "x")).bodies
    assert bodies[0]["max_tokens"] == 4096, "a cap is always sent"


CALL = '<tool_call>\n{"name": "look_up", "arguments": {"word": "tea"}}\n</tool_call>'
WRITTEN: Mapping[str, str] = {
    "Kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.look_up:0<|tool_call_argument_begin|>{}"
    "<|tool_call_end|><|tool_calls_section_end|>",
    "Qwen, Hermes": CALL,
    "Qwen3-Coder": "<function=look_up>\n<parameter=word>\ntea\n</parameter>\n</function>",
    "DeepSeek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>look_up\n```json\n{}\n```"
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "DeepSeek 3.2": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="look_up">\n</｜DSML｜function_calls>',
    "Llama": '<function=look_up>{"word": "tea"}</function>',
    "Llama in Python": 'Let me look.\n<|python_tag|>look_up.call(word="tea", more=[1])',
    "Mistral": '[TOOL_CALLS][{"name": "look_up", "arguments": {"word": "tea"}}]',
    "Harmony": '<|channel|>commentary to=functions.look_up <|constrain|>json<|message|>{"word": "tea"}<|call|>',
    "Harmony without tokens": 'commentary to=functions.look_up json{"word": "tea"}',
    "MiniMax": '<minimax:tool_call>\n<invoke name="look_up">\n</invoke>\n</minimax:tool_call>',
    "Gemma": "<|tool_call>call:look_up{word:tea}<tool_call|>",
    "Granite": '<|tool_call|>[{"name": "look_up"}]',
    "Nemotron": '<TOOLCALL>[{"name": "look_up"}]</TOOLCALL>',
    "LFM": "<|tool_call_start|>[look_up(word='tea')]<|tool_call_end|>",
    "GLM": "<tool_call>look_up\n<arg_key>word</arg_key>\n<arg_value>tea</arg_value>\n</tool_call>",
    "LM Studio": '[TOOL_REQUEST]{"name": "look_up"}[END_TOOL_REQUEST]',
    "after words": f"Let me look it up.\n\n{CALL}",
    "on the same line": 'Let me look. <tool_call>{"name": "look_up"}</tool_call>',
    "never closed": 'Let me look.\n<tool_call>\n{"name": "look_up"',
}
ABOUT = ("Llama writes `<function=f>` first.", "Qwen uses <tool_call> tags.", "A tool_call is a call.")
THINKS = Answer("", message={"content": "", "reasoning": "It is 5."})


@of(
    *(Case(111, what, "done: Well., 2 calls", (said, "Well.")) for what, said in WRITTEN.items()),
    Case(111, "always", "step failed: unparsed_call (final), 2 calls", (CALL,)),
    *(Case(111, f"quoted, {n}", f"done: {said}, 1 call", (said,)) for n, said in enumerate(ABOUT, 1)),
    Case(126, "once", "done: Well., 2 calls", (asks("tea"), "Well.")),
    Case(126, "always", "step failed: unknown_tool (final), 2 calls", (asks("tea"),)),
    Case(137, "once", "done: Well., 2 calls", (THINKS, "Well.")),
    Case(137, "always", "done: It is 5., 2 calls", (THINKS,)),
    Case(166, "a text", "done: It is, 1 call", (Answer("It is", finish="length"),)),
)  # fmt: skip
async def test_what_models_write_in_place_of_an_answer(case: Case) -> None:
    await seen(case, attempt(), *case.give)


# Planners


def plan(*steps: Mapping[str, Any]) -> str:
    return json.dumps({"steps": list(steps)})


GOOD = plan({"id": "a", "prompt": "Look."})
DONE = 'done: {"steps": [{"id": "a", "prompt": "Look."}]}, '
MANY = plan(*({"id": f"s{n}", "prompt": "x"} for n in range(3000)))
DEEP = plan(*({"id": f"s{n}", "prompt": "x", "needs": [f"s{n - 1}"] if n else []} for n in range(200)))


@of(
    Case(80, "a cycle, fixed", f"{DONE}2 calls", (plan({"id": "a", "prompt": "x", "needs": ["b"]},
         {"id": "b", "prompt": "y", "needs": ["a"]}), GOOD)),
    Case(80, "a cycle, kept", "step failed: plan (final), 2 calls", (plan({"id": "a", "prompt": "x", "needs": ["b"]},
         {"id": "b", "prompt": "y", "needs": ["a"]}),)),
    Case(80, "needs itself", "step failed: plan (final), 2 calls", (plan({"id": "a", "needs": ["a"], "prompt": "x"},
         {"id": "b", "prompt": "y", "needs": ["b", "a"]}),)),
    Case(81, "unknown need", f"{DONE}2 calls", (plan({"id": "a", "prompt": "x", "needs": ["zebra"]}), GOOD)),
    Case(81, "duplicate id", f"{DONE}2 calls",
         (plan({"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}), GOOD)),
    Case(81, "empty", "step failed: plan (final), 2 calls", ('{"steps": []}',)),
    Case(81, "one step", f"{DONE}1 call", (GOOD,)),
    Case(82, "3,000 steps", f"{DONE}2 calls", (MANY, GOOD)),
    Case(82, "a chain of 200", f"{DONE}2 calls", (DEEP, GOOD)),
)  # fmt: skip
async def test_plans_that_will_not_do(case: Case) -> None:
    made = planning(limits=Limits(steps=256, depth=32))
    tried = await seen(case, made, *case.give)
    if "a cycle" in case.what:
        assert "a → b → a" in tried.words[0]
    if case.row == 82:
        assert len(tried.words[0]) < 3000, "what is told is short, however long the plan"


@of(Case(83, "each plan ends in a planner", "3 plans, then the report: limit"))
async def test_a_planner_that_plans_for_ever(case: Case, tmp_path: Path) -> None:
    def again(request: Request) -> str:
        n = len(answered)
        answered.append(request)
        return plan(
            {"id": f"work{n}", "prompt": "Work.", "inputs": []},
            {"id": f"more{n}", "agent": "planner", "prompt": "Plan on.", "needs": [f"work{n}"]},
        )

    answered: list[Request] = []
    scripted = Model({"Plan on.": again}, plan={})
    scripted.plan = json.loads(again(Request(model="default", messages=())))
    result = await run_with(scripted, Task(goal="x", limits=Limits(rounds=3), folder=tmp_path))
    plans = sum(request.purpose == "plan" for request in scripted.requests)
    assert result.report is not None
    assert f"{plans} plans, then the report: {result.status}" == case.seen


@of(Case(84, "nine outputs of 40 kB", "done: read [a], 1 call; what was omitted is listed"))
async def test_more_than_a_reducer_reads(case: Case) -> None:
    given = tuple(Given(step=name, about="", output=f"{name} " * 20_000) for name in "abcdefghi")
    seen = await seen_by_an_attempt(attempt("reducer", given=given, context=8000), "read [a]")
    assert isinstance(seen.outcome, Outcome)
    names = " ".join(seen.outcome.left_out)
    assert [name for name in "abcdefghi" if f" {name}" not in names.replace("`", " ")] == []
    assert f"{seen.line}; what was omitted is listed" == case.seen
