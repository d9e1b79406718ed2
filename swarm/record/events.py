"""The events of a run, one frozen model per kind. A journal is a file of events; a `State` is their
fold.

An event is a fact: it is true when it is written, and stays true. Facts that must be true together
are one event. Every event is stamped when it is emitted: `seq` counts from 1 without a gap, `at` is
the wall clock for people, `t` is the run's own clock for every computation.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter

from swarm.base.errors import AttemptError, EndpointRefused, LimitError
from swarm.base.values import Frozen, Id, Json, is_empty, is_none
from swarm.record.outcome import OutcomeRecord
from swarm.spec.agent import Agent
from swarm.spec.chat import Message, Usage
from swarm.spec.plan import Combine, Step
from swarm.spec.task import UnreadInput

FORMAT = 1
"""Version of the journal format. A journal with a higher version is refused and left unchanged."""


Seconds = Annotated[float, Field(ge=0, le=100_000_000_000, allow_inf_nan=False)]
"""A time or a duration that can be computed with: up to the year 5138."""


class Stamped(Frozen):
    """The fields of every event."""

    seq: int = 0
    """Number in the journal, from 1; 0 until the event is emitted."""
    at: Seconds = 0.0
    """Wall clock, seconds since 1970, for people only."""
    t: Seconds = 0.0
    """Seconds of the run's own monotonic clock. A resumed run continues from the last value."""


class Failure(Frozen):
    """The reason why an attempt did not succeed."""

    kind: str
    """One word for machines, such as `rate_limited`, `context_length`, `truncated`, `cancelled`, `bug`."""
    message: str
    """For people: what happened, where, and what to do."""
    may_help: bool = False
    """Whether another attempt may help."""
    stops: bool = False
    """Whether no other step can succeed either."""
    goes_on: bool = False
    """Whether the next attempt may continue from the turns of this one."""
    context: int | None = Field(default=None, exclude_if=is_none)
    """Context size in tokens that the refusal taught, smaller than the attempt had assumed. The step is asked again."""
    density: float | None = Field(default=None, exclude_if=is_none)
    """How many times as many tokens as estimated the text has of which a part was refused. The part is read in smaller
    ones."""
    limit: str = Field(default="", exclude_if=is_empty)
    """The limit of the task that a call did not fit; empty for any other reason."""

    @property
    def resizes(self) -> bool:
        """Whether it taught that less can be read at once than was assumed."""
        return self.context is not None or self.density is not None

    @classmethod
    def of(cls, error: AttemptError) -> "Failure":
        """Return the failure that an exception describes."""
        return cls(
            kind=error.kind,
            message=str(error),
            may_help=error.may_help,
            stops=error.stops,
            goes_on=error.goes_on,
            context=error.context if isinstance(error, EndpointRefused) else None,
            density=error.density if isinstance(error, EndpointRefused) else None,
            limit=error.limit if isinstance(error, LimitError) else "",
        )


class InputFact(Frozen):
    """An input as it was when the run started. Its content is not in the journal."""

    name: str
    medium: str
    sha256: str
    size: int
    label: str | None = None
    reader: str = Field(default="", exclude_if=is_empty)
    """Version of the reader that made the text of a document."""
    text_sha256: str = Field(default="", exclude_if=is_empty)
    """Hash of that text."""
    path: str = Field(default="", exclude_if=is_empty)
    """Absolute path of the file if its name is not its path in the folder of the task; `-` for standard input, whose
    bytes are an artifact."""


class KeptFact(Frozen):
    """What was read for this run once and may be gone or different later: standard input, or an address."""

    path: str
    """`-`, or the address."""
    sha256: str = Field(default="", exclude_if=is_empty)
    """Name of the artifact with its bytes; empty if the address gave none."""
    name: str = Field(default="", exclude_if=is_empty)
    """Name of a file with this content, whose ending may decide the kind."""
    because: str = Field(default="", exclude_if=is_empty)
    """Why the address gave nothing."""


class ToolFact(Frozen):
    """A tool that the run grants, as it was when the stretch started."""

    name: str
    effect: str
    """The most that it does outside of the run: `read`, `write`, `exec` or `network`."""
    goes_to: str = Field(default="", exclude_if=is_empty)
    """Place that its arguments go to; empty if they stay in the run."""
    key: str = ""
    """Hash of its schema, its version and its effect."""


