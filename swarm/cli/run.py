"""`swarm run` and `swarm resume`."""

import typer

from swarm.cli import options as o
from swarm.cli.outcome import Show


def run(
    ctx: typer.Context,
    tasks: o.Tasks = None,
    goal: o.Goal = None,
    workers: o.Workers = None,
    limit: o.Limit = None,
    parameter: o.Set = None,
    endpoint: o.Endpoint = None,
    model: o.Model = None,
    plan: o.PlanFile = None,
    runs: o.Runs = None,
    no_cache: o.NoCache = False,
    replay: o.Replay = None,
    yes: o.Yes = False,
    grace: o.Grace = o.GRACE_SECONDS,
    as_json: o.AsJson = False,
    jsonl: o.AsJsonLines = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Run a task and print its report.

    A planner splits the task into steps, workers carry out up to --workers of them at once, a reducer merges what they
    give into one report that names its sources. The report goes to stdout, everything else to stderr. A run that was
    interrupted, even by force, goes on with `swarm resume`.
    """
    show = Show(o.Display(json=as_json, jsonl=jsonl, quiet=quiet, verbose=verbose), ctx.obj, grace)
    asked = o.Asked(
        tasks=tuple(tasks or ()),
        goal=goal,
        workers=workers,
        limits=tuple(limit or ()),
        parameters=tuple(parameter or ()),
        endpoint=endpoint,
        model=model,
        plan=plan,
        runs=runs,
        cache=not no_cache,
    )
    return _run(asked, show, yes=yes) if replay is None else _replay(replay, asked, show)


def resume(
    ctx: typer.Context,
    run: o.Run,
    failed: o.Failed = False,
    workers: o.Workers = None,
    limit: o.Limit = None,
    endpoint: o.Endpoint = None,
    model: o.Model = None,
    runs: o.Runs = None,
    no_cache: o.NoCache = False,
    yes: o.Yes = False,
    grace: o.Grace = o.GRACE_SECONDS,
    as_json: o.AsJson = False,
    jsonl: o.AsJsonLines = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Go on with a run where it stopped.

    That may have been an interrupt, a crash, a limit, or a plan that was only looked at. What is done stays done and
    is not paid for again. A --limit may be higher than the run's; --failed takes up what failed, too.
    """
    show = Show(o.Display(json=as_json, jsonl=jsonl, quiet=quiet, verbose=verbose), ctx.obj, grace)
    asked = o.Asked(
        workers=workers,
        limits=tuple(limit or ()),
        endpoint=endpoint,
        model=model,
        runs=runs,
        cache=not no_cache,
    )
    return _resume(run, asked, show, yes=yes, failed=failed)


def _run(asked: o.Asked, show: Show, *, yes: bool) -> int:
    from swarm.prepare import read_task
    from swarm.run import Run

    source = asked.source
    options = asked.options(source)
    if not yes:
        task = read_task(source.name, options)
        if task.approve == "ask":
            from swarm.cli.approve import run_approved

            return run_approved(task, source.name, options, show)
    return show.carry(Run(source.name, options=options))


def _replay(name: str, asked: o.Asked, show: Show) -> int:
    from swarm.errors import TaskError
    from swarm.folder import find
    from swarm.replay import replaying
    from swarm.run import Run

    if asked.endpoint is not None or asked.model is not None:
        raise TaskError("--replay makes no call: leave out --endpoint and --model")
    source = asked.source
    recorded = find(name, o.runs_folder(asked.runs))
    return show.carry(Run(source.name, options=replaying(recorded, asked.options(source)), replay=recorded))


def _resume(name: str, asked: o.Asked, show: Show, *, yes: bool, failed: bool) -> int:
    from swarm.folder import find
    from swarm.run import reopen

    folder = find(name, o.runs_folder(asked.runs))
    options = asked.options()
    if not yes:
        from swarm.cli.approve import resume_approved

        code = resume_approved(folder, options, show)
        if code is not None:
            return code
    return show.carry(reopen(folder, options=options, failed=failed), seen=folder)
