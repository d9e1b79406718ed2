"""`swarm run` and `swarm resume`."""

from dataclasses import replace

import typer

from swarm.base.clock import GRACE_SECONDS
from swarm.cli import options as o
from swarm.cli.outcome import Show


def run(
    ctx: typer.Context,
    asked: o.Asked,
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
    asked = replace(asked.with_task(quiet=display.quiet), runs=runs, cache=not no_cache)
    return _run(asked, show, yes=yes) if replay is None else _replay(replay, asked, show)


def resume(
    ctx: typer.Context,
    run: o.Run,
    failed: o.Failed = False,
    yes: o.Yes = False,
    endpoint: o.Endpoint = None,
    model: o.Model = None,
    workers: o.Workers = None,
    limit: o.Limit = None,
    no_cache: o.NoCache = False,
    runs: o.Runs = None,
    grace: o.Grace = GRACE_SECONDS,
    *,
    display: o.Display,
) -> int:
    """Resume an interrupted, failed or plan-only run.

    Finished steps are kept and not paid for again; swarm lists what changed since the run and
    reruns only the affected steps. To resume after a limit, raise it with --limit.
    """
    show = Show(display, ctx.obj, grace)
    asked = o.Asked(
        workers=workers,
        limits=limit,
        endpoint=endpoint,
        model=model,
        runs=runs,
        cache=not no_cache,
    )
    return _resume(run, asked, show, yes=yes, failed=failed)


def _run(asked: o.Asked, show: Show, *, yes: bool) -> int:
    from swarm.lifecycle.prepare import open_task
    from swarm.lifecycle.run import Run

    source = asked.source
    options = asked.options(source)
    opened = open_task(source.name, options)
    if not yes and opened.task.approve == "ask":
        from swarm.cli.approve import run_approved

        return run_approved(opened, options, show)
    return show.carry(Run(opened, options=options))


def _replay(name: str, asked: o.Asked, show: Show) -> int:
    from swarm.base.errors import TaskError
    from swarm.lifecycle.replay import Replay
    from swarm.lifecycle.run import Run
    from swarm.record.folder import find

    if asked.endpoint is not None or asked.model is not None:
        raise TaskError("--replay makes no calls\nhint: remove --endpoint and --model")
    source = asked.source
    replay = Replay(find(name, o.runs_folder(asked.runs)))
    return show.carry(Run(source.name, options=replay.options(asked.options(source)), replay=replay))


def _resume(name: str, asked: o.Asked, show: Show, *, yes: bool, failed: bool) -> int:
    from swarm.lifecycle.run import reopen
    from swarm.record.folder import find

    folder = find(name, o.runs_folder(asked.runs))
    options = asked.options()
    if yes:
        return show.carry(reopen(folder, options=options, failed=failed))
    from swarm.cli.approve import resume_approved

    return resume_approved(folder, options, show, failed=failed)
