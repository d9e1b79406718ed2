"""Lines, blocks, durations, counts and tables, as all views write them. All texts are safe to show."""

import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from swarm.base.columns import WIDTH, width
from swarm.base.redaction import safe_text
from swarm.base.text import clip, listing
from swarm.record.state import Away

LINE_CHARACTERS = 200
"""Maximum characters of a text in one line: enough for what, where and what to do."""
BLOCK_CHARACTERS = 4000
"""Maximum characters of a text in a block: two screens."""
NARROWEST = 10
"""Minimum width of the last column of a table, whatever the width of the others."""
TAB = 4
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def one_line(text: str, most: int = LINE_CHARACTERS) -> str:
    """Return a text in one line, truncated, without terminal control characters."""
    return clip(text, most)


def block(text: str, most: int | None = BLOCK_CHARACTERS, indent: str = "  ") -> str:
    """Return a text as indented lines. If `most` characters are exceeded, the rest is counted; None is no limit."""
    shown = text if most is None else text[:most]
    lines = safe_text(shown).expandtabs(TAB).split("\n")
    more = len(text) - len(shown)
    if more:
        lines.append(f"… {more:,} more characters")
    return "\n".join((indent + line).rstrip() for line in lines)


def seconds(value: float) -> str:
    """Return a duration: `0.42 s`, `7.3 s`, `2:05 min`, `3:07:09 h`."""
    if value < 0.005:
        return "0 s"
    if value < 0.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    return f"{clock(value)} {'min' if value < 3599.5 else 'h'}"


def clock(value: float) -> str:
    """Return a time since the start: `0:07`, `2:05`, `3:07:09`."""
    whole = round(value)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def absences(away: Away) -> str:
    """Return how long an endpoint was gone, without the time since it went: `away 0:36 in 1 piece`."""
    return f"away {clock(away.seconds)} in {counted(away.pieces, 'piece')}"


def short(count: float) -> str:
    """Return a large count in few characters: `950`, `12k`, `3.4M`."""
    for size, letter in _THOUSANDS:
        if count >= size:
            digits = 0 if count >= 10 * size else 1
            return f"{count / size:.{digits}f}{letter}"
    return f"{count:.0f}"


def size(count: int) -> str:
    """Return a number of bytes: `950 B`, `12 kB`, `3.4 MB`."""
    text = short(count)
    return f"{text} B" if count < 1000 else f"{text[:-1]} {text[-1]}B"


def dollars(usd: float | None) -> str:
    """Return an amount of USD: `$1.25`, `$0.0042`, `$0`, or `price unknown`."""
    if usd is None:
        return "price unknown"
    if usd == 0:
        return "$0"
    if usd < 0.0001:
        return "<$0.0001"
    return f"${usd:.4f}" if usd < 0.995 else f"${usd:,.2f}"


def counted(count: int, what: str) -> str:
    """Return a count with its noun: `1 step`, `1,204 steps`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def wrapped(line: str, indent: str = "") -> str:
    """Wrap a line at spaces, with further lines indented. Words are not broken, because an id may be copied."""
    return textwrap.fill(
        line,
        width(),
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def some(names: Sequence[str], most: int) -> str:
    """Return a list of names, the first few of many: `a, b and 7 more`."""
    return listing(map(one_line, names), most) if names else ""


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[int] = (),
    indent: str = "",
) -> str:
    """Return rows aligned below a head. `right` are the columns of figures; the last column is truncated to fit.

    On a terminal that is too narrow for the other columns, each row is a few lines.
    """
    cells = [[one_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(columns(row[n]) for row in cells) for n in range(len(head))]
    last, wide = len(head) - 1, width()
    others = len(indent) + sum(widths[:-1]) + 2 * last
    if wide < WIDTH and others + (widths[-1] if last in right else NARROWEST) > wide:
        return "\n".join(_record(cells[0], row, indent) for row in cells[1:])
    room = max(NARROWEST, wide - others)
    lines: list[str] = []
    for row in cells:
        padded = [_pad(cell, widths[n], right=n in right) for n, cell in enumerate(row[:-1])]
        end = _pad(row[-1], widths[-1], right=True) if last in right else _cut(row[-1], room)
        lines.append((indent + "  ".join([*padded, end])).rstrip())
    return "\n".join(lines)


def _record(head: Sequence[str], row: Sequence[str], indent: str) -> str:
    """Return a row as lines: its first cell, and below it the others, each after the name of its column."""
    room = 2 * width()
    others = [f"{name.lower()} {_cut(cell, room)}" for name, cell in zip(head[1:], row[1:], strict=True) if cell]
    first = wrapped(f"{head[0].lower()} {row[0]}", indent)
    return "\n".join((first, wrapped(", ".join(others), f"{indent}  "))) if others else first


def columns(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    """Return 0 for a combining character, 2 for a wide one, else 1."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pad(text: str, width: int, *, right: bool) -> str:
    gap = " " * (width - columns(text))
    return gap + text if right else text + gap


def _cut(text: str, room: int) -> str:
    if columns(text) <= room:
        return text
    while columns(text) >= room:
        text = text[:-1]
    return text + "…"
