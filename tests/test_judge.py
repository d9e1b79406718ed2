"""The verdict on an answer: an outcome or a correction."""

from typing import Any

import pytest
from attempts import CUT, FIGURE, GIVEN, NAMES, WORDING, Tried, attempt, planning

from swarm.attempt.types import Attempt, Given, Missing
from swarm.record.outcome import CUT as CUT_DOUBT
from swarm.spec.chat import Message, Text, says
from swarm.testing import reply

pytestmark = pytest.mark.anyio

# Answers that cannot be used


@pytest.mark.parametrize("empty", ["", " \n"])
async def test_fault_64_an_empty_answer_is_corrected_once(empty: str) -> None:
    tried = Tried(attempt(), empty, "Here.")
    outcome = await tried.outcome()
    assert outcome.output == "Here."
    assert outcome.usage.calls == 2
    assert tried.words == [WORDING["empty"]]
    error = await Tried(attempt(), empty, empty).error()
    assert (error.kind, error.may_help) == ("empty", True)


def retrying(**more: Any) -> Attempt:
    """An attempt of a role that asks again for a truncated text."""
    made = attempt(**more)
    return made.model_copy(update={"agent": made.agent.model_copy(update={"truncated": "retry"})})


async def test_fault_65_a_cut_answer_is_never_used() -> None:
    tried = Tried(retrying(settings={"max_tokens": 100}), CUT, "Short.")
    assert (await tried.outcome()).output == "Short."
    assert [request.max_tokens for request in tried.requests] == [None, 200]
    assert tried.words == [WORDING["truncated"]]
    whole = CUT.model_copy(update={"message": Message(role="assistant", parts=(Text(text='{"mb": 5}'),))})
    error = await Tried(attempt(output=FIGURE), whole, whole).error()
    assert (error.kind, error.may_help) == ("truncated", False)


async def test_fault_166_a_text_that_reaches_its_cap_is_kept_with_a_note() -> None:
    kept = Tried(attempt(), CUT)
    outcome = await kept.outcome()
    assert (outcome.output, outcome.doubts, outcome.is_cut) == ("A nee", (CUT_DOUBT,), True)
    assert "output cap" in outcome.left_out[0]
    resumed = attempt(transcript=tuple(kept.said))
    assert (await Tried(resumed).outcome()).doubts == (CUT_DOUBT,), "also if it is judged after an interruption"
    twice = await Tried(retrying(), CUT, CUT).outcome()
    assert (twice.output, twice.doubts) == ("A nee", (CUT_DOUBT,))


async def test_fault_111_a_call_written_as_text_is_asked_for_once_more() -> None:
    written = '<tool_call>\n{"name": "look_up", "arguments": {"word": "a"}}\n</tool_call>'
    for made, words in ((attempt(), "no_tools"), (attempt(tools=("look_up",)), "written_call")):
        tried = Tried(made, f"Let me look.\n\n{written}", "Well.")
        assert (await tried.outcome()).output == "Well."
        assert tried.words == [WORDING[words]]
        error = await Tried(made, written, written).error()
        assert (error.kind, error.may_help) == ("unparsed_call", False)
    assert (await Tried(attempt(), f"Qwen writes\n\n```\n{written}\n```").outcome()).output != ""


async def test_fault_126_a_call_without_tools_is_not_replayed() -> None:
    called = reply("Let me look.", calls=[("look_up", {"word": "a"})])
    tried = Tried(attempt(), called, "Well.")
    assert (await tried.outcome()).output == "Well."
    assert tried.words == [WORDING["no_tools"]]
    assert [(message.role, message.tool_calls) for message in tried.said] == [
        ("assistant", ()),
        ("user", ()),
        ("assistant", ()),
    ]
    error = await Tried(attempt(), called, called).error()
    assert (error.kind, error.may_help) == ("unknown_tool", False)
    resumed = Tried(attempt(transcript=tuple(tried.said[:2])), called)
    assert (await resumed.error()).kind == "unknown_tool", "its correction is counted after an interruption, too"


async def test_fault_137_reasoning_is_taken_at_last_if_there_is_nothing_else() -> None:
    thinks = reply("")
    thinks = thinks.model_copy(update={"message": thinks.message.model_copy(update={"raw": {"reasoning": "It is 5."}})})
    tried = Tried(attempt(), thinks, "Five.")
    assert (await tried.outcome()).output == "Five."
    assert tried.words == [WORDING["only_thought"]]
    outcome = await Tried(attempt(), thinks, thinks).outcome()
    assert outcome.output == "It is 5."
    assert "only reasoning (about 3 tokens)" in outcome.doubts[0]
    error = await Tried(attempt(output=FIGURE), thinks, thinks).error()
    assert error.kind == "empty"
    assert "about 3 tokens" in str(error)


