"""The folders of a project that only its owner may change: `.swarm`, its runs and its cache.

The cache believes its entries, and a run is resumed from its folder. Whoever may write to these
folders decides what later runs report.
"""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from swarm.base.errors import Problem, TaskError
from swarm.base.private import is_plain_folder, open_to_others
from swarm.spec.files.outputs import PRIVATE

MODE = 0o700


def levels_of(project: Path) -> tuple[Path, ...]:
    """Return the folders of a project that are private."""
    private = project / PRIVATE
    return (private, private / "cache", private / "runs")


def check_levels(folders: Iterable[Path]) -> None:
    """Raise TaskError for folders that another user owns or may write to, and for links. Missing ones are fine."""
    problems: list[Problem] = []
    for folder in folders:
        because = open_to_others(folder)
        if because is None:
            continue
        name = shlex.quote(str(folder))
        cure = f"allow nobody else to write: chmod 700 {name}"
        if because.endswith("other users"):
            message = f"{because}, who could change what later runs report\nhint: {cure}"
        else:
            message = f"{because}, so it is not used\nhint: remove it: mv {name} {name}.old"
        problems.append(Problem(message, where=str(folder)))
    if problems:
        raise TaskError(*problems)


def close_levels(folders: Iterable[Path]) -> None:
    """Give existing folders mode 0700: earlier versions left some that others can read. Never raise."""
    for folder in folders:
        with suppress(OSError):
            if is_plain_folder(folder) and folder.lstat().st_mode & 0o777 != MODE:
                folder.chmod(MODE)
