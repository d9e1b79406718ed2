"""One attempt: turns, tool calls, and asking again for an answer that does not fit.

    words ──> turn ──> answer fits ──────────────> outcome
      ^        │ │
      │        │ └──── answer does not fit ─┐
      └─ tools ┘                            │
      ^                                     │
      └──── words that ask again ───────────┘

Nothing that was paid for is lost, and nothing is acted on before it is a fact. So a `TurnTaken` is noted as soon as an
answer arrives, with the words that ask again where it will not do: judging is pure and takes no time. Each tool result
is noted by itself, as a `TurnTaken` without a call (usage zero), before the next tool runs or the model sees it: a tool
that writes is not run twice because the process died during the next one. The messages of these events, in order, are
the transcript; an attempt that is given one goes on behind it, and counts from it what was already asked and told.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import anyio

from swarm.attempt.judge import ALLOWED, Correction, judge, truncated
from swarm.attempt.prompt import ASSUMED_CONTEXT, messages, phrase, wanted
from swarm.attempt.types import Attempt, Note
from swarm.base.errors import AnswerError, EndpointRefused, ToolError
from swarm.base.text import listing
from swarm.endpoints import Endpoint
from swarm.record.events import TurnTaken
from swarm.record.outcome import Outcome
from swarm.spec.chat import Data, MediaFile, Message, Part, Reply, Request, Text, ToolCall, Usage, says
from swarm.tools import Toolbox, ToolResult

CALLS_A_TURN = 32
"""Tool calls of one turn that are run: a model that asks for more has lost its way."""
REPEATS = 3
"""The identical call in a row that is told instead of run; one more in a later turn ends the attempt."""
UNKNOWN_TURNS = 3
"""Turns in a row that ask only for tools that are not there."""


async def carry_out(attempt: Attempt, *, endpoint: Endpoint, tools: Toolbox, note: Note) -> Outcome:
    """Carry out an attempt: ask, run tools, ask again, until there is an outcome.

    Raises what the endpoint raises, and `AnswerError` of kind `refused`, `empty`, `truncated`, `form`, `plan`, `loop`,
    `unknown_tool` or `turns` where the model does not give what is asked for.
    """
    talk = _Talk(attempt, tools, note)
    verdict = talk.replay()
    while not isinstance(verdict, Outcome):
        await talk.run_tools()
        talk.may_go_on(verdict)
        try:
            reply = await endpoint.complete(talk.request())
        except EndpointRefused as error:
            verdict = talk.shorter(error, verdict)
        else:
            verdict = talk.take(reply)
    left_out = (*talk.left_out, *verdict.left_out)
    return verdict.model_copy(update={"usage": talk.usage, "left_out": left_out, "media": talk.made})


class _Talk:
    """A conversation with a model."""

    def __init__(self, attempt: Attempt, tools: Toolbox, note: Note) -> None:
        prompt = messages(attempt)
        self.attempt = attempt
        self.left_out = prompt.left_out
        self.usage = Usage()
        self.compact = False
        """Whether answers that were asked for again are left out of what is sent."""
        self.said: list[Message] = [*prompt.messages, *attempt.transcript]
        self._prompt = prompt.messages
        self.specs = tools.specs(attempt.tools)
        self.want = wanted(attempt)
        self.turns = 0
        self.asked: Counter[str] = Counter()
        self.guard = _Guard(attempt)
        self._tools = tools
        self._note = note
        self._fresh: list[Message] = []
        self._served = Reply(message=Message(role="assistant"), model=attempt.model)

    @property
    def made(self) -> tuple[MediaFile, ...]:
        """What the last answer has beside words."""
        return next((said.made for said in reversed(self.said) if said.role == "assistant"), ())

    # What a transcript settles

    def replay(self) -> Outcome | Correction | None:
        """Count what the transcript holds; judge its last answer, if there is one that nobody replied to."""
        verdict: Outcome | Correction | None = None
        before: Message | None = None
        for message in self.attempt.transcript:
            if message.role == "assistant":
                self.turns += 1
                self.guard.turn(message.tool_calls)
                verdict = None if message.tool_calls else judge(self.attempt, _words(message))
            elif message.role == "tool":
                self._count_call(message)
            elif before is not None and before.role == "assistant":  # words that asked again
                cut = truncated(self.attempt, _words(before))
                verdict = verdict if isinstance(verdict, Correction) and message.text != cut.words else cut
                self.asked[verdict.kind] += 1
            before = message
        if isinstance(verdict, Correction) and before is not None and before.role == "assistant":
            return self._correct(verdict)
        return self._settled(verdict) if isinstance(verdict, Correction) else verdict

    def _count_call(self, message: Message) -> None:
        calls = (call for said in self.said for call in said.tool_calls)
        call = next((call for call in calls if call.id == message.tool_call_id), None)
        if call is not None:
            self.guard.count(call)

    # Turns

    def may_go_on(self, verdict: Correction | None) -> None:
        """Raise what ends the attempt: asked too often, or no turn left."""
        if verdict is not None and self.asked[verdict.kind] > ALLOWED[verdict.kind]:
            raise verdict.error()
        if self.turns < self.attempt.turns:
            return
        if verdict is not None:
            raise verdict.error()
        message = f"{self.turns} turns were taken without an answer: raise the agent's or the task's turns"
        raise AnswerError(message, kind="turns", may_help=False)

    def request(self) -> Request:
        """Make the next request. A form and tools are never asked for together: endpoints confuse them."""
        attempt = self.attempt
        cap = attempt.settings.get("max_tokens") if self.asked["truncated"] else None
        raised = None
        if isinstance(cap, int):  # an answer hit it: the same request again would give the same cut
            raised = min(2 * cap, max(cap, (attempt.context or ASSUMED_CONTEXT) // 2))
        return Request(
            model=attempt.model,
            messages=self._compacted() if self.compact else tuple(self.said),
            tools=self.specs,
            form=None if self.specs else self.want.form,
            max_tokens=raised,
            purpose=self.want.kind,
            traceparent=f"00-{attempt.trace}-{attempt.span}-01" if attempt.trace and attempt.span else "",
            labels=attempt.labels,
        )

    def take(self, reply: Reply) -> Outcome | Correction | None:
        """Note an answer and say what becomes of it; None where it asks for tools."""
        message = self._numbered(reply.message)
        self.turns += 1
        self.usage += reply.usage
        self._served = reply.model_copy(update={"message": message})
        self._say(message)
        self.guard.turn(message.tool_calls)
        try:
            return self._judged(reply, message)
        finally:
            self._record(reply)

    def _judged(self, reply: Reply, message: Message) -> Outcome | Correction | None:
        if reply.finish == "refused":
            words = reply.text.strip()[:500] or "no reason was given"
            raise AnswerError(f"the model refused: {words}", kind="refused", may_help=False)
        if reply.finish == "length" and message.tool_calls:
            for call in message.tool_calls:
                self._say(_result(call, Text(text=self._phrase("tool_unfinished"))))
            self.asked["truncated"] += 1
            return truncated(self.attempt, "")
        if message.tool_calls:
            return None
        if reply.finish == "length":
            return self._correct(truncated(self.attempt, reply.text))
        verdict = judge(self.attempt, reply.text, asked_form=reply.form)
        return self._correct(verdict) if isinstance(verdict, Correction) else verdict

    def _correct(self, ask: Correction) -> Outcome | Correction:
        settled = self._settled(ask, more=1)
        if (
            isinstance(settled, Correction) or ask.kind == "truncated"
        ):  # of a cut text only these words tell that it is one
            self.asked[ask.kind] += 1
            self._say(says("user", ask.words))
        return settled

    def _compacted(self) -> tuple[Message, ...]:
        """Give the prompt with the last words that asked again: no model has to take two messages of a user's."""
        *before, prompt = self._prompt
        return (*before, prompt.model_copy(update={"parts": (*prompt.parts, *self.said[-1].parts)}))

    def shorter(self, error: EndpointRefused, verdict: Correction | None) -> Correction | Outcome:
        """Say how to go on where a conversation got longer than the model reads; raises the error where nothing helps.

        What asks again says what was wrong, so the answers that were wrong can be left out of it; once that does not
        help, what was not good enough is taken, where it can be.
        """
        if error.kind != "context_length" or verdict is None:
            raise error
        if not self.compact and not any(said.tool_calls for said in self.said):
            self.compact = True
            return verdict
        if verdict.accepted is None:
            raise error
        return verdict.accepted

    def _settled(self, ask: Correction, more: int = 0) -> Outcome | Correction:
        """Take what can be taken all the same, once it was asked for often enough or no turn is left."""
        spent = self.asked[ask.kind] + more > ALLOWED[ask.kind] or self.turns >= self.attempt.turns
        return ask.accepted if spent and ask.accepted is not None else ask

    def _numbered(self, message: Message) -> Message:
        """Give every tool call an id of its own in this attempt: some endpoints give none, or one for all."""
        taken = {call.id for said in self.said for call in said.tool_calls}
        calls: list[ToolCall] = []
        for n, call in enumerate(message.tool_calls, 1):
            name = call.id
            while not name or name in taken:
                name = f"call-{self.turns + 1}-{n}" if name != f"call-{self.turns + 1}-{n}" else f"{name}-again"
            taken.add(name)
            calls.append(call.model_copy(update={"id": name}))
        return message.model_copy(update={"tool_calls": tuple(calls)})

    # Tools

    async def run_tools(self) -> None:
        """Run the calls that have no result yet, one after the other, each noted before the next."""
        waiting = list(self._waiting())
        for place, (n, call) in enumerate(waiting, 1):
            self.guard.stop_if_stuck(call)
            started = anyio.current_time()
            parts = await self._run(n, call)
            self.guard.count(call)
            self._say(_result(call, *parts))
            if place == len(waiting) and self.turns == self.attempt.turns - 1:
                self._say(says("user", self._phrase("last_turn")))
            self._record(None, seconds=anyio.current_time() - started)

    def _waiting(self) -> Iterator[tuple[int, ToolCall]]:
        answered = {said.tool_call_id for said in self.said if said.role == "tool"}
        last = next((said for said in reversed(self.said) if said.role == "assistant"), None)
        for n, call in enumerate(last.tool_calls if last is not None else (), 1):
            if call.id not in answered:
                yield n, call

    async def _run(self, n: int, call: ToolCall) -> tuple[Part, ...]:
        """Give the result of a call, or why there is none: that too is for the model."""
        granted = self.attempt.tools
        if n > CALLS_A_TURN:
            return (Text(text=self._phrase("tool_budget", most=CALLS_A_TURN)),)
        if call.name not in granted:
            return (Text(text=self._phrase("unknown_tool", name=call.name, tools=listing(sorted(granted)))),)
        if self.guard.repeats(call):
            return (Text(text=self._phrase("tool_repeated", times=REPEATS)),)
        try:
            result = await self._tools.call(call.name, call.arguments, granted)
        except ToolError as error:
            return (Data(of="tool", name=call.name, text=self._phrase("tool_failed", error=error)),)
        return self._shown(call.name, result)

    def _shown(self, name: str, result: ToolResult) -> tuple[Part, ...]:
        data = Data(of="tool", name=name, text=result.text)
        if result.shown == result.total:
            return (data,)
        return data, Text(text=self._phrase("tool_cut", shown=result.shown, total=result.total))

    # Facts

    def _phrase(self, name: str, /, **values: object) -> str:
        return phrase(self.attempt.wording, name, **values)

    def _say(self, message: Message) -> None:
        self.said.append(message)
        self._fresh.append(message)

    def _record(self, reply: Reply | None, *, seconds: float = 0.0) -> None:
        """Note what was said since the last time."""
        served = self._served if reply is None else reply
        self._note(
            TurnTaken(
                step=self.attempt.step.id,
                attempt=self.attempt.attempt,
                messages=tuple(self._fresh),
                usage=Usage() if reply is None else reply.usage,
                seconds=seconds if reply is None else reply.seconds,
                model=served.model,
                endpoint=served.endpoint,
                finish=served.finish,
                form=served.form,
                dropped=() if reply is None else reply.dropped,
            )
        )
        self._fresh.clear()


