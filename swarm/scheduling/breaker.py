"""What the failures of many steps mean for the rest of a run: which steps stop, whether there is a report.

A model that never answers in the output format fails every step that asks for it, and each failure
is paid for several times. So after five equal failures of similar steps, with no success of such a
step in between, no more of them start: a circuit breaker (Nygard, Release It!, 2007). It knows the
failures of one stretch of the run only: a run that is resumed with `--failed` tries again.
"""

from collections import Counter

from swarm.base.error_kinds import WAITS
from swarm.record import events as e
from swarm.record.outcome import UNOPENED
from swarm.record.state import State
from swarm.record.steps import INTERRUPTIONS, Status, StepState
from swarm.spec.plan import PLAN_STEP, before_of

ENOUGH = 5
"""Number of steps that failed equally after which similar steps stop: one or two may be bad luck."""
OF_ONE_STEP = frozenset(
    {*INTERRUPTIONS, UNOPENED, "context_length", "too_large", "content_filter", "label", "media", "simulated"}
)
"""Kinds of failure that depend on what one step reads, or on the run's limits: they say nothing about other steps."""
OF_ENDPOINTS = frozenset({*WAITS, "timeout", "unreachable", "disconnected", "busy"})
"""Kinds of failure of a busy or absent endpoint. Its own retries, pauses and limits answer them."""

Like = tuple[str, str | None, str]
"""What similar steps have in common: agent, model and output format."""


class Breaker:
    """The equal failures of similar steps since the last success of one of them."""

    def __init__(self) -> None:
        self.reason = ""
        """Why similar steps stopped, the first time."""
        self._failures: dict[Like, dict[str, set[str]]] = {}
        """Steps that failed, by kind of failure."""
        self._stopped: dict[Like, str] = {}
        """Why steps do not start."""

    def succeeded(self, s: StepState) -> None:
        """Note a success: the failures before it were no rule."""
        self._failures.pop(_like(s), None)

    def failed(self, s: StepState, failure: e.Failure) -> None:
        """Note a failed attempt. Several attempts at one step count once, and one that is split does not."""
        is_split = failure.kind == "truncated" and failure.may_help
        if is_split or failure.kind in OF_ONE_STEP or failure.kind in OF_ENDPOINTS:
            return
        like = _like(s)
        same = self._failures.setdefault(like, {}).setdefault(failure.kind, set())
        same.add(s.id)
        if len(same) >= ENOUGH and like not in self._stopped:
            why = failure.message.partition("\n")[0]
            self._stopped[like] = f"not started after {ENOUGH} similar steps failed equally ({failure.kind}): {why}"
            self.reason = self.reason or f"{ENOUGH} similar steps failed equally ({failure.kind}): {why}"

    def stops(self, s: StepState) -> bool:
        """Return whether a step does not start any more."""
        return _like(s) in self._stopped

    def event(self, s: StepState) -> e.Stamped:
        """Return the event of a ready step that does not start: it keeps the error of its last attempt, if any."""
        if s.error is not None:
            return e.StepFailed(step=s.id, attempt=s.attempt, error=s.error)
        return e.StepSkipped(step=s.id, because=self._stopped[_like(s)], after_failures=True)


def _like(s: StepState) -> Like:
    return s.step.agent, s.step.model, "" if s.step.output is None else repr(s.step.output)


def nothing_found(state: State, report: StepState) -> e.Failure | None:
    """Return the failure of a reducer that is ready to write the report and has nothing to report, or None.

    Nothing was found if at least one step failed or was skipped, and none gave an output, planners
    aside. A report would be a text about nothing, paid for.
    """
    if not state.reduces(report.step) or not before_of(report.step):
        return None
    lost: Counter[str] = Counter()
    for s in state.real_steps():
        if s.status is Status.DONE and s.kind != "planner":
            return None
        if s.over and s.status is not Status.DONE:
            lost[reason_of(s)] += 1
    if not lost:
        return None
    if lost.total() == 1:
        message = f"the only step gave no output, so there is nothing to report: {next(iter(lost))}"
    else:
        most, count = lost.most_common(1)[0]
        message = (
            f"none of {lost.total():,} steps gave an output, so there is nothing to report; {count:,} of them: {most}"
        )
    return e.Failure(kind="nothing_found", message=message)


def reason_of(s: StepState) -> str:
    """Return why a step has no output, in one line."""
    if s.status is Status.SKIPPED:
        return s.because
    return "" if s.error is None else s.error.message.partition("\n")[0]


def why_no_report(state: State) -> str:
    """Return why the step that was to make the report, or the plan, has not made it; empty if it has."""
    s = state.steps.get(state.report_step or PLAN_STEP)
    return reason_of(s) if s is not None and s.over and s.status is not Status.DONE else ""
