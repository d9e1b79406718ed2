"""What the columns of a table hold: type, range, sum, most frequent values, empty cells.

A planner sees this instead of rows, and the built-in endpoint, which cannot compute, has figures
that no row states.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import fsum
from pathlib import PurePath
from typing import Literal

from swarm.base.places import MARK
from swarm.base.text import cut

TABLES = (".csv", ".tsv", ".tab")
"""Endings of names of tables."""
MOST_ROWS = 200_000
"""Maximum rows that are counted. Of a longer table, the summary says that it is one of the first rows."""
MOST_COLUMNS = 40
"""Maximum columns that are described."""
TOP = 3
"""Values of a column of texts that are named."""
MOST_WORDS = 1_200
"""Maximum characters of a summary: about 400 tokens of a planner's prompt."""
ALIKE = 0.9
"""Minimum share of the cells of a column that have its type. The others are counted."""
SNIFFED = 50
"""Lines from which the delimiter is found."""
_DELIMITERS = ",;\t|"
_NEARLY = 0.05
"""Difference of two shares that does not matter: then the head decides."""
_ENGLISH = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|[-+]?\.\d+")
_GERMAN = re.compile(r"[-+]?(?:\d{1,3}(?:[.\s\u202f'’]\d{3})+|\d+)(?:,\d+)?")
_AROUND = re.compile(r"^[€$£¥]?\s*|\s*(?:[€$£¥%]|EUR|USD|GBP|CHF)?$")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[-+]\d{2}:?\d{2})?)?")
_DAY_FIRST = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
Type = Literal["number", "date", "text", "empty"]


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: Type
    empty: int
    """Empty cells."""
    other: int = 0
    """Cells of another type."""
    low: str = ""
    high: str = ""
    total: float | None = None
    """Sum of the numbers."""
    distinct: int = 0
    """Number of different texts."""
    top: tuple[tuple[str, int], ...] = ()
    """The most frequent texts with their numbers."""

    @property
    def words(self) -> str:
        """The column for people and models: `amount (number, 3 to 990, sum 12,345)`."""
        said = [self.type if self.type != "empty" else "no values"]
        if self.low:
            said.append(self.low if self.low == self.high else f"{self.low} to {self.high}")
        if self.total is not None:
            said.append(f"sum {number_words(self.total)}")
        if self.distinct:
            values = ", ".join(f"{cut(value, 24)} {count}" for value, count in self.top)
            said.append(_counted(self.distinct, "value") + (f": {values}" if self.top else ""))
        if self.other:
            said.append(f"{self.other:,} not a {self.type}")
        if self.empty and self.type != "empty":
            said.append(f"{self.empty:,} empty")
        return f"{self.name} ({', '.join(said)})"


@dataclass(frozen=True)
class TableSummary:
    """A table and its columns."""

    name: str
    """Name of the sheet; empty for a file that is one table."""
    rows: int
    """Number of rows without the head."""
    columns: tuple[Column, ...]
    is_cut: bool = False
    """Whether only the first rows were counted."""

    @property
    def words(self) -> str:
        """The table for people and models."""
        head = f"{'first ' if self.is_cut else ''}{_counted(self.rows, 'row')}"
        where = f"sheet {self.name}: " if self.name else ""
        return f"{where}{head}: {'; '.join(each.words for each in self.columns[:MOST_COLUMNS])}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def columns_words(text: str, name: str) -> str:
    """Return what the columns of a table, or of the sheets of a workbook, hold; empty for other texts."""
    return cut(" · ".join(table.words for table in summaries(text, name)), MOST_WORDS)


def summaries(text: str, name: str) -> tuple[TableSummary, ...]:
    """Return the tables of a CSV file, or of the text of a workbook, with their columns."""
    if PurePath(name).suffix.lower() in TABLES:
        rows = list(islice(csv_rows(text), MOST_ROWS + 1))
        found = summary("", rows)
        return (found,) if found is not None else ()
    if not text.startswith("[sheet "):
        return ()
    tables = (summary(sheet, rows) for sheet, rows in sheets_of(text))
    return tuple(table for table in tables if table is not None)


