"""The arguments of the Python functions, checked and made into `Options`, with errors in the words of the caller."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import isclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from pydantic import SecretStr

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip, listing
from swarm.base.values import ID_PATTERN, MOST_DEPTH, Json
from swarm.endpoints import Endpoint
from swarm.lifecycle.grants import ToolSource
from swarm.lifecycle.options import Options
from swarm.record.events import Event
from swarm.spec.plan import Plan, PlanSource, Step
from swarm.spec.task import Task, TaskSource
from swarm.spec.yaml.explain import meant
from swarm.tools import Kit, Tool
from swarm.tools.approval import Approver, CallDecision, Question, approver_of

_ENDPOINT = "a base URL, a provider name, `offline`, or an object with `async def complete(request) -> reply`"
MOST_NUMBER = 2**64
"""Bound of whole numbers: they have 64 bits in task files, too."""


class RunArguments(TypedDict, total=False):
    """Keyword arguments of `swarm.run`, `swarm.run_sync` and `swarm.Run`."""

    endpoint: str | Endpoint | None
    """Base URL, provider name, `offline`, or an object with the verb `complete`."""
    model: str | None
    """Name of the model at that endpoint."""
    workers: int | Literal["auto"] | None
    """Maximum number of steps running in parallel."""
    limits: Mapping[str, Any] | None
    """Limits by name. They override those of the task."""
    parameters: Mapping[str, Any] | None
    """Parameters by name. They override those of the task."""
    plan: PlanSource | Sequence[Step] | None
    """Plan to run without a planner."""
    inputs: Sequence[str | Path]
    """Paths, globs and folders to read in addition to those of the task, relative to the current folder."""
    strict: bool
    """Whether an input that cannot be read is an error. [default: false; it is left out and named]"""
    fetch: bool
    """Whether inputs may be addresses, which are fetched when the run starts. [default: if the task has `web`]"""
    tools: Sequence[ToolSource] | ToolSource
    """Python functions that the run grants."""
    approve: Callable[[Question], Any] | bool | None
    """Function, or coroutine function, that is asked about calls of tools that need approval. It returns True, False,
    `always`, or the reason why not, for the model. `True` approves all calls. [default: such a call ends the run, which
    can be resumed]"""
    checks: Mapping[str, Callable[..., Any]] | None
    """Python functions that check outputs, by the name that `check` of a step has."""
    runs: str | Path | None
    """Folder of the runs. [default: `.swarm/runs` next to the task]"""
    cache: bool | Path | None
    """Whether the cache of finished steps is read and written, or the folder of another cache. [default: true]"""
    on_event: Callable[[Event], Any] | None
    """Function, or coroutine function, that receives each event of the run. It cannot hold back or end the run."""


class ResumeArguments(TypedDict, total=False):
    """Keyword arguments of `swarm.resume` and `swarm.resume_sync`."""

    runs: str | Path | None
    """Folder of the runs. [default: `.swarm/runs` in the current folder]"""
    endpoint: str | Endpoint | None
    """Endpoint that replaces that of the run."""
    model: str | None
    """Name of the model at that endpoint."""
    workers: int | Literal["auto"] | None
    """Maximum number of steps running in parallel."""
    limits: Mapping[str, Any] | None
    """Limits by name, to raise them."""
    tools: Sequence[ToolSource] | ToolSource
    """Python functions that the run grants."""
    approve: Callable[[Question], Any] | bool | None
    """Function, or coroutine function, that is asked about calls of tools that need approval. It returns True, False,
    `always`, or the reason why not, for the model. `True` approves all calls. [default: such a call ends the run, which
    can be resumed]"""
    checks: Mapping[str, Callable[..., Any]] | None
    """Python functions that check outputs, by the name that `check` of a step has."""
    cache: bool | Path | None
    """Whether the cache is read and written, or the folder of another one. [default: as the run was started]"""
    on_event: Callable[[Event], Any] | None
    """Function, or coroutine function, that receives each event of the run. It cannot hold back or end the run."""


def run_options(arguments: RunArguments | ResumeArguments) -> Options:
    """Return the options of a run. Raise `TaskError` with all arguments that are wrong."""
    check_names(arguments, RunArguments.__annotations__)
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    problems: list[Problem] = []

    def read(name: str, reader: Callable[[str, Any], Any]) -> None:
        try:
            given[name] = reader(name, given[name])
        except TaskError as error:
            problems.extend(error.problems)

    for name, reader in _READERS.items():
        if name in given:
            read(name, reader)
    if problems:
        raise TaskError(*problems)
    return Options(**given, from_python=True)


def check_names(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raise `TypeError`, as Python does, for a keyword argument that does not exist."""
    for name in given:
        if name not in known:
            raise TypeError(
                f"unknown argument `{clip(name)}`; arguments are {listing(sorted(known))}{meant(name, known)}"
            )


