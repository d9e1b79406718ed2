"""The fold of a run's events: what is known of every step, and which steps have just become ready
or can never run.

`State.apply` is the only place where state changes. It does no I/O, knows no clock, and costs
O(what changed).

What a change of one step means for the others is in `swarm.record.graph`.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from swarm.base.error_kinds import WAITS
from swarm.base.errors import JournalError
from swarm.base.showing import Displayed
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.densities import Densities
from swarm.record.graph import Graph
from swarm.record.outcome import UNOPENED, Outcome
from swarm.record.steps import INTERRUPTIONS, Kind, Span, Status, StepState
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage
from swarm.spec.files import fill
from swarm.spec.plan import PLAN_STEP, Step, sinks


@dataclass
class Away:
    """When an endpoint was gone."""

    since: float | None = None
    """When it went, on the run's clock; None while it is there."""
    why: str = ""
    seconds: float = 0.0
    """How long it was gone before."""
    pieces: int = 0
    """How often it was gone before."""

    def end(self, t: float, seconds: float) -> None:
        """Note that it is back, at a time of the run's clock."""
        self.seconds += t - self.since if self.since is not None else seconds
        self.pieces, self.since = self.pieces + 1, None


class State(Displayed, Graph):
    """State of a run: the fold of its events."""

    def __init__(self) -> None:
        super().__init__()
        self.run = ""
        self.started: e.RunStarted | e.RunResumed | None = None
        self.first: e.RunStarted | None = None
        self.finished: e.RunFinished | None = None
        self.usage = Usage()
        self.usage_by_model: dict[str, Usage] = {}
        self.usage_by_alias: dict[str, Usage] = {}
        self.slots: dict[str, int] = {}
        """Number of parallel calls by endpoint, for endpoints where it has changed."""
        self.slots_why: dict[str, str] = {}
        """Why that number changed last, by endpoint."""
        self.away: dict[str, Away] = {}
        """When endpoints were gone, by endpoint."""
        self.contexts: dict[str, int] = {}
        """Context sizes in tokens that refusals taught, by model alias."""
        self.context_errors: dict[str, str] = {}
        """Message of the refusal that taught each of them."""
        self.densities = Densities()
        """How many tokens texts that were read in parts really have."""
        self.allowed: list[e.CallDecided] = []
        """Decisions of a person that also allow later calls."""
        self.plans = 0
        """Number of plans that joined the graph."""
        self.resumed = 0
        """Number of times the run was resumed."""
        self.step_count = 0
        """Number of steps that count against `limits.steps`, see `StepState.counts`."""
        self._apply: dict[type[Any], Callable[[Any], None]] = {
            e.RunStarted: self._run_started,
            e.RunResumed: self._run_resumed,
            e.StepsAdded: self._steps_added,
            e.StepStarted: self._step_started,
            e.TurnTaken: self._turn_taken,
            e.CallDecided: self._call_decided,
            e.StepFinished: self._step_finished,
            e.StepFailed: self._step_failed,
            e.StepSkipped: self._step_skipped,
            e.SlotsChanged: self._slots_changed,
            e.EndpointGone: self._endpoint_gone,
            e.EndpointBack: self._endpoint_back,
            e.LimitReached: self._limit_reached,
            e.RunFinished: self._run_finished,
        }

    def __repr__(self) -> str:
        status = "running" if self.finished is None else self.finished.status
        real = list(self.real_steps())
        done = sum(s.status is Status.DONE for s in real)
        return f"<State of run {self.run}: {status}, {done:,} of {len(real):,} steps done>"

    # Questions

    @property
    def seed(self) -> int:
        """Number from the trace id, the same in every stretch of the run; 0 if there is no such id."""
        digits = "" if self.first is None else self.first.trace[:8]
        return int(digits, 16) if re.fullmatch("[0-9a-f]+", digits) else 0

    @property
    def task(self) -> dict[str, Json]:
        """The task as resolved."""
        return {} if self.started is None else self.started.task

    @property
    def goal(self) -> str:
        """The goal of the task with its parameters filled in; empty if it has none."""
        goal, parameters = self.task.get("goal"), self.task.get("parameters")
        if not isinstance(goal, str):
            return ""
        return fill(goal, cast("dict[str, Json]", parameters)) if isinstance(parameters, dict) else goal

    def steps_left(self, limit: int) -> int:
        """Return how many steps may join under `limits.steps`; negative if it was lowered."""
        return limit - self.step_count

    def _kind_of(self, step: Step) -> Kind:
        agent = self.agents.get(step.agent)
        return "planner" if agent is not None and agent.output == "plan" else "plain"

    # The fold

    def apply(self, event: e.Stamped) -> None:
        """Apply one event. Raise JournalError on an unknown step or an impossible transition."""
        if event.seq:
            self.seq = event.seq
        self.t = max(self.t, event.t)
        self._apply[type(event)](event)

    def replace_agents(self, agents: Mapping[str, Agent]) -> None:
        """Add roles or replace those of the same name, and decide the kinds of the steps again."""
        self.agents.update(agents)
        for s in self.steps.values():
            if s.kind != "stand_in":
                s.kind = self._kind_of(s.step)

    def _run_started(self, event: e.RunStarted) -> None:
        self.run, self.started, self.first = event.run, event, event
        self.agents = {agent.name: agent for agent in event.agents}
        self.contexts = dict(event.contexts)

    def _run_resumed(self, event: e.RunResumed) -> None:
        """Reopen steps. Links and counts of children are made again, at O(steps)."""
        self.started, self.finished, self.resumed = event, None, self.resumed + 1
        self.limits_reached.clear()
        for name in event.voided:
            self.counts[self._get(name).status] -= 1
            del self.steps[name]
        self.replace_agents({agent.name: agent for agent in event.agents})
        if self.report_step in event.voided:
            self.report_step = None
        self.plans = len({s.by for s in self.steps.values() if _is_planned(s.step)})
        reopened = set(event.reopened)
        for step in self.steps.values():
            self._reopen(step, step.id in reopened)
        self.step_count = sum(s.counts for s in self.steps.values())
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
        if s.kind == "stand_in" and not again:
            self._back_to(s, Status.RUNNING)
            return
        if s.over and not again:
            return
        self._back_to(s, Status.WAITING)
        if s.spans and s.spans[-1].end is None:
            s.spans[-1].end = self.t
        if again:
            s.kind, s.failures, s.because, s.error = self._kind_of(s.step), 0, "", None
            s.combine = None
            # Roles outlast the outcome that brought them: label flow needs to know who made a role.
            s.outcome = Outcome(agents=s.outcome.agents)

    def _steps_added(self, event: e.StepsAdded) -> None:
        parent = self.steps.get(event.by)
        self._add(event.steps, event.by)
        if parent is not None and event.combine is not None:
            self.step_count -= parent.counts
            parent.kind, parent.combine = "stand_in", event.combine
            self.step_count += parent.counts
            self._to(parent, Status.RUNNING)
            self._settle(parent)
        for name in event.takes:
            taken = self._get(name)
            taken.kind, taken.combine = "stand_in", "list"
            self._to(taken, Status.RUNNING)
            self._settle(taken)

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
        if event.estimate and s.step.part is not None and not event.usage.estimated:
            self.densities.measure(s.model, s.step.part.name, event.usage.input_tokens, event.estimate)
        self.usage += event.usage
        self.usage_by_model[event.model] = self.usage_by_model.get(event.model, Usage()) + event.usage
        self.usage_by_alias[s.model] = self.usage_by_alias.get(s.model, Usage()) + event.usage
        s.add_times(event)

    def _call_decided(self, event: e.CallDecided) -> None:
        self._get(event.step).decided[event.call] = event
        if event.answer == "always":
            self.allowed.append(event)

    def _step_finished(self, event: e.StepFinished) -> None:
        s = self._get(event.step)
        self._end_span(s, event.t)
        s.outcome, s.error = event.outcome, None
        for above in self.shared_by(s):
            above.answered += 1
        if event.outcome.agents:
            self.replace_agents({agent.name: agent for agent in event.outcome.agents})
        if event.outcome.spawned:
            self._add(event.outcome.spawned, s.id)
        self._to(s, Status.DONE)
        self._settle(s)

    def _step_failed(self, event: e.StepFailed) -> None:
        s = self._get(event.step)
        self._end_span(s, event.t, keep=event.error.goes_on)
        if s.spans:
            s.spans[-1].retry_in, s.spans[-1].waits = event.retry_in, event.error.kind in WAITS
        s.error = event.error
        if event.error.density is not None and s.step.part is not None:
            s.resized += 1
            self.densities.guess(s.model, s.step.part.name, event.error.density)
        elif event.error.context is not None:
            s.resized += 1
            if event.error.context < self.contexts.get(s.model, event.error.context + 1):
                self.contexts[s.model] = event.error.context
                self.context_errors[s.model] = event.error.message
        elif event.error.kind == UNOPENED:
            s.reads_all = True
        elif event.error.kind not in INTERRUPTIONS:
            s.failures += 1
        if event.error.kind == "truncated":
            for above in self.shared_by(s):
                above.cut += 1
                above.answered += 1
        if event.retry_in is not None:
            self._to(s, Status.READY)
            return
        self._to(s, INTERRUPTIONS.get(event.error.kind, Status.FAILED))
        self._settle(s)

    def _step_skipped(self, event: e.StepSkipped) -> None:
        s = self._get(event.step)
        s.because, s.skipped_after_failures = event.because, event.after_failures
        self._to(s, Status.SKIPPED)
        self._settle(s)

    def _slots_changed(self, event: e.SlotsChanged) -> None:
        self.slots[event.endpoint], self.slots_why[event.endpoint] = event.after, event.why

    def _endpoint_gone(self, event: e.EndpointGone) -> None:
        away = self.away.setdefault(event.endpoint, Away())
        away.since, away.why = event.t, event.why

    def _endpoint_back(self, event: e.EndpointBack) -> None:
        self.away.setdefault(event.endpoint, Away()).end(event.t, event.seconds)

    def _limit_reached(self, event: e.LimitReached) -> None:
        self.limits_reached[event.limit] = event.value
        report = self.steps.get(self.report_step or "")
        if report is not None and report.doomed and report.status is Status.WAITING:
            report.doomed = False
            self._ready_if_free(report)

    def _run_finished(self, event: e.RunFinished) -> None:
        self.finished = event
        for away in self.away.values():
            if away.since is not None:
                away.end(event.t, event.t - away.since)

    # Bookkeeping

    def _end_span(self, s: StepState, t: float, *, keep: bool = False) -> None:
        if s.spans and s.spans[-1].end is None:
            s.spans[-1].end = t
        if not keep and (s.transcript or s.turns_taken):
            s.transcript, s.turns_taken, s.decided = [], 0, {}

    def _add(self, steps: tuple[Step, ...], by: str) -> None:
        parent = self.steps.get(by)
        added: list[StepState] = []
        for step in steps:
            if step.id in self.steps:
                raise JournalError(f"event {self.seq}: step {step.id!r} is added twice")
            s = self.steps[step.id] = StepState(step, by, len(self.steps), self._kind_of(step))
            self.counts[Status.WAITING] += 1
            self.step_count += s.counts
            self.joined.append(s.id)
            added.append(s)
        if parent is not None:
            parent.children.extend(s.id for s in added)
            parent.unsettled += len(added)
        if steps and _is_planned(steps[0]):
            self._count_plan(steps, by)
        for s in added:
            self._link(s)
        for s in added:
            self._ready_if_free(s)

    def _count_plan(self, steps: tuple[Step, ...], by: str) -> None:
        """Count a plan that joins the graph. The only end of the first one is the report."""
        self.plans += 1
        if by in ("task", PLAN_STEP) and len(ends := sinks(steps)) == 1:
            self.report_step = ends[0]


def _is_planned(step: Step) -> bool:
    """Whether a step comes from a plan: it is no instance, no part, and not the planner of the first plan."""
    return step.instance_of is None and step.partial_of is None and step.id != PLAN_STEP
