"""A run as a program sees it while it works: events, steps that have ended, signals."""

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

import swarm
from swarm.base.errors import EndpointRefused, SwarmError, TaskError
from swarm.lifecycle.options import Options
from swarm.lifecycle.replay import Replay
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.events import Event
from swarm.record.folder import RunFolder
from swarm.record.signals import CallRepeated, PieceHeard, RequestTurned, Signal
from swarm.record.steps import Status
from swarm.results.finished import FinishedStep
from swarm.spec.chat import Reply, Request
from swarm.testing import Answer, FakeServer, reply
from tests.models import WIDE, Model, events_of, four, task, write_notes

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_notes(tmp_path)


def run_of(folder: Path, **more: object) -> Run:
    return Run(task(folder), options=Options(endpoint=Model(plan=WIDE), **more))  # type: ignore[arg-type]


async def heard_until_over(run: Run, hear: Callable[[Signal], None]) -> None:
    with run.signals.listen(hear):
        async for _ in run.progress():
            pass


class TestEvents:
    async def test_are_those_of_the_journal_in_order(self, folder: Path) -> None:
        async with run_of(folder) as run:
            seen = [event async for event in run.events()]
            assert run.over
        assert seen == events_of(run.folder.path)
        assert isinstance(seen[0], e.RunStarted)
        assert isinstance(seen[-1], e.RunFinished)

    async def test_a_slow_reader_delays_nothing_and_misses_nothing(self, folder: Path) -> None:
        seen: list[Event] = []
        over_at = 0
        async with run_of(folder) as run:
            async for event in run.events():
                seen.append(event)
                over_at = over_at or (len(seen) if run.over else 0)
                for _ in range(200):
                    await anyio.lowlevel.checkpoint()
        assert seen == events_of(run.folder.path)
        assert over_at < len(seen) // 2

    async def test_two_readers_see_all_and_one_that_leaves_hurts_nobody(self, folder: Path) -> None:
        counts = [0, 0]

        async def count(number: int, most: int) -> None:
            async for _ in run.events():
                counts[number] += 1
                if counts[number] == most:
                    break

        async with run_of(folder) as run, anyio.create_task_group() as tasks:
            tasks.start_soon(count, 0, 3)
            tasks.start_soon(count, 1, 10_000)
        assert counts == [3, len(events_of(run.folder.path))]

    async def test_end_with_a_run_that_is_cancelled(self, folder: Path) -> None:
        class Silent:
            async def complete(self, request: Request) -> Reply:
                await anyio.sleep_forever()
                raise AssertionError(request)

        seen: list[Event] = []
        async with Run(task(folder), options=Options(endpoint=Silent())) as run:
            async for event in run.events():
                seen.append(event)
                if isinstance(event, e.StepStarted):
                    run.interrupt(grace=0)
        assert isinstance(seen[-1], e.RunFinished)
        assert seen[-1].status == "cancelled"

    async def test_of_a_resumed_run_begin_where_it_was_resumed(self, folder: Path) -> None:
        model = Model({"Do c": EndpointRefused("no", kind="refused")})
        async with Run(four(folder), options=Options(endpoint=model, cache=False)) as run:
            pass
        before = len(events_of(run.folder.path))
        where = RunFolder(run.folder.path)
        async with Run(options=Options(endpoint=Model()), resume=where, failed=True) as again:
            ended: list[str] = []
            events = [event async for event in again.events()]
            ended += [step.id async for step in again.finished()]
        assert isinstance(events[0], e.RunResumed)
        assert events == events_of(run.folder.path)[before:]
        assert sorted(ended) == ["c", "d"]

    async def test_of_a_replay_are_those_of_its_own_journal(self, folder: Path) -> None:
        async with run_of(folder) as run:
            pass
        replay = Replay(RunFolder(run.folder.path))
        async with Run(task(folder), options=replay.options(Options()), replay=replay) as again:
            seen = [event async for event in again.events()]
        assert seen == events_of(again.folder.path)
        assert isinstance(seen[-1], e.RunFinished)

    async def test_before_the_start_there_are_none(self, folder: Path) -> None:
        run = run_of(folder)
        with pytest.raises(SwarmError, match="has not started"):
            await anext(run.events())
        with pytest.raises(SwarmError, match="has not started"):
            await anext(run.finished())


