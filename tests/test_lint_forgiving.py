"""Plans that ask for more than a model reads, and what is left out of a plan that its planner could not put right."""

from typing import Any

import pytest
from test_lint import BRIEF, FILES, by_id, found, linted, step

from swarm.planning.brief import InputBrief
from swarm.planning.lint import feedback, lint, read_plan

MUCH = BRIEF.model_copy(
    update={"reads": 100, "inputs": tuple(InputBrief(name=name, medium="text", size=240) for name in FILES[:3])}
)


def test_a_step_that_would_read_more_than_any_model_goes_back() -> None:
    draft = read_plan(
        {"steps": [{"id": "a", "prompt": "Look."}, {"id": "b", "prompt": "Weigh.", "needs": ["a"]}]}, MUCH
    )
    result = lint(draft, MUCH)
    assert found(result, "error") == [("too_much", "steps.0.inputs")]
    assert "the 3 inputs have about 240 tokens; the maximum of a step is about 100" in feedback(result.findings)
    mended = lint(draft, MUCH, forgiving=True)
    assert mended.ok
    assert by_id(mended)["a"].each == "inputs"
    assert "now it runs once per input" in str(mended.repaired[0])


@pytest.mark.parametrize(
    "one",
    [
        step("a", each="inputs"),
        step("a", inputs=[FILES[0]]),
        step("a", inputs=[]),
        step("a", agent="planner"),
    ],
)
def test_a_step_that_reads_no_more_than_a_model_passes(one: dict[str, Any]) -> None:
    assert ("too_much", "steps.0.inputs") not in found(lint(read_plan({"steps": [one]}, MUCH), MUCH), "error")


def test_a_plan_by_hand_may_read_what_it_likes() -> None:
    assert linted(step("a"), brief=MUCH).ok
    assert found(linted(step("a"), brief=MUCH), "hint") == [("too_much", "steps.0.inputs")]
    assert found(linted(step("a"), brief=MUCH.model_copy(update={"reads": None})), "hint") == []


def test_of_an_agent_that_is_not_there_nothing_more_is_said() -> None:
    bare = BRIEF.model_copy(update={"roles": tuple(role.model_copy(update={"tools": ()}) for role in BRIEF.roles)})
    result = lint(read_plan({"steps": [step("a", prompt="Look.", agent="boss", tools=["files"])]}, bare), bare)
    assert [kind for kind, _ in found(result, "error")] == ["unknown_agent"]
    beyond = lint(read_plan({"steps": [step("a", prompt="Look.", agent="reducer", tools=["files"])]}, BRIEF), BRIEF)
    assert [kind for kind, _ in found(beyond, "error")] == ["not_granted"]


def test_what_a_plan_can_do_without_is_left_out_where_that_is_asked_for() -> None:
    steps = [step("a", prompt="Look.", needs=["b", "zebra"], tools=["files", "saw"]), step("b", prompt="See.")]
    strict, forgiving = (lint(read_plan({"steps": steps}, BRIEF), BRIEF, forgiving=each) for each in (False, True))
    assert [kind for kind, _ in found(strict, "error")] == ["unknown_step", "unknown_tool"]
    assert forgiving.ok
    assert (by_id(forgiving)["a"].needs, by_id(forgiving)["a"].tools) == (("b",), ("files",))
    assert sum("; it was dropped" in one.message for one in forgiving.repaired) == 2


def test_an_input_that_is_read_in_parts_is_said() -> None:
    long = InputBrief(name="long.md", medium="text", size=3001)
    longer = InputBrief(name="longer.md", medium="text", size=30_000)
    brief = MUCH.model_copy(update={"inputs": (*MUCH.inputs, long, longer)})
    one = linted(step("a", inputs=["long.md"]), brief=brief)
    assert found(one, "hint") == [("parts", "steps.0.inputs")]
    words = "'long.md' has about 1,001 tokens, and a step can read about 100: it is read in about 11 parts"
    assert one.findings[0].message == words
    every = linted(step("a", each="inputs"), brief=brief)
    (message,) = (finding.message for finding in every.findings if finding.kind == "parts")
    assert "'longer.md' has about 10,000 tokens" in message
    assert message.endswith(", and so are 1 more")
    assert found(linted(step("a", inputs=[FILES[0]]), brief=brief), "hint") == []


def test_a_brief_names_the_parts_of_long_texts_only() -> None:
    long = InputBrief(name="long.md", medium="text", size=3001).sized(100)
    assert (long.tokens, long.parts) == (1001, 11)
    for other in (
        InputBrief(name="a.md", medium="text", size=300),
        InputBrief(name="p.png", medium="image", size=9999),
    ):
        assert other.sized(100) == other
        assert "parts" not in other.model_dump_json()
    assert InputBrief(name="long.md", medium="text", size=3001).sized(None).parts == 0


def test_of_steps_with_one_id_the_later_ones_get_their_own() -> None:
    draft = read_plan(
        {
            "steps": [step("a", prompt=each) for each in ("Look.", "Weigh.", "Count.")]
            + [step("z", prompt="Sum up.", needs=["a"])]
        },
        BRIEF,
    )
    assert found(lint(draft, BRIEF), "error") == [("duplicate_id", "steps.1.id"), ("duplicate_id", "steps.2.id")]
    mended = lint(draft, BRIEF, forgiving=True)
    assert mended.ok
    prompts = {name: each.prompt for name, each in by_id(mended).items() if name[0] == "a"}
    assert prompts == {"a": "Look.", "a-step": "Weigh.", "a-step-step": "Count."}
    assert by_id(mended)["z"].needs == ("a",)
    assert any("is now 'a-step'" in str(each) for each in mended.repaired)