def csv_rows(text: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV text with any delimiter. Empty lines are left out; a row with an error ends it."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    try:
        yield from (row for row in csv.reader(lines, delimiter=delimiter_of(text)) if any(map(str.strip, row)))
    except csv.Error:
        return


def delimiter_of(text: str) -> str:
    """Return the delimiter of a CSV text: the one that divides the first lines into the most equal rows.

    Quoted fields do not count. A text without any has a comma.
    """
    lines = text.removeprefix("\ufeff").splitlines()[:SNIFFED]
    if lines and lines[0].lower().startswith("sep=") and len(lines[0]) == 5:
        return lines[0][4]
    scores = {delimiter: _evenness(lines, delimiter) for delimiter in _DELIMITERS}
    best = max(scores.values())
    near = [delimiter for delimiter, score in scores.items() if score > 0 and score >= best - _NEARLY]
    return max(near, key=lambda each: len(_first(lines[:1], each)), default=",")


def _evenness(lines: Sequence[str], delimiter: str) -> float:
    """Return the share of lines that a delimiter divides into the same number of cells, of at least two."""
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
    except csv.Error:
        return 0.0
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return count / sum(widths.values()) if width > 1 else 0.0


def _first(lines: Sequence[str], delimiter: str) -> list[str]:
    return next(csv.reader(lines, delimiter=delimiter), list[str]())


def sheets_of(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the tables in the text of a workbook, blocks with the same head joined: name of the sheet, rows."""
    name, rows = "", list[list[str]]()
    for block in re.split(r"\n\n(?=\[sheet )", text):
        first, _, body = block.partition("\n")
        match = MARK.match(first)
        lines = [_cells(line) for line in body.split("\n") if line.startswith("|")]
        if match is None or len(lines) < 3:
            continue
        sheet, table = match["sheet"], [lines[0], *lines[2:]]
        if sheet == name and rows[:1] == table[:1]:
            rows += table[1:]
            continue
        if rows:
            yield name, rows
        name, rows = sheet, table
    if rows:
        yield name, rows


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def summary(name: str, rows: Sequence[Sequence[str]]) -> TableSummary | None:
    """Return the columns of rows below a head, or None if they are not a table."""
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    head, body = rows[0], rows[1 : MOST_ROWS + 1]
    columns = [_column(title.strip() or f"column {n + 1}", _values(body, n)) for n, title in enumerate(head)]
    return TableSummary(name, len(body), tuple(columns), is_cut=len(rows) > MOST_ROWS)


def _values(rows: Sequence[Sequence[str]], n: int) -> list[str]:
    return [row[n].strip() if n < len(row) else "" for row in rows]


def _column(name: str, cells: list[str]) -> Column:
    name = cut(" ".join(name.split()), 60)
    values = [cell for cell in cells if cell]
    empty = len(cells) - len(values)
    if not values:
        return Column(name, "empty", empty)
    numbers = numbers_of(values)
    if len(numbers) >= ALIKE * len(values):
        low, high = number_words(min(numbers)), number_words(max(numbers))
        return Column(name, "number", empty, len(values) - len(numbers), low, high, fsum(numbers))
    dates = [date for value in values if (date := _date(value))]
    if len(dates) >= ALIKE * len(values):
        return Column(name, "date", empty, len(values) - len(dates), min(dates), max(dates))
    counts = Counter(values)
    top = tuple(counts.most_common(TOP)) if len(counts) < len(values) else ()
    return Column(name, "text", empty, distinct=len(counts), top=top)


def numbers_of(values: Sequence[str]) -> list[float]:
    """Return the numbers among values, all in the notation in which most of them are numbers.

    `1,234.5` is English; `1.234,5` and `1 234,5` are German and French. A currency or a percent sign may be around.
    """
    bare = [_AROUND.sub("", value) for value in values]
    english = [float(text.replace(",", "")) for text in bare if _ENGLISH.fullmatch(text)]
    german = [text for text in bare if _GERMAN.fullmatch(text)]
    if len(german) <= len(english):
        return [value for value in english if abs(value) < 1e300]
    return [float(re.sub(r"[.\s\u202f'’]", "", text).replace(",", ".")) for text in german]


def _date(value: str) -> str:
    """Return a date by ISO 8601, empty if it is none. Days come before months if there are dots or slashes."""
    match = _DATE.fullmatch(value)
    if match:
        return f"{match[1]}-{match[2]}-{match[3]}" if _is_date(match[2], match[3]) else ""
    match = _DAY_FIRST.fullmatch(value)
    if match and _is_date(match[2], match[1]):
        return f"{match[3]}-{int(match[2]):02}-{int(match[1]):02}"
    return ""


def _is_date(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def number_words(value: float) -> str:
    """Return a number as people write it: `12,345`, `0.25`."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.4g}"
