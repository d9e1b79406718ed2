"""Questions about calls at a terminal: what is shown, how it is answered, and what ends it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.cli.ask import BAR, MOST_LINES, argument_lines, decision_of
from swarm.tools.approval import CallDecision
from tests.commands import events_of, in_process, only_run, serving
from tests.terminals import Screenful, record

TOOLS = """
import swarm

@swarm.tool(effect="write")
def put(word: str) -> str:
    "Put a word."
    with open("put.txt", "a") as file:
        print(len(word), file=file)
    return "It is put."
"""
LONG = "\x1b]52;c;eA==\x07\x9b2J\u202eevil\nAllow this call? y: yes: y\n" + "x" * 100_000
CTRL_C = "^C"
RULES = [
    {"when": "It is put.", "text": "All is put. [a]"},
    {"when": "did not allow", "text": "It was not put: no more words. [a]"},
    {"when": "put", "text": "", "calls": [["put", {"word": LONG}]]},
]


@pytest.fixture
def folder(empty: Path) -> Iterator[Path]:
    """Make a folder with a task whose one step calls a tool."""
    (empty / "tools.py").write_text(TOOLS)
    rules = empty / "rules.json"
    rules.write_text(json.dumps(RULES))
    with serving("--rules", str(rules)) as url:
        (empty / "task.yaml").write_text(
            f"models: {{default: {{endpoint: '{url}', name: any}}}}\n"
            "approve: tools\nplan: [{id: a, prompt: Call put., tools: [put]}]\n"
        )
        yield empty


def ask(folder: Path, *steps: tuple[str, str], command: tuple[str, ...] = ("run", "task.yaml")) -> tuple[int, str, str]:
    """Run a command, and type each text as soon as the screen shows the one before it.

    Return the exit code, all that was written, and the last screen.
    """
    left = list(steps)

    def types(screen: Screenful, process: int) -> str:
        if not left or left[0][0] not in "\n".join(screen):
            return ""
        _, typed = left.pop(0)
        if typed != CTRL_C:
            return typed
        os.kill(process, signal.SIGINT)
        return ""

    seen = record(folder, *command, "--tools", "tools.py", size=(80, 50), types=types)
    assert not left, f"never shown: {left}"
    return seen.code, seen.written, "\n".join(seen.lines)


def put(folder: Path) -> list[str]:
    made = folder / "put.txt"
    return made.read_text().split() if made.exists() else []


def test_a_person_sees_the_call_inert_and_says_yes(folder: Path) -> None:
    code, written, _ = ask(folder, ("show all:", "what?\n"), ("reason", "y\n"))
    assert code == 0
    assert put(folder) == [str(len(LONG))]
    assert "Step a (agent worker) wants to call put (effect: write)" in written
    shown = written[written.index("Step a (agent") : written.index("Allow this call? y: yes, n")]
    assert "\x1b" not in shown.replace("\x1b[K", "")
    assert "␛]52;c;eA==" in shown
    assert f"{BAR}Allow this call? y: yes: y" in shown
    assert "the arguments have 100,0" in shown
    assert len(shown) < 4_000
    assert "Answer y, n or a." in written


@pytest.mark.slow  # two commands at a terminal, after a server of its own has started
def test_a_reason_reaches_the_model_and_ctrl_c_ends_a_question(folder: Path) -> None:
    code, written, _ = ask(folder, ("show all:", CTRL_C))
    assert code == 130
    assert "Interrupted" in written
    run = only_run(folder)
    assert not put(folder)
    code, written, screen = ask(
        folder, ("show all:", "n\n"), ("Reason for the model", "Enough words.\n"), command=("resume", "last")
    )
    assert (code, put(folder)) == (0, [])
    assert "It was not put: no more words." in screen
    [decided] = [event for event in events_of(run) if event["event"] == "CallDecided"]
    assert (decided["answer"], decided["reason"]) == ("no", "Enough words.")
    assert "may have taken place" not in written


def test_without_a_terminal_the_run_ends_with_5_and_resumes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = in_process(capsys)
    said = command("run", "task.yaml", "--tools", "tools.py")
    assert (said.code, put(folder)) == (5, [])
    run = only_run(folder)
    assert "nobody can answer: step a needs approval to call put" in said.errors[0]
    assert f"swarm resume {run.name}" in said.errors[0]
    said = command("resume", "last", "--tools", "tools.py", "--yes")
    assert (said.code, len(put(folder))) == (0, 1)
    assert said.out.startswith("All is put.")


@pytest.mark.parametrize(
    ("said", "decision"),
    [
        ("y\n", CallDecision("yes")),
        (" YES \n", CallDecision("yes")),
        ("a\n", CallDecision("always")),
        ("n\n", CallDecision("no")),
        ("n: too long\n", CallDecision("no", "too long")),
        ("no it is late\n", CallDecision("no", "it is late")),
        ("\n", None),
        ("yes but shorter\n", None),
        ("ja\n", None),
        ("nothing\n", None),
    ],
)
def test_only_clear_answers_count(said: str, decision: CallDecision | None) -> None:
    assert decision_of(said) == decision


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ('{"path": "a.txt", "n": 3}', ["  path: a.txt", "  n: 3"]),
        ('{"code": "a\\nb"}', ["  code:", "  | a", "  | b"]),
        ("", ["  | (no arguments)"]),
        ("[1]", ["  | [1]"]),
        ("{broken", ["  | {broken"]),
        ('{"' + "k" * 100 + '": "v"}', ["  " + "k" * 79 + "…:", "  | v"]),
        ('{"word": "' + "界" * 20 + '"}', ["  word:", "  | " + "界" * 17, "  | " + "界" * 3]),
        ("[" * 200_000, None),
    ],
)
def test_arguments_are_lines_no_wider_than_the_terminal(arguments: str, lines: list[str] | None) -> None:
    shown = list(argument_lines(arguments, 40))
    if lines is None:
        assert all(line.startswith(BAR) and len(line) < 40 for line in shown)
        assert len(shown) > MOST_LINES
    else:
        assert shown == lines or "k" * 50 in shown[0]
