"""A server that is a command: messages over its pipes, its process, its log.

The process has a session of its own, and all of it ends with the connection: what it started
outlives it otherwise.
"""

import os
import re
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from swarm.base.redaction import safe_text
from swarm.tools.mcp.faults import ServerError

MESSAGE_BYTES = 16 * 1024 * 1024
"""Maximum bytes of one message of a server."""
LOG_BYTES = 1024 * 1024
"""Maximum bytes of a log: what a server says after that is lost."""
LINE_CHARACTERS = 2000
"""Maximum characters of a line of the log."""
MOST_NOISE = 10_000
"""Maximum lines in a row that are no messages."""
ENDING_SECONDS = 2.0
"""Seconds for which a server may go on after its input has ended, and again after it was told to end."""
_ID = re.compile(rb'"id"\s*:\s*(\d+|"[^"]{0,100}")')
_ENDS = 300
"""Bytes at each end of a message that is too long, in which its id is looked for."""


class Log:
    """What a server says on its standard error, without secrets, in a file of the run."""

    def __init__(self, path: Path, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._left = LOG_BYTES
        self._last = ""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def add(self, line: str) -> None:
        """Add a line. When the log is full, it is only remembered as the last one."""
        line = line[:LINE_CHARACTERS]
        self._last = line if line.strip() else self._last
        if self._left <= 0:
            return
        written = f"{self._cleaned(line)}\n".encode("utf-8", "replace")
        self._left -= len(written)
        if self._left >= 0:
            with suppress(OSError):  # a full disk costs the log, not the run
                os.write(self._file, written)

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return self._cleaned(self._last).strip()

    def _cleaned(self, line: str) -> str:
        return self._clean(safe_text(line).rstrip())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@asynccontextmanager
async def open_pipes(
    command: Sequence[str], env: Mapping[str, str], folder: Path, log: Log, ended: Callable[[], None]
) -> AsyncGenerator[Any]:
    """Start a command and yield the streams of a session with it. `ended` is called when it says no more."""
    process = await anyio.open_process(list(command), env=dict(env), cwd=folder, start_new_session=True)
    # From here to the group there is no await: a cancellation would leave the process behind.
    to_session, incoming = anyio.create_memory_object_stream[Any](0)
    outgoing, from_session = anyio.create_memory_object_stream[Any](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, process, to_session, log, ended)
        tasks.start_soon(_write, process, from_session, to_session)
        tasks.start_soon(_listen, process, log)
        try:
            yield incoming, outgoing
        finally:
            with anyio.CancelScope(shield=True):
                incoming.close()
                outgoing.close()
                await _end(process)
            tasks.cancel_scope.cancel()
    for stream in (to_session, from_session):
        stream.close()


async def _read(process: Process, to_session: MemoryObjectSendStream[Any], log: Log, ended: Callable[[], None]) -> None:
    """Pass on each line that is a message."""
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    assert process.stdout is not None
    noise = 0
    try:
        async with to_session:
            async for line in _lines(process.stdout):
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError:
                    log.add(f"not a message: {line[:200].decode('utf-8', 'replace')}")
                    noise += 1
                    if noise > MOST_NOISE:
                        raise ServerError("what it writes is no protocol") from None
                    if (refusal := _refusal_of(line)) is None:
                        continue
                    message = jsonrpc_message_adapter.validate_json(refusal, by_name=False)
                else:
                    noise = 0
                await to_session.send(SessionMessage(message))
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        pass  # the session has ended
    finally:
        ended()


async def _lines(stream: ByteReceiveStream) -> AsyncIterator[bytes]:
    """Yield the lines of a stream. A line that is too long becomes an error in its place."""
    rest = bytearray()
    start, dropped = 0, b""
    async for chunk in stream:
        rest += chunk
        while (end := rest.find(b"\n", start)) >= 0:
            line, start = bytes(rest[:end]), 0
            del rest[: end + 1]
            if dropped:
                yield _refusal(dropped, line)
                dropped = b""
            elif line.strip():
                yield line
        start = len(rest)
        if start > MESSAGE_BYTES:
            dropped = dropped or bytes(rest[:_ENDS])
            del rest[:-_ENDS]
            start = len(rest)


def _refusal(head: bytes, tail: bytes) -> bytes:
    """Return an error in the place of a message that is too long. Raise `ServerError` if its id cannot be found."""
    number = id_of(head) or id_of(tail)
    words = f"the answer has more than {MESSAGE_BYTES:,} bytes"
    if number is None:
        raise ServerError(words)
    return error_for(number, words)


def _refusal_of(line: bytes) -> bytes | None:
    """Return an error in the place of an answer that cannot be read; None for a line that is no answer."""
    number = id_of(line)
    if number is None or not line.startswith(b"{") or b'"jsonrpc"' not in line[:_ENDS] + line[-_ENDS:]:
        return None
    return error_for(number, "the answer is no message of the protocol")


def id_of(message: bytes) -> bytes | None:
    """Return the id of a message that need not be whole, as it is written; None if neither of its ends has one."""
    found = _ID.search(message[:_ENDS]) or _ID.search(message[-_ENDS:])
    return None if found is None else found[1]


def error_for(number: bytes, words: str) -> bytes:
    """Return an error as the answer to the request with an id."""
    return b'{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"%s"}}' % (number, words.encode())


async def _write(
    process: Process, from_session: MemoryObjectReceiveStream[Any], to_session: MemoryObjectSendStream[Any]
) -> None:
    """Pass on each message as a line."""
    assert process.stdin is not None
    try:
        async with from_session:
            async for message in from_session:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(text.encode() + b"\n")
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        to_session.close()  # it may still run, and answers nothing any more: the session sees the end


async def _listen(process: Process, log: Log) -> None:
    """Keep what a server says on its standard error."""
    assert process.stderr is not None
    rest = ""
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        async for chunk in process.stderr:
            *lines, rest = (rest + chunk.decode("utf-8", "replace")).split("\n")
            for line in lines:
                log.add(line)
            rest = rest[-LINE_CHARACTERS:]
    if rest:
        log.add(rest)


async def _end(process: Process) -> None:
    """End a server and everything that it started."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    if not await _has_ended(process):
        _signal(process, signal.SIGTERM)
        await _has_ended(process)
    _signal(process, signal.SIGKILL)  # the group may live on without its leader
    await _has_ended(process)
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await stream.aclose()
    # On asyncio the pipes stay open while something holds their other end; nothing public closes them.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()


async def _has_ended(process: Process) -> bool:
    """Wait for the end of a process, but not for that of its pipes: what it started may hold them."""
    with anyio.move_on_after(ENDING_SECONDS):
        while process.returncode is None:  # noqa: ASYNC110 - nothing tells it without waiting for the pipes
            await anyio.sleep(0.01)
    return process.returncode is not None


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
