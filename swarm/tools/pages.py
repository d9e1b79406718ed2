"""Pages of long texts, by lines: for results of tools, inputs, outputs and files."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.base.text import clip

LINE_CHARACTERS = 1000
"""Maximum characters of a line that are shown: a minified file is one line of megabytes."""


@dataclass(frozen=True)
class Page:
    """Some lines of a text."""

    about: str
    """Which lines these are."""
    lines: tuple[str, ...] = ()
    next_line: int | None = None
    """Number of the line with which to go on, from 1; None after the last one."""


def page_of(lines: Sequence[str], first: int, count: int, most: int) -> Page:
    """Return `count` lines from number `first`, as many as fit into `most` bytes, but at least one."""
    total = len(lines)
    if first > total:
        return Page(f"the text has {total:,} lines; there is no line {first:,}")
    shown: list[str] = []
    size = 0
    for line in lines[first - 1 : first - 1 + count]:
        line = cut_line(line)
        size += len(line.encode("utf-8", "replace")) + 1
        if shown and size > most:
            break
        shown.append(line)
    last = first + len(shown) - 1
    about = f"lines {first:,} to {last:,} of {total:,}:"
    return Page(about, tuple(shown), last + 1 if last < total else None)


def find_lines(lines: Sequence[str], text: str, first: int, most: int) -> Page:
    """Return the lines from number `first` that contain a text, each with its number. Case does not matter.

    The text is no pattern: a regular expression from a model may take for ever.
    """
    sought = text.casefold()
    shown: list[str] = []
    size = 0
    for number, line in enumerate(lines[first - 1 :], first):
        at = line.casefold().find(sought)
        if at < 0:
            continue
        line = f"{number}: {cut_line(line, at)}"
        size += len(line.encode("utf-8", "replace")) + 1
        if shown and size > most:
            return Page(f"lines with {clip(text)!r}:", tuple(shown), number)
        shown.append(line)
    if not shown:
        return Page(f"no line from {first:,} to {len(lines):,} contains {clip(text)!r}")
    return Page(f"lines with {clip(text)!r}:", tuple(shown))


def cut_line(line: str, around: int = 0) -> str:
    """Return a line, or of a long one the part around a place, with `…` where it was cut."""
    if len(line) <= LINE_CHARACTERS:
        return line
    start = max(0, min(around - LINE_CHARACTERS // 2, len(line) - LINE_CHARACTERS))
    end = start + LINE_CHARACTERS
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"


def written_page(page: Page) -> str:
    """Return a page with its place, and how to go on."""
    if not page.lines:
        return page.about
    text = "\n".join(page.lines)
    more = "" if page.next_line is None else f"\n(go on with from_line={page.next_line})"
    return f"{page.about}\n{text}{more}"
