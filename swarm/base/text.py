"""Texts that fit a message: a list of names, a truncated text, a text in one line."""

from collections.abc import Iterable

from swarm.base.redaction import safe_text

CLIP_CHARACTERS = 60
"""Default length of a text that a message quotes: enough to recognise it."""


def listing(names: Iterable[str], most: int | None = None) -> str:
    """Return names for a message: `a, b and c`, or `none`. After `most` names, the rest is counted."""
    items = list(names)
    if not items:
        return "none"
    if most is not None and len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most:,} more"
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} and {items[-1]}"


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters. A truncated text ends in `…`."""
    if len(text) <= most:
        return text
    return text[: most - 1] + "…"


def clip(text: str, most: int = CLIP_CHARACTERS) -> str:
    """Return a text in one line of at most `most` characters, without control characters."""
    head = text[: 4 * most]  # cleaning a text of megabytes would take seconds
    line = " ".join(safe_text(head).split())
    if len(line) <= most and len(text) > len(head):
        line += "…"  # the rest of the text was not read
    return cut(line, most)
