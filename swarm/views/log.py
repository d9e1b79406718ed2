"""Events as structured log lines, through structlog: for whoever collects logs. The journal has all of it, this has the
figures: no prompt, no answer, no tool result.

    seq=7 t=1.25 event='step failed' step='study.3' attempt=1 kind='rate_limited' message='…' retry_in=0.5

The name of an event is one of ours, always; what anybody else wrote stands in values, escaped, so no text can forge a
line. Nothing is configured for the process: structlog and `logging` stay as the program around has them.
"""

from collections.abc import Callable
from typing import Any, Literal, cast

from swarm import events as e
from swarm.frozen import Json

VALUE_CHARACTERS = 500
"""Of somebody's text in one value."""
_LEFT_OUT = {"seq", "at", "t", "event", "task", "agents", "wording", "inputs", "messages", "output", "spawned", "steps"}
"""What a line does not repeat: what prompts and answers are made of, and what each line has anyway."""
_INLINED = {"error", "usage"}
"""Values whose fields stand in the line as its own; other lists and mappings are left out."""
_NAMES: tuple[tuple[type[e.Stamped], str], ...] = (
    (e.RunStarted, "run started"),
    (e.RunResumed, "run resumed"),
    (e.StepsAdded, "steps added"),
    (e.StepStarted, "step started"),
    (e.TurnTaken, "turn taken"),
    (e.StepFinished, "step finished"),
    (e.StepFailed, "step failed"),
    (e.StepSkipped, "step skipped"),
    (e.SlotsChanged, "slots changed"),
    (e.LimitReached, "limit reached"),
    (e.RunFinished, "run finished"),
)


class EventLog:
    """Writes each event it is given as one line. `form` is `text` (`key='value'`) or `json` (one object a line)."""

    def __init__(self, write: Callable[[str], object], *, form: Literal["text", "json"] = "text") -> None:
        import structlog

        renderer: Any = structlog.processors.JSONRenderer(sort_keys=False)
        if form == "text":
            renderer = structlog.processors.KeyValueRenderer(key_order=["seq", "t", "event"])
        self._logger: Any = structlog.wrap_logger(
            _Lines(write), processors=[renderer], wrapper_class=structlog.BoundLogger, context_class=dict
        )

    def event(self, event: e.Stamped) -> None:
        """Write one event."""
        name = next((name for kind, name in _NAMES if isinstance(event, kind)), "event")
        self._logger.info(name, seq=event.seq, t=event.t, **figures(event))


class _Lines:
    """What structlog hands finished lines to."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def info(self, line: str) -> None:
        """Write a line."""
        self._write(line + "\n")


def figures(event: e.Stamped) -> dict[str, Json]:
    """Pick the figures and short texts of an event: flat, in the order of its fields, without what is empty."""
    found: dict[str, Json] = {}
    for name, value in event.model_dump(mode="json", by_alias=True, exclude=_LEFT_OUT).items():
        if name in _INLINED:
            inside = cast("dict[str, Json]", value)
            found |= {key: _cut(inner) for key, inner in inside.items() if inner not in (None, "", False)}
        elif value not in (None, "", False) and not isinstance(value, list | dict):
            found[name] = _cut(value)
    match event:
        case e.StepsAdded():
            found["steps"] = len(event.steps)
        case e.StepFinished() if event.spawned:
            found["spawned"] = len(event.spawned)
        case _:
            pass
    return found


def _cut(value: Json) -> Json:
    return value[: VALUE_CHARACTERS - 1] + "…" if isinstance(value, str) and len(value) > VALUE_CHARACTERS else value
