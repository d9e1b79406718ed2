"""The facts of a run, one frozen model a kind. A journal is a file of them; a `State` is their fold.

An event says what happened, never what should: it is true when it is written and stays true. What must be true
together is one event. Every event is stamped when it is emitted: `seq` counts from 1 without a gap, `at` is the wall
clock for people, `t` is the run's own clock for every computation.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter

from swarm.base.errors import AttemptError
from swarm.base.values import Frozen, Id, Json
from swarm.record.outcome import OutcomeRecord
from swarm.spec.agent import Agent
from swarm.spec.chat import Message, Usage
from swarm.spec.plan import Step

FORMAT = 1
"""The version of the journal format. A journal with a higher one is refused, untouched."""


class Stamped(Frozen):
    """What every event carries."""

    seq: int = 0
    """Its number in the journal, from 1; 0 until it is emitted."""
    at: float = 0.0
    """Wall clock, seconds since 1970, for people only."""
    t: float = 0.0
    """Seconds of the run's own monotonic clock; it goes on where it stopped when a run is resumed."""


class Failure(Frozen):
    """Why an attempt did not succeed."""

    kind: str
    """One word for machines, such as `rate_limited`, `context_length`, `truncated`, `cancelled`, `bug`."""
    message: str
    """For people: what, where, what to do."""
    may_help: bool = False
    """Whether another attempt may help."""
    stops: bool = False
    """Whether no other step can succeed either."""
    goes_on: bool = False
    """Whether the next attempt may go on with the turns that this one has paid for."""

    @classmethod
    def of(cls, error: AttemptError) -> "Failure":
        """Take the facts of an exception."""
        return cls(
            kind=error.kind,
            message=str(error),
            may_help=error.may_help,
            stops=error.stops,
            goes_on=error.goes_on,
        )


class InputFact(Frozen):
    """An input as it was when the run started. Its content is not in the journal."""

    name: str
    medium: str
    sha256: str
    size: int
    label: str | None = None


class RunStarted(Stamped):
    """A run began: what it was asked, with what."""

    event: Literal["RunStarted"] = "RunStarted"
    format: int = FORMAT
    run: str
    """The run's id."""
    trace: str
    """W3C trace id: 32 hexadecimal digits."""
    versions: dict[str, str]
    """This package, Python."""
    task: dict[str, Json]
    """The task as resolved, never a secret."""
    agents: tuple[Agent, ...]
    """Every role the run knows."""
    wording: dict[str, str] = Field(default_factory=dict)
    """The phrases that prompts are put together with."""
    inputs: tuple[InputFact, ...] = ()
    folder: str = ""
    """Where the task's relative paths start."""
    source: str = ""
    """The task's file, where it came from one."""
    said: dict[str, Json] = Field(default_factory=dict)
    """What the caller said beside the task: limits, parameters, a plan file."""
    prices: dict[str, dict[str, Json] | None] = Field(default_factory=dict)
    """What each model costs, by alias, in dollars a million tokens, and whose price it is; null where unknown."""


class RunResumed(Stamped):
    """A run that had stopped went on. What it reopened is over no more."""

    event: Literal["RunResumed"] = "RunResumed"
    task: dict[str, Json]
    """The task as it is now."""
    agents: tuple[Agent, ...]
    wording: dict[str, str] = Field(default_factory=dict)
    inputs: tuple[InputFact, ...] = ()
    versions: dict[str, str]
    prices: dict[str, dict[str, Json] | None] = Field(default_factory=dict)
    changed: tuple[str, ...] = ()
    """What differs from before, in words: `limits.tokens: 1000 → 2000`."""
    reopened: tuple[Id, ...] = ()
    """Steps that are over no more: cancelled, limited, failed ones when asked, and those whose content changed."""
    voided: tuple[Id, ...] = ()
    """Steps that are gone, because the plan they came from no longer holds."""


class StepsAdded(Stamped):
    """Steps joined the graph."""

    event: Literal["StepsAdded"] = "StepsAdded"
    by: str
    """`run`, `task`, or the id of the `each` step they are instances of."""
    steps: tuple[Step, ...]


class StepStarted(Stamped):
    """An attempt at a step began: ready → running."""

    event: Literal["StepStarted"] = "StepStarted"
    step: Id
    attempt: int
    """From 1, counting every start."""
    span: str
    """W3C span id of the attempt: 16 hexadecimal digits."""
    model: str
    """The alias."""
    key: str = ""
    """Hash of everything that determines the output."""
    parts: dict[str, str] = Field(default_factory=dict)
    """What that is, each part by the beginning of its hash: it tells what a later difference is in."""


class TurnTaken(Stamped):
    """A model answered; or, in an event without usage, a tool that it asked for did; or, in one without messages, calls
    gave no answer and may have been billed all the same, or looked at a model that is needed later (`preflight`).
    """

    event: Literal["TurnTaken"] = "TurnTaken"
    step: Id
    attempt: int
    messages: tuple[Message, ...]
    """New ones only: the answer, and the words that ask again where it will not do; or the result of one tool."""
    usage: Usage
    seconds: float
    model: str
    endpoint: str
    finish: str = "stop"
    form: str = ""
    """How the form of the answer was asked for: `json_schema`, `tool`, `json_object`, `prompt`."""
    dropped: tuple[str, ...] = ()
    """Parameters of the task that the endpoint refused, and that are left out from then on."""

    @property
    def is_answer(self) -> bool:
        """Whether a model answered. An event of a tool's result alone belongs to the turn before it."""
        return any(message.role == "assistant" for message in self.messages)


class StepFinished(OutcomeRecord, Stamped):
    """An attempt succeeded: running → done, and the steps that its outcome spawned join the graph."""

    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"usage"})
    """The turns of the attempt have it."""

    event: Literal["StepFinished"] = "StepFinished"
    step: Id
    attempt: int


class StepFailed(Stamped):
    """An attempt failed: → ready again `retry_in` seconds later, or → over."""

    event: Literal["StepFailed"] = "StepFailed"
    step: Id
    attempt: int
    error: Failure
    retry_in: float | None = None


class StepSkipped(Stamped):
    """A step will not run: waiting → skipped."""

    event: Literal["StepSkipped"] = "StepSkipped"
    step: Id
    because: str


class SlotsChanged(Stamped):
    """An endpoint takes more, or fewer, calls at once."""

    event: Literal["SlotsChanged"] = "SlotsChanged"
    endpoint: str
    before: int = Field(alias="from")
    after: int = Field(alias="to")
    why: str


class LimitReached(Stamped):
    """A limit of the task was reached: nothing new starts but the report."""

    event: Literal["LimitReached"] = "LimitReached"
    limit: str
    value: float


class RunFinished(Stamped):
    """The run is over. Nothing follows, unless it is resumed."""

    event: Literal["RunFinished"] = "RunFinished"
    status: Literal["done", "partial", "failed", "limit", "cancelled"]
    report: Id | None = None
    """The step whose output is the report."""
    because: str = ""


Event = Annotated[
    RunStarted
    | RunResumed
    | StepsAdded
    | StepStarted
    | TurnTaken
    | StepFinished
    | StepFailed
    | StepSkipped
    | SlotsChanged
    | LimitReached
    | RunFinished,
    Field(discriminator="event"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads one event from a line of a journal."""
