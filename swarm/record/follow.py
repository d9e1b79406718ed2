"""Follow the journal of a run while it is written."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

from swarm.base.errors import SwarmError
from swarm.base.private import open_file


class Events:
    """Follower of a journal while it is written, in a thread of its own: a slow reader does not slow down a run.

    It continues from the last byte it read, and passes on complete lines only.
    """

    def __init__(self, journal: Path, start: int, take: "Callable[[list[bytes]], None]") -> None:
        """Follow a journal from the byte `start`; `take` receives its lines and runs in the thread."""
        self._journal = journal
        self._start = start
        self._take = take
        self._look = Event()
        self._ended = False
        self._error: SwarmError | None = None
        self._thread = Thread(target=self._follow, name="events", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Wake the follower: the journal may have new lines."""
        self._look.set()

    def close(self) -> None:
        """Pass on the rest of a complete journal, then stop. Raise the `SwarmError` of `take`."""
        self._ended = True
        self._look.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _follow(self) -> None:
        # An error of this thread must not be lost: `close` raises it in the thread of the run.
        try:
            with os.fdopen(open_file(self._journal.parent, self._journal.name), "rb") as file:
                file.seek(self._start)
                self._read(file)
        except SwarmError as error:
            self._error = error

    def _read(self, file: BinaryIO) -> None:
        rest, last = b"", False
        while not last:
            self._look.wait()
            # Clear before reading: a line that is written during the read sets the event again.
            self._look.clear()
            # Read once more after the end was announced, because it may follow the last line.
            last = self._ended
            while chunk := file.read(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    self._take(lines)


def without_checksum(line: bytes) -> str:
    """Return a line of a journal without its checksum."""
    body = line[:-18] + b"}" if line[-18:-10] == b',"crc":"' else line
    return body.decode("utf-8", "replace") + "\n"
