"""The machine refuses a system call: the run ends with words, nothing is lost, and a resumed run gives the same report.

The n-th call of a run fails with an error of the operating system: too many open files, a full disk, a broken disk, no
permission, no locks. `replace` is rename(2), `fdatasync` is a kind of fsync(2).
"""

import errno
import fcntl
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.base.machine import file_limit, fitting_width, raise_file_limit
from swarm.spec.plan import Plan, Step
from swarm.spec.task import Limits, Task
from swarm.testing import Function
from tests.commands import Command, in_process, only_run, served

ERRORS = (errno.EMFILE, errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOLCK)
CALLS = ("open", "write", "fsync", "fdatasync", "mkdir", "replace", "rename", "ftruncate")
TASK = """\
goal: How much memory does each service need?
inputs: [notes/*.md]
models: {default: {endpoint: offline}}
swarm: always
output: [report.md, out/result.json]
plan:
  - {id: read, each: inputs, prompt: "Read {item}."}
  - {id: sum, prompt: "Which need most?", needs: [read]}
"""


@dataclass
class Machine:
    """The system calls of a run, counted; the one with the number `at` fails with `number`."""

    folder: Path
    at: int = 0
    number: int = 0
    count: int = 0
    failed: list[str] = field(default_factory=list[str])

    def reset(self, at: int = 0, number: int = 0) -> None:
        self.at, self.number, self.count = at, number, 0
        self.failed.clear()

    def hooked(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def hook(*arguments: Any, **more: Any) -> Any:
            if self._is_counted(name, arguments[0]):
                self._look(name, arguments[0])
            return call(*arguments, **more)

        return hook

    def opened(self, fdopen: Callable[..., Any]) -> Callable[..., Any]:
        """Hook writes to files, too: those go past `os.write`."""

        def hook(fd: int, mode: str = "r", *more: Any, **named: Any) -> Any:
            file = fdopen(fd, mode, *more, **named)
            return _Writer(file, self) if mode == "wb" else file

        return hook

    def _is_counted(self, name: str, first: Any) -> bool:
        if name == "write":
            return first not in (1, 2)
        if name != "open":
            return True
        return isinstance(first, str | Path) and Path(first).absolute().is_relative_to(self.folder)

    def _look(self, name: str, first: Any) -> None:
        self.count += 1
        if self.count == self.at:
            self.failed.append(name)
            where = (str(first),) if isinstance(first, str | Path) else ()
            raise OSError(self.number, os.strerror(self.number), *where)

    look = _look


class _Writer:
    """A file whose writes are system calls."""

    def __init__(self, file: Any, machine: Machine) -> None:
        self._file = file
        self._machine = machine

    def write(self, content: bytes) -> int:
        self._machine.look("write", self._file.fileno())
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@pytest.fixture
def machine(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(empty)
    for name in CALLS:
        monkeypatch.setattr(os, name, made.hooked(name, getattr(os, name)))
    monkeypatch.setattr(fcntl, "flock", made.hooked("flock", fcntl.flock))
    monkeypatch.setattr(os, "fdopen", made.opened(os.fdopen))
    return made


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


def anew(folder: Path, steps: int) -> None:
    """Write the task again, without anything that ran."""
    for name in (".swarm", "notes", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "report.md").unlink(missing_ok=True)
    (folder / "task.yaml").write_text(TASK)
    (folder / "notes").mkdir()
    for number in range(steps - 1):
        (folder / "notes" / f"{number:02}.md").write_text(f"Service {number} needs {number} GB of memory.\n")


PARTS = 8
"""Parts of the slow test, so that none reaches the time limit of a test."""
FIRST = 25
"""Calls of a run until its first step."""
RUN = ("run", "task.yaml", "--quiet")


def faults(machine: Machine, command: Command, wanted: str, at: int, number: int) -> list[str]:
    """Fail one call of a run, then resume without a fault; return what is not as it should be."""
    machine.reset(at, number)
    said = command(*RUN)
    what = f"call {at} ({''.join(machine.failed)}), {errno.errorcode[number]}, exit {said.code}"
    begun = list((machine.folder / ".swarm" / "runs").glob("*"))
    found: list[str] = []
    if said.code not in ((0, 1, 3) if begun else (1, 2)):
        found.append("exit code")
    if said.code and str(machine.folder) not in said.err and "notes/" not in said.err and "task.yaml" not in said.err:
        found.append(f"no file is named: {said.err}")
    if "internal error" in said.err or list(machine.folder.rglob("bug*")):
        found.append(f"internal error: {said.err}")
    machine.reset()
    again = command("resume", "last", "--quiet") if begun else command(*RUN)
    if (again.code, again.out) != (0, wanted):
        found.append(f"resumed with exit code {again.code}: {again.err}")
    return [f"{what}: {each}" for each in found]


def undisturbed(machine: Machine, command: Command, steps: int) -> tuple[str, int]:
    """Return the report of a run without a fault, and the number of its system calls."""
    anew(machine.folder, steps)
    machine.reset()
    said = command(*RUN)
    assert (said.code, said.err) == (0, "")
    return said.out, machine.count


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.__getitem__)
def test_fault_144_a_refused_call_ends_a_run_with_words(number: int, machine: Machine, command: Command) -> None:
    """One call in thirty; all of them in the slow test."""
    wanted, count = undisturbed(machine, command, 3)
    found: list[str] = []
    for at in range(1 + number % 30, count + 1, 30):
        anew(machine.folder, 3)
        found += faults(machine, command, wanted, at, number)
    assert found == []


@pytest.mark.slow  # each call of a run of 20 steps fails once, with the next error
@pytest.mark.parametrize("part", range(PARTS))
def test_fault_144_every_call_of_a_run_may_fail(part: int, machine: Machine, command: Command) -> None:
    wanted, count = undisturbed(machine, command, 20)
    assert count > 150
    found: list[str] = []
    for at in range(1 + part, count + 1, PARTS):
        anew(machine.folder, 20)
        found += faults(machine, command, wanted, at, ERRORS[at % len(ERRORS)])
    assert found == []


@pytest.mark.slow  # each call of the start of a run, with each error
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.__getitem__)
def test_fault_144_every_call_of_a_start_may_fail(number: int, machine: Machine, command: Command) -> None:
    wanted, count = undisturbed(machine, command, 2)
    found: list[str] = []
    for at in range(1, min(count, FIRST) + 1):
        anew(machine.folder, 2)
        found += faults(machine, command, wanted, at, number)
    assert found == []


