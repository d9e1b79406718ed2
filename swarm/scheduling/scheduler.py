"""Every decision of a run: which steps start, are retried or skipped, and when the run ends.

A `Scheduler` is plain synchronous code over a `State`. It knows no clock and awaits nothing, so a
simulation can drive it with a heap of finishing times and reach the same decisions.
`swarm.scheduling.dispatcher` is the shell around it: it starts attempts, and waits for them and for
deadlines.

The decisions, each time something has changed:

1. A step that needs a failed one can never run: it is skipped.
2. A ready `each` step is expanded: its instances join the graph. So is a step that would read too
   much (`swarm.scheduling.expand`): the steps that read for it join the graph.
3. Any other ready step is queued: longest remaining path first, then plan order.
4. While a slot is free, the head of the queue starts. A step that waits for others holds no slot.
5. A failed attempt is retried after a pause if another attempt may help; otherwise the step has
   failed. The other steps continue, unless the task has `on_failure: stop`. After five equal
   failures without a success, similar steps no longer start: `swarm.scheduling.breaker`.
6. After a limit, a stop or an interrupt, nothing new starts; after a limit, the report still does.
7. When every step is over, or when nothing may start and nothing runs, the run is over.

The longest remaining path is the priority of list scheduling (Graham 1969), in the seconds that the
plan expects or that similar steps took. For any order of the queue,
makespan ≤ critical path · (1 − 1/N) + work / N.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, cast

from swarm.base.errors import BugError
from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.outcome import UNOPENED, Outcome
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.scheduling.breaker import Breaker, nothing_found
from swarm.scheduling.cases import sizes_known
from swarm.scheduling.ending import run_finished
from swarm.scheduling.expand import Expansion, follow_nothing
from swarm.scheduling.order import duration_key, instance, ordered
from swarm.scheduling.shortfalls import Shortfalls
from swarm.spec.plan import Step, before_of, chosen
from swarm.spec.task import Limits

RETRIES = 1
"""Attempts after the first, unless the plan sets them.

Endpoints retry failed calls, so this is for bad answers.
"""
RESIZED = 6
"""Maximum refusals per step that teach a smaller context."""
PAUSE_SECONDS = 1.0
"""Maximum seconds before the second attempt.

It doubles for each further one. The pause is drawn between 0 and the maximum (full jitter).
"""
LONGEST_PAUSE_SECONDS = 60.0
"""Maximum seconds before any attempt: a step with many retries must still make progress."""

Emit = Callable[[e.Stamped], None]
"""Stamps an event, journals it and applies it to the state, without an await between."""
Stop = Literal["", "limit", "failure", "endpoint", "interrupt", "planned"]
"""Reason why nothing new starts; empty while the run continues."""


@dataclass(frozen=True)
class Rules:
    """The rules of a run: everything, except its state, that decisions depend on."""

    limits: Limits = Limits()  # noqa: RUF009 - frozen
    on_failure: Literal["continue", "stop"] = "continue"
    inputs: tuple[str, ...] = ()
    """Names of the run's inputs, for `each: inputs`."""
    seed: int = 0
    """Seed of the jitter, so that a run in virtual time is the same every time."""
    plan_only: bool = False
    """Whether to stop when the first plan is made."""


