"""Sentences of a text in Markdown, plain text or JSON, each with its context."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, cast

from swarm.base.values import Json
from swarm.texts.delimited import delimited_rows
from swarm.texts.units import MONTHS

Kind = Literal["sentence", "row", "heading", "code"]
CONTEXT_CHARACTERS = 400
"""Maximum characters of the context of a passage: headings and the head of a table."""
ITEM_CHARACTERS = 120
"""Maximum characters of a list item in the context of the items below it."""
LEAST_LINES = 3
"""Minimum lines of JSON of which the last may be cut."""
MOST_PASSAGES = 50_000
"""Maximum passages of one text: with more, the rest of the text is one passage."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}\s+(.*)")
_ITEM = re.compile(r"(\s*)(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(?=\S)")
_QUOTE = re.compile(r"\s{0,3}>\s?")
_RULE = re.compile(r"[\s|:+=_*-]+$")
_MARKED = re.compile(r"\s*[^\w\s\"'“”‘’„«»(\[（「『¿¡]|\s*\d{1,3}[.)]\s")
"""A line that may be other than prose. Most lines are prose, and need no closer look."""
_CITED = r"(?:\s*\[[^\[\]\n]{1,600}\])*"
LONGEST_LINE = 50_000
"""Characters above which a line counts as one sentence: nobody wrote it to be read."""
_OPEN = frozenset('["”’»')
"""Marks behind a full stop that end a sentence, whatever is before it."""
_FOLLOWS = re.compile(r"\S")
_END = re.compile(
    rf"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+{_CITED}[.!?]?(?=\s|$)|[。！？]+[”’」』）]*{_CITED}|(?<=\]);(?=\s))"
)
_DAY = re.compile(r"(?:^|\D)\d{1,2}$")
_MEASURED = re.compile(r"\d\s?(?:ms|min|[^\W\d_])\.$")
"""A unit that would be an abbreviation behind other words: `20 ms. The next sentence`."""
_MONTH = re.compile(rf"\s+(?:{'|'.join(map(re.escape, MONTHS))})\b", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|approx|vs|cf|al|no|nos|eds?|incl|fig|vols?|v|dr|mr|mrs|ms|prof|st|inc|ltd|co|corp|jr|sr|est|max|min|avg|"
    r"z\.\s?b|d\.\s?h|u\.\s?a|ca|bzw|resp|str|млн|млрд|тыс|руб|ggf|evtl|inkl|exkl|mio|mrd|nr|abs|art|env|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|okt|dez|janv|févr|juil|déc|p\.\s?ex|c\.-à-d|pp?|u\.s|a\.m|p\.m)"
    r"|(?<![\w-])[^\W\d_])\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, bullet sentence, table row, heading or line of code."""

    start: int
    """Offset of its first character in the text; 0 for a value of JSON."""
    end: int
    """Offset after its last character."""
    text: str
    kind: Kind = "sentence"
    block: int = 0
    """Number of its paragraph, item, table or record."""
    context: str = ""
    """Headings above it, and the head of its table."""


def passages(text: str) -> list[Sentence]:
    """Return the passages of a text in order. A text that is JSON has one for each record."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            value: Json = json.loads(text)
        except (ValueError, RecursionError):
            return _json_lines(text) or markdown_passages(text)
        return list(_Records().of(value))
    return markdown_passages(text)


def _json_lines(text: str) -> list[Sentence]:
    """Return the passages of lines of JSON, a record each; none if a line is other than JSON.

    The last line may be cut, because a text may be a piece of a longer one.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    values: list[Json] = []
    for n, line in enumerate(lines, 1):
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError):
            if n < max(LEAST_LINES, len(lines)):
                return []
            values.append(line)
    return list(_Records().of(values))


def markdown_passages(text: str) -> list[Sentence]:
    """Return the passages of a text in Markdown in order."""
    return _Splitter(text).split()


