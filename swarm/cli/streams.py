"""Output of a command: stdout has the answer, stderr everything else.

All text goes through `safe_text`. JSON and YAML are escaped instead, so that their values stay the
same. A closed reader (`| head`) or a closed stream never raises. A full disk does, because an
answer was lost.
"""

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TextIO

from swarm.base.errors import SwarmError
from swarm.base.redaction import safe_text

if TYPE_CHECKING:
    from swarm.base.values import Json

_STEERS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that JSON allows unescaped in a text, and that a terminal or an editor acts on."""
IDLE_SECONDS = 0.5
"""Seconds without a text after which a view is asked whether its time is right."""
GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""Errors of a closed reader, a closed terminal, and a stream that was never open."""


def open_streams() -> None:
    """Open the standard streams that are closed, and escape characters that they cannot encode.

    Otherwise a file that is opened later gets the number of a closed stream, and messages end up in it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - the stream
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def answer(text: str) -> None:
    """Print a text as the answer. Raise `SwarmError` if it cannot be written completely."""
    text = safe_text(text)
    _write(sys.stdout, text if text.endswith("\n") else text + "\n")


def answer_json(value: "Json") -> None:
    """Print one JSON value as the answer."""
    plain = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    _write(sys.stdout, escaped(json.dumps(value, ensure_ascii=plain, indent=2)) + "\n")


def answer_escaped(text: str) -> None:
    r"""Print JSON lines or YAML as the answer, with terminal control characters written as `\u…`."""
    _write(sys.stdout, escaped(text))


def escaped(text: str) -> str:
    r"""Write terminal control characters as `\u…`: the same value in JSON, and in double-quoted YAML."""
    return _STEERS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def answer_bytes(content: bytes) -> None:
    """Write a file that is not text as the answer. Raise `SwarmError` if a part of it is lost."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except (OSError, ValueError) as error:
        _discarded(sys.stdout, error)


def message(kind: str, text: str) -> str:
    """Return `kind: what` and below it the hints of a text, each on a line of its own."""
    what, *hints = re.split(r"\s*\bhint: ", " ".join(text.split()))
    return "\n".join((f"{kind}: {what}", *(f"  hint: {hint}" for hint in hints)))


def say(text: str) -> None:
    """Print one or more lines on stderr. Never raise."""
    with suppress(OSError, ValueError, SwarmError):
        _write(sys.stderr, safe_text(text) + "\n")


def write_frame(stream: TextIO, text: str) -> None:
    """Write a text of the live view, which has codes of its own. Never raise."""
    with suppress(OSError, ValueError, SwarmError):
        _write(stream, text)


def redraw(text: str) -> None:
    """Replace the line of the terminal's cursor. Never raise."""
    with suppress(OSError, ValueError, SwarmError):
        _write(sys.stderr, f"\r{safe_text(text)}\x1b[K")


def wants_color() -> bool:
    """Return whether stderr is a terminal with colour: `NO_COLOR` is unset, and `TERM` is not `dumb`."""
    return is_terminal(sys.stderr) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wants_live() -> bool:
    """Return whether stderr is a terminal that can be drawn on, with somebody who looks at it."""
    return is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def terminal_size() -> tuple[int, int]:
    """Return the columns and lines of the terminal at stderr."""
    try:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns, lines = 0, 0
    return columns or 80, lines or 24  # a terminal that does not know its size reports zeros


def is_ascii() -> bool:
    """Return whether stderr cannot show more than ASCII."""
    try:
        "█…◆".encode(sys.stderr.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return True
    return False


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal."""
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        _discarded(stream, error)


def _discarded(stream: TextIO, error: Exception) -> None:
    """Discard what is left for a stream. Raise `SwarmError` if more than its reader was lost."""
    _discard(stream)
    if isinstance(error, OSError) and error.errno not in GONE:
        raise SwarmError(f"cannot write the answer: {error.strerror}") from error


def _discard(stream: TextIO) -> None:
    """Discard the rest of a stream: its buffer, and all later output.

    The interpreter flushes once more at its end: see "Note on SIGPIPE" in the documentation of `signal`.
    """
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Lines:
    """Writer to stderr in a thread of its own, so that a slow terminal does not slow down a run."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self.idle: Callable[[], object] = _nothing
        """Called by the thread when there was nothing to write for `IDLE_SECONDS`."""
        self._thread = Thread(target=self._carry, name="stderr", daemon=True)
        self._thread.start()

    @property
    def behind(self) -> bool:
        """Return whether lines wait to be written: a caller that can skip a line then should."""
        return not self._queue.empty()

    def write(self, text: str) -> None:
        """Queue a text."""
        self._queue.put(text)

    def close(self) -> None:
        """Write all queued texts, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _carry(self) -> None:
        while (text := self._next()) is not None:
            with suppress(SwarmError):
                _write(sys.stderr, text)

    def _next(self) -> str | None:
        while True:
            try:
                return self._queue.get(timeout=None if self.idle is _nothing else IDLE_SECONDS)
            except Empty:
                with suppress(Exception):  # a view must not end the writing
                    self.idle()


def _nothing() -> None:
    pass
