"""The program that serves a GGUF file: a process of its own, started by `swarm.local_models.serve`.

It is run as a script and imports nothing from this package. It ends when its standard input is
closed. The operating system closes that when the parent process ends, however it ends. The first
line of its input is the key that calls must carry. The only line of its output is the address of
the server, or an error.
"""

import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from typing import Any


def start(path: str, *, slots: int, context: int, threads: int, key: str) -> Any:
    """Load a model and serve it on a free port of this machine.

    The server stops when the result is freed.
    """
    library = import_module("xllamacpp")
    wanted = library.CommonParams()
    wanted.model.path = path
    wanted.model_alias = {Path(path).stem}
    wanted.n_parallel = slots
    wanted.n_ctx = slots * context
    wanted.fit_params = False
    wanted.warmup = False
    wanted.ui = False
    wanted.api_keys = [key]
    wanted.verbosity = 0
    for each in (wanted.cpuparams, wanted.cpuparams_batch):
        each.n_threads = threads
    return library.Server(wanted)


def main() -> None:
    """Serve until standard input ends. Arguments: file, slots, context per slot in tokens, threads."""
    path, slots, context, threads = sys.argv[1:5]
    key = sys.stdin.readline().strip()
    Thread(target=_leave_with_the_parent, daemon=True).start()
    output = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the library prints must not mix with our line
    try:
        server = start(path, slots=int(slots), context=int(context), threads=int(threads), key=key)
    except Exception as error:  # noqa: BLE001 - the parent reports any error
        os.write(output, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return
    with suppress(BrokenPipeError):
        os.write(output, json.dumps({"url": server.listening_address}).encode() + b"\n")
    Event().wait()


def _leave_with_the_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
