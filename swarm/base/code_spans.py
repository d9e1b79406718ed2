"""The code in a Markdown text: fenced blocks and inline code. Marks in it are only quoted."""

import re
from collections.abc import Iterator

CODE = r"^ {0,3}(?P<fence>`{3,}|~{3,})|(?<!`)(?P<tick>`{1,4})(?!`)[^`\n]{1,2000}+(?P=tick)(?!`)"
"""Pattern of a line that opens a fence, and of inline code. It needs the flag `MULTILINE`."""

_CODE = re.compile(CODE, re.MULTILINE)


def code_spans(text: str, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield the positions of each piece of code from `start` on, in order."""
    found = _CODE.search(text, start)
    while found is not None:
        end = code_end(text, found)
        yield found.start(), end
        found = _CODE.search(text, end)


def code_end(text: str, found: re.Match[str]) -> int:
    """Return the end of a piece of code that `CODE` has found. A fence without end is code to the end."""
    if not found["fence"]:
        return found.end()
    closing = re.compile(rf"^ {{0,3}}{re.escape(found['fence'])}[`~]*[ \t]*$", re.MULTILINE)
    closed = closing.search(text, found.end())
    return len(text) if closed is None else closed.end()


def without_code(text: str) -> str:
    """Return the text with code replaced by spaces: positions stay."""
    parts: list[str] = []
    at = 0
    for start, end in code_spans(text):
        parts += [text[at:start], " " * (end - start)]
        at = end
    return "".join(parts) + text[at:]
