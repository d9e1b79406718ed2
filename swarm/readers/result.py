"""What a reader makes of a document, and how its text is written."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarm.base.places import unmarked
from swarm.base.text import listing

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85\x0b\x0c]")
_HYPHEN_AT_END = re.compile(r"(?<=\w)[\xad\ufffe]\n(?=\w)")
"""A soft hyphen at the end of a line: PDF readers write U+FFFE for one that the type setter made."""
_DROPPED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff\u200b\ufeff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""Characters that nobody sees in a document, and that hide or turn round what is near them."""
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}
"""`ﬁ` and its like: a search for `file` must find them."""
_BLANKS = re.compile(r"[ \t\xa0]+\n")
_GAPS = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Picture:
    """A page as a picture."""

    page: int
    png: bytes


@dataclass(frozen=True)
class Extract:
    """The text of a document."""

    text: str
    unit: str = ""
    """What its marks count: `page`, `slide`, `sheet`, `chapter` or `cell`. Empty if it has no marks."""
    count: int = 0
    """Number of pages, slides, sheets …"""
    notes: tuple[str, ...] = ()
    """What is in the document and not in the text, in words for people."""
    unread: tuple[int, ...] = ()
    """Pages that are pictures without text."""
    damaged: tuple[int, ...] = ()
    """Pages that could not be read."""
    pictures: tuple[Picture, ...] = ()
    """Those pages as pictures, as far as they were wanted."""


def pages_words(pages: Sequence[int]) -> str:
    """Return the numbers of pages in words: `page 3`, `pages 3 to 9`, `pages 1, 4 and 7`."""
    if len(pages) == 1:
        return f"page {pages[0]}"
    if pages[-1] - pages[0] == len(pages) - 1:
        return f"pages {pages[0]} to {pages[-1]}"
    return f"pages {listing(map(str, pages), 5)}"


def clean(text: str) -> str:
    """Return text of a document: LF line ends, no control characters, no soft hyphens, no ligatures, no marks."""
    text = _LINE_ENDS.sub("\n", text)
    text = _HYPHEN_AT_END.sub("", text).translate(_LIGATURES)
    text = _BLANKS.sub("\n", _DROPPED.sub("", text))
    return unmarked(_GAPS.sub("\n\n", text)).strip("\n")


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a Markdown table. The first row is its head."""
    cells = [[cell(each) for each in row] for row in rows]
    width = max(map(len, cells), default=0)
    lines = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in cells]
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if width else ""


def cell(text: str) -> str:
    """Return the text of a cell in one line, without the mark between cells."""
    return " ".join(clean(text).split()).replace("|", "\\|")


def joined(parts: Iterable[str]) -> str:
    """Return paragraphs with an empty line between two, empty ones left out."""
    return "\n\n".join(part for part in parts if part.strip())
