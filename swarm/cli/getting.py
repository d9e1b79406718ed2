"""`swarm models get`: download a model for this machine."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.streams import answer, answer_json, is_terminal, redraw, say

if TYPE_CHECKING:
    from swarm.local_models.names import Fetched

MODELS = "~/.cache/local-agent-swarm/models"
EXAMPLE = "bartowski/SmolLM2-360M-Instruct-GGUF:Q4_K_M"
LINE_EVERY = 10
"""Per cent between two lines of progress if stderr is not a terminal."""


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="smollm2, or OWNER/REPO:QUANT of Hugging Face (also its URL, a file for QUANT, @REVISION).",
        show_default=False,
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="DIR", help=f"Folder of downloaded models. [default: {MODELS}]"),
]


def get(name: Name = None, to: To = None, as_json: o.AsJson = False) -> int:
    """Download a model that runs on this machine.

    Use it with `--endpoint local:NAME`, or with `endpoint: local:NAME` in a task. Without NAME, known
    and downloaded models are listed. To continue an interrupted download, run the command again.
    """
    from swarm.local_models.hub import hub_of
    from swarm.local_models.names import fetch, fetched, models_folder

    folder = Path(to) if to is not None else models_folder(os.environ)
    if name is None:
        return _list(fetched(folder), folder, as_json=as_json)
    meter = DownloadMeter(terminal=is_terminal(sys.stderr))
    try:
        found = fetch(name, folder, say=meter.say, progress=meter, hub=hub_of(os.environ))
    finally:
        meter.end()
    if as_json:
        answer_json({"name": found.name, "path": str(found.path), "size": found.size})
    else:
        answer(str(found.path))
        endpoint = f"local:{found.name if to is None else found.path.absolute()}"
        say(f'next: swarm run --goal "…" --endpoint {shlex.quote(endpoint)}')
    return 0


def _list(there: "tuple[Fetched, ...]", folder: Path, *, as_json: bool) -> int:
    from swarm.local_models.names import KNOWN

    whole = [each for each in there if each.name]
    incomplete = [each for each in there if not each.name]
    if as_json:
        known = [{"name": each.name, "size": each.size, "about": each.about} for each in KNOWN]
        rows = [{"name": each.name, "path": str(each.path), "size": each.size} for each in whole]
        unfinished = [{"path": str(each.path), "size": each.size} for each in incomplete]
        answer_json({"known": list(known), "fetched": list(rows), "unfinished": list(unfinished)})
        return 0
    lines = ["Models to download with `swarm models get NAME`:"]
    lines += [f"  {each.name}  {_mb(each.size)}  {each.about}" for each in KNOWN]
    lines += [f"  OWNER/REPO:QUANT of Hugging Face, for example {EXAMPLE}", ""]
    answer("\n".join([*lines, *_downloaded(there, folder)]))
    return 0


def _downloaded(there: "tuple[Fetched, ...]", folder: Path) -> Iterator[str]:
    """List the downloaded models, the incomplete ones last."""
    yield f"Downloaded to {folder}:" if there else f"No models downloaded yet (folder: {folder})"
    for each in sorted(there, key=lambda each: not each.name):
        yield f"  {each.name or '(incomplete)'}  {_mb(each.size)}  {each.path}"


class DownloadMeter:
    """Progress of a download: on a terminal one line that changes, else a line per 10 %."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._shown = 0
        self._open = False

    def __call__(self, there: int, total: int) -> None:
        """Show how many bytes are there, if the shown figure changes."""
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
        """Print a line below the one that changes."""
        self.end()
        say(text)

    def end(self) -> None:
        """End the line that changes."""
        if self._open:
            self._open = False
            say("")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
