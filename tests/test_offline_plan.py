"""Plans from the shape of the inputs."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.attempt.prompt import phrase
from swarm.endpoints.offline import respond
from swarm.endpoints.offline.columns import columns_of
from swarm.endpoints.offline.plan import ALONE, READ, READ_SEVERAL, REPORT, WIDEST, asked, brief_of, plan
from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.planning.lint import lint
from swarm.spec.chat import Data, Text
from swarm.spec.plan import Plan
from swarm.spec.rows import fields_of
from swarm.spec.task import Limits
from tests.offline import WORDING, request

GOAL = "How much memory does each library need?"
ROLES = tuple(RoleBrief(name=name, description="") for name in ("planner", "worker", "reducer"))


def brief(*inputs: InputBrief | str, **fields: Any) -> Brief:
    named = (InputBrief(name=each, medium="text", size=100) if isinstance(each, str) else each for each in inputs)
    return Brief(roles=ROLES, inputs=tuple(named), **fields)


def planned(given: Brief, *outputs: str, goal: str = GOAL) -> Plan:
    return Plan.model_validate_json(plan(goal, brief_of(given.model_dump_json()), outputs))


def test_each_input_is_read_by_a_step_of_its_own_and_then_merged() -> None:
    read, reduce = planned(brief("a.md", "b.md", "c.md")).steps
    assert (read.id, read.each, read.agent, read.inputs) == ("read", "inputs", "worker", None)
    assert read.prompt == f"{READ} {GOAL}"
    assert (reduce.id, reduce.agent, reduce.after, reduce.needs) == ("reduce", "reducer", ("read",), ())
    assert reduce.prompt == f"{REPORT} {GOAL}"


@pytest.mark.parametrize(
    ("goal", "columns"),
    [
        ("A table of all libraries: name, licence and year of release.", ("name", "licence", "year_of_release")),
        ("Make a table with the columns Name, Größe (MB) & Owner", ("name", "größe_mb", "owner")),
        ("A table with their name, price, and stock.", ("name", "price", "stock")),
        ("Eine Tabelle: Name und Preis", ("name", "preis")),
        ("A table of everything.", ()),
        ("A table: one row for each of the many libraries that we use, and nothing else", ()),
    ],
)
def test_the_columns_that_a_goal_names(goal: str, columns: tuple[str, ...]) -> None:
    assert columns_of(goal) == columns


def test_a_table_is_planned_where_one_is_wanted() -> None:
    goal = "A table: name, licence."
    read, table = planned(brief("a.md", "b.md", table="asked"), goal=goal).steps
    assert (read.each, fields_of(read.output)) == ("inputs", ("name", "licence"))
    assert (table.merge, table.key, table.after) == ("table", ("name",), ("read",))
    assert planned(brief("a.md", "b.md"), goal=goal).steps[-1].agent == "reducer"
    assert planned(brief("a.md", "b.md", table="asked")).steps[-1].agent == "reducer", "no columns are named"


@pytest.mark.parametrize("count", [0, 1, 3, WIDEST + 1])
def test_a_table_file_always_gets_rows(count: int) -> None:
    given = brief(*(f"n{n}.md" for n in range(count)), table="file", steps_left=1000)
    linted = lint(planned(given), given)
    assert [str(finding) for finding in linted.findings if finding.severity == "error"] == []
    assert linted.steps[-1].merge == "table"


@pytest.mark.parametrize("inputs", [(), ("a.md",)])
def test_one_input_or_none_is_one_step(inputs: tuple[str, ...]) -> None:
    [step] = planned(brief(*inputs)).steps
    assert (step.each, step.inputs, step.prompt) == (None, None, f"{ALONE} {GOAL}")


def test_many_inputs_are_read_in_groups_of_like_size() -> None:
    sizes = [10_000, *[100] * 100, *[1000] * 9]
    inputs = [InputBrief(name=f"n{n}.md", medium="text", size=size) for n, size in enumerate(sizes)]
    steps = planned(brief(*inputs, steps_left=12)).steps
    groups = [step.inputs or () for step in steps[:-1]]
    assert len(groups) == 10
    assert sorted(name for group in groups for name in group) == sorted(each.name for each in inputs)
    loads = [sum(each.size for each in inputs if each.name in group) for group in groups]
    assert max(loads) == 10_000
    assert sorted(loads)[-2] <= 2300
    assert all(step.prompt == f"{READ_SEVERAL} {GOAL}" for step in steps[:-1])
    assert steps[-1].after == tuple(step.id for step in steps[:-1])


def test_no_plan_is_wider_than_the_widest() -> None:
    steps = planned(brief(*(f"n{n}.md" for n in range(WIDEST + 1)), steps_left=1000)).steps
    assert len(steps) == WIDEST + 1


def test_labels_are_kept_apart() -> None:
    inputs = [
        InputBrief(name=f"n{n}", medium="text", size=100, label="private" if n % 7 == 0 else None) for n in range(150)
    ]
    private = {each.name for each in inputs if each.label}
    for step in planned(brief(*inputs)).steps[:-1]:
        assert set(step.inputs or ()) <= private or not set(step.inputs or ()) & private


def test_what_cannot_be_read_has_a_step_that_says_so() -> None:
    picture = InputBrief(name="shelf.png", medium="image", size=9)
    read, media, reduce = planned(brief("a.md", picture, "b.md")).steps
    assert (read.each, read.inputs) == ("inputs", ("a.md", "b.md"))
    assert media.inputs == ("shelf.png",)
    assert reduce.after == ("read", "media")


def test_inputs_that_a_long_brief_does_not_list_are_read_too() -> None:
    given = Data(of="brief", name="brief", text=brief(*(f"n{n}.md" for n in range(20))).model_dump_json())
    notes = [Text(text=phrase(WORDING, "cut_brief", shown=20, total=total)) for total in (90, 900)]
    read, many = (json.loads(respond(request("plan", given, note)))["steps"] for note in notes)
    assert read[0]["each"] == "inputs"
    assert "inputs" not in read[0]
    assert [step["id"] for step in many] == ["answer"]
    assert "inputs" not in many[0]


def test_a_later_plan_goes_on_from_what_was_given() -> None:
    given = brief("a.md", first=False, known=("plan", "read", "again-1"))
    [step] = planned(given, "read", "gone").steps
    assert (step.id, step.needs) == ("again-2", ("read",))


def test_a_goal_is_no_template() -> None:
    assert "{item}" not in plan("Fill {item} in", brief("a.md"))


@pytest.mark.parametrize(
    "prompt", [f"From notes/a.md: {GOAL}", f"{ALONE} {GOAL}", f"{READ_SEVERAL} {GOAL}", f"{REPORT} {GOAL}", GOAL]
)
def test_its_own_words_are_taken_off_a_prompt(prompt: str) -> None:
    assert asked(prompt, GOAL) == GOAL


def test_other_words_stay_in_a_prompt() -> None:
    assert asked("From the notes: list the names", GOAL) == "From the notes: list the names"
    assert asked(f"Summarise. {GOAL}", GOAL) == f"Summarise. {GOAL}"


@pytest.mark.parametrize("text", ["", "no", "[]", '{"inputs": 3, "limits": [], "known": {}}', '{"inputs": [1, {}]}'])
def test_an_odd_brief_gives_one_step(text: str) -> None:
    assert len(json.loads(plan(GOAL, brief_of(text)))["steps"]) == 1


MEDIA = st.sampled_from(["text", "text", "image", "audio"])
INPUTS = st.lists(st.tuples(MEDIA, st.integers(0, 9999), st.sampled_from([None, "private"])), max_size=130)


@given(INPUTS, st.integers(1, 300), st.integers(1, 4), st.text(min_size=1, max_size=60))
def test_every_plan_passes_the_linter(
    inputs: list[tuple[str, int, str | None]], steps_left: int, depth: int, goal: str
) -> None:
    named = [
        InputBrief.model_validate({"name": f"n{n}.x", "medium": medium, "size": size, "label": label})
        for n, (medium, size, label) in enumerate(inputs)
    ]
    given = brief(*named, steps_left=steps_left, limits=Limits(depth=depth))
    found = planned(given, goal=f"Say: {goal}")
    linted = lint(found, given)
    assert linted.ok, linted.findings
    assert len(linted.steps) == len(found.steps)
