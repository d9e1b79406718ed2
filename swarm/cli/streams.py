"""What a command says, and where: stdout carries the answer, stderr everything else.

All text goes through `safe_text`. JSON and YAML are escaped instead, so that they read back as they were. A reader that
goes away (`| head`) or a stream that was closed never raises; a disk that is full does, because an answer was lost.
"""

import errno
import json
import os
import re
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TextIO

from swarm.errors import SwarmError
from swarm.safe import safe_text

if TYPE_CHECKING:
    from swarm.frozen import Json

_STEERS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON allows as it is inside a text, and a terminal or an editor acts on."""
GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""The reader went away, the terminal did, or there never was one."""


def open_streams() -> None:
    """Give the process the three streams it was not given, and let no character stop it.

    A file that is opened later would get the number of a closed stream, and stray messages would end up in it.
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
    """Print a text as the command's answer. Raises `SwarmError` if it cannot be written whole."""
    text = safe_text(text)
    _write(sys.stdout, text if text.endswith("\n") else text + "\n")


def answer_json(value: "Json") -> None:
    """Print one JSON value as the command's answer."""
    plain = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    _write(sys.stdout, escaped(json.dumps(value, ensure_ascii=plain, indent=2)) + "\n")


def answer_escaped(text: str) -> None:
    r"""Print JSON lines or YAML as they are, with what could steer a terminal written as `\u…`."""
    _write(sys.stdout, escaped(text))


def escaped(text: str) -> str:
    r"""Write what could steer a terminal as `\u…`: the same value to a reader of JSON, or of YAML in double quotes."""
    return _STEERS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def say(text: str) -> None:
    """Print a line, or several, on stderr. Never raises."""
    with suppress(OSError, ValueError, SwarmError):
        _write(sys.stderr, safe_text(text) + "\n")


def redraw(text: str) -> None:
    """Put a text in place of the line that a terminal's cursor is in. Never raises."""
    with suppress(OSError, ValueError, SwarmError):
        _write(sys.stderr, f"\r{safe_text(text)}\x1b[K")


def wants_color() -> bool:
    """Whether stderr is a terminal that wants colour: neither `NO_COLOR` nor a dumb one."""
    return is_terminal(sys.stderr) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is at the other end."""
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        _discard(stream)
        if isinstance(error, OSError) and error.errno not in GONE:
            raise SwarmError(f"the answer could not be written: {error.strerror}") from error


def _discard(stream: TextIO) -> None:
    """Send what is still to come, and what is left in the buffer, nowhere.

    The interpreter flushes once more when it ends: see "Note on SIGPIPE" in the documentation of `signal`.
    """
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Lines:
    """Writes to stderr from a thread of its own, so that a slow terminal never holds back a run."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._thread = Thread(target=self._carry, name="stderr", daemon=True)
        self._thread.start()

    @property
    def behind(self) -> bool:
        """Whether something is still to be written: whoever can wait should."""
        return not self._queue.empty()

    def write(self, text: str) -> None:
        """Have a text written, as it is."""
        self._queue.put(text)

    def close(self) -> None:
        """Wait until all is written."""
        self._queue.put(None)
        self._thread.join()

    def _carry(self) -> None:
        while (text := self._queue.get()) is not None:
            with suppress(SwarmError):
                _write(sys.stderr, text)
