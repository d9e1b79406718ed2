"""Statements of a source, and how a text becomes some: sentences that fit, on one line, evenly
sampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from swarm.texts.passages import sentences as spans

LONGEST = 360
"""Maximum characters of one claim. Longer text without a full stop is split at spaces."""
MOST_CLAIMS = 20_000
"""Maximum claims of one source."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of a source."""

    text: str
    where: tuple[str, ...] = ()
    """Headings and introducing lines above it, outermost first."""
    listed: bool = False
    """True if it is an entry of a list or a table."""


def flat(text: str) -> str:
    """Return a text on one line with single spaces, without control characters and lone surrogates."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def sampled(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most `most` items, evenly spaced, so that no part of a long text is ignored."""
    return items if len(items) <= most else [items[i * len(items) // most] for i in range(most)]


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each of at most `LONGEST` characters."""
    found: list[str] = []
    for start, end in spans(text, 0, len(text)):
        found += cut(text[start:end])
    return found


def cut(text: str) -> list[str]:
    """Return pieces of a text that fit one claim each, split at spaces if possible."""
    pieces: list[str] = []
    start = 0
    while len(text) - start > LONGEST:
        space = text.rfind(" ", start + LONGEST // 2, start + LONGEST)
        end = space if space > 0 else start + LONGEST
        pieces.append(text[start:end].strip())
        start = end
    rest = text[start:].strip()
    return [*pieces, rest] if rest else pieces
