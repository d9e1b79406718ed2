"""Shapes of answers on the wire: a chat completion or a chunk, with every type checked. Pure."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from swarm.endpoints.wire.error_bodies import error_in
from swarm.endpoints.wire.faults import Fault

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Bytes that some servers send before a text in UTF-8."""
_EXCERPT_BYTES = 300
"""Bytes of a malformed answer that its fault quotes."""


class BadAnswer(Exception):  # noqa: N818 - a fault to be judged, which may or may not be an error
    """An answer that is not a chat completion."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class WireFunction(BaseModel):
    """Name and arguments of a tool call, or pieces of them."""

    name: str | None = None
    arguments: Any = None


class WireCall(BaseModel):
    """A tool call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: WireFunction = Field(default_factory=WireFunction)
    extra_content: Any = None


class WireMessage(BaseModel):
    """A message, or a piece of one."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[WireCall] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    extra_content: Any = None
    audio: Any = None

    @property
    def text(self) -> str:
        """The content as a text; a list of parts is joined."""
        if not isinstance(self.content, list):
            return self.content or ""
        parts: list[dict[str, Any]] = [part for part in self.content if isinstance(part, dict)]
        return "".join(str(part.get("text") or "") for part in parts)


class WireChoice(BaseModel):
    """One of the alternative answers; only the first is used."""

    index: int | None = None
    message: WireMessage | None = None
    delta: WireMessage | None = None
    text: Any = None
    """The words, from a server that answers chats as completions."""
    finish_reason: Any = None
    usage: Any = None
    error: Any = None

    @property
    def piece(self) -> WireMessage | None:
        """Its message, or its piece of one."""
        if self.delta is None and self.message is None and isinstance(self.text, str):
            return WireMessage(content=self.text)
        return self.delta or self.message


class WireAnswer(BaseModel):
    """A complete answer, or one chunk of a stream."""

    choices: list[WireChoice] | None = None
    usage: Any = None
    x_groq: Any = None
    timings: Any = None
    model: Any = None
    error: Any = None


def read_answer(data: bytes) -> WireAnswer:
    """Read an answer or a chunk. Raise `BadAnswer` if its JSON or its types are wrong."""
    data = data.removeprefix(BYTE_ORDER_MARK)
    try:
        return WireAnswer.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    if problem["type"] == "json_invalid" and b"\\u" in data:
        fixed = mend_surrogates(data)
        if fixed != data:
            return read_answer(fixed)
    fault = error_of(data)
    raise BadAnswer(fault or _malformed(data, problem["msg"], problem["loc"]))


def error_of(data: bytes, *, strict: bool = False) -> Fault | None:
    """Return the error in the JSON of an answer with status 200, in any shape; None if there is none."""
    try:
        fault = error_in(from_json(data.removeprefix(BYTE_ORDER_MARK)), strict=strict)
    except ValueError:
        return None
    return None if fault is None else replace(fault, status=200)


def without_message(data: bytes) -> Fault:
    """Return the fault of an answer that has neither a message nor an error."""
    return _malformed(data, "no message", ("choices",))


def _malformed(data: bytes, message: str, where: Iterable[Any]) -> Fault:
    place = ".".join(str(part) for part in where)
    start = data[:_EXCERPT_BYTES].decode("utf-8", "replace")
    text = f"{message}: {start}"
    return Fault(status=200, kind="malformed", text=f"{place}: {text}" if place else text)


_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
    rb"|\\.",
    re.DOTALL,
)
"""A pair of surrogates, a lone one, or any other escape, which must not be read from its middle."""


def mend_surrogates(data: bytes) -> bytes:
    """Replace escapes of lone surrogates in JSON by U+FFFD: UTF-8 cannot hold them. Pairs stay."""

    def fixed(match: re.Match[bytes]) -> bytes:
        lone = len(match[0]) == 6
        return b"\\ufffd" if lone else match[0]

    return _ESCAPE.sub(fixed, data)
