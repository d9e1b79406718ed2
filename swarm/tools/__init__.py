"""What a model may use: tools, and the box that hands them out.

The box is where rights are kept. A call names a tool; whether it runs is decided by what the attempt was granted, never
by what a prompt said or a model wrote.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

import anyio
from pydantic_core import PydanticSerializationError

from swarm.base.errors import TaskError, ToolError
from swarm.base.text import listing
from swarm.base.values import Json, canonical, digest
from swarm.spec.chat import ToolSpec

Effect = Literal["read", "write", "exec", "network"]
"""What a tool does to the world beyond this run, at most. A person grants anything but `read` by name."""

DEADLINE_SECONDS = 60.0
"""For one call of a tool that says nothing else: long for a computation, short for a model that waits."""
RESULT_BYTES = 64 * 1024
"""Most of a result that a model is shown, some 20,000 tokens: more drowns what else it was told."""


@dataclass(frozen=True)
class Tool:
    """Something a model may ask for."""

    spec: ToolSpec
    run: Callable[[str], Awaitable[Json]]
    """Runs it on arguments as the model wrote them. Raises `ToolError`, worded for the model."""
    effect: Effect = "read"
    seconds: float = DEADLINE_SECONDS
    """Deadline of one call."""

    @property
    def name(self) -> str:
        """What models call it by."""
        return self.spec.name


@dataclass(frozen=True)
class ToolResult:
    """What a tool gave, as text."""

    text: str
    total: int
    """Bytes of the whole; more than `text` has where it was cut."""

    @property
    def shown(self) -> int:
        """Bytes of `text`."""
        return len(self.text.encode())


class Toolbox:
    """The tools of a run, by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise TaskError(f"two tools are called {tool.name}: give one of them another name")
            self._tools[tool.name] = tool

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All of them, in the order they were given."""
        return tuple(self._tools.values())

    def specs(self, names: Iterable[str]) -> tuple[ToolSpec, ...]:
        """Describe the named tools to a model, sorted by name: the order is part of every prompt. `ToolError` if one
        is not here.
        """
        return tuple(self._get(name).spec for name in sorted(set(names)))

    def key(self, names: Iterable[str]) -> str:
        """Hash the schemas of the named tools: what of them determines an answer."""
        return digest(list(self.specs(names)))

    async def call(self, name: str, arguments: str, granted: Collection[str]) -> ToolResult:
        """Run a tool for a model.

        Raises `ToolError`, worded for the model: of kind `unknown_tool` where the tool is not granted, whether or not
        it exists; `arguments` where they do not fit; `timeout` after the tool's own deadline; else `tool`.
        """
        if name not in granted:
            message = f"no tool called {name} may be used; these may: {listing(sorted(granted))}"
            raise ToolError(message, kind="unknown_tool")
        tool = self._get(name)
        try:
            with anyio.fail_after(tool.seconds):
                value = await tool.run(arguments)
        except TimeoutError:
            message = f"{name} took longer than {tool.seconds:g} seconds and was given up"
            raise ToolError(message, kind="timeout") from None
        return _result(name, value)

    def _get(self, name: str) -> Tool:
        if name not in self._tools:
            message = f"there is no tool called {name} here; there are: {listing(sorted(self._tools))}"
            raise ToolError(message, kind="unknown_tool")
        return self._tools[name]


def _result(name: str, value: Json) -> ToolResult:
    try:
        whole = (value if isinstance(value, str) else canonical(value).decode()).encode("utf-8", "replace")
    except (PydanticSerializationError, RecursionError, ValueError, TypeError) as error:
        message = f"{name} gave what is neither text nor JSON: {type(value).__name__}"
        raise ToolError(message) from error
    if len(whole) <= RESULT_BYTES:
        return ToolResult(whole.decode(), len(whole))
    head = whole[:RESULT_BYTES]
    line = head.rfind(b"\n")
    shown = head[:line] if line >= RESULT_BYTES // 2 else head
    return ToolResult(shown.decode("utf-8", "ignore"), len(whole))
