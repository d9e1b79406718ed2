"""A request as an endpoint wants it written: pure, and with a memory of what the endpoint would not have.

A dialect starts from the quirks of its provider. When a request is refused because of a field, it learns to do without:
the form of the answer goes one rung down, the output cap takes its other name, the usage of a stream is not asked for,
a parameter of the task is left out. An answer that is not JSON where JSON was promised takes the form a rung down, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic_core import PydanticSerializationError, from_json, to_json

from swarm.base.values import Json
from swarm.endpoints.wire.learnt import Learnt, mark
from swarm.spec.chat import Form, Media, Message, Part, Reply, Request, Text, render
from swarm.spec.providers import CapField, Quirks, Rung
from swarm.spec.task import Model

_FORM_REFUSED = re.compile(
    r"response[_ ]?format|json[_ ]?(schema|object|mode)|structured[_ -]?outputs?|guided|grammar|\bschema\b"
)
_TOOL_REFUSED = re.compile(r"tool|function")
_CAP_REFUSED = re.compile(r"max_completion_tokens|max_tokens")
_USAGE_REFUSED = re.compile(r"stream_options|include_usage")

_AUDIO: dict[str, str] = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/x-wav": "wav", "audio/wav": "wav"}
"""What `input_audio` calls a format, where it is not the subtype itself."""

_NOWHERE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class WireRequest:
    """A request, written."""

    body: bytes
    form: Rung | Literal[""]
    """How the form of the answer is asked for, if it is."""
    rung: int
    cap: CapField
    usage: bool
    dropped: frozenset[str]
    """How it is written: the dialect's state of the moment."""


class Dialect:
    """How one endpoint wants one model's requests written."""

    def __init__(self, model: Model, *, name: str, quirks: Quirks, learnt: Learnt | None = None) -> None:
        """Begin with what is `learnt` of the model at its endpoint; what is new is learnt for all who share that."""
        self._model = model
        self._name = name
        self._quirks = quirks
        self._forms = quirks.forms
        self._learnt = learnt or Learnt()
        self._marks = {param: mark(param, value) for param, value in {**model.params, **model.extra}.items()}
        self._told: frozenset[str] = frozenset()
        self._audio = "data:;base64," if quirks.audio_uri else ""
        self._one_medium = bool(quirks.one_medium and re.match(quirks.one_medium, name.lower()))

    @property
    def dropped(self) -> frozenset[str]:
        """Parameters of the task that the endpoint refused."""
        return frozenset(name for name, marked in self._marks.items() if marked in self._learnt.refused)

    def untold(self, written: WireRequest) -> tuple[str, ...]:
        """Name the parameters that were left out of a request, each but once: a later run tells of them again."""
        fresh = written.dropped - self._told
        self._told |= fresh
        return tuple(sorted(fresh))

    @property
    def _rung(self) -> int:
        form = self._learnt.form
        return self._forms.index(form) if form in self._forms else 0

    @property
    def _cap(self) -> CapField:
        return self._learnt.cap or self._quirks.cap

    @property
    def _usage(self) -> bool:
        return self._model.stream and self._learnt.usage

    def write(self, request: Request, addresses: Mapping[str, str] = _NOWHERE) -> WireRequest:
        """Write a request as JSON, in UTF-8; `addresses` has those of media that are not written into it."""
        model = self._model
        given = {**model.params, **model.extra}
        dropped = self.dropped
        body: dict[str, Json] = {name: value for name, value in given.items() if name not in dropped}
        body["model"] = self._name
        messages = [each for message in request.messages for each in self._apart(message)]
        body["messages"] = [write_message(message, self._audio, addresses) for message in messages]
        if "max_tokens" not in body and "max_completion_tokens" not in body:
            body[self._cap] = request.max_tokens or model.max_tokens
        form: Rung | Literal[""] = ""
        if request.tools:
            body["tools"] = [{"type": "function", "function": tool.model_dump()} for tool in request.tools]
        elif request.form is not None:
            form = self._forms[self._rung]
            body |= _asked(form, request.form)
        if model.stream:
            body["stream"] = True
            if self._usage:
                body["stream_options"] = {"include_usage": True}
        return WireRequest(encode(body), form, self._rung, self._cap, self._usage, dropped)

    def _apart(self, message: Message) -> list[Message]:
        """Put media of different kinds into messages of their own, in their order, where the endpoint wants that."""
        if not self._one_medium or len({part.medium for part in message.parts if isinstance(part, Media)}) < 2:
            return [message]
        groups: list[list[Part]] = [[]]
        medium = ""
        for part in message.parts:
            if isinstance(part, Media):
                if medium and part.medium != medium:
                    groups.append([])
                medium = part.medium
            groups[-1].append(part)
        return [message.model_copy(update={"parts": tuple(group)}) for group in groups]

    def learn(self, written: WireRequest, said: str) -> bool:
        """Learn from the words of a refusal; true if the request, written again, is another one."""
        said = said[:4096].lower()
        refused = {"json_schema": _FORM_REFUSED, "tool": _TOOL_REFUSED, "json_object": _FORM_REFUSED}.get(written.form)
        if refused is not None and refused.search(said):
            self._go_down(written)
        elif written.usage and _USAGE_REFUSED.search(said):
            self._learnt.usage = False
        elif written.cap == "max_tokens" and _CAP_REFUSED.search(said) and "max_completion_tokens" in said:
            self._learnt.cap = "max_completion_tokens"
        elif written.cap == "max_completion_tokens" and _CAP_REFUSED.search(said) and _is_unknown_field(said):
            self._learnt.cap = "max_tokens"
        else:
            given = self._marks.items()
            named = {marked for name, marked in given if name not in _OURS and _is_named(name.lower(), said)}
            self._learnt.refused |= named
        now = (self._rung, self._cap, self._usage, self.dropped)
        return now != (written.rung, written.cap, written.usage, written.dropped)

    def see(self, written: WireRequest, reply: Reply) -> Reply:
        """Read the answer in the form it was asked for; where it is no JSON, later requests ask another way."""
        if written.form == "tool":
            reply = _without_call(reply)
        whole = reply.finish == "stop" and reply.text.strip() != ""
        if whole and written.form not in {"", "prompt"} and not _is_json(reply.text):
            self._go_down(written)
        return reply

    def _go_down(self, written: WireRequest) -> None:
        self._learnt.form = self._forms[max(self._rung, min(written.rung + 1, len(self._forms) - 1))]


