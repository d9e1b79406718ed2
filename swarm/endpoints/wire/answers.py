"""From the messages and chunks of an answer to a `Reply`. No input or output.

An answer that does not have the shape of a chat completion raises `BadAnswer` with its fault.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from pydantic import ValidationError
from pydantic_core import from_json

from swarm.base.values import Json, canonical
from swarm.endpoints.wire.audio import Heard, Sound
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.finishes import Ending, ending_of
from swarm.endpoints.wire.messages import REPLAYED
from swarm.endpoints.wire.repetition import Watch, unrepeated
from swarm.endpoints.wire.shapes import (
    BadAnswer,
    WireAnswer,
    WireCall,
    WireChoice,
    WireMessage,
    error_of,
    read_answer,
    without_message,
)
from swarm.endpoints.wire.thoughts import answer_in
from swarm.endpoints.wire.usage import merged, read_usage
from swarm.spec.chat import Finish, Message, Reply, Request, Text, ToolCall

_FINISHES: Mapping[Ending, Finish] = {"cut": "length", "refused": "refused"}
"""Our finish reasons for endings that are not normal."""
MOST_CALLS = 33
"""Maximum tool calls of one answer that are read: one more than an attempt runs in a turn, so that the
model is told about the limit. Endless ones cost nobody else any time or space."""
MOST_ARGUMENTS = 1_000_000
"""Maximum characters of the arguments of one tool call that are read. The rest is dropped, so they are invalid."""
REPEATS = "repeats"
"""Our finish reason for a stream that we stopped. No endpoint sends it."""
MOST_WORD = 256
"""Maximum characters of a name that is recorded with each call: the model's, the reason why an answer ended."""


