"""Threats S24 and S25: texts of a model, a tool or a file reach a view, and do not control a terminal."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from swarm.base.errors import RunNotFoundError
from swarm.planning.lint import Finding
from swarm.record import events as e
from swarm.record.outcome import Outcome
from swarm.record.state import State
from swarm.results.measure import measure
from swarm.spec.chat import Data, Message, Text, ToolCall, Usage
from swarm.spec.plan import Step
from swarm.views.log import EventLog
from swarm.views.progress import Progress, summary
from swarm.views.tables import plan_table, run_table, runs_table, step_page
from tests.swarms import Sleeper, run_virtually
from tests.test_measure import turn


@dataclass(frozen=True)
class Row:
    """A run in a list, as the command makes it."""

    run: str = "20260101-120000-abc"
    status: str = "done"
    goal: str = "Which?"
    steps: int = 9
    done: int = 8
    at: float = 1_767_268_800.0
    seconds: float = 125.0


def watch(events: Iterable[e.Stamped], every: int = 1, *, color: bool = False, goal: str = "") -> list[str]:
    """Show the progress of a run after every so many events, and return its lines."""
    lines: list[str] = []
    progress = Progress(lines.append, color=color)
    state = State()
    for n, event in enumerate(events):
        if isinstance(event, e.RunStarted):
            event = event.model_copy(update={"task": {"goal": goal}})
        state.apply(event)
        if n % every == 0:
            progress.show(state)
    progress.end(state)
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    return [line[:-1] for line in lines]


PAYLOADS = (
    "\x1b]52;c;aGk=\x07", "\x1b]8;;http://x\x07y\x1b]8;;\x07", "\x1b[2J", "\x1b[6n", "\x1b[c", "\x1b]0;title\x07",
    "\x1b]2;t\x1b\\",
    "\x1bP1$r\x1b\\", "\x1b_apc\x1b\\", "\x1b^pm\x1b\\", "\x9b2J", "\x90x\x9c", "\x9d0;t\x9c", "\x85next", "a\rb",
    "a\bb",
    "\x07", "\x7f", "\x00", "\x0b\x0c", "\x1c\x1d\x1e\x1f", "\u202eabc", "\u2066x\u2069", "\u061c\u200e\u200f",
    "\x1b]0;never ends",
    "\ud800", "\ud83d\x1b[31m", "[link=http://x]y[/link]", "[/foo]", "\x1b[31mred\x1b[0m\n\nx=1 event='forged'",
)  # fmt: skip


def is_safe(text: str) -> bool:
    """Return whether a text is free of terminal control characters and can be encoded."""
    text.encode()
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)


def poisoned(payload: str) -> tuple[State, list[e.Stamped]]:
    """Fold a run in which every text of others is the payload."""
    failure = e.Failure(kind=payload, message=payload, may_help=True)
    call = ToolCall(id=payload, name=payload, arguments=payload)
    parts = (Text(text=payload), Data(of="tool", name=payload, text=payload))
    said = (
        Message(role="assistant", parts=parts, tool_calls=(call,)),
        Message(role="tool", parts=parts, tool_call_id=payload),
    )
    evil = Step.model_construct(
        id=payload, agent=payload, prompt=payload, needs=(), after=(), inputs=(payload,), tools=(payload,),
        item=payload, instance_of=None, each=None, optional=False, seconds=None, tokens=None, retries=None, output=None,
        model=payload, part=None, partial_of=None, length=None,
    )  # fmt: skip
    lost = evil.model_copy(update={"id": payload + "2", "needs": (payload,)})
    construct: Callable[..., Any] = e.StepStarted.model_construct
    events: list[e.Stamped] = [
        e.RunStarted(run=payload, trace="", versions={payload: payload}, task={"goal": payload}, agents=()),
        e.StepsAdded.model_construct(by=payload, steps=(evil, lost), t=0.0, seq=1, at=0.0),
        construct(step=payload, attempt=1, span="", model=payload, key="", t=1.0, seq=2, at=0.0),
        e.TurnTaken.model_construct(
            step=payload, attempt=1, messages=said, usage=Usage(calls=1), seconds=1.0, model=payload, endpoint=payload,
            finish=payload, form=payload, t=2.0, seq=3, at=0.0,
        ),
        e.SlotsChanged.model_construct(endpoint=payload, before=1, after=2, why=payload, t=2.0, seq=4, at=0.0),
        e.LimitReached(limit=payload, value=1, t=2),
        e.StepFailed.model_construct(step=payload, attempt=1, error=failure, retry_in=1.0, t=3.0, seq=5, at=0.0),
        construct(step=payload, attempt=2, span="", model=payload, key="", t=4.0, seq=6, at=0.0),
        e.StepFinished.model_construct(
            step=payload, attempt=2, t=5.0, seq=7, at=0.0,
            outcome=Outcome(output={payload: payload}, left_out=(payload,), notes=(payload,)),
        ),
        e.StepSkipped.model_construct(step=payload + "2", because=payload, t=5.0, seq=8, at=0.0),
        e.RunFinished(status="partial", because=payload, t=6),
    ]  # fmt: skip
    state = State()
    for event in events:
        state.apply(event)
    return state, events


@pytest.mark.parametrize("payload", PAYLOADS, ids=[f"threat-S24-{n}" for n in range(len(PAYLOADS))])
class TestHostileText:
    def test_tables_and_summary(self, payload: str) -> None:
        state, events = poisoned(payload)
        p = measure(state)
        finding = Finding("error", payload, payload, payload, payload, payload)
        shown = [
            runs_table([Row(run=payload, status=payload, goal=payload)]),
            run_table(state, p),
            summary(state, p),
            step_page(state, payload, events),
            step_page(state, payload + "2", events),
            plan_table([s.step for s in state.steps.values()], [finding]),
            plan_table([s.step for s in state.steps.values()], [finding], ((payload,),)),
        ]
        assert [text for text in shown if not is_safe(text)] == []
        with pytest.raises(RunNotFoundError) as refused:
            step_page(state, payload + "3", events)
        assert is_safe(str(refused.value))

    def test_progress(self, payload: str) -> None:
        _, events = poisoned(payload)
        assert is_safe("".join(watch(events)))
        painted = "".join(watch(events, color=True, goal=payload))
        assert "\x1b[32m" in painted
        assert is_safe(re.sub("\x1b\\[(?:2|31|32|33|0)m", "", painted))

    def test_threat_s25_a_log_line_cannot_be_forged(self, payload: str) -> None:
        _, events = poisoned(payload)
        lines: list[str] = []
        text, objects = EventLog(lines.append), EventLog(lines.append, form="json")
        for event in events:
            text.event(event)
            objects.event(event)
        assert is_safe("".join(lines))
        assert all(line.count("\n") == 1 for line in lines)
        assert all(re.match(r"seq=\d+ t=[\d.]+ event='[a-z ]+'", line) for line in lines[::2])
        assert all(re.fullmatch("[a-z ]+", json.loads(line)["event"]) for line in lines[1::2])


def test_a_log_line_has_the_figures_and_no_content() -> None:
    ran = run_virtually((Step(id="a", prompt="SECRET PROMPT"),), Sleeper(gives={"a": "SECRET OUTPUT"}))
    lines: list[str] = []
    log = EventLog(lines.append)
    for event in [*ran.events[:3], turn("a", cached_tokens=3), *ran.events[3:]]:
        log.event(event)
    text = "".join(lines)
    assert "SECRET" not in text
    assert "turn 1" not in text
    assert "event='step started' step='a' attempt=1" in text
    assert "calls=1 input_tokens=10 output_tokens=5 cached_tokens=3" in text
    assert "event='run finished' status='done' report='a'" in text
