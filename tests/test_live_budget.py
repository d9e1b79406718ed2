"""A run whose limit has space for one call at a time, in virtual time: what the live view shows meanwhile."""

from pathlib import Path

import anyio
import pytest

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.spec.chat import Reply, Request, Usage
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model, Task
from swarm.testing import Function, reply
from swarm.views.board import Board
from swarm.views.facts import FactFinder, Moment


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_call_that_waits_for_budget_is_shown_as_waiting(tmp_path: Path) -> None:
    steps = tuple(Step(id=name, prompt=f"Find {name}.") for name in "abc")
    end = Step(id="end", agent="reducer", prompt="Merge.", after=("a", "b", "c"))
    models = {"default": Model(endpoint="offline", max_tokens=20_000)}
    limits = Limits(tokens=60_000, workers=3)
    task = Task(goal="x", plan=Plan(steps=(*steps, end)), models=models, folder=tmp_path, limits=limits, swarm="always")
    seen: list[Moment] = []

    async def answer(request: Request) -> Reply:
        await anyio.sleep(3)
        seen.append(FactFinder(board).facts(run.state, run.state.t))
        await anyio.sleep(4)
        return reply("It is so. [a]", usage=Usage(calls=1, input_tokens=100 + len(request.model), output_tokens=20))

    run = Run(task, options=Options(endpoint=Function(answer), cache=False, needs_keys=False))
    board = Board(lambda: run.state.t)
    with run.signals.listen(board.hear):
        async with run:
            pass
    assert run.result.status == "done"
    assert seen[0].waiting == {"waiting for budget": 2}
    doing = {agent.id: agent.doing for agent in seen[0].agents}
    assert sorted(doing.values()).count("waiting for budget") == 2
    assert all(agent.waits == (agent.doing == "waiting for budget") for agent in seen[0].agents)
    assert seen[-1].waiting == {}
    assert run.result.parallelism.waiting.budget >= 7
