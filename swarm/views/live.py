"""The live view of a run on a terminal: frames in place, and above them the lines that must not be missed."""

from collections.abc import Callable
from dataclasses import replace
from threading import RLock

from swarm.record.state import State
from swarm.views.board import Board
from swarm.views.facts import FactFinder, Moment
from swarm.views.frame import frame
from swarm.views.paint import painted, width_of
from swarm.views.progress import Progress
from swarm.views.screen import Screen

LEAST_SECONDS = 0.125
"""Minimum seconds between two frames: eight per second look smooth."""
STALE_SECONDS = 1.0
"""Age of a frame from which it is drawn again with the present time, whatever the program does."""
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
        self._shown: tuple[Moment, float] | None = None
        """What the last frame showed, and when; None while there is no frame."""
        self._lock = RLock()
        """Held while a text is made and passed on: `keep_time` is called by another thread."""

    def say(self, text: str) -> None:
        """Write lines that stay above the frames."""
        with self._lock:
            self._write(self._screen.above(text))

    def show(self, state: State, now: float) -> None:
        """Draw the run at the time `now` of its clock, unless the last frame is too recent."""
        started = self._tick()
        if started < self._next:
            return
        self._lines.show(state, now)
        self._draw(self._finder.facts(state, now), started)
        self._next = started + max(LEAST_SECONDS, (self._tick() - started) / SHARE)

    def keep_time(self) -> None:
        """Draw the last frame with the present time, if it is old: the program is busy with something that takes long.

        Another thread may call it.
        """
        with self._lock:
            at = self._tick()
            if self._shown is not None and at >= self._shown[1] + STALE_SECONDS:
                facts, drawn = self._shown
                self._draw(replace(facts, t=facts.t + at - drawn), at)

    def _draw(self, facts: Moment, at: float) -> None:
        columns, rows = self._size()
        lines = frame(facts, columns - 1, rows - 1, ascii_only=self._ascii, clean=self._clean)
        texts = [painted(line, color=self._color) for line in lines]
        with self._lock:
            self._write(self._screen.draw(texts, [width_of(line) for line in lines], columns))
            self._shown = facts, at

    def pause(self, state: State, now: float) -> None:
        """Remove the frame: something else uses the terminal now."""
        self._clear()
        self._lines.show(state, now)

    def end(self, state: State, now: float) -> None:
        """Remove the frame, and write how the run ended."""
        self._clear()
        self._lines.end(state, now)

    def _clear(self) -> None:
        with self._lock:
            self._shown = None
            self._write(self._screen.clear())
