"""Follow the journal of a run while it is written."""

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

from swarm.errors import SwarmError


class Events:
    """Follows a journal while it is written, from a thread of its own: a slow reader holds back no run.

    It re-reads the file from where it was, and hands on whole lines only.
    """

    def __init__(self, journal: Path, start: int, take: "Callable[[list[bytes]], None]") -> None:
        """Follow a journal from a byte on; `take` is given its lines, and runs in the thread."""
        self._journal = journal
        self._start = start
        self._take = take
        self._look = Event()
        self._ended = False
        self._error: SwarmError | None = None
        self._thread = Thread(target=self._follow, name="events", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Look whether there is more."""
        self._look.set()

    def close(self) -> None:
        """Wait until all is taken: the journal is complete. Raises `SwarmError` if it could not be."""
        self._ended = True
        self._look.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _follow(self) -> None:
        try:
            with self._journal.open("rb") as file:
                file.seek(self._start)
                self._read(file)
        except SwarmError as error:
            self._error = error

    def _read(self, file: BinaryIO) -> None:
        rest, last = b"", False
        while not last:
            self._look.wait()
            self._look.clear()
            last = self._ended
            while chunk := file.read(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    self._take(lines)


def without_checksum(line: bytes) -> str:
    """Give a line of a journal as an event alone."""
    body = line[:-18] + b"}" if line[-18:-10] == b',"crc":"' else line
    return body.decode("utf-8", "replace") + "\n"
