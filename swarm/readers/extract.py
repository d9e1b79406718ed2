"""The text of documents, read in one other process with limits.

PDFium is not thread-safe, a damaged file can end its process or never end, and a hostile one
attacks the library that reads it. So one process reads all documents of a run, in a box where there
is one. A file that ends it or takes too long is named; the process is started again for the next
one.
"""

import base64
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from swarm.readers.box import boxed, search_path
from swarm.readers.child import MEMORY
from swarm.readers.result import Extract, Picture
from swarm.readers.zips import UnreadableError

SECONDS = 60
"""Maximum seconds for one document. A PDF of 1,000 pages takes 5."""
MOST_ANSWER = 400_000_000
"""Maximum bytes of an answer: text, and pictures of pages."""
_TICK_SECONDS = 0.1
"""Delay with which a stop is seen."""
_PROBE = {"reader": "notebook", "name": "", "pictures": False}
"""A request whose answer shows that the process works."""


class StoppedError(Exception):
    """The reading was stopped by its caller."""


class _GoneError(Exception):
    """The process has ended."""


class Extractor:
    """A process that reads documents: a context manager. It starts with the first document."""

    def __init__(
        self, *, seconds: int = SECONDS, stopped: Callable[[], bool] = lambda: False, may_box: bool = True
    ) -> None:
        """Read within `seconds` per document. Without `may_box`, the process runs as where there is no bubblewrap."""
        self._seconds = seconds
        self._stopped = stopped
        self._process: subprocess.Popen[bytes] | None = None
        self._may_box = may_box

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def is_boxed(self) -> bool:
        """Whether the process runs in a box."""
        return self._process is not None and self._may_box

    def read(self, reader: str, content: bytes, name: str, *, pictures: bool = False) -> Extract:
        """Return the text of a document. Raise UnreadableError if it has none or breaks a limit, and StoppedError."""
        about = {"reader": reader, "name": name, "pictures": pictures}
        try:
            answer = self._ask(self._started(), about, content)
        except _GoneError:
            self._end()
            raise UnreadableError(
                f"ends the program that reads it: it is damaged, or needs more than {MEMORY >> 30} GB of memory"
            ) from None
        except TimeoutError:
            self._end()
            raise UnreadableError(f"takes more than {self._seconds} s to read\nhint: split it") from None
        except BaseException:
            self._end()
            raise
        if "wrong" in answer:
            raise UnreadableError(answer["wrong"])
        made = [Picture(each["page"], base64.b64decode(each["png"])) for each in answer["pictures"]]
        fields = {name: tuple(answer[name]) for name in ("notes", "unread", "damaged")}
        return Extract(answer["text"], answer["unit"], answer["count"], **fields, pictures=tuple(made))

    def _started(self) -> subprocess.Popen[bytes]:
        """Return the process, started if there is none: in a box if it works there."""
        if self._process is not None:
            return self._process
        code = (
            f"import sys; sys.path[:0] = {search_path()!r}; from swarm.readers.child import main; main({self._seconds})"
        )
        command = [sys.executable, "-I", "-S", "-B", "-c", code]
        inside = boxed(command) if self._may_box else None
        if inside is not None:
            self._process = _start(inside)
            with suppress(_GoneError, TimeoutError):
                self._ask(self._process, _PROBE, b"{}")
                return self._process
            self._end()
        self._may_box = False
        self._process = _start(command)
        return self._process

    def _ask(self, process: subprocess.Popen[bytes], about: dict[str, Any], content: bytes) -> dict[str, Any]:
        request = json.dumps({**about, "size": len(content)}).encode() + b"\n" + content
        return json.loads(_exchange(process, request, time.monotonic() + self._seconds, self._stopped))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        process.wait()


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process that has neither our environment nor our terminal."""
    return subprocess.Popen(  # noqa: S603 - Python, with arguments of our own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
        bufsize=0,
    )


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline: float, stopped: Callable[[], bool]) -> bytes:
    """Write a request and return the answer. Raise _GoneError, TimeoutError or StoppedError."""
    assert process.stdin is not None
    assert process.stdout is not None
    to, fro = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(to, False)
    os.set_blocking(fro, False)
    left = memoryview(request)
    answer = _Answer()
    with selectors.DefaultSelector() as selector:
        selector.register(to, selectors.EVENT_WRITE)
        selector.register(fro, selectors.EVENT_READ)
        while not answer.is_complete:
            if stopped():
                raise StoppedError
            if time.monotonic() > deadline:
                raise TimeoutError
            for key, _ in selector.select(_TICK_SECONDS):
                if key.fd == fro:
                    answer.read(fro)
                    continue
                left = left[_write(to, left) :]
                if not left:
                    selector.unregister(to)
    return answer.content


def _write(fd: int, left: memoryview) -> int:
    try:
        return os.write(fd, left[: 1 << 16])
    except BlockingIOError:
        return 0
    except OSError:
        raise _GoneError from None


class _Answer:
    """An answer as it comes: its size in digits, a line end, its bytes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._size: int | None = None

    @property
    def is_complete(self) -> bool:
        return self._size is not None and len(self._data) >= self._size

    @property
    def content(self) -> bytes:
        return bytes(self._data)

    def read(self, fd: int) -> None:
        """Read what is there. Raise _GoneError at the end, or if it is no answer."""
        try:
            chunk = os.read(fd, 1 << 20)
        except OSError:
            raise _GoneError from None
        if not chunk:
            raise _GoneError
        self._data += chunk
        if self._size is None and b"\n" in self._data[:20]:
            digits, _, rest = self._data.partition(b"\n")
            if not digits.isdigit() or int(digits) > MOST_ANSWER:
                raise _GoneError
            self._size, self._data = int(digits), bytearray(rest)
