"""The journal: the file of a run's events, as JSON lines that are appended and never changed.

A line is one event. Its last key is the CRC-32 of the rest, so a flipped bit is found in its line.
A line is passed to the operating system in one write before anything acts on it, so a killed
process loses nothing. It is made durable by group commit off the event loop, so a power cut loses
at most `SYNC_SECONDS`.

Reading is a linear scan that holds one line at a time. A torn or NUL tail, which a crash leaves, is
reported and cut; any other line that is not an event is refused with its number. A journal is an
untrusted input: a line names no class and no function, fields that are not declared are refused,
and reading one runs nothing.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast
from zlib import crc32

import anyio
import anyio.to_thread
from pydantic import ValidationError

from swarm.base.errors import JournalError
from swarm.base.private import open_file
from swarm.record.events import EVENT, FORMAT, Event, Stamped

SYNC_SECONDS = 0.2
"""Maximum seconds until an event is durable. A group commit costs about 14 µs per event, single commits about 400."""
NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""Errors of files that cannot be made durable at all, such as devices and those of some network disks."""
LINE_BYTES = 64 * 1024 * 1024
"""Maximum bytes of a line that is read: far more than any event has, far less than any memory."""


def encode(event: Stamped) -> bytes:
    """Return an event as a line of a journal."""
    body = event.model_dump_json(by_alias=True).encode("utf-8", "replace")
    return b'%s,"crc":"%08x"}\n' % (body[:-1], crc32(body))


class Journal:
    """A journal open for writing. One process at a time: see `swarm.record.folder` for the lock."""

    def __init__(self, path: Path, clean: Callable[[str], str] = str, *, opened: int | None = None) -> None:
        """Open the journal at a path, or write to `opened`, its descriptor."""
        self.path = path
        self.clean = clean
        """Removes secrets from a text."""
        if opened is None:
            opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._fd = opened
        self._dirty = anyio.Event()
        self._broken = ""
        """Why no more events are accepted."""
        self._written = 0
        self.synced = 0
        """Events of this process that are durable."""

    def append(self, event: Stamped) -> Stamped:
        """Pass one event to the operating system, and return it as it was written: without secrets.

        Raise `JournalError` if it cannot be written completely. After an error the journal accepts no more events, so a
        torn line is never followed by another.
        """
        if self._broken:
            raise JournalError(self._broken)
        event, line = self._cleaned(event)
        start = os.fstat(self._fd).st_size
        try:
            if not self.path.exists():
                raise FileNotFoundError(2, "the run folder was deleted")
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError as error:
            self._broken = self._refused("cannot write the journal", error)
            with suppress(OSError):
                os.ftruncate(self._fd, start)
            raise JournalError(self._broken) from error
        self._written += 1
        self._dirty.set()
        return event

    def _cleaned(self, event: Stamped) -> tuple[Stamped, bytes]:
        if self.clean is str:
            return event, encode(event)
        written = event.model_dump_json(by_alias=True)
        cleaned = self.clean(written)
        if cleaned != written:
            event = EVENT.validate_json(cleaned)
        return event, encode(event)

    async def keep_synced(self) -> None:
        """Make events durable in groups, until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty = anyio.Event()
            written = self._written
            # Cancellation waits here for a sync that has begun, so `close` never closes a file in use.
            try:
                await anyio.to_thread.run_sync(os.fdatasync, self._fd)
            except OSError as error:
                if error.errno not in NO_SYNC:
                    # What the system could not store may be lost: no event may follow it.
                    self._broken = self._broken or self._refused("cannot make the journal durable", error)
                    return
            self.synced = written
            await anyio.sleep(SYNC_SECONDS / 2)

    def _refused(self, words: str, error: OSError) -> str:
        return (
            f"{self.path}: {words}: {error.strerror}; all lines written so far are valid\n"
            "hint: fix that, for example free disk space, then run `swarm resume`"
        )

    def close(self) -> None:
        """Make everything durable and close the file."""
        if self._fd >= 0:
            try:
                with suppress(OSError):  # a device, or a removed disk: `append` raised the error when it mattered
                    os.fsync(self._fd)
            finally:
                os.close(self._fd)
                self._fd = -1


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a journal one by one, without a torn tail.

    Raise `JournalError` with the line if the format is newer, or if anything but the tail is damaged.
    """
    for event, _ in scan(path):
        yield event


def cut_tail(path: Path, length: int) -> str | None:
    """Cut off what follows the complete lines of a journal before more lines are appended.

    `length` is the number of bytes of the complete lines, from a read by the process that owns the run. Return a
    warning if a tail was cut off, else None.
    """
    try:
        fd = open_file(path.parent, path.name, os.O_RDWR)
        with os.fdopen(fd, "r+b") as file:
            size = os.fstat(fd).st_size
            if size == length:
                return None
            file.truncate(length)
            os.fsync(fd)
    except OSError as error:
        raise JournalError(f"{path}: cannot cut the torn end of the journal: {error.strerror}") from error
    return f"{path}: the last {size - length} bytes were torn by a crash and have been cut"


def scan(path: Path) -> Iterator[tuple[Event, int]]:
    """Yield each event of a journal with the offset of the byte after its line. Raise what `read` raises."""
    end, number = 0, 0
    try:
        file = os.fdopen(open_file(path.parent, path.name), "rb")
    except OSError as error:
        raise JournalError(f"{path}: cannot read the journal: {error.strerror}") from error
    with file:
        while line := file.readline(LINE_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                if len(line) == LINE_BYTES:
                    raise JournalError(f"{path}: line {number} is longer than {LINE_BYTES} bytes")
                return
            try:
                event = decode(line, number)
            except JournalError as error:
                if not line.strip(b"\0\n"):
                    rest = file.read(LINE_BYTES)
                    if not rest.strip(b"\0\n"):
                        return
                raise JournalError(f"{path}: line {number}: {error}; the file is unchanged") from error
            end += len(line)
            yield event, end


def decode(line: bytes, number: int) -> Event:
    """Return the event in a line of a journal. Raise `JournalError` if it is not that event."""
    body = line[:-1]
    if body[-18:-10] == b',"crc":"' and body.endswith(b'"}'):
        crc, body = body[-10:-2], body[:-18] + b"}"
        if b"%08x" % crc32(body) != crc:
            raise JournalError("the line was changed after it was written (its checksum differs)")
    if number == 1:
        _check_format(body)
    try:
        event = EVENT.validate_json(body)
    except (ValidationError, RecursionError) as error:
        raise JournalError("this is not an event of this version") from error
    if event.seq != number:
        raise JournalError(f"event {event.seq} is out of order; expected event {number}")
    return event


def _check_format(body: bytes) -> None:
    try:
        first = cast("dict[str, object]", json.loads(body))
        newer, known = first["format"], first["event"] == "RunStarted"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalError("a journal begins with a RunStarted event") from error
    if not known:
        raise JournalError("a journal begins with a RunStarted event")
    if not isinstance(newer, int) or newer > FORMAT:
        raise JournalError(
            f"the journal has format {newer}, and this version reads up to {FORMAT}: update local-agent-swarm"
        )
