"""Files in folders that a stranger may have prepared: opened without following a link or waiting.

A run folder can come from anywhere: an archive, a repository, another machine. A link in it would
let a command read or write a file of its user, and a pipe would make it wait for ever. So what is
opened must be a plain file of this user with one name, and so must be the folders above it, up to
the one that the user named. Somebody who changes a folder at this very moment runs as this user
already; nothing can be protected from them.
"""

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from swarm.base.files import write_file

_ALWAYS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags of every file. Without O_NONBLOCK, opening a pipe waits for its other end."""
OTHERS_WRITE = 0o022
"""Bits of a mode with which users other than the owner may write."""


class ForeignFileError(OSError):
    """An entry of a folder that is not a plain file of this user."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(errno.ELOOP, words, str(path))


def open_file(folder: Path, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open a file below a folder and return its descriptor. `name` may have folders of its own.

    Raise `ForeignFileError` for a link, a pipe, a device, a file of another user and a file with
    several names; OSError for everything else.
    """
    path = folder / name
    _check_folders(folder, name)
    # Before it is opened, too: opening a device may act on it.
    _check_entry(path)
    try:
        fd = os.open(path, flags | _ALWAYS, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ForeignFileError(path, "it is a link") from error
        raise
    try:
        _check_file(path, os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_private(folder: Path, name: str, most: int = -1) -> bytes:
    """Return the content of a file below a folder, or its first `most` bytes. Raise what `open_file` raises."""
    with os.fdopen(open_file(folder, name), "rb") as file:
        return file.read(most)


def write_private(folder: Path, name: str, content: bytes, *, durable: bool = False) -> None:
    """Write a file below a folder completely or not at all, readable by its owner only.

    A link in the place of the file is replaced, not followed; one in the place of a folder is an
    error. Raise what `open_file` raises.
    """
    _check_folders(folder, name)
    write_file(folder / name, content, durable=durable)


def is_plain_file(folder: Path, name: str) -> bool:
    """Return whether there is a regular file below a folder. A link is not one."""
    try:
        return stat.S_ISREG((folder / name).lstat().st_mode)
    except (OSError, ValueError):
        return False


def is_plain_folder(path: Path) -> bool:
    """Return whether there is a folder at a path. A link to one is not."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def open_to_others(folder: Path) -> str | None:
    """Return why other users may change a folder, in words. None if they may not, or if it does not exist."""
    try:
        found = folder.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return "is a link"
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be written by other users" if found.st_mode & OTHERS_WRITE else None


def _check_folders(folder: Path, name: str) -> None:
    """Raise for folders between `folder` and a file that are not folders of this user. Missing ones are no problem."""
    path = folder
    for part in PurePosixPath(name).parts[:-1]:
        path = path / part
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(found.st_mode):
            raise ForeignFileError(path, "it is not a folder, but a link or a file")
        if found.st_uid != os.geteuid():
            raise ForeignFileError(path, "it belongs to another user")


def _check_entry(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise ForeignFileError(path, "it is a link")
    _check_file(path, found)


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ForeignFileError(path, "it is not a regular file")
    if found.st_uid != os.geteuid():
        raise ForeignFileError(path, "it belongs to another user")
    if found.st_nlink > 1:
        raise ForeignFileError(path, "it has a second name elsewhere (a hard link)")