def test_fault_144_a_lock_that_the_file_system_lacks_names_the_cure(machine: Machine, command: Command) -> None:
    anew(machine.folder, 2)

    def unlocked(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", unlocked)
        said = command(*RUN)
    assert said.code == 1
    assert "lock: cannot lock the run: No locks available" in said.errors[0]
    assert "`--runs DIR`" in said.errors[0]
    assert list((machine.folder / ".swarm" / "runs").iterdir()) == [], "no empty run is left"


def test_fault_144_a_journal_that_cannot_be_durable_ends_the_run(machine: Machine, command: Command) -> None:
    anew(machine.folder, 2)

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        said = command(*RUN)
    assert said.code in {0, 1}  # a run that ends before the sync has written every line
    if said.code:
        assert "cannot make the journal durable: Input/output error" in said.errors[0]
    assert command("resume", "last", "--quiet").code == 0


def test_fault_142_pages_are_best_effort(machine: Machine, command: Command) -> None:
    anew(machine.folder, 3)
    write = Path.mkdir

    def refused(path: Path, *more: Any, **named: Any) -> None:
        if path.name == "steps":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "mkdir", refused)
        said = command(*RUN)
    assert said.code == 0
    assert not (only_run(machine.folder) / "steps").exists()


# Connections


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES], ids=errno.errorcode.__getitem__)
def test_fault_142_a_refused_connection_is_tried_again(
    number: int, command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, tries = socket.socket.connect, iter((True,))

    def refused(self: socket.socket, address: Any) -> None:
        if next(tries, False):
            raise OSError(number, os.strerror(number))
        connect(self, address)

    with served(lambda _: "12 GB") as server:
        monkeypatch.setattr(socket.socket, "connect", refused)
        said = command("run", "--goal", "How much?", "--endpoint", server.url, "--model", "m", "--quiet")
    assert "internal error" not in said.err
    assert said.code in {0, 1, 2}


# Open files


@pytest.fixture
def files() -> Iterator[Callable[[int], None]]:
    """Set the soft limit of open files; afterwards it is as before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit(soft: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_fault_142_the_command_raises_the_limit_of_open_files(files: Callable[[int], None]) -> None:
    files(200)
    raise_file_limit()
    limit = file_limit()
    assert limit is None or limit > 200


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_fault_142_the_width_fits_the_limit_of_open_files(files: Callable[[int], None]) -> None:
    assert fitting_width(3).workers == 3
    files(open_files() + 40)
    assert 1 <= fitting_width(300).workers < 40
    files(open_files() + 1)
    assert fitting_width(300).workers == 1


@pytest.mark.anyio
async def test_fault_142_a_bounded_width_is_said(files: Callable[[int], None], tmp_path: Path) -> None:
    files(open_files() + 60)
    steps = tuple(Step(id=f"s{n}", prompt="Read.") for n in range(100))
    task = Task(goal="x", plan=Plan(steps=steps), swarm="always", folder=tmp_path, limits=Limits(workers=300))
    async with swarm.Run(task, endpoint=Function(lambda _: "12 GB")) as run:
        pass
    assert run.result.status in {"done", "partial"}
    (said,) = [each for each in run.warnings if "steps run in parallel" in each]
    assert "ulimit -n" in said
    assert run.result.parallelism.peak < 60


@pytest.mark.slow  # a process of its own, with 64 open files
def test_fault_142_a_wide_run_with_64_open_files(empty: Path) -> None:
    (empty / "notes").mkdir()
    for number in range(150):
        (empty / "notes" / f"{number}.md").write_text(f"Service {number} needs {number} GB.\n")
    with served(lambda _: "12 GB") as server:
        (empty / "task.yaml").write_text(
            f"goal: x\ninputs: [notes/*.md]\nswarm: always\nlimits: {{workers: 150}}\n"
            f"models: {{default: {{endpoint: '{server.url}', name: m, calls: 150}}}}\n"
            "plan: [{id: a, each: inputs, prompt: 'Read {item}.'}]\n"
        )
        shell = 'ulimit -n 64 && exec "$0" -m swarm.cli run task.yaml'
        done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "this process may open 64 files" in done.stderr
