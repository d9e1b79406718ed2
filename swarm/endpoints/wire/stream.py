"""The reading of a streamed answer to its end, with a limit for silence."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from math import inf

import anyio

from swarm.endpoints.wire.answers import REPEATS, Assembly
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.shapes import BadAnswer, error_of
from swarm.endpoints.wire.sse import EventStream, EventTooLargeError, Sent, is_object, is_stream

IDLE_SECONDS = 60.0
"""Maximum seconds without content once a stream has begun. Keep-alive comments are not content."""
TAIL_SECONDS = 2.0
"""Maximum seconds between the end of the answer and the end of the stream, for the usage."""

_NOTHING = re.compile(rb'[\w.:-]*|"[^"\\]*"|\{\}')
"""Data of events without an answer: none, `null`, a word, a text."""


async def read_stream(
    chunks: AsyncIterator[bytes],
    answer: Assembly,
    first: Callable[[], None] = lambda: None,
) -> None:
    """Read a stream into an answer; call `first` at its first token.

    A stream is complete at `[DONE]`, or once it has a finish reason that no content follows. The
    rest is awaited briefly, and losing it loses nothing. Some servers put a finish reason on every
    chunk, or on the first: there only `[DONE]`, the end of the stream or silence end the answer. A
    repetitive text is not read to its end. Raise `BadAnswer` for a stream that ends before it is
    complete, or that is silent for `IDLE_SECONDS` once it has begun.
    """
    import httpx2

    # The deadline starts with the first content, and each later one moves it. Until then, the
    # deadline of the call decides. Its expiry ends this scope only; a cancellation from outside
    # passes through.
    with anyio.CancelScope() as idle:
        try:
            await _read(chunks, answer, idle, first)
        except EventTooLargeError as error:
            fault = Fault(status=200, kind="too_large_response", text=str(error))
            raise BadAnswer(fault) from None
        except httpx2.HTTPError:
            if answer.finish is None or answer.early:
                raise
    if answer.finish is None:
        raise BadAnswer(_incomplete(answer, silent=idle.cancelled_caught))
    answer.silent = idle.cancelled_caught and answer.early and not answer.ended


async def _read(
    chunks: AsyncIterator[bytes],
    answer: Assembly,
    idle: anyio.CancelScope,
    first: Callable[[], None],
) -> None:
    """Add chunks until the stream ends or repeats itself. Content moves the deadline of `idle`."""
    events = EventStream()
    async for chunk in chunks:
        had_ended = answer.ended
        progress = _add(events.feed(chunk), answer)
        if answer.finish == REPEATS:
            return
        if progress and idle.deadline == inf:
            first()
        if progress or (answer.ended and not had_ended):
            seconds = TAIL_SECONDS if answer.ended else IDLE_SECONDS
            idle.deadline = anyio.current_time() + seconds
    _add(events.end(), answer)


def _add(events: Iterator[Sent], answer: Assembly) -> bool:
    """Add events to an answer. Return True if one of them was progress."""
    progress = False
    for event in events:
        if event.name == "error":
            raise BadAnswer(_error_event(event.data))
        data = event.data.strip()
        if data.strip(b'"').upper().startswith(b"[DONE]"):
            progress = answer.done() or progress
        elif _is_answer(event.name, data):
            progress = answer.add(data) or progress
    return progress


def _is_answer(name: str, data: bytes) -> bool:
    """Return whether an event has a part of an answer. Others keep a connection alive, or are for other readers."""
    if data[:1] == b"{" and data != b"{}":
        return True
    return not name and _NOTHING.fullmatch(data) is None


def _incomplete(answer: Assembly, *, silent: bool) -> Fault:
    """Return the fault of a stream that ended with neither a finish reason nor `[DONE]`."""
    if silent:
        return Fault(kind="timeout", text=f"no content in the stream for {IDLE_SECONDS:g} s")
    return Fault(status=200, kind="empty" if answer.empty else "truncated_stream")


def _error_event(data: bytes) -> Fault:
    return error_of(data) or Fault(status=200, text=data.decode("utf-8", "replace"))


async def read_answer_in(
    chunks: AsyncIterator[bytes],
    answer: Assembly,
    label: str,
    first: Callable[[], None] = lambda: None,
) -> None:
    """Read the body of an answer, whole or streamed, whatever was requested: its first bytes decide.

    `label` is its content type. It decides only if the bytes do not.
    """
    start = b""
    streamed: bool | None = None
    async for chunk in chunks:
        start += chunk
        streamed = is_stream(start)
        if streamed is not None:
            break
    if not streamed and start.lstrip()[:1] not in {b"{", b"[", b"<", b'"'}:
        streamed = label.strip().lower().startswith("text/event-stream")
    rest = _after(start, chunks)
    if streamed:
        async with aclosing(rest):
            await read_stream(rest, answer, first)
        return
    data = b"".join([chunk async for chunk in rest])
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) > 1 and all(map(is_object, lines)):  # chunks without the frames of a stream, one a line
        await read_stream(_framed(lines), answer, first)
    else:
        answer.whole(data)


async def _framed(lines: Iterable[bytes]) -> AsyncGenerator[bytes]:
    for line in lines:
        yield b"data: " + line + b"\n\n"


async def _after(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield start
    async for chunk in chunks:
        yield chunk
