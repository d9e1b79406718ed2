"""`swarm agents` and `swarm schema`: list what a task may use."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json

if TYPE_CHECKING:
    from swarm.spec.agent import Agent
    from swarm.spec.task import Task

OneTask = Annotated[
    str | None, typer.Argument(metavar="TASK", help="Task file whose agents are listed, too.", show_default=False)
]


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
    return read_leniently(source.name, Options(text=source.text, stdin=source.read_input)).opened.task


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
