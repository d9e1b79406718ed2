"""The report as files: in the run's folder, and where the task's `output:` says."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.base.errors import SwarmError
from swarm.base.files import write_named
from swarm.base.private import read_private, write_private
from swarm.exports.content import FORMS, TABLES, content, nothing
from swarm.results.result import Result
from swarm.results.table import FILE

REPORT = "report.md"
"""Name of the report in the run's folder."""
OUTPUTS = "outputs"
"""Name of the list of the files that a run wrote elsewhere, in the run's folder: a path per line."""
MOST_OUTPUTS = 1_000_000
"""Maximum bytes of that list that are read."""
REPLACED = "replaced"
"""Folder of the files that the outputs of a run replaced, in the run's folder."""


@dataclass(frozen=True)
class Written:
    """A result after its outputs were written."""

    result: Result
    notes: tuple[str, ...] = ()
    """Notes for people: files that were replaced."""


def write_outputs(result: Result, paths: Iterable[Path]) -> Written:
    """Write the report to the run's folder and to these files. Never raise: the report is made.

    A file that is replaced is kept in the run's folder. What cannot be written is in `unwritten` of
    the result.
    """
    if result.report is None and result.merged is None:
        return Written(result)
    with suppress(OSError):  # the journal has it, too
        if result.report is not None:
            write_private(result.folder, REPORT, content(result, "md"))
        if result.merged is not None:
            write_private(result.folder, FILE, content(result, "csv"))
    notes: list[str] = []
    unwritten: list[str] = []
    paths = tuple(paths)
    _list(paths, result.folder)
    for path in paths:
        form = FORMS[path.suffix]
        try:
            made = content(result, form, place=path)
        except SwarmError as error:  # without its journal there is no page
            unwritten.append(f"{path} was not written: {error}")
            continue
        if not made:
            unwritten.append(f"{path} was not written: {nothing(form)}")
            continue
        try:
            kept = _kept(path, made, result.folder)
            write_named(path, made)
        except OSError as error:
            where = result.folder / (FILE if form in TABLES else REPORT)
            unwritten.append(
                f"cannot write {path}: {error.strerror or error}; the report is in {where}\n"
                f"hint: fix that, then copy it: cp {where} {path}"
            )
            continue
        notes += [] if kept is None else [f"{path} was replaced; the earlier file is in {kept}"]
    return Written(replace(result, unwritten=tuple(unwritten)), tuple(notes))


def _list(paths: Sequence[Path], folder: Path) -> None:
    """Write down which files a run is about to write."""
    with suppress(OSError):
        if paths:
            write_private(folder, OUTPUTS, b"".join(os.fsencode(path.resolve()) + b"\n" for path in paths))


def wrote(folder: Path, path: Path) -> bool:
    """Return whether the run in a folder wrote a file, by its list, or else by what is in the file."""
    with suppress(OSError):
        return os.fsencode(path.resolve()) in read_private(folder, OUTPUTS, MOST_OUTPUTS).splitlines()
    with suppress(OSError):  # a run of an earlier version has no list
        return path.read_bytes() == read_private(folder, REPORT)
    return False


def _kept(path: Path, content: bytes, folder: Path) -> Path | None:
    """Keep the file that is about to be replaced, unless it has the same content. Return where.

    Of several files that one run replaces under a name, the first is kept: the others are its own.
    """
    kept = folder / REPLACED / path.name
    if os.path.lexists(kept):
        return None
    try:
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return None
    except FileNotFoundError:
        return None
    write_private(folder, f"{REPLACED}/{path.name}", path.read_bytes())
    return kept
