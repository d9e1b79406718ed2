"""The server of a model file: `endpoint: local:PATH` starts and stops llama.cpp's server.

The server is a separate process (`llama.py`), so that a crash in it fails a call and not the run.
It cannot outlive the run: it ends when its standard input is closed, and the operating system
closes that even after `kill -9`. It listens on loopback, on a free port, and accepts only a random
key.
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
"""Parallel calls if `calls` is not set. More would share the same cores."""
CONTEXT = 4096
"""Tokens of context per slot if `context` is not set. Each token takes memory for the whole run."""
ANSWER_SHARE = 4
"""Divisor of the context that gives the maximum tokens of an answer if `max_tokens` is not set. The
rest is for the input and for a retried answer."""
DEADLINE = 1200.0
"""Seconds per call if `deadline` is not set: a few slots on a few cores write some tokens per
second each. A streamed answer that stalls is cancelled long before."""
LOAD_SECONDS = 300.0
"""Maximum seconds to load a model. The largest that fit such a machine take a minute from a slow
disk."""
STOP_SECONDS = 5.0
"""Maximum seconds for a server to end by itself. After that it is killed."""
LIBRARY = "xllamacpp"
"""The package with llama.cpp's server: the extra `local`."""


@dataclass(frozen=True)
class Served:
    """The address and key of a running server."""

    url: str
    """The base URL."""
    key: str
    """The API key that calls must carry."""


def is_local(endpoint: str | None) -> bool:
    """Return whether an endpoint is a model file."""
    return endpoint is not None and endpoint.startswith(PREFIX)


def path_of(endpoint: str) -> Path:
    """Return the path in `local:PATH`."""
    return Path(endpoint.removeprefix(PREFIX)).expanduser()


def what_is_missing(endpoint: str) -> str | None:
    """Return why a model file cannot be served, with a hint, or None if it can."""
    path = path_of(endpoint)
    if not path.is_file():
        if name := hub_name(endpoint.removeprefix(PREFIX)):
            return f"model {name} is not downloaded\nhint: run `swarm models get {name}`"
        hint = "check the path, or run `swarm models get smollm2` and use `local:smollm2`"
        return f"no model file {path}\nhint: {hint}"
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            return f"{path} is not a GGUF file"
    if find_spec(LIBRARY) is None:
        return f"{LIBRARY} is not installed\nhint: run pip install 'local-agent-swarm[local]'"
    return None


@asynccontextmanager
async def serving(path: Path, *, slots: int = SLOTS, context: int = CONTEXT) -> AsyncGenerator[Served]:
    """Serve a model file in the block, with `slots` parallel calls of `context` tokens each.

    Raise `EndpointRefused` if the model cannot be loaded.
    """
    numbers = (str(slots), str(context), str(_threads()))
    command = [sys.executable, "-P", str(Path(__file__).with_name("llama.py")), str(path), *numbers]
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # without our keys
    process = await anyio.open_process(
        command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environ, start_new_session=True
    )
    try:
        key = secrets.token_urlsafe(24)
        url = await _started(process, key, path)
        yield Served(f"{url}/v1", key)
    finally:
        # Shielded, so that a cancelled run does not leave the process behind. `_stop` has a
        # deadline.
        with anyio.CancelScope(shield=True):
            await _stop(process)


def _threads() -> int:
    """Return the number of threads: one less than the cores.

    A thread that waits for a core delays all others: measured, to a thirtieth of the speed.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, cores - 1)


async def _started(process: anyio.abc.Process, key: str, path: Path) -> str:
    """Wait until the model is loaded, and return the address of the server."""
    assert process.stdin is not None
    assert process.stdout is not None
    line = b"{}"
    # At the deadline `line` stays empty. A cancellation from outside is not caught here.
    with anyio.move_on_after(LOAD_SECONDS), suppress(anyio.BrokenResourceError, anyio.IncompleteRead):
        await process.stdin.send(key.encode() + b"\n")
        line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 65_536)
    answer: dict[str, Any] = json.loads(line)
    if "url" in answer:
        return answer["url"]
    reason = answer.get("error") or "the server process ended, or took too long to load it"
    raise EndpointRefused(f"{path.name} cannot be served: {reason}", kind="local_model", stops=True)


async def _stop(process: anyio.abc.Process) -> None:
    """Close the server's input, and kill the process if it does not end in `STOP_SECONDS`."""
    assert process.stdin is not None
    with anyio.move_on_after(STOP_SECONDS):
        await process.stdin.aclose()
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
