"""The attempts of a run on lanes: a lane is a slot that runs one attempt at a time."""

import heapq
from typing import NamedTuple

from swarm.record.steps import StepState
from swarm.results.timeline import Timeline


class Bar(NamedTuple):
    """One attempt on its lane."""

    lane: int
    """From 0. An attempt takes the lowest free lane."""
    start: float
    end: float
    step: StepState
    attempt: int
    has_failed: bool
    """Whether the attempt ended without an output."""


def bars(timeline: Timeline) -> list[Bar]:
    """Return the attempts of a run by start, each on a lane, in O(n log n). A cache hit is not an attempt."""
    found: list[tuple[float, float, int, StepState, int, bool]] = []
    for s in timeline.steps:
        spans = timeline.spans(s)
        for n, (start, end) in enumerate(spans):
            is_last = n == len(s.spans) - 1
            has_failed = s.over and s.status != "done" if is_last else s.spans[n].end is not None
            found.append((start, end, s.order, s, s.spans[n].attempt, has_failed))
    found.sort(key=lambda each: each[:3])
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    made: list[Bar] = []
    for start, end, _, s, attempt, has_failed in found:
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, lane))
        made.append(Bar(lane, start, end, s, attempt, has_failed))
    return made
