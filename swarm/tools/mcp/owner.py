"""The owner of a session with a server: the only task that opens, uses and closes it.

A broken connection cancels the task that opened it. So no caller does: callers queue a call and get
exactly one answer, also when the connection breaks during the call, and when the server does not
come back.
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskStatus

from swarm.base.errors import ToolError
from swarm.base.text import clip, listing
from swarm.tools.box import LOST
from swarm.tools.mcp.faults import WORDS, ServerError, words_of

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult
    from mcp.types import Tool as ListedTool

RESTARTS = 3
"""Maximum restarts in a row of a server that breaks."""
PAUSES = (0.1, 0.5, 2.0)
"""Seconds before each of them."""
HEALTHY_SECONDS = 30.0
"""A server that worked for so long may be restarted from the first again."""
CLOSING_SECONDS = 7.0
MOST_TOOLS = 1000
"""Maximum tools of a server that are read."""

Connect = Callable[[Callable[[], None]], AbstractAsyncContextManager[Any]]
"""Opens a connection and gives its streams. The function that it gets is called when the connection has ended."""


@dataclass(eq=False)
class _Asked:
    name: str
    arguments: dict[str, Any]
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    result: "CallToolResult | None" = None
    error: ToolError | None = None

    def answer(self, result: "CallToolResult | None", error: ToolError | None = None) -> None:
        """Answer the caller, if it has no answer yet."""
        if not self.done.is_set():
            self.result, self.error = result, error
            self.done.set()


class Owner:
    """Holds the session with one server."""

    def __init__(
        self,
        connect: Connect,
        *,
        opening_seconds: float,
        last_words: Callable[[], str],
        listed: Callable[[Mapping[str, "ListedTool"]], None],
        changed: Callable[[Mapping[str, "ListedTool"]], list[str]],
    ) -> None:
        """Take what opens a connection.

        `listed` gets the first list of tools, and may raise. `changed` names what a later list has otherwise.
        """
        self._connect = connect
        self._opening_seconds = opening_seconds
        self._last_words = last_words
        self._listed = listed
        self._changed = changed
        self._queue: deque[_Asked] = deque()
        self._wake = anyio.Event()
        self._is_broken = False
        self._is_stale = False
        """Whether the server has said that its list of tools changed."""
        self._stopping = False
        self._down = ""
        """Why the server is not used any more."""
        self._opened = False
        self._ended = anyio.Event()

    # For callers

    async def call(self, name: str, arguments: dict[str, Any]) -> "CallToolResult":
        """Call a tool of the server. Raise `ToolError`; its kind is `lost` if nobody knows whether it took place."""
        if self._down or self._stopping:
            raise ToolError(self._down or "the server is closed")
        asked = _Asked(name, arguments)
        self._queue.append(asked)
        self._rouse()
        try:
            # Cancellation point: whoever stops waiting stops the call.
            await asked.done.wait()
        finally:
            asked.answer(None)
            asked.scope.cancel()
        if asked.error is not None:
            raise asked.error
        assert asked.result is not None
        return asked.result

    async def stop(self) -> None:
        """Close the session and wait for its end."""
        self._stopping = True
        self._rouse()
        await self._ended.wait()

    def _rouse(self) -> None:
        self._wake.set()

    def _break(self) -> None:
        self._is_broken = True
        self._rouse()

    # The task

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Hold the session until `stop`. Raise `ServerError` if it does not open the first time, and nothing later."""
        try:
            restarts = 0
            while not self._stopping:
                began = anyio.current_time()
                reason = await self._session(task_status)
                if not self._opened:
                    raise ServerError(reason)
                if self._stopping or self._down:
                    return
                restarts = 0 if anyio.current_time() - began > HEALTHY_SECONDS else restarts
                if restarts == RESTARTS:
                    self._down = f"the server is down: {reason}"
                    return
                await anyio.sleep(PAUSES[restarts])
                restarts += 1
        finally:
            self._down = self._down or "the server is closed"
            while self._queue:
                self._queue.popleft().answer(None, ToolError(self._down))
            self._ended.set()

    async def _session(self, task_status: TaskStatus[None]) -> str:
        """Open a session, serve calls until it breaks or is stopped, and return why it ended."""
        self._is_broken = False
        reason = "the connection broke"
        deadline = anyio.current_time() + self._opening_seconds
        with anyio.CancelScope(deadline=deadline) as scope:
            try:
                await self._serve_in(scope, task_status)
            except Exception as error:  # noqa: BLE001 - each error of a server or the library is one of its faults
                reason = words_of(error)
        if scope.cancelled_caught:
            reason = f"no answer in {self._opening_seconds:g} s"
        said = self._last_words()
        return f"{reason}; its last words: {clip(said, WORDS)}" if said and "\nhint" not in reason else reason

    async def _serve_in(self, scope: anyio.CancelScope, task_status: TaskStatus[None]) -> None:
        from mcp import Client

        streams = self._connect(self._break)
        async with Client(streams, cache=None, message_handler=self._heard, input_required_max_rounds=1) as client:
            listed = await _list(client)
            if self._opened and (names := self._changed(listed)):
                self._down = _changed_words(names)
                return
            scope.deadline = float("inf")
            if not self._opened:
                self._listed(listed)
                self._opened = True
                task_status.started()
            try:
                await self._serve(client)
            finally:
                scope.deadline = anyio.current_time() + CLOSING_SECONDS

    async def _heard(self, message: Any) -> None:
        """Note that the server changed its tools."""
        if type(message).__name__ == "ToolListChangedNotification":
            self._is_stale = True
            self._rouse()

    async def _serve(self, client: "Client") -> None:
        async with anyio.create_task_group() as calls:
            while not (self._is_broken or self._stopping):
                if self._is_stale:
                    self._is_stale = False
                    if names := self._changed(await self._listed_again(client)):
                        self._down = _changed_words(names)
                        break
                while self._queue and not self._is_broken:
                    calls.start_soon(self._make, client, self._queue.popleft())
                self._wake = anyio.Event() if self._wake.is_set() else self._wake
                if not (self._is_broken or self._stopping or self._queue or self._is_stale):
                    await self._wake.wait()
            calls.cancel_scope.cancel()

    async def _listed_again(self, client: "Client") -> dict[str, "ListedTool"]:
        """Return the tools of a server that has said that they changed. Calls wait for it."""
        with anyio.move_on_after(self._opening_seconds):
            return await _list(client)
        raise ServerError(f"it changed its tools, and did not list them in {self._opening_seconds:g} s")

    async def _make(self, client: "Client", asked: _Asked) -> None:
        """Make a call and answer it, whatever happens."""
        from mcp import MCPError
        from mcp.client import InputRequiredRoundsExceededError
        from mcp.types import CONNECTION_CLOSED

        if asked.done.is_set():
            return
        try:
            with asked.scope:
                asked.answer(await client.call_tool(asked.name, asked.arguments))
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or "session terminated" in str(error).lower():
                self._break()
            else:
                asked.answer(None, ToolError(clip(str(error), WORDS)))
        except InputRequiredRoundsExceededError:
            asked.answer(None, ToolError("the server asks a person, and there is nobody who could answer"))
        except Exception as error:  # noqa: BLE001 - each error of the library is one of the server's
            if _is_answer(error):
                asked.answer(None, ToolError(words_of(error)))
            else:
                self._break()
        finally:
            asked.answer(None, ToolError("the connection to the server broke during the call", kind=LOST))


def _is_answer(error: Exception) -> bool:
    """Return whether an error is about an answer: then the call took place."""
    return type(error).__name__ in ("ValidationError", "UnexpectedClaimedResult")


async def _list(client: "Client") -> dict[str, "ListedTool"]:
    """Return the tools of a server by name."""
    found: dict[str, ListedTool] = {}
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        new = {tool.name: tool for tool in page.tools if tool.name not in found}
        found |= new
        cursor = page.next_cursor
        if cursor is None or len(found) >= MOST_TOOLS or not new:  # pages may come without an end
            return found


def _changed_words(names: list[str]) -> str:
    return f"the server changed {listing(names)} during the run, so it is not used any more"
