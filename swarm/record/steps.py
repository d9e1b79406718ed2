"""One step of a run: its status, its kind and what is known of it.

A step makes these transitions and no others (`TRANSITIONS`; `State` refuses the rest):

    waiting → ready         all it waits for is settled
    waiting → skipped       a step it needs failed, or the run stops
    ready → running         an attempt started, or its instances joined the graph
    ready → skipped         the run stops
    ready → failed          no attempt can be made, or its list is not a list
    ready → limited         a limit leaves no space for an attempt or for its instances
    running → done          the attempt succeeded, or the steps that stand in for it gave an output
    running → ready         the attempt failed and is retried
    running → failed        the attempt failed, or the steps that stand in for it gave no output
    running → cancelled     the run was interrupted
    running → limited       a limit was reached
    skipped → limited       its attempt exceeded a limit, and reaching the limit had skipped it

A resumed run makes these:

    ready → waiting         the run had stopped before the step started
    running → waiting       the attempt was cut off by a crash, or its instances or parts are made again
    done → waiting          something that determined its output has changed
    failed → waiting        failed steps are retried
    skipped → waiting       what it was skipped for is gone
    cancelled → waiting     the interrupt is over
    limited → waiting       the limit may have been raised
    done → running          an instance or a part of it runs again
    failed → running        an instance or a part of it runs again
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.spec.chat import Message, Usage
from swarm.spec.plan import Combine, Step


class Status(StrEnum):
    """Status of a step. Only `done` counts as success."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    LIMITED = "limited"


OVER = frozenset({Status.DONE, Status.FAILED, Status.SKIPPED, Status.CANCELLED, Status.LIMITED})
"""Final statuses: nothing but a resume changes them."""
INTERRUPTIONS = {"cancelled": Status.CANCELLED, "limit": Status.LIMITED}
"""Kinds of failure that are not the step's own, and the status they lead to."""
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.WAITING: frozenset({Status.READY, Status.SKIPPED}),
    Status.READY: frozenset({Status.RUNNING, Status.SKIPPED, Status.FAILED, Status.LIMITED}),
    Status.RUNNING: frozenset({Status.DONE, Status.READY, Status.FAILED, Status.CANCELLED, Status.LIMITED}),
    Status.SKIPPED: frozenset({Status.LIMITED}),
    **dict.fromkeys(OVER - {Status.SKIPPED}, frozenset[Status]()),
}
"""The transitions of a step during a stretch of a run, by the status it leaves."""
RESUMED_TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.WAITING: frozenset[Status](),
    **dict.fromkeys((Status.READY, Status.RUNNING), frozenset({Status.WAITING})),
    **dict.fromkeys((Status.DONE, Status.FAILED), frozenset({Status.WAITING, Status.RUNNING})),
    **dict.fromkeys((Status.SKIPPED, Status.CANCELLED, Status.LIMITED), frozenset({Status.WAITING})),
}
"""The transitions that a resume makes, by the status a step leaves."""

Kind = Literal["plain", "planner", "stand_in"]
"""A plain step is the work of one attempt. So is a planner, whose role answers with a plan; its readers read the steps
that end the plan. A stand-in was expanded into other steps before it had an outcome: its output is made from theirs, as
its `combine` says."""


@dataclass(slots=True)
class Span:
    """Duration of one attempt, on the run's clock."""

    attempt: int
    start: float
    end: float | None = None
    retry_in: float | None = None
    """Seconds of the pause after it, if it failed and is retried."""
    waits: bool = False
    """Whether that pause is for an endpoint that is rate limited or overloaded."""


class Call(NamedTuple):
    """One answered call on the run's clock, without its waits."""

    start: float
    end: float
    endpoint: str
    model: str
    """The model's own name."""
    input_tokens: int
    output_tokens: int
    step: str

    @property
    def seconds(self) -> float:
        """Seconds on the wire."""
        return self.end - self.start


