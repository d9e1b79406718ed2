"""Answers that come at the same time are checked one after the other, so that others have their turns."""

from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record.steps import Status
from swarm.spec.chat import Reply, Request
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.testing import reply

STEPS = 40


class Together:
    """A model that answers all requests at the same moment."""

    def __init__(self) -> None:
        self.waiting = 0
        self.all = anyio.Event()

    async def complete(self, request: Request) -> Reply:
        self.waiting += 1
        if self.waiting == STEPS:
            self.all.set()
        await self.all.wait()
        return reply("It is 5.")


@pytest.mark.anyio
async def test_of_many_answers_at_once_few_are_checked_between_two_turns_of_others(tmp_path: Path) -> None:
    steps = Plan(steps=tuple(Step(id=f"s{n}", prompt=f"Find {n}.") for n in range(STEPS)))
    limits = Limits(workers=STEPS)
    task = Task(goal="All.", folder=tmp_path, plan=steps, limits=limits)
    done: list[int] = [0]
    async with Run(task, options=Options(endpoint=Together(), cache=False)) as run:
        while run.state.finished is None:
            done.append(sum(s.status is Status.DONE for s in run.state.steps.values() if s.id != "reduce"))
            await anyio.lowlevel.checkpoint()
    assert done[-1] == STEPS
    assert max(after - before for before, after in pairwise(done)) <= 2
