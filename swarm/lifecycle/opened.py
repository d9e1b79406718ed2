"""The task of a run, read once, with the caller's options applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.base.errors import Problem, TaskError
from swarm.lifecycle.options import Options
from swarm.spec.files import load_task, read_plan
from swarm.spec.plan import Plan
from swarm.spec.task import Limits, Task


@dataclass(frozen=True)
class OpenedTask:
    """A task that has been read, with the caller's options applied."""

    task: Task
    source: str = ""
    """Its file. Empty if it is not from a file."""


def open_task(source: str | Path | Task, options: Options) -> OpenedTask:
    """Read a task and apply the caller's options. Raise `TaskError` or `PlanError`."""
    limits = dict(options.limits)
    if options.workers is not None:
        limits["workers"] = options.workers
    if isinstance(source, Task):
        task, file = _overridden(source, limits, options.parameters), ""
    else:
        task = load_task(
            source,
            environ=options.environ,
            text=options.text,
            parameters=_scalars(options.parameters),
            limits=_scalars(limits),
        )
        file = "" if options.text is not None else str(Path(source).resolve())
    task = with_given_plan(task, options.plan)
    if task.goal is None and task.plan is None:
        raise TaskError(Problem("a task needs a `goal` or a `plan`", key="goal"))
    return OpenedTask(task, file)


def with_given_plan(task: Task, given: str | Path | Plan | None) -> Task:
    """Return the task with its plan read: the given one, else its own. A given file is relative to this folder."""
    plan = task.plan if given is None else given
    if isinstance(plan, str | Path):
        base = task.folder if given is None else Path()
        file = read_plan(base / plan, steps=task.limits.steps)
        return task.model_copy(update={"plan": file.plan, "plan_origin": file.document})
    if isinstance(plan, tuple):
        plan = Plan(steps=plan)
    return task.model_copy(update={"plan": plan})


def _overridden(task: Task, limits: Mapping[str, Any], parameters: Mapping[str, Any]) -> Task:
    read = load_task("", environ={}, text="goal: x", limits=_scalars(limits)).limits
    given = {name: getattr(read, name) for name in limits}
    return task.model_copy(
        update={
            "limits": Limits.model_validate({**task.limits.model_dump(), **given}),
            "parameters": {**task.parameters, **parameters},
        }
    )


def _scalars(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as the scalars of a task file."""
    return {name: "null" if value is None else str(value) for name, value in values.items()}
