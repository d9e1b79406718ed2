"""Lines of a terminal with tones: text that is safe to show, cut to columns, coloured last."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from swarm.views.words import columns

Tone = Literal["plain", "good", "warning", "bad", "dim", "strong", "busy"]
CODES: dict[Tone, str] = {"good": "32", "warning": "33", "bad": "31", "dim": "2", "strong": "1", "busy": "36"}
"""Colours of a terminal; a plain text has none."""


@dataclass(frozen=True, slots=True)
class Toned:
    """A piece of a line with a tone. Its text is safe to show."""

    text: str
    tone: Tone = "plain"


Line = tuple[Toned, ...]


def painted(line: Iterable[Toned], *, color: bool) -> str:
    """Return a line with the codes of its tones, or without any."""
    return "".join(tinted(span.text, span.tone, color=color) for span in line)


def tinted(text: str, tone: Tone, *, color: bool) -> str:
    """Return a text with the code of its tone."""
    code = CODES.get(tone) if color and text else None
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def width_of(line: Iterable[Toned]) -> int:
    """Return the columns that a line takes."""
    return sum(columns(span.text) for span in line)


def cut_to(text: str, room: int) -> str:
    """Return the start of a text that takes at most `room` columns, with `…` if something is missing."""
    if columns(text) <= room:
        return text
    return _start(text, room - 1) + "…" if room > 0 else ""


def cut_end(text: str, room: int) -> str:
    """Return the end of a text that takes at most `room` columns, with `…` if something is missing."""
    if columns(text) <= room:
        return text
    return "…" + _start(text[::-1], room - 1)[::-1] if room > 0 else ""


def fitted(text: str, room: int, *, right: bool = False) -> str:
    """Return a text in exactly `room` columns, cut or filled."""
    shown = cut_to(text, room)
    gap = " " * (room - columns(shown))
    return gap + shown if right else shown + gap


def cut_line(line: Line, room: int) -> Line:
    """Return the start of a line that takes at most `room` columns."""
    kept: list[Toned] = []
    for span in line:
        text = cut_to(span.text, room)
        if text:
            kept.append(Toned(text, span.tone))
        room -= columns(text)
        if room <= 0:
            break
    return tuple(kept)


def _start(text: str, room: int) -> str:
    """Return as many characters as fit into `room` columns."""
    if text.isascii():
        return text[:room]
    used = 0
    for n, character in enumerate(text):
        used += columns(character)
        if used > room:
            return text[:n]
    return text
