"""Runs of other processes: watched by their journal, and ended by a request or a confirmed signal."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from swarm.base.errors import JournalError
from swarm.cli.follow import follow_run
from swarm.cli.interrupts import Interrupts
from swarm.cli.stop import holder_of
from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run
from swarm.record import events as e
from swarm.record.folder import STOP, RunFolder, create
from swarm.record.journal import encode
from swarm.record.recorded import recorded
from swarm.record.tail import Tail
from tests.commands import Command, ended, in_process, serving, start
from tests.models import Model, events_of, four
from tests.terminals import record

SLOW = {"when": "", "text": "The service needs 3 GB of memory and two disks.", "pause": 1.0}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture
def finished(empty: Path) -> Path:
    async def body() -> Path:
        async with Run(four(empty), options=Options(endpoint=Model())) as run:
            pass
        return run.folder.path

    return anyio.run(body)


@pytest.fixture
def running(empty: Path, finished: Path) -> Path:
    """A folder of a run that has not ended, as a process leaves it that is killed."""
    journal = finished / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    owned_by(finished, 2**22 + 1)
    return finished


def owned_by(folder: Path, process: int) -> None:
    (folder / "lock").write_text(f"process {process} on {os.uname().nodename}\n")


class TestTail:
    def test_it_reads_what_is_appended_and_only_complete_lines(self, finished: Path) -> None:
        folder, events = RunFolder(finished), events_of(finished)
        whole = folder.journal.read_bytes()
        size = len(encode(events[0]))
        with Tail(folder, size, 1) as tail:
            folder.journal.write_bytes(whole[:-10])
            assert tail.read() == events[1:-1]
            assert tail.read() == []
            with folder.journal.open("ab") as file:
                file.write(whole[-10:])
            assert tail.read() == events[-1:]

    def test_a_line_that_is_not_the_next_event_is_refused(self, finished: Path) -> None:
        with Tail(RunFolder(finished), 0, 3) as tail, pytest.raises(JournalError, match="expected event 4"):
            tail.read()

    def test_a_link_is_not_followed(self, finished: Path) -> None:
        journal = finished / "journal.jsonl"
        journal.rename(finished / "other")
        journal.symlink_to(finished / "other")
        with pytest.raises(JournalError, match="it is a link"):
            Tail(RunFolder(finished), 0, 0)


class TestRequest:
    def test_the_owner_takes_it_once(self, tmp_path: Path) -> None:
        folder = create(tmp_path)
        folder.acquire()
        other = RunFolder(folder.path)
        other.ask_to_stop()
        assert other.is_asked_to_stop
        assert folder.take_stop()
        assert not folder.take_stop()
        folder.release()

    def test_one_to_a_former_owner_is_forgotten(self, tmp_path: Path) -> None:
        folder = create(tmp_path)
        folder.ask_to_stop()
        folder.acquire()
        assert not folder.take_stop()
        folder.release()

    def test_a_link_is_neither_followed_nor_a_request(self, tmp_path: Path) -> None:
        folder = create(tmp_path / "runs")
        precious = tmp_path / "precious"
        (folder.path / STOP).symlink_to(precious)
        with pytest.raises(OSError, match="it is a link"):
            folder.ask_to_stop()
        assert not folder.take_stop()
        assert not precious.exists()

    def test_it_counts_as_ctrl_c(self) -> None:
        interrupts = Interrupts()
        interrupts.ask()
        assert (interrupts.received, interrupts.exit_code) == (signal.SIGINT, 130)


class TestHolder:
    def locks(self, folder: Path, lock: Path, process: int, kind: str = "FLOCK ") -> Path:
        found = lock.stat()
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        path = folder / "locks"
        path.write_text(
            f"1: POSIX  ADVISORY  READ  1 08:01:99 128 128\n2: {kind} ADVISORY  WRITE {process} {place} 0 EOF\n"
        )
        return path

    def test_it_is_the_process_of_this_user_that_the_system_names(self, tmp_path: Path) -> None:
        lock = tmp_path / "lock"
        lock.touch()
        parent = os.getppid()
        assert holder_of(lock, self.locks(tmp_path, lock, parent)) == parent

    @pytest.mark.parametrize("process", [0, os.getpid(), 2**22 + 1], ids=["none", "this", "gone"])
    def test_it_is_never_this_process_or_one_that_is_gone(self, tmp_path: Path, process: int) -> None:
        lock = tmp_path / "lock"
        lock.touch()
        assert holder_of(lock, self.locks(tmp_path, lock, process)) is None

    def test_the_lock_of_another_file_does_not_count(self, tmp_path: Path) -> None:
        lock, other = tmp_path / "lock", tmp_path / "other"
        lock.touch()
        other.touch()
        assert holder_of(lock, self.locks(tmp_path, other, os.getppid())) is None
        assert holder_of(lock, tmp_path / "no such file") is None


class TestCommands:
    def test_a_run_that_has_ended_is_not_stopped(self, command: Command, finished: Path) -> None:
        said = command("stop", "last")
        assert said.code == 0
        assert f"note: not running: run {finished.name}: done, 4 of 4 steps done" in said.err
        assert not (finished / STOP).exists()

    def test_a_run_whose_process_is_gone_is_not_stopped(self, command: Command, running: Path) -> None:
        said = command("stop", "last", "--json")
        assert (said.code, said.json["status"]) == (0, "stopped")

    def test_a_run_of_another_machine_that_does_not_react(self, command: Command, running: Path) -> None:
        (running / "lock").write_text("process 1 on another-machine\n")
        said = command("stop", "last", "--wait", "0")
        assert said.code == 75
        assert "has not ended after 0 s" in said.err
        assert (running / STOP).exists()

    def test_a_run_that_has_ended_is_shown(self, command: Command, finished: Path) -> None:
        said = command("show", "last", "--follow")
        assert said.code == 0
        assert said.out == command("show", "last").out

    def test_a_run_whose_process_is_gone_is_shown_and_not_waited_for(self, command: Command, running: Path) -> None:
        said = command("show", "last", "--follow")
        assert said.code == 0
        assert "stopped before the end" in said.err

    def test_a_step_is_not_followed(self, command: Command, finished: Path) -> None:
        said = command("show", "last", "a", "--follow")
        assert said.code == 2
        assert "--follow shows a whole run" in said.err

    def test_a_page_of_a_run_of_another_process_ends_with_the_watching(
        self, running: Path, finished: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        owned_by(running, os.getppid())  # alive, so it is waited for
        last = encode(e.RunFinished(status="done", t=9.0, seq=len(events_of(running)) + 1, at=1.0))

        def end_it() -> None:
            while not any(thread.name == "web" for thread in threading.enumerate()):
                pass
            with (running / "journal.jsonl").open("ab") as journal:
                journal.write(last)

        ends = threading.Thread(target=end_it)
        ends.start()
        with ExitStack() as after:
            follow_run(RunFolder(running), after)
            (address,) = re.findall("(?m)^page: http://127.0.0.1:([0-9]+)/.{32}/$", capsys.readouterr().err)
            socket.create_connection(("127.0.0.1", int(address)), 5).close()
        ends.join()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(address)), 5)

    def test_a_page_without_watching_is_refused(self, command: Command, finished: Path) -> None:
        said = command("show", "last", "--web")
        assert said.code == 2
        assert "add --follow" in said.err

    def test_a_list_without_a_running_run_is_printed(self, command: Command, finished: Path) -> None:
        assert command("runs", "--follow").out == command("runs").out


def slow_task(folder: Path, url: str) -> None:
    task = {
        "goal": "How much memory?",
        "models": {"default": {"endpoint": url, "name": "m", "stream": True}},
        "swarm": "always",
        "plan": [{"id": "a", "prompt": "Do a."}, {"id": "b", "prompt": "Do b.", "needs": ["a"]}],
    }
    (folder / "task.yaml").write_text(json.dumps(task))


def rules(folder: Path) -> str:
    (folder / "rules.json").write_text(json.dumps([SLOW]))
    return str(folder / "rules.json")


def begun(process: "subprocess.Popen[str]", folder: Path) -> Path:
    """Wait until a step of a run has started."""
    while process.poll() is None:
        for path in folder.glob(".swarm/runs/*/journal.jsonl"):
            if b'"StepStarted"' in path.read_bytes():
                return path.parent
    raise AssertionError("the run ended")


@pytest.mark.slow  # real processes, and seconds of grace
class TestProcesses:
    def test_stop_ends_a_run_of_the_command_as_ctrl_c_does(self, empty: Path) -> None:
        with serving("--rules", rules(empty)) as url:
            slow_task(empty, url)
            process = start("run", "task.yaml", "--grace", "0", folder=empty)
            run = begun(process, empty)
            stopped = ended(start("stop", "last", folder=empty))
            said = ended(process)
            assert stopped.code == 0
            assert "cancelled, 0 of 2 steps done" in stopped.err
            assert f"next: swarm resume {run.name}" in stopped.err
            assert said.code == 130
            assert "Interrupted." in said.err
        last = events_of(run)[-1]
        assert isinstance(last, e.RunFinished)
        assert (last.status, last.because) == ("cancelled", "interrupted")
        resumed = ended(start("resume", run.name, "--endpoint", "offline", folder=empty))
        assert resumed.code in (0, 3)

    def test_stop_interrupts_a_python_program_that_holds_the_lock(self, empty: Path) -> None:
        program = "import signal, swarm\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        program += "swarm.run_sync('task.yaml')\n"
        with serving("--rules", rules(empty)) as url:
            slow_task(empty, url)
            process = subprocess.Popen(
                [sys.executable, "-c", program], cwd=empty, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            run = begun(process, empty)
            stopped = ended(start("stop", "last", folder=empty))
            _, err = process.communicate(timeout=60)
        assert stopped.code == 0
        assert "KeyboardInterrupt" in err
        assert recorded(RunFolder(run)).state.finished is not None

    def test_a_forged_lock_cannot_make_it_signal_another_process(self, empty: Path, running: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as victim:
            owned_by(running, victim.pid)
            stopped = ended(start("stop", "last", "--wait", "5", folder=empty))
            assert stopped.code == 75
            assert "cannot be confirmed" in stopped.err
            assert victim.poll() is None
            victim.communicate()

    def test_a_run_is_followed_to_its_end_from_another_terminal(self, empty: Path) -> None:
        with serving("--rules", rules(empty)) as url:
            slow_task(empty, url)
            process = start("run", "task.yaml", folder=empty)
            begun(process, empty)
            found = record(empty, "show", "last", "--follow", size=(100, 40))
            said = ended(process)
        assert (found.code, said.code) == (0, 0)
        frames = [screen for screen in found.screens if any("▓" in line for line in screen)]
        assert any("a" in line and "working" in line for screen in frames for line in screen)
        assert any("2 of 2" in line or "done" in line for line in found.lines)
