"""The calls of a run on its clock: how many were in flight, and what one worker would have taken.

Only answered calls count. The seconds of a call are those on the wire, without any wait.

An endpoint answers more slowly while it answers others as well, most of all a model on one GPU. So
the sum of the seconds of all calls is not the time of one worker. That is estimated from calls that
ran alone: while no other call was in flight at their endpoint.

    units of a call    output tokens + input tokens / `READING`
    seconds per unit   of an endpoint and model: seconds / units of all its calls that ran alone
    one worker         for each call its own seconds if it ran alone, else its units · seconds per
                       unit; and all seconds of steps that are not of a call, such as those of tools
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from swarm.record.steps import Call, StepState

READING = 20
"""Input tokens that take as long as one output token. A model reads a prompt in parallel, and writes token by token:
vLLM and llama.cpp report 10 to 100 times as many tokens per second for the former."""
OVERLAP = 1e-9
"""Maximum seconds of another call next to one that ran alone: rounding of the clock."""


class InFlight(NamedTuple):
    """The number of calls that were answered in parallel, at all endpoints."""

    peak: int = 0
    mean: float = 0.0
    """Average while at least one call was in flight."""
    answers_per_second: float | None = None
    """Answers divided by the seconds in which at least one call was in flight; None without such seconds."""


@dataclass(frozen=True)
class OneWorker:
    """The time of one worker."""

    seconds: float
    is_estimated: bool
    """True unless every call ran alone."""


def in_flight(calls: Sequence[Call]) -> InFlight:
    """Return how many calls were in flight, in O(n log n)."""
    timed = [call for call in calls if call.seconds > 0]
    moments = sorted([(call.start, 1) for call in timed] + [(call.end, -1) for call in timed])
    running = peak = 0
    busy = before = 0.0
    for at, change in moments:
        busy += at - before if running else 0.0
        running += change
        peak, before = max(peak, running), at
    if busy <= 0:
        return InFlight(peak=1 if calls else 0, mean=1.0 if calls else 0.0)
    return InFlight(peak, sum(call.seconds for call in calls) / busy, len(calls) / busy)


def one_worker(steps: Iterable[StepState], seconds: float) -> OneWorker | None:
    """Return the time of one worker for steps that took these seconds in all, without waiting.

    Return None if it is unknown: a call ran next to others, and no call of its model ran alone; or a
    journal of an earlier version does not say when its calls ran.
    """
    steps = tuple(steps)
    if any(s.turns > len(s.calls) for s in steps):
        return None
    calls = list(chain.from_iterable(s.calls for s in steps))
    others = max(0.0, seconds - sum(call.seconds for call in calls))
    alone = _alone(calls)
    rates = _rates(alone)
    total = others
    for call in calls:
        if call in alone:
            total += call.seconds
        elif (rate := rates.get(_served_by(call))) is not None:
            total += rate * _units(call)
        else:
            return None
    return OneWorker(total, is_estimated=len(alone) < len(set(calls)))


def _alone(calls: Iterable[Call]) -> set[Call]:
    """Return the calls during which no other call was in flight at their endpoint."""
    by_endpoint: dict[str, list[Call]] = {}
    for call in calls:
        by_endpoint.setdefault(call.endpoint, []).append(call)
    found: set[Call] = set()
    for group in by_endpoint.values():
        group.sort()
        latest_end = float("-inf")
        for n, call in enumerate(group):
            starts_after = call.start >= latest_end - OVERLAP
            ends_before = n + 1 == len(group) or group[n + 1].start >= call.end - OVERLAP
            if starts_after and ends_before:
                found.add(call)
            latest_end = max(latest_end, call.end)
    return found


def _rates(alone: Iterable[Call]) -> dict[tuple[str, str], float]:
    """Return the seconds per unit of each endpoint and model."""
    seconds: dict[tuple[str, str], float] = {}
    units: dict[tuple[str, str], float] = {}
    for call in alone:
        key = _served_by(call)
        seconds[key] = seconds.get(key, 0.0) + call.seconds
        units[key] = units.get(key, 0.0) + _units(call)
    return {key: seconds[key] / units[key] for key in seconds if units[key] > 0}


def _served_by(call: Call) -> tuple[str, str]:
    return call.endpoint, call.model


def _units(call: Call) -> float:
    return call.output_tokens + call.input_tokens / READING
