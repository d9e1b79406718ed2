"""Labels and tools: a tool is a place that data goes to. Functions of a file: `--tools`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import PlanError, ToolError
from swarm.record import events as e
from swarm.spec.plan import Plan, Step
from swarm.spec.task import InputSpec, Task
from swarm.tools import Toolbox, ToolContext
from swarm.tools.functions import tool
from tests.commands import Command, in_process, make_task
from tests.kits import Shelf, asking, shelved, task
from tests.models import events_of, run_with

pytestmark = pytest.mark.anyio


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


# Labels: a tool is a place that data goes to


def hidden(folder: Path, **more: Any) -> Task:
    (folder / "secret.md").write_text("zq1zq")
    fields: dict[str, Any] = {
        "inputs": (InputSpec(path="secret.md", label="private"),),
        "labels": {"private": ("default",)},
        "plan": Plan(steps=(Step(id="ask", prompt="Ask.", inputs=("secret.md",)),)),
    }
    return task(folder, **(fields | more))


async def test_a_step_that_names_a_tool_its_labels_forbid_is_refused_before_anything_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = shelved(monkeypatch, Shelf(place="mcp.shelf"))
    model = asking()
    plan = Plan(steps=(Step(id="ask", prompt="Ask.", inputs=("secret.md",), tools=("shelf.find",)),))
    with pytest.raises(PlanError) as caught:
        await run_with(model, hidden(tmp_path, plan=plan))
    assert "steps.0.tools: shelf.find may not see 'private'" in str(caught.value)
    assert "list `mcp.shelf` under the label" in str(caught.value)
    assert (shelf.events, model.requests) == ([], [])


async def test_a_step_that_inherits_such_a_tool_does_not_get_it_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = shelved(monkeypatch, Shelf(place="mcp.shelf"))
    result = await run_with(asking(), hidden(tmp_path), cache=False)
    assert result.status == "done"
    assert [event for event in shelf.events if "find" in event] == []
    assert result.report is not None
    assert "Ask. :" in result.report.text, "no tool was offered"
    finished = [event for event in events_of(result.folder) if isinstance(event, e.StepFinished)]
    assert finished[0].outcome.notes[:2] == (
        "shelf.find may not see `private`; the tool was not granted",
        "shelf.put may not see `private`; the tool was not granted",
    )


async def test_a_place_that_is_listed_gets_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = shelved(monkeypatch, Shelf(place="tool.shelf.find"))
    labels = {"private": ("default", "tool.shelf.find")}
    result = await run_with(asking(), hidden(tmp_path, labels=labels), cache=False)
    assert result.status == "done"
    assert any("find" in event for event in shelf.events)


async def test_the_label_of_a_kit_is_carried_from_the_start_and_may_not_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelved(monkeypatch, Shelf(label="red", place="tool.shelf"), Shelf("other", place="tool.other"))
    steps = (
        Step(id="ask", prompt="Ask.", tools=("shelf.find",)),
        Step(id="tell", prompt="Tell.", needs=("ask",), tools=("other.find",)),
    )
    labels = {"red": ("default", "tool.shelf")}
    with pytest.raises(PlanError, match=r"steps\.1\.tools: other\.find may not see 'red'"):
        await run_with(asking(), task(tmp_path, tools=("shelf", "other"), labels=labels, plan=Plan(steps=steps)))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"private": ("default", "mcp.note")}, "unknown model `mcp.note`; `models:` has default; places are"),
        ({"private": ("default", "wb")}, "did you mean `web`?"),
    ],
)
async def test_a_label_that_lists_no_model_and_no_place_is_an_error(
    tmp_path: Path, labels: Mapping[str, Any], words: str, command: Command
) -> None:
    made = f"goal: x\nlabels: {{private: [{', '.join(labels['private'])}]}}\n"
    (tmp_path / "t.yaml").write_text(made)
    said = command("check", str(tmp_path / "t.yaml"))
    assert said.code == 2
    assert words in said.err
    assert "t.yaml:2:29: labels.private.1: " in said.err


def test_a_place_of_a_tool_that_is_not_there_is_an_error(tmp_path: Path, command: Command) -> None:
    (tmp_path / "t.yaml").write_text("goal: x\nlabels: {private: [default, tool.send]}\n")
    said = command("check", str(tmp_path / "t.yaml"))
    assert said.code == 2
    assert "labels.private.1: `tool.send` is no model and no place" in said.err


def test_no_model_may_be_called_like_a_place_where_labels_name_both(tmp_path: Path, command: Command) -> None:
    (tmp_path / "t.yaml").write_text("goal: x\nmodels: {web: offline}\nlabels: {private: [web]}\n")
    said = command("check", str(tmp_path / "t.yaml"))
    assert said.code == 2
    assert "models.web: `web` is the name of a place" in said.err


async def test_s46_labelled_data_reaches_no_tool_by_a_call_either(tmp_path: Path) -> None:
    """The last gate: even if a step was granted the tool, the call itself is refused."""
    sent: list[str] = []

    @tool(effect="network")
    def send(word: str) -> str:
        """Send a word."""
        sent.append(word)
        return "sent"

    box = Toolbox([send], places={"private": ("default",), "open": ("default", "tool.send")})
    with pytest.raises(ToolError, match=r"would send data labelled private to tool\.send, which may not see it"):
        await box.call("send", '{"word": "zq1zq"}', ["send"], ToolContext(step="s", labels=("open", "private")))
    assert sent == []
    await box.call("send", '{"word": "tea"}', ["send"], ToolContext(step="s", labels=("open",)))
    assert sent == ["tea"]


# --tools FILE.py

FILE = '''
import swarm

@swarm.tool
def shout(word: str) -> str:
    """Shout a word."""
    return word.upper()
'''


def test_a_file_gives_a_task_its_functions(empty: Path, command: Command) -> None:
    folder = make_task(empty)
    (folder / "mine.py").write_text(FILE)
    with (folder / "task.yaml").open("a") as file:
        file.write("tools: [shout]\n")
    said = command("check", "task.yaml", "--tools", "mine.py")
    assert (said.code, said.errors) == (0, [])
    assert "tools: shout (read)" in said.out
    said = command("check", "task.yaml")
    assert said.code == 2
    assert "task.yaml:4:9: tools.0: there is no tool 'shout'; there are" in said.err
    assert "--tools FILE.py" in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "nope.py: --tools: there is no such file"),
        ("x = 1\n", "--tools: has no tool"),
        ("\nraise ValueError('odd')\n", "mine.py:2: --tools: cannot be used: ValueError: odd"),
        ("def f(:\n", "mine.py:1: --tools: cannot be used: SyntaxError"),
        ("import swarm\n@swarm.tool\ndef f(x): ...\n", "argument x has no type"),
    ],
)
def test_a_file_that_gives_no_tool_is_one_message(empty: Path, command: Command, text: str | None, words: str) -> None:
    make_task(empty)
    if text is not None:
        (empty / "mine.py").write_text(text)
    said = command("check", "task.yaml", "--tools", "nope.py" if text is None else "mine.py")
    assert said.code == 2
    assert words in said.err
    assert len(said.errors) == 1


def test_a_file_is_asked_for_again_on_resume(empty: Path, command: Command) -> None:
    """A journal names tools, never code: `resume` needs the file."""
    folder = make_task(empty)
    (folder / "mine.py").write_text(FILE)
    with (folder / "task.yaml").open("a") as file:
        file.write("tools: [shout]\n")
    assert command("run", "task.yaml", "--tools", "mine.py", "-q").code == 0
    said = command("resume", "last")
    assert said.code == 2
    assert "there is no tool 'shout'" in said.err
    assert command("resume", "last", "--tools", "mine.py", "-q").code == 0
