"""Files below a folder that are opened without leaving it, and files that are opened without waiting.

A path is walked part by part below the descriptor of its folder, and no part may be a link. So a
link that is put there between a check and the opening leads nowhere: there is no check before the
opening, only after it, of what was opened. This refuses links inside of the folder, too.
"""

import errno
import os
import stat
from pathlib import Path, PurePosixPath

_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags of a file. Without O_NONBLOCK, opening a pipe waits for its other end."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotRegularError(OSError):
    """Something that is not a regular file: a folder, a pipe, a socket, a device."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file", path)


def open_beneath(folder: Path, name: str) -> int:
    """Return the descriptor of a regular file below a folder, by its relative name.

    Raise `NotRegularError` for anything else, and OSError for a name that leads through a link, out of the folder, or
    to nothing.
    """
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name or any(part in ("/", "..") for part in parts) or name.startswith("/"):
        raise OSError(errno.EXDEV, "the name leads out of its folder", name[:200])
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        fd = os.open(parts[-1], _FILE | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
    return _regular(fd, name)


def open_regular(path: Path) -> int:
    """Return the descriptor of a regular file at a path that a person wrote; links are followed. Raise OSError."""
    return _regular(os.open(path, _FILE), str(path))


def _regular(fd: int, name: str) -> int:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotRegularError(name)
    return fd