@dataclass(slots=True)
class StepState:
    """State of one step."""

    step: Step
    by: str
    """`run`, `task`, or the id of the step that spawned it."""
    order: int
    """Position in plan order."""
    kind: Kind = "plain"
    """Decided by the output type of the step's agent, until it is expanded."""
    combine: Combine | None = None
    """How the output of a stand-in is made; None for other steps."""
    status: Status = Status.WAITING
    attempt: int = 0
    """Number of started attempts."""
    failures: int = 0
    """Number of failed attempts, without those that were cut off."""
    resized: int = 0
    """Number of attempts that were refused as too long and taught a smaller context size."""
    reads_all: bool = False
    """Whether an attempt opened nothing of its long texts: the next one reads all of them."""
    model: str = ""
    """Model alias of the last attempt."""
    endpoint: str = ""
    """Endpoint of the last turn."""
    key: str = ""
    """Hash of everything that determined the output."""
    parts: dict[str, str] = field(default_factory=dict[str, str])
    """The parts of that hash, by name."""
    outcome: Outcome = Outcome()  # noqa: RUF009 - frozen: one for all steps that have none yet
    error: e.Failure | None = None
    because: str = ""
    skipped_after_failures: bool = False
    """Whether it was skipped because similar steps had failed."""
    """Reason why it was skipped."""
    usage: Usage = Usage()  # noqa: RUF009 - frozen: one for all steps that have used nothing yet
    turns: int = 0
    """Number of turns in all attempts."""
    transcript: list[Message] = field(default_factory=list[Message])
    """Messages of an attempt that is running, or was interrupted."""
    turns_taken: int = 0
    """Number of turns in that transcript."""
    decided: dict[str, e.CallDecided] = field(default_factory=dict[str, e.CallDecided])
    """Decisions of a person on calls of that transcript, by the id of the call."""
    spans: list[Span] = field(default_factory=list[Span])
    calls: list[Call] = field(default_factory=list[Call])
    """Answered calls of all attempts. Journals of earlier versions do not say when they ran."""
    waited: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds in which its attempts waited, by cause; see `TurnTaken.waited`."""
    tool_seconds: float = 0.0
    """Seconds of its calls of tools."""
    ready_at: float = 0.0
    """Time, on the run's clock, when everything it waits for was settled."""
    children: list[str] = field(default_factory=list[str])
    """Steps that it was expanded into, or that it spawned: its instances, its parts, or the steps of its plan."""
    settled: bool = False
    blockers: int = 0
    """Number of steps it waits for that are not settled."""
    doomed: bool = False
    """Whether a step it needs has failed: it is about to be skipped."""
    waiters: list[str] = field(default_factory=list[str])
    """Steps that wait for it."""
    unsettled: int = 0
    """Number of children that are not settled."""
    answered: int = 0
    """Number of steps that did a share of its reading and have answered."""
    cut: int = 0
    """Number of these whose answer reached its output cap: what they read is read again in smaller pieces."""
    hurt: int = 0
    """Number of children that failed and were not optional. Only lists and plans count them: the other stand-ins are
    done if any child gave something."""

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id

    @property
    def has_one_output(self) -> bool:
        """Whether it passes on one output of its own, not those of its children."""
        return self.combine not in ("list", "sections", "text")

    @property
    def taken(self) -> bool:
        """Whether another step reads its part of a text: it has no output of its own."""
        return self.step.part is not None and self.combine == "list"

    @property
    def gave(self) -> bool:
        """Whether it has an output of its own, or of its children."""
        return self.status is Status.DONE and not self.taken

    @property
    def has_children_of_inputs(self) -> bool:
        """Whether its children may have been made from inputs: it was expanded, and not to be judged or taken over."""
        return self.kind == "stand_in" and not self.taken and self.combine not in ("checked", "majority")

    @property
    def over(self) -> bool:
        """Whether its own status is final."""
        return self.status in OVER

    @property
    def failed(self) -> bool:
        """Whether it is over and has no output."""
        return self.over and self.status is not Status.DONE

    @property
    def counts(self) -> bool:
        """Whether it counts against `limits.steps`: not if it does a share of another step's work, and not if it is
        replaced by instances.
        """
        return self.step.partial_of is None and not (self.kind == "stand_in" and self.combine == "list")

    @property
    def good(self) -> bool:
        """Whether the steps that need it may run."""
        return self.step.optional or (self.status is Status.DONE and self.hurt == 0)

    def add_times(self, turn: e.TurnTaken) -> None:
        """Add when the call of a turn ran, and what it had waited for."""
        if turn.wire_seconds is not None:
            start = max(0.0, turn.t - turn.wire_seconds)
            used = turn.usage
            sizes = used.input_tokens, used.output_tokens
            self.calls.append(Call(start, turn.t, turn.endpoint, turn.model, *sizes, self.id))
        if turn.messages and not turn.is_answer:
            self.tool_seconds += turn.seconds
        for cause, spent in turn.waited.items():
            self.waited[cause] = self.waited.get(cause, 0.0) + spent
