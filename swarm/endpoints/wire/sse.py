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
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[Sent]:
        """Yield the events that a chunk completes. Raise `EventTooLargeError` above the maximum."""
        chunk = self._rest + chunk if self._rest else chunk
        if not self._begun and len(chunk) >= 3:
            chunk, self._begun = chunk.removeprefix(b"\xef\xbb\xbf"), True
        if b"\r" in chunk:
            chunk = _with_plain_line_ends(chunk)
        *lines, self._rest = chunk.split(b"\n")
        for line in lines:
            if line:
                self._line(line)
                continue
            if self._data:
                yield from (Sent(self._name, data) for data in _events_of(self._data))
            self._name, self._data, self._size = "", [], 0
        # The cap counts the unfinished line too: a line that never ends must not fill the memory.
        if self._size + len(self._rest) > self._most:
            raise EventTooLargeError(f"an event over {self._most} bytes")

    def end(self) -> Iterator[Sent]:
        """Yield the last event: some servers omit the blank line after it."""
        yield from self.feed(b"\n\n")

    def _line(self, line: bytes) -> None:
        if line[:1] == b"{":  # JSON without a field, as some servers send their errors
            line = b"data:" + line
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._most:
                raise EventTooLargeError(f"an event over {self._most} bytes")
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")


def _events_of(lines: list[bytes]) -> list[bytes]:
    """Return the data of the event that these lines are; of each line, if a server omits the blank lines between."""
    is_each = len(lines) > 1 and all(is_object(line) or line.strip() == b"[DONE]" for line in lines)
    return lines if is_each else [b"\n".join(lines)]


def is_object(line: bytes) -> bool:
    """Return whether a line looks like a whole JSON object."""
    line = line.strip()
    return len(line) > 1 and line.startswith(b"{") and line.endswith(b"}")


_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


def is_stream(start: bytes) -> bool | None:
    """Return whether a body that starts so is an event stream; None if more bytes are needed to know."""
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(_FIELDS):
        return True
    is_open = any(field.startswith(bare) for field in _FIELDS) or b"\xef\xbb\xbf".startswith(bare)
    return None if is_open else False


def _with_plain_line_ends(chunk: bytes) -> bytes:
    """Replace CR LF and CR by LF. A CR at the end stays: its LF may come with the next chunk."""
    held = chunk.endswith(b"\r")
    body = chunk[:-1] if held else chunk
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return body + b"\r" if held else body