class RunStarted(Stamped):
    """A run started. The event has its task, agents and inputs."""

    event: Literal["RunStarted"] = "RunStarted"
    format: int = FORMAT
    run: str
    """The run's id."""
    trace: str
    """W3C trace id: 32 hexadecimal digits."""
    versions: dict[str, str]
    """Versions of this package and of Python."""
    task: dict[str, Json]
    """The task as resolved, without secrets."""
    agents: tuple[Agent, ...]
    """Every role of the run."""
    wording: dict[str, str] = Field(default_factory=dict)
    """The phrases that prompts are built from."""
    inputs: tuple[InputFact, ...] = ()
    unread: tuple[UnreadInput, ...] = Field(default=(), exclude_if=is_empty)
    """Files that no step can read. Such a run is at best `partial`."""
    kept: tuple[KeptFact, ...] = Field(default=(), exclude_if=is_empty)
    """What was read once: resumes and replays read it from the run."""
    folder: str = ""
    """Folder to which the paths of the task are relative."""
    source: str = ""
    """Path of the task file; empty if the task did not come from a file."""
    said: dict[str, Json] = Field(default_factory=dict)
    """Options of the caller in addition to the task: limits, parameters, a plan file."""
    prices: dict[str, dict[str, Json] | None] = Field(default_factory=dict)
    """Price of each model, by alias, in US dollars per million tokens, with its source; null if unknown."""
    tools: tuple[ToolFact, ...] = Field(default=(), exclude_if=is_empty)
    """The tools that the run grants: a run is linted and replayed without opening them."""
    contexts: dict[str, int] = Field(default_factory=dict, exclude_if=is_empty)
    """Context sizes in tokens that refusals taught earlier runs, by model alias."""


class RunResumed(Stamped):
    """A stopped run was resumed."""

    event: Literal["RunResumed"] = "RunResumed"
    task: dict[str, Json]
    """The task as it is now."""
    agents: tuple[Agent, ...]
    wording: dict[str, str] = Field(default_factory=dict)
    inputs: tuple[InputFact, ...] = ()
    unread: tuple[UnreadInput, ...] = Field(default=(), exclude_if=is_empty)
    """Files that no step can read."""
    kept: tuple[KeptFact, ...] = Field(default=(), exclude_if=is_empty)
    """What was read once, in this stretch or before."""
    versions: dict[str, str]
    prices: dict[str, dict[str, Json] | None] = Field(default_factory=dict)
    tools: tuple[ToolFact, ...] = Field(default=(), exclude_if=is_empty)
    changed: tuple[str, ...] = ()
    """Differences from the last stretch, in words: `limits.tokens: 1000 → 2000`."""
    reopened: tuple[Id, ...] = ()
    """Steps that run again: cancelled and limited ones, failed ones if requested, and those with changed inputs."""
    voided: tuple[Id, ...] = ()
    """Steps that are removed, because the plan or the list that they came from is made again."""


def _is_list(combine: object) -> bool:
    """Whether the field is left out of a journal: earlier versions knew lists only."""
    return combine == "list"


class StepsAdded(Stamped):
    """Steps joined the graph."""

    event: Literal["StepsAdded"] = "StepsAdded"
    by: str
    """`run`, `task`, or the id of the step that they stand in for, or that spawned them."""
    steps: tuple[Step, ...]
    combine: Combine | None = Field(default="list", exclude_if=_is_list)
    """How the output of `by` is made from theirs. Null: `by` keeps an output of its own."""
    takes: tuple[Id, ...] = Field(default=(), exclude_if=is_empty)
    """The next parts of the same text, which these steps read, too. Nothing is left for them to do."""


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
    """Hash of everything that determines the output; see `Attempt.key`."""
    parts: dict[str, str] = Field(default_factory=dict)
    """The parts of that hash, each as the start of its own hash. A later difference is found by them."""


