"""What a tool is: its description, what it does to the world, and what it gives.

People read the `effect` of a tool: it is what they grant. The machine reads the other fields:
whether a result may be kept or shared, which calls wait for each other, and where the arguments go.
"""

import hashlib
import mimetypes
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio

from swarm.base.values import Json, digest
from swarm.spec.chat import Data, MediaFile, ToolSpec
from swarm.tools.place import Place

Effect = Literal["read", "write", "exec", "network"]
"""The most that a tool does outside this run. A person grants any effect but `read` by name."""
Alone = Literal["no", "step", "run"]
"""Which calls wait for a call. `no`: none. `step`: the other calls of its turn. `run`: those, and all calls of its kit
in other steps."""

DEADLINE_SECONDS = 60.0
"""Default deadline of one call: long for a computation, short for a model that waits."""


@dataclass(frozen=True)
class ToolContext:
    """The call that a function is running for. A parameter with this annotation receives it."""

    step: str
    """Id of the step whose model made the call."""
    attempt: int = 1
    """Number of the attempt at that step, from 1."""
    labels: tuple[str, ...] = ()
    """Labels of all data that the step reads, sorted. The arguments of the call may contain such
    data."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope, repr=False, compare=False)
    """Cancel scope of the call, on the event loop. Its deadline is the deadline of the call."""
    ended: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)
    """Set when nothing waits for the result any more: after a result, a deadline or a cancellation.
    A function in a thread cannot be stopped from outside; it can check this event and return."""
    place: Place = field(default_factory=Place, repr=False, compare=False)
    """What the attempt has: its inputs, the outputs that it was given, its scratch folder."""


@dataclass(frozen=True)
class ToolResult:
    """The result of a call: words, pictures and files, in order. A tool may return one, or a plain value."""

    parts: tuple[Data | MediaFile, ...]
    total: int = 0
    """Bytes of all its words; more than `shown` if they were truncated."""
    labels: tuple[str, ...] = ()
    """Labels of the data. The step that made the call carries them, and so do all steps that read
    its output."""
    usd: float = 0.0
    """Price of the call in US dollars; 0 if it was not made, because another step had its result already."""

    @property
    def text(self) -> str:
        """The text that the model sees, without marks."""
        return "".join(part.text for part in self.parts if isinstance(part, Data))

    @property
    def shown(self) -> int:
        """Bytes of that text."""
        return len(self.text.encode("utf-8", "replace"))

    @property
    def files(self) -> tuple[MediaFile, ...]:
        """Pictures and other files."""
        return tuple(part for part in self.parts if isinstance(part, MediaFile))


def words(name: str, text: str) -> Data:
    """Return words of a tool as a part of a result."""
    return Data(of="tool", name=name, text=text)


def made_file(name: str, content: bytes, mime: str = "") -> MediaFile:
    """Return a file as a part of a result. It becomes an artifact of the run before a model hears of it."""
    mime = mime or mimetypes.guess_type(name)[0] or "application/octet-stream"
    medium = "image" if mime in PICTURES else "file"
    sha256 = hashlib.sha256(content).hexdigest()
    return MediaFile(medium=medium, mime=mime, name=name, sha256=sha256, size=len(content), content=content)


PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""MIME types of files that models may be shown."""

Run = Callable[[str, ToolContext], Awaitable[Json | ToolResult]]


def asks(effect: Effect | None, ask: bool | None, *, by_default: bool) -> bool:
    """Return whether a person must allow each call of a tool with these settings.

    `by_default` says whether the task asks about calls that do more than read.
    """
    return by_default and effect not in (None, "read") if ask is None else ask


@dataclass(frozen=True)
class Tool:
    """A function, or something like one, that a model may call."""

    spec: ToolSpec
    """Its description for models. Endpoints allow letters, digits, `_` and `-` in the name, at most 64."""
    run: Run
    """Run the tool on the arguments as the model wrote them. Raise `ToolError`, worded for the
    model."""
    effect: Effect = "read"
    seconds: float = DEADLINE_SECONDS
    """Deadline of one call."""
    label: str | None = None
    """Label of its results. A step carries it as soon as the tool is granted, before the first
    call: else the result could forbid the model in the middle of a conversation, and a resumed
    run would not know the label."""
    stable: bool | None = None
    """Whether the same arguments at the same place give the same result, and nothing outside of the run changes. Only
    then a finished step that called it is kept in the cache for later runs. None: yes for `read`, else no."""
    shared: bool | None = None
    """Whether one call may serve all steps that ask the same. None: yes for `read`, else no."""
    alone: Alone | None = None
    """Which calls wait for a call of this tool. None: none for `read`, else those of its turn."""
    goes_to: str = ""
    """Place that its arguments go to, as in the task's `labels`: `web`, `mcp.notes`. Empty: they stay in this run, or
    go to `tool.<name>` if the effect is `network`."""
    price: float = 0.0
    """Price of a call in US dollars."""
    ask: bool | None = None
    """Whether a person must allow each call. None: as the task's `approve` says."""
    version: str = ""
    """What determines results in addition to the schema: the version of a reader, a pin, a list of packages."""
    called: str = ""
    """Name for people, in tasks, plans and agents, if it differs from that of the spec: `notes.read_text_file`."""
    kit: str = ""
    """Name of its kit; empty for a tool of its own."""
    check: Callable[[str], object] | None = None
    """Checks arguments as the model wrote them without a call, so that no person is asked about a call that cannot be.
    Raises `ToolError`, worded for the model. None: only a call can tell."""
    rebuilds: bool = False
    """Whether a resumed attempt makes its earlier calls again, in order and without showing the results, before the
    next one: they left variables or files in its place, and nothing elsewhere."""

    @property
    def name(self) -> str:
        """Name in tasks, plans and agents."""
        return self.called or self.spec.name

    def asks(self, *, by_default: bool) -> bool:
        """Return whether a person must allow each call, if the task asks about tools by default or not."""
        return asks(self.effect, self.ask, by_default=by_default)

    @property
    def is_stable(self) -> bool:
        """Whether a result may be kept for later runs. What comes from a network may not."""
        return self.effect == "read" if self.stable is None else self.stable

    @property
    def is_shared(self) -> bool:
        """Whether one call may serve several steps."""
        return self.effect == "read" if self.shared is None else self.shared

    @property
    def is_repeatable(self) -> bool:
        """Whether a call may be made again if nobody knows whether it took place."""
        return self.is_shared or self.is_stable or self.effect == "read"

    @property
    def barrier(self) -> Alone:
        """Which calls wait for a call of this tool."""
        if self.alone is not None:
            return self.alone
        return "no" if self.effect == "read" else "step"

    @property
    def destination(self) -> str:
        """Place that its arguments go to; empty if they stay in this run."""
        return self.goes_to or (f"tool.{self.name}" if self.effect == "network" else "")

    @property
    def key(self) -> str:
        """Hash of what decides its results."""
        return digest([self.spec.model_dump(mode="json"), self.version, self.effect])
