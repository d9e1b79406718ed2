"""Tools that cannot be: one message with place and remedy, exit code 2, and nothing is sent or left behind."""

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.commands import Command, in_process

SERVER = f"{sys.executable}, -S, {Path(__file__).resolve().parent / 'hostile_server.py'}, ."
MCP = "tools: [notes]\nmcp: {notes: "


@pytest.fixture
def swarm(capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


@pytest.fixture
def model() -> Iterator[socket.socket]:
    """Listen as a model would, and answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def _sent_to(listener: socket.socket) -> Iterator[bytes]:
    """Yield what was sent over each connection."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            with connection:
                yield connection.recv(65_536)


@pytest.mark.parametrize(
    ("tools", "said", "remedy"),
    [
        ("tools: [filez]", "5:9: tools.0: there is no tool 'filez'", "did you mean `files`?"),
        ("tools: [notes]", "5:9: tools.0: there is no tool 'notes'", "describe a server in `mcp:`"),
        ("tools: [notes.fnd]\nmcp: {notes: {command: [cat], tools: {find: read}}}", "5:9: tools.0", "`find`?"),
        (f"{MCP}{{command: [nod, x.js], tools: {{find: read}}}}}}", '6:14: mcp.notes: "nod" is not on PATH', "install"),
        (
            f"{MCP}{{command: [{SERVER}, gone], box: false, tools: {{find: read}}}}}}",
            "6:14: mcp.notes: it ended, or closed the connection, before it answered; its last words: cannot open",
            "run the command by itself",
        ),
        (
            f"{MCP}{{command: [{SERVER}, tools=3], box: false, tools: {{fnd: read}}}}}}",
            '6:14: mcp.notes: tools: the server has no "fnd"; did you mean `find`?',
            "it has find, t0 and t1",
        ),
        (
            f"{MCP}{{command: [{SERVER}, 'schema=3'], box: false, tools: {{find: read}}}}}}",
            "6:14: mcp.notes: it broke the protocol: tools.0.inputSchema",
            "update the server, or leave it out",
        ),
        (
            f"{MCP}{{command: [{SERVER}], box: false, pin: abc, tools: {{find: read}}}}}}",
            "6:14: mcp.notes: changed since it was pinned",
            "`swarm tools TASK --pin`",
        ),
        (
            f"{MCP}{{url: 'http://127.0.0.1:9/mcp', tools: {{find: read}}}}}}",
            "6:14: mcp.notes: nobody answers at its address",
            "does it run",
        ),
        (
            "tools: [web]\nweb: {search: {use: brave, key: '${NO_SUCH_KEY}'}}",
            "6:33: web.search.key: the environment variable NO_SUCH_KEY is not set",
            "set it",
        ),
        ("tools: [web]\nweb: {search: {use: brave}}", "web.search.key: brave needs it", 'key: "${SEARCH_KEY}"'),
        ("tools: [web]\nweb: {search: {use: brav}}", 'web.search.use: "brav" is not known', "did you mean `brave`?"),
        ("tools: [web]\nweb: {private: [lan]}", "web.private.1: `lan` is not an address", "10.0.0.0/8"),
        ("tools: [python]\npython: {venv: ./none}", "5:9: tools.0: python.venv: there is no", "python3 -m venv"),
    ],
)
def test_a_tool_that_cannot_be_ends_the_command_before_anything_is_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    swarm: Command,
    model: socket.socket,
    tools: str,
    said: str,
    remedy: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    models = f"models: {{default: {{endpoint: http://127.0.0.1:{model.getsockname()[1]}/v1, name: m, key: k}}}}"
    Path("task.yaml").write_text(f"goal: Look.\n{models}\nplan:\n  - {{id: a, prompt: Look.}}\n{tools}\n")
    found = swarm("run", "task.yaml")
    assert found.code == 2, found.err
    assert found.err.count("error: ") == 1, found.err
    assert re.search(rf"error: task\.yaml:[\d: a-z]*{re.escape(said)}", found.err), found.err
    assert remedy in found.err
    assert b"POST" not in b"".join(_sent_to(model)), "a look whether somebody is there is no call"
    assert not list(tmp_path.glob(".swarm/runs/*"))
