"""The report as files: in the run's folder, and where the task's `output:` says."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic_core import to_json

from swarm.base.files import write_file
from swarm.base.private import write_private
from swarm.exports.table_files import csv_bytes, jsonl_bytes
from swarm.results.result import Result
from swarm.results.table import FILE, Table

REPORT = "report.md"
"""Name of the report in the run's folder."""
REPLACED = "replaced"
"""Folder of the files that the outputs of a run replaced, in the run's folder."""


TABLES: Mapping[str, Callable[[Table], bytes]] = {".csv": csv_bytes, ".jsonl": jsonl_bytes}
"""Writers of a table, by the ending of the file."""


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
            write_private(result.folder, REPORT, _content(result, ".md"))
        if result.merged is not None:
            write_private(result.folder, FILE, _content(result, ".csv"))
    notes: list[str] = []
    unwritten: list[str] = []
    for path in paths:
        content = _content(result, path.suffix)
        if not content:
            unwritten.append(f"{path} was not written: {_nothing(path)}")
            continue
        try:
            kept = _kept(path, content, result.folder)
            write_file(path, content, mode=0o644, folders=0o777)
        except OSError as error:
            where = result.folder / (FILE if path.suffix in TABLES else REPORT)
            unwritten.append(
                f"cannot write {path}: {error.strerror or error}; the report is in {where}\n"
                f"hint: fix that, then copy it: cp {where} {path}"
            )
            continue
        notes += [] if kept is None else [f"{path} was replaced; the earlier file is in {kept}"]
    return Written(replace(result, unwritten=tuple(unwritten)), tuple(notes))


def _content(result: Result, suffix: str) -> bytes:
    """Return the bytes of an output file with this ending. Empty if the run has nothing for it."""
    if suffix in TABLES:
        return b"" if result.merged is None else TABLES[suffix](result.merged)
    if result.report is None:
        return b""
    return to_json(result.to_dict(), indent=2) + b"\n" if suffix == ".json" else result.text.encode("utf-8", "replace")


def _nothing(path: Path) -> str:
    if path.suffix in TABLES:
        return "no step of the run gave rows\nhint: `swarm show` lists the steps that failed"
    return "there is no report, only a table"


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
