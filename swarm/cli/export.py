"""`swarm export`: results and traces of a run for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.base.errors import Problem, TaskError
from swarm.cli import options as o
from swarm.cli.failures import NO_REPORT, say_error
from swarm.cli.streams import answer, answer_bytes, answer_escaped, is_terminal, say
from swarm.cli.words import shown_path
from swarm.record.folder import JOURNAL

if TYPE_CHECKING:
    from swarm.exports.formats import Export
    from swarm.record.folder import RunFolder
    from swarm.record.state import State

FORMAT_NAMES = "csv, jsonl, json, xlsx, md, html, chrome, otlp"

Step = Annotated[
    str | None, typer.Option("--step", metavar="ID", help="Step whose output is written. [default: the whole run]")
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help=f"Format. [names: {FORMAT_NAMES}] [default: from the ending of -o, else csv for rows, else md]",
    ),
]


def export(
    run: o.LastRun = "last",
    step: Step = None,
    form: Format = None,
    out: o.Out = None,
    otlp: o.Otlp = None,
    folder: o.Runs = None,
) -> int:
    """Write the results or a trace of a run.

    csv, jsonl and xlsx have the table of the run; without one, the items of its last list of steps
    with their outputs. json has everything, md the report, html the page of `swarm report`, chrome
    a trace for ui.perfetto.dev, and otlp the run as OpenTelemetry spans, which --otlp sends to a
    collector. With --step, the output of one step.
    """
    from swarm.cli.reading import exported
    from swarm.exports.formats import BINARY
    from swarm.record.folder import find

    where = find(run, o.runs_folder(folder))
    if otlp is not None:
        if any(each is not None for each in (step, form, out)):
            raise TaskError("--otlp sends the whole run\nhint: remove --step, --format and -o")
        return _send(where, otlp)
    path = None if out is None or out == o.STDOUT else Path(out)
    made = exported(where, step)
    name = _chosen(form, path) or made.usual
    if name in BINARY and (out is None or (path is None and is_terminal(sys.stdout))):
        raise TaskError(f"--format {name} is not text\nhint: name a file with -o FILE.{name}")
    content = made.content(name, place=path)
    _note(made)
    if path is None:
        _print(content, name)
    else:
        write_result(path, content, made.found.state)
    return 0


def _note(made: "Export") -> None:
    """Say that a run has not ended, so that nobody takes a part for the whole."""
    from swarm.cli.reading import RUNNING, STOPPED

    if made.status in (RUNNING, STOPPED):
        say(f"note: run {made.result.run} is {made.status}: this is what it has so far")


def _send(where: "RunFolder", url: str) -> int:
    """Send the spans of a run to a collector. Return 1 if it does not take all of them."""
    from swarm.exports.otlp import Destination, send_run
    from swarm.record.recorded import recorded

    done = send_run(recorded(where), Destination(url))
    if done.problem:
        say_error(done.problem)
        return NO_REPORT
    say(f"sent {done.sent:,} spans to {done.url}")
    return 0


def _chosen(form: str | None, out: Path | None) -> str | None:
    """Return the format that the options name, or None. Raise `TaskError` for an unknown one."""
    from swarm.exports.content import FORMS
    from swarm.exports.formats import FORMATS
    from swarm.spec.yaml.explain import meant

    if form is None:
        ending = "" if out is None else out.suffix.lower()
        if ending in ("", ".txt") or ending in FORMS:
            return FORMS.get(ending)
        wrong = f"unknown ending `{ending[:40]}`\nhint: use one of {', '.join(FORMS)}, or add --format NAME"
        raise TaskError(Problem(wrong, key="-o"))
    if form in FORMATS:
        return form
    wrong = f"unknown format `{form[:40]}`{meant(form, FORMATS)}\nhint: choose one of {', '.join(FORMATS)}"
    raise TaskError(Problem(wrong, key="--format"))


def _print(content: bytes, form: str) -> None:
    """Print an export: text has LF as line end and no byte order mark, which are for files."""
    from swarm.exports.formats import BINARY

    if form in BINARY:
        answer_bytes(content)
        return
    text = content.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")
    if form in ("csv", "md", "html"):
        answer(text)
    else:
        answer_escaped(text if text.endswith("\n") else f"{text}\n")


def write_result(path: Path, content: bytes, state: "State") -> None:
    """Write a file that the user named, and print its name. Raise `TaskError` if it may not be replaced, or cannot."""
    from swarm.base.files import write_named

    _check_target(path, state)
    is_new = not path.exists()
    try:
        write_named(path, content)
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error.strerror}") from None
    say(f"{'wrote' if is_new else 'replaced'} {shown_path(path)} ({len(content):,} bytes)")


def _check_target(path: Path, state: "State") -> None:
    """Raise `TaskError` for a file that a run is made of: its task, an input, or its record."""
    if path.is_dir():
        raise TaskError(Problem(f"{path} is a folder\nhint: name a file in it", key="-o"))
    first = state.first
    place = Path("" if first is None else first.folder)
    sources = [] if first is None else [first.source, *(str(place / each.name) for each in first.inputs)]
    if any(source and _is_same(path, Path(source)) for source in sources):
        raise TaskError(Problem(f"{path} is an input or the task of the run\nhint: choose another name", key="-o"))
    if any((above / JOURNAL).exists() for above in path.resolve().parents):
        raise TaskError(Problem(f"{path} is in the folder of a run\nhint: choose another folder", key="-o"))


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return path.resolve() == other.resolve()
