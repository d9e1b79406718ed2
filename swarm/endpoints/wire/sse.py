"""Server-sent events from bytes, however they are cut: the decoding rules of the HTML standard."""

from collections.abc import Iterator
from dataclasses import dataclass

EVENT_BYTES = 8_000_000
"""Maximum bytes of one event: a server that sends no blank line must not fill the memory."""


class EventTooLargeError(Exception):
    """An event is larger than `EVENT_BYTES`."""


@dataclass(frozen=True)
class Sent:
    """One event."""

    name: str
    """Its type; empty if the stream names none."""
    data: bytes


class EventStream:
    """Decoder: takes bytes as they arrive and yields complete events. Comments are ignored."""

    def __init__(self, *, most: int = EVENT_BYTES) -> None:
        self._most = most
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Sent]:
        """Yield the events that a chunk completes. Raise `EventTooLargeError` above the maximum."""
        chunk = self._rest + chunk if self._rest else chunk
        if b"\r" in chunk:
            chunk = _with_plain_line_ends(chunk)
        *lines, self._rest = chunk.split(b"\n")
        for line in lines:
            if line:
                self._line(line)
                continue
            if self._data:
                yield Sent(self._name, b"\n".join(self._data))
            self._name, self._data, self._size = "", [], 0
        # The cap counts the unfinished line too: a line that never ends must not fill the memory.
        if self._size + len(self._rest) > self._most:
            raise EventTooLargeError(f"an event over {self._most} bytes")

    def end(self) -> Iterator[Sent]:
        """Yield the last event: some servers omit the blank line after it."""
        yield from self.feed(b"\n\n")

    def _line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._most:
                raise EventTooLargeError(f"an event over {self._most} bytes")
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")


def _with_plain_line_ends(chunk: bytes) -> bytes:
    """Replace CR LF and CR by LF. A CR at the end stays: its LF may come with the next chunk."""
    held = chunk.endswith(b"\r")
    body = chunk[:-1] if held else chunk
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return body + b"\r" if held else body
