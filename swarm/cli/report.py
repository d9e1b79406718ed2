"""`swarm report`: a run as one page of HTML."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from swarm.base.errors import JournalError, Problem, TaskError
from swarm.base.text import clip
from swarm.cli import options as o
from swarm.cli.export import write_result
from swarm.cli.streams import answer, say
from swarm.cli.words import shown_path

Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def report(run: o.LastRun = "last", out: o.Out = None, show: Open = False, folder: o.Runs = None) -> int:
    """Write a run as one HTML page.

    The page has the report with its claims, the graph, the use of time and money, and every step.
    It is one file that loads nothing and works without scripts. Without -o it is report.html in
    the run's folder. Prints the path of the page.
    """
    from swarm.cli.reading import exported
    from swarm.exports.content import PAGE
    from swarm.record.folder import find

    if out is not None and out != o.STDOUT:
        _check_ending(out)
    where = find(run, o.runs_folder(folder))
    made = exported(where)
    if out == o.STDOUT:
        answer(made.content("html").decode())
        return 0
    if out is None:
        path = where.path / PAGE
        try:
            where.write(PAGE, made.content("html").decode())
        except OSError as error:
            raise JournalError(f"cannot write {path}: {error.strerror or error}\nhint: name a file with -o") from error
    else:
        path = Path(out)
        write_result(path, made.content("html", place=path), made.found.state)
    answer(shown_path(path))
    if show:
        _open(path)
    return 0


def _check_ending(out: str) -> None:
    """Raise `TaskError` for a file that programs would not open as a page."""
    ending = Path(out).suffix.lower()
    if ending not in ("", ".html", ".htm"):
        wrong = f"swarm report writes HTML, but {clip(out, 200)} ends in {clip(ending, 40)}"
        hint = f"name a file that ends in .html, or use another format: swarm export -o {shlex.quote(out)}"
        raise TaskError(Problem(f"{wrong}\nhint: {hint}", key="-o"))


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        say("note: no browser was found; open the file yourself")