def task_source(task: object) -> TaskSource:
    """Return what a caller gave as the task. Raise `TaskError` if it is not one."""
    if isinstance(task, Mapping):
        return cast("dict[str, Json]", plain(cast("Json", task), "task"))
    if isinstance(task, str | Path):
        _path("task", task)
    if isinstance(task, str) and " " in task and not Path(task).suffix and not Path(task).exists():
        hint = "hint: to ask a question, write `swarm.Task(goal=…)`"
        raise TaskError(Problem(f"there is no file `{clip(task)}`\n{hint}", key="task"))
    if isinstance(task, str | Path | Task):
        return task
    expected = "the path of a task file, a `swarm.Task`, or a dict with the keys of a task file"
    raise TaskError(Problem(f"is {_kind(task)}; expected {expected}", key="task"))


def run_name(run: object) -> str:
    """Return what a caller gave as the name or folder of a run. Raise `TaskError` if it is neither."""
    return str(_path("run", run))


def plain(value: object, key: str, depth: int = 0) -> Json:
    """Return a Python value as JSON. Raise `TaskError` with the key of a part that JSON cannot hold."""
    if depth > MOST_DEPTH:
        raise TaskError(Problem(f"has more than {MOST_DEPTH} levels", key=key))
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).items()
        return {_key(name, key): plain(inner, f"{key}.{name}", depth + 1) for name, inner in entries}
    if isinstance(value, list | tuple):
        parts = enumerate(cast("Sequence[object]", value), 1)
        return [plain(inner, f"{key}.{number}", depth + 1) for number, inner in parts]
    return _scalar(value, key)


def _scalar(value: object, key: str) -> Json:
    if isinstance(value, str):
        return _text(key, value)
    if isinstance(value, int) and abs(value) >= MOST_NUMBER:
        raise TaskError(Problem(f"is {_kind(value)}; a whole number has at most 64 bits", key=key))
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise TaskError(
        Problem(f"is {_kind(value)}; expected text, a number, true, false, None, a list or a dict", key=key)
    )


def _key(name: object, key: str) -> str:
    if not isinstance(name, str):
        raise TaskError(Problem(f"has the key {clip(repr(name))}; expected text", key=key))
    return _text(key, name)


def _kind(value: object) -> str:
    """Return the words for a value of a wrong type."""
    if isclass(value):
        return f"the class `{value.__name__}`"
    if isinstance(value, int | float | str):
        return f"{clip(repr(value))}"
    return f"of type `{type(value).__name__}`"


# Readers of single arguments


def _endpoint(name: str, value: Any) -> str | Endpoint:
    if isclass(value):
        hint = f"\nhint: pass an object of it: {value.__name__}(…)"
        raise TaskError(Problem(f"is {_kind(value)}; expected {_ENDPOINT}{hint}", key=name))
    if isinstance(value, str):
        return _text(name, value)
    if callable(getattr(value, "complete", None)):
        return value
    raise TaskError(Problem(f"is {_kind(value)}; expected {_ENDPOINT}", key=name))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TaskError(Problem(f"is {_kind(value)}; expected text", key=name))
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise TaskError(Problem(f"is {_kind(value)}, which has half a surrogate pair; expected text", key=name))
    return value


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TaskError(Problem(f"is {_kind(value)}; expected a whole number", key=name))
    return value


def _cache(name: str, value: Any) -> bool | Path:
    if not isinstance(value, bool | Path):  # a text such as "no" would be the name of a folder
        raise TaskError(Problem(f"is {_kind(value)}; expected True or False, or a `pathlib.Path`", key=name))
    return value


