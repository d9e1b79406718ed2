"""The command in its own process: signals, closed readers and streams, terminals."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.cli.streams import wants_color
from swarm.record.journal import read
from tests.commands import Said, at_terminal, ended, events_of, make_task, only_run, serving, start

STEPS = "{id: quick, prompt: quick-step}, {id: slow, prompt: slow-step}, {id: last, prompt: x, needs: [quick, slow]}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an endpoint that is slower than any test for one of the steps."""
    rules = tmp_path_factory.mktemp("server") / "rules.json"
    rules.write_text(json.dumps([{"when": "slow-step", "delay": 100}]))
    with serving("--rules", str(rules)) as served:
        yield served


@pytest.fixture(scope="module")
def quick_url() -> Iterator[str]:
    """Serve an endpoint that answers immediately."""
    with serving() as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path, url: str) -> Path:
    """Make a folder with a task that takes a while, and one that does not."""
    model = f"models: {{default: {{endpoint: '{url}', name: fake}}}}"
    (tmp_path / "slow.yaml").write_text(f"{model}\nplan: [{STEPS}]\n")
    return make_task(tmp_path)


def started(folder: Path, *more: str) -> "subprocess.Popen[str]":
    """Start the run that takes a while, and wait until the quick step is done and the slow one runs."""
    return under_way(start("run", "slow.yaml", *more, folder=folder))


def under_way(process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
    """Wait until the quick step is done."""
    assert process.stderr is not None
    for line in process.stderr:
        if "quick done" in line:
            return process
    raise AssertionError("the run ended")


def finish(folder: Path, quick_url: str) -> Said:
    """Resume the only run; now the same model answers immediately."""
    return ended(start("resume", "last", "--endpoint", quick_url, "--model", "fake", folder=folder))


def starts(run: Path, step: str) -> int:
    """Count the attempts at a step."""
    return sum(event["event"] == "StepStarted" and event["step"] == step for event in events_of(run))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_ends_a_run_well(folder: Path, quick_url: str, number: int, code: int) -> None:
    process = started(folder, "--grace", "0.3")
    process.send_signal(number)
    said = ended(process)
    run = only_run(folder)
    assert (said.code, said.out) == (code, "")
    assert "Waiting up to 0.3 s for 1 running step;" in said.err
    assert f"swarm resume {run.name}" in said.err
    last = events_of(run)[-1]
    assert (last["event"], last["status"]) == ("RunFinished", "cancelled")
    assert finish(folder, quick_url).code == 0
    assert (starts(run, "quick"), starts(run, "slow"), starts(run, "last")) == (1, 2, 1)


def test_the_second_signal_ends_the_process(folder: Path, quick_url: str) -> None:
    process = started(folder, "--grace", "60")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("Waiting up to 60 s for 1 running step;" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 143
    run = only_run(folder)
    assert [event.event for event in read(run / "journal.jsonl")][-1] != "RunFinished", "nothing was cleaned up"
    assert finish(folder, quick_url).code == 0
    assert (starts(run, "quick"), starts(run, "slow"), starts(run, "last")) == (1, 2, 1)


def test_a_hangup_that_was_ignored_at_the_start_stays_ignored(folder: Path) -> None:
    command = ["nohup", sys.executable, "-m", "swarm.cli", "run", "slow.yaml", "--grace", "0.3"]
    pipe = subprocess.PIPE
    process = under_way(
        subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
    )
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 143
    last = events_of(only_run(folder))[-1]
    assert (last["event"], last["status"]) == ("RunFinished", "cancelled"), "SIGTERM came first"


def test_a_signal_before_a_run_has_begun_just_ends(folder: Path) -> None:
    reader, writer = os.pipe()
    process = start("run", "-", folder=folder, stdin=reader)
    os.close(reader)
    written = 0
    while written < 200_000:  # more than a pipe holds: once it is written, the command reads
        written += os.write(writer, b"#" * 10_000)
    process.send_signal(signal.SIGINT)
    said = ended(process)
    os.close(writer)
    assert said == Said(130, "", "")
    assert not (folder / ".swarm").exists()


def test_a_reader_that_goes_away_stops_nothing(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start("run", "task.yaml", "--jsonl", folder=folder, stdout=writer)
    os.close(writer)
    said = ended(process)
    assert said.code == 0
    assert "Broken" not in said.err
    assert "Exception" not in said.err
    assert events_of(only_run(folder))[-1]["status"] == "done"


def test_nobody_on_stderr_stops_nothing(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start("run", "task.yaml", folder=folder, stderr=writer)
    os.close(writer)
    said = ended(process)
    assert said.code == 0
    assert "12 GB" in said.out


def test_closed_streams_are_no_place_for_a_journal(folder: Path) -> None:
    shell = f"exec {sys.executable} -m swarm.cli run task.yaml <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", shell], cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [event.event for event in read(only_run(folder) / "journal.jsonl")][-1] == "RunFinished"


def test_a_full_disk_is_told(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        said = ended(start("run", "task.yaml", "--quiet", folder=folder, stdout=full))
    assert said.code == 1
    assert said.errors == ["cannot write the answer: No space left on device"]


def test_help_may_be_cut_short_too(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start("run", "--help", folder=folder, stdout=writer)
    os.close(writer)
    assert ended(process) == Said(0, "", "")
    with Path("/dev/full").open("w") as full:
        said = ended(start("--help", folder=folder, stdout=full))
    assert (said.code, said.errors) == (1, ["No space left on device"])


def test_a_slow_reader_holds_back_no_run(folder: Path) -> None:
    (folder / "notes" / "long.md").write_text("A long line of words that fills a pipe. " * 4000)
    reader, writer = os.pipe()
    process = start("run", "task.yaml", "--jsonl", folder=folder, stdout=writer)
    os.close(writer)
    while process.poll() is None and not _is_over(folder):
        select.select([], [], [], 0.02)
    assert process.poll() is None, "it still has something to print"
    with os.fdopen(reader) as answer:
        printed = [json.loads(line)["event"] for line in answer]
    assert printed == [event["event"] for event in events_of(only_run(folder))]
    assert ended(process).code == 0


def _is_over(folder: Path) -> bool:
    runs = folder / ".swarm" / "runs"
    return runs.exists() and any('"RunFinished"' in path.read_text() for path in runs.glob("*/journal.jsonl"))


# Terminals


@pytest.mark.parametrize(
    ("terminal", "no_color", "wanted"), [("xterm", "", True), ("dumb", "", False), ("xterm", "1", False)]
)
def test_colours_are_asked_for(terminal: str, no_color: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    main, side = pty.openpty()
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    with os.fdopen(side, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        assert wants_color() is wanted
        monkeypatch.undo()
    os.close(main)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_a_person_is_asked(folder: Path, answer: str, code: int) -> None:
    (folder / "task.yaml").write_text((folder / "task.yaml").read_text() + "approve: ask\n")
    ended_with, shown = at_terminal(folder, "run", "task.yaml", types=answer, NO_COLOR="", TERM="xterm")
    run = only_run(folder)
    assert "Run this plan? [y/N]" in shown
    assert "STAGE" in shown
    assert "\x1b[32m" in shown, "a terminal has colours"
    assert ended_with == code
    assert ("12 GB" in shown) == (code == 0)
    assert any(event["event"] == "StepStarted" and event["step"] == "reduce" for event in events_of(run)) == (code == 0)


def test_the_module_is_the_command(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "swarm.cli", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout[:6], done.stderr) == (0, "swarm ", "")
