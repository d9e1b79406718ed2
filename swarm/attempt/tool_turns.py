"""The tool calls of a turn: each is run, noted, and only then shown to the model.

The result of each tool is noted on its own, as a `TurnTaken` without a call (usage zero). That is
before the next tool runs and before the model sees the result. If the process dies during the next
tool, the tools before it do not run again.
"""

from collections.abc import Callable, Iterator, Sequence

import anyio

from swarm.attempt.loop_guard import REPEATS, LoopGuard
from swarm.attempt.prompt import phrase, written
from swarm.attempt.transcript import result_of
from swarm.attempt.types import Attempt
from swarm.base.errors import ToolError
from swarm.base.text import listing
from swarm.spec.chat import Data, Message, Part, Text, ToolCall, says
from swarm.tools import Place, Toolbox, ToolContext, ToolResult
from swarm.tools.place import Storage

CALLS_A_TURN = 32
"""Maximum tool calls per turn that run: a model that asks for more is not working towards an
answer."""


class ToolTurns:
    """The tool calls of an attempt."""

    def __init__(
        self,
        attempt: Attempt,
        tools: Toolbox,
        place: Place,
        guard: LoopGuard,
        say: Callable[[Message], None],
        record: Callable[[float], None],
    ) -> None:
        """`say` adds a message to the conversation; `record` notes all since the last note, with its seconds."""
        self._attempt = attempt
        self._tools = tools
        self._place = place
        self._guard = guard
        self._say = say
        self._record = record

    async def run(self, said: Sequence[Message], *, is_last: bool) -> None:
        """Run the calls without a result in turn. Each result is noted before the next call.

        `is_last` says that the next turn is the last one: then the model is told.
        """
        waiting = list(_waiting(said))
        for place, (n, call) in enumerate(waiting, 1):
            self._guard.stop_if_stuck(call)
            started = anyio.current_time()
            # Cancellation point: a cancelled call has no result in the journal, so a resumed
            # attempt runs it again. From its return to the note there is no await.
            parts = await self._run(n, call)
            self._guard.count(call)
            self._say(result_of(call, *parts))
            if place == len(waiting) and is_last:
                self._say(says("user", self._phrase("last_turn")))
            self._record(anyio.current_time() - started)

    async def _run(self, n: int, call: ToolCall) -> tuple[Part, ...]:
        """Return the result of a call, or the reason why it has none: both are for the model."""
        attempt, granted = self._attempt, self._attempt.tools
        name = self._tools.named(call.name)
        if n > CALLS_A_TURN:
            return (Text(text=self._phrase("tool_budget", most=CALLS_A_TURN)),)
        if name not in granted:
            known = listing(spec.name for spec in self._tools.specs(granted))
            return (Text(text=self._phrase("unknown_tool", name=call.name, tools=known)),)
        if self._guard.repeats(call):
            return (Text(text=self._phrase("tool_repeated", times=REPEATS)),)
        place, labels = self._place, attempt.labels
        context = ToolContext(step=attempt.step.id, attempt=attempt.attempt, labels=labels, place=place)
        try:
            result = await self._tools.call(name, call.arguments, granted, context)
        except ToolError as error:
            return (Data(of="tool", name=call.name, text=self._phrase("tool_failed", error=error)),)
        return self._shown(result)

    def _shown(self, result: ToolResult) -> tuple[Part, ...]:
        if result.shown == result.total:
            return result.parts
        note = self._phrase("tool_cut", shown=result.shown, total=result.total)
        return (*result.parts, Text(text=note))

    def _phrase(self, name: str, /, **values: object) -> str:
        return phrase(self._attempt.wording, name, **values)


def place_of(attempt: Attempt, storage: Storage | None) -> Place:
    """Return the place of an attempt: what its tools may use."""
    return Place(
        step=attempt.step.id,
        inputs=attempt.inputs,
        given={each.step: written(each.output) for each in attempt.given},
        labels=attempt.labels,
        storage=storage,
    )


def _waiting(said: Sequence[Message]) -> Iterator[tuple[int, ToolCall]]:
    """Yield the calls of the last answer without a result, and their numbers in that answer."""
    answered = {message.tool_call_id for message in said if message.role == "tool"}
    answers = (message for message in reversed(said) if message.role == "assistant")
    last = next(answers, None)
    for n, call in enumerate(() if last is None else last.tool_calls, 1):
        if call.id not in answered:
            yield n, call
