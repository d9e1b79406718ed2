"""Requests to models and their replies, independent of a provider's dialect.

A `Request` is a list of messages made of parts. Text of the task and of agent files is `Text`. Text
of a file, a tool or another model is `Data`. It is sent between fences whose marker is the hash of
the content: nothing inside can close the fence, and the bytes are the same in every run.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from swarm.base.values import Frozen, Json, is_empty, is_none, text_digest

Medium = Literal["text", "image", "audio", "video"]

MARK_DIGITS = 32
"""Hexadecimal digits of the mark of a fence: 128 bits. With 48 bits, a text that holds its own mark takes minutes to
find."""
_MARKS = re.compile(r'mark="([0-9a-f]{8,})"|</[a-z]+ ([0-9a-f]{8,})>')


class Text(Frozen):
    """Text of the task or of an agent file."""

    kind: Literal["text"] = "text"
    text: str


class Data(Frozen):
    """Text from elsewhere: an input file, a step's output, a tool's result.

    Never an instruction.
    """

    kind: Literal["data"] = "data"
    of: Literal["input", "output", "outputs", "missing", "brief", "tool"]
    """Source: a file of the task, the output of a step, short outputs of several steps, a list of
    missing outputs, a planner's brief, or a tool."""
    name: str
    """Name of the file, or id of the step."""
    text: str

    def fenced(self, taken: Collection[str] = ()) -> str:
        """Return the text between its fences, as models see it. Its mark is none of those that are `taken`."""
        mark = mark_of(self.text, taken)
        name = "".join(c if c.isprintable() and c not in '"<>' else "_" for c in self.name)
        return f'<{self.of} name="{name}" mark="{mark}">\n{self.text}\n</{self.of} {mark}>'


_ENTRY = re.compile(r"^\[([^\[\]\n]*)\] ", re.MULTILINE)
"""The start of an output in data of several steps: its id in brackets, at the start of a line."""
_INDENT = "\n  "
"""Line break inside an output there: no line of it can look like the start of another one."""


def shared_data(outputs: Sequence[tuple[str, str]]) -> Data:
    """Return several outputs, each an id and a text, as data with one pair of marks. `split_data` is the inverse."""
    lines = (f"[{name}] {_INDENT.join(text.split(chr(10)))}" for name, text in outputs)
    name = f"{outputs[0][0]} to {outputs[-1][0]}"
    return Data(of="outputs", name=name, text="\n".join(lines))


def split_data(parts: "Iterable[Part]") -> "list[Part]":
    """Return parts with every output as data of its own, whether or not outputs share their marks."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, Data) and part.of == "outputs":
            _, *split = _ENTRY.split(part.text)
            entries = zip(split[::2], split[1::2], strict=True)
            found += [
                Data(of="output", name=name, text=text.removesuffix("\n").replace(_INDENT, "\n"))
                for name, text in entries
            ]
        else:
            found.append(part)
    return found


class Media(Frozen):
    """An image, an audio file or a video in a request."""

    kind: Literal["media"] = "media"
    medium: Literal["image", "audio", "video"]
    name: str
    mime: str
    """MIME type, such as `image/png`."""
    base64: str
    """Content."""


class MediaFile(Frozen):
    """A file that a model or a tool made, stored in the run's artifacts under its hash."""

    kind: Literal["made"] = "made"
    medium: Literal["image", "audio", "video", "file"]
    """`file`: anything that is not shown to models as it is, such as a table or a long text."""
    name: str = Field(default="", exclude_if=is_empty)
    """Name that its maker gave it, relative to the scratch folder of the step; empty if there is none."""
    mime: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Hash of the content, and name of the file."""
    size: int
    """Size in bytes."""
    content: SkipJsonSchema[bytes] = Field(default=b"", exclude=True, repr=False)
    """Content until the file is written. It is in no event, journal or request."""


Part = Annotated[Text | Data | Media | MediaFile, Field(discriminator="kind")]


class ToolCall(Frozen):
    """A model's request to call a tool."""

    id: str
    """Unique within an attempt. Generated if the model sends none or repeats one."""
    name: str
    arguments: str
    """JSON as the model wrote it, not validated."""


