"""The fold of a run's events: what is known of every step, and which step has just become ready or hopeless.

`State.apply` is the only place where state changes. It does no I/O, knows no clock, and costs O(what changed).

A step moves like this:

    waiting ──> ready ──> running ──> done
       │          ^          │
       │          └──────────┼── failed, to be tried again
       └──> skipped          └──> failed, cancelled, limited

A step is *over* when its own status is final, and *settled* when it and everything it spawned is over: the instances
of an `each` step, the steps of a later plan. What waits for a step waits until it is settled. An `each` step has no
attempt of its own: it runs from the moment its instances join to the moment the last of them is settled.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from swarm.base.errors import JournalError
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.spec.agent import Agent
from swarm.spec.chat import Message, Usage
from swarm.spec.plan import PLAN_STEP, Step, before_of, sinks


class Status(StrEnum):
    """Where a step stands. Only `done` counts as success."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    LIMITED = "limited"


OVER = frozenset({Status.DONE, Status.FAILED, Status.SKIPPED, Status.CANCELLED, Status.LIMITED})
"""Final, unless the run is resumed."""
INTERRUPTIONS = {"cancelled": Status.CANCELLED, "limit": Status.LIMITED}
"""Kinds of failure that say nothing about the step, and the status they end in."""


@dataclass(slots=True)
class Span:
    """One attempt on the run's clock."""

    attempt: int
    start: float
    end: float | None = None


@dataclass(slots=True)
class StepState:
    """What is known of one step."""

    step: Step
    by: str
    """`run`, `task`, or the id of the step that spawned it."""
    order: int
    """Its place in plan order."""
    status: Status = Status.WAITING
    attempt: int = 0
    """Attempts started."""
    failures: int = 0
    """Attempts that failed; those cut off do not count."""
    model: str = ""
    """Alias of the model of its last attempt."""
    endpoint: str = ""
    """Endpoint of its last turn."""
    key: str = ""
    """Hash of all that determined its output."""
    parts: dict[str, str] = field(default_factory=dict[str, str])
    """What that is, part by part."""
    outcome: Outcome = Outcome()  # noqa: RUF009 - frozen: one for all steps that have none yet
    error: e.Failure | None = None
    because: str = ""
    """Why it was skipped."""
    usage: Usage = Usage()  # noqa: RUF009 - frozen: one for all steps that have used nothing yet
    turns: int = 0
    """Turns of all attempts."""
    transcript: list[Message] = field(default_factory=list[Message])
    """Messages of an attempt that is running, or was interrupted."""
    turns_taken: int = 0
    """Turns that made that transcript."""
    spans: list[Span] = field(default_factory=list[Span])
    ready_at: float = 0.0
    """When, on the run's clock, all it waits for was settled."""
    expanded: bool = False
    """Whether its instances have joined."""
    children: list[str] = field(default_factory=list[str])
    settled: bool = False
    blockers: int = 0
    """Steps it waits for that are not settled."""
    doomed: bool = False
    """Whether a step it needs has failed: it is about to be skipped."""
    waiters: list[str] = field(default_factory=list[str])
    """Steps that wait for it."""
    unsettled: int = 0
    """Children that are not settled."""
    hurt: int = 0
    """Children that failed and were not optional."""

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id

    @property
    def over(self) -> bool:
        """Whether its own status is final."""
        return self.status in OVER

    @property
    def good(self) -> bool:
        """Whether what needs it may go on."""
        return self.step.optional or (self.status is Status.DONE and self.hurt == 0)


