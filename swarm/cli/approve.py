"""Approval of a plan: `approve: ask`."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarm.base.errors import ApprovalNeededError
from swarm.cli.drive import drive
from swarm.cli.edit import PLANS, Decision, decide
from swarm.cli.failures import NO_REPORT
from swarm.cli.plan import Planned, is_planned, of_prepared, of_state, show_plan
from swarm.cli.reading import Recorded, recorded
from swarm.cli.streams import is_terminal, message, say
from swarm.cli.words import resume_command, shown_path

if TYPE_CHECKING:
    from pathlib import Path

    from swarm.cli.outcome import Show
    from swarm.lifecycle.prepare import Options, Prepared
    from swarm.lifecycle.run import Run
    from swarm.record.folder import RunFolder
    from swarm.record.state import State
    from swarm.spec.task import Task


NO_TERMINAL = "Approval required, but stdin is not a terminal"


def run_approved(task: "Task", name: str, options: "Options", show: "Show") -> int:
    """Run a task after its plan is approved. Raise `ApprovalNeededError` if there is no terminal."""
    import anyio

    from swarm.lifecycle.prepare import prepare
    from swarm.lifecycle.run import Run

    if task.plan is None and task.swarm != "never":
        return _plan_first(Run(name, options=options, plan_only=True), options, show)
    prepared = anyio.run(prepare, name, options)
    planned = of_prepared(prepared)
    assert planned is not None
    show_plan(planned, prepared)
    if not _somebody_is_there():
        raise ApprovalNeededError(f"{NO_TERMINAL}\nhint: approve it: run the same command with --yes")
    decision = decide(planned, prepared.runs.parent / PLANS, lambda path: _checked(name, path, options))
    if not decision.yes:
        say("not approved: nothing has run")
        return NO_REPORT
    return show.carry(Run(name, options=_with_plan(options, decision)))


def resume_approved(folder: "RunFolder", options: "Options", show: "Show") -> int | None:
    """Resume a run after its plan is approved. Return None if no approval is needed.

    The plan that is shown is the plan that will run: if the task has changed, it is planned again first.
    """
    import anyio

    from swarm.lifecycle.run import Run

    found = recorded(folder)
    present = anyio.run(_present, found, folder, options)
    if present.prepared.task.approve != "ask" or (present.stands and _is_begun(found.state)):
        return None
    planned = of_state(found.state) if present.stands else of_prepared(present.prepared)
    if planned is not None:
        return _ask(planned, present.prepared, folder, options, show)
    return _plan_first(Run(options=options, plan_only=True, resume=folder), options, show)


@dataclass(frozen=True)
class _Present:
    """The task of a run as it is now."""

    prepared: "Prepared"
    stands: bool
    """True if the run has a plan that is still the one that will run."""


async def _present(found: Recorded, folder: "RunFolder", options: "Options") -> _Present:
    """Prepare the task of a run and compare it with the run, as resuming does."""
    from swarm.lifecycle.prepare import prepare
    from swarm.lifecycle.resume import as_said, differences, present_task, with_agents
    from swarm.scheduling.assign import Assigner
    from swarm.spec.plan import PLAN_STEP

    task = present_task(found.state, folder, options)
    assert found.state.first is not None
    prepared = await prepare(task, as_said(found.state.first, options))
    now = with_agents(found.events, prepared.roles)
    differs = differences(now, prepared, Assigner(now, prepared.resources, folder.load), failed=False)
    again = {*differs.reopening.reopened, *differs.reopening.voided}
    return _Present(prepared, is_planned(found.state) and not differs.replanned and PLAN_STEP not in again)


def _is_begun(state: "State") -> bool:
    """Return whether a step of the plan was ever started: then the plan was approved."""
    from swarm.spec.plan import PLAN_STEP

    return any(s.spans for s in state.steps.values() if s.id != PLAN_STEP)


def _plan_first(run: "Run", options: "Options", show: "Show") -> int:
    result = drive(run, show.display, show.interrupts, grace=show.grace, is_last=False)
    if show.interrupts.received or not is_planned(run.state):
        return show.present(run, result)
    return _ask(of_state(run.state), run.prepared, run.folder, options, show)


def _ask(planned: Planned, prepared: "Prepared", folder: "RunFolder", options: "Options", show: "Show") -> int:
    from swarm.lifecycle.run import Run, reopen

    folder.write("plan.yaml", planned.yaml)
    show_plan(planned, prepared)
    saved = f"Plan saved to {shown_path(folder.path / 'plan.yaml')}"
    approve = f"hint: approve it with `{resume_command(folder.path, '--yes')}`"
    if not _somebody_is_there():
        raise ApprovalNeededError(f"{NO_TERMINAL}. {saved}\n{approve}")
    task = prepared.source or prepared.task
    decision = decide(planned, prepared.runs.parent / PLANS, lambda path: _checked(task, path, options))
    if not decision.yes:
        say(message("not approved", f"nothing has run. {saved}\n{approve}"))
        return NO_REPORT
    if decision.plan is None:
        return show.carry(reopen(folder, options=options), seen=folder)
    return show.carry(Run(task, options=_with_plan(options, decision)))


def _checked(task: "str | Path | Task", plan: "Path", options: "Options") -> Planned:
    """Read, lint and show an edited plan. Raise `InputError` if it is invalid."""
    import anyio

    from swarm.lifecycle.prepare import prepare

    prepared = anyio.run(prepare, task, replace(options, plan=plan))
    planned = of_prepared(prepared)
    assert planned is not None
    show_plan(planned, prepared)
    return planned


def _with_plan(options: "Options", decision: Decision) -> "Options":
    """Return the options with an edited plan: it is a new run, and resuming finds the plan in its folder."""
    return options if decision.plan is None else replace(options, plan=decision.plan)


def _somebody_is_there() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)
