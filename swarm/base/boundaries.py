"""Places at which a text may be cut into pieces, the best kind first.

A text has tiers of boundaries. The units of the first tier are what the text is made of: records of
a table, values of JSON, lines. The tiers below it cut inside one unit that is too long: lines in a
quoted field, values of a nested list, sentences, words, characters.

A boundary is the offset, in bytes of UTF-8, of the first byte after the cut.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Protocol

from pydantic_core import from_json

MARKED, PAGE, FUNCTION, BLANK, LINE = 0, 7, 8, 9, 10
"""Ranks of the boundaries of lines: the lower, the better. A heading of level 1 to 6 has its level
as its rank. The mark of a place in a document is best: what is below it can then name its page."""
MOST_NESTED = 6
"""Levels of lists and mappings whose values are units of JSON. Deeper values are cut as text."""
EXTENDED = 16
"""Maximum code points that are kept together as one character with its marks."""
TABLES = frozenset({".csv", ".tsv", ".tab"})
"""Endings of names of tables: their first record names the columns."""
_C = (".c", ".cc", ".cpp", ".cs", ".go", ".h", ".hpp", ".java", ".kt", ".php", ".rs", ".scala", ".swift")
_SCRIPTS = (".js", ".jsx", ".lua", ".mjs", ".py", ".pyi", ".rb", ".sh", ".sql", ".ts", ".tsx")
CODE = frozenset((*_C, *_SCRIPTS))
"""Endings of names of programs: `#` does not begin a heading in them."""


class Tier(Protocol):
    """The boundaries of one kind."""

    def between(self, low: int, high: int) -> Sequence[int]:
        """Return the boundaries above `low` and up to `high`, in order."""
        ...

    def rank(self, offset: int) -> int:
        """Return how good one of them is: the lower, the better."""
        ...


class _Listed:
    """Boundaries that were searched in advance."""

    def __init__(self, offsets: Sequence[int], ranks: Mapping[int, int] | None = None) -> None:
        self._offsets = offsets
        self._ranks = ranks or {}

    def between(self, low: int, high: int) -> Sequence[int]:
        return self._offsets[bisect_right(self._offsets, low) : bisect_right(self._offsets, high)]

    def rank(self, offset: int) -> int:
        return self._ranks.get(offset, LINE)


class _Matched:
    """The ends of the matches of a pattern, searched where they are needed."""

    def __init__(self, data: bytes, pattern: re.Pattern[bytes]) -> None:
        self._data = data
        self._pattern = pattern

    def between(self, low: int, high: int) -> Sequence[int]:
        return [match.end() for match in self._pattern.finditer(self._data, low, high)]

    def rank(self, offset: int) -> int:
        return LINE


class _Characters:
    """The last boundary between two characters, marks and joined emoji included."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def between(self, low: int, high: int) -> Sequence[int]:
        whole = offset = self._start(high)
        for _ in range(EXTENDED):
            if not self._is_inside(offset):
                break
            offset = self._start(offset - 1)
        chosen = offset if offset > low and not self._is_inside(offset) else whole
        return [chosen] if chosen > low else []

    def rank(self, offset: int) -> int:
        return LINE

    def _start(self, offset: int) -> int:
        """Return the start of the code point at an offset, or the offset itself at the end."""
        while 0 < offset < len(self._data) and self._data[offset] & 0xC0 == 0x80:
            offset -= 1
        return max(0, offset)

    def _is_inside(self, offset: int) -> bool:
        """Whether the code points around an offset are one character for readers."""
        if not 0 < offset < len(self._data):
            return False
        before = self._data[self._start(offset - 1) : offset].decode()
        after = self._data[offset : offset + 4].decode("utf-8", "ignore")[:1]
        if before == "\r" and after == "\n":
            return True
        return before == _JOINER or after == _JOINER or _extends(after) or (_is_flag(before) and _is_flag(after))


_JOINER = "\u200d"


def _extends(character: str) -> bool:
    """Whether a code point belongs to the one before it: a mark, a variation or a skin tone."""
    return unicodedata.category(character).startswith("M") or "\U0001f3fb" <= character <= "\U0001f3ff"


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


_ESCAPED_LINE = re.compile(rb"\\n")
"""The end of a line in a text of JSON."""
_SENTENCE = re.compile(rb"""[.!?]["')\]]{0,3}\s+|\xe3\x80\x82|\xef\xbc[\x81\x9f]""")
"""The end of a sentence, in Chinese and Japanese, too."""
_WORD = re.compile(rb"\s+")


