"""Rows of tables whose cells have a delimiter between them: CSV, and the like with semicolons, tabs or bars.

Such a text is recognised by its form, since it has no name: part of a message, the result of a tool. Prose with commas
is no table, and neither are figures with decimal commas.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DELIMITERS = "\t;,|"
"""Marks between cells, the surest first."""
SNIFFED = 30
"""Lines that decide whether a text is a table."""
SNIFFED_CHARACTERS = 20_000
"""Maximum characters of these lines."""
EVEN = 0.9
"""Minimum share of these rows that have the usual number of cells."""
HEAD_CHARACTERS = 60
"""Maximum characters of a cell of a head."""
LEAST_HEADLESS = 3
"""Minimum cells of a row without a head: two may be a figure with a decimal comma."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_VALUE = re.compile(r"\W*\d")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_NUMBER = re.compile(r"\d+(?:,\d+)+")


@dataclass(frozen=True, slots=True)
class DelimitedRow:
    """A row of such a table."""

    start: int
    """Offset of its first character in the text."""
    end: int
    """Offset after its last character, without the line end."""
    text: str
    """Its cells as a row of a table in Markdown."""


def delimited_rows(text: str, start: int, end: int) -> Iterator[DelimitedRow] | None:
    """Return the rows of a piece of a text, the head first; an empty head if there is none. None for other texts."""
    delimiter, has_head = _form(text, start, end)
    return _rows(text, start, end, delimiter, has_head=has_head) if delimiter else None


def _form(text: str, start: int, end: int) -> tuple[str, bool]:
    """Return the delimiter of a piece of a text, empty if it is no table, and whether the first row is a head."""
    first_end = text.find("\n", start, end)
    first = text[start:first_end] if first_end >= 0 else ""
    if first.lower().startswith("sep=") and len(first.rstrip()) == len("sep=;"):
        return first[4], True
    for delimiter in DELIMITERS if first and not first.lstrip().startswith("|") else "":
        if _are_close([first], delimiter):
            lines = text[start : min(end, start + SNIFFED_CHARACTERS)].split("\n")[:SNIFFED]
            rows = _parsed(lines, delimiter)
            if _are_even(rows) and _are_close(lines, delimiter):
                if _is_head(rows[0]):
                    return delimiter, True
                if _is_body(lines, rows, delimiter):
                    return delimiter, False
    return "", False


def _parsed(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return []


def _are_even(rows: Sequence[Sequence[str]]) -> bool:
    """Whether nearly all of at least two rows have the same number of cells, also the first."""
    width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return len(rows) > 1 and width > 1 and len(rows[0]) == width and count >= EVEN * len(rows)


def _are_close(lines: Sequence[str], delimiter: str) -> bool:
    """Whether there are delimiters, and no blank follows nearly all, as in prose. What is quoted does not count."""
    bare = "\n".join(lines)
    bare = _QUOTED.sub("x", bare) if '"' in bare else bare
    every = bare.count(delimiter)
    return every > 0 and bare.count(f"{delimiter} ") <= (1 - EVEN) * every


def _is_head(row: Sequence[str]) -> bool:
    """Whether a row names columns: short cells without values. A year may be a name."""
    named = [cell for cell in row if not _VALUE.match(cell) or _YEAR.fullmatch(cell.strip())]
    is_named = len(named) == len(row) and any(any(c.isalpha() for c in cell) for cell in row)
    return is_named and all(len(cell) <= HEAD_CHARACTERS and not cell.endswith((".", "!", "?")) for cell in row)


def _is_body(lines: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether rows without a head are cells, and no words with figures such as `1,234,567`."""
    bare = (_NUMBER.sub("0", line) for line in lines if line)
    sure = sum(line.count(delimiter) >= LEAST_HEADLESS - 1 for line in bare)
    return sure >= EVEN * len(rows)


def _rows(text: str, start: int, end: int, delimiter: str, *, has_head: bool) -> Iterator[DelimitedRow]:
    """Yield the rows, with their places. A line that no reader of CSV accepts is a row of one cell."""
    if not has_head:
        yield DelimitedRow(start, start, "")
    lines = [f"{line}\n" for line in text[start:end].split("\n")]
    reader = csv.reader(lines, delimiter=delimiter)
    read, at = 0, start
    while read < len(lines):
        try:
            cells = next(reader, None) or []
        except csv.Error:
            cells = [lines[read]]
        taken = lines[read : max(read + 1, reader.line_num)]
        read += len(taken)
        stop = min(end, at + sum(map(len, taken)))
        line = text[at:stop].rstrip("\r\n")
        if cells and not _is_hint(cells, line):
            yield DelimitedRow(at, at + len(line), _written(cells))
        at = stop


def _is_hint(cells: Sequence[str], line: str) -> bool:
    """Whether a row tells Excel the delimiter: `sep=;`."""
    return cells[0].lower() == "sep=" and len(line) == len("sep=;")


def _written(cells: Sequence[str]) -> str:
    """Return cells as a row of a table in Markdown."""
    bare = (cell.removeprefix("\ufeff").replace("|", "¦") for cell in cells)
    return f"| {' | '.join(' '.join(cell.split()) for cell in bare)} |"
