"""A run as a Trace Event file, for ui.perfetto.dev and chrome://tracing.

The format is that of Google's "Trace Event Format"
(https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU). A lane is a slot: it runs one attempt
at a time. Inside of an attempt are its calls, its tools and its waits. The parallel calls that an endpoint allows are
a counter. Times are microseconds of the run's clock. The file has names and figures: no prompt, no answer.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from swarm.base.redaction import safe_text
from swarm.record import events as e
from swarm.record.recorded import Recorded
from swarm.results.lanes import Bar, bars
from swarm.results.timeline import Timeline
from swarm.spec.plan import role_of

_Trace = dict[str, Any]
RUN = 1
"""Number of the process that the lanes belong to: the run."""


def chrome_bytes(found: Recorded) -> bytes:
    """Return the trace of a run as JSON, in the order of time."""
    timeline = Timeline(found.state)
    placed = bars(timeline)
    turns = _turns_by_attempt(found.events)
    events = [*_names(found, placed)]
    for bar in placed:
        events += _attempt(bar, turns.get((bar.step.id, bar.attempt), ()))
    events += _counters(found.events)
    events += _marks(found)
    events.sort(key=lambda event: (event["ph"] != "M", event["ts"], -event.get("dur", 0)))
    trace = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"run": safe_text(found.state.run)}}
    return json.dumps(trace, ensure_ascii=True, separators=(",", ":")).encode()


def _names(found: Recorded, placed: Iterable[Bar]) -> Iterator[_Trace]:
    yield _named("process_name", 0, f"run {safe_text(found.state.run)}")
    for lane in range(max((bar.lane for bar in placed), default=-1) + 1):
        yield _named("thread_name", lane + 1, f"slot {lane + 1}")


def _named(kind: str, lane: int, name: str) -> _Trace:
    return {"ph": "M", "name": kind, "pid": RUN, "tid": lane, "ts": 0, "args": {"name": name}}


def _turns_by_attempt(events: Sequence[e.Event]) -> dict[tuple[str, int], list[e.TurnTaken]]:
    found: dict[tuple[str, int], list[e.TurnTaken]] = {}
    for event in events:
        if isinstance(event, e.TurnTaken):
            found.setdefault((event.step, event.attempt), []).append(event)
    return found


def _attempt(bar: Bar, turns: Iterable[e.TurnTaken]) -> Iterator[_Trace]:
    s = bar.step
    about: dict[str, Any] = {"agent": role_of(s.step), "model": safe_text(s.model), "attempt": bar.attempt}
    about |= {"failed": bar.has_failed} if bar.has_failed else {}
    about |= {"tokens": s.usage.tokens, "usd": s.usage.cost} if bar.attempt == s.attempt else {}
    yield _slice(bar, s.id, "attempt", bar.start, bar.end, about)
    for turn in turns:
        yield from _turn(bar, turn)


def _turn(bar: Bar, turn: e.TurnTaken) -> Iterator[_Trace]:
    """Yield the call of a turn and the waits before it, or the tool."""
    if turn.wire_seconds is None:
        if turn.messages and not turn.is_answer:
            yield _slice(bar, "tool", "tool", turn.t - turn.seconds, turn.t, {})
        return
    start = turn.t - turn.wire_seconds
    used = {"input_tokens": turn.usage.input_tokens, "output_tokens": turn.usage.output_tokens}
    where = {"endpoint": safe_text(turn.endpoint), "finish": safe_text(turn.finish)}
    yield _slice(bar, f"chat {safe_text(turn.model)}", "call", start, turn.t, {**where, **used})
    for cause, seconds in turn.waited.items():
        yield _slice(bar, f"waits: {safe_text(cause)}", "wait", start - seconds, start, {})
        start -= seconds


def _slice(bar: Bar, name: str, kind: str, start: float, end: float, about: Mapping[str, Any]) -> _Trace:
    """Return a slice within its attempt: rounding, and calls that outlive it, would cross the next one."""
    start = min(max(start, bar.start), bar.end)
    end = max(start, min(end, bar.end))
    at, until = _micro(start), _micro(end)
    lane = {"pid": RUN, "tid": bar.lane + 1}
    return {"ph": "X", "name": name, "cat": kind, "ts": at, "dur": until - at, **lane, "args": dict(about)}


def _counters(events: Iterable[e.Event]) -> Iterator[_Trace]:
    for event in events:
        if isinstance(event, e.SlotsChanged):
            name = f"parallel calls allowed: {safe_text(event.endpoint)}"
            yield {"ph": "C", "name": name, "pid": RUN, "ts": _micro(event.t), "args": {"calls": event.after}}


def _marks(found: Recorded) -> Iterator[_Trace]:
    """Yield the moments of the run itself: resumed, a limit reached, the end."""
    for event in found.events:
        match event:
            case e.RunResumed():
                words = "resumed"
            case e.LimitReached():
                words = f"limit {safe_text(event.limit)} reached"
            case e.RunFinished():
                words = f"ended: {event.status}"
            case _:
                continue
        yield {"ph": "i", "s": "g", "name": words, "pid": RUN, "tid": 0, "ts": _micro(event.t)}


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
