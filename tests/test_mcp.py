"""MCP servers as kits of tools: own servers over pipes and over HTTP on loopback."""

import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp
import psutil
import pytest

from swarm.base.errors import TaskError, ToolError
from swarm.spec.servers import Server
from swarm.tools import Opening, Toolbox, ToolContext
from swarm.tools.mcp.kit import ServerKit

pytestmark = pytest.mark.anyio
PROGRAM = str(Path(__file__).resolve().parent / "servers.py")
PACKAGES = str(Path(mcp.__file__).resolve().parent.parent)
TOOLS: dict[str, Any] = {
    "find": "read",
    "put": "write",
    "settings": "read",
    "look": "read",
    "reach": "read",
    "picture": "read",
    "refuse": "read",
    "much": "read",
}


def described(folder: Path, *words: str, box: bool = False, **more: Any) -> Server:
    """Describe a server over pipes. Without a box it starts quicker."""
    fields: dict[str, Any] = {"command": (sys.executable, PROGRAM, str(folder), *words), "tools": TOOLS, "box": box}
    return Server(**(fields | more))


@asynccontextmanager
async def opened(*kits: ServerKit, folder: Path, clean: Any = str) -> AsyncGenerator[Toolbox]:
    """Open kits in a toolbox, as a run does."""
    box = Toolbox(kits=kits)
    failed: TaskError | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await box.open(Opening(folder, tasks, clean, print))
            yield box
        except TaskError as error:
            failed = error
        finally:
            await box.close()
            tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def ask(box: Toolbox, name: str, arguments: str = "{}", step: str = "ask") -> str:
    return (await box.call(name, arguments, box.names, ToolContext(step))).text


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run a server over HTTP and return its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, PROGRAM, str(tmp_path), f"http={port}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if b"running on" in line:
            break
    yield f"http://127.0.0.1:{port}/mcp"
    process.kill()
    process.wait()
    process.stderr.close()


# What a server gives


async def test_a_server_gives_words_pictures_and_refusals(tmp_path: Path) -> None:
    async with opened(ServerKit("notes", described(tmp_path)), folder=tmp_path) as box:
        assert await ask(box, "notes.find", '{"word": "tea"}') == "tea found"
        found = await box.call("notes.picture", "{}", box.names, ToolContext("ask"))
        assert [getattr(part, "text", "") or getattr(part, "mime", "") for part in found.parts] == [
            "before",
            "image/png",
            "after",
        ]
        with pytest.raises(ToolError, match="not on Sundays"):
            await ask(box, "notes.refuse")
        with pytest.raises(ToolError, match="word"):
            await ask(box, "notes.find", '{"wrd": 1}')
        with pytest.raises(ToolError, match="must be one JSON object") as caught:
            await ask(box, "notes.find", "[]")
        assert caught.value.kind == "arguments"
        spec = box.get("notes.find").spec
        assert (spec.name, spec.description) == ("notes__find", "Find a word. It is quick.")
        assert "$schema" not in spec.parameters
        assert "title" not in spec.parameters
        assert len(await ask(box, "notes.much", '{"count": 3000000}')) == 3_000_000
        with pytest.raises(ToolError, match="more than 16,777,216 bytes"):
            await ask(box, "notes.much", '{"count": 20000000}')
        assert await ask(box, "notes.find", '{"word": "still"}') == "still found"


@pytest.mark.slow  # waits for a server to start
async def test_s45_fifty_writes_at_once_leave_fifty(tmp_path: Path) -> None:
    notes = ServerKit("notes", described(tmp_path))
    async with opened(notes, folder=tmp_path) as box, anyio.create_task_group() as tasks:
        for n in range(50):
            tasks.start_soon(ask, box, "notes.put", f'{{"word": "{n}"}}', f"step-{n}")
    assert sorted(map(int, (tmp_path / "list").read_text().split())) == list(range(50))


