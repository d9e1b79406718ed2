"""The functions of the library: run a task, or resume a run, and return the result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import anyio

from swarm.base.errors import SwarmError
from swarm.base.showing import cell
from swarm.lifecycle.arguments import ResumeArguments, RunArguments, run_name, run_options, task_source
from swarm.lifecycle.run import Run, reopen
from swarm.lifecycle.trust import check_trust
from swarm.record.folder import find
from swarm.results.result import Result
from swarm.spec.task import Task


async def run(task: str | Path | Task | Mapping[str, Any], **arguments: Unpack[RunArguments]) -> Result:
    """Run a task to its end: plan, dispatch, reduce.

    `task` is the path of a task file, a `Task`, or a dict with the keys of a task file. Keyword
    arguments, all optional:

    endpoint     base URL, provider name, `offline`, or an object with the verb `complete`
    model        name of the model at that endpoint
    workers      maximum number of steps running in parallel
    limits       limits by name, such as `{"tokens": 400_000}`; they override those of the task
    parameters   parameters by name; they override those of the task
    plan         plan file, `Plan`, list of steps, or dict: replaces the planner
    tools        Python functions; passing one grants it
    checks       Python functions that check outputs, by the name that `check` of a step has
    runs         folder of the runs [default: `.swarm/runs` next to the task]
    cache        False: do not read or write the cache of finished steps; a `Path`: use the cache in that folder
                 [default: True]. An endpoint object is cached only if it has an attribute `identity`, a
                 text that tells it from others.
    on_event     function, or coroutine function, that receives each event as it is recorded. A plain function runs
                 in a worker thread. It cannot hold back the run, and an exception of it does not end the run.

    Raise `InputError` before anything is spent, and `PlanError` if the planner made no valid plan.
    All other errors are in the result: its `status` and its `errors`.
    """
    options = run_options(arguments)
    return await _shown(Run(task_source(task), options=options))


async def resume(
    run: str | Path, *, failed: bool = False, trust: bool = False, **arguments: Unpack[ResumeArguments]
) -> Result:
    """Resume a run where it stopped. Finished steps are kept; with `failed`, failed steps are retried.

    `run` is an id, a unique prefix, a folder or `last`. Keyword arguments, all optional, as in
    `run`: `runs`, `endpoint`, `model`, `workers`, `limits` (to raise them), `tools`, `checks`, `cache`
    (by default as the run was started), `on_event`. Raise
    `RunNotFoundError`, `RunInUseError` or `JournalError`; `UntrustedRunError` for a folder that was
    not started here, unless `trust` is set.
    """
    options = run_options(arguments)
    folder = find(run_name(run), Path(".swarm/runs" if options.runs is None else options.runs))
    check_trust(folder, trusted=trust)
    return await _shown(reopen(folder, options=options, failed=failed))


async def _shown(run: Run) -> Result:
    """Run to the end; in a notebook, show it meanwhile in the output of the cell."""
    view = cell()
    async with run:
        if view is not None:
            await view.follow(run)
    if view is not None:
        view.end(run.result)
    return run.result


def run_sync(task: str | Path | Task | Mapping[str, Any], **arguments: Unpack[RunArguments]) -> Result:
    """Run a task to its end without an event loop of your own: `run` for scripts. Arguments as in `run`.

    In a notebook or an async function, use `await swarm.run(…)`: this raises `SwarmError` there.
    """
    _check_no_loop("run")

    async def body() -> Result:
        return await run(task, **arguments)

    return anyio.run(body)


def resume_sync(
    run: str | Path, *, failed: bool = False, trust: bool = False, **arguments: Unpack[ResumeArguments]
) -> Result:
    """Resume a run without an event loop of your own: `resume` for scripts. Arguments as in `resume`."""
    _check_no_loop("resume")

    async def body() -> Result:
        return await resume(run, failed=failed, trust=trust, **arguments)

    return anyio.run(body)


def _check_no_loop(name: str) -> None:
    """Raise `SwarmError` inside of an event loop, which would wait for itself."""
    try:
        anyio.get_current_task()
    except anyio.NoEventLoopError:
        return
    raise SwarmError(f"{name}_sync cannot be called inside of an event loop\nhint: write `await swarm.{name}(…)`")
