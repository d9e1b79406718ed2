"""The task of a run, read once, with the caller's options applied."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from swarm.base.errors import Problem, SwarmError, TaskError
from swarm.base.values import Json
from swarm.lifecycle.options import Options
from swarm.spec.files import (
    COMMAND_NAMES,
    PYTHON_NAMES,
    Overrides,
    load_task,
    plan_of_value,
    read_plan,
    task_of_value,
    with_overrides,
)
from swarm.spec.plan import Plan, PlanSource
from swarm.spec.task import Task, TaskSource
from swarm.spec.yaml.strict import Document


@dataclass(frozen=True)
class OpenedTask:
    """A task that has been read, with the caller's options applied."""

    task: Task
    source: str = ""
    """Its file. Empty if it is not from a file."""


def open_task(source: TaskSource, options: Options) -> OpenedTask:
    """Read a task and apply the caller's options. Raise `TaskError` or `PlanError`."""
    limits = dict(options.limits)
    if options.workers is not None:
        limits["workers"] = options.workers
    names = PYTHON_NAMES if options.from_python else COMMAND_NAMES
    file = ""
    if isinstance(source, str | Path):
        task = load_task(
            source,
            environ=options.environ,
            text=options.text,
            parameters=options.parameters,
            limits=limits,
            names=names,
        )
        file = "" if options.text is not None else str(Path(source).resolve())
    else:
        overrides = Overrides(options.parameters, limits, names)
        if isinstance(source, Task):
            task = with_overrides(source, overrides)
        else:
            task = task_of_value(source, environ=options.environ, overrides=overrides)
    _check_folder(task.folder)
    task = with_given_plan(task, options.plan)
    if task.goal is None and task.plan is None:
        raise TaskError(Problem("a task needs a `goal` or a `plan`", key="goal"))
    return OpenedTask(task, file)


def _check_folder(folder: Path) -> None:
    """Raise `TaskError` for a folder whose name a journal cannot hold: it is no text."""
    path = str(folder.absolute())
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if shown != path:
        message = "the name of this folder is not in UTF-8\nhint: rename it, or work in another folder"
        raise TaskError(Problem(message, where=shown))


def with_given_plan(task: Task, given: PlanSource | None) -> Task:
    """Return the task with its plan read: the given one, else its own. A given file is relative to this folder."""
    plan = task.plan if given is None else given
    if isinstance(plan, Mapping | list):
        read = plan_of_value(cast("Json", plan))
        return task.model_copy(update={"plan": read.plan, "plan_origin": read.document})
    if isinstance(plan, str | Path):
        base = task.folder if given is None else Path()
        file = read_plan(base / plan, steps=task.limits.steps)
        return task.model_copy(update={"plan": file.plan, "plan_origin": file.document})
    if isinstance(plan, tuple):
        plan = Plan(steps=plan)
    return task.model_copy(update={"plan": plan})


def placed(task: Task, aliases: Collection[str], problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems of models; those of these aliases with their line and column in the task's file."""
    document = task.origin
    if not isinstance(document, Document):
        return tuple(problems)
    found: list[Problem] = []
    for problem in problems:
        # A variable such as HTTPS_PROXY is a key, too, and has no place in the file.
        first, _, rest = problem.key.partition(".")
        is_written = first == "models" and rest.partition(".")[0] in aliases
        found += document.located([problem]) if is_written else [problem]
    return tuple(found)


def unusable(task: Task, problems: Iterable[Problem], run: str) -> TaskError:
    """Return the error about models of a run that has spent nothing yet, each problem with its place in the file.

    A check call was refused, so the exit code is that of a run without a report: 2 would mean that no call was made.
    """
    more = f"Nothing was spent\nhint: fix it, then continue with `swarm resume {run}`"
    hinted = [replace(problem, message=f"{problem.message}. {more}") for problem in problems]
    error = TaskError(*(task.origin.located(hinted) if isinstance(task.origin, Document) else hinted))
    error.exit_code = SwarmError.exit_code  # no report
    return error
