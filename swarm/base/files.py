"""Files that are written completely or not at all, and folders with a mode of their own."""

import errno
import os
import secrets
import stat
from pathlib import Path


def write_file(path: Path, content: bytes, *, durable: bool = False, mode: int = 0o600, folders: int = 0o700) -> None:
    """Write a file completely or not at all: under another name in its folder, then renamed.

    `durable` waits until the content is on the disk. Missing folders are made with the mode
    `folders`, each of them. Raise OSError, which names the file.
    """
    make_folders(path.parent, folders)
    # Not made of the name of the file: with it, a name that is nearly too long would be too long.
    temporary = path.with_name(f".swarm-{secrets.token_hex(8)}")
    try:
        _write(temporary, content, durable=durable, mode=mode)
        temporary.replace(path)
    except BaseException as error:  # an interrupt, too: no temporary file is left
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def write_named(path: Path, content: bytes) -> None:
    """Write a file that a user named, completely or not at all. Missing folders are made.

    An earlier file keeps its mode, and a link still leads to it. A device or a pipe is written to,
    never replaced. Raise OSError, which names the file, also if an earlier file may not be written.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        write_file(Path(os.path.realpath(path)), content, mode=0o644, folders=0o777)
        return
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)) or path.absolute().is_relative_to("/dev"):
        with path.open("wb") as stream:
            stream.write(content)
        return
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    target = Path(os.path.realpath(path))
    write_file(target, content, mode=stat.S_IMODE(kind) & 0o777)


def _write(path: Path, content: bytes, *, durable: bool, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(fd)


def make_folders(path: Path, mode: int = 0o700) -> None:
    """Make a folder and the missing ones above it, each with the mode.

    A mode given to `mkdir(parents=True)` reaches the last folder only.
    """
    missing: list[Path] = []
    wanted = path
    while not path.is_dir() and path != path.parent:
        if path.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(wanted))
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=mode, exist_ok=True)