class Message(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    more_calls: int = Field(default=0, exclude_if=is_empty)
    """For role `assistant`: number of further calls that were dropped when the answer was read. Never sent."""
    tool_call_id: str | None = None
    """For role `tool`: id of the call that it answers."""
    raw: dict[str, Json] | None = None
    """For role `assistant`: fields of the wire message that must be sent back unchanged (reasoning,
    signatures)."""
    doubts: tuple[str, ...] = Field(default=(), exclude_if=is_empty)
    """For role `assistant`: why the answer may not be whole, for people. Never sent."""

    @property
    def text(self) -> str:
        """All its text, fences included."""
        return render(self.parts)

    @property
    def spoken(self) -> str:
        """The text of an answer: what the model wrote, without media."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thought(self) -> str:
        """Reasoning that an endpoint sent next to an answer; empty if there is none."""
        values = ((self.raw or {}).get(name) for name in ("reasoning_content", "reasoning"))
        return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")

    @property
    def made(self) -> tuple[MediaFile, ...]:
        """Media files that the model made in addition to text."""
        return tuple(part for part in self.parts if isinstance(part, MediaFile))


def mark_of(text: str, taken: Collection[str] = (), *, digits: int = MARK_DIGITS) -> str:
    """Return the mark of a text: the start of its hash, with a counter if the text holds it or it is `taken`.

    The same text gets the same mark in every run.
    """
    mark, count = text_digest(text)[:digits], 0
    while mark in text or mark in taken:
        count += 1
        mark = text_digest(f"{count}\n{text}")[:digits]
    return mark


def _written_marks(parts: Iterable[Part]) -> frozenset[str]:
    """Return the marks that data contains: a text may imitate the fence of its neighbour."""
    texts = (part.text for part in parts if isinstance(part, Data))
    found = chain.from_iterable(map(_MARKS.finditer, texts))
    return frozenset(match[1] or match[2] for match in found)


def render(parts: Iterable[Part]) -> str:
    """Return parts as one text: data between fences, media by name, without the media files that a model made."""
    parts = tuple(parts)
    taken = _written_marks(parts)
    words: list[str] = []
    for part in parts:
        match part:
            case Text():
                words.append(part.text)
            case Data():
                words.append(part.fenced(taken))
            case Media():
                words.append(f"[{part.medium}: {part.name}]")
            case MediaFile():
                pass
    return "\n\n".join(words)


def says(role: Literal["system", "user", "assistant"], text: str) -> Message:
    """Return a message with one text."""
    return Message(role=role, parts=(Text(text=text),))


class ToolSpec(Frozen):
    """Description of a tool for a model."""

    name: str
    description: str
    parameters: dict[str, Json]
    """JSON Schema of an object."""


class Form(Frozen):
    """Output format of an answer: a named JSON Schema."""

    name: str
    """Name that some endpoints require: letters, digits, `_` and `-`."""
    json_schema: dict[str, Json]


class Usage(Frozen):
    """Tokens and cost of calls."""

    calls: int = 0
    """Requests that reached an endpoint, including failed ones."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Part of the input tokens that the endpoint read from its prefix cache."""
    estimated: bool = False
    """True if a part is an estimate, because the endpoint reported nothing or an implausible value."""
    usd: float | None = None
    """Cost in US dollars at the price of that time. None means an unknown price, not 0."""
    unanswered_tokens: int = Field(default=0, exclude_if=is_empty)
    """Tokens, input and output, that may have been billed for calls without an answer: their worst case. Not part of
    the other counts."""
    unanswered_usd: float | None = Field(default=None, exclude_if=is_none)
    """Worst cost of those calls in US dollars. None means an unknown price, or no such call."""

    def __add__(self, other: "Usage") -> "Usage":
        unanswered = self.unanswered_tokens + other.unanswered_tokens
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            estimated=self.estimated or other.estimated,
            usd=_sum(self.cost, other.cost),
            unanswered_tokens=unanswered,
            unanswered_usd=_sum(self.unanswered_cost, other.unanswered_cost) if unanswered else None,
        )

    @property
    def tokens(self) -> int:
        """Total of input and output tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def cost(self) -> float | None:
        """Cost in US dollars: 0 if no token was used, None if the price is unknown."""
        return 0.0 if self.usd is None and not self.tokens else self.usd

    @property
    def unanswered_cost(self) -> float | None:
        """Worst cost of calls without an answer: 0 if there was none, None if the price is unknown."""
        return 0.0 if self.unanswered_usd is None and not self.unanswered_tokens else self.unanswered_usd

    @property
    def charged_tokens(self) -> int:
        """Tokens that count against a limit: those of answers, and those that may have been billed."""
        return self.tokens + self.unanswered_tokens

    @property
    def charged_cost(self) -> float | None:
        """Cost that counts against a limit; None if a price is unknown."""
        return _sum(self.cost, self.unanswered_cost)

    def unanswered(self) -> "Usage":
        """Return the usage of a call of this size without an answer."""
        return Usage(unanswered_tokens=self.tokens, unanswered_usd=self.cost)


def _sum(one: float | None, other: float | None) -> float | None:
    """Return the sum of two costs, or None if one is unknown."""
    return None if one is None or other is None else one + other


class Request(Frozen):
    """One call to a model."""

    model: str
    """Alias in the task."""
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    form: Form | None = None
    """Output format of the answer. Never set together with tools."""
    max_tokens: int | None = None
    """Maximum output tokens; None means the setting of the model."""
    purpose: Literal["text", "plan", "report", "json"] = "text"
    """Purpose of the answer. Never sent; the offline endpoint and test doubles use it."""
    traceparent: str = ""
    """W3C trace context of the attempt, sent as a header."""
    labels: tuple[str, ...] = ()
    """Labels of the data in the request. An endpoint that may not see one of them refuses. Never
    sent."""
    optional: bool = False
    """Whether the run can do without the answer. It is refused if only the reserve of the report could pay for it.
    Never sent."""
    waits: SkipJsonSchema[bool] = Field(default=True, exclude=True, repr=False)
    """Whether it waits for a server that is gone; false if another endpoint can serve it. Never sent."""
    account: SkipJsonSchema[Any] = Field(default=None, exclude=True, repr=False)
    """The `swarm.endpoints.account.Account` that pays for its tries. Never sent, and not part of
    the content."""


Finish = Literal["stop", "length", "tool_calls", "refused", "repeats"]
"""Reason for the end of an answer. `repeats`: it repeated itself and was truncated, so that each
text is there once."""


class Reply(Frozen):
    """Answer of a model."""

    message: Message
    finish: Finish = "stop"
    usage: Usage = Usage()
    endpoint: str = ""
    """Label of the endpoint for people, without credentials."""
    model: str = ""
    """Name of the model that the endpoint reported."""
    seconds: float = 0.0
    """Duration of the call in seconds, retries included."""
    wire_seconds: float | None = None
    """Seconds from sending the call that was answered to its answer; None if nobody measured them."""
    waited: dict[str, float] = Field(default_factory=dict[str, float])
    """Seconds before that call by cause: `slots`, `rate_limit`, `retry`, `budget`."""
    form: Literal["", "json_schema", "tool", "json_object", "prompt"] = ""
    """Rung of the ladder with which the output format was requested; empty if there was none."""
    dropped: tuple[str, ...] = ()
    """Parameters of the task that the endpoint rejected during this call. Later calls omit them."""
    prompt_cut: int | None = None
    """Tokens to which the endpoint truncated the prompt without saying so; None if there is no sign of it."""

    @property
    def text(self) -> str:
        """Text of the answer."""
        return self.message.spoken


BYTES_PER_TOKEN = 3
"""Bytes of UTF-8 per token, for upper estimates. Byte-pair encodings average 3.5 to 4.5 bytes per
token for English prose, and about 3 for code and CJK text."""


def estimate_tokens(text: str) -> int:
    """Return an upper estimate of the tokens of a text."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


MOST_TOKENS = 65_536
"""Maximum estimated tokens of one image, audio or video. Endpoints sample long videos, so that text
fits as well."""


def media_tokens(base64: str) -> int:
    """Return an upper estimate of the tokens of an image, audio or video."""
    return min(len(base64) // 200 + 1000, MOST_TOKENS)


def request_tokens(request: Request) -> int:
    """Return an upper estimate of the input tokens of a request, with 8 tokens per message for its frame."""
    total = 0
    for message in request.messages:
        total += 8 + estimate_tokens(message.text)
        total += sum(media_tokens(part.base64) for part in message.parts if isinstance(part, Media))
        total += sum(8 + estimate_tokens(call.name + call.arguments) for call in message.tool_calls)
    extra: list[Any] = [tool.model_dump_json() for tool in request.tools]
    if request.form is not None:
        extra.append(request.form.model_dump_json())
    return total + sum(16 + estimate_tokens(text) for text in extra)
