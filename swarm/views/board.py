"""What each running agent does at this moment: the fold of a run's signals.

It holds what no state has: what a request waits for, the last words of an answer that is being
written, when an agent last gave a sign of life, how often calls were repeated, and why an endpoint
allows more or fewer calls. From a journal alone (`swarm show --follow`) it knows the recorded part
of this.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from swarm.base.error_kinds import WAITS
from swarm.record import events as e
from swarm.record.signals import ApprovalAwaited, CallRepeated, Doing, PieceHeard, RequestTurned, Signal, Told
from swarm.spec.chat import Message, ToolCall

TAIL_CHARACTERS = 400
"""Characters of an answer that are kept: more than any terminal shows of one agent."""
Activity = Literal[
    "starts", "slots", "rate_limit", "retry", "budget", "wire", "text", "thought", "call", "approval", "tool"
]
"""What an agent does: it starts; it waits for something (see `Doing`); its request is on the `wire`; the model writes
`text`, a `thought` or a tool `call`; the call waits for `approval`; or its `tool` runs."""
WAITED = frozenset[Activity]({"slots", "rate_limit", "retry", "budget"})
"""What a request waits for."""


@dataclass(slots=True)
class Sign:
    """The last sign of life of one attempt."""

    attempt: int
    at: float
    """When it came, on the run's clock."""
    doing: Activity = "starts"
    since: float = 0.0
    """When it began to do this."""
    until: float = 0.0
    """When the call that failed last is made again."""
    words: str = ""
    """Last words of its model, or its last tool call."""
    characters: int = 0
    """Characters of the answer that is being written."""
    tools: deque[ToolCall] = field(default_factory=deque[ToolCall])
    """Tool calls of the last answer without a result; the first one runs."""

    def turn(self, doing: Activity, at: float) -> None:
        """Note that the agent does something else."""
        if doing != self.doing:
            self.doing, self.since = doing, at
        self.at = at


class Board:
    """The signs of every running attempt. `now` returns the time on the run's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.signs: dict[str, Sign] = {}
        """By step. A step that does not run has none."""
        self.is_live = False
        """Whether it hears what no journal holds, such as what a request waits for."""
        self.repeated = 0
        """Calls that failed and were made again."""
        self.failed_attempts = 0
        """Attempts that failed and are made again."""
        self.is_limited = False
        """Whether an endpoint refused a call because of a rate limit or an overload."""
        self.slots: dict[str, e.SlotsChanged] = {}
        """The last change of each endpoint's parallel calls."""

    def hear(self, signal: Signal) -> None:
        """Take a signal."""
        match signal:
            case PieceHeard():
                self._piece(signal)
            case RequestTurned():
                self._turned(signal.step, signal.doing)
            case ApprovalAwaited():
                self._awaited(signal)
            case CallRepeated():
                self._repeated(signal)
            case e.TurnTaken():
                self._turn_taken(signal)
            case e.Stamped():
                self._event(signal)

    def _piece(self, piece: PieceHeard) -> None:
        sign = self.signs.get(piece.step)
        if sign is None:
            return
        told: Told = piece.told
        fresh = sign.doing not in ("text", "thought", "call") or sign.doing != told
        sign.turn(told, self._now())
        sign.words = (("" if fresh else sign.words) + piece.text)[-TAIL_CHARACTERS:]
        sign.characters += len(piece.text)

    def _awaited(self, signal: ApprovalAwaited) -> None:
        sign = self.signs.get(signal.step)
        if sign is None:
            return
        works: Activity = "tool" if sign.tools else "starts"
        sign.turn("approval" if signal.waits else works, self._now())

    def _repeated(self, call: CallRepeated) -> None:
        self.repeated += 1
        self.is_limited = self.is_limited or call.kind in WAITS
        sign = self.signs.get(call.step)
        if sign is not None:
            sign.until = self._now() + call.seconds

    def _turned(self, step: str, doing: Doing | None) -> None:
        self.is_live = True
        sign = self.signs.get(step)
        if sign is None:
            return
        if doing is None and sign.doing in WAITED:
            doing = "wire"  # an endpoint object is called after a wait, and says nothing of itself
        if doing is not None:
            sign.characters = 0
            sign.turn(doing, self._now())

    def _turn_taken(self, turn: e.TurnTaken) -> None:
        sign = self.signs.get(turn.step)
        if sign is None:
            return
        sign.characters = 0
        last = next((each for each in reversed(turn.messages) if each.role == "assistant"), None)
        if last is not None:
            sign.words = last_words(last) or sign.words
            sign.tools = deque(last.tool_calls)
        elif turn.messages and sign.tools:
            sign.tools.popleft()
        sign.turn("tool" if sign.tools else "starts", turn.t)
        if sign.tools:
            sign.words = call_words(sign.tools[0])

    def _event(self, event: e.Stamped) -> None:
        match event:
            case e.StepStarted():
                self.signs[event.step] = Sign(event.attempt, event.t, since=event.t)
            case e.StepFinished() | e.StepSkipped():
                self.signs.pop(event.step, None)
            case e.StepFailed():
                self.signs.pop(event.step, None)
                self.failed_attempts += event.retry_in is not None
            case e.SlotsChanged():
                self.slots[event.endpoint] = event
            case e.RunResumed():
                self.signs.clear()
            case _:
                pass


def last_words(message: Message) -> str:
    """Return the end of what a model wrote, or its tool call."""
    if message.tool_calls:
        return call_words(message.tool_calls[0])
    return message.spoken[-TAIL_CHARACTERS:]


def call_words(call: ToolCall) -> str:
    """Return a tool call as people write one."""
    return f"{call.name}({call.arguments[:TAIL_CHARACTERS]})"
