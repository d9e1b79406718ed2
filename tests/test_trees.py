"""What `swarm plan` and `swarm simulate` say of steps that become several: as many as the run has."""

import json
from pathlib import Path

import pytest

from swarm.forecast.expect import Experience
from swarm.forecast.plan import Forecast, forecast_plan, rehearsed_course, scene_of
from swarm.forecast.simulate import simulate
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import prepare
from swarm.lifecycle.run import Run
from swarm.record.state import State
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Model, Task
from swarm.views.simulation import limit_line, tree_lines
from tests.readers import PerfectReader, document

pytestmark = pytest.mark.anyio

READ = Step(id="read", each="inputs", prompt="Find the facts in {item}.")
REDUCE = Step(id="reduce", agent="reducer", after=("read",))


def task(folder: Path, *steps: Step, documents: int = 30, words: int = 1, tokens: int | None = None) -> Task:
    for n in range(documents):
        (folder / f"{n:03}.md").write_text(document(n, words=words), encoding="utf-8")
    models = {"default": Model(endpoint="offline", context=4_096, max_tokens=512)}
    limits = {"tokens": tokens, "steps": 5_000}
    return Task.model_validate(
        {
            "goal": "List all facts.",
            "inputs": ("*.md",),
            "folder": folder,
            "models": models,
            "plan": Plan(steps=steps),
            "limits": limits,
        }
    )


async def forecast(this: Task) -> Forecast:
    prepared = await prepare(this, Options(endpoint=PerfectReader(4_096, cap=512)))
    return forecast_plan(prepared.steps, scene_of(prepared.resources, prepared.agents.values(), Experience()))


async def ran(this: Task) -> State:
    async with Run(this, options=Options(endpoint=PerfectReader(4_096, cap=512), cache=False)) as done:
        pass
    return done.state


async def test_the_partial_reports_are_said_before_anything_is_spent(tmp_path: Path) -> None:
    found = await forecast(task(tmp_path, READ, REDUCE))
    (tree,) = found.trees
    assert (tree.step, tree.kind, tree.reads, tree.whole) == ("reduce", "partial reports", 30, 1)
    assert tree.levels >= 1
    (line,) = tree_lines(found.trees)
    assert " ".join(line.split()).startswith(f"Reads: reduce reads 30 outputs of about 317 tokens: {tree.partials} ")
    assert json.loads(json.dumps(found.value))["trees"][0]["partials"] == tree.partials


async def test_parts_are_said_as_many_as_there_will_be(tmp_path: Path) -> None:
    this = task(tmp_path, READ, REDUCE, documents=2, words=60)
    found = await forecast(this)
    parts = next(tree for tree in found.trees if tree.kind == "parts")
    state = await ran(this)
    assert parts.partials == sum(s.step.part is not None and s.step.part.kind == "input" for s in state.steps.values())
    assert (parts.step, parts.whole, parts.reads) == ("read", 2, 0)
    assert "read (of 2 instances each) reads texts" in " ".join("\n".join(tree_lines(found.trees)).split())


async def test_parts_count_in_the_worst_case(tmp_path: Path) -> None:
    this = task(tmp_path, Step(id="study", prompt="List all."), documents=1, words=400)
    assert (await forecast(this)).worst_tokens > (await ran(this)).usage.tokens > 30_000


async def test_checked_and_voted_steps_count_as_what_they_become(tmp_path: Path) -> None:
    steps = (
        Step(id="work", prompt="Find it.", inputs=("000.md",), check="critic"),
        Step(id="guess", prompt="Guess it.", inputs=("000.md",), vote=3),
        REDUCE.model_copy(update={"after": ("work", "guess")}),
    )
    found = await forecast(task(tmp_path, *steps, documents=1))
    assert found.advice.steps == 2 + 3 + 1
    assert found.trees == ()


async def test_a_limit_that_cannot_hold_the_tree_is_said(tmp_path: Path) -> None:
    found = await forecast(task(tmp_path, READ, REDUCE, tokens=20_000))
    assert found.limit == 20_000
    assert "limits.tokens is 20,000, fewer than" in " ".join("".join(limit_line(20_000, 30_000)).split())
    assert (await forecast(task(tmp_path, READ, REDUCE))).limit is None


async def test_a_simulated_task_has_the_steps_of_its_trees(tmp_path: Path) -> None:
    prepared = await prepare(task(tmp_path, READ, REDUCE), Options(endpoint=PerfectReader(4_096, cap=512)))
    scene = scene_of(prepared.resources, prepared.agents.values(), Experience())
    found = simulate(rehearsed_course(prepared.steps, scene))
    assert found.attempts == sum(1 for s in found.state.real_steps() if s.spans)
    assert sum(s.step.partial_of == "reduce" for s in found.state.steps.values()) > 5
    (tree,) = (await forecast(task(tmp_path, READ, REDUCE))).trees
    assert found.seconds == 10.0 * (tree.levels + 2), "instances, each level, the summary"
