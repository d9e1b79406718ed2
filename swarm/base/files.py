"""Write files whole or not at all."""

import os
import secrets
from pathlib import Path


def write_file(path: Path, content: bytes, *, durable: bool = False, mode: int = 0o600) -> None:
    """Write a file whole or not at all: beside it first, then renamed over it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(fd)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
