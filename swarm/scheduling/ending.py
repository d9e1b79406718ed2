"""How a stretch of a run ended: its terminal event."""

from typing import Literal

from swarm.record import events as e
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.scheduling.breaker import why_no_report
from swarm.scheduling.checks import judged

RunStatus = Literal["done", "partial", "failed", "limit", "cancelled"]


def run_finished(state: State, stop: str, because: str) -> e.RunFinished:
    """Return the terminal event. `stop` is the reason why nothing new started, empty if there was none.

    An interrupt that came when only running steps were left, which then finished, cut nothing off: it does not count.
    """
    report = state.steps.get(state.report_step or "")
    is_made = report is not None and report.status is Status.DONE
    if stop == "interrupt" and is_made and all(s.status is Status.DONE for s in state.steps.values()):
        stop = because = ""
    step = state.report_step if is_made else None
    return e.RunFinished(
        status=_status(state, stop, is_made=is_made), report=step, because=because or why_no_report(state)
    )


def _status(state: State, stop: str, *, is_made: bool) -> RunStatus:
    if stop in ("interrupt", "planned"):
        return "cancelled"
    if stop in ("failure", "endpoint") or not is_made:
        return "failed"
    if state.limits_reached:
        return "limit"
    if state.started is not None and state.started.unread:
        return "partial"
    is_whole = all(s.status is Status.DONE and s.outcome.is_whole for s in state.steps.values())
    is_contradicted = any(each.verdict == "contradicted" for each in judged(state))
    return "done" if is_whole and not is_contradicted else "partial"
