"""Every fragment of the changelog has a name that the changelog can be made from, and is text for users."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
KINDS = [each["directory"] for each in SETTINGS["type"]]
NAME = re.compile(rf"\+[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(KINDS)})\.md")
LONGEST = 400
"""Characters of a fragment: three sentences."""


def fragments() -> list[Path]:
    folder = ROOT / SETTINGS["directory"]
    return sorted(path for path in folder.iterdir() if path.name != ".gitkeep")


def problem(name: str, text: str) -> str:
    """Say what is wrong with a fragment; empty if nothing is."""
    if NAME.fullmatch(name) is None:
        return f"{name}: write +NAME.KIND.md in lower case; KIND is one of {', '.join(KINDS)}"
    if not text.strip().endswith(".") or "\n" in text.strip() or len(text) > LONGEST:
        return f"{name}: write one paragraph of full sentences on one line, maximum {LONGEST} characters"
    return ""


def test_every_fragment_is_valid() -> None:
    wrong = [problem(path.name, path.read_text(encoding="utf-8")) for path in fragments()]
    assert [each for each in wrong if each] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("help.changed.md", "Help is shorter.\n"),
        ("+help.improved.md", "Help is shorter.\n"),
        ("+Help.changed.md", "Help is shorter.\n"),
        ("+help.changed.txt", "Help is shorter.\n"),
        ("+help.changed.md", "\n"),
        ("+help.changed.md", "help\n"),
        ("+help.changed.md", "Two.\n\nParagraphs.\n"),
    ],
)
def test_a_fragment_that_is_wrong_is_found(name: str, text: str) -> None:
    assert problem(name, text)
    assert not problem("+help.changed.md", "Help is shorter.\n")


def test_the_changelog_is_made_of_every_fragment() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in fragments() if path.read_text(encoding="utf-8").strip() not in done.stdout] == []
    assert SETTINGS["start_string"] in (ROOT / SETTINGS["filename"]).read_text(encoding="utf-8")
