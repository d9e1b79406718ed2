"""What the failures of many steps mean for the rest of a run: whether anything is left to report."""

from collections import Counter

from swarm.record import events as e
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.plan import PLAN_STEP, before_of


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
