"""From the bytes of an answer to a `Reply`, whole or in pieces: no input or output, every foreign type checked here.

Whatever does not have the shape of a chat completion is a `Fault`, raised as `BadAnswer` and judged by the caller.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, cast

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from swarm.base.values import Json, canonical
from swarm.endpoints.wire.audio import Heard, Sound
from swarm.endpoints.wire.faults import Fault, error_in
from swarm.endpoints.wire.repetition import Watch, unrepeated
from swarm.spec.chat import Finish, Message, Reply, Request, Text, ToolCall, Usage, estimate_tokens, request_tokens

REPLAYED = ("reasoning_content", "reasoning", "reasoning_details", "extra_content")
"""Fields of an assistant's message that some endpoints want back, and that go back as they came."""

ABSURD_TOKENS = 100_000_000
"""A count above this is not a count: no model reads or writes a tenth of it in one call."""


class BadAnswer(Exception):  # noqa: N818 - not an error yet: a fault to be judged
    """An answer that is not one."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class _Function(BaseModel):
    name: str | None = None
    arguments: Any = None


class _Call(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function = Field(default_factory=_Function)
    extra_content: Any = None


class _WireMessage(BaseModel):
    """A message, or a piece of one."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    extra_content: Any = None
    audio: Any = None


class _Choice(BaseModel):
    index: int | None = None
    message: _WireMessage | None = None
    delta: _WireMessage | None = None
    finish_reason: str | None = None


