"""Importing and using the library leaves the process, the disk and the network as they were.

Each test runs a fresh interpreter with an audit hook in it (PEP 578): no connection, process or write can go by it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WATCHER = r"""
import contextlib, json, os, signal, sys, threading

facts = {"network": [], "processes": [], "written": [], "signals": []}
NETWORK = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
           "socket.gethostbyname"}
PROCESSES = {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty", "os.system", "pty.spawn"}
CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
           "os.chown", "os.utime", "shutil.copyfile", "shutil.move", "shutil.rmtree", "tempfile.mkstemp",
           "tempfile.mkdtemp"}
LISTENED_TO = sorted(set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})

def watch(event, arguments):
    if event in NETWORK:
        facts["network"].append(f"{event} {arguments[1:]!r}")
    elif event in PROCESSES:
        facts["processes"].append(f"{event} {arguments!r}")
    elif event == "open":
        path, mode, flags = arguments
        if isinstance(path, int):
            return
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            facts["written"].append(os.path.abspath(os.fsdecode(path)))
    elif event in CHANGES:
        at = 1 if event in ("os.rename", "os.link", "os.symlink") else 0
        target = arguments[at]
        if isinstance(target, (str, bytes, os.PathLike)):
            facts["written"].append(os.path.abspath(os.fsdecode(target)))

@contextlib.contextmanager
def noted_signals():
    # signal.signal is how event loops do it too; the loop's own come before, and go after, what is under this
    names = ("signal", "set_wakeup_fd", "setitimer", "alarm")
    real = {name: getattr(signal, name) for name in names}
    for name in names:
        def recorded(*arguments, _name=name):
            facts["signals"].append(f"{_name}{arguments!r}")
            return real[_name](*arguments)
        setattr(signal, name, recorded)
    yield
    for name in names:
        setattr(signal, name, real[name])

def tell(**more):
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(30)  # one that was told to end may take a moment
    alive = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    environment = {k: v for k, v in os.environ.items() if before["environment"].get(k) != v}
    facts.update(alive=alive, environment=environment, cwd=os.getcwd() == before["cwd"],
                 kept=[signal.getsignal(n) for n in LISTENED_TO] == before["signals"],
                 hooks=[sys.excepthook, threading.excepthook, sys.displayhook] == before["hooks"],
                 logging=loggers() == before["logging"], **more)
    print("\n" + json.dumps(facts))

def loggers():
    import logging
    return [len(logging.getLogger().handlers), logging.getLogger().level]

before = {"signals": [signal.getsignal(n) for n in LISTENED_TO], "environment": dict(os.environ), "cwd": os.getcwd(),
          "hooks": [sys.excepthook, threading.excepthook, sys.displayhook], "logging": loggers()}
sys.addaudithook(watch)
"""

IMPORT = """
import swarm
for name in swarm.__all__:
    getattr(swarm, name)
started = threading.active_count()
tell(started=started - 1)
"""

RUN = """
import anyio, swarm

async def main():
    with noted_signals():
        return await swarm.run("task.yaml", runs="runs")

result = anyio.run(main, backend=BACKEND)
if BACKEND == "trio":  # trio keeps an idle worker thread for ten seconds, whoever asked for it
    threading.enumerate = lambda: [threading.main_thread()]
tell(result=type(result).__name__)
"""

TASK = """\
goal: How much memory does each service need?
inputs: [notes/*.md]
models: {default: {endpoint: offline}}
"""


@dataclass(frozen=True)
class Watched:
    """What a fresh interpreter did."""

    network: list[str]
    processes: list[str]
    written: list[str]
    signals: list[str]
    alive: list[str]
    environment: dict[str, str]
    cwd: bool
    kept: bool
    hooks: bool
    logging: bool
    started: int = 0
    result: str = ""


def watched(code: str, folder: Path, *, first: str = "") -> Watched:
    """Run code under watch in a folder, after some that is not watched; give what it did."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", first + WATCHER + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, "the library printed something"
    facts: dict[str, Any] = json.loads(lines[0])
    return Watched(**facts)


def assert_left_alone(seen: Watched) -> None:
    assert seen.network == []
    assert seen.processes == []
    assert seen.signals == []
    assert seen.alive == []
    assert seen.environment == {}
    assert (seen.cwd, seen.kept, seen.hooks, seen.logging) == (True, True, True, True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small task in it."""
    (tmp_path / "task.yaml").write_text(TASK)
    (tmp_path / "notes").mkdir()
    for name, memory in (("mail", 3), ("search", 12), ("wiki", 5)):
        (tmp_path / "notes" / f"{name}.md").write_text(f"# {name}\n\nThe {name} service needs {memory} GB of memory.\n")
    return tmp_path


def test_importing_does_nothing(folder: Path) -> None:
    seen = watched(IMPORT, folder)
    assert_left_alone(seen)
    assert seen.written == []
    assert seen.started == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_writes_into_its_folder_only(folder: Path, backend: str) -> None:
    # trio looks for a C library when it is imported, by running ldconfig: that is between it and whoever chose it
    seen = watched(f"BACKEND = {backend!r}\n" + RUN, folder, first="import trio\n" if backend == "trio" else "")
    assert_left_alone(seen)
    assert seen.result == "Result"
    roots = (folder / "runs", folder / ".swarm")
    assert seen.written != []
    assert [path for path in seen.written if not any(Path(path).is_relative_to(root) for root in roots)] == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (
            "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 1), 1)\nexcept OSError:\n    pass",
            "network",
        ),
        ("import subprocess\nsubprocess.run(['true'])", "processes"),
        ("open('stray.txt', 'w').close()", "written"),
        ("with noted_signals():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signals"),
        ("threading.Thread(target=threading.Event().wait, name='left', daemon=True).start()", "alive"),
        ("os.environ['LEFT'] = 'x'", "environment"),
    ],
)
def test_the_watch_sees(folder: Path, code: str, what: str) -> None:
    seen = watched(code + "\nthreading.Thread.join = lambda *_: None\ntell()", folder)
    assert getattr(seen, what)
