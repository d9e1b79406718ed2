"""Which task a command line means: a file, stdin, or a goal with inputs."""

import os
import select
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.errors import Problem, TaskError
from swarm.safe import safe_text

MOST_BYTES = 1_000_000
"""Of a task on stdin: what a task file may have, too."""
TICK_SECONDS = 0.25
"""How late a signal is noticed that came just before a read: CPython looks for one only where a read is cut short."""
STDIN, WORDS = "stdin", "command line"


@dataclass(frozen=True)
class Source:
    """Where a task comes from."""

    name: str
    """Its file, or what messages call it."""
    text: str | None = None
    """Its text, where it is not in a file."""


def source_of(
    arguments: Iterable[str], *, goal: str | None = None, names: Iterable[str] = (), plan: str | None = None
) -> Source:
    """Find the task: with a goal, the arguments are its inputs, else they are one TASK.

    `names` are parameters that `--set` gives. With a plan file and nothing else, the plan is the task.
    """
    given = list(arguments)
    if goal is not None or (plan is not None and not given):
        return Source(WORDS, _written(goal, given, names, plan))
    if not given:
        raise TaskError('which task? Name a task file, or give a question: --goal "…"; `swarm init` writes a task file')
    if len(given) > 1:
        raise TaskError(f"one TASK at a time, not {len(given)}; inputs may follow where --goal is given")
    name = given[0]
    if name == "-":
        return Source(STDIN, _stdin())
    if " " in name and not Path(name).exists():
        raise TaskError(Problem("there is no such file; a question is given as --goal", where=safe_text(name[:80])))
    return Source(name)


def _written(goal: str | None, inputs: list[str], names: Iterable[str], plan: str | None) -> str:
    """Write a task file of what stands on the command line: read like any other, it is checked like any other."""
    from swarm.files import write_yaml

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


def _stdin() -> str:
    try:
        content = _read(sys.stdin.fileno())
    except (OSError, ValueError) as error:
        raise TaskError(Problem(f"cannot be read: {error}", where=STDIN)) from None
    if len(content) > MOST_BYTES:
        raise TaskError(Problem(f"has more than {MOST_BYTES:,} bytes, which is the most that is read", where=STDIN))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TaskError(Problem("is not UTF-8 text", where=STDIN)) from None


def _read(stream: int) -> bytes:
    """Read to the end, or one byte more than is taken."""
    content = b""
    while len(content) <= MOST_BYTES:
        if not select.select([stream], [], [], TICK_SECONDS)[0]:
            continue
        chunk = os.read(stream, 65_536)
        if not chunk:
            break
        content += chunk
    return content
