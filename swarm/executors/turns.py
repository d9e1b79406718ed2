"""Turns at one key: of several equal attempts one runs, in this process or in another, and the others wait.

Whoever gets the turn looks into the cache first, so what the one before it has stored is paid for
once. A failure is not stored: then the next one tries by itself.

In a process a turn is a lock. Between processes it is a lock file next to the entry of the cache.
The kernel unlocks it if its holder dies, however that happens. A file that cannot be locked (no
locks here, a full disk) is no reason to stop: then this process does not wait for others.
"""

import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from swarm.base.files import make_folders
from swarm.base.private import open_file

FIRST_PAUSE = 0.05
"""Seconds before a lock file of another process is tried again: less than any call of a model takes."""
LONGEST_PAUSE = 1.0
"""Maximum seconds between two tries; each pause is twice the one before it."""


@dataclass
class _Queue:
    """The attempts of this process at one key."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: int = 0


class Turns:
    """The turns at the keys of a cache."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def at(self, key: str, lock_file: Path) -> AsyncGenerator[None]:
        """Hold the turn at a key during the block. Wait while somebody else holds it."""
        queue = self._queues.setdefault(key, _Queue())
        queue.waiting += 1
        try:
            async with queue.lock, _locked(lock_file):
                yield
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[key]


@asynccontextmanager
async def _locked(path: Path) -> AsyncGenerator[None]:
    """Hold the lock file during the block, and remove it then."""
    pause = FIRST_PAUSE
    while True:
        try:
            held = _take(path)
        except BlockingIOError:
            # No event tells that another process has ended: this is the one place that has to ask again.
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            break
    try:
        yield
    finally:
        if held is not None:
            _give_back(path, held)


def _give_back(path: Path, held: int) -> None:
    """Remove the lock file, then unlock it: nobody can lock it under its name in between."""
    with suppress(OSError):
        path.unlink()
    os.close(held)


def _take(path: Path) -> int | None:
    """Return the descriptor of the lock file, locked; None if it cannot be locked.

    Raise `BlockingIOError` if another holder has it. A holder removes the file before it unlocks it,
    so what was opened before that may be a file without a name: then the new one is tried.
    """
    while True:
        try:
            make_folders(path.parent)
            held = open_file(path.parent.parent, f"{path.parent.name}/{path.name}", os.O_RDWR | os.O_CREAT)
        except OSError:
            return None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(held), path.lstat()):
                return held
        except BlockingIOError:
            os.close(held)
            raise
        except FileNotFoundError:
            pass
        except OSError:
            os.close(held)
            path.unlink(missing_ok=True)
            return None
        os.close(held)