@dataclass
class _Draft:
    """A tool call that is not complete yet."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])
    size: int = 0
    """Characters of the arguments that were sent."""
    extra: Json = None

    def add(self, call: WireCall) -> None:
        """Add a piece."""
        self.id = self.id or call.id or ""
        self.name = self.name or call.function.name or ""
        if call.extra_content:
            self.extra = call.extra_content
        arguments = call.function.arguments
        if arguments is not None and not isinstance(arguments, str):  # some servers send an object, not a text
            arguments = canonical(arguments).decode()
        if arguments:
            self.arguments.append(arguments[: max(0, MOST_ARGUMENTS - self.size)])
            self.size += len(arguments)

    def continues(self, call: WireCall) -> bool:
        """Return whether a piece belongs to this call, or begins another one in the same place."""
        name = call.function.name
        if self._is_complete and (name or _has_content(call.function.arguments)):
            return False
        if call.id and self.id:
            return call.id == self.id and (not name or name == self.name)
        anonymous = call.index is None and not call.id
        return not (name and self.name and (anonymous or name != self.name))

    @property
    def is_placeholder(self) -> bool:
        """Whether the arguments are an empty object: some servers send one before the real ones."""
        return "".join(self.arguments).strip() == "{}" if len(self.arguments) == 1 else False

    @property
    def _is_complete(self) -> bool:
        """Whether the arguments are a whole JSON value. The end of the last piece tells it quickly."""
        if not self.arguments or self.arguments[-1].rstrip()[-1:] not in {"}", "]"}:
            return False
        try:
            from_json("".join(self.arguments))
        except ValueError:
            return False
        return True


@dataclass
class Assembly:
    """An answer while it is assembled, from one complete message or from the chunks of a stream."""

    words: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    calls: list[_Draft] = field(default_factory=list[_Draft])
    by_index: dict[int, _Draft] = field(default_factory=dict[int, _Draft])
    dropped: int = 0
    """Number of further tool calls, which were read and dropped."""
    raw: dict[str, Json] = field(default_factory=dict[str, Json])
    """Fields that are sent back unchanged."""
    finish: str | None = None
    """The finish reason on the wire; None until there is one."""
    ended: bool = False
    """Whether nothing but the usage may follow: a finish reason came without content, or `[DONE]`."""
    early: bool = False
    """Whether content came after a finish reason: on this stream finish reasons mean nothing."""
    silent: bool = False
    """Whether such a stream ended by silence. Then nothing says that the answer is whole."""
    note: str = ""
    """Why it may be wrong although it is whole, for people."""
    usage: Json = None
    model: str = ""
    sound: Sound = field(default_factory=Sound)
    hear: Callable[[WireMessage], object] | None = None
    """Receives each piece of a stream: a signal for whoever watches."""
    watch: Watch | None = None
    """Detector of repetition in a stream; None if the answer is not prose."""

    @property
    def empty(self) -> bool:
        """Whether nothing of an answer has arrived yet."""
        return not (self.words or self.calls or self.raw or self.sound.heard)

    # Pieces

    def add(self, data: bytes) -> bool:
        """Add one chunk of a stream, as JSON. Return True if it had any content."""
        answer = read_answer(data)
        self._raise_error(answer, data, strict=True)
        self._note(answer)
        progress = False
        for choice in answer.choices or ():
            if not choice.index:  # only the first choice is used
                progress = self._add_choice(choice) or progress
        return progress

    def _add_choice(self, choice: WireChoice) -> bool:
        piece, progress = choice.piece, False
        before = self.finish
        if piece is not None:
            if self.hear is not None:
                self.hear(piece)
            progress = self._take(piece)
            for call in piece.tool_calls or ():
                self._draft(call).add(call)
        if progress and before is not None:
            self.early, self.ended = True, False
        if choice.finish_reason and self.finish != REPEATS:
            self.finish = str(choice.finish_reason)[:MOST_WORD]
            self.ended = not (progress or self.early or self.empty)
        return progress

    def done(self) -> bool:
        """Note that `[DONE]` came. Return True if it ends the answer: one without content is none."""
        self.ended = self.finish is not None or not self.empty
        if self.ended and self.finish is None:
            self.finish = ""
        return self.ended

    def whole(self, data: bytes) -> None:
        """Add an answer that came in one piece."""
        answer = read_answer(data)
        choices = answer.choices or []
        message = choices[0].piece if choices else None
        self._raise_error(answer, data)
        if message is None:
            raise BadAnswer(without_message(data))
        self._note(answer)
        self._take(message)
        for other in choices[1:]:  # vLLM-Omni sends the audio in a choice of its own
            if other.message is not None and not self.sound.heard:
                self._hear(other.message.audio)
        for call in (message.tool_calls or ())[:MOST_CALLS]:  # each is complete, whatever its id and index
            draft = _Draft()
            draft.add(call)
            self.calls.append(draft)
        self.dropped = len(message.tool_calls or ()) - len(self.calls)
        self.finish = str(choices[0].finish_reason or "stop")[:MOST_WORD]

    def _raise_error(self, answer: WireAnswer, data: bytes, *, strict: bool = False) -> None:
        """Raise the error that an answer or chunk has, in any shape. Only suspicious ones are read for it again."""
        choices = answer.choices or []
        if choices and not answer.error and not choices[0].error:
            return
        fault = error_of(data, strict=strict)
        if fault is not None:
            raise BadAnswer(fault)

    def settle(self) -> None:
        """Make the file of the audio, if there is any. Raise `BadAnswer` if it is invalid."""
        try:
            self.sound.settle()
        except ValueError as error:
            text = f"audio: {error}"
            raise BadAnswer(Fault(status=200, kind="malformed", text=text)) from None

    def _note(self, answer: WireAnswer) -> None:
        places: list[Json] = [answer.usage, answer.timings]
        groq: Json = answer.x_groq
        if isinstance(groq, dict):
            places.append(cast("dict[str, Json]", groq).get("usage"))
        places += [choice.usage for choice in answer.choices or ()]  # Kimi's streams
        for place in filter(None, places):
            self.usage = merged(self.usage, place)
        self.model = answer.model[:MOST_WORD] if isinstance(answer.model, str) and answer.model else self.model

    def _take(self, message: WireMessage) -> bool:
        """Add all of a message but its tool calls. Return True if it had any content."""
        text = message.text
        if text:
            self.words.append(text)
            if self.watch is not None and self.watch.repeats(text):
                self.finish = REPEATS
        if message.refusal:
            self.refusal.append(message.refusal)
        replayed = self._replay(message)
        heard = self._hear(message.audio)
        return bool(text or message.refusal or message.tool_calls or replayed or heard)

    def _replay(self, message: WireMessage) -> bool:
        """Keep the fields that are sent back unchanged. Return True if there are any."""
        found = False
        for name in REPLAYED:
            value = getattr(message, name)
            if value:
                self.raw[name] = _joined(self.raw.get(name), value)
                found = True
        return found

    def _hear(self, audio: Json) -> bool:
        """Add a piece of audio. Return True if it had any content."""
        if not isinstance(audio, dict):  # null, or a field of another meaning
            return False
        try:
            return self.sound.add(Heard.model_validate(audio))
        except OverflowError as error:
            fault = Fault(status=200, kind="too_large_response", text=str(error))
        except ValidationError:
            text = "audio: neither data nor transcript"
            fault = Fault(status=200, kind="malformed", text=text)
        raise BadAnswer(fault)

    def _draft(self, call: WireCall) -> _Draft:
        """Return the draft that a piece belongs to: by index, by id, or the last one.

        Some servers omit the index, some the id.
        """
        known = self.by_index.get(call.index) if call.index is not None else None
        if call.index is None and self.calls:
            known = self.calls[-1]
        if known is not None and known.is_placeholder and not call.function.name:
            known.arguments.clear()
            return known
        if known is not None and known.continues(call):
            return known
        draft = _Draft()
        if known is not None and not call.function.name:  # more arguments for the same tool: a parallel call
            draft.name = known.name
        return self._kept(draft, call)

    def _kept(self, draft: _Draft, call: WireCall) -> _Draft:
        """Add a draft to the answer, unless it has enough of them: then it is read, counted and dropped."""
        if len(self.calls) < MOST_CALLS:
            self.calls.append(draft)
            if call.index is not None:
                self.by_index[call.index] = draft
        elif call.function.name:
            self.dropped += 1
        return draft

    # The reply

    def reply(self, request: Request) -> Reply:
        """Return the reply. The caller adds `endpoint`, `seconds` and `form`."""
        words, spoken = "".join(self.words), "".join(self.sound.transcript)
        text = answer_in(words) or "".join(self.refusal) or spoken
        calls = tuple(_finished(self.calls))
        finish = self._finish(calls=bool(calls))
        if finish in {"length", "repeats"} and is_prose(request):
            once = unrepeated(text)
            if once is not None:
                text, finish = once, "repeats"
        called = "".join(call.name + call.arguments for call in calls)
        usage = read_usage(
            self.usage,
            request=request,
            written=words + spoken + called + _reasoning(self.raw),
            other=self.sound.tokens,
        )
        message = self._message(text, calls)
        return Reply(message=message, finish=finish, usage=usage, model=self.model)

    def incomplete(self) -> Fault | None:
        """Return the fault of an answer whose finish reason does not say that it is whole.

        Return None if it is whole, cut or refused: then the reply says which.
        """
        if self.finish == REPEATS or self.refusal:
            return None
        ending = ending_of(self.finish)
        if ending not in {"broken", "unknown"}:
            return None
        text = f"the finish reason is {self.finish!r}"
        return Fault(status=200, kind="truncated_stream", text=text)

    @property
    def may_be_whole(self) -> bool:
        """Whether an incomplete answer may be accepted: its finish reason says nothing, and it has words."""
        return ending_of(self.finish) == "unknown" and bool(self.words) and not self.calls

    @property
    def doubt(self) -> str:
        """Why the answer may not be whole, for people; empty if it may be accepted without a note."""
        if self.note:
            return self.note
        if self.silent:
            return "the stream ended in silence, so the answer may be incomplete"
        if self.incomplete() is not None:
            return f"its finish reason, {self.finish!r}, is unknown, so the answer may be incomplete"
        return ""

    def _finish(self, *, calls: bool) -> Finish:
        """Return our finish reason. A refusal in words counts more than the reason on the wire."""
        if self.refusal:
            return "refused"
        if self.finish == REPEATS:
            return "repeats"
        return _FINISHES.get(ending_of(self.finish)) or ("tool_calls" if calls else "stop")

    def _message(self, text: str, calls: tuple[ToolCall, ...]) -> Message:
        raw = dict(self.raw)
        extras = [{"extra_content": draft.extra} if draft.extra else {} for draft in self.calls]
        if any(extras):
            raw["tool_calls"] = extras
        words = (Text(text=text),) if text else ()
        sound = () if self.sound.made is None else (self.sound.made,)
        doubts = (self.doubt,) if self.doubt else ()
        message = Message(role="assistant", parts=words + sound, tool_calls=calls, raw=raw or None, doubts=doubts)
        return message.model_copy(update={"more_calls": self.dropped}) if self.dropped else message


def is_prose(request: Request) -> bool:
    """Return whether the answer is words for people. JSON and calls may repeat themselves."""
    return request.form is None and not request.tools


def _has_content(arguments: Json) -> bool:
    return bool(arguments.strip()) if isinstance(arguments, str) else arguments is not None


def _joined(before: Json, value: Json) -> Json:
    """Join pieces of a replayed field: texts and lists are appended, mappings are merged."""
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    if isinstance(before, list) and isinstance(value, list):
        return [*before, *value]
    if isinstance(before, dict) and isinstance(value, dict):
        return cast("dict[str, Json]", before) | cast("dict[str, Json]", value)
    return value


def _reasoning(raw: dict[str, Json]) -> str:
    values = (raw.get(name) for name in ("reasoning_content", "reasoning"))
    return "".join(value for value in values if isinstance(value, str))


def _finished(drafts: list[_Draft]) -> Iterable[ToolCall]:
    """Yield the calls with unique ids, so that every result finds its call."""
    taken = {draft.id for draft in drafts}
    seen: set[str] = set()
    count = 0
    for draft in drafts:
        name = draft.id
        while not name or name in seen:
            count += 1
            fresh = f"call-{count}"
            name = fresh if fresh not in taken else ""
        seen.add(name)
        yield ToolCall(id=name, name=draft.name, arguments="".join(draft.arguments) or "{}")
