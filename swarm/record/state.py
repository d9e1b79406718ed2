"""The fold of a run's events: what is known of every step, and which steps have just become ready
or can never run.

`State.apply` is the only place where state changes. It does no I/O, knows no clock, and costs
O(what changed).

A step is *over* when its own status is final, and *settled* when it and every step it spawned is
over: the instances of an `each` step, the steps of a later plan. A step that waits for it waits
until it is settled. A stand-in runs from the moment it is expanded until the last of its children
is settled. It is done if every child is (`list`), or if any child gave something (all other ways to
combine outputs). The transitions of a step are in `swarm.record.steps`.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from swarm.base.error_kinds import WAITS
from swarm.base.errors import JournalError
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.steps import INTERRUPTIONS, OVER, RESUMED_TRANSITIONS, TRANSITIONS, Kind, Span, Status, StepState
from swarm.spec.agent import Agent
from swarm.spec.chat import Usage
from swarm.spec.plan import PLAN_STEP, REDUCER, Step, before_of, sinks


class State:
    """State of a run: the fold of its events."""

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
        """Every role, including those that plans brought."""
        self.counts: dict[Status, int] = dict.fromkeys(Status, 0)
        self.usage = Usage()
        self.usage_by_model: dict[str, Usage] = {}
        self.usage_by_alias: dict[str, Usage] = {}
        self.slots: dict[str, int] = {}
        """Number of parallel calls by endpoint, for endpoints where it has changed."""
        self.contexts: dict[str, int] = {}
        """Context sizes in tokens that refusals taught, by model alias."""
        self.limits_reached: dict[str, float] = {}
        self.report_step: str | None = None
        self.plans = 0
        """Number of plans that joined the graph."""
        self.resumed = 0
        """Number of times the run was resumed."""
        self.step_count = 0
        """Number of steps that count against `limits.steps`, see `StepState.counts`."""
        self.joined: deque[str] = deque()
        """Steps that have just joined. The scheduler drains this queue and the next two."""
        self.fresh: deque[str] = deque()
        """Steps that have just become ready."""
        self.doomed: deque[tuple[str, str]] = deque()
        """Steps that can never run, each with the step that is the reason."""
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

    # Questions

    @property
    def seed(self) -> int:
        """Number from the trace id, the same in every stretch of the run; 0 if there is no such id."""
        digits = "" if self.first is None else self.first.trace[:8]
        return int(digits, 16) if re.fullmatch("[0-9a-f]+", digits) else 0

    @property
    def over(self) -> bool:
        """Whether every step is over."""
        return sum(self.counts[status] for status in OVER) == len(self.steps)

    @property
    def task(self) -> dict[str, Json]:
        """The task as resolved."""
        return {} if self.started is None else self.started.task

    def real_steps(self) -> Iterable[StepState]:
        """Return every step that has attempts of its own: all but stand-ins that had none before their expansion."""
        return (s for s in self.steps.values() if s.kind != "stand_in" or s.spans)

    def steps_left(self, limit: int) -> int:
        """Return how many steps may join under `limits.steps`; negative if it was lowered."""
        return limit - self.step_count

    def reads_for(self, step: str) -> str:
        """Return the step for which a step does a share of the work, over all levels; itself if it does none."""
        whole = (name for name in self.lineage(step) if self.steps[name].step.partial_of is None)
        return next(whole, step)

    def is_report(self, step: str) -> bool:
        """Return whether a step makes the report, does a share of that work, or was spawned by a step that does."""
        return self.report_step in self.lineage(step)

    def lineage(self, step: str) -> tuple[str, ...]:
        """Return a step, the step that spawned it, and so on; each once, even in a forged journal."""
        found: dict[str, None] = {}
        while step in self.steps and step not in found:
            found[step] = None
            step = self.steps[step].by
        return tuple(found)

    def reduces(self, step: Step) -> bool:
        """Return whether a step only puts together what others found."""
        agent = self.agents.get(step.agent)
        writes_reports = step.agent == REDUCER or (agent is not None and agent.output == "report")
        return writes_reports or step.merge is not None

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
        self.usage_by_alias[s.model] = self.usage_by_alias.get(s.model, Usage()) + event.usage
        s.add_times(event)

    def _step_finished(self, event: e.StepFinished) -> None:
        s = self._get(event.step)
        self._end_span(s, event.t)
        s.outcome, s.error = event.outcome, None
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
        if event.error.context is not None:
            s.resized += 1
            self.contexts[s.model] = min(event.error.context, self.contexts.get(s.model, event.error.context))
        elif event.error.kind not in INTERRUPTIONS:
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
        report = self.steps.get(self.report_step or "")
        if report is not None and report.doomed and report.status is Status.WAITING:
            report.doomed = False
            self._ready_if_free(report)

    def _run_finished(self, event: e.RunFinished) -> None:
        self.finished = event

    # Bookkeeping

    def _get(self, name: str) -> StepState:
        if name not in self.steps:
            raise JournalError(f"event {self.seq}: unknown step {name!r}")
        return self.steps[name]

    def _back_to(self, s: StepState, status: Status) -> None:
        if s.status is not status:
            self._to(s, status, RESUMED_TRANSITIONS)

    def _to(self, s: StepState, status: Status, allowed: Mapping[Status, frozenset[Status]] = TRANSITIONS) -> None:
        if status not in allowed[s.status]:
            raise JournalError(f"event {self.seq}: step {s.id} cannot go from {s.status} to {status}")
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
        """Settle a step if it and its children are over, then the steps that spawned it, upwards."""
        stack = [first]
        while stack:
            s = stack.pop()
            if s.settled or s.unsettled or not (s.over or s.kind == "stand_in"):
                continue
            s.settled = True
            if not s.over:
                self._to(s, Status.DONE if self._gave_something(s) else Status.FAILED)
            for waiter in s.waiters:
                self._unblock(self.steps[waiter], s)
            parent = self.steps.get(s.by)
            if parent is not None:
                parent.unsettled -= 1
                parent.hurt += not s.good and parent.combine in (None, "list")
                stack.append(parent)

    def _gave_something(self, s: StepState) -> bool:
        """Return whether a stand-in has an output, now that its children are settled."""
        if s.combine == "list":
            return not s.hurt
        children = [self.steps[name] for name in s.children]
        if s.combine == "last":
            return bool(children) and children[-1].status is Status.DONE
        if s.combine == "checked":
            return bool(children) and children[0].status is Status.DONE
        if any(child.status is Status.DONE for child in children):
            return True
        # The text contains what the children would have read.
        return s.combine in ("sections", "text") and any(map(self._reads_something, children))

    def _reads_something(self, s: StepState) -> bool:
        """Return whether any step that a step reads has an output."""
        return any(self.steps[name].status is Status.DONE for name in before_of(s.step))

    def _unblock(self, waiter: StepState, by: StepState) -> None:
        waiter.blockers -= 1
        self._doom_if_needed(waiter, by)
        self._ready_if_free(waiter)

    def _doom_if_needed(self, waiter: StepState, by: StepState) -> None:
        hopeless = not by.good and by.id not in waiter.step.after and not self._takes_what_there_is(waiter)
        if hopeless and waiter.status is Status.WAITING and not waiter.doomed:
            waiter.doomed = True
            self.doomed.append((waiter.id, by.id))

    def _takes_what_there_is(self, s: StepState) -> bool:
        """Return whether a step runs without the needs that failed.

        A reducer that ends the plan does; after a limit was reached, so does any step that makes the report.
        """
        return s.id == self.report_step and (self.reduces(s.step) or bool(self.limits_reached))


def _is_planned(step: Step) -> bool:
    """Whether a step comes from a plan: it is no instance, no part, and not the planner of the first plan."""
    return step.instance_of is None and step.partial_of is None and step.id != PLAN_STEP
