"""The tool calls of a turn: calls that may run together do, the others run in order; each is noted as it ends.

The result of each call is noted on its own, as a `TurnTaken` without a model's answer. That is
before the model sees it, and before any call that waits for it runs. If the process dies during a
call, the calls that have ended do not run again. Of those that may have run without a result, only
calls that may be repeated run again; of the others the model is told that nobody knows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import anyio
import anyio.to_thread

from swarm.attempt.long_results import NAME as READ_MORE_NAME
from swarm.attempt.long_results import LongResults
from swarm.attempt.loop_guard import REPEATS, LoopGuard
from swarm.attempt.opening import Openable
from swarm.attempt.permits import Bill, Permits, billed
from swarm.attempt.prompt import phrase, written
from swarm.attempt.transcript import result_of
from swarm.attempt.types import Attempt
from swarm.base.errors import LimitError, ToolError
from swarm.base.text import listing
from swarm.spec.chat import Data, MediaFile, Message, Part, Text, ToolCall, says
from swarm.tools import Place, Toolbox, ToolContext, made_file
from swarm.tools.box import LOST
from swarm.tools.place import STEP, Storage
from swarm.tools.scratch import collected

CALLS_A_TURN = 32
"""Maximum tool calls per turn that run: a model that asks for more is not working towards an
answer."""
MAYBE_BILLED = frozenset({LOST, "timeout"})
"""Kinds of errors after which a call may have been billed."""
TOGETHER = 8
"""Maximum calls of a turn that run at the same time."""


@dataclass(frozen=True)
class Conversation:
    """What the calls of an attempt need of its conversation."""

    said: Sequence[Message]
    say: Callable[[Message], None]
    """Adds a message."""
    record: Callable[[float, float], None]
    """Notes everything that was said since the last note: its seconds, and its price in US dollars."""
    room: Callable[[], int]
    """Returns the bytes that are left of the model's context."""


@dataclass
class _Turn:
    """The calls of a turn that have no result yet."""

    asked: int
    """Number of all its calls, those included that were dropped when the answer was read."""
    left: int
    is_last: bool
    failed: list[Exception] = field(default_factory=list[Exception])


