"""A request as an endpoint wants it written: pure, and with a memory of what the endpoint would not have.

A dialect starts from the quirks of its provider. When a request is refused because of a field, it learns to do without:
the form of the answer goes one rung down, the output cap takes its other name, the usage of a stream is not asked for.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import PydanticSerializationError, to_json

from swarm.chat import Data, Media, Message, Part, Request, Text, render
from swarm.endpoints.providers import CapField, Quirks
from swarm.frozen import Json
from swarm.task import Model

_FORM_REFUSED = re.compile(
    r"response[_ ]?format|json[_ ]?(schema|object|mode)|structured[_ -]?outputs?|guided|grammar|\bschema\b"
)
_CAP_REFUSED = re.compile(r"max_completion_tokens|max_tokens")
_USAGE_REFUSED = re.compile(r"stream_options|include_usage")

_AUDIO: dict[str, str] = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/x-wav": "wav", "audio/wav": "wav"}
"""What `input_audio` calls a format, where it is not the subtype itself."""


@dataclass(frozen=True)
class Written:
    """A request, written."""

    body: bytes
    form: Literal["", "json_schema", "json_object", "prompt"]
    """How the form of the answer is asked for, if it is."""
    rung: int
    cap: CapField
    usage: bool
    """How it is written: the dialect's state of the moment."""


class Dialect:
    """How one endpoint wants one model's requests written."""

    def __init__(self, model: Model, *, name: str, quirks: Quirks) -> None:
        self._model = model
        self._name = name
        self._forms = quirks.forms
        self._rung = 0
        self._cap: CapField = quirks.cap
        self._usage = model.stream

    def write(self, request: Request) -> Written:
        """Write a request as JSON, in UTF-8."""
        model = self._model
        body: dict[str, Json] = {**model.params, **model.extra}
        body["model"] = self._name
        body["messages"] = [write_message(message) for message in request.messages]
        if "max_tokens" not in body and "max_completion_tokens" not in body:
            body[self._cap] = request.max_tokens or model.max_tokens
        form: Literal["", "json_schema", "json_object", "prompt"] = ""
        if request.tools:
            body["tools"] = [{"type": "function", "function": tool.model_dump()} for tool in request.tools]
        elif request.form is not None:
            form = self._forms[self._rung]
            if form == "json_schema":
                wanted = {"name": request.form.name, "schema": request.form.json_schema}
                body["response_format"] = {"type": "json_schema", "json_schema": wanted}
            elif form == "json_object":
                body["response_format"] = {"type": "json_object"}
        if model.stream:
            body["stream"] = True
            if self._usage:
                body["stream_options"] = {"include_usage": True}
        return Written(encode(body), form, self._rung, self._cap, self._usage)

    def learn(self, written: Written, said: str) -> bool:
        """Learn from the words of a refusal; true if the request, written again, is another one."""
        said = said[:4096].lower()
        if written.form in {"json_schema", "json_object"} and _FORM_REFUSED.search(said):
            self._rung = max(self._rung, written.rung + 1)
        elif written.usage and _USAGE_REFUSED.search(said):
            self._usage = False
        elif written.cap == "max_tokens" and _CAP_REFUSED.search(said) and "max_completion_tokens" in said:
            self._cap = "max_completion_tokens"
        elif written.cap == "max_completion_tokens" and _CAP_REFUSED.search(said) and _is_unknown_field(said):
            self._cap = "max_tokens"
        return (self._rung, self._cap, self._usage) != (written.rung, written.cap, written.usage)


def _is_unknown_field(said: str) -> bool:
    return bool(
        re.search(r"unsupported|unknown|unrecogni[sz]ed|unexpected|extra|not (supported|permitted|allowed)", said)
    )


def write_message(message: Message) -> dict[str, Json]:
    """Write one message; what an assistant's message carries in `raw` goes back as it came."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": render(message.parts)}
    if message.role != "assistant":
        return {"role": message.role, "content": _content(message.parts)}
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


def _content(parts: tuple[Part, ...]) -> Json:
    if not any(isinstance(part, Media) for part in parts):
        return render(parts)
    content: list[Json] = []
    words: list[Part] = []
    for part in parts:
        if isinstance(part, Text | Data):
            words.append(part)
            continue
        if words:
            content.append({"type": "text", "text": render(words)})
            words = []
        content.append(_medium(part))
    if words:
        content.append({"type": "text", "text": render(words)})
    return content


def _medium(part: Media) -> Json:
    if part.medium == "audio":
        name = _AUDIO.get(part.mime, part.mime.rpartition("/")[2])
        return {"type": "input_audio", "input_audio": {"data": part.base64, "format": name}}
    kind = "image_url" if part.medium == "image" else "video_url"
    return {"type": kind, kind: {"url": f"data:{part.mime};base64,{part.base64}"}}


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