class _Guard:
    """Sees that an attempt goes round in circles."""

    def __init__(self, attempt: Attempt) -> None:
        self._granted = frozenset(attempt.tools)
        self._last: tuple[str, str] | None = None
        self._times = 0
        self._turn = 0
        self._told = 0
        self._unknown = 0

    def turn(self, calls: Iterable[ToolCall]) -> None:
        """See a turn begin."""
        self._turn += 1
        names = [call.name for call in calls]
        self._unknown = self._unknown + 1 if names and self._granted.isdisjoint(names) else 0

    def count(self, call: ToolCall) -> None:
        """See a call that was answered."""
        key = (call.name, call.arguments)
        self._times = self._times + 1 if key == self._last else 1
        self._last = key
        if self._times >= REPEATS:
            self._told = self._told or self._turn
        else:
            self._told = 0

    def repeats(self, call: ToolCall) -> bool:
        """Whether a call is the same for so many times in a row that it is not run."""
        return (call.name, call.arguments) == self._last and self._times >= REPEATS - 1

    def stop_if_stuck(self, call: ToolCall) -> None:
        """Raise `AnswerError` for a model that repeats a call after being told, or asks for what is not there."""
        if self._unknown >= UNKNOWN_TURNS:
            message = f"{self._unknown} turns in a row asked only for tools that are not granted, such as {call.name}"
            raise AnswerError(message, kind="unknown_tool", may_help=False)
        if self.repeats(call) and self._told and self._turn > self._told:
            message = f"the call of {call.name} was repeated although the model was told that it gives nothing new"
            raise AnswerError(message, kind="loop", may_help=False)


def _result(call: ToolCall, *parts: Part) -> Message:
    return Message(role="tool", parts=parts, tool_call_id=call.id)


def _words(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))
