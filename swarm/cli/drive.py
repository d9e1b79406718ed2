"""One run from start to end, with what people and programs see of it while it works."""

import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.base.errors import BugError, SwarmError
from swarm.base.redaction import safe_text
from swarm.cli.failures import ReportedError, keep_trace, ours, save_anywhere
from swarm.cli.interrupts import Interrupts
from swarm.cli.options import Display
from swarm.cli.streams import (
    Lines,
    answer_escaped,
    is_ascii,
    is_terminal,
    message,
    terminal_size,
    wants_color,
    wants_live,
)
from swarm.cli.words import limits_line, shown_path
from swarm.record.follow import Events, without_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from swarm.cli.ask import Asker
    from swarm.cli.web_view import WebView
    from swarm.lifecycle.run import Run
    from swarm.record.events import Event
    from swarm.record.state import State
    from swarm.results.result import Result
    from swarm.views.live import Live
    from swarm.views.progress import Progress

TICK_SECONDS = 0.125
"""Interval between two looks at progress, and the maximum delay of an interrupt."""
COUNTDOWN = (10, 5, 3, 2, 1)
"""Seconds left of the grace period at which the countdown prints a line."""


def drive(
    run: "Run",
    display: Display,
    interrupts: Interrupts,
    *,
    grace: float,
    after: ExitStack | None = None,
    asker: "Asker | None" = None,
    web: "WebView | None" = None,
) -> "Result":
    """Run to the end, with progress on stderr. Earlier events of a resumed run are not shown again.

    `after` is closed when the answer is printed: until then a browser can get the end of the run from the page that
    `web` serves. Without it the command continues after the run: then its end is not announced.
    Raise the `SwarmError` that ended the run. An internal error is a `BugError`, and its traceback is in the folder
    of the run.
    """
    import anyio

    driver = Driver(run, display, interrupts, grace, after, web)
    if asker is not None:
        driver.give(asker)
    try:
        # From here on the first signal ends the run well; before there is a folder it just exits.
        with interrupts.awaited(lambda: hasattr(run, "folder")):
            anyio.run(driver.go)
        result = run.result
    except Exception as error:
        inner = ours(error)
        if isinstance(inner, SwarmError) and not isinstance(inner, BugError):
            raise inner from None
        raise reported(inner, run) from error
    finally:
        driver.close()
    return result


def reported(error: BaseException, run: "Run") -> ReportedError:
    """Save the traceback of an internal error in the folder of the run."""
    return ReportedError(keep_trace(error, lambda trace: _save(run, trace)))


def _save(run: "Run", trace: str, name: str = "bug.txt") -> Path | None:
    """Save a traceback without secrets in the folder of the run, or in a temporary file if there is no folder yet."""
    with suppress(OSError):
        if hasattr(run, "folder"):
            return run.folder.write(name, run.prepared.redactor.clean(trace))
    return save_anywhere(trace)


