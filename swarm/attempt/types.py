"""Types that executors receive and return."""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, Protocol, Self

from pydantic import Field
from pydantic_core import to_json

from swarm.base.values import Frozen, Id, Json, digest, is_empty
from swarm.planning.brief import Brief
from swarm.record.densities import UNKNOWN
from swarm.record.events import Stamped
from swarm.record.outcome import Outcome
from swarm.spec.agent import Agent
from swarm.spec.chat import MediaFile, Message
from swarm.spec.plan import Step
from swarm.spec.task import Input


class Given(Frozen):
    """The output of a step that this step needs."""

    step: Id
    about: str
    """The prompt of that step, in one line, truncated. Instances with an `item` share it: it has `{item}`."""
    output: Json
    item: str = Field(default="", exclude_if=is_empty)
    """The item of an instance, if it is a short text: it names the step for its readers."""
    files: tuple[MediaFile, ...] = Field(default=(), exclude_if=is_empty)
    """Files that its tools left."""
    below: tuple[Id, ...] = Field(default=(), exclude_if=is_empty)
    """Steps that a partial report was made from: who reads it may cite them."""
    titles: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """What the steps are about that a partial report cites: `read.3 = notes/c.md`."""
    unfounded: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """Figures, names and quotations of the output that are in nothing that its step read."""

    @property
    def cited(self) -> str:
        """The titles as one line for a prompt."""
        return "; ".join(self.titles)


class Missing(Frozen):
    """A step without an output, that this step would have read."""

    step: Id
    because: str


MERGER = Agent(name="merge", instructions="(none)")
"""Agent of attempts that merge outputs: they have no model, so nothing reads its instructions."""
NOT_DETERMINING = {"limits", "steps_left", "about"}
"""Fields of a brief that are not part of the cache key."""
NOT_RERUN = {"endpoint"}
"""Parts that determine an output, but are no reason to pay again for a finished step of the same run: an endpoint that
was moved or replaced. Journals of earlier versions do not have them."""
EMPTY: tuple[Json, ...] = (None, "", [], {})
NOTHING: dict[type, str] = {type(value): digest(value)[:16] for value in EMPTY}
"""Digests of empty values, computed once: most parts of most attempts are empty."""


def part_digest(value: Json) -> str:
    """Return the first 16 digits of the hash of a part."""
    return digest(value)[:16] if value or type(value) not in NOTHING else NOTHING[type(value)]


def determining(agent: Agent) -> Json:
    """Return the fields of a role that determine an output."""
    return agent.model_dump(mode="json", include={"instructions", "output"})


class Stated(Frozen):
    """Sizes before a refusal taught smaller ones. They are part of the key in place of the smaller ones.

    So a size that is learnt in the middle of a run does not rerun the steps that were finished before.
    """

    context: int | None
    """Context size of the model as it was stated; None if it was unknown."""
    reads: int | None
    """Tokens of inputs that a step can read, for a planner's brief."""


def _rare_parts(step: Step, opens: Json = None) -> dict[str, str]:
    """Return the parts that most steps do not have, so that their keys are those of earlier versions."""
    rare: dict[str, Json] = {
        "merge": [step.merge, list(step.key or ())] if step.merge is not None else None,
        "length": step.length,
        "ballot": step.ballot,
        "check": step.check if isinstance(step.check, dict) else None,
        "opens": opens,
    }
    return {name: part_digest(value) for name, value in rare.items() if value is not None}


def _input_parts(each: Input) -> list[str]:
    """Return what determines an input: of a document its text, too, which a new reader may write otherwise."""
    text = [each.text_sha256] if each.text_sha256 else []
    return [each.name, each.medium, each.sha256, *text]


