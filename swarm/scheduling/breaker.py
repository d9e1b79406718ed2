"""What the failures of many steps mean for the rest of a run: whether anything is left to report."""

from collections import Counter

from swarm.record import events as e
from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.plan import before_of


def nothing_found(state: State, report: StepState) -> e.Failure | None:
    """Return the failure of a reducer that is ready to write the report and has nothing to report, or None.

    Nothing was found if at least one step failed or was skipped, and none gave an output, planners
    aside. A report would be a text about nothing, paid for. After a limit there is a report in any case.
    """
    if state.limits_reached or not state.reduces(report.step) or not before_of(report.step):
        return None
    lost: Counter[str] = Counter()
    for s in state.real_steps():
        if s.kind == "planner" and s.status is Status.DONE:
            continue
        if s.status is Status.DONE:
            return None
        if s.over:
            lost[reason_of(s)] += 1
    if not lost:
        return None
    most, count = lost.most_common(1)[0]
    total = lost.total()
    of = "it" if total == 1 else f"{count:,} of them"
    steps = "the only step" if total == 1 else f"none of {total:,} steps"
    message = f"{steps} gave {'no' if total == 1 else 'an'} output, so there is nothing to report; {of}: {most}"
    return e.Failure(kind="nothing_found", message=message)


def reason_of(s: StepState) -> str:
    """Return why a step has no output, in one line."""
    if s.status is Status.SKIPPED:
        return s.because
    return "" if s.error is None else s.error.message.partition("\n")[0]
