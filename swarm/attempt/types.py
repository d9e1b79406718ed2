"""What an executor gets and gives: types only."""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol, Self

from pydantic import Field
from pydantic_core import to_json

from swarm.base.values import Frozen, Id, Json, digest
from swarm.planning.brief import Brief
from swarm.record.events import Stamped
from swarm.record.outcome import Outcome
from swarm.spec.agent import Agent
from swarm.spec.chat import Message
from swarm.spec.plan import Step
from swarm.spec.task import Input


class Given(Frozen):
    """The output of a step that this one needs."""

    step: Id
    about: str
    """The prompt of that step, in one line."""
    output: Json


class Missing(Frozen):
    """A step that this one would have read, and that has no output."""

    step: Id
    because: str


NOT_DETERMINING = {"limits", "steps_left"}
"""What of a brief determines nothing."""
EMPTY: tuple[Json, ...] = (None, "", [], {})
NOTHING: dict[type, str] = {type(value): digest(value)[:16] for value in EMPTY}
"""Digests of what most parts of most attempts are: nothing."""


def part_digest(value: Json) -> str:
    """Name a part by the first 16 digits of its hash."""
    return digest(value)[:16] if value or type(value) not in NOTHING else NOTHING[type(value)]


def determining(agent: Agent) -> Json:
    """Give what of a role determines an output."""
    return agent.model_dump(mode="json", include={"instructions", "output"})


class Attempt(Frozen):
    """One try at a step: all that an executor needs, JSON-serialisable as it stands."""

    run: str
    step: Step
    """With `{item}` and parameters filled in."""
    attempt: int = 1
    agent: Agent
    model: str = "default"
    """The alias."""
    settings: dict[str, Json] = Field(default_factory=dict)
    """The model's settings that determine an answer: name, parameters, output cap. Never a secret."""
    goal: str = ""
    given: tuple[Given, ...] = ()
    missing: tuple[Missing, ...] = ()
    inputs: tuple[Input, ...] = ()
    tools: tuple[str, ...] = ()
    """Granted: of the step, of its agent, of the task."""
    tools_key: str = ""
    """Hash of the granted tools' schemas."""
    turns: int = 20
    """Model calls it may take."""
    context: int | None = None
    """Tokens that model can read and write in one call, where known."""
    brief: Brief | None = None
    """For a planner."""
    wording: dict[str, str] = Field(default_factory=dict)
    """Phrases that prompts are put together with, by name; from `agents/wording.md`."""
    transcript: tuple[Message, ...] = ()
    """What turns of an interrupted attempt have already paid for."""
    turns_taken: int = 0
    """How many turns made that transcript."""
    labels: tuple[Id, ...] = ()
    """Of all it reads, sorted: the models that see it must be allowed all of them. Like limits, no part of the key."""
    trace: str = ""
    span: str = ""
    shared: dict[str, str] = Field(default_factory=dict)
    """Digests of parts that siblings share: hashed once a run, not once an attempt."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy it; what was hashed of this one is not taken for the other's."""
        made = super().model_copy(update=update, deep=deep)
        for name in ("parts", "key"):
            vars(made).pop(name, None)
        return made

    @cached_property
    def parts(self) -> dict[str, str]:
        """Everything that determines the output, each part by the first 16 digits of its hash.

        Left out is what does not: ids and order of siblings, limits (raising one runs nothing again), spans.
        """
        shared, step, brief = self.shared, self.step, self.brief
        return {
            "agent": shared.get("agent") or part_digest(determining(self.agent)),
            "brief": part_digest(None if brief is None else brief.model_dump(mode="json", exclude=NOT_DETERMINING)),
            "context": part_digest(self.context),
            "given": part_digest(sorted(map(digest, self.given))),
            "goal": shared.get("goal") or part_digest(self.goal),
            "inputs": part_digest(sorted([each.name, each.medium, each.sha256] for each in self.inputs)),
            "item": part_digest(step.item),
            "missing": part_digest(sorted(map(digest, self.missing))),
            "model": shared.get("model") or part_digest(self.settings),
            "output": part_digest(step.output),
            "prompt": part_digest(step.prompt),
            "tools": part_digest(self.tools_key),
            "wording": shared.get("wording") or part_digest(self.wording),
        }

    @cached_property
    def key(self) -> str:
        """Hash of everything that determines the output, and of nothing else."""
        return sha256(to_json(self.parts)).hexdigest()  # canonical as it is: the names stand in order


Note = Callable[[Stamped], None]
"""Records a fact about the attempt (a `TurnTaken`) before anything acts on it. Synchronous."""


class Executor(Protocol):
    """Where attempts run. One coroutine per attempt, even when the work is elsewhere; cancelling it stops the work."""

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Carry out an attempt, or raise an `AttemptError`."""
        ...