class _Splitter:
    """The lines of a text, joined to blocks and cut into sentences."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[Sentence] = []
        self._headings: list[tuple[int, str]] = []
        self._items: list[tuple[int, str]] = []
        """Indentation and text of the list items that the present line is below."""
        self._item: tuple[int, str] | None = None
        """The item that is being read."""
        self._head = ""
        """Head of the table that the present line is in."""
        self._block = 0
        self._open: tuple[int, int] | None = None
        """Start and end of the paragraph that is being read."""
        self._fence = ""
        self._fenced_from = 0
        """Start of the lines in the present fence."""

    def split(self) -> list[Sentence]:
        """Return the passages."""
        at = 0
        for line in self._text.split("\n"):
            self._line(line, at)
            at += len(line) + 1
            if len(self._found) > MOST_PASSAGES:
                self._add(at, len(self._text), "sentence")
                return self._found
        self._close()
        return self._found

    def _line(self, line: str, at: int) -> None:
        if not line or line.isspace():
            if not self._fence:
                self._close()
                self._head = ""
        elif not self._fence and not _MARKED.match(line):
            self._prose(line, at, None, None)
        else:
            self._marked(line, at)

    def _marked(self, line: str, at: int) -> None:
        fence = _FENCE.match(line)
        if self._fence or fence:
            self._fenced(line, at, fence)
        elif heading := _HEADING.match(line):
            self._heading(line, at, heading)
        elif line.lstrip().startswith("|"):
            self._row(line, at)
        else:
            self._prose(line, at, _ITEM.match(line), _QUOTE.match(line))

    def _fenced(self, line: str, at: int, fence: re.Match[str] | None) -> None:
        self._close()
        if fence and (not self._fence or fence[1].startswith(self._fence)):
            if self._fence:
                self._unfence(at)
            self._fence = "" if self._fence else fence[1]
            self._fenced_from = at + len(line) + 1
        elif line.strip():
            self._add(at, at + len(line), "code")

    def _unfence(self, at: int) -> None:
        """Read the lines of a fence that ends here again, if they are a table."""
        before = len(self._found)
        if self._table(self._fenced_from, max(self._fenced_from, at - 1)):
            rows = self._found[before:]
            while before and self._found[before - 1].start >= self._fenced_from:
                before -= 1
            self._found[before:] = rows

    def _heading(self, line: str, at: int, heading: re.Match[str]) -> None:
        self._close()
        level = len(line.lstrip()) - len(line.lstrip().lstrip("#"))
        self._headings = [(depth, words) for depth, words in self._headings if depth < level]
        self._block += 1
        self._add(at + heading.start(1), at + len(line), "heading")
        self._headings.append((level, heading[1]))
        self._items = []

    def _row(self, line: str, at: int) -> None:
        self._close()
        if _RULE.match(line):
            if self._found and self._found[-1].kind == "row" and not self._head:
                head = self._found.pop()
                self._head = head.text
                self._found.append(Sentence(head.start, head.end, head.text, "heading", head.block, head.context))
            return
        self._block += 1
        self._add(at, at + len(line), "row")

    def _prose(self, line: str, at: int, item: re.Match[str] | None, quote: re.Match[str] | None) -> None:
        begins = item or quote
        if begins:
            self._close()
        if item:
            depth = len(item[1].expandtabs(4))
            self._items = [(other, words) for other, words in self._items if other < depth]
        elif not line[:1].isspace():
            self._items = [] if self._open is None else self._items
        start = at + (begins.end() if begins else 0)
        if self._open is None:
            self._block += 1
            self._open = (start, at + len(line))
        else:
            self._open = (self._open[0], at + len(line))
        if item:
            self._item = (len(item[1].expandtabs(4)), line[item.end() :][:ITEM_CHARACTERS])

    def _close(self) -> None:
        if self._open is None:
            return
        start, end = self._open
        self._open = None
        if not self._table(start, end):
            for first, last in sentences(self._text, start, end):
                self._add(first, last, "sentence")
        if self._item is not None:
            self._items.append(self._item)
            self._item = None

    def _table(self, start: int, end: int) -> bool:
        """Add the rows of a table with delimiters, such as CSV. Return False for other texts."""
        rows = delimited_rows(self._text, start, end)
        if rows is None:
            return False
        head = next(rows)
        if head.text:
            self._add(head.start, head.end, "heading", head.text)
        before, self._head = self._head, head.text
        for row in islice(rows, MOST_PASSAGES):
            self._block += 1
            self._add(row.start, row.end, "row", row.text)
        rest = list(rows)
        if rest:
            self._add(rest[0].start, rest[-1].end, "sentence", "\n".join(row.text for row in rest))
        self._head = before
        return True

    def _add(self, start: int, end: int, kind: Kind, written: str = "") -> None:
        """Add a passage; `written` if its text is not the one at its place."""
        context = ""
        if self._headings or self._items or self._head:
            trail = [words for _, words in (*self._headings, *self._items)]
            context = " / ".join(filter(None, (*trail, self._head)))[-CONTEXT_CHARACTERS:]
        self._found.append(Sentence(start, end, written or self._text[start:end], kind, self._block, context))


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each sentence in a piece of a text. Citations behind a full stop belong to it."""
    for first, last in _long_lines_apart(text, start, end):
        if last - first > LONGEST_LINE and text.find("\n", first, last) < 0:
            yield _stripped(text, first, last)
        else:
            yield from _sentences(text, first, last)


