"""The end of a journal that another process writes: its new events, each time somebody looks."""

import os
from typing import Self

from swarm.base.errors import JournalError
from swarm.base.private import open_file
from swarm.record.events import Event
from swarm.record.folder import RunFolder
from swarm.record.journal import LINE_BYTES, decode


class Tail:
    """Reader of the events after those that are known. It only reads, and holds the file open."""

    def __init__(self, folder: RunFolder, start: int, seq: int) -> None:
        """Read after the byte `start` of a journal, whose last event before it has the number `seq`."""
        path = folder.journal
        try:
            self._file = os.fdopen(open_file(path.parent, path.name), "rb")
        except OSError as error:
            raise JournalError(f"{path}: cannot read the journal: {error.strerror or error}") from error
        self._file.seek(start)
        self._path = path
        self._seq = seq
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> list[Event]:
        """Return the new events. Raise `JournalError` for a line that is not the next event."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise JournalError(f"{self._path}: a line is longer than {LINE_BYTES} bytes")
        events: list[Event] = []
        for line in lines:
            self._seq += 1
            try:
                events.append(decode(line + b"\n", self._seq))
            except JournalError as error:
                raise JournalError(f"{self._path}: line {self._seq}: {error}") from error
        return events
