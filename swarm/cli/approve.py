"""Approval of a plan: `approve: ask`."""

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from swarm.base.errors import ApprovalNeededError
from swarm.cli.edit import PLANS, Edited, decide
from swarm.cli.failures import NO_REPORT
from swarm.cli.plan import Planned, of_prepared, of_state, show_plan
from swarm.cli.streams import is_terminal, message, say
from swarm.cli.words import resume_command, shown_path
from swarm.lifecycle.options import Options

if TYPE_CHECKING:
    from pathlib import Path

    from swarm.cli.outcome import Show
    from swarm.lifecycle.opened import OpenedTask
    from swarm.lifecycle.prepare import Prepared
    from swarm.lifecycle.run import Run
    from swarm.record.folder import RunFolder
    from swarm.record.state import State


NO_TERMINAL = "Approval required, but stdin is not a terminal"


def run_approved(opened: "OpenedTask", options: Options, show: "Show") -> int:
    """Run a task after its plan is approved. Raise `ApprovalNeededError` if there is no terminal."""
    import anyio

    from swarm.lifecycle.prepare import prepare
    from swarm.lifecycle.run import Run

    prepared = anyio.run(prepare, opened, options)
    planned = of_prepared(prepared)
    if planned is None:
        return _plan_first(Run(options=options, plan_only=True, prepared=prepared), options, show)
    show_plan(planned, prepared)
    if not _is_somebody_there():
        raise ApprovalNeededError(f"{NO_TERMINAL}\nhint: approve it: run the same command with --yes")
    decision = decide(planned, prepared.runs.parent / PLANS, partial(_edited, prepared))
    if not decision.yes:
        say("not approved: nothing has run")
        return NO_REPORT
    if decision.edited is not None:
        return _run_edited(decision.edited, options, show)
    return show.carry(Run(options=options, prepared=prepared))


def resume_approved(folder: "RunFolder", options: Options, show: "Show", *, failed: bool) -> int:
    """Resume a run, after its plan is approved if the task asks for that and no step of the plan has started.

    The plan that is shown is the plan that will run: if the task has changed, it is planned again first.
    """
    import anyio

    from swarm.lifecycle.resume import reopened
    from swarm.lifecycle.run import Run
    from swarm.record.recorded import recorded

    # The folder is owned from here on, so that no other process appends to the journal that was read.
    folder.acquire()
    try:
        found = recorded(folder)
        again = anyio.run(partial(reopened, found, folder, options, failed=failed))
        prepared = again.prepared
        if not prepared.task.asks_about_plan or (again.has_plan and _is_begun(found.state)):
            return show.carry(Run(resume=again))
        planned = of_state(found.state) if again.has_plan else of_prepared(prepared)
        if planned is None:
            return _plan_first(Run(plan_only=True, resume=again), again.options, show)
        return _ask(_Proposal(planned, prepared, folder, again.options), Run(resume=again), show)
    finally:
        folder.release()


def _is_begun(state: "State") -> bool:
    """Return whether a step of the plan was ever started: then the plan was approved."""
    from swarm.spec.plan import PLAN_STEP

    return any(s.spans for s in state.steps.values() if s.id != PLAN_STEP)


def _plan_first(run: "Run", options: Options, show: "Show") -> int:
    """Let a planner make the plan, then ask."""
    from swarm.lifecycle.run import reopen

    try:
        result = show.drive(run)
        planned = of_state(run.state)
        if show.interrupts.received or planned is None:
            code = show.present(run, result)
            show.web.end(run.state, run.seconds)
            return code
        show.web.ask(run.state)
        approved = reopen(run.folder, options=options, prepared=run.prepared)
        return _ask(_Proposal(planned, run.prepared, run.folder, options), approved, show)
    finally:
        show.web.close()


@dataclass(frozen=True)
class _Proposal:
    """A plan of a run, to be approved."""

    planned: Planned
    prepared: "Prepared"
    folder: "RunFolder"
    options: Options


def _ask(proposal: _Proposal, run: "Run", show: "Show") -> int:
    """Show a plan and ask whether to run it. If it is approved unchanged, `run` runs it."""
    planned, prepared, folder = proposal.planned, proposal.prepared, proposal.folder
    folder.write("plan.yaml", planned.yaml)
    show_plan(planned, prepared)
    saved = f"Plan saved to {shown_path(folder.path / 'plan.yaml')}"
    approve = f"hint: approve it with `{resume_command(folder.path, '--yes')}`"
    if not _is_somebody_there():
        raise ApprovalNeededError(f"{NO_TERMINAL}. {saved}\n{approve}")
    decision = decide(planned, prepared.runs.parent / PLANS, partial(_edited, prepared))
    if not decision.yes:
        say(message("not approved", f"nothing has run. {saved}\n{approve}"))
        return NO_REPORT
    if decision.edited is None:
        return show.carry(run)
    folder.release()
    return _run_edited(decision.edited, proposal.options, show)


def _run_edited(edited: Edited, options: Options, show: "Show") -> int:
    """Run an edited plan: it is a new run, and resuming finds the plan in its file."""
    from swarm.lifecycle.run import Run

    return show.carry(Run(options=replace(options, plan=edited.plan), prepared=edited.prepared))


def _edited(prepared: "Prepared", plan: "Path") -> "Prepared":
    """Read, lint and show an edited plan. Raise `InputError` if it is invalid."""
    from swarm.lifecycle.prepare import with_plan

    edited = with_plan(prepared, plan)
    planned = of_prepared(edited)
    assert planned is not None
    show_plan(planned, edited)
    return edited


def _is_somebody_there() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)
