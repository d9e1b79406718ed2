"""What a run waited for and called, over its time: how many steps or calls at each moment."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarm.record import events as e
from swarm.results.timeline import Timeline
from swarm.results.waiting import IN_ATTEMPTS, pauses

CAUSES = {
    "slots": "waiting for a worker",
    "endpoint_slots": "waiting for the endpoint",
    "rate_limit": "rate limited",
    "retry": "before a retry",
    "budget": "waiting for budget",
    "equal_step": "waiting for an equal step",
}
"""Causes of waiting with a curve of their own. Waiting for other steps is the graph itself."""
_NONE = 1e-9


@dataclass(frozen=True)
class Curve:
    """A number that changes over time."""

    name: str
    kind: str
    """`wait` or `calls`."""
    points: tuple[tuple[float, int], ...]
    """Each time at which the number changes, with the new number."""
    allowed: tuple[tuple[float, int], ...] = ()
    """The same of the maximum, if it is known and changes."""

    @property
    def peak(self) -> int:
        """Its highest number."""
        return max((count for _, count in self.points), default=0)


def curves(timeline: Timeline, events: Sequence[e.Stamped]) -> tuple[Curve, ...]:
    """Return a curve of the calls at each endpoint, and one of each cause of waiting that
    occurred.
    """
    return (*_calls(timeline, events), *_waits(timeline, events))


def _waits(timeline: Timeline, events: Iterable[e.Stamped]) -> Iterator[Curve]:
    spans: dict[str, list[tuple[float, float]]] = {}
    for s in timeline.steps:
        for cause, start, end in pauses(timeline, s):
            spans.setdefault(cause, []).append((start, end))
        if s.spans and s.outcome.cached:
            spans.setdefault("equal_step", []).append((s.spans[-1].start, timeline.end_of(s.spans[-1])))
    for event in events:
        if isinstance(event, e.TurnTaken) and event.waited:
            end = event.t - (event.wire_seconds or 0.0)
            for cause, waited in event.waited.items():
                spans.setdefault(IN_ATTEMPTS.get(cause, "retry"), []).append((max(0.0, end - waited), end))
                end -= waited
    for cause, name in CAUSES.items():
        points = counted_at(spans.get(cause, ()))
        if points:
            yield Curve(name, "wait", points)


def _calls(timeline: Timeline, events: Iterable[e.Stamped]) -> Iterator[Curve]:
    spans: dict[str, list[tuple[float, float]]] = {}
    for s in timeline.steps:
        for call in s.calls:
            spans.setdefault(call.endpoint, []).append((call.start, call.end))
    widths: dict[str, list[tuple[float, int]]] = {}
    for event in events:
        if isinstance(event, e.SlotsChanged):
            widths.setdefault(event.endpoint, [(0.0, event.before)]).append((event.t, event.after))
    for endpoint, found in spans.items():
        points = counted_at(found)
        if points:
            yield Curve(f"calls at {endpoint}", "calls", points, tuple(widths.get(endpoint, ())))


def counted_at(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, int], ...]:
    """Return the times at which the number of running spans changes, with that number, in O(n log
    n).
    """
    timed = [(start, end) for start, end in spans if end - start > _NONE]
    changes = sorted([(start, 1) for start, _ in timed] + [(end, -1) for _, end in timed])
    points: list[tuple[float, int]] = []
    running = 0
    for at, change in changes:
        running += change
        if points and points[-1][0] == at:
            points[-1] = at, running
        else:
            points.append((at, running))
    return tuple(points)
