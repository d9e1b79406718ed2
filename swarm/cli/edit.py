"""A person's decision on a plan: to run it, to edit it first, or not to run it."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from swarm.cli.plan import Planned
from swarm.cli.streams import say
from swarm.errors import InputError

PLANS = "plans"
"""The folder of edited plans, beside that of runs: a run that is resumed reads its plan from there again."""
EDITOR = "vi"
"""Where neither `VISUAL` nor `EDITOR` names one: POSIX has it."""


@dataclass(frozen=True)
class Decision:
    """What a person said to a plan."""

    yes: bool
    plan: Path | None = None
    """The file of the plan that was edited; None where the plan is to run as it was shown."""


def decide(planned: Planned, plans: Path, check: Callable[[Path], Planned]) -> Decision:
    """Ask on the terminal until the answer is yes or no; anything but yes, or `e` for editing, is no.

    `check` reads and lints an edited plan, shows it, and raises what is wrong. A plan that is wrong is not run: it can
    be edited again.
    """
    text, path, is_sound = planned.yaml, None, True
    while True:
        said = _asked("Run this plan? [y/N] (e: edit it first) " if is_sound else "Edit it again? [e/N] ")
        if said in ("y", "yes") and is_sound:
            return Decision(True, path)
        if said not in ("e", "edit"):
            return Decision(False)
        edited = _edited(text)
        if edited is None or edited == text:
            say("the plan is as it was")
            continue
        text, path = edited, _kept(edited, plans)
        try:
            check(path)
            is_sound = True
        except InputError as error:
            is_sound = False
            for problem in error.problems:
                say(f"error: {problem}")


def _asked(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower()


def _edited(text: str) -> str | None:
    """Give a text as somebody has edited it; None where that failed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or EDITOR
    with TemporaryDirectory(prefix="swarm-") as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            code = subprocess.call([*shlex.split(editor), str(path)])  # noqa: S603 - what the person's environment names
            edited = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            say(f"error: the editor `{editor}` did not work: {error}; VISUAL or EDITOR names another")
            return None
    if code:
        say(f"error: the editor `{editor}` ended with {code}")
        return None
    return edited


def _kept(text: str, plans: Path) -> Path:
    from swarm.base.files import write_file

    content = text.encode()
    path = plans.resolve() / f"{hashlib.sha256(content).hexdigest()[:16]}.yaml"
    write_file(path, content)
    return path
