"""The events of a run one by one, while it works: read from its journal, so that a slow reader holds nothing back."""

import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import anyio.lowlevel
from pydantic import ValidationError

from swarm.base.errors import JournalError
from swarm.base.private import open_file
from swarm.record.events import EVENT, Event
from swarm.record.signals import Signals

_CHUNK = 1 << 16


async def stream(
    journal: Path, start: int = 0, *, signals: Signals, over: Callable[[], bool]
) -> AsyncGenerator[tuple[Event, int]]:
    """Yield the events after the byte `start` of a journal, as they are written, until `over` returns true.

    Each comes with the offset of the byte after its line.

    Each reader has its own place in the file: nothing is queued for one that is slow. Raise `JournalError` if the
    journal cannot be read.
    """
    try:
        file = os.fdopen(open_file(journal.parent, journal.name), "rb")
    except OSError as error:
        raise JournalError(f"{journal}: cannot read the journal: {error.strerror or error}") from error
    with file:
        end = file.seek(start)
        rest = b""
        while True:
            # Asked before reading: what is recorded before the end is in the file by then.
            ended = over()
            while chunk := file.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    await anyio.lowlevel.checkpoint()  # a reader that is quick must not hold back the run either
                    end += len(line) + 1
                    yield _event(line, journal), end
            if ended:
                return
            if not over():
                await signals.next_event()


def _event(line: bytes, journal: Path) -> Event:
    """Return the event in a line without its end. The run that wrote it is running: its checksum is not needed."""
    body = line[:-18] + b"}" if line[-18:-10] == b',"crc":"' else line
    try:
        return EVENT.validate_json(body)
    except ValidationError as error:
        raise JournalError(f"{journal}: a line is not an event of this version") from error