class ToolTurns:
    """The tool calls of an attempt."""

    def __init__(
        self,
        attempt: Attempt,
        tools: Toolbox,
        place: Place,
        guard: LoopGuard,
        conversation: Conversation,
        permits: Permits,
    ) -> None:
        self._attempt = attempt
        self._tools = tools
        self._place = place
        self._guard = guard
        self._talk = conversation
        self._permits = permits
        self._long = LongResults(place, conversation.said, attempt.wording, conversation.room)
        self._openable = Openable(attempt)
        self._resumed = bool(attempt.transcript)
        """Whether calls without a result may have run: in an earlier attempt that was interrupted."""
        self._rebuilt = not attempt.transcript

    async def run(self, *, is_last: bool) -> None:
        """Run the calls of the last answer that have no result.

        `is_last` says that the next turn is the last one: then the model is told.
        """
        waiting = list(_waiting(self._talk.said))
        resumed, self._resumed = self._resumed, False
        if not waiting:
            return
        await self._rebuild()
        answer = _last_answer(self._talk.said)
        asked = 0 if answer is None else len(answer.tool_calls) + answer.more_calls
        turn = _Turn(asked, len(waiting), is_last)
        for is_alone, group in groupby(waiting, key=self._is_alone):
            for batch in _batches(group, alone=is_alone):
                await self._run_batch(turn, batch, may_have_run=resumed)
                resumed = False

    def _is_alone(self, waiting: tuple[int, ToolCall]) -> bool:
        """Return whether no other call of the turn may run at the same time."""
        n, call = waiting
        name = self._tools.named(call.name)
        runs = n <= CALLS_A_TURN and name in self._attempt.tools
        return runs and self._tools.get(name).barrier != "no"

    async def _run_batch(self, turn: _Turn, batch: Sequence[tuple[int, ToolCall]], *, may_have_run: bool) -> None:
        """Run calls at the same time, and note each when it ends. Raise the first error that is not for the model."""
        todo: list[ToolCall] = []
        for n, call in batch:
            self._guard.stop_if_stuck(call)
            refusal = self._refusal(turn, n, call, may_have_run=may_have_run)
            self._guard.count(call)
            # Asked before any call of the batch runs: an attempt that waits for a person does nothing else.
            refusal = refusal or await self._not_allowed(call, may_have_run=may_have_run)
            if refusal is not None:
                self._note(turn, call, refusal, anyio.current_time())
            else:
                todo.append(call)
        if len(todo) == 1:
            await self._run_one(turn, todo[0])
        elif todo:
            limiter = anyio.Semaphore(TOGETHER)
            async with anyio.create_task_group() as tasks:
                for call in todo:
                    tasks.start_soon(self._run_guarded, turn, call, limiter, tasks.cancel_scope)
            if turn.failed:
                raise turn.failed[0]

    async def _run_guarded(
        self, turn: _Turn, call: ToolCall, limiter: anyio.Semaphore, scope: anyio.CancelScope
    ) -> None:
        async with limiter:
            try:
                await self._run_one(turn, call)
            except Exception as error:  # noqa: BLE001 - raised again by the batch, not as a group
                turn.failed.append(error)
                scope.cancel()

    async def _run_one(self, turn: _Turn, call: ToolCall) -> None:
        started = anyio.current_time()
        # Cancellation point: a cancelled call has no result in the journal. From its return to the
        # note there is no await.
        parts, usd = await self._called(call)
        self._note(turn, call, parts, started, usd)

    def _note(self, turn: _Turn, call: ToolCall, parts: tuple[Part, ...], started: float, usd: float = 0.0) -> None:
        self._talk.say(result_of(call, *parts))
        turn.left -= 1
        if not turn.left and turn.is_last:
            self._talk.say(says("user", self._phrase("last_turn")))
        self._talk.record(anyio.current_time() - started, usd)

    def _refusal(self, turn: _Turn, n: int, call: ToolCall, *, may_have_run: bool) -> tuple[Part, ...] | None:
        """Return why a call does not run, for the model; None if it does."""
        granted, name = self._attempt.tools, self._tools.named(call.name)
        if n > CALLS_A_TURN:
            return (Text(text=self._phrase("tool_budget", most=CALLS_A_TURN, asked=turn.asked)),)
        if self._is_built_in(name):
            return self._repeated(call)
        if name not in granted:
            known = listing(spec.name for spec in self._tools.specs(granted))
            return (Text(text=self._phrase("unknown_tool", name=call.name, tools=known)),)
        tool = self._tools.get(name)
        if may_have_run and not tool.is_repeatable and not self._permits.asks(tool):
            return (Text(text=self._phrase("tool_uncertain", name=call.name)),)
        return self._repeated(call)

    async def _not_allowed(self, call: ToolCall, *, may_have_run: bool) -> tuple[Part, ...] | None:
        """Return why a person does not allow a call, for the model; None if it may run."""
        name = self._tools.named(call.name)
        if self._is_built_in(name) or not self._permits.asks(tool := self._tools.get(name)):
            return None
        try:
            self._tools.check(name, self._attempt.tools, self._context())
            if tool.check is not None:
                tool.check(call.arguments)
        except ToolError as error:
            return (self._failed(call, error),)  # no person need look at a call that cannot be
        # Cancellation point: a question that is withdrawn has no decision, and the call did not begin.
        decision = await self._permits.decide(call, tool, may_have_run=may_have_run)
        if decision.allows:
            return None
        reason = f" Reason: {decision.reason}" if decision.reason else ""
        return (Text(text=self._phrase("tool_refused", name=call.name, reason=reason)),)

    def _repeated(self, call: ToolCall) -> tuple[Part, ...] | None:
        if not self._guard.repeats(call):
            return None
        return (Text(text=self._phrase("tool_repeated", times=REPEATS)),)

    def _is_built_in(self, name: str) -> bool:
        return self._openable.takes(name) or (name == READ_MORE_NAME and name not in self._attempt.tools)

    async def _called(self, call: ToolCall) -> tuple[tuple[Part, ...], float]:
        """Return the result of a call, or the reason why it has none, with its price: both are for the model."""
        name = self._tools.named(call.name)
        try:
            if self._openable.takes(name):
                return await self._openable.call(name, call.arguments), 0.0
            if self._is_built_in(name):
                return (self._long.read(call.arguments),), 0.0
            async with billed(self._permits, self._tools.get(name)) as bill:
                parts = await self._result(name, call, bill)
        except (ToolError, LimitError) as error:
            return (self._failed(call, str(error).partition("\nhint: ")[0]),), 0.0
        return parts, bill.usd

    async def _result(self, name: str, call: ToolCall, bill: Bill) -> tuple[Part, ...]:
        try:
            # Cancellation point: what a call that is cut off may have cost is noted without another await.
            result = await self._tools.call(name, call.arguments, self._attempt.tools, self._context())
        except ToolError as error:
            if error.kind not in MAYBE_BILLED:
                bill.usd = 0.0
            if error.kind == LOST:
                return (Text(text=self._phrase("tool_uncertain", name=call.name)),)
            return (self._failed(call, error),)
        except BaseException:
            if bill.usd:
                self._talk.record(0.0, bill.usd)
            raise
        bill.usd = result.usd
        return self._long.shown(result)

    def _failed(self, call: ToolCall, error: object) -> Data:
        return Data(of="tool", name=call.name, text=self._phrase("tool_failed", error=error))

    def _context(self) -> ToolContext:
        attempt = self._attempt
        return ToolContext(attempt.step.id, attempt.attempt, attempt.labels, place=self._place)

    async def _rebuild(self) -> None:
        """Make the calls of an interrupted attempt again that left variables or files in its place, in order."""
        if self._rebuilt:
            return
        self._rebuilt = True
        answered = {message.tool_call_id for message in self._attempt.transcript if message.role == "tool"}
        for message in self._attempt.transcript:
            for call in message.tool_calls:
                name = self._tools.named(call.name)
                ran = call.id in answered and name in self._attempt.tools and not self._permits.refused(call)
                if ran and self._tools.get(name).rebuilds:
                    await self._again(name, call)

    async def _again(self, name: str, call: ToolCall) -> None:
        try:
            await self._tools.call(name, call.arguments, self._attempt.tools, self._context())
        except ToolError:
            return  # it failed the first time, too, or the next call finds out

    async def leave(self) -> tuple[MediaFile, ...]:
        """Return what lies in the scratch folder of a step that ends, as files of the run without secrets."""
        await self._rebuild()
        if not self._place.has_scratch:
            return ()
        found = await anyio.to_thread.run_sync(collected, self._place.scratch)
        return tuple(made_file(name, self._place.clean(content)) for name, content in found.items())

    def _phrase(self, name: str, /, **values: object) -> str:
        return phrase(self._attempt.wording, name, **values)


