"""Detection of an attempt that repeats itself."""

from collections.abc import Iterable

from swarm.base.errors import AnswerError
from swarm.spec.chat import ToolCall

REPEATS = 3
"""Number of identical calls in a row from which a note replaces the result. One more, in a later
turn, ends the attempt."""
UNKNOWN_TURNS = 3
"""Number of turns in a row with calls of unknown tools only that ends the attempt."""


class LoopGuard:
    """Detection of a loop: the same call three times, or three turns with unknown tools only."""

    def __init__(self, granted: Iterable[str]) -> None:
        """`granted` are the names by which the model calls its tools."""
        self._granted = frozenset(granted)
        self._last: tuple[str, str] | None = None
        self._times = 0
        self._turn = 0
        self._warned_in = 0
        """Turn in which the model was told that it repeats a call; 0 if it was not."""
        self._unknown = 0

    def turn(self, calls: Iterable[ToolCall]) -> None:
        """Count a turn, and the turns in a row that ask for unknown tools only."""
        self._turn += 1
        names = [call.name for call in calls]
        self._unknown = self._unknown + 1 if names and self._granted.isdisjoint(names) else 0

    def count(self, call: ToolCall) -> None:
        """Count a call that has its result."""
        key = (call.name, call.arguments)
        self._times = self._times + 1 if key == self._last else 1
        self._last = key
        self._warned_in = self._turn if self._times >= REPEATS else 0

    def repeats(self, call: ToolCall) -> bool:
        """Whether a call repeats the calls before it so often that it does not run."""
        return (call.name, call.arguments) == self._last and self._times >= REPEATS - 1

    def stop_if_stuck(self, call: ToolCall) -> None:
        """Raise `AnswerError` if a model repeats a call after the note, or calls unknown tools only."""
        if self._unknown >= UNKNOWN_TURNS:
            message = f"{self._unknown} turns in a row called only tools that are not granted, such as {call.name}"
            raise AnswerError(message, kind="unknown_tool", may_help=False)
        if self.repeats(call) and self._warned_in and self._turn > self._warned_in:
            message = f"the model repeated a call of {call.name} after a note that it returns nothing new"
            raise AnswerError(message, kind="loop", may_help=False)
