"""A lease on what a server changes: while one run calls, no other run on this machine does.

Two processes of one server lose each other's writes, although each of them makes one call at a
time. The lock lies on the files and folders of `writes` themselves, so it holds for each task that
names them, and needs no file of its own.
"""

import errno
import fcntl
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio

from swarm.base.errors import ToolError

LOOK_SECONDS = 0.02
"""Seconds between two looks at a lock that another process holds."""
SHARE = 0.5
"""Part of a call's deadline that it may wait: the rest is for the call."""


@asynccontextmanager
async def leased(paths: Sequence[Path], seconds: float) -> AsyncGenerator[None]:
    """Hold what a server changes. Raise `ToolError` if another run holds it for so long that a call makes no sense."""
    with ExitStack() as stack:
        try:
            with anyio.fail_after(seconds * SHARE):
                for fd in _opened(paths, stack):
                    while not _locked(fd):  # noqa: ASYNC110 - nothing tells the end of a lock without a thread
                        await anyio.sleep(LOOK_SECONDS)
        except TimeoutError:
            words = f"another run has used the server for {seconds * SHARE:g} seconds; the call was not made"
            raise ToolError(words) from None
        yield


def _opened(paths: Sequence[Path], stack: ExitStack) -> list[int]:
    """Open files and folders in one order for all runs, each once, so that no two runs wait for each other."""
    found: dict[tuple[int, int], int] = {}
    for path in paths:
        with suppress(OSError):  # a path that is not there yet is nobody's
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            about = os.fstat(fd)
            found.setdefault((about.st_dev, about.st_ino), fd)
    return [found[key] for key in sorted(found)]


def _locked(fd: int) -> bool:
    """Take a lock if nobody else has it. Where files cannot be locked, there is none to wait for."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR)
    return True
