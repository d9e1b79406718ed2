"""Who runs next: every decision of a run.

An `Scheduler` is plain synchronous code over a `State`: it knows no clock and awaits nothing, so that a simulation can
drive it with a heap of finishing times and reach the same decisions. `swarm.scheduling.dispatcher` is the
shell around it that starts attempts, waits for them and for deadlines.

What is decided, each time something changed:

1. A step that needs a failed one can never run: it is skipped.
2. A ready `each` step is expanded: its instances join the graph.
3. Any other ready step is queued: longest remaining path first, then plan order.
4. While a slot is free the head of the queue starts. A step that waits for others holds no slot.
5. An attempt that failed in a way that another may cure is tried again after a pause; else the step has failed. The
   others go on, unless the task says `on_failure: stop`.
6. Once a limit is reached, or somebody asked to stop, nothing new starts; after a limit, only the report does.
7. When every step is over, or nothing more may start and nothing runs, the run is over.

The longest remaining path is the one-machine-independent priority of list scheduling (Graham 1969), by the seconds the
plan expects or those that like steps took; makespan ≤ critical path · (1 − 1/N) + work / N holds for any order.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, cast

from swarm.base.errors import BugError
from swarm.base.values import Json
from swarm.planning.graph import topological_order
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State, Status, StepState
from swarm.spec.plan import Step, before_of, chosen
from swarm.spec.task import Limits

RETRIES = 1
"""Attempts after the first where the plan does not say: calls are retried by the endpoint, so this is for answers."""
PAUSE_SECONDS = 1.0
"""Pause before a second attempt; it doubles for each further one, with full jitter."""
LONGEST_PAUSE_SECONDS = 60.0

Emit = Callable[[e.Stamped], None]
"""Stamps an event, appends it to the journal and applies it to the state, with nothing in between."""
Stop = Literal["", "limit", "failure", "endpoint", "interrupt", "planned"]
"""Why nothing new starts."""


@dataclass(frozen=True)
class Rules:
    """What the decisions depend on beside the state."""

    limits: Limits = Limits()  # noqa: RUF009 - frozen
    on_failure: Literal["continue", "stop"] = "continue"
    inputs: tuple[str, ...] = ()
    """Names of the run's inputs, for `each: inputs`."""
    seed: int = 0
    """Seeds the jitter, so that a run in virtual time is the same every time."""
    plan_only: bool = False
    """Whether to stop once there is a plan."""


