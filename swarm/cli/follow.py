"""`--follow`: watch runs of other processes until they end. Only reads; Ctrl-C ends the watching, not the run."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from swarm.cli.reading import RUNNING, ListedRun, is_owned, row_of
from swarm.cli.streams import is_ascii, say, terminal_size, wants_color, wants_live

if TYPE_CHECKING:
    from swarm.cli.web_view import WebView
    from swarm.record.events import Event
    from swarm.record.folder import RunFolder
    from swarm.record.state import State

TICK_SECONDS = 0.125
"""Seconds between two looks at a journal."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at whether a process is alive, or at the list of runs."""


def follow_run(folder: "RunFolder", after: ExitStack | None = None) -> None:
    """Show a run on stderr, as its own process does, until it ends or its process is gone.

    With `after` also on a page of this machine, until `after` is closed.
    """
    import anyio

    from swarm.cli.web_view import WebView

    following = _Following(folder, WebView(is_wanted=after is not None))
    try:
        anyio.run(following.go)
        if after is not None:
            after.callback(following.end)
    except BaseException:
        following.close()
        raise


class _Following:
    """A run of another process, read from its journal."""

    def __init__(self, folder: "RunFolder", web: "WebView") -> None:
        from swarm.record.recorded import recorded
        from swarm.record.tail import Tail
        from swarm.views.board import Board

        found = recorded(folder)
        self._folder = folder
        self._state: State = found.state
        self._tail = Tail(folder, found.length, found.state.seq)
        self._board = Board(self.seconds)
        self._at = 0.0
        self._web = web
        for event in found.events:
            self._hear(event)

    def seconds(self) -> float:
        """Return the time on the clock of the run: that of its last event, and what has passed since."""
        from swarm.base.clock import wall_clock

        return self._state.t + max(0.0, wall_clock() - self._at)

    def _hear(self, event: "Event") -> None:
        self._at = event.at
        self._board.hear(event)

    async def go(self) -> None:
        """Show the run until it ends."""
        import anyio

        from swarm.views.live import Live
        from swarm.views.progress import Progress

        color = wants_color()
        view: Live | Progress = Progress(_write, self._board, color=color)
        if wants_live():
            tick = time.perf_counter
            view = Live(_write, self._board, size=terminal_size, tick=tick, color=color, ascii_only=is_ascii())
        self._web.begin(self._folder, self._board, say)
        looks_at = 0.0
        with self._tail:
            while self._state.finished is None:
                for event in self._tail.read():
                    self._state.apply(event)
                    self._hear(event)
                if anyio.current_time() >= looks_at:
                    looks_at = anyio.current_time() + LOOK_SECONDS
                    if not is_owned(self._folder):
                        break
                view.show(self._state, self.seconds())
                self._web.show(self._state, self.seconds())
                await anyio.sleep(TICK_SECONDS)
            for event in self._tail.read():
                self._state.apply(event)
        view.end(self._state, self._state.t)

    def end(self) -> None:
        """Let who watches the page get the end of the run, and stop to serve it."""
        self._web.end(self._state, self._state.t)

    def close(self) -> None:
        """Stop to serve the page."""
        self._web.close()


def follow_runs(listed: "Callable[[], list[RunFolder]]") -> list[ListedRun]:
    """Show the list of runs on stderr until none of them is running. Return its last rows."""
    import anyio

    return anyio.run(_follow_runs, listed)


async def _follow_runs(listed: "Callable[[], list[RunFolder]]") -> list[ListedRun]:
    import anyio

    from swarm.views.paint import cut_to
    from swarm.views.screen import Screen
    from swarm.views.tables import runs_table
    from swarm.views.words import columns

    screen, ended, told = Screen(), dict[str, ListedRun](), ""
    while True:
        rows = [ended.get(each.run) or row_of(each) for each in listed()]
        ended = {row.run: row for row in rows if row.status != RUNNING}
        if len(ended) == len(rows):
            _write(screen.clear())
            return rows
        if wants_live():
            wide, high = terminal_size()
            lines = [cut_to(line, wide - 1) for line in runs_table(rows).split("\n")[: high - 1]]
            _write(screen.draw(lines, [columns(line) for line in lines], wide))
        else:
            told = _tell(rows, told)
        await anyio.sleep(LOOK_SECONDS)


def _tell(rows: "list[ListedRun]", told: str) -> str:
    """Print how far the running runs are, if that is not what was told last. Return it."""
    running = [row for row in rows if row.status == RUNNING]
    words = "; ".join(f"{row.run} {row.done}/{row.steps} done" for row in running)
    if words != told:
        say(f"running: {words}")
    return words


def _write(text: str) -> None:
    """Write a frame or lines that are safe to show."""
    from swarm.cli.streams import write_frame

    write_frame(sys.stderr, text)
