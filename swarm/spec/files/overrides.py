"""Values that replace those of a task: options of the command, or arguments of the Python functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from swarm.base.errors import Problem
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.spec.files.check import BRACES
from swarm.spec.files.references import mapping
from swarm.spec.task import Limits
from swarm.spec.yaml.explain import explain, meant
from swarm.spec.yaml.notation import scalar


@dataclass(frozen=True)
class OverrideNames:
    """How messages name an override: as the user wrote it."""

    parameter: str
    """Format of a parameter's name."""
    limit: str
    """Format of a limit's name."""
    workers: str
    """Name of the limit `workers`, which has an option of its own."""

    def of_parameter(self, name: str) -> str:
        """Return the words for a parameter."""
        return self.parameter.format(clip(name))

    def of_limit(self, name: str) -> str:
        """Return the words for a limit."""
        return self.workers if name == "workers" else self.limit.format(clip(name))


COMMAND_NAMES = OverrideNames(parameter="--set {}", limit="--limit {}", workers="--workers")
"""Names of the options of the command."""
PYTHON_NAMES = OverrideNames(parameter='parameters["{}"]', limit='limits["{}"]', workers="workers")
"""Names of the arguments of `swarm.run`."""


@dataclass(frozen=True)
class Overrides:
    """Parameters and limits that replace those of a task."""

    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    limits: Mapping[str, Json] = field(default_factory=dict[str, Json])
    names: OverrideNames = COMMAND_NAMES


def override(raw: dict[str, Any], overrides: Overrides) -> tuple[dict[str, Any], list[Problem]]:
    """Return the raw task with the overrides, and the errors in these."""
    parameters, limits, names = overrides.parameters, overrides.limits, overrides.names
    overridden = dict(raw)
    in_file = mapping(raw.get("parameters"))
    known_parameters = {**in_file, **dict.fromkeys(_placeholders(raw.get("goal")))}
    problems = _unknown(parameters, known_parameters, names.of_parameter, "the task's `parameters:` has")
    for name, value in parameters.items():
        if name in known_parameters:
            given = mapping(overridden.get("parameters"))
            overridden["parameters"] = given | {name: "" if value is None else value}
    problems += _unknown(limits, Limits.model_fields, names.of_limit, "limits are")
    known = {name: value for name, value in limits.items() if name in Limits.model_fields}
    wrong = dict(_limit_problems(known, names))
    valid = {name: value for name, value in known.items() if name not in wrong}
    if valid and isinstance(raw.get("limits", {}), dict):
        overridden["limits"] = mapping(raw.get("limits")) | valid
    return overridden, [*problems, *wrong.values()]


def _placeholders(goal: Json) -> list[str]:
    """Return the parameters that a goal uses: an override may set them although the task has no default."""
    return BRACES.findall(goal) if isinstance(goal, str) else []


def _unknown(given: Iterable[str], known: Iterable[str], named: Callable[[str], str], known_are: str) -> list[Problem]:
    """Return a problem for each name that an option may not have."""
    names = sorted(known)
    return [
        Problem(f"unknown; {known_are} {listing(names)}{meant(name, names)}", key=named(name))
        for name in given
        if name not in names
    ]


def typed_values(values: Mapping[str, Json] | None) -> dict[str, Json]:
    """Convert the texts among the values of the command line, see `typed`."""
    return {name: typed(value) if isinstance(value, str) else value for name, value in (values or {}).items()}


def typed(value: str) -> Json:
    """Convert a value of the command line according to YAML 1.2: number, boolean, null, or text, quoted or not."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    try:
        found = scalar(text)
    except ValueError:
        return value
    return value if isinstance(found, str) else found


def _limit_problems(given: dict[str, Json], names: OverrideNames) -> Iterator[tuple[str, Problem]]:
    """Yield the name of each limit whose value is wrong, with the error."""
    try:
        TypeAdapter(Limits).validate_json(to_json(given), strict=True)
    except ValidationError as invalid:
        for problem in explain(invalid, given, Limits.model_json_schema):
            name = str(problem.path[0])
            yield name, Problem(problem.message, key=names.of_limit(name))
