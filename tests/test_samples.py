"""A type checker accepts the Python samples of README, docs and notebooks."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def samples() -> dict[str, str]:
    """Return the samples of each page as the body of one async function: they may use `await`."""
    found: dict[str, str] = {}
    for page in PAGES:
        blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
        if blocks:
            found[page.stem] = "\n".join(blocks)
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        found[notebook.stem] = "\n".join(code)
    return found


def errors(folder: Path, name: str, code: str) -> list[str]:
    # A name that a loop sets is possibly unbound: right for a checker, and normal in a notebook.
    head = "# pyright: reportPossiblyUnboundVariable=false\n"
    (folder / f"{name}.py").write_text(f"{head}async def sample() -> None:\n{textwrap.indent(code, '    ')}\n")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, f"{name}.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return [line for line in done.stdout.splitlines() if " error: " in line]


@pytest.mark.slow
def test_the_samples_are_typed(tmp_path: Path) -> None:
    found = samples()
    assert {"python", "tools"} <= set(found)
    wrong = [line for name, code in found.items() for line in errors(tmp_path, name, code)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.slow
def test_a_wrong_sample_is_seen(tmp_path: Path) -> None:
    assert errors(tmp_path, "wrong", "import swarm\nawait swarm.run('x', endpont='offline')\n")
