"""The decision on a plan: run it, edit it first, or do not run it."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from swarm.base.errors import InputError
from swarm.cli.failures import messages_of, say_error
from swarm.cli.plan import Planned
from swarm.cli.streams import say

if TYPE_CHECKING:
    from swarm.lifecycle.prepare import Prepared

PLANS = "plans"
"""Folder of edited plans, next to that of the runs: a resumed run reads its plan again."""
EDITOR = "vi"
"""Editor if neither `VISUAL` nor `EDITOR` is set: POSIX has it."""


@dataclass(frozen=True)
class Edited:
    """An edited plan that is valid."""

    plan: Path
    """Its file."""
    prepared: "Prepared"
    """The run with this plan."""


@dataclass(frozen=True)
class Decision:
    """The answer to the question whether to run a plan."""

    yes: bool
    edited: Edited | None = None
    """The edited plan; None if the plan was not edited."""


def decide(planned: Planned, plans: Path, check: "Callable[[Path], Prepared]") -> Decision:
    """Ask on the terminal until the answer is yes or no. Every answer but yes and `e` (edit) is no.

    `check` reads, lints and shows an edited plan, and raises its errors. An invalid plan is not run; it can be edited
    again.
    """
    text, accepted, is_sound = planned.yaml, None, True
    while True:
        said = _asked("Run this plan? [y/N] (e: edit it first) " if is_sound else "Edit it again? [e/N] ")
        if said in ("y", "yes") and is_sound:
            return Decision(True, accepted)
        if said not in ("e", "edit"):
            return Decision(False)
        edited = _edited(text)
        if edited is None or edited == text:
            say("note: the plan is unchanged")
            continue
        text, path = edited, _kept(edited, plans)
        try:
            accepted = Edited(path, check(path))
            is_sound = True
        except InputError as error:
            is_sound = False
            say_error(*messages_of(error))


def _asked(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower()


def _edited(text: str) -> str | None:
    """Open a text in the editor and return the edited text, or None if the editor failed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or EDITOR
    with TemporaryDirectory(prefix="swarm-") as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            code = subprocess.call([*shlex.split(editor), str(path)])  # noqa: S603 - the editor of the user's environment
            edited = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            say_error(f"cannot run the editor `{editor}`: {error}\nhint: set VISUAL or EDITOR to another editor")
            return None
    if code:
        say_error(f"the editor `{editor}` failed with exit code {code}")
        return None
    return edited


def _kept(text: str, plans: Path) -> Path:
    from swarm.base.private import write_private

    content = text.encode()
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.yaml"
    write_private(plans.parent, f"{plans.name}/{name}", content)
    return plans.resolve() / name
