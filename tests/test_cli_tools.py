"""`swarm tools`: what is granted, and pins that are written into the task file with its comments."""

import sys
from pathlib import Path

import pytest

from swarm.base.errors import TaskError
from swarm.spec.yaml.edit import with_entry
from swarm.spec.yaml.strict import parse
from tests.commands import Command, in_process

SERVER = str(Path(__file__).resolve().parent / "servers.py")
TASK = f"""\
goal: Look.  # the question
tools: [notes]
models: {{default: offline}}
mcp:
  # my notes
  notes:
    command: [{sys.executable}, {SERVER}, ../data]  # from somewhere
    box: false
    tools: {{find: read, put: write}}
"""


@pytest.fixture
def swarm(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.mark.slow  # waits for servers to start
def test_pins_are_written_with_comments_kept_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swarm: Command
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(project)
    file = project / "task.yaml"
    file.write_text(TASK)
    said = swarm("tools", "task.yaml", "--json")
    assert said.code == 0, said.err
    assert [(each["name"], each["effect"], each["goes_to"]) for each in said.json["tools"]] == [
        ("notes.find", "read", "mcp.notes"),
        ("notes.put", "write", "mcp.notes"),
    ]
    assert "settings" in said.json["not_listed"]["notes"]
    assert swarm("tools", "task.yaml", "--pin").code == 0
    pinned = file.read_text()
    pin = said.json["pins"]["notes"]
    assert pinned == TASK.replace("    command:", f'    pin: "{pin}"\n    command:')
    assert swarm("tools", "task.yaml").code == 0
    file.write_text(pinned.replace("box: false", "box: false\n    env: {A: b}").replace("../data]", "../data, noisy]"))
    said = swarm("tools", "task.yaml")
    assert said.code == 2
    assert "mcp.notes: changed since it was pinned: its command" in said.err


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a:\n  b:\n    c: 1  # x\n", 'a:\n  b:\n    pin: "7-7"\n    c: 1  # x\n'),
        ("a: {b: {c: 1}}  # x\n", 'a: {b: {pin: "7-7", c: 1}}  # x\n'),
        ('{"a": {"b": {"c": 1}}}', '{"a": {"b": {"pin": "7-7", "c": 1}}}'),
        ("a:\n  b: {pin: 1-1, c: 1}\n", 'a:\n  b: {pin: "7-7", c: 1}\n'),
        ("a:\n  b:\n    pin: '1-1'  # old\n    c: 1\n", 'a:\n  b:\n    pin: "7-7"  # old\n    c: 1\n'),
        ('a:\n  b:\n    "pin": "1-1"\n', 'a:\n  b:\n    "pin": "7-7"\n'),
    ],
)
def test_an_entry_is_written_and_the_rest_stays(text: str, changed: str) -> None:
    assert with_entry(parse(text, source="t.yaml"), ("a", "b"), "pin", "7-7") == changed


def test_an_entry_that_cannot_be_written_is_said() -> None:
    with pytest.raises(TaskError, match="write it yourself: pin: 7-7"):
        with_entry(parse("a:\n  b:\n    pin: |\n      x\n", source="t.yaml"), ("a", "b"), "pin", "7-7")


def test_check_names_the_calls_that_a_person_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swarm: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    tools = "tools: {find: read, put: write, much: {effect: read, ask: true}, look: {effect: exec, ask: false}}"
    more = "approve: tools\nplan: [{id: a, prompt: Look.}]\n"
    Path("task.yaml").write_text(TASK.replace("tools: {find: read, put: write}", tools) + more)
    said = swarm("check", "task.yaml")
    assert said.code == 0, said.err
    [line] = [line for line in said.out.splitlines() if line.startswith("tools: ")]
    assert "notes.find (read, sends to mcp.notes)," in line
    assert "notes.put (write, sends to mcp.notes, asks before each call)," in line
    assert "notes.much (read, sends to mcp.notes, asks before each call)," in line
    assert line.endswith("notes.look (exec, sends to mcp.notes)")
    asked = {tool["name"]: tool["asks"] for tool in swarm("check", "task.yaml", "--json").json["tools"]}
    assert asked == {"notes.find": False, "notes.put": True, "notes.much": True, "notes.look": False}
    Path("task.yaml").write_text(Path("task.yaml").read_text().replace("approve: tools", "approve: ask"))
    assert "notes.put (write, sends to mcp.notes)," in swarm("check", "task.yaml").out
