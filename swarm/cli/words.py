"""How a command writes paths, limits, and the commands that come next."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm.task import Limits


def limits_line(limits: "Limits") -> str:
    """Write the limits in force in one line."""
    given: dict[str, float | None] = limits.model_dump()
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:,g}"
        for name, value in given.items()
        if value is not None
    )


def shown_path(path: Path) -> str:
    """Write a path from here where it is below, else in full."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


def name_of(folder: Path) -> str:
    """Write a run so that a command finds it from here: its id where that will do, else its folder."""
    here = folder.parent.resolve() == Path(".swarm/runs").resolve()
    return folder.name if here else shlex.quote(shown_path(folder))


def resume_command(folder: Path, *more: str) -> str:
    """Write the command that goes on with a run."""
    return " ".join(("swarm resume", name_of(folder), *more))
