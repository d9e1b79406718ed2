"""Which task a command line means: a file, stdin, or a goal with inputs."""

import os
import select
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm.base.errors import Problem, TaskError
from swarm.base.redaction import safe_text

TASK_FILE = "task.yaml"
"""The task file that `swarm init` writes, and that is used if no task is named."""
MOST_INPUT = 100_000_000
"""Maximum bytes of an input on stdin: the same as of a file."""
MOST_BYTES = 1_000_000
"""Maximum bytes of a task on stdin: the same as of a task file."""
TICK_SECONDS = 0.25
"""Maximum delay of a signal that arrives right before a read: CPython handles it only when a read returns."""
STDIN, WORDS = "stdin", "command line"
_OPTIONS = {"goal": "--goal", "plan": "--plan", "parameters": "--set", "models": "--endpoint"}
"""Option that has the same meaning as a key of a task file."""


@dataclass(frozen=True)
class TaskSource:
    """Where a task comes from."""

    name: str
    """Its file, or its name in messages."""
    text: str | None = None
    """Its text if it is not in a file."""

    def read_input(self) -> bytes:
        """Return standard input, for an input `-`. Raise `TaskError` if it is the task or a terminal."""
        if self.name == STDIN:
            raise TaskError("standard input is the task, so it cannot be an input, too\nhint: write the task to a file")
        if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] - without a console
            hint = "hint: pipe the input: cat FILE | swarm run …"
            raise TaskError(f"input `-` is standard input, which is a terminal\n{hint}")
        return _bytes(MOST_INPUT)


def _above() -> str:
    """Return a hint that names the task in a folder above this one; empty if there is none.

    It is not run by itself: a task that somebody else put above a folder is not what was meant.
    """
    folders = Path.cwd().parents
    found = (n for n, folder in enumerate(folders, 1) if (folder / TASK_FILE).is_file())
    up = next(found, 0)
    return f"hint: there is a task above this folder: {'../' * up}{TASK_FILE}\n" if up else ""


def source_of(
    arguments: Iterable[str],
    *,
    goal: str | None = None,
    names: Iterable[str] = (),
    plan: str | None = None,
) -> TaskSource:
    """Find the task: with a goal, the arguments are its inputs, else they are one TASK.

    `names` are the parameters of `--set`. With a plan file and nothing else, the plan is the task.
    Raise `TaskError` if no task, several tasks or a missing file is named.
    """
    given = list(arguments)
    if goal is not None or (plan is not None and not given):
        return TaskSource(WORDS, _written(goal, given, names, plan))
    if not given:
        raise TaskError(
            f"no task: name a task file, or create ./{TASK_FILE}\n"
            f"{_above()}"
            "hint: create one with `swarm init`\n"
            'hint: or ask a question: `swarm run --goal "…"`'
        )
    if len(given) > 1:
        raise TaskError(f"expected one TASK, found {len(given)}\nhint: inputs are allowed after --goal")
    name = given[0]
    if name == "-":
        return TaskSource(STDIN, _stdin())
    if " " in name and not Path(name).exists():
        message = 'no such file\nhint: to ask a question, use `swarm run --goal "…"`'
        raise TaskError(Problem(message, where=safe_text(name[:80])))
    return TaskSource(name)


def placed(problem: Problem) -> Problem:
    """Name the option of a problem in a task that was written from the command line.

    Such a task has lines and columns, too, but the user has not seen them.
    """
    if not problem.where.startswith(f"{WORDS}:") and problem.where != WORDS:
        return problem
    first, _, rest = problem.key.partition(".")
    if first == "inputs":
        return replace(problem, where="", key="")
    option = _OPTIONS.get(first)
    if option is None:
        return replace(problem, where="")
    return replace(problem, where="", key=f"{option} {rest}" if rest and first != "models" else option)


def _written(goal: str | None, inputs: list[str], names: Iterable[str], plan: str | None) -> str:
    """Write a task file from the command line, so that it is read and checked like any other."""
    from swarm.spec.files import write_yaml

    made: dict[str, Any] = {"version": 1}
    if goal is not None:
        made["goal"] = _literal(goal)
    if plan is not None:
        made["plan"] = _literal(plan)
    if inputs:
        made["inputs"] = [_literal(path) for path in inputs]
    parameters: Mapping[str, str] = dict.fromkeys(names, "")
    if parameters:
        made["parameters"] = parameters
    return write_yaml(made)


def _literal(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("${", "$${")


def _bytes(most: int) -> bytes:
    """Return stdin. Raise `TaskError` if it cannot be read or has more than `most` bytes."""
    try:
        content = _read(sys.stdin.fileno(), most)
    except (OSError, ValueError) as error:
        raise TaskError(Problem(f"cannot be read: {error}", where=STDIN)) from None
    if len(content) > most:
        raise TaskError(Problem(f"more than {most:,} bytes, the maximum", where=STDIN))
    return content


def _stdin() -> str:
    content = _bytes(MOST_BYTES)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TaskError(Problem("is not UTF-8 text", where=STDIN)) from None


def _read(stream: int, most: int) -> bytes:
    """Read to the end, or more than the maximum."""
    content = bytearray()
    while len(content) <= most:
        # A plain read would restart after a signal, and Ctrl-C would wait for the next byte.
        if not select.select([stream], [], [], TICK_SECONDS)[0]:
            continue
        chunk = os.read(stream, 65_536)
        if not chunk:
            break
        content += chunk
    return bytes(content)