def _long_lines_apart(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each line of a piece that is too long, and of the lines between these."""
    at = line = start
    while end - line > LONGEST_LINE:
        after = text.find("\n", line, end) + 1 or end
        if after - line > LONGEST_LINE:
            if at < line:
                yield at, line
            yield line, after - text.endswith("\n", line, after)
            at = after
        line = after
    if at < end:
        yield at, end


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for stop in _END.finditer(text, start, end):
        last = stop.end()
        follows = _FOLLOWS.search(text, last, end)  # a copy of the rest for each sentence would cost a square
        if follows is None or _goes_on(text, max(at, stop.start() - 400), stop, follows[0]):
            continue
        if text[at:last].strip():
            yield _stripped(text, at, last)
        at = last
    if text[at:end].strip():
        yield _stripped(text, at, end)


def _goes_on(text: str, at: int, stop: re.Match[str], rest: str) -> bool:
    """Whether a sentence continues after a full stop: an abbreviation, or a lower-case word follows."""
    if stop[0][0] not in ".…":
        return False
    if rest.islower() and "[" not in stop[0]:
        return True
    if _DAY.search(text, max(at, stop.start() - 3), stop.start()) and _MONTH.match(text, stop.end()):
        return True
    before = text[max(at, stop.start() - 12) : stop.start() + 1]
    if _MEASURED.search(before):
        return False
    return _ABBREVIATION.search(before) is not None and _OPEN.isdisjoint(stop[0])


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = piece.lstrip()
    return end - len(left), end - (len(piece) - len(piece.rstrip()))


class _Records:
    """The records of a JSON value: an object, or an entry of a list, with its scalar fields in one line."""

    def __init__(self) -> None:
        self._block = 0

    def of(self, value: Json, context: str = "", name: str = "") -> Iterator[Sentence]:
        """Yield the records in a value. `context` is the text around it; `name` is its field."""
        self._block += 1
        if isinstance(value, dict):
            yield from self._object(cast("dict[str, Json]", value), context, name)
        elif isinstance(value, list):
            for each in cast("list[Json]", value):
                yield from self.of(each, context, name)
        else:
            yield from self._scalar(value, context, name)

    def _object(self, fields: dict[str, Json], context: str, name: str) -> Iterator[Sentence]:
        simple = {key: each for key, each in fields.items() if not isinstance(each, dict | list)}
        line = "; ".join(f"{key}: {_written(each)}" for key, each in simple.items())
        if line:
            yield Sentence(0, 0, line, "row", self._block, context)
        named = " ".join(_written(each) for each in simple.values() if isinstance(each, str) and len(each) < 80)
        around = f"{context} / {name} {named}".strip(" /")[-CONTEXT_CHARACTERS:]
        for key, each in fields.items():
            if key not in simple:
                yield from self.of(each, around, key)

    def _scalar(self, value: Json, context: str, name: str) -> Iterator[Sentence]:
        words = _written(value)
        if len(words) < CONTEXT_CHARACTERS:
            line = f"{name}: {words}" if name else words
            yield Sentence(0, 0, line, "row", self._block, context)
            return
        for each in _Splitter(words).split():
            yield Sentence(0, 0, each.text, each.kind, self._block, context)


def _written(value: Json) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
