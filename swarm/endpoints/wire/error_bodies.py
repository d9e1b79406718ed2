"""Errors in the bodies of answers, in each provider's own shape: one reader for all of them. Pure.

| shape | who |
| --- | --- |
| `{"error": {"message", "code", "type", "param", "metadata"}}` | OpenAI, OpenRouter and most others |
| `{"error": "words"}`, `{"errors": […]}`, `[{"error": {…}}]` | LM Studio, Google |
| `{"detail": "words"}`, `{"detail": [{"loc", "msg"}]}` | FastAPI |
| `{"choices": [{"error": {…}}]}` | OpenRouter, in the middle of an answer |
| `{"object": "error", "message", "type", "code"}` | vLLM, Mistral |
| `{"code", "message"}` | DashScope, SiliconFlow, Spark |
| `{"code", "msg", "success": false}`, `{"status", "msg"}` | z.ai, iFlow |
| `{"base_resp": {"status_code", "status_msg"}}` | MiniMax |
| `{"error_code", "error_msg"}` | Baidu |
| `{"Response": {"Error": {"Code", "Message"}}}` | Tencent |
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from pydantic_core import from_json

from swarm.base.values import Json, canonical
from swarm.endpoints.wire.faults import Fault

WORDS = (
    "message",
    "Message",
    "msg",
    "error_msg",
    "error_message",
    "errmsg",
    "errorMessage",
    "status_msg",
    "description",
    "reason",
)
"""Names of the words of an error, the usual one first."""
CODES = ("code", "Code", "error_code", "errcode", "errorCode", "status_code", "status", "ret")
"""Names of its code."""
TYPES = ("type", "error_type", "status")
SUCCESS = frozenset({"", "0", "200", "ok", "success", "none", "null", "succeeded"})
"""Codes that are no error."""
MORE_BYTES = 4096
"""Maximum bytes of the fields of an error that are searched in addition to its words."""
_DEEPEST = 3
"""Levels of errors inside errors that are read: gateways quote those of others."""


def error_in(value: Json, *, strict: bool = False, depth: int = 0) -> Fault | None:
    """Return the error of a body, or None if it has none.

    A body that has only a `message` counts as an error, unless `strict`: in a stream it may be a
    frame of another kind.
    """
    if isinstance(value, list):
        found = (error_in(item, strict=strict, depth=depth + 1) for item in _mappings(cast("list[Any]", value)))
        return next(filter(None, found), None) if depth < _DEEPEST else None
    if not isinstance(value, dict):
        return None
    body = cast("dict[str, Any]", value)
    for part in _error_parts(body):
        fault = _fault_of(part, body, depth)
        if fault is not None:
            return fault
    return _fault_of(body, body, depth) if _is_error(body, strict=strict) else None


def _mappings(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", item) for item in values if isinstance(item, dict)]


def _error_parts(body: dict[str, Any]) -> list[Any]:
    """Return the parts of a body that describe its error, the most precise first."""
    parts: list[Any] = []
    for name in ("error", "errors", "detail", "base_resp", "Error"):
        part: Any = body.get(name)
        if isinstance(part, list):
            several = cast("list[Any]", part)
            parts += several[:1]
        else:
            parts.append(part)
    response: Any = body.get("Response")
    if isinstance(response, dict):
        parts.append(cast("dict[str, Any]", response).get("Error"))
    choices: Any = body.get("choices")
    if isinstance(choices, list):
        parts += [choice.get("error") for choice in _mappings(cast("list[Any]", choices))[:1]]
    return parts


def _is_error(body: dict[str, Any], *, strict: bool) -> bool:
    """Return whether a body without a part for its error is one itself."""
    if not _words_of(body) or body.get("choices"):
        return False
    if body.get("object") == "error" or body.get("type") == "error" or body.get("success") is False:
        return True
    if any(name in body for name in CODES):
        return _code_of(body).lower() not in SUCCESS
    return not strict and isinstance(body.get("message"), str)


def _fault_of(part: Any, body: dict[str, Any], depth: int) -> Fault | None:
    if isinstance(part, str) and part.strip():
        return _inside(part, depth) or Fault(text=part, code=_code_of(body), type=_text(body, TYPES), more=_more(body))
    if not isinstance(part, dict):
        return None
    fields = cast("dict[str, Any]", part)
    words, code = _words_of(fields), _code_of(fields)
    if _is_none(fields, words, code, reports_success=fields is body.get("base_resp")):
        return None
    fault = Fault(
        text=words or repr(fields),
        code=code,
        type=_text(fields, TYPES),
        param=_text(fields, ("param",)),
        answer=_quoted(fields.get("failed_generation")),
        context=fields.get("n_ctx"),
        more=_more(body),
    )
    inner = _inside(words, depth)
    if inner is None:
        return fault
    return replace(
        inner,
        code=inner.code or code,
        type=inner.type or fault.type,
        answer=inner.answer or fault.answer,
        more=fault.more,
    )


def _quoted(value: Any) -> str:
    """Return what a model wrote, as an error quotes it: as text, or as the value that the text was read as."""
    if isinstance(value, str):
        return value
    return canonical(value).decode("utf-8") if isinstance(value, dict | list) and value else ""


def _is_none(fields: dict[str, Any], words: str, code: str, *, reports_success: bool) -> bool:
    """Return whether an error object is no error: it is empty, or its place also reports success."""
    if reports_success:
        return code.lower() in SUCCESS
    return not words and code.lower() in SUCCESS and not any(fields.values())


def _inside(words: str, depth: int) -> Fault | None:
    """Return the error that words quote as JSON: a gateway passes on what it received."""
    start = words.find("{")
    if start < 0 or depth >= _DEEPEST or not words.rstrip().endswith("}"):
        return None
    try:
        return error_in(from_json(words[start:]), depth=depth + 1)
    except ValueError:
        return None


def _words_of(fields: dict[str, Any]) -> str:
    """Return the words of an error, and those that a gateway quotes from behind it."""
    if "loc" in fields and isinstance(fields.get("msg"), str):
        return repr(fields)  # FastAPI: the refused field is in `loc`, and a dialect learns from its name
    words: Any = next((fields[name] for name in WORDS if fields.get(name)), "")
    text = words if isinstance(words, str) else repr(words)
    metadata: Any = fields.get("metadata")
    raw: Any = cast("dict[str, Any]", metadata).get("raw") if isinstance(metadata, dict) else None
    return f"{text}: {raw}" if isinstance(raw, str) and raw else text


def _code_of(fields: dict[str, Any]) -> str:
    return _text(fields, CODES)


def _text(fields: dict[str, Any], names: Iterable[str]) -> str:
    for name in names:
        value: Any = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""


def _more(body: dict[str, Any]) -> str:
    return canonical(body)[:MORE_BYTES].decode("utf-8", "replace")
