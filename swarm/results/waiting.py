"""What the steps of a run waited for, by cause.

The life of a step that was started, from joining the graph to the end of its last attempt, is work
or waiting for one of these causes. So over all these steps,

    sum of lives = work + sum of waiting
"""

from collections.abc import Iterator
from typing import NamedTuple

from swarm.base.values import Frozen
from swarm.record.steps import Span, StepState
from swarm.results.timeline import Timeline

IN_ATTEMPTS = {"slots": "endpoint_slots", "rate_limit": "rate_limit", "retry": "retry", "budget": "budget"}
"""The field of `Waiting` for each cause of waiting within an attempt (`TurnTaken.waited`)."""


class Waiting(Frozen):
    """Seconds that started steps had waited, by cause, summed over all steps."""

    needs: float = 0.0
    """From joining the graph until everything the step waits for was settled. The plan is the
    cause."""
    slots: float = 0.0
    """While the step was ready and all `workers` were busy."""
    retry: float = 0.0
    """Before an attempt or a call was retried."""
    rate_limit: float = 0.0
    """While the endpoint was rate limited or overloaded, or a quota per minute was used up."""
    endpoint_slots: float = 0.0
    """While as many calls were in flight as the endpoint or the model allows."""
    budget: float = 0.0
    """While calls in flight held what a call needed of a limit."""
    equal_step: float = 0.0
    """While an equal step was running, whose output was then taken from the cache."""
    other: float = 0.0
    """While the program itself was busy, or a call ran that failed."""
    total: float = 0.0
    """Sum of all causes."""


def waiting_of(timeline: Timeline) -> Waiting:
    """Return what the steps of a run waited for."""
    waited: dict[str, float] = dict.fromkeys(Waiting.model_fields, 0.0)
    for s in timeline.steps:
        for cause, start, end in pauses(timeline, s):
            waited[cause] += end - start
        if s.spans and s.outcome.cached:
            waited["equal_step"] += max(0.0, timeline.end_of(s.spans[-1]) - s.spans[-1].start)
        # Rounding apart, what its attempts waited is never more than they took.
        waited["other"] += timeline.idle(s)
        for cause, spent in s.waited.items():
            waited[IN_ATTEMPTS.get(cause, "retry")] += spent
    waited["total"] = sum(waited.values())
    return Waiting.model_validate(waited)


class Pause(NamedTuple):
    """A stretch of time before an attempt, and what it was waited for."""

    cause: str
    """A field of `Waiting`."""
    start: float
    end: float


def pauses(timeline: Timeline, s: StepState) -> Iterator[Pause]:
    """Yield what a step waited for before each of its attempts."""
    before, last = _joined(timeline, s), None
    for span in s.spans:
        gap = max(0.0, span.start - before)
        # A step waits for its needs once, and again if a resume reopened it.
        if last is None or s.ready_at > last.start:
            pause = min(gap, max(0.0, s.ready_at - before))
            cause = "needs"
        else:
            cause, pause = _pause(last, gap)
        yield Pause(cause, before, before + pause)
        yield Pause("slots", before + pause, before + gap)
        before, last = max(before, timeline.end_of(span)), span


def _pause(last: Span, gap: float) -> tuple[str, float]:
    """Return the cause of a gap after an attempt and its seconds; the rest of the gap is for a worker."""
    if last.retry_in is None:
        return "retry", gap
    return "rate_limit" if last.waits else "retry", min(gap, last.retry_in)


def _joined(timeline: Timeline, s: StepState) -> float:
    """Return the time at which a step joined the graph."""
    parent = timeline.state.steps.get(s.by)
    if parent is None:
        return 0.0
    if parent.kind == "stand_in" or not parent.spans:
        return parent.ready_at
    return parent.spans[-1].end or 0.0
