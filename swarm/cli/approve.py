"""A plan that waits for a person: `approve: ask`."""

import sys
from typing import TYPE_CHECKING

from swarm.cli.drive import drive
from swarm.cli.failures import NO_REPORT
from swarm.cli.plan import is_planned, of_prepared, of_state, show_plan
from swarm.cli.reading import state_of
from swarm.cli.streams import is_terminal, say
from swarm.cli.words import resume_command, shown_path
from swarm.errors import ApprovalNeededError

if TYPE_CHECKING:
    from swarm.cli.outcome import Show
    from swarm.folder import RunFolder
    from swarm.prepare import Options
    from swarm.run import Run
    from swarm.state import State
    from swarm.task import Task


def run_approved(task: "Task", name: str, options: "Options", show: "Show") -> int:
    """Run a task once a person has said yes to its plan. Raises `ApprovalNeededError` where there is nobody."""
    import anyio

    from swarm.prepare import prepare
    from swarm.run import Run

    if task.plan is None and task.swarm != "never":
        return _plan_first(Run(name, options=options, plan_only=True), options, show)
    prepared = anyio.run(prepare, name, options)
    planned = of_prepared(prepared)
    assert planned is not None
    show_plan(planned)
    if not _somebody_is_there():
        raise ApprovalNeededError(
            "the task's plan needs a person's yes, and there is nobody to ask; the same command with --yes runs it"
        )
    if not _said_yes():
        say("not run")
        return NO_REPORT
    return show.carry(Run(name, options=options))


def resume_approved(folder: "RunFolder", options: "Options", show: "Show") -> int:
    """Go on with a run of which nobody has approved the plan."""
    from swarm.run import Run

    state = state_of(folder)
    if is_planned(state):
        return _ask(state, folder, options, show)
    return _plan_first(Run(options=options, plan_only=True, resume=folder), options, show)


def waits_for_approval(folder: "RunFolder") -> bool:
    """Whether a run's task says `approve: ask`, and no step of its plan was ever started."""
    from swarm.plan import PLAN_STEP

    state = state_of(folder)
    return state.task.get("approve") == "ask" and not any(s.spans for s in state.steps.values() if s.id != PLAN_STEP)


def _plan_first(run: "Run", options: "Options", show: "Show") -> int:
    result = drive(run, show.display, show.interrupts, grace=show.grace)
    if show.interrupts.received or not is_planned(run.state):
        return show.present(run, result)
    return _ask(run.state, run.folder, options, show)


def _ask(state: "State", folder: "RunFolder", options: "Options", show: "Show") -> int:
    from swarm.run import reopen

    planned = of_state(state)
    folder.write("plan.yaml", planned.yaml)
    show_plan(planned)
    saved = f"it is in {shown_path(folder.path / 'plan.yaml')}; to run it: {resume_command(folder.path, '--yes')}"
    if not _somebody_is_there():
        raise ApprovalNeededError(f"the plan needs a person's yes, and there is nobody to ask; {saved}")
    if not _said_yes():
        say(f"not run; {saved}")
        return NO_REPORT
    return show.carry(reopen(folder, options=options), seen=folder)


def _somebody_is_there() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def _said_yes() -> bool:
    """Ask on the terminal; anything but yes is no."""
    sys.stderr.write("Run this plan? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
