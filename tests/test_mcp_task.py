"""The section `mcp:` of a task: what is wrong in it, its secrets, and a run that uses it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm.base.errors import TaskError
from swarm.lifecycle.grants import toolbox, unused_sections
from swarm.spec.chat import Request
from swarm.spec.files import load_task, public, secrets_of
from swarm.spec.files.task import recall_task
from swarm.testing import Function, reply
from tests.models import own_prompt, run_with

SERVER = str(Path(__file__).resolve().parent / "servers.py")
ENVIRON = {"NOTES_TOKEN": "canary-1234567890"}


def read(text: str, folder: Path = Path()) -> Any:
    return load_task("t.yaml", text=f"goal: Look.\n{text}", environ=ENVIRON, folder=folder)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("{tools: {find: read}}", "t.yaml:3:14: mcp.notes: give either `command` or `url`"),
        ("{command: [a], url: 'http://a/', tools: {find: read}}", "give either `command` or `url`"),
        ("{command: [], tools: {find: read}}", "mcp.notes.command: is empty"),
        ("{url: 'ftp://a/', tools: {find: read}}", "mcp.notes.url: the address must begin with http"),
        ("{url: 'http://', tools: {find: read}}", "mcp.notes.url: the address has no host"),
        ("{url: 'http://a/', reads: [x], tools: {find: read}}", "mcp.notes.reads: belongs to a `command`"),
        ("{command: [sh], headers: {a: b}, tools: {find: read}}", "mcp.notes.headers: belongs to a `url`"),
        ("{command: [sh], tools: {a.b: read}}", "give it another name with `as:`"),
        ("{command: [sh], tools: {a: read, b: {effect: read, as: a}}}", "has the name of a"),
        ("{command: [sh], tools: {" + "x" * 60 + ": read}}", "give it another name with `as:`"),
        ("{command: [nod], tools: {find: read}}", 't.yaml:3:14: mcp.notes: "nod" is not on PATH'),
        ("{command: [sh], tools: {find: read}, label: secret}", "label 'secret' is not in the task's `labels`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_before_anything_starts(server: str, words: str) -> None:
    with pytest.raises(TaskError) as caught:
        toolbox((), read(f"tools: [notes]\nmcp: {{notes: {server}}}"))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("{command: [a], tools: {find: look}}", "mcp.notes.tools.find"),
        ("{command: [a], tools: {}}", "mcp.notes.tools"),
        ("{command: [a]}", "mcp.notes.tools"),
        ("{comand: [a], tools: {find: read}}", "mcp.notes.comand"),
        ("{command: [a, '${MISSING}'], tools: {find: read}}", "the environment variable MISSING is not set"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(server: str, words: str) -> None:
    with pytest.raises(TaskError) as caught:
        read(f"mcp: {{notes: {server}}}")
    assert words in str(caught.value)


def test_a_server_may_not_be_called_like_other_tools() -> None:
    with pytest.raises(TaskError, match=r"t\.yaml:3:7: mcp\.web: is the name of other tools"):
        toolbox((), read("tools: [web]\nmcp: {web: {command: [sh], tools: {find: read}}}"))


def test_tools_of_servers_need_their_section_and_sections_are_used() -> None:
    with pytest.raises(TaskError, match="there is no tool 'crm"):
        toolbox((), read("tools: ['crm.*']\nmcp: {notes: {command: [sh], tools: {find: read}}}"))
    with pytest.raises(TaskError, match=r"notes lists find and put; did you mean `find`\?"):
        toolbox((), read("tools: [notes.fnd]\nmcp: {notes: {command: [sh], tools: {find: read, put: write}}}"))
    task = read("mcp: {notes: {command: [sh], tools: {find: read}}}")
    assert unused_sections(task, toolbox((), task)) == ("mcp: describes tools, and `tools:` names none of them",)


def test_s14_values_from_the_environment_are_secrets_and_are_written_as_references() -> None:
    task = read(
        "web: {search: {use: brave, key: '${NOTES_TOKEN}'}}\nmcp:\n"
        "  notes: {command: [a, '--token=${NOTES_TOKEN}'], env: {KEY: 'x ${NOTES_TOKEN}'}, tools: {a: read}}\n"
        "  crm: {url: 'http://user:hunter22222@a/', headers: {Authorization: 'Bearer abcdefgh'}, tools: {find: read}}\n"
    )
    assert task.mcp["notes"].command == ("a", "--token=canary-1234567890")
    assert {"canary-1234567890", "Bearer abcdefgh", "hunter22222"} <= set(secrets_of(task))
    written = public(task)
    assert "canary" not in json.dumps(written)
    assert written["mcp"]["notes"]["command"] == ["a", "--token=${NOTES_TOKEN}"]
    assert written["mcp"]["notes"]["env"] == {"KEY": "x ${NOTES_TOKEN}"}
    assert written["web"]["search"]["key"] == "${NOTES_TOKEN}"
    again = recall_task(written, source="journal", environ={"NOTES_TOKEN": "another-1234567890"}, folder=Path())
    assert again.mcp["notes"].env == {"KEY": "x another-1234567890"}


@pytest.mark.slow  # waits for a server to start
@pytest.mark.anyio
async def test_a_run_goes_on_when_its_server_dies_and_leaves_no_secret(tmp_path: Path) -> None:
    server = {
        "command": [sys.executable, SERVER, str(tmp_path), "noisy", "dying=30"],
        "box": False,
        "env": {"TOKEN": "${NOTES_TOKEN}"},
        "tools": {"find": "read", "settings": "read"},
    }
    plan = [{"id": f"s{n}", "prompt": f"Ask {n}."} for n in range(40)]
    text = f"tools: [notes]\nmcp: {json.dumps({'notes': server})}\nplan: {json.dumps(plan)}\n"
    task = read(f"{text}models: {{default: offline}}", tmp_path)

    def answer(request: Request) -> Any:
        if len(request.messages) == 2 and request.tools:
            return reply(calls=[("notes__find", {"word": own_prompt(request)})])  # equal calls would be made once
        return request.messages[-1].text

    result = await run_with(Function(answer), task, cache=False)
    assert result.status == "done"
    found = [step for step in result.outputs if f"Ask {step[1:]}. found" in str(result.outputs[step])]
    assert len(found) == 40
    assert "no more today" in (result.folder / "mcp-notes.log").read_text()
    for path in result.folder.rglob("*"):
        assert not path.is_file() or b"canary-1234567890" not in path.read_bytes()