_OURS = frozenset({"max_tokens", "max_completion_tokens", "modalities", "audio"})
"""Caps are never left out, whoever set them; nor is what makes an answer a sound: words alone were not asked for."""


def _asked(form: Rung, wanted: Form) -> dict[str, Json]:
    """Write the fields by which a form is asked for."""
    match form:
        case "json_schema":
            named = {"name": wanted.name, "schema": wanted.json_schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "tool":
            function = {"name": wanted.name, "parameters": wanted.json_schema}
            choice = {"type": "function", "function": {"name": wanted.name}}
            return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "prompt":
            return {}


def _without_call(reply: Reply) -> Reply:
    """Make the arguments of the call that was asked for the words of the answer."""
    calls = reply.message.tool_calls
    if not calls:
        return reply
    raw = {name: value for name, value in (reply.message.raw or {}).items() if name != "tool_calls"}
    update = {"parts": (Text(text=calls[0].arguments),), "tool_calls": (), "raw": raw or None}
    finish = "stop" if reply.finish == "tool_calls" else reply.finish
    return reply.model_copy(update={"message": reply.message.model_copy(update=update), "finish": finish})


def _is_json(text: str) -> bool:
    """Tell whether a text is JSON, in a fence or not."""
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        from_json(bare)
    except ValueError:
        return False
    return True


def _is_named(name: str, said: str) -> bool:
    """Tell whether words name a parameter; a short name is a common word too, and must stand in quotes."""
    quoted = len(name) < 5
    pattern = rf"[`'\"]{re.escape(name)}[`'\"]" if quoted else rf"(?<!\w){re.escape(name)}(?!\w)"
    return re.search(pattern, said) is not None


def _is_unknown_field(said: str) -> bool:
    return bool(
        re.search(r"unsupported|unknown|unrecogni[sz]ed|unexpected|extra|not (supported|permitted|allowed)", said)
    )


def write_message(message: Message, audio: str = "", addresses: Mapping[str, str] = _NOWHERE) -> dict[str, Json]:
    """Write one message; what an assistant's message carries in `raw` goes back as it came.

    `audio` stands before the base64 of a sound; `addresses` has what stands for a medium in place of its bytes. Of a
    sound that a model made only the words go back: OpenAI's id of it expires, and no other endpoint knows one.
    """
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": render(message.parts)}
    if message.role != "assistant":
        return {"role": message.role, "content": _content(message.parts, audio, addresses)}
    raw = dict(message.raw or {})
    extras: list[Any] = raw.pop("tool_calls", None) or []
    written: dict[str, Json] = {**raw, "role": "assistant", "content": render(message.parts) or None}
    if message.tool_calls:
        written["tool_calls"] = [
            {
                **(extras[n] if n < len(extras) else {}),
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for n, call in enumerate(message.tool_calls)
        ]
    elif written["content"] is None:
        written["content"] = ""
    return written


def _content(parts: tuple[Part, ...], audio: str, addresses: Mapping[str, str]) -> Json:
    if not any(isinstance(part, Media) for part in parts):
        return render(parts)
    content: list[Json] = []
    words: list[Part] = []
    for part in parts:
        if not isinstance(part, Media):
            words.append(part)
            continue
        if words:
            content.append({"type": "text", "text": render(words)})
            words = []
        content.append(_medium(part, audio, addresses))
    if words:
        content.append({"type": "text", "text": render(words)})
    return content


def _medium(part: Media, audio: str, addresses: Mapping[str, str]) -> Json:
    if part.medium == "audio":
        name = _AUDIO.get(part.mime, part.mime.rpartition("/")[2])
        return {"type": "input_audio", "input_audio": {"data": audio + part.base64, "format": name}}
    kind = "image_url" if part.medium == "image" else "video_url"
    address = addresses.get(part.base64) if addresses else None
    return {"type": kind, kind: {"url": address or f"data:{part.mime};base64,{part.base64}"}}


def encode(body: Json) -> bytes:
    """Write JSON; lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    try:
        return to_json(body)
    except (PydanticSerializationError, UnicodeEncodeError):
        return to_json(_mended(body))


def _mended(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType] - JSON
        return [_mended(item) for item in items]
    if isinstance(value, dict):
        fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON
        return {_mended(key): _mended(item) for key, item in fields.items()}
    return value
