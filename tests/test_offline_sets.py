"""Reports on sets of 25 mixed files with six planted disagreements each.

A set is one text, in which `=== NAME` begins a file, and its expectations: the goal, texts of the sentences that answer
it, and the two values of each disagreement. A report shows all of these, but for those that the set calls `missed`,
and no other.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from swarm.endpoints.offline.outputs import ANSWERS_DISAGREE, DISAGREE
from swarm.readers.html import html_text
from swarm.readers.notebook import read_notebook
from tests.offline import claims, read_and_merge, rows, section

FOLDER = Path(__file__).parent / "data" / "offline"


def files_of(name: str) -> dict[str, str]:
    """Return the files of a set as the readers of documents give them."""
    parts = re.split(r"^=== (.+)\n", (FOLDER / f"{name}.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    for file, text in files.items():
        if file.endswith(".html"):
            files[file] = html_text(text)
        elif file.endswith(".ipynb"):
            files[file] = read_notebook(text).text
    return files


def has_both(text: str, pair: list[str]) -> bool:
    """Whether a text has both values of a disagreement."""
    return all(value in text for value in pair)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_disagreements_are_shown_and_sentences_answer(name: str) -> None:
    expected: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    files = files_of(name)
    report = read_and_merge(files, expected["goal"])
    told = claims(report.split("\n## ")[0])
    right = [line for line in told if any(text in line for text in expected["answers"])]
    assert len(right) * 5 >= len(told) * 4 >= 4, told
    disagreeing = section(report, DISAGREE) + section(report, ANSWERS_DISAGREE)
    shown = re.split(r"^- ", disagreeing.replace("**", ""), flags=re.MULTILINE)[1:]
    assert [
        pair for pair in expected["contradictions"] if not any(has_both(text, pair) for text in shown)
    ] == expected.get("missed", [])
    assert [text for text in shown if not any(has_both(text, pair) for pair in expected["contradictions"])] == []
    assert len(rows(report)) == sum(bool(text.strip()) for text in files.values())
