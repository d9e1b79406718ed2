"""The README is one screen, and its first run prints what it shows. `tests/test_docs.py` runs its other blocks."""

import os
import subprocess
import sys
from pathlib import Path

from tests.test_docs import LINK, Block, blocks, text_of

TEXT = text_of("README.md")


def block(start: str, language: str) -> Block:
    """Find the one block of a language that starts so."""
    (found,) = [each for each in blocks(TEXT) if each.language == language and each.text.startswith(start)]
    return found


def test_it_is_one_screen() -> None:
    assert len(TEXT.splitlines()) <= 80


def test_its_task_file_has_ten_lines() -> None:
    assert len(block("# task.yaml", "yaml").text.splitlines()) <= 10


def test_it_links_to_the_pages() -> None:
    assert len({path for path, _ in LINK.findall(TEXT) if path.startswith("docs/")}) >= 5


def test_the_first_run_gives_what_is_shown(empty: Path) -> None:
    script = block("mkdir notes\n", "sh").text
    assert len([line for line in script.splitlines() if not line.startswith("#")]) == 6
    shown = block("# How much", "text").text
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    first = script.replace("swarm show last", "swarm show last >&2")
    done = subprocess.run(
        ["bash", "-euc", first], cwd=empty, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(shown)
