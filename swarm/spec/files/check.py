"""What must fit together in a task file, checked on its raw value, so that it is said with everything else."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, cast

from swarm.base.text import listing
from swarm.base.values import ID_PATTERN, Json
from swarm.spec.files.references import mapping, texts
from swarm.spec.task import Task
from swarm.spec.yaml.explain import meant, unknown_key
from swarm.spec.yaml.notation import Flaw, Path
from swarm.spec.yaml.schemas import schema_flaws

OUTPUTS = (".md", ".json")
"""What a report can be written as."""
DEFAULT = "default"
"""The alias that is used where no other is said; it is there even where the task has no `models:`."""
ITEM = "item"
"""What `{item}` stands for is not a parameter."""
BRACES = re.compile(r"\{(" + ID_PATTERN.strip("^$") + r")\}")
"""A place to be filled."""
_NOT_IN_FILES = ("item", "instance_of")
"""Fields of a step that the run sets."""


def task_flaws(raw: dict[str, Any], parameters: Mapping[str, Json]) -> tuple[Flaw, ...]:
    """Find what does not fit together; `parameters` are as overridden. Wrong types are left to the models."""
    return (
        *_hidden_flaws(raw),
        *_goal_flaws(raw, parameters),
        *_input_flaws(raw),
        *_label_flaws(raw),
        *_model_flaws(raw),
        *_output_flaws(raw),
        *step_flaws(raw.get("plan"), ("plan",)),
    )


def _hidden_flaws(raw: dict[str, Any]) -> Iterator[Flaw]:
    allowed = [name for name, about in Task.model_fields.items() if not about.exclude]
    for key in raw:
        if key in Task.model_fields and key not in allowed:
            yield Flaw((key,), unknown_key(key, allowed), on_key=True)
    if ITEM in mapping(raw.get("parameters")):
        yield Flaw(("parameters", ITEM), "`{item}` is the item of an `each` step; choose another name", on_key=True)


def _goal_flaws(raw: dict[str, Any], parameters: Mapping[str, Json]) -> Iterator[Flaw]:
    goal = raw.get("goal")
    if goal is None and raw.get("plan") is None:
        yield Flaw(("goal",), "is required, unless there is a `plan`; say what is wanted")
    if not isinstance(goal, str):
        return
    if not goal.strip():
        yield Flaw(("goal",), "is empty; say what is wanted")
    for name in dict.fromkeys(BRACES.findall(goal)):
        if name not in parameters:
            hint = meant(name, parameters) or "; add it to `parameters:`"
            yield Flaw(("goal",), f"`{{{name}}}` is no parameter; there are: {listing(sorted(parameters))}{hint}")


def _input_flaws(raw: dict[str, Any]) -> Iterator[Flaw]:
    labels = sorted(mapping(raw.get("labels")))
    for index, entry in _entries(raw.get("inputs")):
        label = mapping(entry).get("label")
        if isinstance(label, str) and label not in labels:
            wrong = f"unknown label `{label}`; `labels:` has {listing(labels)}{meant(label, labels)}"
            yield Flaw(("inputs", index, "label"), wrong)
        path = mapping(entry).get("path", entry)
        if isinstance(path, str) and not path.strip():
            yield Flaw(("inputs", index), "is an empty path; name a file or a glob")


def _label_flaws(raw: dict[str, Any]) -> Iterator[Flaw]:
    aliases = sorted({*mapping(raw.get("models")), DEFAULT})
    for label, allowed in mapping(raw.get("labels")).items():
        for index, alias in _entries(allowed):
            if isinstance(alias, str) and alias not in aliases:
                yield Flaw(("labels", label, index), _unknown_alias(alias, aliases))


def _unknown_alias(alias: str, aliases: list[str]) -> str:
    return f"unknown model `{alias}`; `models:` has {listing(aliases)}{meant(alias, aliases)}"


def _model_flaws(raw: dict[str, Any]) -> Iterator[Flaw]:
    models = mapping(raw.get("models"))
    pools = {alias: _pool(model) for alias, model in models.items()}
    for alias, model in models.items():
        path: Path = ("models", alias)
        model = mapping(model)
        if model.get("use") is None:
            continue
        for key in model:
            if key != "use":
                yield Flaw((*path, key), "stands beside `use`; a pool has no settings of its own", on_key=True)
        for index, other in enumerate(pools[alias]):
            if other not in models:
                yield Flaw((*path, "use", index), _unknown_alias(other, sorted(models)))
        if circle := _circle(alias, pools):
            yield Flaw((*path, "use"), f"goes round in a circle: {' → '.join(circle)}")


def _pool(model: Json) -> tuple[str, ...]:
    return tuple(alias for _, alias in _entries(mapping(model).get("use")) if isinstance(alias, str))


def _circle(start: str, pools: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Find a way from a pool back to itself; each alias is visited once."""
    came: dict[str, str] = {}
    todo = [start]
    while todo:
        alias = todo.pop()
        for other in pools.get(alias, ()):
            if other == start:
                way = [start, alias]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return tuple(reversed(way)) if alias != start else (start, start)
            if other not in came:
                came[other] = alias
                todo.append(other)
    return ()


def _output_flaws(raw: dict[str, Any]) -> Iterator[Flaw]:
    output = raw.get("output")
    for path, name in texts(output, ("output",)) if isinstance(output, str | list) else ():
        if not PurePath(name).name.endswith(OUTPUTS) or PurePath(name).stem in {"", *OUTPUTS}:
            yield Flaw(path, f"`{name}` is no file a report can be written to; its name ends in {listing(OUTPUTS)}")


def step_flaws(plan: Json, path: Path) -> Iterator[Flaw]:
    """Find what is wrong with the steps of a raw plan that models do not see.

    An empty list, fields that only the run sets, outputs that are no JSON Schema.
    """
    steps = plan
    if isinstance(plan, dict):
        for index, agent in _entries(mapping(cast("Json", plan)).get("agents")):
            output = mapping(agent).get("output")
            if isinstance(output, dict):
                yield from schema_flaws(output, (*path, "agents", index, "output"))
        steps, path = mapping(cast("Json", plan)).get("steps"), (*path, "steps")
    if isinstance(steps, list) and not steps:
        yield Flaw(path, "is an empty list; a plan has at least one step")
    for index, step in _entries(steps):
        for key in _NOT_IN_FILES:
            if key in mapping(step):
                yield Flaw((*path, index, key), "is set by the run, not by a plan; leave it out", on_key=True)
        if isinstance(output := mapping(step).get("output"), dict):
            yield from schema_flaws(output, (*path, index, "output"))


def _entries(value: Json) -> Iterator[tuple[int, Any]]:
    if isinstance(value, list):
        yield from enumerate(cast("list[Any]", value))