async def test_a_raised_cap_stays_within_half_the_context() -> None:
    tried = Tried(retrying(settings={"max_tokens": 3000}, context=8000), CUT, "Short.")
    await tried.outcome()
    assert tried.requests[1].max_tokens == 4000
    larger = Tried(retrying(settings={"max_tokens": 3000}, context=4000), CUT, "Short.")
    await larger.outcome()
    assert larger.requests[1].max_tokens == 2000


async def test_fault_65_thinking_that_used_up_the_answer_is_a_cut_answer() -> None:
    tried = Tried(attempt(), CUT.model_copy(update={"message": Message(role="assistant")}), "Short.")
    await tried.outcome()
    assert tried.words == [WORDING["truncated"]]


async def test_fault_66_a_refusal_ends_the_attempt() -> None:
    tried = Tried(attempt(), reply("I must not.").model_copy(update={"finish": "refused"}))
    error = await tried.error()
    assert (error.kind, error.may_help) == ("refused", False)
    assert "I must not." in str(error)
    assert [turn.finish for turn in tried.turns] == ["refused"]


async def test_fault_67_and_68_a_wrong_form_is_corrected_twice_with_its_errors() -> None:
    tried = Tried(attempt(output=FIGURE), "{'mb' 5", '{"mb": "five"}', '{"mb": 5}')
    assert (await tried.outcome()).output == {"mb": 5}
    assert "$: not JSON" in tried.words[0]
    assert "- $.mb: 'five' is not of type 'number'" in tried.words[1]
    assert tried.requests[2].messages[-1].text == tried.words[1]
    assert [len(turn.messages) for turn in tried.turns] == [2, 2, 1]
    error = await Tried(attempt(output=FIGURE), *['{"mb": "five"}'] * 3).error()
    assert (error.kind, error.may_help) == ("form", True)
    assert "$.mb" in str(error)


async def test_fault_69_fences_need_no_second_call() -> None:
    assert (await Tried(attempt(output=FIGURE), 'Sure!\n```json\n{"mb": 5}\n```').outcome()).output == {"mb": 5}


async def test_broken_json_is_repaired_unless_the_endpoint_enforced_the_schema() -> None:
    broken = reply("{'mb': 5,}")
    assert (await Tried(attempt(output=FIGURE), broken).outcome()).doubts == (
        "the answer's JSON was broken and was repaired",
    )
    enforced = broken.model_copy(update={"form": "json_schema"})
    tried = Tried(attempt(output=FIGURE), enforced, '{"mb": 6}')
    assert (await tried.outcome()).output == {"mb": 6}


async def test_a_list_is_asked_for_in_an_object_and_taken_out_of_it() -> None:
    tried = Tried(attempt(output=NAMES), '{"answer": ["a", "b"]}')
    assert (await tried.outcome()).output == ["a", "b"]
    form = tried.requests[0].form
    assert form is not None
    assert form.json_schema["type"] == "object"


async def test_a_form_that_cannot_be_used_is_not_the_models_fault() -> None:
    tried = Tried(attempt(output={"$ref": "http://127.0.0.1:1/x"}), "{}")
    error = await tried.error()
    assert (error.kind, error.may_help) == ("schema", False)
    assert len(tried.turns) == 1


# Reports


async def test_a_report_that_cites_no_step_is_corrected_once_then_accepted() -> None:
    tried = Tried(attempt("reducer", given=GIVEN), "A is 5.", "A is 5 [read.1].")
    assert (await tried.outcome()).notes == ()
    assert "read.1 and read.2" not in tried.words[0]  # `read`, whose instances they are, may be cited too
    assert "read.1, read and read.2" in tried.words[0]
    again = await Tried(attempt("reducer", given=GIVEN), "A is 5.", "A is five.").outcome()
    assert (again.output, again.doubts) == ("A is five.", ("the report cites no step",))


async def test_a_citation_of_an_unknown_step_is_corrected_once_then_noted() -> None:
    tried = Tried(attempt("reducer", given=GIVEN), "A [read.1]. C [read.7].", "A [read.1]. C [read.8].")
    outcome = await tried.outcome()
    assert outcome.doubts == ("the report cites unknown steps: read.8",)
    assert "read.7" in tried.words[0]
    assert len(tried.requests) == 2


async def test_a_report_may_cite_what_partial_reports_cite_and_what_is_missing() -> None:
    given = (Given(step="part.1", about="", output="A is 5 [read.1, read.2]."),)
    missing = (Missing(step="sizes", because="it failed"),)
    for text in ("A is 5 [part.1, read.2].", "A [part.1]. Nothing of sizes [sizes]."):
        tried = Tried(attempt("reducer", given=given, missing=missing), text)
        assert (await tried.outcome()).notes == ()


