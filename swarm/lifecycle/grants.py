"""The tools that a run grants: what the task names, found among functions and kits, before anything is spent."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from swarm.base.errors import Problem, TaskError
from swarm.base.text import clip, listing
from swarm.spec.files.inputs import is_address
from swarm.spec.labels import TOOL_PLACE
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant
from swarm.spec.yaml.strict import Document, dotted
from swarm.tools import Kit, Tool, Toolbox
from swarm.tools.functions import tool as as_tool
from swarm.tools.offered import DESCRIBED, kits_of

ToolSource = Callable[..., Any] | Tool | Kit
"""What a caller may pass as a tool: a Python function, a tool made of one with `@swarm.tool`, or a kit of tools."""


def toolbox(given: Iterable[ToolSource], task: Task, *, offline: bool = False) -> Toolbox:
    """Return the tools of a run. Nothing is opened. Raise `TaskError` if the task does not fit them.

    What a caller passes is granted. Of the other kits the task grants what it names. With `offline`,
    nothing will run: then it is no problem that this machine cannot offer a kit.
    """
    given = tuple(given)
    functions = [_tool(each) for each in given if not isinstance(each, Kit)]
    passed = [each for each in given if isinstance(each, Kit)]
    kits = (*passed, *_kits_of(task))
    granted, problems = _named(task, {tool.name for tool in functions}, kits)
    granted = granted.union(*(kit.names for kit in passed))
    used = [kit for kit in kits if granted.intersection(kit.names)]
    if not offline:
        problems += _not_here(task, used)
    if problems:
        raise TaskError(*located(task, problems))
    box = Toolbox(functions, kits=used, granted=granted, places=task.labels)
    if problems := [*_unlisted_labels(box, task), *_unknown_places(box, task)]:
        raise TaskError(*located(task, problems))
    return box


def _kits_of(task: Task) -> tuple[Kit, ...]:
    """Return every kit that the tools of a task may mean. Raise `TaskError`, with the places in its file."""
    try:
        return kits_of(task)
    except TaskError as error:
        raise TaskError(*located(task, error.problems)) from None


def _tool(given: Callable[..., Any] | Tool) -> Tool:
    return given if isinstance(given, Tool) else as_tool(given)


def _named(task: Task, functions: Collection[str], kits: Sequence[Kit]) -> tuple[frozenset[str], list[Problem]]:
    """Return the tools of kits that the task names, and a problem for each name that means nothing."""
    granted: set[str] = set()
    problems: list[Problem] = []
    for n, entry in enumerate(task.tools):
        found = _granted(entry, kits)
        granted.update(found)
        if not found and entry not in functions:
            problems.append(Problem(_unknown(entry, functions, kits), path=("tools", n)))
    return frozenset(granted), problems


def unused_sections(task: Task, box: Toolbox) -> tuple[str, ...]:
    """Return a warning for each section that describes tools of which none is granted, and those of kits."""
    used = {*(kit.section for kit in box.kits), *(["web"] if _has_address(task) else [])}
    keys = [key for key in (*DESCRIBED, "python", "web") if getattr(task, key, None) and key not in used]
    unused = (f"{key}: describes tools, and `tools:` names none of them" for key in keys)
    return (*unused, *chain.from_iterable(kit.notes() for kit in box.kits))


def _has_address(task: Task) -> bool:
    """Return whether an input is an address, which is fetched by the rules of `web:`."""
    return any(is_address(entry if isinstance(entry, str) else entry.path) for entry in task.inputs)


def _granted(entry: str, kits: Sequence[Kit]) -> tuple[str, ...]:
    """Return the tools of kits that an entry of `tools:` names."""
    return tuple(chain.from_iterable(kit.granted_by(entry) for kit in kits))


def _unknown(entry: str, functions: Iterable[str], kits: Sequence[Kit]) -> str:
    """Return the words about an entry that names no tool."""
    message = f"there is no tool {clip(entry)!r}"
    own = next((kit for kit in kits if kit.prefix and entry.startswith(f"{kit.prefix}.")), None)
    if own is not None:
        shown = [name.removeprefix(f"{own.prefix}.") for name in own.names]
        near = meant(entry.removeprefix(f"{own.prefix}."), shown)
        return f"{message}; {own.prefix} lists {listing(shown)}{near}"
    known = sorted({*functions, *(kit.prefix or kit.name for kit in kits)})
    if not known:
        return f"{message}; there are none\nhint: {_HOW}"
    near = meant(entry, known)
    return f"{message}; there are {listing(known)}{near}" + ("" if near else f"\nhint: {_HOW}")


_HOW = "describe a server in `mcp:`, or give Python functions with `--tools FILE.py` or `swarm.run(task, tools=[…])`"


def _not_here(task: Task, kits: Iterable[Kit]) -> list[Problem]:
    """Return a problem for each kit that this machine cannot offer, at the entry that names it."""
    problems: list[Problem] = []
    for kit in kits:
        words = kit.problem()
        if words is not None:
            number = next((n for n, entry in enumerate(task.tools) if kit.granted_by(entry)), 0)
            problems.append(Problem(words, path=kit.path or ("tools", number)))
    return problems


def _unlisted_labels(box: Toolbox, task: Task) -> list[Problem]:
    """Return a problem for each tool whose results have a label that the task does not list."""
    hint = "hint: list the models that may see its results there"
    return [
        Problem(f"tool {name}: label {label!r} is not in the task's `labels`\n{hint}", key="labels")
        for name, label in box.labels.items()
        if label not in task.labels
    ]


def _unknown_places(box: Toolbox, task: Task) -> list[Problem]:
    """Return a problem for each place of a single tool in `labels` that no tool of the run has."""
    places = sorted(box.goes_to.values())
    problems: list[Problem] = []
    for label, names in task.labels.items():
        for n, name in enumerate(names):
            if name.startswith(TOOL_PLACE) and name not in places and name not in task.models:
                words = f"`{clip(name)}` is no model and no place; places: {listing(places)}"
                problems.append(Problem(words, path=("labels", label, n)))
    return problems


def located(task: Task, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return problems with their places in the task file, or without a file with the keys alone."""
    if isinstance(task.origin, Document):
        return task.origin.located(problems)
    return tuple(each if each.key else replace(each, key=dotted(each.path)) for each in problems)
