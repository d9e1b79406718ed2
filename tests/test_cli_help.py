"""The help pages, completion in a shell, the task that nobody named, and the command that comes next."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import swarm
from swarm.cli.app import COMMANDS, make_app
from swarm.cli.failures import say_error
from swarm.forecast.simulate import ITEMS
from tests.commands import Command, Said, in_process, make_task, only_run

ROOT = typer.main.get_command(make_app())
NAMES = [entry.name or entry.command.__name__ for entry in COMMANDS]
PAGES = {
    "getting-started",
    "task",
    "plan",
    "providers",
    "tools",
    "cost-and-limits",
    "security",
    "troubleshooting",
    "comparison",
    "command-line",
    "runs",
}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""
    return in_process(capsys)


def options(name: str) -> dict[str, Any]:
    """Return the options of a command by their long names."""
    found: Any = ROOT
    params = found.commands[name].params
    return {max(param.opts, key=len): param for param in params if param.param_type_name == "option"}


# Help pages


def test_commands_are_grouped(command: Command) -> None:
    page = command("--help").out
    groups = re.findall(r"\n(Run|Inspect|Set up):\n((?:  .+\n)+)", page)
    found = {title: [line.split()[0] for line in lines.splitlines()] for title, lines in groups}
    assert found == {
        "Run": ["run", "plan", "resume", "stop", "check"],
        "Inspect": ["show", "runs", "report", "export", "rm", "diff", "simulate", "cache"],
        "Set up": ["init", "doctor", "models", "tools", "mcp", "agents", "schema"],
    }
    assert page.index("Run:") < page.index("Options:") < page.index("Exit codes:")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_its_parts_in_order(command: Command, name: str) -> None:
    said = command(*name.split(), "--help")
    assert (said.code, said.err) == (0, "")
    summary = said.out.split("\n\n")[1].strip()
    assert len(summary.split()) <= 10, summary
    assert summary.endswith(".")
    parts = [said.out.index(title) for title in ("Usage:", "Options:", "Examples:", "Learn more: docs/")]
    assert parts == sorted(parts)
    assert re.findall(r"^Learn more: docs/(.+)\.md$", said.out, re.M)[0] in PAGES
    assert [line for line in said.out.splitlines() if len(line) > 80] == []
    below = [each for each in NAMES if each.startswith(f"{name} ")]
    assert [each for each in below if f"\n  {each} " not in said.out.partition("Commands:")[2]] == []
    assert below != [] or "Commands:" not in said.out


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_is_its_page(command: Command, name: str) -> None:
    assert command("help", *name.split()).out == command(*name.split(), "-h").out


def test_help_alone_is_the_first_page(command: Command) -> None:
    assert command("help") == Said(0, command("--help").out, "")
    said = command("help", "nope")
    assert (said.code, said.out) == (2, "")
    assert said.errors == ["no command `nope`\nhint: list the commands with `swarm help`"]


def test_an_option_has_one_text_everywhere() -> None:
    texts: dict[str, set[str]] = {}
    for name in NAMES:
        for option, param in options(name).items():
            if (name, option) != ("simulate", "--workers"):  # worker counts, not a number of workers
                texts.setdefault(option, set()).add(param.help)
    assert {option: found for option, found in texts.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_shown(command: Command, name: str) -> None:
    page = " ".join(command(*name.split(), "--help").out.split())
    for option, param in options(name).items():
        if param.default not in (None, False, ()):
            text = page.partition(f"{option} ")[2]
            value = f"{param.default:g}" if isinstance(param.default, float) else str(param.default)
            assert f"[default: {value}" in text[: text.index("]")], option


def test_defaults_that_are_only_texts_are_true() -> None:
    limits = swarm.Task(goal="x").limits
    assert options("run")["--workers"].help.endswith(f"else {limits.workers}]")
    names = re.findall(r"\[names: (.+)\]", options("run")["--limit"].help)[0].split(", ")
    assert {*names, "workers"} == limits.model_dump().keys()
    assert options("simulate")["--items"].help.endswith(f"[default: {ITEMS}]")


def test_the_version_has_a_short_option(command: Command) -> None:
    assert command("-V") == Said(0, f"swarm {swarm.__version__}\n", "")


def test_two_words_are_a_command_with_options_between_them(command: Command, empty: Path) -> None:
    assert command("models", "--json", "get").json["fetched"] == []
    assert command("models", "get", "--json").json["known"]


# Completion


def complete(words: str) -> list[str]:
    """Ask for completions as bash does."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from swarm.cli import main; sys.exit(main())"],
        env={**os.environ, "_SWARM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_a_shell_gets_completions() -> None:
    assert complete("swarm ru") == ["run", "runs"]
    assert "--version" in complete("swarm --")


def test_completion_is_installed_for_the_shell(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    said = command("--install-completion")
    assert said.code == 0
    script = Path(said.out.strip()).read_text()
    assert script.startswith("#compdef swarm")
    assert command("--show-completion", "zsh").out.strip() == script.strip()
    assert "complete -o default" in command("--show-completion", "bash").out


@pytest.mark.parametrize(("shell", "words"), [("", "$SHELL is not set"), ("/bin/tcsh", "$SHELL is `tcsh`")])
def test_a_shell_that_is_unknown_can_be_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, shell: str, words: str
) -> None:
    monkeypatch.setenv("SHELL", shell)
    said = command("--show-completion")
    assert (said.code, said.out) == (2, "")
    assert words in said.errors[0]
    assert "hint: name it: `swarm --show-completion bash`" in said.errors[0]
    assert command("--show-completion", "tcsh").errors == [
        "`tcsh` is not a supported shell: expected bash, zsh, fish, powershell or pwsh"
    ]


# The task that nobody named


@pytest.mark.parametrize("verb", ["run", "plan", "check"])
def test_a_missing_task_is_task_yaml(command: Command, empty: Path, verb: str) -> None:
    said = command(verb)
    assert (said.code, said.out) == (2, "")
    assert said.errors[0].startswith("no task: name a task file, or create ./task.yaml\nhint: ")
    make_task(empty)
    said = command(verb)
    assert said.code == 0
    assert said.err.startswith("note: no TASK given; using ./task.yaml\n")
    assert "note: no TASK" not in command(verb, "--quiet").err


def test_a_task_above_the_folder_is_named_and_not_run(
    command: Command, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_task(empty)
    (empty / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(empty / "a" / "b")
    said = command("run")
    assert (said.code, said.out) == (2, "")
    assert "\nhint: there is a task above this folder: ../../task.yaml\n" in said.errors[0]


def test_a_goal_is_not_mixed_with_task_yaml(command: Command, empty: Path) -> None:
    make_task(empty)
    said = command("check", "--goal", "What else?", "--endpoint", "offline", "--json")
    assert (said.json["goal"], said.json["inputs"]) == ("What else?", [])
    assert "using ./task.yaml" not in said.err


# Errors name what the user wrote


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("--goal", ""), "--goal: is empty"),
        (("--goal", "x", "nope.md"), "there is no file `nope.md`"),
        (("--plan", "nope.yaml"), "--plan: "),
        (("--goal", "x", "--set", "a b=c"), "--set a b: "),
    ],
)
def test_no_error_names_a_line_of_the_command_line(
    command: Command, empty: Path, arguments: tuple[str, ...], start: str
) -> None:
    said = command("check", *arguments, "--endpoint", "offline")
    assert said.code == 2
    assert "command line" not in said.err
    assert said.errors[0].startswith(start)


def test_a_repeated_error_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("a\nhint: b", "c", "a\nhint: b")
    assert capsys.readouterr().err == "error: a (2 times)\n  hint: b\nerror: c\n"


# The next command


def test_each_success_names_the_next_command(command: Command, empty: Path) -> None:
    make_task(empty)
    assert command("init", "new").err.endswith("next: swarm run new/task.yaml\n")
    assert command("check", "task.yaml").err.endswith("next: swarm run task.yaml\n")
    assert command("run", "task.yaml", "--runs", "else/where").err.endswith(
        f"next: swarm show else/where/{next((empty / 'else/where').iterdir()).name}\n"
    )
    said = command("plan", "task.yaml", "-o", "plan.yaml")
    assert said.err.endswith(f"next: swarm resume {only_run(empty).name}\n")
    said = command("resume", "last")
    assert said.err.endswith("next: swarm report last\nnext: swarm show last\n")
    assert "next:" not in said.out
    assert "next:" not in command("run", "task.yaml", "--quiet").err
    assert "next:" not in command("check", "task.yaml", "--quiet").err
