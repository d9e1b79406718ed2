"""One attempt: turns, tool calls, and corrections of answers that cannot be used.

    prompt ──> turn ──> usable answer ──────────> outcome
      ^         │ │
      │         │ └───> unusable answer ──┐
      └─ tools ─┘                         │
      ^                                   │
      └──── words of the correction ──────┘

Two rules hold: nothing that was paid for is lost, and nothing is acted on before it is recorded.

- A `TurnTaken` is noted as soon as an answer arrives, with the words of its correction if it needs one. There is no
  await between: judging is pure and fast.
- The result of each tool is noted on its own, before the model sees it: see `tool_turns`.

The messages of these events are the transcript. An attempt that starts with one continues it.
"""

import math
from collections import Counter
from collections.abc import Iterator

import anyio

from swarm.attempt import continuing
from swarm.attempt.judge import ALLOWED, Correction, judge_message, revised, truncated, uncalled
from swarm.attempt.long_results import room_left, with_built_in, with_pictures
from swarm.attempt.loop_guard import LoopGuard
from swarm.attempt.opening import opened, refuse_unopened, refuse_without_tools, with_opening, without_old_pages
from swarm.attempt.permits import Permits, Permitted
from swarm.attempt.prompt import messages, phrase, wanted
from swarm.attempt.sizing import ContextSearch, learn
from swarm.attempt.support import with_notes
from swarm.attempt.too_long import estimate_of, output_cap, refuse_cut_prompt
from swarm.attempt.tool_turns import Conversation, ToolTurns, place_of
from swarm.attempt.transcript import in_order, numbered, result_of, usable, within_cap
from swarm.attempt.types import Attempt, Note
from swarm.base.errors import AnswerError, EndpointError, EndpointRefused, LimitError
from swarm.endpoints import Endpoint
from swarm.endpoints.route import OFFLINE
from swarm.record.events import TurnTaken
from swarm.record.outcome import CUT, Outcome
from swarm.spec.chat import MediaFile, Message, Reply, Request, Text, ToolCall, Usage, says
from swarm.tools import Place, Toolbox
from swarm.tools.place import Storage

NO_USAGE = Usage()
QUESTION_SHARE = 0.75
"""Share of the seconds left of a run that an optional question may take."""
REASON_CHARACTERS = 500
"""Maximum characters of a model's reason to refuse that an error quotes."""


async def carry_out(
    attempt: Attempt,
    *,
    endpoint: Endpoint,
    tools: Toolbox,
    note: Note,
    storage: Storage | None = None,
    permits: Permits | None = None,
    searches: ContextSearch | None = None,
) -> Outcome:
    """Run an attempt: turns, tools and corrections, until there is an outcome. `storage` has the files of its run,
    `permits` what its tool calls need, `searches` what its siblings learnt of contexts. Raise what the endpoint raises,
    and `AnswerError` (`refused`, `empty`, `truncated`, `form`, `plan`, `loop`, `unknown_tool`, `turns`) for no answer.
    """
    place = place_of(attempt, storage)
    try:
        talk = _Conversation(attempt, tools, note, place, permits)
        return await _carry_out(talk, attempt, endpoint, searches or ContextSearch())
    finally:
        await place.aclose()


async def _carry_out(talk: "_Conversation", attempt: Attempt, endpoint: Endpoint, searches: ContextSearch) -> Outcome:
    verdict = talk.replay()
    while not isinstance(verdict, Outcome):
        if verdict is not None and verdict.optional:
            verdict = await talk.reconsider(endpoint, verdict)
            break
        await talk.run_tools()
        talk.stop_if_exhausted(verdict)
        request = talk.request()
        if verdict is not None and verdict.kind == continuing.KIND:
            rest = await continuing.rest_of(endpoint, request) if room_left(attempt, request) else None
            verdict = verdict.accepted if rest is None else talk.take(within_cap(attempt, request, rest))
            continue
        try:
            # Cancellation point: a cancelled call leaves no turn. The endpoint charges its cost.
            reply = await endpoint.complete(request)
        except EndpointRefused as error:
            refuse_without_tools(attempt, error, talk.said)
            await learn(searches, error, attempt, request, endpoint=endpoint, note=talk.note)
            verdict = talk.shorten(error, verdict)
        else:
            verdict = talk.take(within_cap(attempt, request, reply))  # no await before the turn is noted
            refuse_cut_prompt(attempt, reply, request)
            searches.accept(attempt, request)
    doubts = tuple(dict.fromkeys((*talk.doubts, *verdict.doubts)))
    update = {
        "usage": talk.usage,
        "notes": (*verdict.notes, *attempt.barred),
        "left_out": (*talk.left_out, *verdict.left_out),
        "unread": talk.unread,
        "opened": opened(attempt, talk.said),
        "doubts": doubts,
        "media": (*talk.media, *await talk.leave()),
    }
    return await with_notes(verdict.model_copy(update=update), attempt, talk.said)


