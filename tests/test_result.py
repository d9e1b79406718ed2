"""The result of a run: the plan that it had."""

from pathlib import Path
from typing import Any

import pytest

from swarm.base.values import canonical
from swarm.lifecycle.prepare import Options
from swarm.lifecycle.run import Run
from swarm.record.state import State
from swarm.results.result import Result, plan_of
from swarm.scheduling.assign import Assigner
from swarm.spec.plan import Plan
from swarm.spec.task import Task
from tests.models import Model, run_with, task

pytestmark = pytest.mark.anyio

FIRST: dict[str, Any] = {
    "agents": [{"name": "scout", "instructions": "You look ahead."}],
    "steps": [
        {"id": "look", "agent": "scout", "prompt": "Look."},
        {"id": "list", "prompt": "List.", "output": {"type": "array", "items": {"type": "string"}}},
        {"id": "read", "each": "list", "prompt": "Read {item}.", "needs": ["list"]},
        {"id": "more", "agent": "planner", "prompt": "Plan more.", "needs": ["look"]},
    ],
}
SECOND: dict[str, Any] = {
    "agents": [{"name": "auditor", "instructions": "You check."}],
    "steps": [{"id": "audit", "agent": "auditor", "prompt": "Check."}],
}
RULES = {"Plan more": canonical(SECOND).decode(), "List": '["x", "y"]'}


async def state_after(model: Any, this: Task) -> State:
    async with Run(this, options=Options(endpoint=model, cache=False)) as run:
        pass
    assert run.result.status == "done"
    return run.state


async def test_the_plan_of_a_run_is_its_first_wave(tmp_path: Path) -> None:
    state = await state_after(Model(RULES, plan=FIRST), task(tmp_path, inputs=(), swarm="always"))
    assert {"read.1", "read.2", "audit"} <= set(state.steps)
    plan = plan_of(state)
    assert plan is not None
    assert [step.id for step in plan.steps] == ["look", "list", "read", "more", "reduce"]
    assert [agent.name for agent in plan.agents] == ["scout"]


async def test_that_plan_can_be_run_again(tmp_path: Path) -> None:
    first = await run_with(Model(RULES, plan=FIRST), task(tmp_path, inputs=(), swarm="always"), cache=False)
    again = task(tmp_path, inputs=())
    result = await run_with(Model(RULES), again, cache=False, plan=first.folder / "plan.yaml")
    assert (result.status, result.steps["total"]) == ("done", first.steps["total"] - 1)
    assert (result.folder / "plan.yaml").read_text() == (first.folder / "plan.yaml").read_text()


async def test_a_plan_of_the_task_has_the_agents_that_it_brought(tmp_path: Path) -> None:
    given = Plan.model_validate(FIRST)
    plan = plan_of(await state_after(Model(RULES), task(tmp_path, inputs=(), plan=given)))
    assert plan is not None
    assert plan.agents == given.agents


def test_a_run_without_a_plan_has_none() -> None:
    assert plan_of(State()) is None


async def test_an_error_in_a_figure_does_not_lose_the_report(tmp_path: Path) -> None:
    async with Run(task(tmp_path, inputs=()), options=Options(endpoint=Model(RULES, plan=FIRST), cache=False)) as run:
        pass
    state, errors = run.state, list[Exception]()
    state.steps["look"].by, state.steps["audit"].by = "audit", "look"  # a forged journal: no way leads to them
    assigner = Assigner(state, run.prepared.resources, run.folder.load)
    result = Result.of(state, run.folder, assigner, note=errors.append)
    assert result.report == run.result.report
    assert (len(errors), result.parallelism.flags) == (1, ())
    with pytest.raises(type(errors[0])):
        Result.of(state, run.folder, assigner)