@pytest.mark.slow  # waits for a server to start
async def test_a_cancelled_call_leaves_the_session_usable(tmp_path: Path) -> None:
    server = described(tmp_path, "hanging", tools={"find": {"effect": "read", "seconds": 0.2}, "look": "read"})
    async with opened(ServerKit("notes", server), folder=tmp_path) as box:
        with pytest.raises(ToolError, match=r"took longer than 0\.2 seconds"):
            await ask(box, "notes.find", '{"word": "tea"}')
        assert await ask(box, "notes.look", f'{{"path": "{PROGRAM}"}}')


@pytest.mark.slow  # waits for a server to start
async def test_http_serves_calls_at_once_and_redirects_are_refused(tmp_path: Path, address: str) -> None:
    notes = ServerKit("notes", Server(url=address, tools={"find": "read"}))
    async with opened(notes, folder=tmp_path) as box, anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(ask, box, "notes.find", f'{{"word": "{n}"}}', f"step-{n}")
    assert len((tmp_path / "found").read_text().splitlines()) == 20


async def test_a_server_that_dies_over_http_is_said(tmp_path: Path) -> None:
    gone = ServerKit("notes", Server(url="http://127.0.0.1:9/mcp", tools={"find": "read"}))
    with pytest.raises(TaskError, match=r"mcp\.notes: nobody answers at its address"):
        async with opened(gone, folder=tmp_path):
            pass


# What it may and what it learns


