"""Equal attempts take turns: within a process by a lock, between processes by a lock file."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarm.attempt.types import Attempt
from swarm.base.errors import AnswerError
from swarm.executors.cached import Cached
from swarm.executors.turns import Turns
from swarm.record.cache import Cache
from swarm.record.outcome import Outcome
from swarm.spec.chat import Usage
from swarm.spec.plan import Step
from tests.swarms import WORKER

pytestmark = pytest.mark.anyio
virtual = pytest.mark.virtual

HOLD = """
import fcntl, os, sys
held = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def attempt(prompt: str = "Do it.", **more: Any) -> Attempt:
    return Attempt(run="r", step=Step(id="a", prompt=prompt), agent=WORKER, **more)


class Slow:
    """An executor that takes ten seconds, and fails as often as it is told to."""

    def __init__(self, fails: int = 0) -> None:
        self.calls = 0
        self.at_once = 0
        self._fails = fails
        self._running = 0

    async def execute(self, attempt: Attempt, note: Any) -> Outcome:
        self.calls += 1
        self._running += 1
        self.at_once = max(self.at_once, self._running)
        try:
            await anyio.sleep(10)
        finally:
            self._running -= 1
        if self.calls <= self._fails:
            raise AnswerError("no", kind="empty")
        return Outcome(output=f"{attempt.step.prompt} {self.calls}", usage=Usage(calls=1))


def cached(inner: Slow, folder: Path | None, *, is_repeatable: bool = True) -> Cached:
    return Cached(
        inner,
        known={},
        cache=None if folder is None else Cache(folder),
        is_repeatable=lambda _: is_repeatable,
        is_stable=lambda _: True,
        clean=str,
        content=lambda _: b"",
    )


async def together(*executors: Cached, made: tuple[Attempt, ...]) -> list[Outcome | Exception]:
    """Run attempts at the same time, each with its executor."""
    found: dict[int, Outcome | Exception] = {}

    async def run(n: int, executor: Cached, each: Attempt) -> None:
        try:
            found[n] = await executor.execute(each, lambda _: None)
        except AnswerError as error:
            found[n] = error

    async with anyio.create_task_group() as tasks:
        for n, each in enumerate(made):
            tasks.start_soon(run, n, executors[n % len(executors)], each)
    return [found[n] for n in sorted(found)]


@virtual
class TestInOneProcess:
    async def test_fault_151_of_equal_attempts_in_flight_one_is_paid_for(self, tmp_path: Path) -> None:
        slow = Slow()
        began = anyio.current_time()
        found = await together(cached(slow, tmp_path), made=(attempt(), attempt(), attempt("Other."), attempt()))
        assert anyio.current_time() - began == 10, "others do not wait for them"
        assert slow.calls == 2
        outcomes = [each for each in found if isinstance(each, Outcome)]
        assert len({str(each.output) for each in outcomes}) == 2
        assert sorted(each.cached for each in outcomes) == [False, False, True, True]
        assert sum(each.usage.calls for each in outcomes) == 2
        assert list(tmp_path.rglob("*.lock")) == []

    async def test_two_runs_of_one_program_wait_for_each_other_too(self, tmp_path: Path) -> None:
        slow = Slow()
        found = await together(cached(slow, tmp_path), cached(slow, tmp_path), made=(attempt(), attempt()))
        assert (slow.calls, len(found)) == (1, 2)

    async def test_a_failure_is_not_shared(self, tmp_path: Path) -> None:
        slow = Slow(fails=1)
        found = await together(cached(slow, tmp_path), made=(attempt(), attempt(), attempt()))
        assert sorted(isinstance(each, Exception) for each in found) == [False, False, True]
        assert (slow.calls, slow.at_once) == (2, 1)

    @pytest.mark.parametrize("kind", ["no cache", "an effect", "no identity"])
    async def test_what_is_not_cached_does_not_wait(self, kind: str, tmp_path: Path) -> None:
        slow = Slow()
        executor = cached(slow, None if kind == "no cache" else tmp_path, is_repeatable=kind != "an effect")
        made = attempt(endpoints=None) if kind == "no identity" else attempt()
        await together(executor, made=(made, made))
        assert (slow.calls, slow.at_once, list(tmp_path.rglob("*.*"))) == (2, 2, [])

    async def test_one_that_is_cancelled_while_it_runs_or_waits_hands_its_turn_on(self, tmp_path: Path) -> None:
        turns, lock, log = Turns(), tmp_path / "k.lock", list[str]()

        async def take(name: str, seconds: float) -> None:
            with anyio.move_on_after(seconds):
                async with turns.at("k", lock):
                    log.append(name)
                    await anyio.sleep(100)

        async with anyio.create_task_group() as tasks:
            for name, seconds in (("runs", 5), ("waits", 3), ("last", 10)):
                tasks.start_soon(take, name, seconds)
                await anyio.wait_all_tasks_blocked()
        assert log == ["runs", "last"]
        async with turns.at("k", lock):
            assert lock.exists()
        assert not lock.exists()

    async def test_a_lock_file_of_another_holder_is_asked_for_more_and_more_rarely(self, tmp_path: Path) -> None:
        lock = tmp_path / "k.lock"
        held = os.open(lock, os.O_RDWR | os.O_CREAT)
        fcntl.flock(held, fcntl.LOCK_EX)
        began = anyio.current_time()

        async def let_go() -> None:
            await anyio.sleep(60)
            os.close(held)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_go)
            async with Turns().at("k", lock):
                assert 60 <= anyio.current_time() - began <= 61

    @pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
    async def test_without_locks_nobody_waits(self, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", refuse)
        async with Turns().at("k", tmp_path / "k.lock"), Turns().at("k", tmp_path / "k.lock"):
            assert list(tmp_path.iterdir()) == []
        async with Turns().at("k", Path("/dev/null/there/k.lock")):
            pass


@contextmanager
def held_elsewhere(path: Path) -> Generator[subprocess.Popen[bytes]]:
    """Let another process hold a lock file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-I", "-S", "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


async def test_an_attempt_that_runs_in_another_process_is_waited_for_and_its_outcome_is_taken(tmp_path: Path) -> None:
    slow, cache = Slow(), Cache(tmp_path)
    executor = cached(slow, tmp_path)
    made = attempt()
    with held_elsewhere(cache.lock_of(made.key)) as other:
        found: list[Outcome | Exception] = []

        async def ask() -> None:
            found.extend(await together(executor, made=(made,)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert slow.calls == 0
            # The other process stores its outcome, and dies before it removes its lock.
            cache.put(executor.entry_of(made, Outcome(output="of the other")))
            other.kill()
    (outcome,) = found
    assert isinstance(outcome, Outcome)
    assert (outcome.output, outcome.cached, slow.calls) == ("of the other", True, 0)


async def test_a_holder_that_died_blocks_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "k.lock"
    with held_elsewhere(lock):
        pass
    assert lock.exists()
    with anyio.fail_after(10):
        async with Turns().at("k", lock):
            pass
    assert not lock.exists()
