"""The functions of the library: run a task, or resume a run, and return the result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm.lifecycle.options import Options
from swarm.lifecycle.run import Run, reopen
from swarm.record.folder import find
from swarm.results.result import Result
from swarm.spec.plan import Plan
from swarm.spec.task import Task


async def run(
    task: str | Path | Task,
    *,
    endpoint: Any = None,
    model: str | None = None,
    workers: int | None = None,
    limits: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    plan: str | Path | Plan | None = None,
    tools: tuple[Callable[..., Any], ...] | list[Callable[..., Any]] = (),
    runs: str | Path | None = None,
) -> Result:
    """Run a task to its end: plan, dispatch, reduce.

    `endpoint` is a base URL, a provider name, `offline`, or an object with the verb `complete`;
    `model` is the name of the model there. `limits` and `parameters` override those of the task;
    `plan` replaces the planner; `tools` are Python functions. Raise `InputError` before anything is
    spent, and `PlanError` if the planner made no valid plan. All other errors are in the result:
    its `status` and its `errors`.
    """
    options = Options(
        endpoint=endpoint,
        model=model,
        workers=workers,
        limits=limits or {},
        parameters=parameters or {},
        plan=plan,
        tools=tuple(tools),
        runs=runs,
    )
    async with Run(task, options=options) as this:
        pass
    return this.result


async def resume(
    run: str | Path,
    *,
    runs: str | Path | None = None,
    endpoint: Any = None,
    model: str | None = None,
    workers: int | None = None,
    limits: dict[str, Any] | None = None,
    tools: tuple[Callable[..., Any], ...] | list[Callable[..., Any]] = (),
    failed: bool = False,
) -> Result:
    """Resume a run where it stopped. Finished steps are kept; with `failed`, failed steps are retried.

    `run` is an id, a unique prefix, a folder or `last`; `limits` may be raised. Raise
    `RunNotFoundError`, `RunInUseError` or `JournalError`.
    """
    folder = find(str(run), Path(runs) if runs is not None else Path(".swarm/runs"))
    options = Options(
        endpoint=endpoint, model=model, workers=workers, limits=limits or {}, tools=tuple(tools), runs=runs
    )
    async with reopen(folder, options=options, failed=failed) as this:
        pass
    return this.result
