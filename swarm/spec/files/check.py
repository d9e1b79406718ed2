"""Checks between the keys of a task file.

They work on the raw value, before it is validated, so that their errors are reported together with
all others.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any, cast

from swarm.base.errors import Problem
from swarm.base.text import clip, listing
from swarm.base.values import ID_PATTERN, Json
from swarm.spec.files.references import mapping, texts
from swarm.spec.labels import MCP_PLACE, PLACES, is_place
from swarm.spec.plan import SET_BY_RUN
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant, unknown_key
from swarm.spec.yaml.notation import Path
from swarm.spec.yaml.schemas import schema_problems

WORKBOOK = ".xlsx"
"""Ending of an Excel workbook, which an optional library writes."""
OUTPUTS = (".md", ".html", ".json", ".csv", ".jsonl", WORKBOOK)
"""File name endings of the formats of a report."""
DEFAULT = "default"
"""Alias of steps and agents that name no model. It exists even if the task has no `models:`."""
ITEM = "item"
"""Name reserved for the item of an `each` step, so it cannot be a parameter."""
BRACES = re.compile(r"\{(" + ID_PATTERN.strip("^$") + r")\}")
"""A placeholder `{name}` in a goal or prompt."""
_WRITE_GOAL = "write the question to answer or the work to do"


def task_problems(raw: dict[str, Any], parameters: Mapping[str, Json]) -> tuple[Problem, ...]:
    """Return the errors between the keys of a raw task. `parameters` include the overrides.

    Values of a wrong type are skipped; the pydantic models report them.
    """
    return (
        *_hidden_problems(raw),
        *_goal_problems(raw, parameters),
        *_input_problems(raw),
        *_label_problems(raw),
        *_model_problems(raw),
        *_output_problems(raw),
        *step_problems(raw.get("plan"), ("plan",)),
    )


def _hidden_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    allowed = [name for name, about in Task.model_fields.items() if not about.exclude]
    for key in raw:
        if key in Task.model_fields and key not in allowed:
            yield Problem(unknown_key(key, allowed), path=(key,), on_key=True)
    if ITEM in mapping(raw.get("parameters")):
        message = "`{item}` is reserved for the item of an `each` step; choose another name"
        yield Problem(message, path=("parameters", ITEM), on_key=True)


def _goal_problems(raw: dict[str, Any], parameters: Mapping[str, Json]) -> Iterator[Problem]:
    goal = raw.get("goal")
    if goal is None and raw.get("plan") is None:
        yield Problem(f"is required unless `plan` is set; {_WRITE_GOAL}", path=("goal",))
    if not isinstance(goal, str):
        return
    if not goal.strip():
        yield Problem(f"is empty; {_WRITE_GOAL}", path=("goal",))
    for name in dict.fromkeys(BRACES.findall(goal)):
        if name not in parameters:
            hint = meant(name, parameters) or "; add it to `parameters:`"
            known = listing(sorted(parameters))
            yield Problem(f"unknown parameter `{{{name}}}`; known parameters: {known}{hint}", path=("goal",))


def _input_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    labels = sorted(mapping(raw.get("labels")))
    for index, entry in _entries(raw.get("inputs")):
        label = mapping(entry).get("label")
        if isinstance(label, str) and label not in labels:
            message = f"unknown label `{label}`; `labels:` has {listing(labels)}{meant(label, labels)}"
            yield Problem(message, path=("inputs", index, "label"))
        path = mapping(entry).get("path", entry)
        if isinstance(path, str) and not path.strip():
            yield Problem("is an empty path; write a file name or a glob", path=("inputs", index))


def _label_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    aliases = sorted({*mapping(raw.get("models")), DEFAULT})
    servers = mapping(raw.get("mcp"))
    places = sorted((*PLACES, *(f"{MCP_PLACE}{server}" for server in servers)))
    labels = mapping(raw.get("labels"))
    for alias in aliases if labels else ():
        if is_place(alias, servers) and alias in mapping(raw.get("models")):
            message = f"`{alias}` is the name of a place that tools send data to; call the model by another name"
            yield Problem(message, path=("models", alias), on_key=True)
    for label, allowed in labels.items():
        for index, name in _entries(allowed):
            if isinstance(name, str) and name not in aliases and not is_place(name, servers):
                message = f"unknown model `{name}`; `models:` has {listing(aliases)}; places are {listing(places)}"
                yield Problem(f"{message}{meant(name, [*aliases, *places])}", path=("labels", label, index))


def _unknown_alias(alias: str, aliases: list[str]) -> str:
    return f"unknown model `{alias}`; `models:` has {listing(aliases)}{meant(alias, aliases)}"


def _model_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    models = mapping(raw.get("models"))
    pools = {alias: _pool(model) for alias, model in models.items()}
    for alias, model in models.items():
        path: Path = ("models", alias)
        model = mapping(model)
        if model.get("use") is None:
            continue
        for key in model:
            if key != "use":
                message = "not allowed together with `use`: a pool has no settings"
                yield Problem(f"{message}\nhint: move it to the pool's members", path=(*path, key), on_key=True)
        for index, other in enumerate(pools[alias]):
            if other not in models:
                yield Problem(_unknown_alias(other, sorted(models)), path=(*path, "use", index))
        if cycle := _cycle(alias, pools):
            yield Problem(f"cyclic pool: {' → '.join(cycle)}", path=(*path, "use"))


def _pool(model: Json) -> tuple[str, ...]:
    return tuple(alias for _, alias in _entries(mapping(model).get("use")) if isinstance(alias, str))


def _cycle(start: str, pools: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return a path from a pool back to itself, or nothing. Each alias is visited once."""
    previous: dict[str, str] = {}
    todo = [start]
    while todo:
        alias = todo.pop()
        for other in pools.get(alias, ()):
            if other == start:
                return _path_to(alias, start, previous)
            if other not in previous:
                previous[other] = alias
                todo.append(other)
    return ()


