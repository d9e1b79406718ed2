"""Messages on the wire: the JSON of the messages of a request. Pure."""

from collections.abc import Mapping
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from swarm.base.values import Json
from swarm.spec.chat import Media, Message, Part, ToolCall, render

NO_ADDRESSES: Mapping[str, str] = MappingProxyType({})
"""The addresses of a request without uploaded media."""

REPLAYED = ("reasoning_content", "reasoning", "reasoning_details", "extra_content")
"""Fields of an assistant's message that some endpoints require back. They go back unchanged."""
_AUDIO_FORMATS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wav": "wav",
}
"""Names of formats in `input_audio`, if they differ from the subtype."""


def write_message(
    message: Message,
    audio: str = "",
    addresses: Mapping[str, str] = NO_ADDRESSES,
    *,
    replay: bool = True,
) -> dict[str, Json]:
    """Return one message as JSON. Fields in `raw` of an assistant's message go back unchanged.

    Without `replay` they stay away: some endpoints reject what they have sent. `audio` is a prefix
    of the base64 of audio. `addresses` maps the base64 of uploaded media to
    their addresses. Of audio that a model made only the words are sent back: OpenAI's id of it
    expires, and no other endpoint knows it.
    """
    if message.role == "tool":
        text = render(message.parts)
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": text}
    if message.role == "assistant":
        return _assistant(message if replay else message.model_copy(update={"raw": None}))
    return {"role": message.role, "content": _content(message.parts, audio, addresses)}


def _assistant(message: Message) -> dict[str, Json]:
    raw = dict(message.raw or {})
    extras: list[Any] = raw.pop("tool_calls", None) or []
    text = render(message.parts)
    written: dict[str, Json] = {**raw, "role": "assistant", "content": text or None}
    calls = message.tool_calls
    if calls:
        written["tool_calls"] = [_tool_call(call, extra) for call, extra in zip_longest(calls, extras[: len(calls)])]
    elif not text:
        written["content"] = ""  # null is valid only together with tool calls
    return written


def _tool_call(call: ToolCall, extra: Mapping[str, Json] | None) -> Json:
    """Return a tool call as JSON; `extra` has its fields that are sent back unchanged."""
    function = {"name": call.name, "arguments": call.arguments}
    return {**(extra or {}), "id": call.id, "type": "function", "function": function}


def _content(parts: tuple[Part, ...], audio: str, addresses: Mapping[str, str]) -> Json:
    """Return parts as a text, or as a list of texts and media in their order."""
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
        name = _AUDIO_FORMATS.get(part.mime, part.mime.rpartition("/")[2])
        return {
            "type": "input_audio",
            "input_audio": {"data": audio + part.base64, "format": name},
        }
    kind = "image_url" if part.medium == "image" else "video_url"
    address = addresses.get(part.base64) if addresses else None
    return {"type": kind, kind: {"url": address or f"data:{part.mime};base64,{part.base64}"}}


def encode(body: Json) -> bytes:
    """Return JSON in UTF-8. Lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    try:
        return to_json(body)
    except (PydanticSerializationError, UnicodeEncodeError):
        return to_json(_without_surrogates(body))


def _without_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType] - JSON
        return [_without_surrogates(item) for item in items]
    if isinstance(value, dict):
        fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON
        return {_without_surrogates(key): _without_surrogates(item) for key, item in fields.items()}
    return value
