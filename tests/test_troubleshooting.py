"""The page on troubleshooting quotes messages as the command prints them."""

import sys
from pathlib import Path

import pytest

from tests.commands import in_process
from tests.documents import zipped
from tests.test_docs import text_of
from tests.test_reference import named, section

TASK = "goal: How much memory?\ninputs: [note.md]\n"
PRIVATE = "goal: x\ninputs: [{path: note.md, label: private}]\nlabels: {private: []}\nplan: [{id: a, prompt: x}]\n"
REMOTE = "models: {default: {endpoint: 'https://models.example.com/v1', name: x}}\n"
CASES: dict[str, str] = {
    "there is no such file": "",
    "unknown key": f"gaol: x\n{TASK}",
    "matches no file": "goal: x\ninputs: ['none/*.md']\n",
    "is not text": "goal: x\ninputs: [binary.md]\n",
    "to read it: pip install": "goal: x\ninputs: [report.pdf]\n",
    "is a ZIP archive": "goal: x\ninputs: [folder]\n",
    "environment variable": f"{TASK}models: {{default: {{endpoint: '${{NOWHERE}}', name: x}}}}\n",
    "needs a": f"{TASK}models: {{default: {{endpoint: 'https://models.example.com/v1'}}}}\n",
    "is unknown": f"{TASK}limits: {{usd: 1}}\n{REMOTE}",
    "no model may see": f"{PRIVATE}{REMOTE}",
    "no model accepts": f"goal: x\ninputs: [shelf.png]\nplan: [{{id: a, prompt: x}}]\n{REMOTE}",
    "no model file": f"{TASK}models: {{default: 'local:none.gguf'}}\n",
    "cyclic dependency": "plan: [{id: a, prompt: x, needs: [b]}, {id: b, prompt: x, needs: [a]}]\n",
    "there is no step": "plan: [{id: a, prompt: x, needs: [other]}]\n",
}
"""For each message: a task file that leads to it; no file if that is empty."""
NO_RUN = "no run"


@pytest.fixture
def folder(empty: Path) -> Path:
    (empty / "folder").mkdir()
    (empty / "note.md").write_text("The wiki needs 5 GB.\n")
    (empty / "binary.md").write_bytes(b"\0\1")
    (empty / "report.pdf").write_bytes(b"%PDF-1.7")
    (empty / "folder/a.zip").write_bytes(zipped({"a.txt": "x"}))
    (empty / "shelf.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return empty


def test_every_message_has_a_case() -> None:
    quoted = named(section("docs/troubleshooting.md", "Before a run"))
    assert quoted == {*CASES, NO_RUN}


@pytest.mark.parametrize("message", CASES)
def test_a_message_is_printed_as_it_is_quoted(
    message: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)  # as if it was not installed
    if CASES[message]:
        (folder / "task.yaml").write_text(CASES[message])
    said = in_process(capsys)("run", "task.yaml")
    assert said.code == 2
    assert message in said.err


def test_a_run_that_does_not_exist_is_said_as_quoted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = in_process(capsys)("show", "none")
    assert said.code == 2
    assert NO_RUN in said.err
    assert NO_RUN in text_of("docs/troubleshooting.md")