def _path(name: str, value: Any) -> str | Path:
    if not isinstance(value, str | Path):
        raise TaskError(Problem(f"is {_kind(value)}; expected a path", key=name))
    try:
        os.fsencode(value)
    except UnicodeError:
        _text(name, str(value))
    if "\0" in str(value):
        raise TaskError(Problem(f"is {_kind(str(value))}; a path has no NUL character", key=name))
    return value


def _paths(name: str, value: Any) -> tuple[str | Path, ...]:
    if isinstance(value, str | Path) or not isinstance(value, list | tuple):
        raise TaskError(Problem(f"is {_kind(value)}; expected a list of paths", key=name))
    return tuple(_path(f"{name}.{number}", each) for number, each in enumerate(cast("Sequence[Any]", value), 1))


def _yes(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TaskError(Problem(f"is {_kind(value)}; expected True or False", key=name))
    return value


def _workers(name: str, value: Any) -> int | str:
    return "auto" if value == "auto" else _whole(name, value)


def _names(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TaskError(Problem(f"is {_kind(value)}; expected a dict", key=name))
    return cast("dict[str, Json]", plain(cast("Json", value), name))


def _plan(name: str, value: Any) -> PlanSource:
    if isinstance(value, str | Path):
        return _path(name, value)
    if isinstance(value, Plan):
        return value
    if isinstance(value, list | tuple):
        steps = cast("Sequence[object]", value)
        if steps and all(isinstance(step, Step) for step in steps):
            return tuple(cast("Sequence[Step]", steps))
        return plain(list(steps), name)
    if isinstance(value, Mapping):
        return plain(cast("Json", value), name)
    expected = "the path of a plan file, a `swarm.Plan`, a list of steps, or a dict with the keys of a plan file"
    raise TaskError(Problem(f"is {_kind(value)}; expected {expected}", key=name))


def _tools(name: str, value: Any) -> tuple[ToolSource, ...]:
    """Return the tools. A function that is passed is granted: the task need not list it."""
    if isinstance(value, Tool | Kit) or (callable(value) and not isclass(value)):
        return (cast("ToolSource", value),)
    expected = "a function or a list of functions"
    if not isinstance(value, list | tuple):
        raise TaskError(Problem(f"is {_kind(value)}; expected {expected}", key=name))
    functions = cast("Sequence[Any]", value)
    for number, function in enumerate(functions, 1):
        if not callable(function) and not isinstance(function, Tool | Kit):
            raise TaskError(Problem(f"is {_kind(function)}; expected a function", key=f"{name}.{number}"))
    return tuple(functions)


def _approve(name: str, value: Any) -> Approver | bool:
    """Return what answers questions about calls."""
    if value is True or value is False:
        return value or _refuse
    if not callable(value) or isclass(value):
        raise TaskError(Problem(f"is {_kind(value)}; expected True, False or a function", key=name))
    return approver_of(value)


async def _refuse(question: Question) -> CallDecision:
    del question
    return CallDecision("no")


def _checks(name: str, value: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions that check outputs. Their names are ids, as those of agents are."""
    if not isinstance(value, Mapping):
        raise TaskError(Problem(f"is {_kind(value)}; expected a dict of functions by name", key=name))
    functions = cast("Mapping[Any, Any]", value)
    for each, function in functions.items():
        if not isinstance(each, str) or not re.fullmatch(ID_PATTERN, each):
            raise TaskError(Problem(f"{clip(str(each))!r} is no id: letters, digits, `.`, `_` and `-`", key=name))
        if not callable(function) or isclass(function):
            raise TaskError(Problem(f"is {_kind(function)}; expected a function", key=f"{name}.{each}"))
    return dict(functions)


def _on_event(name: str, value: Any) -> Callable[[Event], Any]:
    if not callable(value):
        raise TaskError(Problem(f"is {_kind(value)}; expected a function", key=name))
    return value


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "endpoint": _endpoint,
    "model": _text,
    "workers": _workers,
    "limits": _names,
    "parameters": _names,
    "plan": _plan,
    "inputs": _paths,
    "strict": _yes,
    "fetch": _yes,
    "tools": _tools,
    "approve": _approve,
    "checks": _checks,
    "runs": _path,
    "cache": _cache,
    "on_event": _on_event,
}
"""The reader of each argument: it returns the value of the option, or raises `TaskError`."""
