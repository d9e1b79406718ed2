"""Events as structured log lines, written by structlog, for log collectors.

A line has figures and short texts: no prompt, no answer, no tool result. The journal has
everything.

    seq=7 t=1.25 event='step failed' step='study.3' attempt=1 kind='rate_limited' message='…' retry_in=0.5

The name of an event is always one of the list below. Texts of others are values, which are escaped,
so no text can forge a line. The process-wide settings of structlog and `logging` are not changed.
"""

from collections.abc import Callable
from typing import Any, Literal, cast

from swarm.base.text import cut
from swarm.base.values import Json
from swarm.record import events as e

VALUE_CHARACTERS = 500
"""Maximum characters of a text in one value."""
_CONTENTS = {"task", "agents", "wording", "inputs", "messages", "output", "spawned", "steps"}
_OMITTED = {"seq", "at", "t", "event"} | _CONTENTS
"""Fields that are not in a line: contents of prompts and answers, and fields that every line has."""
_EXCLUDED: dict[str, Any] = dict.fromkeys(_OMITTED, True) | {"outcome": _CONTENTS}
"""The same for pydantic: an outcome is a value of its own in memory, and is flat in a line."""
_INLINED = {"error", "usage"}
"""Values whose fields are written as fields of the line; other lists and mappings are omitted."""
_EMPTY: tuple[Json, ...] = (None, "", False)
_NAMES: tuple[tuple[type[e.Stamped], str], ...] = (
    (e.RunStarted, "run started"),
    (e.RunResumed, "run resumed"),
    (e.StepsAdded, "steps added"),
    (e.StepStarted, "step started"),
    (e.TurnTaken, "turn taken"),
    (e.CallDecided, "call decided"),
    (e.StepFinished, "step finished"),
    (e.StepFailed, "step failed"),
    (e.StepSkipped, "step skipped"),
    (e.SlotsChanged, "slots changed"),
    (e.EndpointGone, "endpoint gone"),
    (e.EndpointBack, "endpoint back"),
    (e.LimitReached, "limit reached"),
    (e.RunFinished, "run finished"),
)


class EventLog:
    """Writer of one line per event. `form` is `text` (`key='value'`) or `json` (one object per line).

    Each line names its `run`, so that lines of several runs in one place can be told apart, and the step and the
    attempt of its event.
    """

    def __init__(
        self, write: Callable[[str], object], *, run: str = "", form: Literal["text", "json"] = "text"
    ) -> None:
        import structlog

        renderer: Any = structlog.processors.JSONRenderer(sort_keys=False)
        if form == "text":
            renderer = structlog.processors.KeyValueRenderer(key_order=["seq", "t", "event"])
        self._logger: Any = structlog.wrap_logger(
            _Lines(write), processors=[renderer], wrapper_class=structlog.BoundLogger, context_class=dict
        )
        if run:
            self._logger = self._logger.bind(run=run)

    def event(self, event: e.Stamped) -> None:
        """Write one event."""
        name = next((name for kind, name in _NAMES if isinstance(event, kind)), "event")
        self._logger.info(name, seq=event.seq, t=event.t, **figures(event))


class _Lines:
    """Receiver of the finished lines of structlog."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def info(self, line: str) -> None:
        """Write a line."""
        self._write(line + "\n")


def figures(event: e.Stamped) -> dict[str, Json]:
    """Return the figures and short texts of an event in the order of its fields, without empty values."""
    found: dict[str, Json] = {}
    fields = event.model_dump(mode="json", by_alias=True, exclude=_EXCLUDED)
    for name, value in fields.items():
        if name in _INLINED:
            inside = cast("dict[str, Json]", value)
            found |= {key: _cut(inner) for key, inner in inside.items() if inner not in _EMPTY}
        elif value not in _EMPTY and not isinstance(value, list | dict):
            found[name] = _cut(value)
    match event:
        case e.StepsAdded():
            found["steps"] = len(event.steps)
        case e.StepFinished() if event.outcome.spawned:
            found["spawned"] = len(event.outcome.spawned)
        case _:
            pass
    return found


def _cut(value: Json) -> Json:
    if isinstance(value, str):
        return cut(value, VALUE_CHARACTERS)
    return value
