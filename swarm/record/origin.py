"""Where a run was started: the mark that tells a project's own runs from folders that came from elsewhere.

A run folder is a record and a program: its journal names a task, endpoints, inputs and outputs. So
a run is resumed without a question only where it was started: on this machine, by this user, at
this place. A folder that was cloned, unpacked, moved or copied has no mark for its place.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from swarm.base.private import read_private, write_private
from swarm.base.values import Frozen, canonical

ORIGIN = "origin"
"""Name of the file of the mark."""
MACHINE_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
"""Files with the id of this machine: 128 random bits, which nobody elsewhere knows (machine-id(5))."""
MOST_BYTES = 10_000
"""Maximum bytes of the file of a mark: a path and a hash."""

Origin = Literal["here", "elsewhere", "unknown"]
"""Where a run was started: at its place, at another place, or without a valid mark."""


class _Mark(Frozen):
    place: str
    mark: str


def write_mark(folder: Path) -> None:
    """Mark a run folder as started at its place. Raise OSError if the mark cannot be written."""
    place = str(folder.resolve())
    write_private(folder, ORIGIN, canonical(_Mark(place=place, mark=_mark(folder, place))))


def origin_of(folder: Path) -> Origin:
    """Return where the run in a folder was started. Never raise."""
    try:
        found = _Mark.model_validate_json(read_private(folder, ORIGIN, MOST_BYTES))
        place = str(folder.resolve())
    except (OSError, ValidationError, RecursionError, ValueError):
        return "unknown"
    if found.place != place:
        return "elsewhere"
    return "here" if found.mark == _mark(folder, place) else "unknown"


def _mark(folder: Path, place: str) -> str:
    """Return the mark of a place. Without an id of the machine, the number of the folder on its disk replaces it."""
    machine = _machine() or f"inode {folder.stat().st_ino}"
    return hashlib.sha256("\n".join((machine, str(os.geteuid()), place)).encode("utf-8", "replace")).hexdigest()


def _machine() -> str:
    for path in MACHINE_FILES:
        try:
            found = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if re.fullmatch(r"[0-9a-f]{32}", found):
            return found
    return ""
