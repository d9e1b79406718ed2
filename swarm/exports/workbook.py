"""A table as an Excel workbook: a sheet of rows, and a sheet of the steps behind them.

A long table has several of both.

Every text is written as text. A cell that begins with `=`, `+`, `-` or `@` is never a formula, and an address is never
a link: the cells were written by models that read files of strangers. Numbers and true or false keep their type.
"""

import io
import re
from datetime import UTC, datetime
from typing import Any

from swarm.base.errors import TaskError
from swarm.base.values import Json
from swarm.results.table import Table, plain
from swarm.spec.files.check import no_workbooks

CELL_CHARACTERS = 32_767
"""Maximum characters of a cell: the limit of Excel. A longer cell ends with its length; the other
formats have it all."""
MOST_ROWS = 1_048_575
"""Maximum rows of a sheet below the head: the limit of Excel. The next ones are in a further sheet."""
SOURCES = ("row", "steps", "other values")
"""Columns of a sheet of the steps behind rows."""
WIDEST = 60
"""Maximum width of a column, in characters."""
MEASURED = 200
"""Rows whose cells decide the width of a column."""
_EXACT = 2**53
"""Largest whole number that a cell holds exactly: it is a double."""
_NOT_TEXT = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML file can hold. Control characters are escaped by the writer."""


def xlsx_bytes(table: Table) -> bytes:
    """Return a table as a workbook: the same bytes for the same table. Raise `TaskError` without the library."""
    if (wrong := no_workbooks("this file")) is not None:
        raise TaskError(wrong)
    import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book: Any = xlsxwriter.Workbook(out, options)
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})  # equal tables are equal files
    bold = book.add_format({"bold": True})
    rows, sources = table.rows, _sources(table)
    for first in range(0, max(1, len(rows)), MOST_ROWS):
        number = f" {first // MOST_ROWS + 1}" if first else ""
        part = slice(first, first + MOST_ROWS)
        cells = [[row.get(name) for name in table.fields] for row in rows[part]]
        _sheet(book.add_worksheet(f"rows{number}"), bold, table.fields, cells)
        numbered = [[n, *each] for n, each in enumerate(sources[part], 2)]
        _sheet(book.add_worksheet(f"sources{number}"), bold, SOURCES, numbered)
    book.close()
    return out.getvalue()


def _sources(table: Table) -> list[list[Json]]:
    """Return, for each row, its steps, and the values that disagree."""
    conflicts = table.conflicts_of()
    found: list[list[Json]] = []
    for number, steps in enumerate(table.merged.sources):
        others: list[str] = []
        for each in conflicts.get(number, ()):
            values = (f"{plain(other.value)} [{', '.join(other.steps)}]" for other in each.values[1:])
            others.append(f"{each.field}: {', '.join(values)}")
        found.append([", ".join(steps), "; ".join(others)])
    return found


def _sheet(sheet: Any, bold: Any, head: tuple[str, ...], rows: list[list[Json]]) -> None:
    for column, name in enumerate(head):
        sheet.write_string(0, column, _text(name), bold)
    for number, row in enumerate(rows, 1):
        for column, value in enumerate(row):
            _write(sheet, number, column, value)
    for column, name in enumerate(head):
        longest = max((len(plain(row[column]).split("\n")[0]) for row in rows[:MEASURED]), default=0)
        sheet.set_column(column, column, min(WIDEST, max(len(name), longest) + 2))
    sheet.freeze_panes(1, 0)
    if head and rows:
        sheet.autofilter(0, 0, len(rows), len(head) - 1)


def _write(sheet: Any, row: int, column: int, value: Json) -> None:
    """Write a cell. A number that a double cannot hold is text."""
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float) and abs(value) <= _EXACT:
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, _text(plain(value)))


def _text(value: str) -> str:
    text = _NOT_TEXT.sub("\ufffd", value)
    if len(text) <= CELL_CHARACTERS:
        return text
    end = f"… [cut; {len(text):,} characters]"
    return text[: CELL_CHARACTERS - len(end)] + end