class Driver:
    """Companion of one run: shows its progress and events, and passes interrupts to it."""

    def __init__(
        self,
        run: "Run",
        display: Display,
        interrupts: Interrupts,
        grace: float,
        after: ExitStack | None,
        web: "WebView | None" = None,
    ) -> None:
        from swarm.views.board import Board

        self._after = after
        self._run = run
        self._display = display
        self._interrupts = interrupts
        self._grace = grace
        self._lines = Lines()
        self._followers: list[Events] = []
        self._write = self._lines.write
        """Writes lines that stay: above the live view, if there is one."""
        self._view: Progress | Live | None = None
        self._web = web
        self._board = Board(lambda: run.seconds)
        self._ends_at: float | None = None
        self._said: set[int] = set()
        self._warned = 0
        self._log: Events | None = None
        self._asks = False
        """Whether a question is open: nothing else writes to the terminal meanwhile."""

    def give(self, asker: "Asker") -> None:
        """Let questions to the person at the terminal keep the view away."""
        asker.write, asker.held = self._lines.write, self._aside

    @contextmanager
    def _aside(self) -> "Generator[None]":
        if self._view is not None:
            self._show(self._view.pause)
        self._asks = True
        try:
            yield
        finally:
            self._asks = False

    async def go(self) -> None:
        """Start the run and follow it to its end."""
        import anyio

        async with self._run as run:
            self._begin()
            is_watched = self._view is not None or bool(self._web)
            with run.signals.listen(self._board.hear) if is_watched else nullcontext():
                async for _ in run.progress(TICK_SECONDS):
                    self._look_for_interrupts(anyio.current_time())
                    for follower in self._followers:
                        follower.look()
                    self._serve_now()
                    if self._asks:
                        continue
                    self._warn()
                    if self._log is not None:
                        self._log.look()
                    if self._view is not None and not self._lines.behind and not self._show(self._view.show):
                        self._view = None
        self._warn()
        if self._view is not None:
            self._show(self._view.end if self._after is not None else self._view.pause)

    def _show(self, show: "Callable[[State, float], None]") -> bool:
        """Show progress, and return whether that worked. An internal error in it ends the display, never the run."""
        try:
            show(self._run.state, self._run.seconds)
        except Exception as error:  # noqa: BLE001 - raised here, it would cancel every attempt in flight
            from swarm.record.folder import UNMEASURED

            saved = keep_trace(error, lambda trace: _save(self._run, trace, UNMEASURED))
            self._say(message("warning", f"the progress of this run is not shown: {saved}"))
            return False
        return True

    def close(self) -> None:
        """Wait until all output is written."""
        try:
            for follower in (*self._followers, *filter(None, [self._log])):
                follower.close()
        finally:
            self._lines.close()

    def _begin(self) -> None:
        run, display = self._run, self._display
        if display.jsonl:
            self._follow(printed)
        self._warn()
        if self._web is not None:
            self._web.begin(run.folder, self._board, self._say, run.prepared.redactor.clean)
            if self._after is not None:
                self._after.callback(lambda: self._web and self._web.end(run.state, run.seconds))
        if display.quiet:
            return
        self._say(f"folder: {shown_path(run.folder.path)}")
        self._say(f"model: {run.prepared.choice.why}")
        self._say(f"limits: {limits_line(run.prepared.task.limits)}")
        if display.verbose:
            self._say_more()
            self._log = Events(run.folder.journal, run.offset, self._logged())
        self._view = self._view_of(display)
        if run.prepared.endpoint is None and not all(route.is_offline for route in run.prepared.routes.values()):
            from swarm.endpoints.wire.openai import load_library

            load_library()  # before the first frame, so that the clock does not stand still after it

    def _serve_now(self) -> None:
        """Give the page what the run does now."""
        if self._web and not self._show(self._web.show):
            self._web.close()

    def _view_of(self, display: Display) -> "Progress | Live":
        """Return the live view if there is a terminal that nothing else writes to, else plain lines."""
        from swarm.views.live import Live
        from swarm.views.progress import Progress

        shared = display.verbose or (display.jsonl and is_terminal(sys.stdout))
        if shared or not wants_live():
            return Progress(self._lines.write, self._board, color=wants_color())
        live = Live(
            self._lines.write,
            self._board,
            size=terminal_size,
            tick=time.perf_counter,
            clean=self._run.prepared.redactor.clean,
            color=wants_color(),
            ascii_only=is_ascii(),
        )
        self._write = live.say
        self._lines.idle = live.keep_time
        return live

    def _warn(self) -> None:
        """Print the warnings that are new since the last call."""
        for warning in self._run.warnings[self._warned :]:
            self._say(message("warning", warning))
        self._warned = len(self._run.warnings)

    def _say_more(self) -> None:
        prepared = self._run.prepared
        inputs = prepared.resources.inputs
        self._say(f"agents: {', '.join(prepared.agents)}")
        self._say(f"inputs: {len(inputs)}, {sum(each.size for each in inputs):,} bytes")
        for finding in prepared.linted.findings if prepared.linted is not None else ():
            self._say(f"{finding.severity}: {finding}")

    def _follow(self, take: "Callable[[list[bytes]], None]") -> None:
        self._followers.append(Events(self._run.folder.journal, self._run.offset, take))

    def _logged(self) -> "Callable[[list[bytes]], None]":
        """Return a function that writes events as log lines."""
        from swarm.views.log import EventLog

        log = EventLog(self._lines.write, run=self._run.folder.run)

        def write(lines: list[bytes]) -> None:
            for line in lines:
                log.event(_event_of(line))

        return write

    def _look_for_interrupts(self, now: float) -> None:
        """Ask the run to end after the first signal, then count down."""
        if self._run.folder.take_stop():
            self._interrupts.ask()
        received = self._interrupts.received
        if not received or self._run.over:
            return
        if self._ends_at is None:
            # The run starts nothing new, and cancels what still runs when the grace period is over.
            self._ends_at = now + self._grace
            self._run.interrupt("interrupted", self._grace)
            self._say(
                f"Interrupted. Waiting up to {self._grace:g} s for {self._steps()}; "
                "press Ctrl-C again to stop now. Finished work is kept."
            )
        left = int(self._ends_at - now) + 1
        due = next((seconds for seconds in COUNTDOWN if seconds == left and seconds < self._grace), None)
        if due is not None and due not in self._said and self._run.in_flight:
            self._said.add(due)
            self._say(f"Interrupted. {due} s left for {self._steps()}")

    def _steps(self) -> str:
        from swarm.views.words import counted

        return counted(self._run.in_flight, "running step")

    def _say(self, text: str) -> None:
        self._write(safe_text(text) + "\n")


def _event_of(line: bytes) -> "Event":
    """Return the event of a line of a journal."""
    from swarm.record.events import EVENT

    return EVENT.validate_json(without_checksum(line))


def printed(lines: list[bytes]) -> None:
    """Print lines of a journal as the answer, without checksums."""
    answer_escaped("".join(without_checksum(line) for line in lines))
