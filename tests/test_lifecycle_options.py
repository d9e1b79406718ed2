"""Every option of `swarm run` in every other command of a run: it works there, or it is refused; none is ignored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from swarm.cli.app import make_app
from tests.commands import Command, Said, events_of, in_process, only_run

TASK = """\
goal: How much memory do {audience} need?
inputs: [notes/*.md]
parameters: {audience: engineers}
models: {default: {endpoint: offline}}
plan: [{id: read, each: inputs, prompt: "Read {item}."}, {id: sum, prompt: Sum., needs: [read]}]
swarm: always
"""
VALUES: dict[str, tuple[str, ...]] = {
    "--goal": ("Why?",),
    "--endpoint": ("offline",),
    "--model": ("other",),
    "--workers": ("3",),
    "--limit": ("tokens=123456",),
    "--set": ("audience=managers",),
    "--plan": ("plan.yaml",),
    "--output": ("written.md",),
    "--runs": ("elsewhere",),
    "--grace": ("3",),
    "--replay": ("last",),
}
"""Values of the options that take one. The others are flags."""
COMMANDS = ("run", "plan", "check", "resume", "show")


def options_of(name: str) -> set[str]:
    """Return the long options of a command."""
    command: Any = typer.main.get_command(make_app())
    parameters = command.commands[name].params
    return {option for each in parameters for option in each.opts if option.startswith("--")} - {"--help"}


OPTIONS = sorted(options_of("run"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture
def folder(empty: Path) -> Path:
    (empty / "task.yaml").write_text(TASK)
    (empty / "plan.yaml").write_text("steps: [{id: only, prompt: Read.}]\n")
    (empty / "notes").mkdir()
    (empty / "notes" / "mail.md").write_text("The mail service needs 3 GB of memory.\n")
    return empty


def stopped(folder: Path, command: Command) -> Path:
    """Return a run that was stopped after its first events."""
    assert command("run", "task.yaml", "--quiet").code == 0
    run = only_run(folder)
    journal = run / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:4]))
    return run


def test_each_option_has_a_value_or_is_a_flag() -> None:
    assert set(OPTIONS) >= set(VALUES)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_an_option_that_a_command_lacks_is_refused(name: str, folder: Path, command: Command) -> None:
    argument = "last" if name in ("resume", "show") else "task.yaml"
    lacking = [option for option in OPTIONS if option not in options_of(name)]
    for option in lacking:
        said = command(name, argument, option, *VALUES.get(option, ()))
        assert (said.code, said.out) == (2, ""), option
        assert option in said.errors[0]
    assert lacking
    assert not (folder / ".swarm").exists()


def limits(said: Said, run: Path) -> dict[str, Any]:
    del said
    return [event["task"]["limits"] for event in events_of(run) if "task" in event][-1]


EFFECTS: dict[str, Callable[[Said, Path], bool]] = {
    "--workers": lambda said, run: limits(said, run)["workers"] == 3,
    "--limit": lambda said, run: limits(said, run)["tokens"] == 123456,
    "--endpoint": lambda said, _: "offline" in said.err,
    "--set": lambda _, run: "managers" in (run / "task.yaml").read_text(),
    "--plan": lambda _, run: {e.get("step") for e in events_of(run) if e["event"] == "StepFinished"} == {"only"},
    "--output": lambda said, _: Path("written.md").read_text() == said.out,
    "--json": lambda said, _: said.json["status"] == "done",
    "--jsonl": lambda said, _: '"event":"RunFinished"' in said.out,
    "--quiet": lambda said, _: said.err == "",
    "--verbose": lambda said, _: "event='step started'" in said.err,
}
"""What shows that an option was obeyed."""


@pytest.mark.parametrize("option", EFFECTS)
def test_an_option_of_run_works(option: str, folder: Path, command: Command) -> None:
    said = command("run", "task.yaml", option, *VALUES.get(option, ()))
    assert said.code == 0, said.err
    assert EFFECTS[option](said, only_run(folder))


@pytest.mark.parametrize("option", sorted(EFFECTS.keys() & options_of("resume")))
def test_an_option_of_resume_works(option: str, folder: Path, command: Command) -> None:
    run = stopped(folder, command)
    said = command("resume", "last", option, *VALUES.get(option, ()))
    assert said.code == 0, said.err
    assert EFFECTS[option](said, run)


def test_no_cache_of_a_run_writes_none(folder: Path, command: Command) -> None:
    assert command("run", "task.yaml", "--no-cache", "--quiet").code == 0
    assert not list((folder / ".swarm").glob("cache/*/*.json"))


@pytest.mark.parametrize("name", ["run", "plan"])
def test_the_folder_of_the_runs_is_obeyed(name: str, folder: Path, command: Command) -> None:
    assert command(name, "task.yaml", "--runs", "elsewhere", "--quiet").code == 0
    assert list((folder / "elsewhere").glob("*")) if name == "run" else not (folder / ".swarm" / "runs").exists()


@pytest.mark.parametrize("option", ["--endpoint", "--model", "--no-cache"])
def test_a_replay_refuses_what_only_a_call_needs(option: str, folder: Path, command: Command) -> None:
    assert command("run", "task.yaml", "--quiet").code == 0
    said = command("run", "task.yaml", "--replay", "last", option, *VALUES.get(option, ()))
    assert (said.code, said.out) == (2, "")
    assert option in said.errors[0]


@pytest.mark.parametrize("option", ["--set", "--plan"])
def test_a_replay_of_another_task_is_refused(option: str, folder: Path, command: Command) -> None:
    assert command("run", "task.yaml", "--quiet").code == 0
    said = command("run", "task.yaml", "--replay", "last", option, *VALUES[option])
    assert said.code == 2
    assert "the recorded run" in said.errors[0]