async def test_a_correction_of_a_report_lists_the_first_steps_only() -> None:
    given = tuple(Given(step=f"read.{n}", about="", output=f"Note {n}.") for n in range(1, 100))
    tried = Tried(attempt("reducer", given=given), "All is well.", "All is well [read.1].")
    await tried.outcome()
    assert "read.59" in tried.words[0]
    assert "read.60" not in tried.words[0], "the list is read.1, read, read.2 …, at most 60 names"


async def test_a_truncated_report_without_text_is_not_accepted() -> None:
    empty = CUT.model_copy(update={"message": Message(role="assistant")})
    error = await Tried(attempt("reducer", given=GIVEN), empty, empty).error()
    assert error.kind == "truncated"


async def test_a_report_on_nothing_need_cite_nothing() -> None:
    assert (await Tried(attempt("reducer"), "Nothing is known.").outcome()).output == "Nothing is known."


# Plans


async def test_a_plan_is_linted_and_its_steps_are_spawned() -> None:
    answer = '{"steps": [{"id": "A", "prompt": "Look."}, {"id": "b", "prompt": "Look there.", "why": 1}]}'
    outcome = await Tried(planning(), f"Here is the plan:\n```json\n{answer}\n```").outcome()
    assert [step.id for step in outcome.spawned] == ["a", "b", "reduce"]
    assert outcome.spawned[-1].after == ("a", "b")
    assert outcome.output["steps"][1] == {"id": "b", "prompt": "Look there."}
    assert any("why" in note for note in outcome.notes)


async def test_json_that_is_not_a_plan_is_judged_as_a_plan() -> None:
    tried = Tried(planning(), '{"note": "Look."}', '{"note": "Look."}')
    assert (await tried.error()).kind == "plan"


async def test_fault_80_a_bad_plan_goes_back_once_in_words_to_act_on() -> None:
    cycle = '{"steps": [{"id": "a", "prompt": "x", "needs": ["b"]}, {"id": "b", "prompt": "y", "needs": ["a"]}]}'
    tried = Tried(planning(), cycle, '{"steps": [{"id": "a", "prompt": "Look."}]}')
    assert [step.id for step in (await tried.outcome()).spawned] == ["a"]
    assert "a → b → a" in tried.words[0]
    error = await Tried(planning(), cycle, cycle).error()
    assert (error.kind, error.may_help) == ("plan", False)
    assert "a → b → a" in str(error)


async def test_unknown_names_are_left_out_of_a_plan_after_a_correction() -> None:
    plan = """{"steps": [
        {"id": "a", "prompt": "Look.", "needs": ["zebra"], "agent": "boss", "model": "best", "tools": ["saw"]},
        {"id": "b", "prompt": "Weigh.", "needs": ["a", "yak"], "inputs": ["no.md"]}]}"""
    tried = Tried(planning(), plan, plan)
    outcome = await tried.outcome()
    assert "there is no step 'zebra'" in tried.words[0]
    first, second = outcome.spawned
    assert (first.needs, first.agent, first.model, first.tools) == ((), "worker", None, ())
    assert (second.needs, second.inputs) == (("a",), None)
    assert "the plan had errors after a correction" in outcome.doubts[0]
    assert any("zebra" in note and "it was dropped" in note for note in outcome.notes)


async def test_what_makes_no_sense_without_is_not_left_out() -> None:
    plan = '{"steps": [{"id": "a", "prompt": "", "needs": ["zebra"]}]}'
    assert (await Tried(planning(), plan, plan).error()).kind == "plan"


async def test_an_answer_that_repeats_itself_is_what_it_said_once() -> None:
    text = says("assistant", "A needs 5.")
    tried = Tried(attempt(), reply("A needs 5.").model_copy(update={"message": text, "finish": "repeats"}))
    assert (await tried.outcome()).output == "A needs 5."
    assert [turn.finish for turn in tried.turns] == ["repeats"]


async def test_fault_81_no_plan_at_all_is_a_wrong_form() -> None:
    tried = Tried(planning(), "I would read both files.", '[{"id": "a", "prompt": "Look."}]')
    assert [step.id for step in (await tried.outcome()).spawned] == ["a"]
    assert "there is no JSON" in tried.words[0]


async def test_fault_82_a_plan_of_too_many_steps_goes_back() -> None:
    steps = ",".join(f'{{"id": "s{n}", "prompt": "Look at {n}."}}' for n in range(300))
    tried = Tried(planning(steps_left=10), f'{{"steps": [{steps}]}}', '{"steps": [{"id": "a", "prompt": "Look."}]}')
    await tried.outcome()
    assert "10" in tried.words[0]


async def test_a_later_plan_may_be_that_nothing_is_missing() -> None:
    outcome = await Tried(planning(first=False), '{"steps": []}').outcome()
    assert (outcome.output, outcome.spawned) == ({"steps": []}, ())
    error = await Tried(planning(), '{"steps": []}', '{"steps": []}').error()
    assert error.kind == "plan"
