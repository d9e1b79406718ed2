"""Nothing done twice: a command reads the task once, and the journal of its run once.

The child process counts the files that it opens for reading, with a hook of the interpreter. Two other readers of a
journal are not counted: the follower that prints events while a run writes them, and the estimate from earlier runs.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.commands import TASK, at_terminal, ended, environment, make_task, only_run, start

HOOK = """\
import os, sys
readers, target = ("follow.py", "expect.py"), os.environ["OPENED"]

def is_other_reader():
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.endswith(readers):
            return True
        frame = frame.f_back
    return False

def note(event, arguments):
    if event != "open" or not isinstance(arguments[0], str) or arguments[2] & os.O_ACCMODE != os.O_RDONLY:
        return
    path = os.path.abspath(arguments[0])
    if os.path.basename(path) in ("task.yaml", "journal.jsonl") and not is_other_reader():
        fd = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, (path + chr(10)).encode())
        os.close(fd)

sys.addaudithook(note)
"""


@pytest.fixture
def folder(empty: Path) -> Path:
    make_task(empty)
    (empty / "hook").mkdir()
    (empty / "hook" / "sitecustomize.py").write_text(HOOK)
    return empty


def ask(folder: Path) -> None:
    (folder / "task.yaml").write_text(TASK + "approve: ask\n")


def reads(folder: Path, *arguments: str, types: str | None = None, code: int = 0) -> Counter[str]:
    """Run a command, on a terminal if something is typed, and count the reads of its task and its journal."""
    noted = folder / "opened"
    noted.unlink(missing_ok=True)
    variables = {"PYTHONPATH": str(folder / "hook"), "OPENED": str(noted)}
    if types is None:
        said = ended(start(*arguments, folder=folder, env=environment(**variables)))
        found, shown = said.code, said.err
    else:
        found, shown = at_terminal(folder, *arguments, types=types, **variables)
    assert found == code, shown
    paths = noted.read_text().splitlines() if noted.exists() else []
    task = str(folder / "task.yaml")
    return Counter("task" if path == task else Path(path).name for path in paths)


def interrupt(folder: Path) -> None:
    """Cut the journal of the only run before its first worker ended, and add half a line."""
    journal = only_run(folder) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    events = [json.loads(line)["event"] for line in lines]
    last = events.index("StepFinished", events.index("StepFinished") + 1)
    journal.write_bytes(b"".join(lines[:last]) + lines[last][:20])


def test_a_run_reads_its_task_once(folder: Path) -> None:
    assert reads(folder, "run", "task.yaml") == {"task": 1}


def test_a_plan_reads_its_task_once(folder: Path) -> None:
    assert reads(folder, "plan", "task.yaml") == {"task": 1}


def test_a_check_reads_its_task_once(folder: Path) -> None:
    assert reads(folder, "check", "task.yaml") == {"task": 1}


def test_a_run_that_is_approved_is_prepared_once(folder: Path) -> None:
    ask(folder)
    assert reads(folder, "run", "task.yaml", types="y\n") == {"task": 1, "journal.jsonl": 1}


def test_an_approved_run_with_a_plan_of_its_own_is_prepared_once(folder: Path) -> None:
    models = "models: {default: {endpoint: offline}}\n"
    plan = f"plan: [{{id: a, prompt: Say it.}}]\n{models}inputs: [notes/*.md]\napprove: ask\n"
    (folder / "task.yaml").write_text(plan)
    assert reads(folder, "run", "task.yaml", types="y\n") == {"task": 1}


@pytest.mark.parametrize("more", [(), ("--yes",), ("--jsonl",), ("-v",)])
def test_a_resumed_run_reads_its_task_and_its_journal_once(folder: Path, more: tuple[str, ...]) -> None:
    reads(folder, "run", "task.yaml")
    interrupt(folder)
    assert reads(folder, "resume", "last", *more) == {"task": 1, "journal.jsonl": 1}


def test_a_resumed_run_that_is_approved_reads_them_once(folder: Path) -> None:
    ask(folder)
    reads(folder, "run", "task.yaml", code=5)
    assert reads(folder, "resume", "last", types="y\n") == {"task": 1, "journal.jsonl": 1}


def test_a_run_that_is_planned_again_reads_its_journal_once_a_stretch(folder: Path) -> None:
    ask(folder)
    reads(folder, "run", "task.yaml", code=5)
    (folder / "task.yaml").write_text(TASK.replace("service need", "service need now") + "approve: ask\n")
    assert reads(folder, "resume", "last", types="y\n") == {"task": 1, "journal.jsonl": 2}


def test_a_replay_reads_both_once(folder: Path) -> None:
    reads(folder, "run", "task.yaml")
    assert reads(folder, "run", "task.yaml", "--replay", "last") == {"task": 1, "journal.jsonl": 1}
