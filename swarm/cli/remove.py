"""`swarm rm`: remove runs."""

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import ApprovalNeededError, RunInUseError, SwarmError, TaskError
from swarm.base.text import listing
from swarm.cli import options as o
from swarm.cli.streams import is_terminal, message, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swarm.record.folder import RunFolder

NAMED = 5
"""Runs that the question names; the others are counted."""
_AGE = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="Run: id, start of an id, folder, or `last`. Repeatable.", show_default=False),
]
Older = Annotated[
    str | None,
    typer.Option("--older", metavar="AGE", help="Remove runs that ended longer ago: 30d, 12h, 2w. [default: none]"),
]
Keep = Annotated[
    int | None,
    typer.Option(
        "--keep",
        metavar="N",
        callback=o.at_least(0),
        help="Remove all runs but the newest N. With --older: only older ones. [default: none]",
        show_default=False,
    ),
]


def rm(runs: Runs = None, older: Older = None, keep: Keep = None, yes: o.Yes = False, folder: o.Runs = None) -> int:
    """Remove runs with their reports and outputs.

    Asks first on a terminal. A run in use is never removed. Files that `output:` wrote and the
    cache stay.
    """
    where = o.runs_folder(folder)
    chosen = _named(where, runs) if runs else _chosen(where, older, keep)
    if runs and (older is not None or keep is not None):
        raise TaskError("name runs, or choose them with --older and --keep; not both")
    if not chosen:
        say("note: no run to remove")
        return 0
    if not yes and not _is_approved(chosen):
        say("nothing was removed")
        return 1
    return _removed(chosen, are_named=bool(runs))


def _named(where: "Path", names: "Sequence[str]") -> "list[RunFolder]":
    """Return the runs with these names, each once."""
    from swarm.record.folder import find

    return list({found.path.resolve(): found for found in (find(name, where) for name in names)}.values())


def _chosen(where: "Path", older: str | None, keep: int | None) -> "list[RunFolder]":
    """Return the runs that are neither new nor young, oldest first. Raise `TaskError` without a choice."""
    if older is None and keep is None:
        raise TaskError("no run is named\nhint: list the runs with `swarm runs`, then `swarm rm RUN`")
    from swarm.base.clock import wall_clock
    from swarm.record.folder import listed

    found = sorted(listed(where), key=_ended)
    if keep is not None:
        found = found[: max(0, len(found) - keep)]
    if older is not None:
        limit = wall_clock() - _seconds(older)
        found = [each for each in found if _ended(each) < limit]
    return found


def _ended(folder: "RunFolder") -> float:
    """Return the time of the last event of a run."""
    return folder.journal.lstat().st_mtime


def _seconds(age: str) -> float:
    match = _AGE.fullmatch(age)
    if match is None:
        raise TaskError(f"--older: invalid age `{age[:20]}`\nhint: write a number and s, m, h, d or w: 30d")
    return int(match[1]) * _SECONDS[match[2]]


def _is_approved(chosen: "Sequence[RunFolder]") -> bool:
    """Ask on the terminal whether to remove runs. Raise `ApprovalNeededError` if there is none."""
    from swarm.views.words import counted, size

    names = listing((each.run for each in chosen), NAMED)
    what = f"{counted(len(chosen), 'run')} ({size(sum(each.size() for each in chosen))}): {names}"
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise ApprovalNeededError(f"not removed, because stdin is not a terminal: {what}\nhint: remove with --yes")
    say(f"Remove {what}")
    say("The outputs in these folders are lost. Remove? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _removed(chosen: "Sequence[RunFolder]", *, are_named: bool) -> int:
    """Remove runs one after the other. Raise the first error of a named one; skip the others with a warning."""
    from swarm.views.words import counted, size

    count = freed = 0
    for each in chosen:
        try:
            each.acquire()
            freed += each.remove()
            count += 1
        except (SwarmError, OSError) as error:
            if are_named or not isinstance(error, RunInUseError):
                raise
            say(message("warning", f"kept: {error}"))
        finally:
            each.release()
    say(f"removed {counted(count, 'run')} ({size(freed)})")
    return 0
