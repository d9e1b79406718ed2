"""Tools: what a model may call, and the toolbox that checks the right to call it.

A call names a tool. Whether the tool runs depends on the tools that the attempt was granted, and
on the labels that the attempt carries. A prompt or the text of a model cannot change either.
"""

import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

import anyio
from pydantic_core import PydanticSerializationError

from swarm.base.errors import TaskError, ToolError
from swarm.base.text import listing
from swarm.base.values import Json, canonical, digest
from swarm.spec.chat import Data, ToolSpec

Effect = Literal["read", "write", "exec", "network"]
"""The most that a tool does outside this run. A person grants any effect but `read` by name."""

DEADLINE_SECONDS = 60.0
"""Default deadline of one call: long for a computation, short for a model that waits."""
RESULT_BYTES = 64 * 1024
"""Maximum bytes of a result that a model sees, about 20,000 tokens: more would fill its context."""


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


@dataclass(frozen=True)
class ToolResult:
    """The result of a call."""

    parts: tuple[Data, ...]
    """Data for the model, in order."""
    total: int
    """Bytes of the whole text; more than `shown` if it was truncated."""
    labels: tuple[str, ...] = ()
    """Labels of the data. The step that made the call carries them, and so do all steps that read
    its output."""

    @property
    def text(self) -> str:
        """The text that the model sees, without marks."""
        return "".join(part.text for part in self.parts)

    @property
    def shown(self) -> int:
        """Bytes of that text."""
        return len(self.text.encode())


@dataclass(frozen=True)
class Tool:
    """A function, or something like one, that a model may call."""

    spec: ToolSpec
    run: Callable[[str, ToolContext], Awaitable[Json]]
    """Run the tool on the arguments as the model wrote them. Raise `ToolError`, worded for the
    model."""
    effect: Effect = "read"
    seconds: float = DEADLINE_SECONDS
    """Deadline of one call."""
    label: str | None = None
    """Label of its results. A step carries it as soon as the tool is granted, before the first
    call: else the result could forbid the model in the middle of a conversation, and a resumed
    run would not know the label."""

    @property
    def name(self) -> str:
        """Name that models call it by."""
        return self.spec.name


class Toolbox:
    """The tools of a run, by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise TaskError(f"two tools are called {tool.name}\nhint: give one of them another name")
            self._tools[tool.name] = tool

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All tools, in the order in which they were given."""
        return tuple(self._tools.values())

    @property
    def labels(self) -> dict[str, str]:
        """Labels of results, by name of the tool; a tool without a label has no entry."""
        return {tool.name: tool.label for tool in self._tools.values() if tool.label is not None}

    def specs(self, names: Iterable[str]) -> tuple[ToolSpec, ...]:
        """Return the specs of these tools, sorted by name: they are part of every prompt.

        Raise `ToolError` if one does not exist.
        """
        return tuple(self._get(name).spec for name in sorted(set(names)))

    def key(self, names: Iterable[str]) -> str:
        """Return the hash of the tools' schemas: the part of them that determines an answer."""
        return digest(list(self.specs(names)))

    async def call(self, name: str, arguments: str, granted: Collection[str], context: ToolContext) -> ToolResult:
        """Run a tool for a model.

        Raise `ToolError`, worded for the model, of one of these kinds:

        unknown_tool   the tool is not granted, whether or not it exists
        label          its results carry a label that the attempt does not carry
        arguments      the arguments do not match the schema
        timeout        the deadline of the call has passed
        tool           anything else
        """
        if name not in granted:
            message = f"no tool called {name} may be used; these may: {listing(sorted(granted))}"
            raise ToolError(message, kind="unknown_tool")
        tool = self._get(name)
        if tool.label is not None and tool.label not in context.labels:
            message = f"{name} returns data labelled {tool.label}, which this step may not read"
            raise ToolError(message, kind="label")
        return _result(tool, await _run(tool, arguments, context))

    def _get(self, name: str) -> Tool:
        if name not in self._tools:
            message = f"there is no tool called {name} here; there are: {listing(sorted(self._tools))}"
            raise ToolError(message, kind="unknown_tool")
        return self._tools[name]


async def _run(tool: Tool, arguments: str, context: ToolContext) -> Json:
    """Run a tool within its deadline."""
    try:
        with context.scope:
            context.scope.deadline = anyio.current_time() + tool.seconds
            # Cancellation point: it cancels an async function, and leaves one in a thread behind.
            return await tool.run(arguments, context)
    except TimeoutError:
        pass  # raised by the tool itself: reported like a deadline
    finally:
        context.ended.set()
    # The deadline or the tool itself cancelled the scope. A cancelled attempt does not get here.
    message = f"{tool.name} took longer than {tool.seconds:g} seconds and was stopped"
    raise ToolError(message, kind="timeout")


def _result(tool: Tool, value: Json) -> ToolResult:
    try:
        text = value if isinstance(value, str) else canonical(value).decode()
        whole = text.encode("utf-8", "replace")
    except (PydanticSerializationError, RecursionError, ValueError, TypeError) as error:
        message = f"the result of {tool.name} is neither text nor JSON: {type(value).__name__}"
        raise ToolError(message) from error
    data = Data(of="tool", name=tool.name, text=_head(whole))
    return ToolResult((data,), len(whole), labels=() if tool.label is None else (tool.label,))


def _head(whole: bytes) -> str:
    """Return the start of a text that a model sees, cut at the end of a line if one is near."""
    if len(whole) <= RESULT_BYTES:
        return whole.decode()
    head = whole[:RESULT_BYTES]
    line = head.rfind(b"\n")
    if line >= RESULT_BYTES // 2:
        head = head[:line]
    return head.decode("utf-8", "ignore")
