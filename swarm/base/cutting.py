"""Pieces of a text that is too long to be read at once.

A text is cut from its start: each piece is as long as fits, and ends at the best boundary near its
end (`boundaries`). Among equally good boundaries, the bytes before each decide, not its
place. This is content-defined chunking (Muthitacharoen, Chen, Mazières: A low-bandwidth network
file system, SOSP 2001): after an inserted record the boundaries soon are those of before, so most
pieces keep their content. Text that is appended changes the last piece only.

Neighbours share one unit: a piece begins with the last record or line of the piece before it. Of a
unit that is too long for that they share the end. So whatever is shorter than that is whole in one
piece. Only a unit that is longer than a piece is cut inside.

Who repeats what it reads would write a shared unit twice. For such readers neighbours share nothing
where a statement ends: after a record, an item, a paragraph or a sentence.

All sizes are bytes of UTF-8.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from zlib import crc32

from swarm.base.boundaries import BLANK, LINE, Tier, head_of, tiers_of

LEAST = 64
"""Minimum size of a piece. Callers ask for thousands."""
LATE = 8
"""A piece ends in its last part of this many, if it can. The smaller that part, the fuller the
pieces (93 % of lines of 80 bytes); the larger, the sooner the boundaries are those of before, after
an insertion (one piece of 150 changes)."""
CHAPTER = 3
"""The same for the start of a chapter, a page or a function: what belongs together is read together."""
SMALL = 4
"""A piece below one part in this many of the maximum is small: the call around it costs more."""
SHARED = 8
"""A shared unit takes at most one part in this many of a piece."""
TAIL = 512
"""Maximum shared bytes of a unit that is too long to be shared: several sentences."""
HEAD = 4
"""The head of a table is repeated if it takes at most one part in this many of a piece."""
COMPARED = 64
"""Bytes before a boundary that decide between equally good ones."""

TIERS_OF_LINES = 4
"""Number of tiers of a text that consists of lines: records and values have more."""
_ENDS = tuple(each.encode() for each in ".!?;|}])>。！？；")
"""What ends a statement at the end of a line."""
_ITEM = re.compile(rb"[ \t]*(?:[-*+|#>\[]|\d{1,4}[.)]\s)")
"""The start of an item of a list, of a row of a table, or of a heading."""


@dataclass(frozen=True)
class Piece:
    """A piece of a text. All offsets are bytes of its UTF-8."""

    start: int
    """First byte, the unit shared with the piece before included."""
    own: int
    """First byte that no earlier piece has."""
    end: int
    """Byte after the last."""
    head: int
    """Bytes of the start of the text that are repeated above the piece: the head of a table."""
    sha256: str
    """Hash of the piece as it is shown."""
    lines: tuple[int, int]
    """First and last line of its own bytes, from 1."""


def cut_text(text: str, most: int, *, name: str = "", shares: bool = True) -> tuple[Piece, ...]:
    """Return the pieces of a text, each of at most `most` bytes as shown. One piece if all fits.

    The ending of `name` tells tables and programs from other texts. Without `shares`, neighbours share a unit only if
    the cut is inside of a statement. Raise `ValueError` if `most` is below `LEAST`.
    """
    if most < LEAST:
        message = f"a piece needs at least {LEAST} bytes, not {most}"
        raise ValueError(message)
    data = text.encode("utf-8", "replace")
    pieces: list[Piece] = []
    line = 1
    for start, own, end, head in _spans(data, most, name, shares=shares):
        content = sha256(data[:head] + data[start:end]).hexdigest()
        last = line + data.count(b"\n", own, max(own, end - 1))
        pieces.append(Piece(start, own, end, head, content, (line, last)))
        line = last + data.count(b"\n", max(own, end - 1), end)
    return tuple(pieces)


def shown(text: str, start: int, end: int, head: int = 0) -> str:
    """Return a piece of a text as it is shown: its bytes, below the repeated head."""
    data = text.encode("utf-8", "replace")
    return (data[:head] + data[start:end]).decode("utf-8", "replace")


def _spans(data: bytes, most: int, name: str, *, shares: bool) -> Iterator[tuple[int, int, int, int]]:
    """Yield start, own start, end and repeated head of each piece."""
    if len(data) <= most:
        yield 0, 0, len(data), 0
        return
    cutter = _Cutter(data, most, name)
    start = own = head = 0
    while len(data) - start > most - head:
        tier, end = cutter.end_of(start, own, head)
        yield start, own, end, head
        is_shared = shares or not cutter.ends_statement(tier, end)
        start, own = cutter.shared_from(tier, start, end) if is_shared else end, end
        head = cutter.head if start >= cutter.head else 0
    yield start, own, len(data), head


class _Cutter:
    """The choice of the boundaries of one text."""

    def __init__(self, data: bytes, most: int, name: str) -> None:
        head = len(head_of(data, name))
        self.head = head if head <= most // HEAD else 0
        self._data = data
        self._most = most
        self._tiers = tiers_of(data, name)

    def end_of(self, start: int, own: int, head: int) -> tuple[Tier, int]:
        """Return where a piece ends, and the tier of that boundary.

        In each tier, the best boundary near the end; else the last one before it, unless the unit
        behind it is too long for any piece and the piece would be small.
        """
        limit = start + self._most - head
        late = max(own, limit - self._most // LATE)
        for tier in self._tiers:
            found = self._near(tier, max(own, limit - self._most // CHAPTER), late, limit)
            if found:
                return tier, min(found, key=lambda offset: self._order(tier, offset))
            earlier = tier.between(own, late)
            if earlier and (
                self._is_whole_after(tier, earlier[-1], limit) or earlier[-1] - start > self._most // SMALL
            ):
                return tier, earlier[-1]
        return self._tiers[-1], limit

    def _near(self, tier: Tier, chapter: int, late: int, limit: int) -> Sequence[int]:
        """Return the boundaries near the end of a piece: those of chapters, else all of its last part."""
        found = tier.between(chapter, limit)
        chapters = [offset for offset in found if tier.rank(offset) < BLANK]
        return chapters or [offset for offset in found if offset > late]

    def _order(self, tier: Tier, offset: int) -> tuple[int, int, int]:
        return tier.rank(offset), crc32(self._data[max(0, offset - COMPARED) : offset]), -offset

    def _is_whole_after(self, tier: Tier, boundary: int, limit: int) -> bool:
        """Whether the unit after a boundary, which ends beyond `limit`, fits the next piece."""
        end = boundary + self._most - self._most // SHARED - self.head
        return end >= len(self._data) or bool(tier.between(limit, end))

    def ends_statement(self, tier: Tier, end: int) -> bool:
        """Whether a boundary is not inside of a statement, as far as marks show it."""
        sentences, words, characters = self._tiers[-3:]
        if tier in (words, characters):
            return False
        before = self._data[max(0, end - COMPARED) : end].rstrip()
        if tier is sentences or tier.rank(end) < LINE or before.rstrip(b",").endswith(_ENDS):
            return True
        is_record = tier is self._tiers[0] and len(self._tiers) > TIERS_OF_LINES
        return is_record or _ITEM.match(self._data, end) is not None

    def shared_from(self, tier: Tier, start: int, end: int) -> int:
        """Return where the unit before `end` begins, which the next piece shares; of a long unit, its end."""
        low = max(start, end - self._most // SHARED)
        words, characters = self._tiers[-2:]
        if tier not in (words, characters):
            for offset in reversed(tier.between(low, end - 1)):
                if self._data[offset:end].strip():
                    return offset
        low = max(low, end - TAIL)
        found = words.between(low, end - 1)
        if found:
            return found[0]
        whole = (characters.between(low - 1, high) for high in range(low, end))  # none is cut, and none is too early
        return next((offsets[0] for offsets in whole if offsets), end)
