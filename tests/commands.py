"""Command lines for tests, run in this process or in their own."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from swarm.cli import main
from swarm.testing.fake import Answer, FakeServer, Respond

TASK = """\
goal: How much memory does each service need?
inputs: [notes/*.md]
models: {default: {endpoint: offline}}
"""
STEERING = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
"""Control characters that must not reach a terminal, except for the two below."""
ALLOWED = "\n\t"
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background, or below `nohup`, have some of
for number in (signal.SIGTERM, signal.SIGHUP):  # these ignored, and so has a child
    signal.signal(number, signal.SIG_DFL)
from swarm.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Said:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer, read as JSON."""
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """The errors, each with the hints below it."""
        found: list[str] = []
        for line in self.err.splitlines():
            if line.startswith("error: "):
                found.append(line.removeprefix("error: "))
            elif line.startswith("  hint: ") and found:
                found[-1] += f"\n{line.strip()}"
        return found


Command = Callable[..., Said]


SERVERS: list[FakeServer] = []
"""Servers that run now: a command that exits with 2 has called none of them."""
MOST_WATCHED = 200
"""Maximum files of a folder whose content is compared."""


def calls_made() -> int:
    """Count the chat requests that all servers have received."""
    received = (server.requests for server in SERVERS)
    return sum(sum("/chat/completions" in request.path for request in requests) for requests in received)


def contents() -> dict[Path, bytes]:
    """Read every file below the current folder that is not of a run; nothing if these are too many."""
    files = (path for path in Path.cwd().rglob("*") if ".swarm" not in path.parts and path.is_file())
    found = list(islice(files, MOST_WATCHED + 1))
    return {path: path.read_bytes() for path in found} if len(found) <= MOST_WATCHED else {}


def in_process(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run command lines in this process."""

    def carry_out(*arguments: str) -> Said:
        calls, before = calls_made(), contents()
        code = main(arguments)
        said = capsys.readouterr()
        if code == 2:
            # Exit code 2 means that no call was made and no input was changed, in every test.
            assert calls_made() == calls, "a command that exits with 2 made a call"
            after = contents()
            assert {path: after.get(path) for path in before} == before, "a file was changed"
        assert "Traceback" not in said.out + said.err
        assert [c for c in STEERING if c not in ALLOWED and c in said.out + said.err] == []
        return Said(code, said.out, said.err)

    return carry_out


def make_task(folder: Path) -> Path:
    """Write a small task into a folder."""
    (folder / "task.yaml").write_text(TASK)
    (folder / "notes").mkdir()
    for name, memory in (("mail", 3), ("search", 12), ("wiki", 5)):
        (folder / "notes" / f"{name}.md").write_text(f"# {name}\n\nThe {name} service needs {memory} GB of memory.\n")
    return folder


def only_run(folder: Path) -> Path:
    """Return the folder of the only run."""
    (found,) = (folder / ".swarm" / "runs").iterdir()
    return found


def events_of(run: Path) -> list[dict[str, Any]]:
    """Read the journal of a run."""
    return [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]


def start(*arguments: str, folder: Path, **more: Any) -> "subprocess.Popen[str]":
    """Run a command line in its own process, with the signal handlers of a shell."""
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        cwd=folder,
        text=True,
        **{**streams, **more},
    )


def ended(process: "subprocess.Popen[str]") -> Said:
    """Wait for a command to end."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in (out or "") + (err or "")
    return Said(process.returncode, out or "", err or "")


@contextmanager
def served(respond: Respond, models: Answer | None = None) -> Generator[FakeServer]:
    """Serve while a command runs in this thread."""
    with start_blocking_portal() as portal:
        server = FakeServer(respond=respond, models=models)
        with portal.wrap_async_context_manager(server):
            SERVERS.append(server)
            try:
                yield server
            finally:
                SERVERS.remove(server)


@contextmanager
def serving(*arguments: str) -> Generator[str]:
    """Start a chat endpoint in its own process and return its base URL."""
    command = [sys.executable, "-m", "swarm.testing.server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def environment(**more: str) -> Mapping[str, str]:
    """Return this environment with more variables."""
    return {**os.environ, **more}


def at_terminal(folder: Path, *arguments: str, types: str = "", **variables: str) -> tuple[int, str]:
    """Run a command line on a terminal with typed input; return its exit code and the whole screen output."""
    main, side = pty.openpty()
    env: Any = environment(**variables)
    process = start(*arguments, folder=folder, stdin=side, stdout=side, stderr=side, env=env)
    os.close(side)
    if types:
        os.write(main, types.encode())
    shown = b""
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:  # Linux: the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(main)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")
