"""The examples with tools, with a scripted model that calls them as a real one would."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm.spec.chat import Request
from swarm.testing import Function, reply
from tests.models import events_of

FOLDER = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.anyio


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "examples", ignore=shutil.ignore_patterns(".swarm", "metadata"))
    return tmp_path / "examples"


def results(request: Request) -> list[str]:
    """Return the results of tools that a conversation holds."""
    return [message.text for message in request.messages if message.role == "tool"]


async def test_a_question_over_a_folder_is_answered_with_grep(examples: Path) -> None:
    def model(request: Request) -> Any:
        found = results(request)
        if not found:
            return reply(calls=[("grep_files", {"text": "GB of memory"}), ("list_files", {})])
        if len(found) == 2:
            lines = [line for line in found[0].splitlines() if "12 GB" in line or "16 GB" in line]
            names = sorted({line.partition(":")[0].strip() for line in lines})
            return reply(calls=[("read_file", {"name": name}) for name in names])
        assert all("Tomasz" in text or "16 GB" in text for text in found[2:])
        return "Search needs 12 GB and Builds need 16 GB of memory. [find]"

    result = await swarm.run(examples / "tools" / "handbook.yaml", endpoint=Function(model), cache=False)
    assert result.status == "done"
    assert "16 GB" in result.text
    called = [
        call.name
        for event in events_of(result.folder)
        for message in getattr(event, "messages", ())
        for call in message.tool_calls
    ]
    assert called == ["grep_files", "list_files", "read_file", "read_file"]


async def test_it_runs_without_a_model_too(examples: Path) -> None:
    result = await swarm.run(examples / "tools" / "handbook.yaml", endpoint="offline", cache=False)
    assert result.exit_code == 0
    assert "12 GB" in result.text
