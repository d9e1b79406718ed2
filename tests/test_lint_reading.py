"""How a plan is read out of JSON: a planner's is put right, a plan by hand is taken at its word."""

import graphlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.planning.lint import Draft, feedback, lint, read_plan
from swarm.spec.plan import Plan, Step, before_of, chosen, sinks

BRIEF = Brief(
    roles=(
        RoleBrief(name="planner", description=""),
        RoleBrief(name="worker", description="", tools=("files", "python")),
        RoleBrief(name="critic", description="", tools=("files",)),
        RoleBrief(name="reducer", description=""),
    ),
    inputs=tuple(InputBrief(name=name, medium="text", size=1) for name in ("a.md", "notes/sizes.md")),
    models=("default", "strong"),
    tools=("files", "python"),
    steps_left=8,
)


def kinds(draft: Draft) -> list[tuple[str, str, str]]:
    return [(one.severity, one.kind, one.key) for one in draft.findings]


def steps_of(value: Any) -> tuple[Step, ...]:
    """Read what a planner wrote; all of it must be usable."""
    draft = read_plan(value, BRIEF)
    assert draft.plan is not None
    assert [one for one in draft.findings if one.severity == "error"] == []
    return draft.plan.steps


def test_a_clean_answer_is_the_plan_it_says() -> None:
    value = {"steps": [{"id": "a", "prompt": "Do it."}], "agents": [{"name": "clerk", "instructions": "Count."}]}
    for strict in (False, True):
        draft = read_plan(value, BRIEF, strict=strict)
        assert draft.plan == Plan.model_validate(value)
        assert draft.findings == ()
        assert draft.by_planner is not strict
    assert steps_of(value["steps"]) == Plan.model_validate(value).steps


@pytest.mark.parametrize("value", [None, 3, "plan", {}, {"steps": None}, {"steps": []}, [], {"plan": {"x": 1}}])
def test_fault_81_an_empty_plan_is_refused(value: Any) -> None:
    for strict in (False, True):
        result = lint(read_plan(value, BRIEF, strict=strict), BRIEF)
        assert [one.kind for one in result.errors] == ["no_plan"]
        assert result.steps == ()


