"""The live view of a run on a terminal: frames in place, and above them the lines that must not be missed."""

from collections.abc import Callable

from swarm.record.state import State
from swarm.views.board import Board
from swarm.views.facts import FactFinder
from swarm.views.frame import frame
from swarm.views.paint import painted, width_of
from swarm.views.progress import Progress
from swarm.views.screen import Screen

LEAST_SECONDS = 0.125
"""Minimum seconds between two frames: eight per second look smooth."""
SHARE = 0.1
"""Maximum share of the time that is used to draw: an expensive frame delays the next one."""


class Live:
    """Writer of the frames of one run.

    `write` receives complete texts. `size` returns the columns and lines of the terminal, and `tick` a clock in
    seconds. `clean` removes secrets from what models wrote.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        board: Board,
        *,
        size: Callable[[], tuple[int, int]],
        tick: Callable[[], float],
        clean: Callable[[str], str] = str,
        color: bool = True,
        ascii_only: bool = False,
    ) -> None:
        self._write = write
        self._size = size
        self._tick = tick
        self._clean = clean
        self._color = color
        self._ascii = ascii_only
        self._screen = Screen()
        self._finder = FactFinder(board)
        self._lines = Progress(self.say, color=color, failures_only=True)
        self._next = 0.0

    def say(self, text: str) -> None:
        """Write lines that stay above the frames."""
        self._write(self._screen.above(text))

    def show(self, state: State, now: float) -> None:
        """Draw the run at the time `now` of its clock, unless the last frame is too recent."""
        started = self._tick()
        if started < self._next:
            return
        self._lines.show(state, now)
        columns, rows = self._size()
        facts = self._finder.facts(state, now)
        lines = frame(facts, columns - 1, rows - 1, ascii_only=self._ascii, clean=self._clean)
        texts = [painted(line, color=self._color) for line in lines]
        self._write(self._screen.draw(texts, [width_of(line) for line in lines], columns))
        self._next = started + max(LEAST_SECONDS, (self._tick() - started) / SHARE)

    def pause(self, state: State, now: float) -> None:
        """Remove the frame: something else uses the terminal now."""
        self._write(self._screen.clear())
        self._lines.show(state, now)

    def end(self, state: State, now: float) -> None:
        """Remove the frame, and write how the run ended."""
        self._write(self._screen.clear())
        self._lines.end(state, now)
