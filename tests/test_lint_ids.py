"""Ids in a plan: those that the run uses itself, and the list of a step with `each`."""

import pytest

from swarm.planning.lint import lint, read_plan
from tests.test_lint import BRIEF, LIST, by_id, found, linted, step


@pytest.mark.parametrize("name", ["plan", "run", "task"])
def test_fault_145_an_id_that_the_run_uses_itself_is_refused_in_a_plan_by_hand(name: str) -> None:
    result = linted(step(name), step("b", needs=[name]))
    assert found(result, "error") == [("reserved_id", "steps.0.id")]
    assert f"the id '{name}' is reserved. Use another id, such as '{name}-step'." in str(result.errors[0])


@pytest.mark.parametrize("first", [True, False])
def test_a_planner_that_uses_such_an_id_gets_another_with_all_that_refers_to_it(first: bool) -> None:
    rows = [
        step("plan", prompt="List.", output=LIST),
        step("b", prompt="Do {item}.", each="plan", needs=["plan"]),
        step("c", prompt="Sum up.", after=["plan", "b"]),
    ]
    brief = BRIEF.model_copy(update={"first": first, "known": () if first else ("plan", "plan-step")})
    result = lint(read_plan({"steps": rows}, brief), brief)
    assert result.ok, result.errors
    name = "plan-step" if first else "plan-step-step"
    steps = by_id(result)
    assert (steps["b"].each, steps["b"].needs, steps["c"].after) == (name, (name,), (name, "b"))


def test_a_list_that_each_instance_needs_as_a_whole_stays_a_need() -> None:
    study = step("study", each="list", prompt="Assess {item}.")
    assert by_id(linted(step("list", output=LIST), study | {"needs": ["list"]}))["study"].needs == ("list",)
    assert by_id(linted(step("list", output=LIST), study))["study"].needs == ()