class Unread(dict[str, Any]):
    """A step that must not be looked at."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError(key)

    def get(self, key: str, default: Any = None) -> Any:
        raise AssertionError(key, default)

    def items(self) -> Any:
        raise AssertionError


@pytest.mark.parametrize("strict", [False, True])
def test_fault_82_a_million_steps_are_refused_unread(strict: bool) -> None:
    steps = [Unread(id="a")] * 1_000_000
    draft = read_plan({"steps": steps}, BRIEF, strict=strict)
    assert draft.plan is None
    assert kinds(draft) == [("error", "too_many_steps", "steps")]
    assert "1,000,000 steps; 8 are left" in feedback(draft.findings)


def test_fault_82_a_million_items_are_refused_before_a_model_is_built() -> None:
    draft = read_plan([{"id": "a", "prompt": "{item}", "each": [0] * 1_000_000}], BRIEF)
    assert draft.plan is None
    assert kinds(draft) == [("error", "too_many_steps", "steps")]


def test_ids_are_made_ids_wherever_they_are_named() -> None:
    steps = steps_of(
        [
            {"id": "Étude 1", "prompt": "List."},
            {"id": 2, "prompt": "Sum.", "needs": ["Étude 1"]},
            {"prompt": "Draw {item}.", "each": "étude 1", "after": [2, "研究"]},
            {"id": "研究", "prompt": "Find."},
        ]
    )
    assert [step.id for step in steps] == ["etude-1", "2", "step-3", "step-4"]
    assert steps[1].needs == ("etude-1",)
    assert (steps[2].each, steps[2].after) == ("etude-1", ("2", "step-4"))


def test_the_id_of_the_planning_step_is_given_away_on_the_first_plan_only() -> None:
    rows = [{"id": "plan", "prompt": "Plan the trip."}, {"id": "b", "prompt": "Book.", "needs": ["plan"]}]
    assert [(step.id, step.needs) for step in steps_of(rows)] == [("plan-step", ()), ("b", ("plan-step",))]
    later = read_plan(rows, BRIEF.model_copy(update={"first": False})).plan
    assert later is not None
    assert later.steps[0].id == "plan"


def test_a_need_on_the_planning_itself_is_dropped() -> None:
    result = lint(read_plan([{"id": "b", "prompt": "Book.", "needs": ["plan"]}], BRIEF), BRIEF)
    assert result.ok
    assert result.steps[0].needs == ()
    assert [one.kind for one in result.repaired] == ["own_plan"]


def test_keys_that_models_call_otherwise() -> None:
    (step,) = steps_of({"plan": [{"name": "a", "task": "Do it.", "inputz": "a.md", "colour": "red", "tokens": None}]})
    assert step == Step(id="a", prompt="Do it.", inputs=("a.md",))
    draft = read_plan([{"id": "a", "prompt": "Do.", "depends_on": "b, c", "name": "A"}], BRIEF)
    assert draft.plan is not None
    assert draft.plan.steps[0].needs == ("b", "c")
    assert kinds(draft) == [
        ("repaired", "key", "steps.0.needs"),
        ("repaired", "key", "steps.0"),
        ("repaired", "list", "steps.0.needs"),
    ]


def test_an_estimate_that_is_none_is_dropped_and_text_is_the_default_form() -> None:
    (step,) = steps_of(
        [{"id": "a", "prompt": "Do.", "seconds": "20s", "tokens": -5, "output": "text", "agent": "Worker"}]
    )
    assert step == Step(id="a", prompt="Do.")


def test_a_plan_by_hand_is_taken_at_its_word() -> None:
    rows = [{"id": "Study A", "prompt": "Do.", "promt": "x"}, {"prompt": "Do more.", "needs": "a", "seconds": "20s"}]
    draft = read_plan({"steps": rows, "step": 1}, BRIEF, strict=True)
    assert kinds(draft) == [
        ("error", "key", "step"),
        ("error", "bad_value", "steps.0.id"),
        ("error", "key", "steps.0.promt"),
        ("error", "bad_value", "steps.1.id"),
        ("error", "bad_value", "steps.1.needs"),
        ("error", "bad_value", "steps.1.seconds"),
    ]
    assert "did you mean `prompt`?" in feedback(draft.findings)


def test_all_that_is_wrong_is_said_at_once() -> None:
    rows = [
        "Do it.",
        {"id": "b", "prompt": ["Do", "it"], "optional": "perhaps", "needs": [["x"]]},
        {"id": "c", "prompt": "Do.", "each": {"a": 1}, "needs": ["zzz"]},
    ]
    result = lint(read_plan({"steps": rows, "agents": [{"name": "x"}]}, BRIEF), BRIEF)
    assert [(one.kind, one.key) for one in result.errors] == [
        ("bad_value", "agents.0.instructions"),
        ("not_a_mapping", "steps.0"),
        ("bad_value", "steps.1.prompt"),
        ("bad_value", "steps.1.needs.0"),
        ("bad_value", "steps.1.optional"),
        ("bad_value", "steps.2.each"),
        ("unknown_step", "steps.2.needs"),
    ]


def test_a_planner_that_says_a_thing_twice_is_heard_once() -> None:
    rows = [
        {"id": "a", "prompt": "Count it."},
        {"id": "b", "prompt": "Count it."},
        {"id": "b", "prompt": "Count it."},
        {"id": "c", "prompt": "Double what is given.", "needs": ["b"], "after": ["a"]},
    ]
    result = lint(read_plan(rows, BRIEF), BRIEF)
    assert result.ok
    assert [(one.id, one.needs) for one in result.steps] == [("a", ()), ("c", ("a",))]
    assert [one.kind for one in result.repaired] == ["duplicate_step", "duplicate_id"]


def test_json_that_is_too_deep_is_refused() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    result = lint(read_plan([{"id": "a", "prompt": "{item}", "each": deep, "output": {"x": deep}}], BRIEF), BRIEF)
    assert [(one.kind, one.key) for one in result.errors][:2] == [
        ("bad_value", "steps.0.each"),
        ("bad_value", "steps.0.output"),
    ]


IDS = st.sampled_from(["a", "b", "c", "a-b", "a_b", "b.1", "A", "Step 1", "plan", "reduce", "inputs", "gone", 1])
NAMES = st.sampled_from(["worker", "Worker", "planner", "reducer", "critic", "made", "strong", "nobody"])
PROMPTS = st.sampled_from(["", "Do {item}.", "Use the output of step b.", "See {a} and `c`", "Count it.", "Read all."])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=3) | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": IDS,
    "agent": NAMES,
    "prompt": PROMPTS,
    "needs": st.lists(IDS, max_size=3),
    "after": st.lists(IDS, max_size=2),
    "each": st.sampled_from(["a", "b", "inputs", ["x", "y"], [1], []]),
    "inputs": st.lists(st.sampled_from(["sizes.md", "*.md", "A.md", "no"]), max_size=2),
    "tools": st.lists(st.sampled_from(["files", "python", "shell"]), max_size=2),
    "model": NAMES,
    "output": st.sampled_from([{"type": "array"}, {"type": "string"}, {"type": "x"}, {"$ref": "#/a"}, "text", {}]),
    "optional": st.booleans(),
    "depends_on": IDS,
    "note": st.text(max_size=3),
}
ROWS = st.fixed_dictionaries({}, optional=FIELDS) | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES))
AGENTS = st.fixed_dictionaries(
    {"name": NAMES}, optional={"instructions": PROMPTS, "tools": FIELDS["tools"], "output": FIELDS["output"]}
)
PLANS = (
    st.fixed_dictionaries({"steps": st.lists(ROWS, max_size=6)}, optional={"agents": st.lists(AGENTS, max_size=2)})
    | st.lists(ROWS, max_size=5)
    | VALUES
)


@st.composite
def nearly(draw: st.DrawFn) -> dict[str, Any]:
    """A plan of which most is right: odd spellings, needs that mostly look back, now and then a slip."""
    names = ["a", "b", "c", "a-b", "Step 1", "d.x", "plan", "reduce"]
    ids = draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=6))
    rows: list[dict[str, Any]] = []
    for at, name in enumerate(ids):
        row: dict[str, Any] = {"id": name, "prompt": draw(PROMPTS.filter(bool))}
        row["needs"] = draw(st.lists(st.sampled_from(ids[:at]), max_size=2)) if at else []
        each = draw(st.sampled_from([None, None, None, "inputs", ["x", "y"], *ids[:at][:1]]))
        if each is not None:
            row |= {"each": each, "prompt": f"Do {name} to {{item}}."}
        row["prompt"] = row["prompt"].replace("{item}", "it") if each is None else row["prompt"]
        if draw(st.integers(0, 7)) == 0:
            slip = draw(st.sampled_from(sorted(FIELDS)))
            row[slip] = draw(FIELDS[slip])
        rows.append(row)
    agents = draw(st.lists(AGENTS, max_size=1)) if draw(st.integers(0, 4)) == 0 else []
    return {"steps": draw(st.permutations(rows)), "agents": agents}


LATER = BRIEF.model_copy(update={"known": ("gone", "reduce"), "barred": ("reduce",), "first": False})


@given(PLANS, st.booleans(), st.sampled_from([BRIEF, LATER]))
def test_whatever_is_written_is_judged(value: Any, strict: bool, brief: Brief) -> None:
    judge(value, brief, strict=strict)


@given(nearly(), st.sampled_from([BRIEF, BRIEF, LATER]))
def test_a_plan_that_passes_can_be_run(value: Any, brief: Brief) -> None:
    judge(value, brief)


def judge(value: Any, brief: Brief, *, strict: bool = False) -> None:
    """Lint twice, to the same end; a plan that passes is a DAG that names nothing that is not there."""
    result = lint(read_plan(value, brief, strict=strict), brief)
    assert result == lint(read_plan(value, brief, strict=strict), brief)
    if not result.ok:
        assert feedback(result.findings)
        return
    ids = {one.id for one in result.steps}
    assert len(ids) == len(result.steps)
    assert ids.isdisjoint(brief.known)
    waits = {one.id: set(before_of(one)) for one in result.steps}
    assert set().union(*waits.values()) <= ids | (set(brief.known) - set(brief.barred))
    list(graphlib.TopologicalSorter(waits).static_order())
    if brief.first:
        assert len(sinks(result.steps)) == 1
    granted = {role.name: role.tools for role in brief.roles} | {one.name: one.tools for one in result.agents}
    for one in result.steps:
        assert set(one.tools or ()) <= set(granted[one.agent]) <= set(brief.tools)
        assert one.model in (None, *brief.models)
        assert all(chosen((pattern,), ["a.md", "notes/sizes.md"]) for pattern in one.inputs or ())
    again = lint(Plan(steps=result.steps, agents=result.agents), brief.model_copy(update={"steps_left": 99}))
    assert (again.steps, again.repaired) == (result.steps, ())
