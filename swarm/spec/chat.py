"""What is said to a model and what it says back, in no provider's dialect.

A `Request` is a list of messages made of parts. What people wrote in the task and in agent files is `Text`. What a
file, a tool or another model wrote is `Data`: it reaches the wire between fences whose marker is the hash of what they
enclose, so nothing inside can close them, and the bytes are the same at every run.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from swarm.base.values import Frozen, Json, text_digest

Medium = Literal["text", "image", "audio", "video"]


class Text(Frozen):
    """Words of the task or of an agent file."""

    kind: Literal["text"] = "text"
    text: str


class Data(Frozen):
    """Words that somebody else wrote: an input file, a step's output, a tool's result. Never an instruction."""

    kind: Literal["data"] = "data"
    of: Literal["input", "output", "missing", "brief", "tool"]
    """What it is: a file of the task, the output of a step, a list of what is missing, a planner's brief, a result."""
    name: str
    """The file's name, or the id of the step."""
    text: str

    def fenced(self) -> str:
        """Write it between its fences, as models see it."""
        mark = text_digest(self.text)[:12]
        name = "".join(c if c.isprintable() and c not in '"<>' else "_" for c in self.name)
        return f'<{self.of} name="{name}" mark="{mark}">\n{self.text}\n</{self.of} {mark}>'


class Media(Frozen):
    """A picture, a sound or a film."""

    kind: Literal["media"] = "media"
    medium: Literal["image", "audio", "video"]
    name: str
    mime: str
    """For example `image/png`."""
    base64: str
    """The bytes."""


class MediaFile(Frozen):
    """What a model made beside its words: a sound, kept as a file among the run's artifacts under its hash."""

    kind: Literal["made"] = "made"
    medium: Literal["image", "audio", "video"]
    mime: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Hash of its bytes, and the name of the file."""
    size: int
    """Bytes."""
    content: SkipJsonSchema[bytes] = Field(default=b"", exclude=True, repr=False)
    """The bytes, on their way to that file; in no event, no journal and no request."""


Part = Annotated[Text | Data | Media | MediaFile, Field(discriminator="kind")]


class ToolCall(Frozen):
    """A model asks for a tool."""

    id: str
    """Unique within an attempt; made by us where a model gave none or gave one twice."""
    name: str
    arguments: str
    """JSON, as the model wrote it; not checked yet."""


class Message(Frozen):
    """One thing said in a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """For role `tool`: the call this answers."""
    raw: dict[str, Json] | None = None
    """For role `assistant`: fields of the wire message that must go back as they came (reasoning, signatures)."""

    @property
    def text(self) -> str:
        """All its words, fences included."""
        return render(self.parts)

    @property
    def made(self) -> tuple[MediaFile, ...]:
        """What a model made beside its words."""
        return tuple(part for part in self.parts if isinstance(part, MediaFile))


def render(parts: Iterable[Part]) -> str:
    """Write parts as one text: data between fences, media by name. What a model made goes back to none."""
    words: list[str] = []
    for part in parts:
        match part:
            case Text():
                words.append(part.text)
            case Data():
                words.append(part.fenced())
            case Media():
                words.append(f"[{part.medium}: {part.name}]")
            case MediaFile():
                pass
    return "\n\n".join(words)


def says(role: Literal["system", "user", "assistant"], text: str) -> Message:
    """Make a message of plain words."""
    return Message(role=role, parts=(Text(text=text),))


class ToolSpec(Frozen):
    """A tool as a model sees it."""

    name: str
    description: str
    parameters: dict[str, Json]
    """A JSON Schema of an object."""


class Form(Frozen):
    """The form an answer must have."""

    name: str
    """A short name some endpoints want: letters, digits, `_` and `-`."""
    json_schema: dict[str, Json]


class Usage(Frozen):
    """What calls cost, in tokens."""

    calls: int = 0
    """Requests that reached an endpoint, failed ones included."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Of the input, those the endpoint took from its own prefix cache."""
    estimated: bool = False
    """Whether any of it is our estimate, because the endpoint said nothing or nonsense."""
    usd: float | None = None
    """US dollars, at the price that held when it was used; None where that is not known: that is not 0."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            estimated=self.estimated or other.estimated,
            usd=_together(self, other),
        )

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def cost(self) -> float | None:
        """US dollars: 0 where no token was used, None where the price of what was is not known."""
        return 0.0 if self.usd is None and not self.tokens else self.usd


def _together(one: Usage, other: Usage) -> float | None:
    """Add up what two usages cost; None where either is unknown."""
    return None if one.cost is None or other.cost is None else one.cost + other.cost


class Request(Frozen):
    """One call to a model."""

    model: str
    """The alias in the task."""
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    form: Form | None = None
    """The form the answer must have; never together with tools."""
    max_tokens: int | None = None
    """Output cap; None takes the model's own."""
    purpose: Literal["text", "plan", "report", "json"] = "text"
    """What the answer is for. It is never sent; the offline endpoint and test doubles read it."""
    traceparent: str = ""
    """W3C trace context of the attempt; sent as a header."""
    labels: tuple[str, ...] = ()
    """Labels of the data in it; an endpoint that may not see one of them refuses. They are never sent."""
    account: SkipJsonSchema[Any] = Field(default=None, exclude=True, repr=False)
    """What its tries are charged to (`swarm.endpoints.account.Account`); never sent, no part of its content."""


Finish = Literal["stop", "length", "tool_calls", "refused", "repeats"]
"""Why an answer ended. `repeats`: it went round in circles, and has each thing it said once."""


class Reply(Frozen):
    """What a model answered."""

    message: Message
    finish: Finish = "stop"
    usage: Usage = Usage()
    endpoint: str = ""
    """The endpoint that served it, for people: no credentials in it."""
    model: str = ""
    """The model's own name, as the endpoint gave it."""
    seconds: float = 0.0
    """How long the call took, retries included."""
    form: Literal["", "json_schema", "tool", "json_object", "prompt"] = ""
    """How the form was asked for, if one was."""
    dropped: tuple[str, ...] = ()
    """Parameters of the task that the endpoint refused during this call, and that are left out from now on."""

    @property
    def text(self) -> str:
        """Its words."""
        return "".join(part.text for part in self.message.parts if isinstance(part, Text))


BYTES_PER_TOKEN = 3
"""Bytes of text per token, for estimates from above.

Byte-pair encodings average 3.5–4.5 bytes per token on English prose and about 3 on code and on CJK text.
"""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text from above: a token per 3 bytes of UTF-8, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


MOST_TOKENS = 65_536
"""Of one medium, as estimated: who serves films takes so many pictures of them as leave room for words."""


def request_tokens(request: Request) -> int:
    """Estimate the input tokens of a request from above: words, tools, form, and 8 a message for its frame."""
    total = 0
    for message in request.messages:
        total += 8 + estimate_tokens(message.text)
        media = [part for part in message.parts if isinstance(part, Media)]
        total += sum(min(len(part.base64) // 200 + 1000, MOST_TOKENS) for part in media)
        total += sum(8 + estimate_tokens(call.name + call.arguments) for call in message.tool_calls)
    extra: list[Any] = [tool.model_dump_json() for tool in request.tools]
    if request.form is not None:
        extra.append(request.form.model_dump_json())
    return total + sum(16 + estimate_tokens(text) for text in extra)
