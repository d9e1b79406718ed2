"""The scratch folder of an attempt: files are written and collected part by part below its descriptor.

A link in it, or one that is put there between a check and the use, leads nowhere: no part of a path
is ever followed as a link. A hard link cannot be told from a file.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from swarm.base.beneath import open_beneath
from swarm.base.errors import ToolError
from swarm.base.text import clip

MOST_FILES = 256
"""Maximum files that a step may leave."""
MOST_FILE_BYTES = 32_000_000
"""Maximum bytes of one of them."""
MOST_BYTES = 256_000_000
"""Maximum bytes of all of them."""
MOST_PARTS = 16
"""Maximum parts of a name."""
NAME_BYTES = 255
"""Maximum bytes of a part of a name: the limit of common file systems."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def checked_name(name: str) -> str:
    """Return a relative name in its plain form. Raise `ToolError` for a name that leads out of the folder."""
    parts = name.split("/")
    if len(parts) > 1 and parts[0] == ".":
        parts = parts[1:]
    is_odd = any(part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > NAME_BYTES for part in parts)
    if is_odd or not name.isprintable() or len(parts) > MOST_PARTS or "\\" in name:
        raise ToolError(f"{clip(name)!r} is no name of a file here: use a relative one, such as notes/a.md")
    return "/".join(parts)


def write_scratch(folder: Path, name: str, content: bytes) -> None:
    """Write a file below a folder, completely or not at all. Raise `ToolError`."""
    *above, last = PurePosixPath(checked_name(name)).parts
    at = os.open(folder, _FOLDER)
    try:
        for part in above:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=at)
            inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        _replace(at, last, content)
    except OSError as error:
        raise ToolError(f"{clip(name)} cannot be written: {error.strerror}") from error
    finally:
        os.close(at)


def _replace(folder: int, name: str, content: bytes) -> None:
    """Write a file into an open folder under another name and rename it: a link in its place is replaced."""
    new = f".{secrets.token_hex(8)}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(new, dir_fd=folder)
        raise


def read_scratch(folder: Path, name: str) -> bytes:
    """Return the content of a file below a folder. Raise `ToolError`."""
    try:
        fd = open_beneath(folder, checked_name(name))
    except OSError as error:
        raise ToolError(f"{clip(name)} cannot be read: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        content = file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise ToolError(f"{clip(name)} has more than {MOST_FILE_BYTES:,} bytes")
    return content


def is_there(folder: Path, name: str) -> bool:
    """Return whether `names_in` has a name, without looking at all others."""
    if any(part.startswith(".") for part in name.split("/")):
        return False
    try:
        os.close(open_beneath(folder, name))
    except OSError:
        return False
    return True


def names_in(folder: Path) -> list[str]:
    """Return the regular files below a folder, sorted: neither links nor hidden files."""
    at = os.open(folder, _FOLDER)
    try:
        return sorted(_walked(at, "", MOST_PARTS))
    finally:
        os.close(at)


def _walked(at: int, prefix: str, depth: int) -> Iterator[str]:
    for name in sorted(os.listdir(at)):
        if name.startswith("."):
            continue
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            yield prefix + name
        elif stat.S_ISDIR(found.st_mode) and depth > 1:
            inner = os.open(name, _FOLDER, dir_fd=at)
            try:
                yield from _walked(inner, f"{prefix}{name}/", depth - 1)
            finally:
                os.close(inner)


def collected(folder: Path) -> dict[str, bytes]:
    """Return what a step leaves: its files within the limits, by name. What cannot be read is left out."""
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    for name in names_in(folder)[:MOST_FILES]:
        with suppress(ToolError):
            content = read_scratch(folder, name)
            if len(content) <= left:
                found[name] = content
                left -= len(content)
    return found
