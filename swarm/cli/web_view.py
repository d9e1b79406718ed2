"""The page of `--web`, from the first run of a command to the end of its last one.

A task whose plan is approved first has two runs, that of the planner and that of the plan: both
have one address.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm.cli.streams import message

if TYPE_CHECKING:
    from swarm.cli.web import WebPage
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.views.board import Board

ASKED = "The plan waits for approval at the terminal."


class WebView:
    """The page that a command serves, if it is asked to."""

    def __init__(self, *, is_wanted: bool = True) -> None:
        self._is_wanted = is_wanted
        self._page: WebPage | None = None

    def __bool__(self) -> bool:
        return self._page is not None

    def begin(
        self,
        folder: "RunFolder",
        board: "Board",
        say: Callable[[str], object],
        clean: Callable[[str], str] = str,
    ) -> None:
        """Serve the page of a run from now on, and print its address with `say` if it is new.

        `clean` removes secrets from what models wrote.
        """
        if not self._is_wanted:
            return
        if self._page is not None:
            self._page.turn(folder, board, clean)
            return
        from swarm.cli.web import WebPage

        try:
            self._page = WebPage(folder, board, clean)
        except OSError as error:
            say(message("warning", f"--web: cannot listen on loopback: {error.strerror or error}"))
            self._is_wanted = False
        else:
            say(f"page: {self._page.address}")

    def show(self, state: "State", now: float) -> None:
        """Take the run as it is at the time `now` of its clock."""
        if self._page is not None:
            self._page.show(state, now)

    def ask(self, state: "State") -> None:
        """Say on the page that its plan waits for approval."""
        if self._page is not None:
            self._page.pause(state, ASKED)

    def end(self, state: "State", now: float) -> None:
        """Take the end of the run, let who watches get it, and stop to serve."""
        try:
            if self._page is not None:
                self._page.end(state, now)
        finally:
            self.close()

    def close(self) -> None:
        """Stop to serve."""
        page, self._page, self._is_wanted = self._page, None, False
        if page is not None:
            page.close()
