"""The end of a run as people and programs see it: the answer, the status, the next command."""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from swarm.base.errors import InputError, SwarmError
from swarm.base.text import listing
from swarm.cli.ask import asker
from swarm.cli.drive import drive, reported
from swarm.cli.failures import NO_REPORT, say_error
from swarm.cli.interrupts import Interrupts
from swarm.cli.options import Display
from swarm.cli.reading import object_of, run_object
from swarm.cli.streams import answer, answer_json, say
from swarm.cli.web_view import WebView
from swarm.cli.words import report_command, resume_command, show_command

if TYPE_CHECKING:
    from swarm.lifecycle.run import Run
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.results.result import Result, StepError
    from swarm.tools.approval import Approver

STEPS_NAMED = 3
"""Maximum steps with the same error that are named."""


class Show:
    """How the runs of one command are shown, and what may interrupt them."""

    def __init__(self, display: Display, interrupts: Interrupts, grace: float) -> None:
        self.display = display
        self.interrupts = interrupts
        self.grace = grace
        self.asker = asker()
        self.web = WebView(is_wanted=display.web)

    def approver(self, *, yes: bool) -> "Approver | bool | None":
        """Return what answers questions about calls: yes to all, the person at the terminal, or nobody."""
        return True if yes else self.asker

    def carry(self, run: "Run") -> int:
        """Run to the end, print the answer and the status, and return the exit code."""
        with ExitStack() as after:
            return self._carry(run, after)

    def _carry(self, run: "Run", after: ExitStack) -> int:
        display = self.display
        try:
            result = self.drive(run, after)
        except SwarmError as error:
            has_begun = run.state.seq and (not isinstance(error, InputError) or error.exit_code == NO_REPORT)
            if display.json and has_begun:
                self._answer_nonetheless(run.folder)
            raise
        try:
            return self.present(run, result)
        except (SwarmError, OSError):
            raise
        except Exception as error:
            raise reported(error, run) from error

    def drive(self, run: "Run", after: ExitStack | None = None) -> "Result":
        """Run to the end, with progress. Without `after` the command continues after the run."""
        return drive(
            run,
            self.display,
            self.interrupts,
            grace=self.grace,
            after=after,
            asker=self.asker,
            web=self.web,
        )

    def present(self, run: "Run", result: "Result") -> int:
        """Print the answer of a finished run and its status, and return the exit code."""
        display = self.display
        say_error(*result.unwritten)
        if display.json:
            answer_json(object_of(result))
        elif not display.jsonl and result.report is not None:
            answer(result.report.text)
        closing(result, run.state, display)
        stopped = result.status == "cancelled" and self.interrupts.received
        return self.interrupts.exit_code if stopped else result.exit_code

    def _answer_nonetheless(self, folder: "RunFolder") -> None:
        """Print the object of a run that ended in an error, read from its journal."""
        with suppress(SwarmError):
            answer_json(run_object(folder))


def closing(result: "Result", state: "State", display: Display) -> None:
    """Print the status of a run and the next command; with `--quiet` only errors."""
    if not display.quiet:
        from swarm.results.left_out import left_out_line
        from swarm.views.progress import summary

        say(summary(state, result.parallelism))
        if result.report is not None and result.report.not_found:
            say(f"! {result.report.not_found}")
        if result.left_out:
            say(f"left out: {left_out_line(result.left_out)}")
        for line in _next(result, state):
            say(line)
    elif result.report is None:
        say_error(*_grouped(result.errors))


def _grouped(errors: "Iterable[StepError]") -> list[str]:
    """Return the errors of steps, those with the same message as one."""
    steps: dict[str, list[str]] = {}
    for error in errors:
        steps.setdefault(error.message, []).append(error.step)
    return [f"{listing(names, STEPS_NAMED)}: {message}" for message, names in steps.items()]


def _next(result: "Result", state: "State") -> list[str]:
    """Return the commands that may come next."""
    folder = result.folder
    look = [f"next: {report_command(folder)}", f"next: {show_command(folder)}"]
    match result.status:
        case "cancelled":
            return ["Finished steps are kept.", f"next: {resume_command(folder)}"]
        case "limit":
            raised = " ".join(f"--limit {name}=…" for name in state.limits_reached)
            return [f"next: {resume_command(folder, raised)}", *look]
        case "partial" if not result.errors and result.left_out:
            return look
        case "partial" | "failed":
            return [f"next: {resume_command(folder, '--failed')}", *look]
        case "done":
            return look
