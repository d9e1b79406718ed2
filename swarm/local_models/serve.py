"""A model that is a file on this machine: `endpoint: local:PATH` starts llama.cpp's own server for it, and stops it.

The server is a process of its own (`llama.py`), so that a crash in it is a call that failed and not the end of a run.
It cannot outlive the run: it ends when its standard input does, which the system closes with whoever held it, even
after `kill -9`. It listens on loopback, on a port of its own, and answers only to a key made for it.
"""

import json
import os
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from swarm.base.errors import EndpointRefused
from swarm.local_models.hub import hub_name

PREFIX = "local:"
SLOTS = 4
"""Answers written at once, where `calls` says nothing: more share the same cores."""
CONTEXT = 4096
"""Tokens a slot reads and writes, where `context` says nothing: each one costs memory for the whole run."""
ANSWER_SHARE = 4
"""One part in so many of the context is the most an answer takes, where `max_tokens` says nothing: the rest is for
what is read, and for an answer that is asked for again."""
DEADLINE = 1200.0
"""Seconds for one call, where `deadline` says nothing: a few slots on a few cores write some tokens a second each. A
streamed answer that stops coming is given up long before."""
LOAD_SECONDS = 300.0
"""How long a model may take to load; the largest that fit this kind of machine take a minute from a slow disk."""
STOP_SECONDS = 5.0
"""How long a server may take to end by itself."""
LIBRARY = "xllamacpp"


@dataclass(frozen=True)
class Served:
    """A model that is being served."""

    url: str
    """The base URL."""
    key: str
    """What calls must carry."""


def is_local(endpoint: str | None) -> bool:
    """Tell whether an endpoint is a model file."""
    return endpoint is not None and endpoint.startswith(PREFIX)


def path_of(endpoint: str) -> Path:
    """Give the file that `local:PATH` names."""
    return Path(endpoint.removeprefix(PREFIX)).expanduser()


def what_is_missing(endpoint: str) -> str | None:
    """Say why a model file cannot be served, and what to do; None if it can be."""
    path = path_of(endpoint)
    if not path.is_file():
        if name := hub_name(endpoint.removeprefix(PREFIX)):
            return f"neither a file nor a fetched model is called {name}; `swarm models get {name}` fetches it"
        return f"there is no model file {path}; `swarm models get smollm2` fetches a small one: local:smollm2"
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            return f"{path} is no GGUF file"
    if find_spec(LIBRARY) is None:
        return f"serving a model file needs {LIBRARY}: pip install 'local-agent-swarm[local]'"
    return None


@asynccontextmanager
async def serving(path: Path, *, slots: int = SLOTS, context: int = CONTEXT) -> AsyncGenerator[Served]:
    """Serve a model file for as long as the block lasts: `slots` answers at once of `context` tokens each.

    Raises `EndpointRefused` where it cannot be loaded.
    """
    numbers = (str(slots), str(context), str(_threads()))
    command = [sys.executable, "-P", str(Path(__file__).with_name("llama.py")), str(path), *numbers]
    found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # and nothing else: keys are not its business
    process = await anyio.open_process(
        command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=found, start_new_session=True
    )
    try:
        key = secrets.token_urlsafe(24)
        url = await _started(process, key, path)
        yield Served(f"{url}/v1", key)
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)


def _threads() -> int:
    """Count the threads to compute with: one that waits for a core holds all others up, to a thirtieth of the speed."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, cores - 1)


async def _started(process: anyio.abc.Process, key: str, path: Path) -> str:
    """Wait until the model is loaded; give where it is served."""
    assert process.stdin is not None
    assert process.stdout is not None
    line = b"{}"
    with anyio.move_on_after(LOAD_SECONDS), suppress(anyio.BrokenResourceError, anyio.IncompleteRead):
        await process.stdin.send(key.encode() + b"\n")
        line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 65_536)
    said: dict[str, Any] = json.loads(line)
    if "url" in said:
        return said["url"]
    reason = said.get("error") or "the process that was to serve it ended, or took too long"
    raise EndpointRefused(f"{path.name} cannot be served: {reason}", kind="local_model", stops=True)


async def _stop(process: anyio.abc.Process) -> None:
    assert process.stdin is not None
    with anyio.move_on_after(STOP_SECONDS):
        await process.stdin.aclose()
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
