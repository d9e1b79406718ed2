"""The program that serves a GGUF file: a process of its own, started by `swarm.local_models.serve`.

It is run as a script and imports nothing of this package. It lives as long as its standard input is open: whatever
becomes of the process that started it, the system closes that, and this one ends. The first line of its input is the
key that calls must carry; the one line of its output says where it serves, or what is wrong.
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
    """Load a model and serve it on a free port of this machine; the server stops when it is let go."""
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
    """Serve until standard input ends. Arguments: the file, slots, tokens of context a slot, threads."""
    path, slots, context, threads = sys.argv[1:5]
    key = sys.stdin.readline().strip()
    Thread(target=_leave_with_the_parent, daemon=True).start()
    told = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the library prints is not ours to answer
    try:
        server = start(path, slots=int(slots), context=int(context), threads=int(threads), key=key)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it
        os.write(told, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return
    with suppress(BrokenPipeError):
        os.write(told, json.dumps({"url": server.listening_address}).encode() + b"\n")
    Event().wait()


def _leave_with_the_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
