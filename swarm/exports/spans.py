"""A run as spans: its attempts, their calls and their tools, with the ids and times of the journal. Pure.

Names and attributes follow the OpenTelemetry conventions for generative AI, v0.1.0 (2026); those that begin with
`swarm.` are ours. A span holds names and figures: no prompt, no answer, no argument of a tool.

| span | stands for | parent |
| --- | --- | --- |
| `invoke_workflow NAME` | a stretch of the run: from its start, or a resume, to its end | none |
| `plan`, `invoke_agent ROLE` | an attempt at a step | the stretch |
| `chat MODEL` | an answered call | the attempt |
| `execute_tool NAME` | a call of a tool | the attempt |

Ids come from the journal, or are hashes of it: the spans of a resumed run go on in the same trace, and to make them
again makes the same ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePath

from swarm.base.redaction import safe_text
from swarm.record import events as e
from swarm.record.recorded import Recorded
from swarm.record.state import State
from swarm.spec.chat import Message, ToolCall
from swarm.spec.plan import role_of
from swarm.spec.providers import provider_at

Value = str | int | float | bool | tuple[str, ...]

PROVIDER_NAMES = {"kimi": "moonshot_ai", "gemini": "gcp.gemini", "claude": "anthropic"}
"""Names of providers in the conventions where they differ from ours."""


@dataclass(frozen=True)
class SpanRecord:
    """One span."""

    name: str
    trace: str
    """W3C trace id: 32 hexadecimal digits."""
    span: str
    """Its own id: 16 hexadecimal digits."""
    parent: str
    """Id of the span around it; empty for a stretch."""
    start: float
    """Seconds since 1970."""
    end: float
    attributes: Mapping[str, Value]
    error: str = ""
    """Kind of the failure; empty if it succeeded."""
    is_client: bool = False
    """Whether it is a call to another service."""


@dataclass
class _Attempt:
    """An attempt that has not ended."""

    span: str
    start: float
    number: int
    made: int = 0
    """Number of spans inside of it, so that each has an id of its own."""
    calls: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])


class SpanBuilder:
    """Makes spans from the events of a run, each when what it stands for has ended."""

    def __init__(self, state: State, earlier: int = 0) -> None:
        """Take the state of the run, which knows the roles of its steps and its trace id.

        `earlier` is the number of stretches before the first event.
        """
        self._state = state
        self._open: dict[str, _Attempt] = {}
        self._stretches = earlier
        self._stretch = ""
        self._began = 0.0
        self._last = 0.0

    def take(self, event: e.Stamped) -> tuple[SpanRecord, ...]:
        """Return the spans that an event ends."""
        self._last = max(self._last, event.at)
        match event:
            case e.RunStarted() | e.RunResumed():
                self._begin(event)
            case e.StepStarted():
                self._open[event.step] = _Attempt(event.span, event.at, event.attempt)
            case e.TurnTaken():
                return tuple(self._turn(event))
            case e.StepFinished():
                return tuple(self._ended(event.step, event.at, ""))
            case e.StepFailed():
                return tuple(self._ended(event.step, event.at, event.error.kind))
            case e.RunFinished():
                return (self._run(event.at, event.status),)
            case _:
                pass
        return ()

    def rest(self) -> tuple[SpanRecord, ...]:
        """Return the spans of what a torn journal left open: they end with its last event."""
        if not self._stretch:
            return ()
        found: list[SpanRecord] = []
        for step in tuple(self._open):
            found += self._ended(step, self._last, "cancelled")
        return (*found, self._run(self._last, "interrupted"))

    def _begin(self, event: e.RunStarted | e.RunResumed) -> None:
        self._stretches += 1
        self._began, self._stretch = event.at, self._id_of("stretch", str(self._stretches))
        self._open.clear()  # an attempt that a crash cut off

    @property
    def _trace(self) -> str:
        first = self._state.first
        return "0" * 32 if first is None else first.trace

    def _id_of(self, *parts: str) -> str:
        return sha256("\n".join((self._trace, *parts)).encode()).hexdigest()[:16]

    def _run(self, end: float, status: str) -> SpanRecord:
        first = self._state.first
        name = PurePath("" if first is None else first.source).name or "task"
        about: dict[str, Value] = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "swarm"}
        about |= {"gen_ai.conversation.id": self._state.run, "swarm.status": status}
        stretch, self._stretch = self._stretch, ""
        title = f"invoke_workflow {safe_text(name)}"
        error = status if status in ("failed", "interrupted") else ""
        return SpanRecord(title, self._trace, stretch, "", self._began, end, about, error)

    def _ended(self, step: str, end: float, error: str) -> Iterator[SpanRecord]:
        attempt = self._open.pop(step, None)
        s = self._state.steps.get(step)
        if attempt is None or s is None:  # it was skipped, failed before an attempt, or its plan was made again
            return
        role = role_of(s.step)
        plans = s.kind == "planner"
        about = self._about(step, attempt)
        about |= {"gen_ai.operation.name": "plan" if plans else "invoke_agent", "gen_ai.agent.name": role}
        about |= {"gen_ai.conversation.id": self._state.run} | ({"error.type": error} if error else {})
        name = "plan" if plans else f"invoke_agent {safe_text(role)}"
        span = attempt.span or self._id_of(step, str(attempt.number))
        yield SpanRecord(name, self._trace, span, self._stretch, attempt.start, end, about, error)

    def _turn(self, turn: e.TurnTaken) -> Iterator[SpanRecord]:
        attempt = self._open.get(turn.step)
        if attempt is None:
            return
        if turn.is_answer:
            yield self._chat(turn, attempt)
            for message in turn.messages:
                attempt.calls.update((call.id, call) for call in message.tool_calls)
            return
        for message in turn.messages:
            if message.role == "tool":
                yield self._tool(turn, message, attempt)

    def _chat(self, turn: e.TurnTaken, attempt: _Attempt) -> SpanRecord:
        seconds = turn.seconds if turn.wire_seconds is None else turn.wire_seconds
        about = self._about(turn.step, attempt) | _of_call(turn)
        return self._inside(attempt, f"chat {safe_text(turn.model)}", turn.at - seconds, turn.at, about, is_client=True)

    def _tool(self, turn: e.TurnTaken, message: Message, attempt: _Attempt) -> SpanRecord:
        call = attempt.calls.get(message.tool_call_id or "")
        name = safe_text(call.name if call is not None else "unknown")
        about = self._about(turn.step, attempt)
        about |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
        about |= {"gen_ai.tool.call.id": message.tool_call_id or ""}
        return self._inside(attempt, f"execute_tool {name}", turn.at - turn.seconds, turn.at, about)

    def _inside(
        self,
        attempt: _Attempt,
        name: str,
        start: float,
        end: float,
        about: Mapping[str, Value],
        *,
        is_client: bool = False,
    ) -> SpanRecord:
        attempt.made += 1
        span = self._id_of(attempt.span, str(attempt.made))
        start = max(start, attempt.start)
        return SpanRecord(name, self._trace, span, attempt.span, start, end, about, is_client=is_client)

    def _about(self, step: str, attempt: _Attempt) -> dict[str, Value]:
        return {"swarm.step": step, "swarm.attempt": attempt.number}


def _of_call(turn: e.TurnTaken) -> dict[str, Value]:
    """Return the attributes of an answered call."""
    host, _, port = turn.endpoint.rpartition(":") if ":" in turn.endpoint else (turn.endpoint, "", "")
    provider = provider_at(f"https://{turn.endpoint}")
    name = host if provider is None else PROVIDER_NAMES.get(provider.name, provider.name)
    about: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": name,
        "gen_ai.request.model": turn.model,
        "gen_ai.response.model": turn.model,
        "gen_ai.response.finish_reasons": (turn.finish,),
        "gen_ai.usage.input_tokens": turn.usage.input_tokens,
        "gen_ai.usage.output_tokens": turn.usage.output_tokens,
        "server.address": host,
    }
    about |= {"server.port": int(port)} if port.isdecimal() else {}
    return about | ({} if turn.usage.usd is None else {"swarm.cost.usd": turn.usage.usd})


def spans_of(found: Recorded) -> list[SpanRecord]:
    """Return the spans of a recorded run; a torn journal gives what it has."""
    return _built(found.events, SpanBuilder(found.state))


def _built(events: Iterable[e.Stamped], builder: SpanBuilder) -> list[SpanRecord]:
    made: list[SpanRecord] = []
    for event in events:
        made += builder.take(event)
    return [*made, *builder.rest()]
