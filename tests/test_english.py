"""Words and turns of phrase that are never right in this project: they read as if they were translated.

Looked at are the pages for users and developers, the prompts, and every docstring, message and comment of `swarm/`.
"""

import re
from pathlib import Path

from tests.test_tail import name_of, python_files, text_of, tracked

NEVER = (
    "mended",
    "beside",
    "goes on",
    "asked for again",
    "stands in",
    "stands beside",
    "in earnest",
    "broke off",
    "nobody to ask",
    "in vain",
    "to begin with",
    "side by side",
    "a bug of ours",
    "wants to be left alone",
    "put together",
)
"""Each has a plain word: fixed, next to or in addition to, continues or resumes, retried, is in, in a real run, was
interrupted, no terminal, failed, starter, in parallel, internal error, asks to wait, built."""
GAP = r"\s+(?:#\s+)?"
"""Between two words: blanks, or the end of a line and the beginning of the next, in a comment too."""
PATTERN = re.compile("|".join(rf"\b{GAP.join(phrase.split())}\b" for phrase in NEVER), re.IGNORECASE)
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "agents/*.md", "docs/*.md", "docs/decisions/*.md")


def found_in(text: str) -> list[str]:
    """Return the phrases that are never right, with the line of each; a line break counts as a space."""
    found: list[str] = []
    for match in PATTERN.finditer(text):
        phrase = " ".join(match.group().replace("#", " ").split())
        found.append(f"line {text.count(chr(10), 0, match.start()) + 1}: {phrase}")
    return found


def phrases_in(paths: list[Path]) -> dict[str, list[str]]:
    """Return what is found in each file, where there is something."""
    found = {name_of(path): found_in(text_of(path)) for path in paths}
    return {name: phrases for name, phrases in found.items() if phrases}


def test_pages_and_prompts_are_in_plain_english() -> None:
    paths = [path for path in tracked() if any(path.match(pattern) for pattern in PAGES)]
    assert len(paths) > 20
    assert phrases_in(paths) == {}


def test_code_is_in_plain_english() -> None:
    assert phrases_in(python_files("swarm", "bench")) == {}


def test_a_phrase_is_seen_across_lines() -> None:
    assert found_in("It goes\n    # on where it stopped.\nIt stands in a file.") == [
        "line 1: goes on",
        "line 3: stands in",
    ]