def tiers_of(data: bytes, name: str = "") -> tuple[Tier, ...]:
    """Return the boundaries of a text in UTF-8, the best tier first.

    The format is known by the ending of its name; JSON also by its content.
    """
    ending = PurePath(name).suffix.lower()
    inside = (_Matched(data, _SENTENCE), _Matched(data, _WORD), _Characters(data))
    if ending in TABLES:
        return (_Listed(list(_record_ends(data))), _Listed(_line_ends(data)), *inside)
    values = _values(data) if _is_json(data) else {}
    if values:
        nested = (_Listed(values[depth]) for depth in sorted(values))
        return (*nested, _Matched(data, _ESCAPED_LINE), *inside)
    ranks = _ranks(data, is_code=ending in CODE)
    return (_Listed(sorted({*_line_ends(data), *ranks}), ranks), *inside)


def head_of(data: bytes, name: str) -> bytes:
    """Return the first record of a table, with its end of line; nothing of any other text."""
    if PurePath(name).suffix.lower() not in TABLES:
        return b""
    return data[: next(_record_ends(data), 0)]


# Tables

_QUOTED_OR_END = re.compile(
    rb"""(?:\A|(?<=[,;|\t\r\n]))"[^"]*+(?:""[^"]*+)*+"(?=[,;|\t\r\n]|\Z)"""  # a field with lines in it
    rb"|(?P<end>\r?\n|\r)"
)
"""A quoted field (RFC 4180), or the end of a record."""


def _record_ends(data: bytes) -> Iterator[int]:
    return (match.end() for match in _QUOTED_OR_END.finditer(data) if match["end"])


# JSON

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]|,\s*', re.DOTALL)
_OPENING, _CLOSING = (b"[", b"{"), (b"]", b"}")


def _is_json(data: bytes) -> bool:
    if not data.lstrip().startswith(_OPENING):
        return False
    try:
        from_json(data, allow_inf_nan=True)
    except ValueError:
        return False
    return True


def _values(data: bytes) -> dict[int, list[int]]:
    """Return the starts of the values of lists and mappings, the first of each left out, by depth."""
    starts: dict[int, list[int]] = {}
    depth = 0
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in _OPENING:
            depth += 1
        elif token in _CLOSING:
            depth -= 1
        elif token.startswith(b",") and depth <= MOST_NESTED:
            starts.setdefault(depth, []).append(match.end())
    return starts


# Lines

_LINE_END = re.compile(rb"\r?\n|\r")
_BLANK = re.compile(rb"\n(?:[ \t\r]*\n)+")
_PAGE = re.compile(rb"\f|^\[page \d{1,6}\]", re.MULTILINE | re.IGNORECASE)
_MARK = re.compile(rb"^\[(?:page|slide|cell|chapter|sheet) [^\[\]\n]{1,150}\]$", re.MULTILINE)
"""The mark of a place in a document: see `swarm.base.places`."""
_HEADING = re.compile(rb"^(#{1,6})[ \t]+\S|^<h([1-6])[ >]", re.MULTILINE | re.IGNORECASE)
_UNDERLINED = re.compile(rb"^(?=\S)[^\r\n]{1,200}\r?\n(?:(={3,})|-{3,})[ \t]*\r?$", re.MULTILINE)
_FUNCTION = re.compile(
    rb"^(?:@\w|(?:(?:export|default|public|private|protected|internal|static|abstract|final|async|pub|unsafe) +)*"
    rb"(?:def|class|function|func|fn|fun|impl|struct|enum|trait|interface|namespace|module|CREATE)\b)",
    re.MULTILINE,
)
"""The first line of a function or a class that is not inside another, or of its decorator."""


def _line_ends(data: bytes) -> list[int]:
    return [match.end() for match in _LINE_END.finditer(data)]


def _ranks(data: bytes, *, is_code: bool) -> dict[int, int]:
    """Return the boundaries that are better than the end of a line, with their ranks."""
    ranks = {match.end(): BLANK for match in _BLANK.finditer(data)}
    if is_code:
        ranks |= dict.fromkeys(_functions(data), FUNCTION)
    ranks |= {match.start(): PAGE for match in _PAGE.finditer(data)}
    marks = {match.start(): MARKED for match in _MARK.finditer(data)}
    if not is_code:
        ranks |= {match.start(): 1 if match[1] else 2 for match in _UNDERLINED.finditer(data)}
        ranks |= {match.start(): _level(match) for match in _HEADING.finditer(data)}
    return ranks | marks


def _level(match: re.Match[bytes]) -> int:
    """Return the level of a heading, 1 to 6."""
    return len(match[1]) if match[1] else int(match[2])


def _functions(data: bytes) -> Iterator[int]:
    """Yield where functions and classes begin, their decorators included."""
    is_decorated = False
    for match in _FUNCTION.finditer(data):
        if not is_decorated:
            yield match.start()
        is_decorated = match[0].startswith(b"@")
