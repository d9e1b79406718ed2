"""The program inside of a box: it runs pieces of code one after another, and keeps their variables.

It is started with `python3 -I -c`, so it may import nothing of this package. A request is a line
with a length and as many bytes of JSON on stdin. What the code prints goes to stdout as it is; then
come the mark of the request on a line of its own, a length, and the reply as JSON. Whatever the
code does to this program costs nobody but the code: the reply is words and files for the step that
wrote it.
"""

import ast
import base64
import contextlib
import json
import os
import sys
import traceback
from typing import Any

WORK = "/work"
MOST_VALUE = 20_000
"""Maximum characters of the value of the last expression."""
MOST_FILE = 32_000_000
MOST_FILES = 256


def files() -> dict[str, tuple[float, int]]:
    """Return the regular files of the folder with their times and sizes; nothing that is mounted below it."""
    found: dict[str, tuple[float, int]] = {}
    device = os.stat(WORK).st_dev
    for folder, folders, names in os.walk(WORK):
        if os.stat(folder).st_dev != device:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            if name.startswith(".") or os.path.islink(path) or not os.path.isfile(path):
                continue
            with contextlib.suppress(OSError):
                about = os.stat(path)
                found[os.path.relpath(path, WORK)] = (about.st_mtime, about.st_size)
    return found


def evaluate(code: str, space: dict[str, Any]) -> str:
    """Run code. Return the value of its last expression in words, or an empty text."""
    tree = ast.parse(code, "<code>")
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    exec(compile(tree, "<code>", "exec"), space)
    if not isinstance(last, ast.Expr):
        return ""
    value = eval(compile(ast.Expression(last.value), "<code>", "eval"), space)
    return "" if value is None else repr(value)[:MOST_VALUE]


def figures() -> None:
    """Save open figures of matplotlib, and close them."""
    plot: Any = sys.modules.get("matplotlib.pyplot")
    if plot is None:
        return
    for number in plot.get_fignums():
        plot.figure(number).savefig(os.path.join(WORK, f"figure-{number}.png"))
    plot.close("all")


def attempt(code: str, space: dict[str, Any]) -> dict[str, str]:
    """Run code and return its value or its error."""
    try:
        value = evaluate(code, space)
        figures()
    except BaseException as error:  # noqa: BLE001 - SystemExit, too
        kept = error.__traceback__
        while kept is not None and kept.tb_frame.f_code.co_filename != "<code>":
            kept = kept.tb_next
        return {"error": "".join(traceback.format_exception(type(error), error, kept))[-MOST_VALUE:]}
    return {"value": value}


def main() -> None:
    """Serve requests until stdin ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(1, 2)
    space: dict[str, Any] = {"__name__": "__main__"}
    while line := requests.readline():
        request = json.loads(requests.read(int(line)))
        for name, content in request["files"].items():
            path = os.path.join(WORK, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(base64.b64decode(content))
        before = files()
        reply: dict[str, Any] = attempt(request["code"], space)
        made: dict[str, str] = {}
        for name, about in files().items():
            if before.get(name) != about and about[1] <= MOST_FILE and len(made) < MOST_FILES:
                with contextlib.suppress(OSError), open(os.path.join(WORK, name), "rb") as file:
                    made[name] = base64.b64encode(file.read(MOST_FILE)).decode()
        reply["files"] = made
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        written = json.dumps(reply).encode()
        data = f"\n{request['mark']}{len(written)}\n".encode() + written
        while data:
            data = data[os.write(replies, data) :]


if __name__ == "__main__":
    main()
