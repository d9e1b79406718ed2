"""`swarm plan`: make the plan of a task, to view, edit and run it."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from swarm.base.clock import GRACE_SECONDS
from swarm.base.errors import TaskError
from swarm.cli import options as o
from swarm.cli.drive import drive
from swarm.cli.outcome import Show
from swarm.cli.streams import answer_escaped, answer_json, message, say
from swarm.cli.words import resume_command
from swarm.lifecycle.options import Options

if TYPE_CHECKING:
    from swarm.base.values import Json
    from swarm.forecast.plan import Forecast
    from swarm.lifecycle.prepare import Prepared
    from swarm.planning.lint import Finding
    from swarm.record.state import State
    from swarm.spec.agent import Agent
    from swarm.spec.plan import Step


def plan(
    ctx: typer.Context,
    *,
    out: o.Out = None,
    named: o.Named,
    options: o.RunOptions,
    runs: o.Runs = None,
    grace: o.Grace = GRACE_SECONDS,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Make the plan of a task and show it.

    Only the planner is called, and only if the task has no plan. The plan goes to stdout as YAML, or
    to -o FILE; its stages, critical path, findings and estimate go to stderr. Run it with `swarm run
    TASK --plan FILE`, or resume the run that made it.
    """
    display = o.Display(json=as_json, quiet=quiet, verbose=verbose)
    out = None if out == o.STDOUT else out
    if out is not None and Path(out).is_dir():
        raise TaskError(f"cannot write {out}: it is a folder")
    source = named.source(options, quiet=quiet)
    options = replace(o.in_folder(options, runs), text=source.text, stdin=source.read_input, preflight=False)
    return _plan(source.name, options, out, Show(display, ctx.obj, grace))


@dataclass(frozen=True)
class Planned:
    """A plan with its findings."""

    steps: "tuple[Step, ...]"
    findings: "tuple[Finding, ...]" = ()
    agents: "tuple[Agent, ...]" = ()
    """Specialist agents that the planner made for it."""
    notes: tuple[str, ...] = ()
    """Notes on how the answer of the planner was read."""

    @property
    def value(self) -> "dict[str, Json]":
        """The plan as JSON values."""
        from swarm.spec.plan import Plan

        return Plan(agents=self.agents, steps=self.steps).model_dump(mode="json", exclude_defaults=True)

    @property
    def yaml(self) -> str:
        """The plan as the text of a plan file."""
        from swarm.spec.files import write_yaml

        return write_yaml(self.value)


def of_prepared(prepared: "Prepared") -> Planned | None:
    """Return the plan that a task contains, or None if a planner makes it."""
    linted = prepared.linted
    return None if linted is None else Planned(prepared.steps, linted.findings, linted.agents)


def of_state(state: "State") -> Planned | None:
    """Return the plan of a run, or None if there is none yet."""
    from swarm.record.outcome import Outcome
    from swarm.results.result import plan_of
    from swarm.spec.plan import PLAN_STEP

    plan = plan_of(state)
    if plan is None:
        return None
    outcome = state.steps[PLAN_STEP].outcome if PLAN_STEP in state.steps else Outcome()
    return Planned(plan.steps, agents=plan.agents, notes=(*outcome.doubts, *outcome.notes))


def show_plan(planned: Planned, prepared: "Prepared | None" = None) -> None:
    """Show a plan on stderr: its steps by stage, number of workers, critical path and findings.

    With the prepared task, also show the estimate, and whether a swarm is worth it.
    """
    from swarm.planning.graph import stages
    from swarm.views.tables import plan_table

    say(plan_table(planned.steps, planned.findings, stages(planned.steps)).rstrip("\n"))
    for note in planned.notes:
        say(message("note", note))
    if prepared is not None:
        from swarm.views.simulation import advice_lines, limit_line, opened_lines, tree_lines

        found = _forecast(prepared, planned)
        *figures, advice = advice_lines(found.advice, found.worst_tokens, found.worst_usd)
        limit = limit_line(found.limit, found.advice.swarm.tokens)
        say("\n".join([*tree_lines(found.trees), *opened_lines(found.opened), *figures, *limit, advice]))


def _forecast(prepared: "Prepared", planned: Planned) -> "Forecast":
    """Return the forecast of a plan: from its sizes, similar steps in earlier runs, and the cache."""
    from swarm.forecast.expect import experience_of
    from swarm.forecast.plan import forecast_plan, scene_of

    agents = {agent.name: agent for agent in (*prepared.agents.values(), *planned.agents)}
    experience = experience_of(prepared.runs)
    return forecast_plan(planned.steps, scene_of(prepared.resources, agents.values(), experience, prepared.cache))


def _plan(name: str, options: Options, out: str | None, show: Show) -> int:
    import anyio

    from swarm.lifecycle.prepare import prepare

    # A plan that is only shown sends nothing. A planner is called anyway, and gets what addresses give.
    prepared = anyio.run(prepare, name, replace(options, sends=False))
    planned = of_prepared(prepared)
    if planned is None:
        if prepared.files.loaded.is_pending:
            prepared = anyio.run(prepare, name, options)
        return _made(prepared, options, out, show)
    _present(planned, prepared, PlanOutput(out, show.display, {"run": None, "folder": None}))
    if not show.display.quiet and options.text is None:
        with_plan = "" if options.plan is None else f" --plan {shlex.quote(str(out or options.plan))}"
        say(f"next: swarm run {shlex.quote(name)}{with_plan}")
    return 0


def _made(prepared: "Prepared", options: "Options", out: str | None, show: Show) -> int:
    """Let a planner make the plan."""
    from swarm.lifecycle.run import Run

    run = Run(options=options, plan_only=True, prepared=prepared)
    result = drive(run, show.display, show.interrupts, grace=show.grace)
    planned = of_state(run.state)
    if show.interrupts.received or planned is None:
        return show.present(run, result)
    about: dict[str, Json] = {"run": run.folder.run, "folder": str(run.folder.path)}
    _present(planned, run.prepared, PlanOutput(out, show.display, about))
    if not show.display.quiet:
        say("Plan ready; nothing has run.")
        say(f"next: {resume_command(run.folder.path)}")
    return 0


@dataclass(frozen=True)
class PlanOutput:
    """Where a plan is written, and how."""

    out: str | None
    display: o.Display
    about: "dict[str, Json]"
    """Id and folder of the run that made it."""


def _present(planned: Planned, prepared: "Prepared", to: PlanOutput) -> None:
    from swarm.planning.graph import stages

    if not to.display.quiet:
        show_plan(planned, prepared)
    if to.out is not None:
        _write(Path(to.out), planned.yaml)
        if not to.display.quiet:
            say(f"Plan saved to {to.out}; edit it, then run it with --plan {shlex.quote(to.out)}")
    if to.display.json:
        levels = stages(planned.steps)
        findings = [{"severity": f.severity, "kind": f.kind, "message": str(f)} for f in planned.findings]
        figures = {"stages": levels, "width": max(map(len, levels)), "depth": len(levels)}
        expected = _forecast(prepared, planned).value
        said = {"findings": findings, "notes": planned.notes}
        answer_json({**to.about, "plan": planned.value, **figures, **said, **expected})
    elif to.out is None:
        answer_escaped(planned.yaml)


def _write(path: Path, text: str) -> None:
    from swarm.base.files import write_named

    try:
        write_named(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error.strerror}") from None
