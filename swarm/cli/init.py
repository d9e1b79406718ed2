"""`swarm init`: create a task that runs at once."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip, listing
from swarm.cli.source import TASK_FILE
from swarm.cli.streams import answer, is_terminal, say

if TYPE_CHECKING:
    from swarm.spec.files import Starter

Folder = Annotated[str, typer.Argument(metavar="DIR", help="Directory to create. [default: .]", show_default=False)]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        metavar="NAME",
        help="Kind of task, without questions. [names: research, table, code, data]",
    ),
]


HERE = "."
"""The folder of the task as its input: who asks a question of their own means the files that are there."""
ASKED = 5
"""How often a question is asked again after a wrong answer."""


def init(folder: Folder = ".", template: Template = None) -> int:
    """Create a task file that runs at once.

    Asks three questions: the kind of task, the question to answer, and the files to read; Enter
    accepts the default. Without a terminal, or with --template, nothing is asked. Also writes a JSON
    Schema for editor completion, and sample files if there are none to read. Existing files are kept.
    """
    from swarm.spec.files import SCHEMA_FILE, task_schema

    where = Path(folder)
    starter, goal, inputs = _chosen(where, template)
    files = {
        TASK_FILE: starter.text(name=TASK_FILE, schema=SCHEMA_FILE, goal=goal, inputs=inputs),
        SCHEMA_FILE: json.dumps(task_schema(), indent=2, ensure_ascii=False) + "\n",
    }
    if (where / TASK_FILE).exists():  # its samples would be read by nothing
        say(f"note: {where / TASK_FILE} exists and is kept")
        del files[TASK_FILE]
    elif inputs in ("", starter.inputs) and not _finds(where, starter.inputs):
        files |= dict(starter.samples)
    written = [path for name, text in files.items() if _new(path := where / name, text)]
    if written:
        answer("\n".join(map(str, written)))
    for name in files:
        if where / name not in written:
            say(f"note: {where / name} exists and is kept")
    say(f"next: swarm run {shlex.quote(str(where / TASK_FILE))}")
    return 0


def _chosen(where: Path, template: str | None) -> "tuple[Starter, str, str]":
    """Return the starter, and the goal and the inputs that were answered; empty for its own."""
    from swarm.spec.files import STARTERS
    from swarm.spec.yaml.explain import meant

    if template is not None:
        if template not in STARTERS:
            message = f"unknown template `{template[:40]}`; templates: {listing(STARTERS)}{meant(template, STARTERS)}"
            raise TaskError(Problem(message, key="--template"))
        return STARTERS[template], "", ""
    first = next(iter(STARTERS.values()))
    if (where / TASK_FILE).exists() or not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        return first, "", ""
    for n, each in enumerate(STARTERS.values(), 1):
        say(f"  {n} {each.name:<9} {each.about}")
    starter = _starter(f"Kind of task, 1 to {len(STARTERS)} [1 {first.name}]: ")
    goal = _asked(f"Question [{starter.goal}]: ")
    return starter, _without_braces(goal), _asked_inputs(where, starter.inputs, is_own=bool(goal))


def _asked_inputs(where: Path, samples: str, *, is_own: bool) -> str:
    """Ask for the files to read; empty for the samples. A question of one's own is about the files that are there."""
    usual = HERE if is_own and not _finds(where, samples) and _has_files(where) else ""
    inputs = _asked(f"Files to read [{usual or samples}]: ") or usual
    if inputs and not _finds(where, inputs):
        say(f"note: `{clip(inputs)}` matches no file in {where.resolve()} yet; put some there, or change `inputs:`")
    return inputs


def _starter(question: str) -> "Starter":
    """Ask for a starter until the answer is a number, a name, or nothing for the usual one.

    Raise TaskError if the input ends, or after some wrong answers: then nobody is there.
    """
    from swarm.spec.files import STARTERS
    from swarm.spec.yaml.explain import meant

    names = list(STARTERS)
    numbers = {str(n): name for n, name in enumerate(names, 1)}
    for _ in range(ASKED):
        said = _asked(question)
        name = numbers.get(said, said.lower() or names[0])
        if name in STARTERS:
            return STARTERS[name]
        choices = f"choose 1 to {len(names)}, or {listing(names)}"
        say(f"`{clip(said, 40)}` is no kind of task: {choices}{meant(name, names)}")
    raise TaskError(
        f"no kind of task was chosen in {ASKED} tries\nhint: `swarm init --template NAME`; nothing was written"
    )


def _without_braces(goal: str) -> str:
    """Return a goal for a task file, in which braces would name a parameter."""
    return goal.replace("{", "(").replace("}", ")")


def _asked(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise TaskError("the input ended before the last question was answered: nothing was written")
    return line.strip()


def _has_files(where: Path) -> bool:
    """Return whether a folder has files or folders that are not hidden."""
    return where.is_dir() and any(not each.name.startswith(".") for each in where.iterdir())


def _finds(where: Path, pattern: str) -> bool:
    """Return whether there is something to read: a file, a folder, a match of a glob, standard input or an address."""
    from swarm.spec.files.inputs import is_address

    if pattern == "-" or is_address(pattern) or (where / pattern).exists():
        return True
    try:
        return next(where.glob(pattern), None) is not None
    except (ValueError, NotImplementedError, OSError):  # no glob, an absolute one
        return False


def _new(path: Path, text: str) -> bool:
    """Write a new file. Return False if it exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path.parent.is_dir():
            return False
        raise TaskError(f"{path.parent} is not a folder") from None
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error.strerror}") from None
    return True
