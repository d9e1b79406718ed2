"""Server-sent events out of bytes, however they are cut: the decoding rules of the HTML standard, with a cap."""

from collections.abc import Iterator
from dataclasses import dataclass

EVENT_BYTES = 8_000_000
"""Most bytes of one event; a server that sends no blank line must not fill the memory."""


class EventTooLargeError(Exception):
    """An event grew over `EVENT_BYTES`."""


@dataclass(frozen=True)
class Sent:
    """One event."""

    name: str
    """Its type; empty where the stream names none."""
    data: bytes


class EventStream:
    """Takes bytes as they come, gives events as they are whole. Comments count as nothing."""

    def __init__(self, *, most: int = EVENT_BYTES) -> None:
        self._most = most
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Sent]:
        """Give the events that a chunk completes; `EventTooLargeError` if one outgrows the cap."""
        chunk = self._rest + chunk if self._rest else chunk
        if b"\r" in chunk:
            held = chunk.endswith(b"\r")  # the other half of a line end may come with the next chunk
            body = (chunk[:-1] if held else chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            chunk = body + b"\r" if held else body
        *lines, self._rest = chunk.split(b"\n")
        for line in lines:
            if not line:
                if self._data:
                    yield Sent(self._name, b"\n".join(self._data))
                self._name, self._data, self._size = "", [], 0
            else:
                self._line(line)
        if self._size + len(self._rest) > self._most:
            raise EventTooLargeError(f"an event over {self._most} bytes")

    def end(self) -> Iterator[Sent]:
        """Give the event that the end of the stream completes: some servers leave out the last blank line."""
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
