"""A terminal of a test: what a program writes to it, screen by screen."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyte

from tests.commands import CHILD, environment

Screenful = tuple[str, ...]
OURS = re.compile(r"\x1b\[(?:\d+(?:;\d+)*m|\?25[lh]|\?7[lh]|K|J|\d+A)|[\r\n\t]")
"""The codes that the live view may write; everything else below 0x20 came from somewhere else."""


@dataclass
class Recording:
    """What a terminal showed, and what was written to it."""

    code: int
    written: str
    screens: list[Screenful] = field(default_factory=list[Screenful])
    """The screen after each piece of output, without trailing blanks; equal ones once."""

    @property
    def lines(self) -> list[str]:
        """The last screen."""
        return [line for line in self.screens[-1] if line]


class Terminal:
    """A terminal of a size, which can change."""

    def __init__(self, columns: int, lines: int) -> None:
        self._screen: Any = pyte.HistoryScreen(columns, lines, history=5_000, ratio=0.5)
        self._stream: Any = pyte.ByteStream(self._screen)
        self.screens: list[Screenful] = []

    def feed(self, data: bytes) -> None:
        """Show what a program wrote."""
        self._stream.feed(data)
        shown = tuple(line.rstrip() for line in self._screen.display)
        if not self.screens or shown != self.screens[-1]:
            self.screens.append(shown)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size."""
        self._screen.resize(lines, columns)


def record(
    folder: Path,
    *arguments: str,
    size: tuple[int, int] = (80, 24),
    look: Callable[[Screenful, int], object] | None = None,
    types: Callable[[Screenful, int], str] | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Recording:
    """Run a command line on a terminal. `look` sees each screen and the process id while it runs; `types`, too, and
    returns what is typed then.
    """
    columns, lines = size
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    env = {"TERM": "xterm-256color", "PYTHONUTF8": "1", **variables}
    command: Sequence[str] = [sys.executable, "-c", CHILD]
    drop = {"CI", "NO_COLOR"} - set(variables)
    whole: Any = {name: value for name, value in environment(**env).items() if name not in drop}
    process = subprocess.Popen([*command, *arguments], cwd=folder, stdin=side, stdout=side, stderr=side, env=whole)
    os.close(side)
    terminal, written = Terminal(columns, lines), b""
    try:
        while chunk := _read(main):
            written += chunk
            terminal.feed(chunk)
            if look is not None:
                look(terminal.screens[-1], process.pid)
            if types is not None:
                os.write(main, types(terminal.screens[-1], process.pid).encode())
    finally:
        os.close(main)
        if not _ended(process):
            process.kill()
    return Recording(process.wait(timeout=60), written.decode(), terminal.screens)


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    """Return whether a process that closed its terminal ends soon."""
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # Linux: the other side is closed
        return b""
