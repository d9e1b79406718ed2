"""`swarm run` and `swarm resume`."""

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from swarm.base.clock import GRACE_SECONDS
from swarm.cli import options as o
from swarm.cli.outcome import Show
from swarm.cli.streams import say
from swarm.lifecycle.options import Options

if TYPE_CHECKING:
    from swarm.lifecycle.opened import OpenedTask
    from swarm.record.folder import RunFolder


def run(
    ctx: typer.Context,
    named: o.Named,
    options: o.RunOptions,
    yes: o.Yes = False,
    no_cache: o.NoCache = False,
    replay: o.Replay = None,
    runs: o.Runs = None,
    grace: o.Grace = GRACE_SECONDS,
    *,
    display: o.Display,
) -> int:
    """Run a task and print its report.

    A planner splits the task into steps, workers run them in parallel, and a reducer merges the
    outputs into one report that names its sources. The report goes to stdout, everything else to
    stderr. If the run is interrupted, finished steps are kept: continue with `swarm resume`.
    """
    show = Show(display, ctx.obj, grace)
    source = named.source(options, quiet=display.quiet)
    options = replace(
        o.in_folder(options, runs), cache=False if no_cache else None, text=source.text, stdin=source.read_input
    )
    options = replace(options, approve=show.approver(yes=yes), otlp=display.otlp)
    if replay is not None:
        return _replay(replay, source.name, options, show)
    return _run(source.name, options, show, yes=yes)


def resume(
    ctx: typer.Context,
    run: o.LastRun = "last",
    failed: o.Failed = False,
    yes: o.Yes = False,
    trust: o.Trust = False,
    *,
    options: o.ResumeOptions,
    no_cache: o.NoCache = False,
    runs: o.Runs = None,
    grace: o.Grace = GRACE_SECONDS,
    display: o.Display,
) -> int:
    """Resume an interrupted, failed or plan-only run.

    Finished steps are kept and not paid for again; swarm lists what changed since the run and
    reruns only the affected steps. To resume after a limit, raise it with --limit. A run folder
    that was moved, copied or started elsewhere needs --trust.
    """
    show = Show(display, ctx.obj, grace)
    options = replace(o.in_folder(options, runs), cache=False if no_cache else None)
    options = replace(options, approve=show.approver(yes=yes), otlp=display.otlp)
    return _resume(_trusted(run, options, trust=trust), options, show, yes=yes, failed=failed)


def _run(name: str, options: Options, show: Show, *, yes: bool) -> int:
    from swarm.lifecycle.opened import open_task
    from swarm.lifecycle.run import Run

    opened = open_task(name, options)
    _say_fetching(opened, options, show)
    if not yes and opened.task.asks_about_plan:
        from swarm.cli.approve import run_approved

        return run_approved(opened, options, show)
    return show.carry(Run(opened, options=options))


def _say_fetching(opened: "OpenedTask", options: Options, show: Show) -> None:
    """Say that addresses are fetched, which may take a while before the first step."""
    from swarm.lifecycle.fetched import addresses, may_fetch

    found = addresses(opened.task, options)
    if found and not show.display.quiet and may_fetch(opened.task, options):
        say("fetching 1 address" if len(found) == 1 else f"fetching {len(found):,} addresses")


def _replay(run: str, name: str, options: Options, show: Show) -> int:
    from swarm.base.errors import TaskError
    from swarm.lifecycle.opened import open_task
    from swarm.lifecycle.replay import Replay
    from swarm.lifecycle.run import Run
    from swarm.record.folder import find

    if options.endpoint is not None or options.model is not None:
        raise TaskError("--replay makes no calls\nhint: remove --endpoint and --model")
    if options.cache is False:
        raise TaskError("--replay takes every answer from the recorded run\nhint: remove --no-cache")
    replay = Replay(find(run, o.runs_folder(options.runs)))
    options = replay.options(options)
    return show.carry(Run(open_task(name, options), options=options, replay=replay))


def _trusted(name: str, options: Options, *, trust: bool) -> "RunFolder":
    """Return the folder of a run that may be resumed. Show what an untrusted one would use, and raise its error."""
    from swarm.base.errors import UntrustedRunError
    from swarm.lifecycle.trust import check_trust
    from swarm.record.folder import find

    folder = find(name, o.runs_folder(options.runs))
    try:
        check_trust(folder, trusted=trust)
    except UntrustedRunError as error:
        say("\n".join(("A resumed run would use:", *(f"  {line}" for line in error.proposal))))
        raise
    return folder


def _resume(folder: "RunFolder", options: Options, show: Show, *, yes: bool, failed: bool) -> int:
    from swarm.lifecycle.run import reopen

    if yes:
        return show.carry(reopen(folder, options=options, failed=failed))
    from swarm.cli.approve import resume_approved

    return resume_approved(folder, options, show, failed=failed)