def _path_to(alias: str, start: str, previous: Mapping[str, str]) -> tuple[str, ...]:
    """Return the aliases from `start` over `alias` back to `start`."""
    backwards = [start, alias]
    while backwards[-1] != start:
        backwards.append(previous[backwards[-1]])
    return tuple(reversed(backwards))


def _output_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    output = raw.get("output")
    for path, name in texts(output, ("output",)) if isinstance(output, str | list) else ():
        if wrong := wrong_ending(name):
            yield Problem(wrong, path=path)


def wrong_ending(name: str) -> str | None:
    """Return why a file cannot hold a report, or None. Its ending decides the format."""
    if PurePath(name).name.endswith(OUTPUTS) and PurePath(name).stem not in {"", *OUTPUTS}:
        return no_workbooks(clip(name, 200)) if name.endswith(WORKBOOK) else None
    return f"invalid report file `{clip(name, 200)}`: the name must end in {' or '.join(OUTPUTS)}"


def no_workbooks(name: str) -> str | None:
    """Return why an Excel workbook cannot be written on this machine, or None if it can."""
    if find_spec("xlsxwriter") is not None:
        return None
    return f'`{name}` is an Excel workbook\nhint: to write it, run `pip install "local-agent-swarm[files]"`'


def step_problems(plan: Json, path: Path) -> Iterator[Problem]:
    """Yield the errors of a raw plan that the pydantic models do not find.

    An empty list, fields that only the run sets, and outputs that are not a JSON Schema.
    """
    steps = plan
    if isinstance(plan, dict):
        for index, agent in _entries(mapping(cast("Json", plan)).get("agents")):
            output = mapping(agent).get("output")
            if isinstance(output, dict):
                yield from schema_problems(output, (*path, "agents", index, "output"))
        steps, path = mapping(cast("Json", plan)).get("steps"), (*path, "steps")
    if isinstance(steps, list) and not steps:
        yield Problem("is an empty list; a plan needs at least one step", path=path)
    for index, step in _entries(steps):
        for key in SET_BY_RUN:
            if key in mapping(step):
                yield Problem("is set by the run; remove it from the plan", path=(*path, index, key), on_key=True)
        if isinstance(output := mapping(step).get("output"), dict):
            yield from schema_problems(output, (*path, index, "output"))


def _entries(value: Json) -> Iterator[tuple[int, Any]]:
    if isinstance(value, list):
        yield from enumerate(cast("list[Any]", value))