class TestFinished:
    async def test_yields_each_step_once_with_its_output(self, folder: Path) -> None:
        async with run_of(folder) as run:
            steps = [step async for step in run.finished()]
        names = [step.id for step in steps]
        assert names[0] == "plan"
        assert sorted(names[1:-2]) == [f"read.{n}" for n in range(1, 7)]
        assert names[-2:] == ["read", "reduce"]
        by_name = {step.id: step for step in steps}
        listed = by_name["read"]
        assert listed.instances == 6
        assert listed.output == [by_name[f"read.{n}"].output for n in range(1, 7)]
        assert by_name["read.1"].instance_of == "read"
        assert isinstance(by_name["reduce"].output, str)
        assert all(step.status is Status.DONE for step in steps)

    async def test_tells_why_a_step_failed_or_was_skipped(self, folder: Path) -> None:
        model = Model({"Do c": EndpointRefused("no such thing", kind="refused")})
        async with Run(four(folder), options=Options(endpoint=model)) as run:
            steps: dict[str, FinishedStep] = {step.id: step async for step in run.finished()}
        assert (steps["c"].status, steps["c"].output) == (Status.FAILED, None)
        assert steps["c"].error is not None
        assert "no such thing" in steps["c"].error.message
        assert steps["a"].output is not None

    async def test_a_large_output_is_read_from_its_file(self, folder: Path) -> None:
        long = "word " * 19_000
        async with Run(four(folder), options=Options(endpoint=Model({"Do a": long}))) as run:
            steps = {step.id: step async for step in run.finished()}
        assert steps["a"].output == long.strip()


class TestOnEvent:
    async def test_receives_every_event_before_the_result_is_returned(self, folder: Path) -> None:
        seen: list[Event] = []
        result = await swarm.run(task(folder), endpoint=Model(plan=WIDE), on_event=seen.append)
        assert seen == events_of(result.folder)

    async def test_may_be_a_coroutine_function(self, folder: Path) -> None:
        seen: list[Event] = []

        async def take(event: Event) -> None:
            await anyio.lowlevel.checkpoint()
            seen.append(event)

        result = await swarm.run(task(folder), endpoint=Model(plan=WIDE), on_event=take)
        assert seen == events_of(result.folder)

    async def test_that_blocks_does_not_hold_back_the_run(self, folder: Path) -> None:
        over: list[bool] = []

        def slow(event: Event) -> None:
            over.append(run.over)
            time.sleep(0.02)  # noqa: TID251 - it blocks: this is the test

        async with run_of(folder, on_event=slow) as run:
            pass
        assert over.count(False) < len(over) // 2

    async def test_that_raises_loses_nothing_and_is_reported(self, folder: Path) -> None:
        def broken(event: Event) -> None:
            raise ValueError(f"cannot take {event.seq}")

        with pytest.warns(RuntimeWarning, match=r"raised ValueError: cannot take 1 \(.*test_watching.py:\d+\)"):
            result = await swarm.run(task(folder), endpoint=Model(plan=WIDE), on_event=broken)
        assert result.status == "done"

    async def test_must_be_a_function(self, folder: Path) -> None:
        with pytest.raises(TaskError, match=r"on_event: is 3; expected a function"):
            await swarm.run(task(folder), endpoint="offline", on_event=3)  # type: ignore[arg-type]

    async def test_may_not_end_the_program_either(self, folder: Path) -> None:
        def leave(event: Event) -> None:
            raise SystemExit(event.seq)

        with pytest.warns(RuntimeWarning, match="on_event raised SystemExit: 1 .* it was not called again"):
            result = await swarm.run(task(folder), endpoint=Model(plan=WIDE), on_event=leave)
        assert result.status == "done"


class TestErrors:
    async def test_of_the_body_pass_as_they_are(self, folder: Path) -> None:
        run = run_of(folder)

        async def body() -> None:
            async with run:
                async for _ in run.finished():
                    raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await body()
        assert run.over


class TestSignals:
    async def test_pieces_of_answers_are_heard_and_never_recorded(self, folder: Path) -> None:
        heard: list[Signal] = []
        async with FakeServer("The cache needs 12 GB of memory.") as server:
            models = {"default": swarm.Model(endpoint=server.url, name="m", stream=True)}
            run = Run(four(folder, models=models))
            async with run:
                await heard_until_over(run, heard.append)
        pieces = "".join(s.text for s in heard if isinstance(s, PieceHeard) and s.step == "a")
        assert pieces == "The cache needs 12 GB of memory."
        assert [s for s in heard if isinstance(s, e.Stamped)][-1] == events_of(run.folder.path)[-1]
        turns = [s.doing for s in heard if isinstance(s, RequestTurned) and s.step == "a"]
        assert "wire" in turns
        assert turns[-1] is None

    async def test_a_call_that_is_repeated_is_told(self, folder: Path) -> None:
        heard: list[Signal] = []
        async with FakeServer(Answer(status=500, headers={"retry-after": "0.01"}), "Yes.") as server:
            options = Options(endpoint=server.url, model="m", preflight=False)
            async with Run(four(folder), options=options) as run:
                await heard_until_over(run, heard.append)
        assert [s.kind for s in heard if isinstance(s, CallRepeated)] == ["server_error"]

    async def test_a_listener_that_raises_ends_nothing(self, folder: Path) -> None:
        def broken(signal: Signal) -> None:
            raise ValueError(repr(signal))

        async with run_of(folder) as run:
            await heard_until_over(run, broken)
            assert not run.signals
        assert run.result.status == "done"

    async def test_without_a_listener_none_is_made(self, folder: Path) -> None:
        async with run_of(folder) as run:
            assert not run.signals
        assert reply("x").text == "x"
