"""A long text by pages: its outline, its pages, and the places of a text in it. Pure.

The pages of a text are the pieces that `swarm.base.cutting` makes of it, without what neighbours
share: each byte is on one page, no character is cut, and pages end where records, chapters or lines
end. A page has the same number for every step, in every attempt, at any context.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

from swarm.base.cutting import cut_text
from swarm.base.text import clip, cut

PAGE_BYTES = 4 * 1024
"""Maximum bytes of a page: some 1,000 tokens, so that a context of 8,192 has space for one."""
TITLE_CHARACTERS = 80
"""Maximum characters of what an outline says of a page."""
LINE_CHARACTERS = 400
"""Maximum characters of a line that is shown; of a longer one, the neighbourhood of a place is."""
MOST_SOUGHT, MOST_WORDS = 200, 12
"""Maximum characters and words of a text to find: each place of the first word is compared."""

_HEADING = re.compile(
    r"^(?:#{1,6}[ \t]+(?P<heading>\S[^\n]{0,200})"
    r"|\[(?P<place>(?:page|slide|cell|chapter|sheet) [^\[\]\n]{1,150})\]$"
    r"|(?P<code>(?:(?:export|async|public|pub)[ \t]+){0,3}(?:def|class|function|func|fn)[ \t][^\n]{1,100}))",
    re.MULTILINE,
)


@dataclass(frozen=True)
class LongPage:
    """One page of a text."""

    number: int
    """From 1."""
    text: str
    first: int
    """Number in the whole text of its first line, from 1; it may have begun on the page before."""
    last: int
    """Number of its last line."""

    @cached_property
    def headings(self) -> tuple[str, ...]:
        """Its headings, marks of places, and names of functions."""
        found = (match["heading"] or match["place"] or match["code"] for match in _HEADING.finditer(self.text))
        return tuple(dict.fromkeys(" ".join(each.split()) for each in found))

    @cached_property
    def first_line(self) -> str:
        """Its first line that is not blank, or the start of it."""
        lines = (" ".join(line.split()) for line in self.text[: 4 * TITLE_CHARACTERS].splitlines())
        return next(filter(None, lines), "")

    @property
    def lines(self) -> str:
        """Its lines, in words."""
        if self.first == self.last:
            return f"line {self.first:,}"
        return f"lines {self.first:,} to {self.last:,}"


@dataclass(frozen=True)
class Hit:
    """A place of a text."""

    page: int
    line: int
    """Number of the line in which it begins, from 1."""
    start: int
    """First character of it in the whole text."""
    text: str
    """Its line; of a long one, its neighbourhood."""


class LongText:
    """A text and its pages. They are cut at first use, in some 0.2 seconds a megabyte."""

    def __init__(self, name: str, text: str, *, ending: str = "") -> None:
        """Take a text; the ending of `ending` tells tables and programs from other texts."""
        self.name = name
        self.text = text
        self._ending = ending

    @cached_property
    def pages(self) -> tuple[LongPage, ...]:
        """Its pages, in order."""
        data = self.text.encode("utf-8", "replace")
        pieces = cut_text(self.text, PAGE_BYTES, name=self._ending)
        return tuple(
            LongPage(number, data[piece.own : piece.end].decode("utf-8", "replace"), *piece.lines)
            for number, piece in enumerate(pieces, 1)
        )

    @cached_property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.text.encode("utf-8", "replace"))

    @cached_property
    def _page_starts(self) -> Sequence[int]:
        starts = [0]
        for page in self.pages:
            starts.append(starts[-1] + len(page.text))
        return starts[:-1]

    @cached_property
    def _line_starts(self) -> Sequence[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def outline(self, most: int) -> str:
        """Return what its pages are about, in at most `most` bytes: a line for one page or several."""
        step = 1
        while True:
            lines = list(self._outlined(step))
            text = "\n".join(lines)
            if len(text.encode("utf-8", "replace")) <= most or len(lines) == 1:
                return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
            step *= 2

    def _outlined(self, step: int) -> Iterator[str]:
        pages = self.pages
        for first in range(0, len(pages), step):
            last = min(first + step, len(pages))
            which = f"page {first + 1}" if last == first + 1 else f"pages {first + 1} to {last}"
            headings = chain.from_iterable(page.headings for page in pages[first:last])
            title = " · ".join(dict.fromkeys(headings)) or pages[first].first_line
            yield f"{which}: {cut(title, TITLE_CHARACTERS)}"

    def find(self, sought: str, from_line: int = 1) -> Iterator[Hit]:
        """Yield the places of a text, one a line unless the line is long, from a line on.

        The text is literal: a regular expression from a model may take for ever. Case does not
        matter, and any blanks count as one. Raise `ValueError` if it is blank or too long.
        """
        words = sought.split()
        if not words or len(words) > MOST_WORDS or len(sought) > MOST_SOUGHT:
            message = f"must have 1 to {MOST_WORDS} words, and at most {MOST_SOUGHT} characters"
            raise ValueError(message)
        pattern = re.compile(r"\s++".join(map(re.escape, words)), re.IGNORECASE)
        starts = self._line_starts
        position = starts[from_line - 1] if from_line <= len(starts) else len(self.text)
        while (match := pattern.search(self.text, position)) is not None:
            line = bisect_right(starts, match.start())
            begin, end = starts[line - 1], starts[line] - 1 if line < len(starts) else len(self.text)
            shown, position = self._around(match, begin, end)
            yield Hit(bisect_right(self._page_starts, match.start()), line, match.start(), shown)

    def _around(self, match: re.Match[str], begin: int, end: int) -> tuple[str, int]:
        """Return what is shown of a place in a line, and where the search continues."""
        if end - begin <= LINE_CHARACTERS:
            return self.text[begin : max(end, match.end())], max(end, match.end())
        half = LINE_CHARACTERS // 2
        low, high = max(begin, match.start() - half), min(end, match.end() + half)
        shown = f"{'…' if low > begin else ''}{self.text[low:high]}{'…' if high < end else ''}"
        return shown, max(high, match.end())


@lru_cache(maxsize=8)
def long_text(name: str, text: str, ending: str = "") -> LongText:
    """Return a text with its pages. The last ones are kept: many steps open the same text."""
    return LongText(name, text, ending=ending)


def found_words(text: LongText, hit: Hit) -> str:
    """Return a place in one line, with its name, page and line."""
    return f"{clip(text.name)}, page {hit.page}, line {hit.line:,}: {' '.join(hit.text.split())}"