class _Conversation:
    """The conversation of an attempt with its model."""

    def __init__(
        self, attempt: Attempt, tools: Toolbox, note: Note, place: Place, permits: Permits | None = None
    ) -> None:
        prompt = messages(attempt)
        self.attempt = attempt
        self.left_out = prompt.left_out
        self.unread = prompt.unread
        self.usage = Usage()
        self.compact = False
        """Whether requests leave out the answers that were corrected."""
        self.said: list[Message] = [*prompt.messages, *attempt.transcript]
        self.turns = 0
        self.corrections: Counter[str] = Counter()
        """Corrections so far, by kind."""
        self._prompt = prompt.messages
        self._specs = with_opening(with_built_in(tools.specs(attempt.tools)), attempt)
        self._want = wanted(attempt)
        self._guard = LoopGuard(spec.name for spec in self._specs)
        self.note = note
        self._place = place
        talk = Conversation(self.said, self._say, self._record_result, self._room)
        self._tool_turns = ToolTurns(attempt, tools, place, self._guard, talk, permits or Permitted())
        self._unrecorded: list[Message] = []
        self._started = anyio.current_time()
        self._first: Outcome | None = None
        """The report about which an optional question was asked."""
        self._served = Reply(message=Message(role="assistant"), model=attempt.model)

    @property
    def media(self) -> tuple[MediaFile, ...]:
        """Media in the last answer."""
        last = self._last_answer()
        return () if last is None else last.made

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the last answer may not be whole."""
        found = () if (last := self._last_answer()) is None else last.doubts
        return tuple(doubt for doubt in found if doubt != CUT or self.attempt.on_cut != "note")

    def _last_answer(self) -> Message | None:
        answers = (message for message in reversed(self.said) if message.role == "assistant")
        return next(answers, None)

    def _calls(self) -> Iterator[ToolCall]:
        for message in self.said:
            yield from message.tool_calls

    # The transcript of an interrupted attempt

    def replay(self) -> Outcome | Correction | None:
        """Count what the transcript holds, and judge its last answer if no message follows it."""
        verdict: Outcome | Correction | None = None
        before: Message | None = None
        is_revised = False
        for n, message in enumerate(self.attempt.transcript, 1):
            if message.role == "assistant":
                self.turns += 1
                self._guard.turn(message.tool_calls)
                verdict = None if message.tool_calls else self._judged_again(self.attempt.transcript[:n])
                is_revised = self._first is not None
            elif message.role == "tool":
                self._replay_result(message)
            elif before is not None and before.role == "assistant":
                verdict = self._replay_correction(message, before, verdict)
            before = message
        if is_revised and self._first is not None:
            return revised(self.attempt, self._first, verdict)
        if not isinstance(verdict, Correction):
            return verdict
        is_corrected = before is None or before.role != "assistant"
        return self._settle(verdict) if is_corrected else self._uncorrected(verdict)

    def _judged_again(self, said: tuple[Message, ...]) -> Outcome | Correction:
        refuse_unopened(self.attempt, self.said)
        return judge_message(self.attempt, continuing.whole(self.attempt, said))

    def _uncorrected(self, verdict: Correction) -> Outcome | Correction:
        """Correct the last answer of a transcript. An optional question would be in the same turn: it was not asked."""
        if verdict.ends:
            raise verdict.error()
        if verdict.optional and verdict.accepted is not None:
            return verdict.accepted
        return self._correct(verdict)

    def _replay_result(self, message: Message) -> None:
        call = next((call for call in self._calls() if call.id == message.tool_call_id), None)
        if call is not None:
            self._guard.count(call)

    def _replay_correction(self, words: Message, answer: Message, verdict: Outcome | Correction | None) -> Correction:
        """Count a correction. In old journals only its words show whether the answer was truncated."""
        cut, no_tools = truncated(self.attempt, answer.spoken), uncalled(self.attempt)
        correction = verdict if isinstance(verdict, Correction) else cut
        correction = next((known for known in (cut, no_tools) if known.words == words.text), correction)
        self.corrections[correction.kind] += 1
        if correction.optional:
            self._first = correction.accepted
        return correction

    # Turns

    def stop_if_exhausted(self, correction: Correction | None) -> None:
        """Raise the error that ends the attempt if its corrections or its turns are used up."""
        if correction is not None and self.corrections[correction.kind] > ALLOWED[correction.kind]:
            raise correction.error()
        if self.turns < self.attempt.turns:
            return
        if correction is not None:
            raise correction.error()
        message = f"no answer after {self.turns} turns\nhint: raise the agent's `turns` or the task's `limits.turns`"
        raise AnswerError(message, kind="turns", may_help=False)

    def request(self) -> Request:
        """Return the next request. It has tools or a form, never both: endpoints confuse them."""
        attempt = self.attempt
        said = without_old_pages(attempt, in_order(self.said), self._specs)
        return Request(
            model=attempt.model,
            messages=self._compacted() if self.compact else with_pictures(attempt, said, self._place),
            tools=self._specs,
            form=None if self._specs else self._want.form,
            max_tokens=output_cap(attempt, was_cut=bool(self.corrections["truncated"])),
            purpose=self._want.kind,
            traceparent=f"00-{attempt.trace}-{attempt.span}-01" if attempt.trace and attempt.span else "",
            labels=attempt.labels,
        )

    def _compacted(self) -> tuple[Message, ...]:
        """Return the prompt with the last correction in the same message."""
        *before, prompt = self._prompt
        return (*before, prompt.model_copy(update={"parts": (*prompt.parts, *self.said[-1].parts)}))

    def take(self, reply: Reply) -> Outcome | Correction | None:
        """Note an answer and judge it. Return None if it asks for tools."""
        message = numbered(usable(reply, has_tools=bool(self._specs)), self._calls(), self.turns + 1)
        self.turns += 1
        self.usage += reply.usage
        self._served = reply
        self._say(message)
        self._guard.turn(message.tool_calls)
        try:
            return self._judge(reply, message)
        finally:
            self._record(reply)  # a refusal ends the attempt, but it was paid for

    def _judge(self, reply: Reply, message: Message) -> Outcome | Correction | None:
        if reply.finish == "refused":
            reason = reply.text.strip()[:REASON_CHARACTERS] or "no reason given"
            raise AnswerError(f"the model refused: {reason}", kind="refused", may_help=False)
        if reply.finish == "length" and message.tool_calls:
            return self._drop_calls(message)
        if message.tool_calls:
            return None
        refuse_unopened(self.attempt, self.said)
        if reply.message.tool_calls:
            return self._correct(uncalled(self.attempt))
        verdict = judge_message(self.attempt, continuing.whole(self.attempt, self.said), asked_form=reply.form)
        if isinstance(verdict, Correction) and verdict.ends:
            raise verdict.error()
        return self._correct(verdict) if isinstance(verdict, Correction) else verdict

    def _drop_calls(self, message: Message) -> Correction:
        """Answer the calls of a truncated message without running them."""
        for call in message.tool_calls:
            self._say(result_of(call, Text(text=self._phrase("tool_unfinished"))))
        self.corrections["truncated"] += 1
        return truncated(self.attempt, "")

    # Corrections

    def _correct(self, correction: Correction) -> Outcome | Correction:
        """Send the words of a correction, unless its answer is accepted as it is."""
        settled = self._settle(correction, more=1)
        if isinstance(settled, Correction):
            self.corrections[correction.kind] += 1
            self._say(says("user", correction.words))
        return settled

    def _settle(self, correction: Correction, more: int = 0) -> Outcome | Correction:
        """Return the accepted outcome if corrections or turns are used up, else the correction."""
        used_up = not correction.asks or self.corrections[correction.kind] + more > ALLOWED[correction.kind]
        if correction.optional and self._served.endpoint == OFFLINE:
            used_up = True  # the built-in endpoint repeats sentences: a question would change nothing
        if correction.accepted is not None and (used_up or self.turns >= self.attempt.turns):
            return correction.accepted
        return correction

    def shorten(self, error: EndpointRefused, correction: Correction | None) -> Correction | Outcome:
        """Return how to continue if the conversation exceeds the model's context; else raise the error.

        1. Leave the corrected answers out of the requests: the correction says what was wrong.
        2. If that does not help, accept the last answer, if it can be accepted.
        """
        if error.kind != "context_length" or correction is None:
            raise error
        if not self.compact and not any(message.tool_calls for message in self.said):
            self.compact = True
            return correction
        if correction.accepted is not None:
            return correction.accepted
        raise error

    async def reconsider(self, endpoint: Endpoint, question: Correction) -> Outcome:
        """Ask an optional question, and return the better answer; the first one after any error, or if time is up."""
        first = question.accepted
        assert first is not None, "an optional question is about an answer that is good enough"
        left = self._seconds_left()
        if left is not None and left < self._served.seconds:
            return first
        reply: Reply | None = None
        request = self.request().model_copy(update={"optional": True})
        with anyio.CancelScope(deadline=math.inf if left is None else anyio.current_time() + left):
            try:
                reply = await endpoint.complete(request)
            except (EndpointError, LimitError):
                return first
        return first if reply is None else self._revise(first, within_cap(self.attempt, request, reply))

    def _seconds_left(self) -> float | None:
        """Return how long a question may take, so that the run still ends in time."""
        total = self.attempt.seconds_left
        return None if total is None else QUESTION_SHARE * (total - (anyio.current_time() - self._started))

    def _revise(self, first: Outcome, reply: Reply) -> Outcome:
        message = numbered(reply.message, self._calls(), self.turns + 1)
        self.turns += 1
        self.usage += reply.usage
        self._served = reply
        self._say(message)
        if reply.finish == "length":  # its text does not show it; see `_correct`
            self._say(says("user", truncated(self.attempt, "").words))
        self._record(reply)
        is_whole = reply.finish == "stop" and not message.tool_calls
        return revised(self.attempt, first, judge_message(self.attempt, reply.message) if is_whole else None)

    # Tools

    async def run_tools(self) -> None:
        """Run the calls of the last answer that have no result."""
        await self._tool_turns.run(is_last=self.turns == self.attempt.turns - 1)

    async def leave(self) -> tuple[MediaFile, ...]:
        """Return the files that the tools of the attempt left."""
        return await self._tool_turns.leave() if self._specs else ()

    def _room(self) -> int:
        return room_left(self.attempt, self.request())

    # Facts

    def _phrase(self, name: str, /, **values: object) -> str:
        return phrase(self.attempt.wording, name, **values)

    def _say(self, message: Message) -> None:
        self.said.append(message)
        self._unrecorded.append(message)

    def _record_result(self, seconds: float, usd: float) -> None:
        usage = Usage(usd=usd) if usd else Usage()
        self.usage += usage
        self._record(None, seconds=seconds, usage=usage)

    def _record(self, reply: Reply | None, *, seconds: float = 0.0, usage: Usage = NO_USAGE) -> None:
        """Note the messages since the last note: an answer, or (without a reply) a tool's result."""
        served = self._served if reply is None else reply
        self.note(
            TurnTaken(
                step=self.attempt.step.id,
                attempt=self.attempt.attempt,
                messages=tuple(self._unrecorded),
                usage=usage if reply is None else reply.usage,
                seconds=seconds if reply is None else reply.seconds,
                model=served.model,
                endpoint=served.endpoint,
                finish=served.finish,
                form=served.form,
                dropped=() if reply is None else reply.dropped,
                wire_seconds=None if reply is None else reply.wire_seconds,
                waited={} if reply is None else reply.waited,
                estimate=estimate_of(self.attempt, self._prompt) if reply and self.turns == 1 else None,
            )
        )
        self._unrecorded.clear()
