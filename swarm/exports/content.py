"""What a run gives in each format: its report, its table, a page, or all of it as one object."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from pydantic_core import to_json

from swarm.exports.table_files import csv_bytes, jsonl_bytes
from swarm.exports.workbook import xlsx_bytes
from swarm.record.folder import RunFolder
from swarm.record.recorded import Recorded, recorded
from swarm.results.result import Result
from swarm.results.table import Table
from swarm.spec.files.check import OUTPUTS

TABLES: Mapping[str, Callable[[Table], bytes]] = {"csv": csv_bytes, "jsonl": jsonl_bytes, "xlsx": xlsx_bytes}
"""Writers of a table, by format."""
PAGE = "report.html"
"""Name of the page in the run's folder."""
FORMS: Mapping[str, str] = {ending: ending.removeprefix(".") for ending in OUTPUTS}
"""Formats of the files that `output:` may name, by ending."""


def content(result: Result, form: str, *, place: Path | None = None) -> bytes:
    """Return a result in a format. Empty if the run has nothing for it.

    `place` is the file that is written: the links of a page lead from there to the folder of the run.
    """
    if form == "html":
        return page_bytes(recorded(RunFolder(result.folder)), result, place=place)
    if form in TABLES:
        return b"" if result.merged is None else TABLES[form](result.merged)
    if result.report is None:
        return b""
    return to_json(result.to_dict(), indent=2) + b"\n" if form == "json" else result.text.encode("utf-8", "replace")


def page_bytes(found: Recorded, result: Result, *, status: str = "", place: Path | None = None) -> bytes:
    """Return a run as a page. Without `place`, the page is for the folder of the run."""
    from swarm.views.page.page import page

    base = ""
    if place is not None:
        base = os.path.relpath(result.folder.resolve(), place.resolve().parent)
        base = "" if base == "." else quote(f"{base}/")
    return page(found, result, status=status, base=base).encode("utf-8", "replace")


def nothing(form: str) -> str:
    """Return why a run has nothing in a format."""
    if form in TABLES:
        return "no step of the run gave rows\nhint: `swarm show` lists the steps that failed"
    return "there is no report, only a table"
