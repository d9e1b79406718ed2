"""`swarm models get`: a model for this machine fetched, and what was."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.cli.streams import answer, answer_json, is_terminal, redraw, say
from swarm.errors import TaskError

if TYPE_CHECKING:
    from swarm.endpoints.local.files import Fetched

LINE_EVERY = 10
"""Per cent between two lines of progress where nobody watches a terminal."""


def get(names: list[str], to: str | None, *, as_json: bool) -> int:
    """Fetch a model by its name; without one, list those that are known and those that are there."""
    from swarm.endpoints.local.files import fetch, fetched, models_folder
    from swarm.endpoints.local.hub import hub_of

    folder = Path(to) if to is not None else models_folder(os.environ)
    if not names:
        return _list(fetched(folder), folder, as_json=as_json)
    if len(names) > 1:
        raise TaskError("one model at a time: `swarm models get NAME`")
    meter = Meter(terminal=is_terminal(sys.stderr))
    try:
        found = fetch(names[0], folder, say=meter.say, progress=meter, hub=hub_of(os.environ))
    finally:
        meter.end()
    if as_json:
        answer_json({"name": found.name, "path": str(found.path), "size": found.size})
    else:
        answer(str(found.path))
        say(f"use it: swarm run --goal … --endpoint local:{found.name if to is None else found.path.absolute()}")
    return 0


def _list(there: "tuple[Fetched, ...]", folder: Path, *, as_json: bool) -> int:
    from swarm.endpoints.local.files import KNOWN

    whole, broken = [each for each in there if each.name], [each for each in there if not each.name]
    if as_json:
        known = [{"name": each.name, "size": each.size, "about": each.about} for each in KNOWN]
        rows = [{"name": each.name, "path": str(each.path), "size": each.size} for each in whole]
        unfinished = [{"path": str(each.path), "size": each.size} for each in broken]
        answer_json({"known": list(known), "fetched": list(rows), "unfinished": list(unfinished)})
        return 0
    lines = ["to fetch, with `swarm models get NAME`:"]
    lines += [f"  {each.name}  {_mb(each.size)}  {each.about}" for each in KNOWN]
    lines += ["  OWNER/REPO:QUANT of Hugging Face, for example bartowski/SmolLM2-360M-Instruct-GGUF:Q4_K_M", ""]
    lines += [f"fetched, in {folder}:" if there else f"nothing was fetched yet; it would be kept in {folder}"]
    lines += [f"  {each.name}  {_mb(each.size)}  {each.path}" for each in whole]
    lines += [f"  (not finished)  {_mb(each.size)}  {each.path}" for each in broken]
    answer("\n".join(lines))
    return 0


class Meter:
    """Says how far a download is: one line that changes on a terminal, else a line now and then."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._shown = 0
        self._open = False

    def __call__(self, there: int, total: int) -> None:
        """Say how many bytes are there, where that shows."""
        percent = 100 * there / total
        step = int(percent * 10) if self._terminal else int(percent // LINE_EVERY)
        if step == self._shown:
            return
        self._shown = step
        text = f"{percent:.1f} % ({there / 1e6:,.1f} of {total / 1e6:,.1f} MB)"
        if self._terminal:
            redraw(text)
            self._open = True
        else:
            say(text)

    def say(self, text: str) -> None:
        """Say a line, below the one that changes."""
        self.end()
        say(text)

    def end(self) -> None:
        """Leave the line that changes."""
        if self._open:
            self._open = False
            say("")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