class TurnTaken(Stamped):
    """A model answered.

    Without usage, the event is the result of a tool that the model called. Without messages, it is the cost of calls
    that gave no answer, or of a check of a model that is needed later (`preflight`).
    """

    event: Literal["TurnTaken"] = "TurnTaken"
    step: Id
    attempt: int
    messages: tuple[Message, ...]
    """New messages only: the answer, and the correction if it was rejected; or the result of one tool."""
    usage: Usage
    seconds: Seconds
    model: str
    endpoint: str
    finish: str = "stop"
    form: str = ""
    """How the output format was requested: `json_schema`, `tool`, `json_object`, `prompt`."""
    dropped: tuple[str, ...] = ()
    """Parameters of the task that the endpoint refused, and that are omitted from then on."""
    wire_seconds: Seconds | None = Field(default=None, exclude_if=is_none)
    """Seconds from sending the call that was answered to its answer. None for tools, and in earlier journals."""
    estimate: int | None = Field(default=None, exclude_if=is_none)
    """Tokens of the request as they were estimated, if the step reads a part of a text: with what the endpoint counted,
    they show how dense that is."""
    waited: dict[str, Seconds] = Field(default_factory=dict[str, float], exclude_if=is_empty)
    """Seconds of waiting before the answer, by cause: `slots` of the endpoint, `rate_limit`, `retry`, `budget`."""

    @property
    def is_answer(self) -> bool:
        """Whether a model answered. The result of a tool belongs to the turn before it."""
        return any(message.role == "assistant" for message in self.messages)


class CallDecided(Stamped):
    """A person, or a program in their place, allowed a call of a tool or did not."""

    event: Literal["CallDecided"] = "CallDecided"
    step: Id
    attempt: int
    call: str
    """Id of the call in its conversation."""
    tool: str
    """Name of the tool in the task."""
    key: str = ""
    """Hash of the tool as it was: its schema, its version and its effect."""
    arguments: str = ""
    """Hash of the arguments."""
    answer: Literal["yes", "no", "always"]
    """`always` also allows later calls of the tool by steps with no other labels."""
    reason: str = Field(default="", exclude_if=is_empty)
    """Why not, as the model is told."""
    labels: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """Labels of the data that the step reads."""


class StepFinished(OutcomeRecord, Stamped):
    """An attempt succeeded: running → done, and the steps that its outcome spawned join the graph."""

    NOT_WRITTEN: ClassVar[frozenset[str]] = frozenset({"usage"})
    """The turns of the attempt have it."""

    event: Literal["StepFinished"] = "StepFinished"
    step: Id
    attempt: int


class StepFailed(Stamped):
    """An attempt failed: it is retried `retry_in` seconds later, or, if that is null, the step is over."""

    event: Literal["StepFailed"] = "StepFailed"
    step: Id
    attempt: int
    error: Failure
    retry_in: Seconds | None = None


class StepSkipped(Stamped):
    """A step will not run: waiting → skipped."""

    event: Literal["StepSkipped"] = "StepSkipped"
    step: Id
    because: str
    after_failures: bool = Field(default=False, exclude_if=is_empty)
    """Whether similar steps had failed: only `--failed` runs it again."""


class SlotsChanged(Stamped):
    """An endpoint allows more or fewer parallel calls."""

    event: Literal["SlotsChanged"] = "SlotsChanged"
    endpoint: str
    before: int = Field(alias="from")
    after: int = Field(alias="to")
    why: str


class EndpointGone(Stamped):
    """An endpoint that has answered cannot be reached any more: its calls wait until it is back."""

    event: Literal["EndpointGone"] = "EndpointGone"
    endpoint: str
    why: str


class EndpointBack(Stamped):
    """An endpoint that was gone answers again."""

    event: Literal["EndpointBack"] = "EndpointBack"
    endpoint: str
    seconds: Seconds
    """How long it was gone."""
    probes: int
    """Calls that were made to find out."""


class LimitReached(Stamped):
    """A limit of the task was reached: only the report may still start."""

    event: Literal["LimitReached"] = "LimitReached"
    limit: str
    value: float


class RunFinished(Stamped):
    """A stretch of the run ended. Only a resume may follow."""

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
    | CallDecided
    | StepFinished
    | StepFailed
    | StepSkipped
    | SlotsChanged
    | EndpointGone
    | EndpointBack
    | LimitReached
    | RunFinished,
    Field(discriminator="event"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Validator of one event from a line of a journal."""
