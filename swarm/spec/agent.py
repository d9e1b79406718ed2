"""An agent: instructions and settings, from a Markdown file with front matter or from a plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from pydantic import Field

from swarm.base.values import Frozen, Id, Json, is_empty, is_none

OutputKind = Literal["text", "plan", "report"]


class Agent(Frozen):
    """A role that runs steps: a Markdown file in `agents/`, or an entry in `agents:` of a plan."""

    name: Id
    """Name in plans. Example: `auditor`."""
    description: str = ""
    """Purpose of the role, one line for the planner. Example: `Checks figures against their
    source.`"""
    instructions: str = Field(min_length=1)
    """System prompt. In an agent file, the text below the front matter."""
    output: OutputKind | dict[str, Json] = "text"
    """Type of the answers: `text`, `plan`, `report`, or a JSON Schema that every answer must fit.
    [default: text]"""
    model: Id | None = None
    """Alias in `models:` of the task. [default: `default`]"""
    tools: tuple[str, ...] = ()
    """Tools that the role may use, a subset of the tools that the task grants. `*`: all of them.
    [default: none]"""
    needs_tools: bool = Field(default=False, exclude_if=is_empty)
    """`true`: planners are offered the role only if the task grants it a tool. [default: false]"""
    open: bool = Field(default=False, exclude_if=is_empty)
    """`true`: the role looks things up in long inputs and outputs, with `read` and `find`, instead
    of reading all of them. `open` of a step wins. [default: false]"""
    turns: int | None = Field(default=None, ge=1, le=1000)
    """Maximum model calls per attempt. The lower of this and `limits.turns` applies. [default:
    `limits.turns`]"""
    truncated: Literal["keep", "retry", "continue"] | None = Field(default=None, exclude_if=is_none)
    """What happens to a text that reaches its output cap: `keep` it with a note, `retry` once, asking for a shorter
    one, or `continue` it: ask for the rest, maximum twice. Steps with tools keep it. JSON and plans are always retried.
    [default: `keep`; `continue` for a share of a long text; `retry` for reports]"""


_FUNCTION = "(a Python function)"
FUNCTION_DESCRIPTION = "Python function. Only for `check`, never as `agent`."
"""Description of the role of every Python function, for planners and for the check of plans."""


def function_agent(name: str) -> Agent:
    """Return the agent that stands for a Python function which checks outputs. It has no model and no prompt."""
    return Agent(name=name, description=FUNCTION_DESCRIPTION, instructions=_FUNCTION)


def is_function(agent: Agent) -> bool:
    """Return whether an agent stands for a Python function."""
    return agent.instructions == _FUNCTION


@dataclass(frozen=True)
class SmallPrompts:
    """The prompts for small models: what replaces the agents and phrases of a run."""

    agents: Mapping[str, Agent] = field(default_factory=dict[str, Agent])
    """Agents by name. Other roles keep their instructions."""
    wording: Mapping[str, str] = field(default_factory=dict[str, str])
    """All phrases, those of the run where the small set has none."""


def asked_for(
    agent: Agent, granted: tuple[str, ...], groups: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[str, ...]:
    """Return the tools that a role requests. `*` means all granted tools; a name of `groups` means several."""
    return granted if "*" in agent.tools else expanded(agent.tools, groups or {})


def expanded(names: tuple[str, ...], groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return names with each that means several tools, such as that of a kit, replaced by those."""
    if not groups:
        return names
    return tuple(dict.fromkeys(chain.from_iterable(groups.get(name, (name,)) for name in names)))