async def test_s30_s15_a_boxed_server_sees_what_the_task_names_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "canary-1234567890")
    data, secret = tmp_path / "data", tmp_path / "secret"
    data.mkdir()
    (data / "note").write_text("read me")
    secret.write_text("hidden")
    work = tmp_path / "work"
    work.mkdir()
    server = described(
        work, box=True, reads=(PACKAGES, str(data)), writes=(str(work),), env={"TOKEN": "canary-of-the-task"}
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        async with opened(ServerKit("notes", server), folder=tmp_path) as box:
            assert await ask(box, "notes.look", f'{{"path": "{data}/note"}}') == "read me"
            assert await ask(box, "notes.find", '{"word": "tea"}') == "tea found"
            lines = (await ask(box, "notes.settings")).splitlines()
            known = {line.partition("=")[0]: line.partition("=")[2] for line in lines}
            assert known["TOKEN"] == "canary-of-the-task"
            assert set(known) <= {"PATH", "HOME", "TOKEN", "PWD", "LC_CTYPE"}
            assert "canary-1234567890" not in await ask(box, "notes.look", '{"path": "/proc/1/environ"}')
            for hidden in (str(secret), str(Path.cwd() / "pyproject.toml"), "/etc/passwd"):
                with pytest.raises(ToolError):
                    await ask(box, "notes.look", f'{{"path": "{hidden}"}}')
            with pytest.raises(ToolError):
                await ask(box, "notes.reach", f'{{"port": {port}}}')


@pytest.mark.slow  # waits for a server to start
async def test_a_log_has_what_a_server_says_without_secrets(tmp_path: Path) -> None:
    server = described(tmp_path, "noisy", env={"TOKEN": "canary-of-the-task"})

    def clean(text: str) -> str:
        return text.replace("canary-of-the-task", "***")

    async with opened(ServerKit("notes", server), folder=tmp_path, clean=clean) as box:
        assert "TOKEN=***" in await ask(box, "notes.settings")
    log = tmp_path / "mcp-notes.log"
    assert "the token is ***" in log.read_text()
    assert "not a message: this is no message" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow  # waits for a server to start
async def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    async with opened(ServerKit("notes", described(tmp_path, "child")), folder=tmp_path):
        child = psutil.Process(int((tmp_path / "child").read_text()))
        assert child.is_running()
    child.wait(10)


# Servers that break


@pytest.mark.slow  # waits for three starts
async def test_a_server_that_dies_again_and_again_serves_a_hundred_steps(tmp_path: Path) -> None:
    """Every fortieth call ends it. A call to read is made again."""
    got: list[str] = []

    async def one(n: int) -> None:
        got.append(await ask(box, "notes.find", f'{{"word": "{n}"}}', f"step-{n}"))

    async with opened(ServerKit("notes", described(tmp_path, "dying=40")), folder=tmp_path) as box:
        for start in range(0, 100, 10):
            async with anyio.create_task_group() as tasks:
                for n in range(start, start + 10):
                    tasks.start_soon(one, n)
    assert sorted(got) == sorted(f"{n} found" for n in range(100))
    assert len((tmp_path / "started").read_text().splitlines()) == 3


@pytest.mark.slow  # waits for four starts
async def test_every_caller_gets_one_answer_when_a_server_stays_down(tmp_path: Path) -> None:
    server = described(tmp_path, "dying=1", tools={"find": {"effect": "write", "alone": "no"}})
    answers: list[str] = []

    async def one(n: int) -> None:
        try:
            await ask(box, "notes.find", f'{{"word": "{n}"}}', f"step-{n}")
        except ToolError as error:
            answers.append(f"{error.kind} {error}")

    async with opened(ServerKit("notes", server), folder=tmp_path) as box:
        for start in range(0, 50, 10):
            async with anyio.create_task_group() as tasks:
                for n in range(start, start + 10):
                    tasks.start_soon(one, n)
    assert len(answers) == 50
    assert any("lost" in answer for answer in answers)
    assert "the server is down" in answers[-1]
    assert "no more today" in answers[-1]
    assert len((tmp_path / "started").read_text().splitlines()) == 4, "three restarts"


@pytest.mark.slow  # waits for two starts
async def test_s30_a_server_that_comes_back_with_other_tools_is_not_used_any_more(tmp_path: Path) -> None:
    server = described(tmp_path, "changing=1", "dying=1")
    async with opened(ServerKit("notes", server), folder=tmp_path) as box:
        with pytest.raises(ToolError, match="changed find during the run"):
            await ask(box, "notes.find", '{"word": "tea"}')


async def test_a_silent_server_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    silent = "import sys; print('thinking', file=sys.stderr, flush=True); sys.stdin.read()"
    kit = ServerKit("notes", described(tmp_path, command=(sys.executable, "-Sc", silent)))
    kit.opening_seconds = 1.0
    with pytest.raises(TaskError, match=r"mcp\.notes: no answer in 1 s; its last words: thinking"):
        async with opened(kit, folder=tmp_path):
            pass


@pytest.mark.slow  # waits for servers to start
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": ("false",)}, "it ended, or closed the connection, before it answered"),
        ({"tools": {"fnd": "read"}}, 'the server has no "fnd"; did you mean `find`?'),
        ({"pin": "0" * 16 + "-" + "1" * 16, "tools": {"find": "read"}}, "changed since it was pinned: its command and"),
        ({"command": (sys.executable, "-c", "raise SystemExit('no licence')")}, "its last words: no licence"),
    ],
)
async def test_a_server_that_is_not_as_the_task_says_ends_the_run(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(TaskError) as caught:
        async with opened(ServerKit("notes", described(tmp_path, **change)), folder=tmp_path):
            pass
    assert words in str(caught.value)
    assert str(caught.value).startswith("mcp.notes: ")


def test_a_program_that_is_not_there_is_found_without_starting_anything(tmp_path: Path) -> None:
    kit = ServerKit("notes", described(tmp_path, command=("nod", "server.js")))
    assert (kit.problem() or "").startswith('"nod" is not on PATH')
    kit = ServerKit("notes", described(tmp_path, box=True, reads=("missing",)))
    assert kit.problem() == "there is no missing to show it"
    kit = ServerKit("notes", described(tmp_path, command=("npx", "-y", "some-server")))
    assert kit.notes()
    assert not ServerKit("notes", described(tmp_path, command=("npx", "-y", "some-server@1.2"))).notes()