class State:
    """A run as its events tell it."""

    def __init__(self) -> None:
        self.run = ""
        self.started: e.RunStarted | e.RunResumed | None = None
        self.first: e.RunStarted | None = None
        self.finished: e.RunFinished | None = None
        self.seq = 0
        """Number of the last event."""
        self.t = 0.0
        """The run's clock at the last event."""
        self.steps: dict[str, StepState] = {}
        """Every step, in plan order."""
        self.agents: dict[str, Agent] = {}
        """Every role, those made by plans included."""
        self.counts: dict[Status, int] = dict.fromkeys(Status, 0)
        self.usage = Usage()
        self.usage_by_model: dict[str, Usage] = {}
        self.slots: dict[str, int] = {}
        """Calls at once, by endpoint, where that has changed."""
        self.limits_reached: dict[str, float] = {}
        self.report_step: str | None = None
        self.plans = 0
        """Plans that joined the graph."""
        self.resumed = 0
        self.stand_ins = 0
        """Steps that only stand for their instances."""
        self.joined: deque[str] = deque()
        """Steps that have just joined the graph; whoever takes decisions drains it."""
        self.fresh: deque[str] = deque()
        """Steps that have just become ready; likewise."""
        self.doomed: deque[tuple[str, str]] = deque()
        """Steps that can never run, and the step that is to blame; likewise."""
        self._apply: dict[type[Any], Callable[[Any], None]] = {
            e.RunStarted: self._run_started,
            e.RunResumed: self._run_resumed,
            e.StepsAdded: self._steps_added,
            e.StepStarted: self._step_started,
            e.TurnTaken: self._turn_taken,
            e.StepFinished: self._step_finished,
            e.StepFailed: self._step_failed,
            e.StepSkipped: self._step_skipped,
            e.SlotsChanged: self._slots_changed,
            e.LimitReached: self._limit_reached,
            e.RunFinished: self._run_finished,
        }

    # What is asked of it

    @property
    def over(self) -> bool:
        """Whether every step is over."""
        return sum(self.counts[status] for status in OVER) == len(self.steps)

    @property
    def task(self) -> dict[str, Json]:
        """The task as resolved."""
        return {} if self.started is None else self.started.task

    def real_steps(self) -> Iterable[StepState]:
        """Every step that is one attempt's work: all but those that only stand for their instances."""
        return (s for s in self.steps.values() if not s.expanded)

    # The fold

    def apply(self, event: e.Stamped) -> None:
        """Take in one fact."""
        if event.seq:
            self.seq = event.seq
        self.t = max(self.t, event.t)
        self._apply[type(event)](event)

    def _run_started(self, event: e.RunStarted) -> None:
        self.run, self.started, self.first = event.run, event, event
        self.agents = {agent.name: agent for agent in event.agents}

    def _run_resumed(self, event: e.RunResumed) -> None:
        """Open again what was cut off; links are made anew, once, at O(steps)."""
        self.started, self.finished, self.resumed = event, None, self.resumed + 1
        self.agents.update({agent.name: agent for agent in event.agents})
        self.limits_reached.clear()
        for name in event.voided:
            del self.steps[name]
        if self.report_step in event.voided:
            self.report_step = None
        made = {s.by for s in self.steps.values() if s.step.instance_of is None and s.id != PLAN_STEP}
        self.plans = len(made)
        reopened = set(event.reopened)
        for step in self.steps.values():
            self._reopen(step, step.id in reopened)
        self.counts = dict.fromkeys(Status, 0)
        for step in self.steps.values():
            self.counts[step.status] += 1
        self.stand_ins = sum(s.expanded for s in self.steps.values())
        self.joined = deque(self.steps)
        self.fresh.clear()
        self.doomed.clear()
        for step in self.steps.values():
            if (parent := self.steps.get(step.by)) is not None:
                parent.children.append(step.id)
                parent.unsettled += 1
            self._link(step)
        for step in list(self.steps.values()):
            self._settle(step)
        for step in self.steps.values():
            self._ready_if_free(step)

    def _reopen(self, s: StepState, again: bool) -> None:
        s.children, s.waiters = [], []
        s.settled, s.blockers, s.unsettled, s.hurt = False, 0, 0, 0
        s.doomed = s.doomed and s.over and not again
        if s.expanded and not again:
            s.status = Status.RUNNING
        elif again or not s.over:
            s.status = Status.WAITING
            if s.spans and s.spans[-1].end is None:
                s.spans[-1].end = self.t
            if again:
                s.expanded, s.failures, s.because, s.error = False, 0, "", None
                # Roles outlast the outcome that brought them: whoever is given one needs to know its maker.
                s.outcome = Outcome(agents=s.outcome.agents)

    def _steps_added(self, event: e.StepsAdded) -> None:
        parent = self.steps.get(event.by)
        self._add(event.steps, event.by)
        if parent is not None:
            parent.expanded = True
            self.stand_ins += 1
            self._to(parent, Status.RUNNING)
            self._settle(parent)

    def _step_started(self, event: e.StepStarted) -> None:
        s = self._get(event.step)
        s.attempt, s.model, s.key, s.parts = event.attempt, event.model, event.key, event.parts
        s.error = None
        s.spans.append(Span(event.attempt, event.t))
        self._to(s, Status.RUNNING)

    def _turn_taken(self, event: e.TurnTaken) -> None:
        s = self._get(event.step)
        s.turns += event.is_answer
        s.turns_taken += event.is_answer
        s.transcript.extend(event.messages)
        s.usage += event.usage
        s.endpoint = event.endpoint
        self.usage += event.usage
        self.usage_by_model[event.model] = self.usage_by_model.get(event.model, Usage()) + event.usage

    def _step_finished(self, event: e.StepFinished) -> None:
        s = self._get(event.step)
        self._end_span(s, event.t)
        s.outcome, s.error = event.outcome, None
        self.agents.update({agent.name: agent for agent in event.outcome.agents})
        if event.outcome.spawned:
            self._add(event.outcome.spawned, s.id)
        self._to(s, Status.DONE)
        self._settle(s)

    def _step_failed(self, event: e.StepFailed) -> None:
        s = self._get(event.step)
        self._end_span(s, event.t, keep=event.error.goes_on)
        s.error = event.error
        if event.error.kind not in INTERRUPTIONS:
            s.failures += 1
        if event.retry_in is not None:
            self._to(s, Status.READY)
            return
        self._to(s, INTERRUPTIONS.get(event.error.kind, Status.FAILED))
        self._settle(s)

    def _step_skipped(self, event: e.StepSkipped) -> None:
        s = self._get(event.step)
        s.because = event.because
        self._to(s, Status.SKIPPED)
        self._settle(s)

    def _slots_changed(self, event: e.SlotsChanged) -> None:
        self.slots[event.endpoint] = event.after

    def _limit_reached(self, event: e.LimitReached) -> None:
        self.limits_reached[event.limit] = event.value

    def _run_finished(self, event: e.RunFinished) -> None:
        self.finished = event

    # How it is kept

    def _get(self, name: str) -> StepState:
        if name not in self.steps:
            raise JournalError(f"event {self.seq}: there is no step {name!r} in this run")
        return self.steps[name]

    def _to(self, s: StepState, status: Status) -> None:
        self.counts[s.status] -= 1
        self.counts[status] += 1
        s.status = status

    def _end_span(self, s: StepState, t: float, *, keep: bool = False) -> None:
        if s.spans and s.spans[-1].end is None:
            s.spans[-1].end = t
        if not keep and (s.transcript or s.turns_taken):
            s.transcript, s.turns_taken = [], 0

    def _add(self, steps: tuple[Step, ...], by: str) -> None:
        parent = self.steps.get(by)
        added: list[StepState] = []
        for step in steps:
            if step.id in self.steps:
                raise JournalError(f"event {self.seq}: step {step.id!r} is added twice")
            s = self.steps[step.id] = StepState(step, by, len(self.steps))
            self.counts[Status.WAITING] += 1
            self.joined.append(s.id)
            added.append(s)
        if parent is not None:
            parent.children.extend(s.id for s in added)
            parent.unsettled += len(added)
        if steps and steps[0].instance_of is None and steps[0].id != PLAN_STEP:
            self.plans += 1
            if by in ("task", PLAN_STEP) and len(ends := sinks(steps)) == 1:
                self.report_step = ends[0]
        for s in added:
            self._link(s)
        for s in added:
            self._ready_if_free(s)

    def _link(self, s: StepState) -> None:
        for before in before_of(s.step):
            other = self._get(before)
            other.waiters.append(s.id)
            if not other.settled:
                s.blockers += 1
            else:
                self._doom_if_needed(s, other)

    def _ready_if_free(self, s: StepState) -> None:
        if s.status is Status.WAITING and s.blockers == 0 and not s.doomed:
            s.ready_at = self.t
            self._to(s, Status.READY)
            self.fresh.append(s.id)

    def _settle(self, first: StepState) -> None:
        """Settle a step if it can be, and whatever that settles in turn."""
        stack = [first]
        while stack:
            s = stack.pop()
            if s.settled or s.unsettled or not (s.over or s.expanded):
                continue
            s.settled = True
            if s.expanded and not s.over:
                self._to(s, Status.FAILED if s.hurt else Status.DONE)
            for waiter in s.waiters:
                self._unblock(self.steps[waiter], s)
            parent = self.steps.get(s.by)
            if parent is not None:
                parent.unsettled -= 1
                parent.hurt += not s.good
                stack.append(parent)

    def _unblock(self, waiter: StepState, by: StepState) -> None:
        waiter.blockers -= 1
        self._doom_if_needed(waiter, by)
        self._ready_if_free(waiter)

    def _doom_if_needed(self, waiter: StepState, by: StepState) -> None:
        hopeless = not by.good and by.id not in waiter.step.after
        if hopeless and waiter.status is Status.WAITING and not waiter.doomed:
            waiter.doomed = True
            self.doomed.append((waiter.id, by.id))