class Scheduler:
    """Maker of the decisions of a run."""

    def __init__(
        self,
        state: State,
        emit: Emit,
        rules: Rules,
        output_of: Callable[[StepState], Json],
        expand: Callable[[StepState], Expansion | None] = lambda _: None,
        follow: Callable[[State, StepState, Outcome | None], tuple[Step, ...]] = follow_nothing,
    ) -> None:
        """`follow` returns the steps that an outcome, or None for a failure, leads to besides those that it spawned."""
        self.state = state
        self.rules = rules
        self.stop: Stop = ""
        self.because = ""
        self.running = 0
        self.pausing = 0
        self._emit = emit
        self._output_of = output_of
        self._expansion_of = expand
        self._followed_by = follow
        self._random = Random(rules.seed)  # noqa: S311 - jitter
        self._queue: list[tuple[float, int, str]] = []
        self._remaining: dict[str, float] = {}
        self._took: dict[str, tuple[float, int]] = {}
        self._breaker = Breaker()
        self.shortfalls = Shortfalls()

    # Calls of the dispatcher

    def settle(self) -> None:
        """Make every decision that is due."""
        state = self.state
        while state.fresh or state.doomed or state.joined:
            if state.joined:
                self._estimate()
            while state.doomed:
                self._skip_doomed(*state.doomed.popleft())
            if state.fresh:
                s = state.steps[state.fresh.popleft()]
                if s.status is Status.READY:  # else a limit that another list has reached skipped it
                    self._admit(s)
        if self.shortfalls.limits and not (self.running or self._queue or self.pausing):
            self._reach_short()
            self.settle()

    def _skip_doomed(self, name: str, blame: str) -> None:
        s = self.state.steps[name]
        if s.id == self.state.report_step and self.shortfalls.limits:
            return  # once the limit is reached, it takes what there is
        if s.status is Status.WAITING and s.doomed:
            self._emit(e.StepSkipped(step=name, because=self._why(blame)))

    def _admit(self, s: StepState) -> None:
        """Queue a step that has just become ready, or expand it."""
        if s.id == self.state.report_step:
            self._reach_short()
        nothing = nothing_found(self.state, s) if s.id == self.state.report_step else None
        if nothing is not None:
            self._emit(e.StepFailed(step=s.id, attempt=s.attempt, error=nothing))
        elif s.step.each is not None:
            self._expand(s)
        else:
            self._size(s)

    def take(self) -> StepState | None:
        """Return the step to start now, or None."""
        self.settle()
        if self.stop and not self._report_may_start():
            return None
        while self._queue:
            s = self.state.steps.get(heapq.heappop(self._queue)[2])
            if s is None or s.status is not Status.READY:
                continue
            if self._breaker.stops(s):
                self.because = self.because or self._breaker.reason
                self._emit(self._breaker.event(s))
                continue
            if (too_small := self.shortfalls.event(s)) is not None:
                self._emit(too_small)
                continue
            self.running += 1
            return s
        return None

    def finished(self, name: str, attempt: int, outcome: Outcome) -> None:
        """Record the outcome of an attempt, or the limit that its spawned steps exceed."""
        self.running -= 1
        s = self.state.steps[name]
        if not outcome.cached:
            self._breaker.succeeded(s)
            self.shortfalls.forget()
        if followed := self._followed_by(self.state, s, outcome):
            outcome = outcome.model_copy(update={"spawned": (*outcome.spawned, *followed)})
        limit = self._overflow(s, outcome)
        if limit is not None:
            value = getattr(self.rules.limits, limit)
            count = len(outcome.spawned)
            message = f"limits.{limit}: its plan of {count} steps exceeds the maximum of {value}"
            failure = e.Failure(kind="limit", message=message)
            self._emit(e.StepFailed(step=name, attempt=attempt, error=failure))
            self.fall_short(limit, value)
            self.settle()
            return
        self._emit(e.StepFinished(step=name, attempt=attempt, outcome=outcome))
        span = s.spans[-1]
        if span.end is not None and not outcome.cached:
            key = duration_key(s.step)
            total, count = self._took.get(key, (0.0, 0))
            self._took[key] = (total + span.end - span.start, count + 1)
        if self.rules.plan_only and outcome.spawned:
            self.ask_to_stop("planned", "only the plan was requested")
        self.settle()

    def failed(self, name: str, attempt: int, failure: e.Failure) -> float | None:
        """Record a failed attempt. Return the seconds until its retry, or None."""
        self.running -= 1
        s = self.state.steps[name]
        self._breaker.failed(s, failure)
        pause = None if self.stop or self._breaker.stops(s) else self._pause(s, failure)
        self.pausing += pause is not None
        known = sizes_known(self.state, s)
        if pause is None and not self.stop and (followed := self._followed_by(self.state, s, None)):
            self._emit(e.StepsAdded(by=name, steps=followed, combine=None))
        self._emit(e.StepFailed(step=name, attempt=attempt, error=failure, retry_in=pause))
        if known != sizes_known(self.state, s):
            self._size_again()
        if failure.stops:
            self.ask_to_stop("endpoint", failure.message)
        elif self.rules.on_failure == "stop" and s.status is Status.FAILED and not s.step.optional:
            self.ask_to_stop("failure", f"step {name} failed, and the task has on_failure: stop")
        self.settle()
        return pause

    def _pause(self, s: StepState, failure: e.Failure) -> float | None:
        """Return the seconds before the next attempt, or None if there is none."""
        if failure.resizes and s.resized < RESIZED:
            return 0.0
        if failure.kind == "truncated" and failure.may_help:
            return 0.0  # what it read is read again in smaller pieces
        if failure.kind == UNOPENED:
            return 0.0  # what it could open is read in parts
        retries = RETRIES if s.step.retries is None else s.step.retries
        if not failure.may_help or s.failures >= retries:
            return None
        return self._random.uniform(0, min(PAUSE_SECONDS * 2**s.failures, LONGEST_PAUSE_SECONDS))

    def wake(self, name: str) -> None:
        """Queue a step after its pause."""
        self.pausing -= 1
        if self.state.steps[name].status is Status.READY:  # else another step has taken its part of a text
            self._size(self.state.steps[name])
        self.settle()

    def reach(self, limit: str, value: float) -> None:
        """Record that a limit is reached. From now on only the report starts."""
        if limit not in self.state.limits_reached:
            self._emit(e.LimitReached(limit=limit, value=value))
        self.ask_to_stop("limit", f"limit {limit} reached ({value:,.10g})")

    def fall_short(self, limit: str, value: float) -> None:
        """Note that a step did not fit what is left of a limit. Others may: it is reached when none is left."""
        self.shortfalls.limits.setdefault(limit, value)

    def _reach_short(self) -> None:
        """Reach the limits that steps fell short of, now that every step before the report has ended."""
        while self.shortfalls.limits:
            self.reach(*self.shortfalls.limits.popitem())

    def ask_to_stop(self, why: Stop, because: str) -> None:
        """Start nothing new from now on. A stronger reason replaces a weaker one."""
        order: tuple[Stop, ...] = ("", "planned", "limit", "failure", "endpoint", "interrupt")
        if order.index(why) > order.index(self.stop):
            self.stop, self.because = why, because
        if why in ("limit", "failure"):
            self._skip_the_rest()

    @property
    def queued(self) -> int:
        """Maximum number of steps that may start now."""
        return 0 if self.stop and not self._report_may_start() else len(self._queue)

    @property
    def over(self) -> bool:
        """Whether nothing runs or will start. Raise `BugError` if something should run but cannot."""
        if self.running:
            return False
        is_stopped = bool(self.stop) and not self._report_may_start()
        return self.state.over or is_stopped or self._stuck()

    def finish(self) -> e.RunFinished:
        """Return the terminal event of this stretch of the run."""
        return run_finished(self.state, self.stop, self.because)

    # Parts of the decisions

    def _stuck(self) -> bool:
        if self._queue or self.pausing or self.state.fresh or self.state.doomed:
            return False
        blocked = [s.id for s in self.state.steps.values() if not s.over]
        names = ", ".join(blocked[:20])
        raise BugError(f"nothing runs and nothing is ready, but these steps are not over: {names}")

    def _report_may_start(self) -> bool:
        if self.stop != "limit":
            return False
        report = self.state.steps.get(self.state.report_step or "")
        return report is not None and not report.over

    def _skip_the_rest(self) -> None:
        """Skip every step that has not started, except, after a limit, the report and all that reads for it."""
        keeps_report = self.stop == "limit"
        for s in list(self.state.steps.values()):
            if s.status in (Status.WAITING, Status.READY) and not (keeps_report and self.state.is_report(s.id)):
                self._emit(e.StepSkipped(step=s.id, because=self.because))

    def _why(self, blame: str) -> str:
        s = self.state.steps[blame]
        if s.status is Status.SKIPPED:
            return f"it needs {blame}, which was skipped"
        if s.error is not None:
            return f"it needs {blame}, which failed: {s.error.message}"
        return f"it needs {blame}, of which a part failed"

    def _overflow(self, s: StepState, outcome: Outcome) -> Literal["steps", "rounds"] | None:
        """Return the limit that the spawned steps exceed, or None.

        Parallel planners were each given the same number of steps left.
        """
        state, limits = self.state, self.rules.limits
        counted = sum(step.partial_of is None for step in outcome.spawned)
        if not counted:
            return None
        if s.kind == "planner" and state.plans >= limits.rounds:
            return "rounds"
        return "steps" if counted > state.steps_left(limits.steps) else None

    def _push(self, s: StepState) -> None:
        heapq.heappush(self._queue, (-self._remaining.get(s.id, 0.0), s.order, s.id))

    def _size(self, s: StepState) -> None:
        """Queue a ready step, or expand it because of its size; after a stop, nothing but the report is expanded."""
        may_be = s.status is Status.READY and (not self.stop or self.state.is_report(s.id))
        try:
            expansion = self._expansion_of(s) if may_be else None
        except Exception as error:  # noqa: BLE001 - one step that cannot be sized must not end the others
            message = f"internal error: what the step would read cannot be sized: {error!r}"
            self._emit(e.StepFailed(step=s.id, attempt=0, error=e.Failure(kind="bug", message=message)))
            return
        if expansion is None:
            self._push(s)
        else:
            self._emit(e.StepsAdded(by=s.id, **vars(expansion)))

    def _size_again(self) -> None:
        """Size what is queued again: less can be read at once than was assumed, or answers to shares are too long."""
        queued, self._queue = self._queue, []
        for _, _, name in sorted(queued):
            s = self.state.steps[name]
            if s.status is Status.READY:
                self._size(s)

    def _expand(self, s: StepState) -> None:
        found = self._items(s.step)
        if not isinstance(found, list | tuple):
            message = f"the output of {s.step.each}, over which it runs, is not a list"
            self._fail_list(s, "no_list", message)
            return
        items = tuple(cast("list[Json]", found))
        # The step itself no longer counts once its instances have joined.
        room = self.state.steps_left(self.rules.limits.steps) + 1
        if len(items) > room:
            message = f"limits.steps: it has {len(items)} instances, and {room} more steps are allowed"
            self._fail_list(s, "limit", message)
            self.fall_short("steps", self.rules.limits.steps)
            return
        steps = tuple(instance(s.step, n, item) for n, item in enumerate(items, 1))
        self._emit(e.StepsAdded(by=s.id, steps=steps))

    def _fail_list(self, s: StepState, kind: str, message: str) -> None:
        error = e.Failure(kind=kind, message=message)
        self._emit(e.StepFailed(step=s.id, attempt=0, error=error))

    def _items(self, step: Step) -> Json:
        inputs = self.rules.inputs
        if step.each == "inputs":
            return inputs if step.inputs is None else chosen(step.inputs, inputs)
        if isinstance(step.each, str):
            return self._output_of(self.state.steps[step.each])
        return step.each

    def _estimate(self) -> None:
        """Compute the longest path, in seconds, from each step that has just joined."""
        state = self.state
        names = [name for name in state.joined if name in state.steps]
        state.joined.clear()
        beyond: dict[str, float] = {}
        for name in names:
            by = state.steps[name].by
            if by in state.steps and by not in beyond:
                behind = (self._remaining.get(waiter, 0.0) for waiter in state.steps[by].waiters)
                beyond[by] = max(behind, default=0.0)
        tail = {name: beyond.get(state.steps[name].by, 0.0) for name in names}
        for name in reversed(ordered(names, state)):
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
        total, count = self._took.get(duration_key(step), (0.0, 0))
        return total / count if count else 1.0
