"""How views write things: one line, a block, a duration, a count, a table. What leaves here is safe to show."""

import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from swarm.safe import safe_text

WIDTH = 80
"""Columns a table tries to keep to: every terminal has them, and so does what is pasted from a pipe."""
LINE_CHARACTERS = 200
"""Of somebody's text in one line: enough for what, where and what to do."""
BLOCK_CHARACTERS = 4000
"""Of somebody's text in a block: two screens."""
NARROWEST = 16
"""Columns that the last one of a table has at least, however long the others are."""
TAB = 4
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def one_line(text: str, most: int = LINE_CHARACTERS) -> str:
    """Write somebody's text in one line, cut, nothing in it that steers a terminal."""
    line = " ".join(safe_text(text[: 4 * most]).split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"


def block(text: str, most: int | None = BLOCK_CHARACTERS, indent: str = "  ") -> str:
    """Write somebody's text on lines of its own, indented; what is cut is counted. None cuts nothing."""
    shown = text if most is None else text[:most]
    lines = safe_text(shown).expandtabs(TAB).split("\n")
    more = len(text) - len(shown)
    if more:
        lines.append(f"… {more:,} more characters")
    return "\n".join((indent + line).rstrip() for line in lines)


def seconds(value: float) -> str:
    """Write a duration: `0.42 s`, `7.3 s`, `2:05 min`, `3:07:09 h`."""
    if value < 0.005:
        return "0 s"
    if value < 60:
        return f"{value:.2f} s" if value < 0.995 else f"{value:.1f} s" if value < 59.95 else "1:00 min"
    return f"{clock(value)} {'min' if value < 3599.5 else 'h'}"


def clock(value: float) -> str:
    """Write a time since the start: `0:07`, `2:05`, `3:07:09`."""
    whole = round(value)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(count: float) -> str:
    """Write a large count in few characters: `950`, `12k`, `3.4M`."""
    for size, letter in _THOUSANDS:
        if count >= size:
            return f"{count / size:.0f}{letter}" if count >= 10 * size else f"{count / size:.1f}{letter}"
    return f"{count:.0f}"


def dollars(usd: float | None) -> str:
    """Write money: `$1.25`, `$0.0042`, `price unknown`; what is free is `$0`."""
    if usd is None:
        return "price unknown"
    return "$0" if usd == 0 else f"${usd:,.2f}" if usd >= 0.995 else "<$0.0001" if usd < 0.0001 else f"${usd:.4f}"


def counted(count: int, what: str) -> str:
    """Write `1 step`, `1,204 steps`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def wrapped(line: str, indent: str = "") -> str:
    """Break a line of ours at spaces so that it fits; what follows is indented further. An id is never broken."""
    return textwrap.fill(
        line,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def some(names: Sequence[str], most: int) -> str:
    """List names, the first few of many: `a, b and 7 more`."""
    shown = [one_line(name) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most:,} more"
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + "".join(shown[-1:])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = (), indent: str = "") -> str:
    """Align rows under a head. `right` are columns of figures; the last column is cut where a line gets too long."""
    cells = [[one_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(columns(row[n]) for row in cells) for n in range(len(head))]
    last = len(head) - 1
    room = max(NARROWEST, WIDTH - len(indent) - sum(widths[:-1]) - 2 * last)
    lines: list[str] = []
    for row in cells:
        padded = [_pad(cell, widths[n], right=n in right) for n, cell in enumerate(row[:-1])]
        end = _pad(row[-1], widths[-1], right=True) if last in right else _cut(row[-1], room)
        lines.append((indent + "  ".join([*padded, end])).rstrip())
    return "\n".join(lines)


def columns(text: str) -> int:
    """Count the columns a text takes: two for a wide character, none for one that combines."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    gap = " " * (width - columns(text))
    return gap + text if right else text + gap


def _cut(text: str, room: int) -> str:
    if columns(text) <= room:
        return text
    while columns(text) >= room:
        text = text[:-1]
    return text + "…"
