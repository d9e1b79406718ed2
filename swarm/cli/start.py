"""`swarm init`, `swarm agents` and `swarm schema`: create a task, and list what it may use."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import TaskError
from swarm.cli import options as o
from swarm.cli.source import TASK_FILE
from swarm.cli.streams import answer, answer_json, say

if TYPE_CHECKING:
    from swarm.spec.agent import Agent
    from swarm.spec.task import Task

Folder = Annotated[str, typer.Argument(metavar="DIR", help="Directory to create. [default: .]", show_default=False)]
OneTask = Annotated[
    str | None, typer.Argument(metavar="TASK", help="Task file whose agents are listed, too.", show_default=False)
]


def init(folder: Folder = ".") -> int:
    """Create a starter task file.

    Also writes a JSON Schema for editor completion. Existing files are kept.
    """
    import json

    from swarm.spec.files import SCHEMA_FILE, starter, task_schema

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
            say(f"note: {path} exists and is kept")
    say(f"next: swarm run {shlex.quote(str(where / TASK_FILE))}")
    return 0


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


def agents(task: OneTask = None, as_json: o.AsJson = False) -> int:
    """List the agents that steps can use.

    Lists the built-in agents, and those of a TASK. An agent is a Markdown file. A task with `agents:
    ./agents` adds its own agents, which replace built-in agents of the same name.
    """
    from swarm.spec.files import load_agents
    from swarm.spec.task import Task

    found = load_agents(Task(goal="-") if task is None else _read(task))
    if as_json:
        answer_json([agent.model_dump(mode="json") for agent in found.values()])
        return 0
    answer("\n".join(_line(agent) for agent in found.values()))
    return 0


def _read(name: str) -> "Task":
    from swarm.cli.check import read_leniently
    from swarm.cli.source import source_of
    from swarm.lifecycle.options import Options

    source = source_of([name])
    return read_leniently(source.name, Options(text=source.text)).opened.task


def _line(agent: "Agent") -> str:
    output = agent.output if isinstance(agent.output, str) else "JSON with a schema of its own"
    more = [f"output {output}"]
    more += [f"model {agent.model}"] if agent.model else []
    more += [f"tools {', '.join(agent.tools)}"] if agent.tools else []
    more += [f"maximum {agent.turns} turns"] if agent.turns else []
    return f"{agent.name:<12} {agent.description}{os.linesep}{'':<12} ({'; '.join(more)})"


def schema() -> int:
    """Print the JSON Schema of a task file.

    Editors use it for completion and errors. Name it in the first line of the task file:
    `# yaml-language-server: $schema=task.schema.json`.
    """
    from swarm.spec.files import task_schema

    answer_json(task_schema())
    return 0
