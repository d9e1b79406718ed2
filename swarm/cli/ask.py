"""Questions about calls of tools, on the terminal.

What a model wrote is shown inert: without control characters, each line behind a bar and cut to the
width of the terminal, so that no argument can look like a question or an answer.
"""

import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast
from unicodedata import east_asian_width

from swarm.base.redaction import safe_text
from swarm.base.text import clip, listing
from swarm.cli.streams import is_terminal, terminal_size
from swarm.tools.approval import CallDecision, Question

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

MOST_LINES = 30
"""Maximum lines of the arguments that are shown at once."""
MOST_READ = 20_000
"""Maximum characters of a text that are cut into lines before more is asked for."""
NAME_CHARACTERS = 80
LEAST_COLUMNS = 20
BAR = "  | "
_CHOICES = "Allow this call? y: yes, n: no, a: always in this run"
_MORE = ", s: show all"
_HELP = "Answer y, n or a. After n you can give the reason: `n use the other folder`."


class Asker:
    """Asks a person at the terminal, one question at a time. A view of the run steps aside meanwhile."""

    def __init__(self) -> None:
        self.write: Callable[[str], object] = sys.stderr.write
        """Writes texts, in order with those of the view."""
        self.held: Callable[[], AbstractContextManager[None]] = _held
        """Keeps the view away while a question is open."""

    async def __call__(self, question: Question) -> CallDecision | None:
        """Return the answer of the person at the terminal; None if they closed it."""
        with self.held():
            lines = list(argument_lines(question.arguments, _columns()))
            is_cut = len(lines) > MOST_LINES
            self._say("\n".join(["", *heading(question), *_first(lines, len(question.arguments))]))
            _drop_typed()
            while True:
                self.write(f"{_CHOICES}{_MORE if is_cut else ''}: ")
                said = await _line()
                if said is None:
                    self._say("\nNobody answers any more.")
                    return None
                if said.strip().lower() in ("s", "show") and is_cut:
                    self._say("\n".join(argument_lines(question.arguments, _columns(), whole=True)))
                    continue
                decision = decision_of(said)
                if decision is None:
                    self._say(_HELP)
                elif decision.answer == "no" and not decision.reason:
                    return await self._with_reason()
                else:
                    return decision

    async def _with_reason(self) -> CallDecision:
        self.write("Reason for the model (Enter: none): ")
        reason = await _line()
        return CallDecision("no", (reason or "").strip())

    def _say(self, text: str) -> None:
        self.write(safe_text(text) + "\n")


def decision_of(said: str) -> CallDecision | None:
    """Return what a person answered; None if it is no answer."""
    word, _, rest = said.strip().partition(" ")
    match word.lower().rstrip(":,."):
        case "y" | "yes" if not rest:
            return CallDecision("yes")
        case "a" | "always" if not rest:
            return CallDecision("always")
        case "n" | "no":
            return CallDecision("no", rest.strip())
        case _:
            return None


def heading(question: Question) -> list[str]:
    """Return the lines above the arguments: who asks, for what, with which data."""
    place = f", sends to {question.goes_to}" if question.goes_to else ""
    who = f"Step {clip(question.step, NAME_CHARACTERS)} (agent {clip(question.agent, NAME_CHARACTERS)})"
    lines = [f"{who} wants to call {clip(question.tool, NAME_CHARACTERS)} (effect: {question.effect}{place})"]
    if question.labels:
        lines.append(f"It has read data labelled {listing(question.labels)}.")
    if question.again:
        lines.append("The run was interrupted during this call: it may have taken place already.")
    if question.waiting:
        lines.append(f"Questions that wait: {question.waiting}")
    return lines


def argument_lines(arguments: str, columns: int, *, whole: bool = False) -> Iterator[str]:
    """Yield the arguments as lines that a person can read, each at most as wide as the terminal.

    Without `whole`, a text that is much longer than what is shown is not read to its end.
    """
    width = max(LEAST_COLUMNS, columns - 1)
    for name, value in _named(arguments):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = safe_text(text if whole else text[:MOST_READ])
        label = f"  {clip(name, NAME_CHARACTERS)}:" if name else ""
        if "\n" not in text and len(label) + len(text) + 2 < width and text.isascii():
            yield f"{label} {text}" if name else f"{BAR}{text}"
            continue
        if name:
            yield label
        for line in text.expandtabs(4).split("\n"):
            for piece in _pieces(line, width - len(BAR)):
                yield f"{BAR}{piece}"


def _named(arguments: str) -> list[tuple[str, Any]]:
    """Return the arguments by name; text that is no JSON object without a name."""
    try:
        found = json.loads(arguments.strip() or "{}")
    except (ValueError, RecursionError):
        return [("", arguments)]
    if not isinstance(found, dict):
        return [("", arguments)]
    values = cast("dict[str, Any]", found)
    return list(values.items()) or [("", "(no arguments)")]


def _first(lines: list[str], size: int) -> list[str]:
    """Return the lines that are shown at once, and how much there is in all."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:MOST_LINES], f"  … the arguments have {size:,} characters in all; the rest is not shown"]


def _pieces(line: str, columns: int) -> Iterator[str]:
    """Yield a line in pieces that fit so many columns."""
    piece, used = [""], 0
    for character in line:
        wide = 2 if east_asian_width(character) in "WF" else 1
        if used + wide > columns:
            yield "".join(piece)
            piece, used = [""], 0
        piece.append(character)
        used += wide
    yield "".join(piece)


async def _line() -> str | None:
    """Return the next line from the terminal; None at its end. It can be cancelled."""
    import anyio

    read, number = b"", sys.stdin.fileno()
    while not read.endswith(b"\n"):
        # Cancellation point: nothing was read, and what is typed stays in the terminal.
        await anyio.wait_readable(number)
        try:
            piece = os.read(number, 4096)
        except OSError:
            return None
        if not piece:
            return None
        read += piece
    return read.decode("utf-8", "replace")


def _drop_typed() -> None:
    """Drop what was typed before the question was there: it cannot be an answer to it."""
    import termios

    with suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _columns() -> int:
    return terminal_size()[0]


@contextmanager
def _held() -> Generator[None]:
    yield


def asker() -> Asker | None:
    """Return what asks at the terminal, or None if nobody is there."""
    return Asker() if is_terminal(sys.stdin) and is_terminal(sys.stderr) else None
