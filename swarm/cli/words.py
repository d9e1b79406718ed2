"""Paths, limits and next commands, as commands print them."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.cli.options import RUNS

if TYPE_CHECKING:
    from swarm.spec.task import Limits


def limits_line(limits: "Limits") -> str:
    """Return the limits in force in one line."""
    given: dict[str, float | str | None] = limits.model_dump()
    return ", ".join(f"{name} {_shown(value)}" for name, value in given.items() if value is not None)


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def shown_path(path: Path) -> str:
    """Return a path relative to the current folder if it is below, else the whole path."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


def name_of(folder: Path) -> str:
    """Return how a command finds a run from here: by its id if that is enough, else by its folder."""
    return folder.name if _is_here(folder) else shlex.quote(shown_path(folder))


def resume_command(folder: Path, *more: str) -> str:
    """Return the command that resumes a run."""
    return " ".join(("swarm resume", name_of(folder), *more))


def show_command(folder: Path) -> str:
    """Return the command that shows the run that has just ended."""
    return "swarm show last" if _is_here(folder) else f"swarm show {name_of(folder)}"


def report_command(folder: Path) -> str:
    """Return the command that writes the page of the run that has just ended."""
    return "swarm report last" if _is_here(folder) else f"swarm report {name_of(folder)}"


def _is_here(folder: Path) -> bool:
    return folder.parent.resolve() == Path(RUNS).resolve()
