"""Runs whose server goes away, or queues, on real sockets."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from swarm import Run, Task
from swarm.record import events as e
from swarm.record.journal import read
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Model
from swarm.testing import Answer, FakeServer, Received
from swarm.views.progress import Progress

pytestmark = pytest.mark.anyio


def work(url: str, folder: Path, *, steps: int, workers: int, deadline: float = 300, **fields: object) -> Task:
    """A task of independent steps, whose report is merged without a model."""
    wide = [Step(id=f"s{n}", prompt=f"Say {n}.") for n in range(steps)]
    plan = Plan(steps=(*wide, Step(id="all", merge="list", needs=tuple(step.id for step in wide))))
    models = {"default": Model(endpoint=url, name="m", deadline=deadline)}
    limits = Limits(workers=workers, steps=steps + 1, tokens=None)
    return Task(goal="Say.", models=models, plan=plan, limits=limits, folder=folder, **fields)  # type: ignore[arg-type]


class Restarting:
    """A server that is taken away for some seconds once it has answered enough."""

    def __init__(self, *, after: int, seconds: float, loads: float = 0.0) -> None:
        self.requests = 0
        self.url = ""
        self._after, self._seconds, self._loads = after, seconds, loads
        self._enough = anyio.Event()
        self.gone = anyio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        ready = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._serve, ready)
            await ready.wait()
            yield
            group.cancel_scope.cancel()

    async def _serve(self, ready: anyio.Event) -> None:
        async with FakeServer(respond=self._answer) as server:
            self.url = server.url
            ready.set()
            await self._enough.wait()
        self.gone.set()
        await anyio.sleep(self._seconds)
        port = int(self.url.split(":")[2].split("/")[0])
        if self._loads:
            async with FakeServer(Answer(status=503), port=port):
                await anyio.sleep(self._loads)
        async with FakeServer(respond=self._answer, port=port):
            await anyio.sleep_forever()

    async def _answer(self, received: Received) -> str:
        del received
        await anyio.sleep(0.05)
        self.requests += 1
        if self.requests >= self._after:
            self._enough.set()
        return "ok"


def gone_and_back(run: Run) -> list[str]:
    events = read(run.folder.journal)
    return [type(event).__name__ for event in events if isinstance(event, e.EndpointGone | e.EndpointBack)]


@pytest.mark.parametrize(
    ("workers", "steps", "seconds", "loads"),
    [
        pytest.param(16, 100, 1.0, 0.0, id="16 workers"),
        pytest.param(16, 200, 20.0, 0.0, id="16 workers, 20 s", marks=pytest.mark.slow),  # a server that is away
        pytest.param(300, 1200, 20.0, 0.0, id="300 workers, 20 s", marks=pytest.mark.slow),  # for so long
        pytest.param(16, 100, 3.0, 4.0, id="503 while it loads", marks=pytest.mark.slow),
    ],
)
async def test_a_server_that_restarts_costs_no_step(
    workers: int, steps: int, seconds: float, loads: float, empty: Path
) -> None:
    server = Restarting(after=steps // 3, seconds=seconds, loads=loads)
    said: list[str] = []
    async with server.serving(), Run(work(server.url, empty, steps=steps, workers=workers)) as run:
        shown = Progress(said.append)
        async for state in run.progress():
            shown.show(state)
    assert run.result.status == "done"
    assert gone_and_back(run) == ["EndpointGone", "EndpointBack"]
    (away,) = run.state.away.values()
    assert away.pieces == 1
    assert seconds <= away.seconds <= seconds + loads + 8
    assert run.state.usage.calls <= 1.2 * steps


def queued(url: str, folder: Path) -> Task:
    return work(url, folder, steps=200, workers=200, deadline=2)


@pytest.mark.slow  # ten seconds of a server that does four things at a time
async def test_a_server_that_queues_loses_no_step_to_its_deadline(empty: Path) -> None:
    room, calls = anyio.CapacityLimiter(4), list[int]()

    async def respond(received: Received) -> str:
        del received
        calls.append(1)
        async with room:
            await anyio.sleep(0.2)
        return "ok"

    async with FakeServer(respond=respond) as server, Run(queued(server.url, empty)) as run:
        pass
    assert run.result.status == "done"
    assert len(calls) <= 1.2 * 200


async def test_without_a_number_of_workers_a_run_gets_as_wide_as_its_server_can_use(empty: Path) -> None:
    async with FakeServer("ok", delay=0.3) as server:
        task = work(server.url, empty, steps=150, workers=16)
        limits = task.limits.model_copy(update={"workers": "auto"})
        async with Run(task.model_copy(update={"limits": limits})) as run:
            pass
    assert run.result.status == "done"
    assert server.peak > 20
    widths = [event.after for event in read(run.folder.journal) if isinstance(event, e.SlotsChanged)]
    assert server.peak <= max(widths), "a busy machine may narrow it again at the end"


async def test_an_interrupt_while_it_is_gone_ends_the_run_at_once(empty: Path) -> None:
    server = Restarting(after=5, seconds=1000)
    async with server.serving(), Run(work(server.url, empty, steps=40, workers=4)) as run:
        await server.gone.wait()
        async for state in run.progress():
            if state.away:
                break
        await anyio.sleep(0.3)
        run.interrupt("enough", grace=3600)
    assert run.result.status == "cancelled"


async def test_limits_seconds_ends_the_wait(empty: Path) -> None:
    server = Restarting(after=5, seconds=1000)
    async with server.serving():
        task = work(server.url, empty, steps=40, workers=4)
        limits = task.limits.model_copy(update={"seconds": 2.0})
        async with Run(task.model_copy(update={"limits": limits})) as run:
            pass
    assert run.result.status in ("limit", "failed")
    assert run.state.limits_reached == {"seconds": 2.0}


async def test_after_the_patience_each_step_that_waits_fails_once(empty: Path) -> None:
    server = Restarting(after=5, seconds=1000)
    async with server.serving(), Run(work(server.url, empty, steps=12, workers=4, patience=1.0)) as run:
        pass
    failed = [s for s in run.state.steps.values() if s.error is not None]
    assert failed
    assert all("has been gone for 0:01" in s.error.message for s in failed if s.error is not None)
    assert {s.attempt for s in failed} == {1}
    assert run.result.exit_code == 3
