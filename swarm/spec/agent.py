"""A role: instructions in a Markdown file with a few lines of front matter."""

from typing import Literal

from pydantic import Field

from swarm.base.values import Frozen, Id, Json

OutputKind = Literal["text", "plan", "report"]


class Agent(Frozen):
    """A role that steps are given to. One Markdown file in `agents/`, or an entry of a plan's `agents:`."""

    name: Id
    """What plans call it by."""
    description: str = ""
    """One line for the planner: what the role is good at."""
    instructions: str = Field(min_length=1)
    """The system prompt; in a file, everything below the front matter."""
    output: OutputKind | dict[str, Json] = "text"
    """`text`, `plan`, `report`, or a JSON Schema that every answer of this role must fit."""
    model: Id | None = None
    """An alias of the task's `models:`; falls back to `default`."""
    tools: tuple[str, ...] = ()
    """The tools it may use, of those the task grants; `*` asks for all of them."""
    turns: int | None = Field(default=None, ge=1, le=1000)
    """Model calls it may take for one attempt; the task's `limits.turns` where it is lower."""


def asked_for(agent: Agent, granted: tuple[str, ...]) -> tuple[str, ...]:
    """Name the tools a role asks for, `*` being all that the run grants."""
    return granted if "*" in agent.tools else agent.tools
