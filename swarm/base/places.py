"""Places in the text of a document: pages, slides, sheets, chapters, cells.

A document becomes one text, in which a line of its own, a mark, is before everything that is on one
page:

    [page 3]
    [slide 4]
    [cell 5]
    [chapter 2: The cost of memory]
    [sheet Costs, rows 2-101]

So models can name a place, a text is cut between pages, and a sentence leads back to its page. Rows
of a sheet are the lines of a Markdown table, one each, below its head. The head is repeated below
each mark and is not counted.
"""

import re
from dataclasses import dataclass

MARK = re.compile(
    r"^\[(?:(?P<unit>page|slide|cell|chapter) (?P<number>\d{1,6})(?P<title>: [^\[\]\n]{1,120})?"
    r"|sheet (?P<sheet>[^\[\]\n]{1,120}?)(?:, rows? (?P<row>\d{1,7})(?:-\d{1,7})?)?)\]$",
    re.MULTILINE,
)
"""A mark: a line of its own."""
_TABLE_TOP = 2
"""Lines of a table above its first row: the head and the ruler."""
TITLE_CHARACTERS = 80
"""Maximum characters of a title or of the name of a sheet in a mark."""


@dataclass(frozen=True)
class DocumentPlace:
    """A place in a document."""

    unit: str
    """`page`, `slide`, `sheet`, `chapter` or `cell`."""
    number: int | None
    """Number of the page, from 1; None for a sheet."""
    words: str
    """The place for people: `page 3, line 12`, `sheet Costs, row 17`."""


def mark(unit: str, number: int, title: str = "") -> str:
    """Return the mark of a page, a slide, a chapter or a cell."""
    return f"[{unit} {number}: {titled(title)}]" if titled(title) else f"[{unit} {number}]"


def sheet_mark(name: str, first: int | None = None, last: int | None = None) -> str:
    """Return the mark of a sheet, or of rows of it."""
    if first is None:
        return f"[sheet {titled(name)}]"
    rows = f"row {first}" if last in (None, first) else f"rows {first}-{last}"
    return f"[sheet {titled(name)}, {rows}]"


def titled(text: str) -> str:
    """Return a title in one line without brackets, for a mark."""
    line = " ".join(text.replace("[", "(").replace("]", ")").split())
    return line[:TITLE_CHARACTERS].strip()


def unmarked(text: str) -> str:
    """Return the text of a document with its own lines that look like marks indented, so that they are none."""
    return MARK.sub(lambda match: f" {match[0]}", text)


def place_of(text: str, offset: int) -> DocumentPlace | None:
    """Return the place of a character of a text, or None if no mark is before it."""
    found: re.Match[str] | None = None
    start = offset
    while start > 0 and found is None:  # backwards: a mark is rarely far
        start = text.rfind("[", 0, start)
        if start < 0:
            return None
        at_line = start == 0 or text[start - 1] == "\n"
        found = MARK.match(text, start) if at_line else None
    if found is None:
        return None
    lines = text.count("\n", found.end(), offset)
    if found["unit"] is None:
        row = f", row {int(found['row']) + max(0, lines - _TABLE_TOP - 1)}" if found["row"] else ""
        return DocumentPlace("sheet", None, f"sheet {found['sheet']}{row}")
    unit, number = found["unit"], int(found["number"])
    return DocumentPlace(unit, number, f"{unit} {number}, line {max(1, lines)}")
