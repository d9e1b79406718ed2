"""`swarm init`, `swarm agents` and `swarm schema`: how to begin, and what there is."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, say
from swarm.errors import TaskError

if TYPE_CHECKING:
    from swarm.agent import Agent
    from swarm.task import Task

TASK_FILE = "task.yaml"

Folder = Annotated[str, typer.Argument(metavar="DIR", help="Where; here by default.", show_default=False)]
OneTask = Annotated[
    str | None, typer.Argument(metavar="TASK", help="A task file with agents of its own.", show_default=False)
]


def init(folder: Folder = ".") -> int:
    """Write a task to begin with.

    Beside it goes the schema by which an editor completes and checks it. Nothing is overwritten: a file that is there
    stays as it is.
    """
    import json

    from swarm.files import SCHEMA_FILE, starter, task_schema

    where = Path(folder)
    schema = json.dumps(task_schema(), indent=2, ensure_ascii=False) + "\n"
    written = [
        path
        for path, text in ((where / TASK_FILE, starter(TASK_FILE)), (where / SCHEMA_FILE, schema))
        if _new(path, text)
    ]
    if written:
        answer("\n".join(str(path) for path in written))
    for path in (where / TASK_FILE, where / SCHEMA_FILE):
        if path not in written:
            say(f"{path} is there already and stays as it is")
    say(f"next: swarm run {shlex.quote(str(where / TASK_FILE))}")
    return 0


def _new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; false if it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path.parent.is_dir():
            return False
        raise TaskError(f"{path.parent} is no folder") from None
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error.strerror}") from None
    return True


def agents(task: OneTask = None, as_json: o.AsJson = False) -> int:
    """List the roles that steps can be given to.

    These are the built-in ones, and those that a TASK brings. A role is a Markdown file. A task with `agents:
    ./agents` adds its own, and replaces those of the same name.
    """
    from swarm.files import load_agents
    from swarm.task import Task

    found = load_agents(Task(goal="-") if task is None else _read(task))
    if as_json:
        answer_json([agent.model_dump(mode="json") for agent in found.values()])
        return 0
    answer("\n".join(_line(agent) for agent in found.values()))
    return 0


def _read(name: str) -> "Task":
    from swarm.cli.check import read_leniently
    from swarm.cli.source import source_of

    source = source_of([name])
    return read_leniently(source.name, o.Asked().options(source)).task


def _line(agent: "Agent") -> str:
    gives = agent.output if isinstance(agent.output, str) else "JSON of its own form"
    more = [f"gives {gives}"]
    more += [f"model {agent.model}"] if agent.model else []
    more += [f"tools {', '.join(agent.tools)}"] if agent.tools else []
    more += [f"at most {agent.turns} turns"] if agent.turns else []
    return f"{agent.name:<12} {agent.description}{os.linesep}{'':<12} ({'; '.join(more)})"


def schema() -> int:
    """Print the JSON Schema of a task file.

    An editor completes and checks by it. Point an editor to it by the first line of a task file: `# yaml-language-
    server: $schema=task.schema.json`.
    """
    from swarm.files import task_schema

    answer_json(task_schema())
    return 0