class _Answer(BaseModel):
    choices: list[_Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None


@dataclass
class _Draft:
    """A tool call that is being put together."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])
    extra: Json = None


@dataclass
class Assembly:
    """An answer that is being put together: one message of a whole answer, or the chunks of a stream."""

    words: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    calls: list[_Draft] = field(default_factory=list[_Draft])
    by_index: dict[int, _Draft] = field(default_factory=dict[int, _Draft])
    raw: dict[str, Json] = field(default_factory=dict[str, Json])
    finish: str | None = None
    usage: Json = None
    model: str = ""
    sound: Sound = field(default_factory=Sound)
    watch: Watch | None = None
    """Where the answer is prose: what sees it go round in circles while it is streamed."""

    def add(self, data: bytes) -> bool:
        """Add one chunk of a stream, as JSON; true if it said something."""
        answer = _read(data)
        if answer.error:
            raise BadAnswer(_error(answer.error))
        self._frame(answer)
        said = False
        for choice in answer.choices or ():
            if choice.index:
                continue
            piece = choice.delta or choice.message
            if piece is not None:
                said = self._say(piece) or said
                for call in piece.tool_calls or ():
                    self._fill(self._draft(call), call)
            self.finish = choice.finish_reason or self.finish
        return said

    def whole(self, data: bytes) -> None:
        """Take an answer that came in one piece."""
        answer = _read(data)
        choice = answer.choices[0] if answer.choices else None
        if choice is None or choice.message is None:
            raise BadAnswer(_error(answer.error) if answer.error else _no_choice(data))
        self._frame(answer)
        said = choice.message
        self._say(said)
        for other in (answer.choices or ())[1:]:  # vLLM-Omni puts the sound of an answer into a choice of its own
            if other.message is not None and not self.sound.heard:
                self._hear(other.message.audio)
        for call in said.tool_calls or ():  # each is a call of its own, whatever its id and index
            self.calls.append(_Draft())
            self._fill(self.calls[-1], call)
        self.finish = choice.finish_reason or "stop"

    def _frame(self, answer: _Answer) -> None:
        self.usage = answer.usage or self.usage
        self.model = answer.model or self.model

    def _say(self, said: _WireMessage) -> bool:
        text = _text_of(said.content)
        if text:
            self.words.append(text)
            if self.watch is not None and self.watch.repeats(text):
                self.finish = "repeats"
        if said.refusal:
            self.refusal.append(said.refusal)
        kept = False
        for name in REPLAYED:
            value = getattr(said, name)
            if value:
                self.raw[name] = _joined(self.raw.get(name), value)
                kept = True
        return self._hear(said.audio) or bool(text or said.refusal or said.tool_calls or kept)

    def _hear(self, audio: Json) -> bool:
        if not isinstance(audio, dict):  # a field of that name is nothing, or somebody else's
            return False
        try:
            return self.sound.add(Heard.model_validate(audio))
        except OverflowError as error:
            raise BadAnswer(Fault(status=200, kind="too_large_response", text=str(error))) from None
        except ValidationError:
            raise BadAnswer(Fault(status=200, kind="malformed", text="audio: neither data nor transcript")) from None

    def settle(self) -> None:
        """Make one file of the sound that came, where some did; `BadAnswer` where it is none."""
        try:
            self.sound.settle()
        except ValueError as error:
            raise BadAnswer(Fault(status=200, kind="malformed", text=f"audio: {error}")) from None

    def _fill(self, draft: _Draft, call: _Call) -> None:
        draft.id = draft.id or call.id or ""
        draft.name = draft.name or call.function.name or ""
        if call.extra_content:
            draft.extra = call.extra_content
        arguments = call.function.arguments
        if isinstance(arguments, str):
            draft.arguments.append(arguments)
        elif arguments is not None:
            draft.arguments.append(canonical(arguments).decode())

    def _draft(self, call: _Call) -> _Draft:
        """Find the call that a piece belongs to: by index, else by id, else the last; servers leave out either."""
        known = self.by_index.get(call.index) if call.index is not None else None
        if call.index is None and self.calls:
            known = self.calls[-1]
        if known is not None and _continues(known, call):
            return known
        draft = _Draft()
        self.calls.append(draft)
        if call.index is not None:
            self.by_index[call.index] = draft
        return draft

    def reply(self, request: Request) -> Reply:
        """Make it a reply; `endpoint`, `seconds` and `form` are the caller's to add."""
        words, spoken = "".join(self.words), "".join(self.sound.transcript)
        text = strip_thought(words) or "".join(self.refusal) or spoken
        calls = tuple(_calls(self.calls))
        finish = _finish(self.finish, calls=bool(calls), refused=bool(self.refusal))
        if finish in {"length", "repeats"} and is_prose(request):
            once = unrepeated(text)
            text, finish = (text, finish) if once is None else (once, "repeats")
        raw = dict(self.raw)
        extras = [{"extra_content": draft.extra} if draft.extra else {} for draft in self.calls]
        if any(extras):
            raw["tool_calls"] = extras
        parts = (Text(text=text),) if text else ()
        made = () if self.sound.made is None else (self.sound.made,)
        message = Message(role="assistant", parts=(*parts, *made), tool_calls=calls, raw=raw or None)
        written = words + spoken + "".join(c.name + c.arguments for c in calls) + _reasoning(self.raw)
        return Reply(
            message=message,
            finish=finish,
            usage=read_usage(self.usage, request=request, written=written, beside=self.sound.tokens),
            model=self.model,
        )


def is_prose(request: Request) -> bool:
    """Tell whether an answer is words for people: in JSON and in calls the same may well stand again and again."""
    return request.form is None and not request.tools


def _continues(draft: _Draft, call: _Call) -> bool:
    """Tell whether a piece belongs to a call that has begun, or begins another in the same place."""
    name = call.function.name
    if call.id and draft.id:
        return call.id == draft.id and (not name or name == draft.name)
    anonymous = call.index is None and not call.id
    return not (name and draft.name and (anonymous or name != draft.name))


def _read(data: bytes) -> _Answer:
    try:
        return _Answer.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    if problem["type"] == "json_invalid" and b"\\u" in data:
        mended = mend_surrogates(data)
        if mended != data:
            return _read(mended)
    raise BadAnswer(_wrong(data, problem["msg"], problem["loc"]))


def _wrong(data: bytes, message: str, where: Iterable[Any]) -> Fault:
    place = ".".join(str(part) for part in where)
    start = data[:300].decode("utf-8", "replace")
    return Fault(status=200, kind="malformed", text=f"{place}: {message}: {start}" if place else f"{message}: {start}")


def _no_choice(data: bytes) -> Fault:
    """Judge an answer without a choice: an error in another shape, or nothing."""
    fault = error_in(from_json(data))
    if fault is not None:
        return replace(fault, status=200)
    return _wrong(data, "no message in it", ("choices",))


def _error(error: Json) -> Fault:
    fault = error_in({"error": error}) or Fault(text=repr(error))
    return replace(fault, status=200)


_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL
)


