"""Approval of a plan without a terminal: no test has one on stdin."""

from pathlib import Path

import pytest

from tests.commands import TASK, Command, events_of, in_process, make_task, only_run


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""
    return in_process(capsys)


@pytest.fixture
def folder(empty: Path) -> Path:
    """Make a folder with a task that needs approval the current one."""
    make_task(empty)
    (empty / "task.yaml").write_text(TASK + "approve: ask\n")
    return empty


def test_nobody_to_ask_saves_the_plan(command: Command, folder: Path) -> None:
    said = command("run", "task.yaml", "--web")
    run = only_run(folder)
    assert (said.code, said.out) == (5, "")
    assert said.err.count("page: http://127.0.0.1:") == 1  # the planning is served
    assert (run / "plan.yaml").is_file()
    assert f"{run.name}/plan.yaml" in said.errors[0]
    assert f"swarm resume {run.name} --yes" in said.errors[0]
    assert "STAGE" in said.err


def test_resuming_is_no_way_around(command: Command, folder: Path) -> None:
    command("run", "task.yaml")
    run = only_run(folder)
    before = len(events_of(run))
    assert command("resume", "last").code == 5
    assert len(events_of(run)) == before
    said = command("resume", "last", "--yes")
    assert said.code == 0
    assert "12 GB" in said.out
    assert command("resume", "last").code == 0, "what was approved once is approved"


def test_resuming_before_there_is_a_plan_only_plans(command: Command, folder: Path) -> None:
    command("run", "task.yaml")
    journal = only_run(folder) / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    said = command("resume", "last")
    assert (said.code, said.out) == (5, "")
    started = {event["step"] for event in events_of(journal.parent) if event["event"] == "StepStarted"}
    assert started == {"plan"}


def test_what_is_approved_is_what_runs(command: Command, folder: Path) -> None:
    command("run", "task.yaml")
    run = only_run(folder)
    (folder / "task.yaml").write_text(TASK.replace("service need", "service need now") + "approve: ask\n")
    said = command("resume", "last")
    assert said.code == 5
    assert "need now" in (run / "plan.yaml").read_text(), "the task changed, so it was planned anew, and nothing else"
    assert {event["step"] for event in events_of(run) if event["event"] == "StepStarted"} == {"plan"}
    (folder / "task.yaml").write_text("approve: ask\nplan: [{id: mine, prompt: Say it.}]\n")
    said = command("resume", "last")
    assert said.code == 5
    assert "mine" in said.err
    assert not any(event["event"] == "StepStarted" and event["step"] == "mine" for event in events_of(run))


def test_a_task_that_asks_no_more_just_goes_on(command: Command, folder: Path) -> None:
    command("run", "task.yaml")
    (folder / "task.yaml").write_text(TASK)
    assert command("resume", "last").code == 0


def test_yes_is_said_beforehand(command: Command, folder: Path) -> None:
    assert command("run", "task.yaml", "--yes", "--quiet").code == 0


def test_a_plan_of_the_task_is_approved_too(command: Command, folder: Path) -> None:
    (folder / "task.yaml").write_text("approve: ask\nplan: [{id: a, prompt: Say it.}]\n")
    said = command("run", "task.yaml", "--endpoint", "offline")
    assert (said.code, said.out) == (5, "")
    assert "--yes" in said.errors[0]
    assert not (folder / ".swarm").exists()


def test_looking_at_a_plan_needs_no_approval(command: Command, folder: Path) -> None:
    said = command("plan", "task.yaml")
    assert said.code == 0
    assert "id: read" in said.out