def place_of(attempt: Attempt, storage: Storage | None) -> Place:
    """Return the place of an attempt: what its tools may use."""
    files: dict[str, MediaFile] = {}
    for given in attempt.given:
        files |= {f"{STEP}{given.step}/{made.name}": made for made in given.files}
    return Place(
        step=attempt.step.id,
        inputs=attempt.inputs,
        given={each.step: written(each.output) for each in attempt.given},
        files=files,
        labels=attempt.labels,
        storage=storage,
    )


def _batches(group: Iterable[tuple[int, ToolCall]], *, alone: bool) -> Iterator[Sequence[tuple[int, ToolCall]]]:
    """Yield calls in batches that run one after another: each by itself, or all together."""
    calls = list(group)
    if alone:
        yield from ([call] for call in calls)
    else:
        yield calls


def _last_answer(said: Sequence[Message]) -> Message | None:
    answers = (message for message in reversed(said) if message.role == "assistant")
    return next(answers, None)


def _waiting(said: Sequence[Message]) -> Iterator[tuple[int, ToolCall]]:
    """Yield the calls of the last answer without a result, and their numbers in that answer."""
    answered = {message.tool_call_id for message in said if message.role == "tool"}
    last = _last_answer(said)
    for n, call in enumerate(() if last is None else last.tool_calls, 1):
        if call.id not in answered:
            yield n, call
