"""What a run gave, as people and programs see it: the answer, how it ended, what may come next."""

from contextlib import suppress
from typing import TYPE_CHECKING

from swarm.cli.drive import drive, reported
from swarm.cli.failures import NO_REPORT
from swarm.cli.interrupts import Interrupts
from swarm.cli.options import Display
from swarm.cli.reading import object_of, run_object
from swarm.cli.streams import answer, answer_json, say
from swarm.cli.words import resume_command
from swarm.errors import InputError, SwarmError

if TYPE_CHECKING:
    from swarm.folder import RunFolder
    from swarm.result import Result
    from swarm.run import Run
    from swarm.state import State


class Show:
    """How the runs of one command are shown, and what may interrupt them."""

    def __init__(self, display: Display, interrupts: Interrupts, grace: float) -> None:
        self.display = display
        self.interrupts = interrupts
        self.grace = grace

    def carry(self, run: "Run", *, seen: "RunFolder | None" = None) -> int:
        """Carry a run through, print its answer, say how it ended; give the exit code.

        `seen` is the folder of a run that goes on, with its events of before.
        """
        display = self.display
        try:
            result = drive(run, display, self.interrupts, grace=self.grace, seen=seen)
        except SwarmError as error:
            if display.json and run.state.seq and (not isinstance(error, InputError) or error.exit_code == NO_REPORT):
                self._answer_nonetheless(run.folder)
            raise
        try:
            return self.present(run, result)
        except (SwarmError, OSError):
            raise
        except Exception as error:
            raise reported(error, run) from error

    def present(self, run: "Run", result: "Result") -> int:
        """Print the answer of a run that is over, and say how it ended; give the exit code."""
        display = self.display
        if display.json:
            answer_json(object_of(result))
        elif not display.jsonl and result.report is not None:
            answer(result.report.text)
        closing(result, run.state, display)
        stopped = result.status == "cancelled" and self.interrupts.received
        return self.interrupts.exit_code if stopped else result.exit_code

    def _answer_nonetheless(self, folder: "RunFolder") -> None:
        """Print the object of a run that ended in an error: its journal tells."""
        with suppress(SwarmError):
            answer_json(run_object(folder))


def closing(result: "Result", state: "State", display: Display) -> None:
    """Say how it ended, and what may come next."""
    folder = result.folder
    if not display.quiet:
        from swarm.views.progress import summary

        say(summary(state, result.parallelism))
    for error in result.errors if result.report is None and display.quiet else ():
        say(f"error: {error.step}: {' '.join(error.message.split())}")
    match result.status:
        case "cancelled":
            say(f"stopped: {result.because or 'interrupted'}; to go on: {resume_command(folder)}")
        case "limit":
            raised = " ".join(f"--limit {name}=…" for name in state.limits_reached)
            say(f"a limit was reached; to go on with more: {resume_command(folder, raised)}")
        case "partial" | "failed":
            say(f"to try again what failed: {resume_command(folder, '--failed')}")
        case "done":
            pass