class Scheduler:
    """Every decision of a run."""

    def __init__(self, state: State, emit: Emit, rules: Rules, output_of: Callable[[StepState], Json]) -> None:
        self.state = state
        self.rules = rules
        self.stop: Stop = ""
        self.because = ""
        self.running = 0
        self.pausing = 0
        self._emit = emit
        self._output_of = output_of
        self._random = Random(rules.seed)  # noqa: S311 - jitter
        self._queue: list[tuple[float, int, str]] = []
        self._remaining: dict[str, float] = {}
        self._took: dict[str, tuple[float, int]] = {}

    # Verbs of the shell

    def settle(self) -> None:
        """Take every decision that is due."""
        state = self.state
        while state.fresh or state.doomed or state.joined:
            if state.joined:
                self._estimate()
            while state.doomed:
                name, blame = state.doomed.popleft()
                if state.steps[name].status is Status.WAITING:
                    self._emit(e.StepSkipped(step=name, because=self._why(blame)))
            if state.fresh:
                s = state.steps[state.fresh.popleft()]
                if s.status is not Status.READY:
                    continue  # a limit that another list has reached skipped it
                if s.step.each is None:
                    self._push(s)
                else:
                    self._expand(s)

    def take(self) -> StepState | None:
        """Give the step to start now, if there is one."""
        self.settle()
        if self.stop and not self._report_may_start():
            return None
        while self._queue:
            s = self.state.steps.get(heapq.heappop(self._queue)[2])
            if s is None or s.status is not Status.READY:
                continue
            self.running += 1
            return s
        return None

    def finished(self, name: str, attempt: int, outcome: Outcome) -> None:
        """Take in an outcome. One that spawns more than the limits leave room for is a limit that is reached."""
        self.running -= 1
        s = self.state.steps[name]
        limit = self._overflow(s, outcome)
        if limit is not None:
            value = getattr(self.rules.limits, limit)
            message = f"limits.{limit}: with the {len(outcome.spawned)} steps it planned there are more than {value}"
            self._emit(e.StepFailed(step=name, attempt=attempt, error=e.Failure(kind="limit", message=message)))
            self.reach(limit, value)
            self.settle()
            return
        self._emit(e.StepFinished(step=name, attempt=attempt, outcome=outcome))
        span = s.spans[-1]
        if span.end is not None and not outcome.cached:
            kind = _kind(s.step)
            total, count = self._took.get(kind, (0.0, 0))
            self._took[kind] = (total + span.end - span.start, count + 1)
        if self.rules.plan_only and outcome.spawned:
            self.ask_to_stop("planned", "the plan was asked for, not its execution")
        self.settle()

    def failed(self, name: str, attempt: int, failure: e.Failure) -> float | None:
        """Take in a failure; give the seconds after which the step is to be woken for another attempt."""
        self.running -= 1
        s = self.state.steps[name]
        retries = RETRIES if s.step.retries is None else s.step.retries
        again = failure.may_help and s.failures < retries and not self.stop
        pause = None
        if again:
            longest = min(PAUSE_SECONDS * 2**s.failures, LONGEST_PAUSE_SECONDS)
            pause = self._random.uniform(0, longest)
            self.pausing += 1
        self._emit(e.StepFailed(step=name, attempt=attempt, error=failure, retry_in=pause))
        if failure.stops:
            self.ask_to_stop("endpoint", failure.message)
        elif not again and self.rules.on_failure == "stop" and s.status is Status.FAILED and not s.step.optional:
            self.ask_to_stop("failure", f"step {name} failed, and the task says on_failure: stop")
        self.settle()
        return pause

    def wake(self, name: str) -> None:
        """Queue a step whose pause is over."""
        self.pausing -= 1
        self._push(self.state.steps[name])

    def reach(self, limit: str, value: float) -> None:
        """Note that a limit is reached: from now on only the report starts."""
        if limit not in self.state.limits_reached:
            self._emit(e.LimitReached(limit=limit, value=value))
        self.ask_to_stop("limit", f"limit {limit} reached ({value:g})")

    def ask_to_stop(self, why: Stop, because: str) -> None:
        """Start nothing new. A stronger reason replaces a weaker one."""
        order: tuple[Stop, ...] = ("", "planned", "limit", "failure", "endpoint", "interrupt")
        if order.index(why) > order.index(self.stop):
            self.stop, self.because = why, because
        if why in ("limit", "failure"):
            self._skip_the_rest()

    @property
    def queued(self) -> int:
        """How many steps may start, at most."""
        return 0 if self.stop and not self._report_may_start() else len(self._queue)

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing more will. A `BugError` if nothing runs and something should."""
        if self.running:
            return False
        return self.state.over or (bool(self.stop) and not self._report_may_start()) or self._stuck()

    def finish(self) -> e.RunFinished:
        """Say how the run ended: its one terminal event."""
        state = self.state
        report = state.steps.get(state.report_step or "")
        made = report is not None and report.status is Status.DONE
        status: Literal["done", "partial", "failed", "limit", "cancelled"]
        if self.stop in ("interrupt", "planned"):
            status = "cancelled"
        elif self.stop in ("failure", "endpoint") or not made:
            status = "failed"
        elif state.limits_reached:
            status = "limit"
        else:
            good = all(s.status is Status.DONE for s in state.steps.values())
            status = "done" if good else "partial"
        return e.RunFinished(status=status, report=state.report_step if made else None, because=self.because)

    # How they are reached

    def _stuck(self) -> bool:
        if self._queue or self.pausing or self.state.fresh or self.state.doomed:
            return False
        blocked = [s.id for s in self.state.steps.values() if not s.over]
        raise BugError(f"nothing runs and nothing is ready, but these steps are not over: {', '.join(blocked[:20])}")

    def _report_may_start(self) -> bool:
        if self.stop != "limit":
            return False
        report = self.state.steps.get(self.state.report_step or "")
        return report is not None and not report.over

    def _skip_the_rest(self) -> None:
        """Give up what has not started, but for the report."""
        keep = self.state.report_step if self.stop == "limit" else None
        for s in list(self.state.steps.values()):
            if s.status in (Status.WAITING, Status.READY) and s.id != keep:
                self._emit(e.StepSkipped(step=s.id, because=self.because))

    def _why(self, blame: str) -> str:
        s = self.state.steps[blame]
        if s.status is Status.SKIPPED:
            return f"it needs {blame}, which was skipped"
        if s.error is not None:
            return f"it needs {blame}, which failed: {s.error.message}"
        return f"it needs {blame}, of which a part failed"

    def _overflow(self, s: StepState, outcome: Outcome) -> Literal["steps", "rounds"] | None:
        """Name the limit that has no room for what was spawned: planners side by side were each told what was left."""
        state, limits = self.state, self.rules.limits
        if not outcome.spawned:
            return None
        if s.kind == "planner" and state.plans >= limits.rounds:
            return "rounds"
        return "steps" if len(outcome.spawned) > state.steps_left(limits.steps) else None

    def _push(self, s: StepState) -> None:
        heapq.heappush(self._queue, (-self._remaining.get(s.id, 0.0), s.order, s.id))

    def _expand(self, s: StepState) -> None:
        found = self._items(s.step)
        if not isinstance(found, list | tuple):
            message = f"it runs over the list that {s.step.each} gives, and that is no list"
            self._emit(e.StepFailed(step=s.id, attempt=0, error=e.Failure(kind="no_list", message=message)))
            return
        items = tuple(cast("list[Json]", found))
        # The step itself no longer counts once its instances have joined.
        room = self.state.steps_left(self.rules.limits.steps) + 1
        if len(items) > room:
            message = f"its {len(items)} instances are more than limits.steps leaves room for ({room})"
            self._emit(e.StepFailed(step=s.id, attempt=0, error=e.Failure(kind="limit", message=message)))
            self.reach("steps", self.rules.limits.steps)
            return
        by_input = s.step.each == "inputs"
        steps = tuple(
            s.step.model_copy(
                update={
                    "id": f"{s.id}.{n}",
                    "each": None,
                    "item": item,
                    "instance_of": s.id,
                    "inputs": (item,) if by_input else s.step.inputs,
                }
            )
            for n, item in enumerate(items, 1)
        )
        self._emit(e.StepsAdded(by=s.id, steps=steps))

    def _items(self, step: Step) -> Json:
        if step.each == "inputs":
            return self.rules.inputs if step.inputs is None else chosen(step.inputs, self.rules.inputs)
        if isinstance(step.each, str):
            return self._output_of(self.state.steps[step.each])
        return step.each

    def _estimate(self) -> None:
        """Give the steps that have just joined the seconds of the longest path that begins with them."""
        state = self.state
        names = [name for name in state.joined if name in state.steps]
        state.joined.clear()
        beyond: dict[str, float] = {}
        for name in names:
            by = state.steps[name].by
            if by in state.steps and by not in beyond:
                beyond[by] = max((self._remaining.get(w, 0.0) for w in state.steps[by].waiters), default=0.0)
        tail = {name: beyond.get(state.steps[name].by, 0.0) for name in names}
        for name in reversed(_ordered(names, state)):
            step = state.steps[name].step
            self._remaining[name] = self._seconds(step) + tail[name]
            for before in before_of(step):
                if before in tail:
                    tail[before] = max(tail[before], self._remaining[name])
        if self.stop in ("limit", "failure"):
            self._skip_the_rest()

    def _seconds(self, step: Step) -> float:
        if step.seconds is not None:
            return step.seconds
        total, count = self._took.get(_kind(step), (0.0, 0))
        return total / count if count else 1.0


def _kind(step: Step) -> str:
    """Name the steps that take alike: instances of one step, else those of one agent."""
    return step.instance_of or f"agent {step.agent}"


def _ordered(names: list[str], state: State) -> list[str]:
    """Put steps in an order in which each comes after those it waits for."""
    inside = set(names)
    waits = {name: sum(1 for b in before_of(state.steps[name].step) if b in inside) for name in names}
    return topological_order(waits, lambda name: state.steps[name].waiters)