def mend_surrogates(data: bytes) -> bytes:
    """Replace escapes of lone surrogates in JSON, which no UTF-8 can hold, by U+FFFD; whole pairs stay."""

    def mended(match: re.Match[bytes]) -> bytes:
        return b"\\ufffd" if len(match[0]) == 6 else match[0]

    return _ESCAPE.sub(mended, data)


def _text_of(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]  # pyright: ignore[reportUnknownVariableType]
        return "".join(str(part.get("text") or "") for part in parts)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]
    return content or ""


def _joined(before: Json, value: Json) -> Json:
    """Put pieces of a replayed field together as they were split: texts and lists grow, mappings are merged."""
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    if isinstance(before, list) and isinstance(value, list):
        return [*before, *value]
    if isinstance(before, dict) and isinstance(value, dict):
        return cast("dict[str, Json]", before) | cast("dict[str, Json]", value)
    return value


def _reasoning(raw: dict[str, Json]) -> str:
    return "".join(value for name in ("reasoning_content", "reasoning") if isinstance(value := raw.get(name), str))


def strip_thought(text: str) -> str:
    """Take a leading `<think>…</think>` off; some servers leave a model's thoughts in its words.

    Where the opening tag was part of the prompt, only the closing one is there.
    """
    start = text.lstrip()
    if start.startswith("<think>"):
        _, closed, rest = start.partition("</think>")
        return rest.lstrip() if closed else ""
    thought, closed, rest = text.partition("</think>")
    return rest.lstrip() if closed and "<think>" not in thought else text


def _calls(drafts: list[_Draft]) -> Iterable[ToolCall]:
    """Finish the calls: every id there and none twice, so that each result finds its call."""
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


def _finish(reason: str | None, *, calls: bool, refused: bool) -> Finish:
    if reason in {"content_filter", "refusal"} or refused:
        return "refused"
    if reason == "repeats":
        return "repeats"
    if reason in {"length", "max_tokens"}:
        return "length"
    return "tool_calls" if calls else "stop"


def read_usage(usage: Json, *, request: Request, written: str, beside: int = 0) -> Usage:
    """Read what a call cost; what is missing, negative or absurd is estimated from above and marked so.

    `beside` are the tokens of what was given beside words, from above: where the endpoint counts, its total has them.
    """
    fields = _mapping(usage)
    nested = _mapping(fields.get("prompt_tokens_details")).get("cached_tokens")
    took = _count(fields.get("prompt_tokens"))
    gave = _count(fields.get("completion_tokens"))
    estimated = not took or gave is None or (gave == 0 and (written != "" or beside > 0))
    took = took or request_tokens(request)
    gave = gave or estimate_tokens(written) + beside
    counts = (_count(value) for value in (nested, fields.get("cached_tokens"), fields.get("prompt_cache_hit_tokens")))
    cached = next((count for count in counts if count), 0)
    return Usage(calls=1, input_tokens=took, output_tokens=gave, cached_tokens=min(cached, took), estimated=estimated)


def _mapping(value: Json) -> dict[str, Json]:
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}


def _count(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if 0 <= value <= ABSURD_TOKENS else None