class Attempt(Frozen):
    """One try at a step: all that an executor needs. It can be serialised as JSON."""

    run: str
    step: Step
    """The step, with `{item}` and parameters filled in."""
    attempt: int = 1
    agent: Agent
    model: str = "default"
    """Alias of the model."""
    settings: dict[str, Json] = Field(default_factory=dict)
    """Settings of the model that determine an answer: name, parameters, output cap. Never a
    secret."""
    endpoints: tuple[str, ...] | None = ()
    """Identities of the endpoints that may serve it, in order of preference. None if one of them has
    none: then its outcome is not stored in the cache."""
    goal: str = ""
    given: tuple[Given, ...] = ()
    missing: tuple[Missing, ...] = ()
    conflicts: tuple[str, ...] = ()
    """Conflicts between the given outputs, a line each, if the step writes a report. They follow from the outputs."""
    unfounded: tuple[str, ...] = ()
    """What of the given outputs is in nothing that their steps read, a line a step, if the step writes a report. The
    same holds for it."""
    inputs: tuple[Input, ...] = ()
    tools: tuple[str, ...] = ()
    """Names of the granted tools: those of the step that its agent and the task grant too."""
    tools_key: str = ""
    """Hash of what decides the results of the granted tools: schemas, versions, effects."""
    opens: tuple[tuple[Literal["input", "output"], str], ...] = Field(default=(), exclude_if=is_empty)
    """Inputs and outputs of which it sees the start and an outline, and may look up the rest."""
    barred: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """Tools of its role that the step does not get because of its labels, in words."""
    takes: tuple[str, ...] = ()
    """Media that its model accepts in addition to text: pictures of tools are shown to a model that takes them."""
    turns: int = 20
    """Maximum number of turns."""
    context: int | None = None
    """Context size of the model in tokens, input and output together. None if unknown."""
    density: float = UNKNOWN
    """How many times as many tokens as estimated its texts have. It is not part of the key: it decides how much is read
    at once, not what."""
    stated: Stated | None = None
    """Sizes as they were stated, if refusals taught smaller ones."""
    brief: Brief | None = None
    """Brief of a planner; None for other roles."""
    wording: dict[str, str] = Field(default_factory=dict)
    """Phrases of prompts, by name; from `agents/wording.md`."""
    transcript: tuple[Message, ...] = ()
    """Messages of an interrupted attempt, which are already paid for."""
    turns_taken: int = 0
    """Number of turns in that transcript."""
    failed: str = Field(default="", exclude_if=is_empty)
    """Why the answer of the attempt before did not fit. A model at temperature 0 would give it again.
    It is not part of the key."""
    seconds_left: float | None = None
    """Seconds until the end of the run at the start of the attempt; None without `limits.seconds`. Like limits, it is
    not part of the key."""
    labels: tuple[Id, ...] = ()
    """Labels of all that the step reads, sorted. Only models that may see all of them serve it.
    Like limits, labels are not part of the key."""
    on_cut: Literal["keep", "continue", "note", "split", "drop"] = "keep"
    """What becomes of an answer that reaches the output cap. `keep`: it is corrected, then accepted
    or refused. `note`: the same, and nothing is missing, because it stands above what it was made from.
    `split`: the step is expanded. `drop`: it fails, because its sources are kept."""
    trace: str = ""
    span: str = ""
    shared: dict[str, str] = Field(default_factory=dict)
    """Digests of parts that siblings share: computed once per run, not once per attempt."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy. It computes its own hashes: those of this attempt may be wrong for it."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("parts", "key"):
            vars(copied).pop(name, None)
        return copied

    @cached_property
    def parts(self) -> dict[str, str]:
        """Digests of everything that determines the output, by part.

        Not included: ids and order of siblings, spans, and limits (a higher limit must not rerun
        a step).
        """
        shared, step, brief, context = self.shared, self.step, self.brief, self.context
        if self.stated is not None:
            context = self.stated.context
            brief = None if brief is None else brief.model_copy(update={"reads": self.stated.reads})
        parts = {
            "agent": shared.get("agent") or part_digest(determining(self.agent)),
            "brief": part_digest(None if brief is None else brief.model_dump(mode="json", exclude=NOT_DETERMINING)),
            "context": part_digest(context),
            "endpoint": shared.get("endpoint") or part_digest(self.endpoints),
            "given": part_digest(sorted(map(digest, self.given))),
            "goal": shared.get("goal") or part_digest(self.goal),
            "inputs": part_digest(sorted(map(_input_parts, self.inputs))),
            "item": part_digest(step.item),
            "missing": part_digest(sorted(map(digest, self.missing))),
            "model": shared.get("model") or part_digest(self.settings),
            "output": part_digest(step.output),
            "prompt": part_digest(step.prompt),
            "tools": part_digest(self.tools_key),
            "wording": shared.get("wording") or part_digest(self.wording),
        }
        opens: Json = [list(each) for each in self.opens] or None
        return dict(sorted((parts | _rare_parts(step, opens)).items()))

    @property
    def key_anywhere(self) -> str:
        """The key without the endpoint: that of journals of earlier versions."""
        parts = {name: part for name, part in self.parts.items() if name not in NOT_RERUN}
        return sha256(to_json(parts)).hexdigest()

    @cached_property
    def key(self) -> str:
        """Hash of everything that determines the output, and of nothing else."""
        return sha256(to_json(self.parts)).hexdigest()  # already canonical: the keys are sorted


Note = Callable[[Stamped], None]
"""Function that records a fact about the attempt (a `TurnTaken`) before anything acts on it.
Synchronous."""


class Executor(Protocol):
    """A place where attempts run: one coroutine per attempt, even if the work is elsewhere.

    To cancel the coroutine stops the work.
    """

    async def execute(self, attempt: Attempt, note: Note) -> Outcome:
        """Run an attempt. Raise `AttemptError` if it has no outcome."""
        ...
