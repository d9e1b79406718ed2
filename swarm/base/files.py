"""Files that are written completely or not at all."""

import os
import secrets
from pathlib import Path


def write_file(path: Path, content: bytes, *, durable: bool = False, mode: int = 0o600) -> None:
    """Write a file completely or not at all: under another name in its folder, then renamed.

    `durable` waits until the content is on the disk.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(fd)
        temporary.replace(path)
    except BaseException:  # an interrupt, too: no temporary file is left
        temporary.unlink(missing_ok=True)
        raise
