"""The cells of a workbook: Excel of every age, and OpenDocument. Uses calamine.

Each sheet becomes Markdown tables: rows without a gap are one, and its first row is the head. Long
tables have a mark and the head again after some rows, so that a part of a sheet has its columns and
its row numbers.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

from swarm.base.places import sheet_mark
from swarm.readers.result import Extract, cell, joined, table
from swarm.readers.zips import UnreadableError, Zip

BLOCK_BYTES = 3_000
"""Bytes of rows below one mark: about the least that is worth the head of a table."""
MOST_CELLS = 5_000_000
"""Maximum cells of a workbook. More than a million rows of five columns is for a database."""
_NO_VALUE = re.compile(rb"<f\b[^>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
"""A formula without a stored value."""


def read_sheets(content: bytes) -> Extract:
    """Return the text of a workbook. Raise UnreadableError if it is damaged or encrypted."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    empty = 0
    if content.startswith(b"PK"):
        archive = Zip(content)
        for name in archive.names:  # each is unpacked once with limits: calamine has none
            part = archive.read(name)
            empty += len(_NO_VALUE.findall(part)) if name.startswith("xl/worksheets/") else 0
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(content))
        texts = [_sheet(name, book.get_sheet_by_name(name)) for name in book.sheet_names]
    except PasswordError:
        raise UnreadableError("is encrypted\nhint: save it without a password") from None
    except (CalamineError, ValueError, OSError) as error:
        raise UnreadableError(f"is damaged: {str(error)[:120] or 'it is not a complete workbook'}") from None
    notes: list[str] = []
    if empty:
        counted = "1 formula has" if empty == 1 else f"{empty:,} formulas have"
        notes.append(f"{counted} no stored value; open it in an office program, and save it")
    return Extract(joined(texts), "sheet", len(texts), tuple(notes))


def _sheet(name: str, sheet: Any) -> str:
    """Return the tables of a sheet; only its mark if it is empty."""
    if sheet.total_height * sheet.total_width > MOST_CELLS:
        raise UnreadableError(f"has a sheet of more than {MOST_CELLS:,} cells\nhint: export it as CSV")
    first = sheet.start[0] + 1 if sheet.start else 1
    blocks: list[str] = []
    for number, rows in regions(written_rows(sheet), first):
        blocks += blocks_of(name, number, rows)
    return joined(blocks or [sheet_mark(name)])


def written_rows(sheet: Any) -> list[list[str]]:
    """Return the rows of a sheet from its first used cell, each value as text."""
    return [[written(value) for value in row] for row in sheet.to_python(skip_empty_area=True)]


def regions(rows: Sequence[Sequence[str]], first: int) -> Iterator[tuple[int, list[Sequence[str]]]]:
    """Yield the rows between empty ones, with the number of the first."""
    region: list[Sequence[str]] = []
    for number, row in enumerate(rows, first):
        if any(text.strip() for text in row):
            region.append(row)
        elif region:
            yield number - len(region), region
            region = []
    if region:
        yield first + len(rows) - len(region), region


def blocks_of(name: str, first: int, rows: list[Sequence[str]]) -> Iterator[str]:
    """Yield a table in blocks, each below a mark with the numbers of its rows. The first row is the head."""
    head, *body = _trimmed(rows)
    if not body:
        yield f"{sheet_mark(name, first)}\n{' '.join(cell(text) for text in head if text.strip())}"
        return
    start, size = 0, 0
    for n, row in enumerate(body):
        size += sum(map(len, row)) + 3 * len(row)
        if size >= BLOCK_BYTES or n == len(body) - 1:
            mark = sheet_mark(name, first + 1 + start, first + 1 + n)
            yield f"{mark}\n{table([head, *body[start : n + 1]])}"
            start, size = n + 1, 0


def _trimmed(rows: list[Sequence[str]]) -> list[Sequence[str]]:
    """Return rows without the empty columns at their left and right. Each has a cell that is not empty."""
    used = [[n for n, text in enumerate(row) if text.strip()] for row in rows]
    left, right = min(each[0] for each in used), max(each[-1] for each in used)
    return [row[left : right + 1] for row in rows]


def written(value: object) -> str:
    """Return the value of a cell as people write it: dates by ISO 8601, no `.0` behind whole numbers."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
        case datetime():
            return value.isoformat(" ", "minutes" if value.second == 0 else "seconds")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case _:
            return str(value)
