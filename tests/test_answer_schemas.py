"""Forms of answers: JSON Schemas that endpoints enforce."""

from typing import Any, cast

import pytest
from attempts import planning
from jsonschema import Draft202012Validator

from swarm.attempt.answer_schemas import CHARACTERS_A_TOKEN, FRAME, LISTED, ROOM_FOR_NEEDS, ROOMY, plan_form
from swarm.attempt.prompt import wanted
from swarm.planning.brief import Brief, InputBrief, RoleBrief
from swarm.planning.lint import lint, read_plan
from swarm.spec.task import Limits

FILES = ("a.md", "b.md", "c.md")
ROLES = tuple(RoleBrief(name=name, description="") for name in ("planner", "worker", "critic", "reducer"))


def brief(size: int = 90, files: tuple[str, ...] = FILES, **fields: Any) -> Brief:
    inputs = tuple(InputBrief(name=name, medium="text", size=size) for name in files)
    return Brief(roles=fields.pop("roles", ROLES), inputs=inputs, **fields)


def step_of(form: dict[str, Any]) -> dict[str, Any]:
    return form["properties"]["steps"]["items"]["properties"]


def test_where_there_is_room_the_whole_form_is_asked_for() -> None:
    assert plan_form(brief(), room=ROOMY) == plan_form(None)
    assert {"after", "output", "tools", "optional"} < set(step_of(plan_form(brief(), room=ROOMY)))


@pytest.mark.parametrize("room", [60, 256, 1024, 2048, ROOMY - 1])
def test_the_longest_small_plan_fits_its_room(room: int) -> None:
    form = plan_form(brief(), room=room)
    steps = form["properties"]["steps"]
    longest = steps["maxItems"] * (step_of(form)["prompt"]["maxLength"] + FRAME)
    assert longest <= max(room * CHARACTERS_A_TOKEN, 120 + FRAME)
    assert steps["minItems"] == 1


def test_a_small_form_names_what_there_is() -> None:
    fields = step_of(plan_form(brief(), room=1024))
    assert fields["agent"] == {"enum": ["worker", "critic"]}
    assert fields["each"] == {"enum": ["inputs"]}
    assert fields["inputs"]["items"] == {"enum": list(FILES)}
    assert set(fields) == {"id", "prompt", "agent", "each", "inputs"}


def test_steps_wait_for_one_another_where_there_are_enough_of_them() -> None:
    assert "needs" in step_of(plan_form(brief(), room=ROOM_FOR_NEEDS))
    assert "needs" not in step_of(plan_form(brief(), room=ROOM_FOR_NEEDS - 1))


def test_what_there_is_no_choice_of_is_not_asked_for() -> None:
    fields = step_of(plan_form(brief(roles=ROLES[:2], files=("a.md",)), room=1024))
    assert set(fields) == {"id", "prompt"}


def test_inputs_that_no_step_can_read_together_are_for_a_step_each() -> None:
    assert "inputs" in step_of(plan_form(brief(size=3000, reads=3000), room=1024))
    assert "inputs" not in step_of(plan_form(brief(size=3000, reads=2999), room=1024))
    many = tuple(f"{n}.md" for n in range(LISTED + 1))
    assert "inputs" not in step_of(plan_form(brief(size=1, files=many), room=1024))


def test_a_small_plan_has_no_more_steps_than_the_run() -> None:
    assert plan_form(brief(steps_left=1), room=2048)["properties"]["steps"]["maxItems"] == 1
    assert plan_form(brief(first=False), room=2048)["properties"]["steps"]["minItems"] == 0


def test_a_small_plan_keeps_the_workers_busy_twice_at_most() -> None:
    limits = Limits(workers=4)
    assert plan_form(brief(limits=limits), room=2048)["properties"]["steps"]["maxItems"] == 2 * 4 // len(FILES)
    many = tuple(f"{n}.md" for n in range(30))
    assert plan_form(brief(files=many, limits=limits), room=2048)["properties"]["steps"]["maxItems"] == 1


def test_what_fits_the_small_form_is_a_plan() -> None:
    given = brief()
    plan = {"steps": [{"id": "a", "prompt": "Look.", "each": "inputs", "inputs": ["a.md"]}]}
    cast("Any", Draft202012Validator(plan_form(given, room=512))).validate(plan)
    assert lint(read_plan(plan, given), given).ok


def test_an_attempt_with_little_context_gets_the_small_form() -> None:
    small = wanted(planning().model_copy(update={"context": 4096, "settings": {"max_tokens": 1024}})).form
    whole = wanted(planning()).form
    assert small is not None
    assert whole is not None
    assert small.json_schema["properties"].keys() < whole.json_schema["properties"].keys()
