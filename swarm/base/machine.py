"""What this machine has: packages, and the limit of open files of this process with the steps that fit it.

Each running step may hold a connection, and a file now and then. macOS allows 256 open files by
default, some services 64.
"""

import resource
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ENOUGH_FILES = 65_536
"""Limit of open files that the command asks for. More helps no run, and some programs close each possible one."""
SPARE_FILES = 24
"""Open files that a run needs apart from its connections: journal, lock, pages, the cache, the event loop."""
OPEN_FILES = (Path("/proc/self/fd"), Path("/dev/fd"))
"""Folders that list the open files of this process."""


def is_installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


def raise_file_limit() -> None:
    """Raise the soft limit of open files of this process, as far as it may. Never raise an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says that there is no hard limit, and accepts 10,240 only.
    for wanted in (ENOUGH_FILES, 10_240):
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft == resource.RLIM_INFINITY or soft >= most:
            return
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return


def file_limit() -> int | None:
    """Return the maximum number of open files of this process, or None if there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class FittingWidth(NamedTuple):
    """How many steps can run in parallel."""

    workers: int
    warning: str | None = None
    """Why it is less than wanted."""


def fitting_width(wanted: int) -> FittingWidth:
    """Return how many of these steps can run in parallel within the limit of open files. At least one."""
    limit = file_limit()
    fitting = wanted if limit is None else max(1, min(wanted, limit - _open_files() - SPARE_FILES))
    if fitting == wanted:
        return FittingWidth(wanted)
    words = f"maximum {fitting} steps run in parallel, not {wanted}: this process may open {limit} files"
    return FittingWidth(fitting, f"{words}\nhint: raise the limit: ulimit -n 4096")


def _open_files() -> int:
    for folder in OPEN_FILES:
        with suppress(OSError):
            return sum(1 for _ in folder.iterdir())
    return SPARE_FILES
