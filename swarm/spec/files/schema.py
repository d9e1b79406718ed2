"""The JSON Schema of a task file, for editors."""

from typing import Any, cast

from swarm.base.values import Json
from swarm.spec.task import Model, Task

SCHEMA_FILE = "task.schema.json"
"""Name of the schema file that `swarm init` writes next to a task."""
_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
_SHORTHAND = {
    "type": "string",
    "minLength": 1,
    "description": "Shorthand: `provider/name`, `URL#name`, `local:PATH` or `offline`.",
}


def task_schema() -> dict[str, Json]:
    """Return the JSON Schema (2020-12) of a task file, for completion and checks in editors.

    The loader checks more.
    """
    schema = cast("dict[str, Any]", _tidied(Task.model_json_schema(by_alias=True)))
    model = schema["$defs"]["Model"]["properties"]
    for name in Model.model_fields:
        if name not in {"endpoint", "name", "key", "use", "takes", "params", "extra"}:
            model[name] = _or_reference(model[name])
    models = schema["properties"]["models"]["patternProperties"]
    for pattern, settings in models.items():
        models[pattern] = {"anyOf": [settings, dict(_SHORTHAND)]}
    for branch in schema["properties"]["plan"]["anyOf"]:
        if branch.get("type") == "array":
            branch["minItems"] = 1
    schema["anyOf"] = [{"required": ["goal"]}, {"required": ["plan"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A swarm task"}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that also accepts a reference to the environment.

    Description and default stay at the top.
    """
    about = {key: schema[key] for key in ("description", "default") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    branches = rest["anyOf"] if set(rest) == {"anyOf"} else [rest]
    return {**about, "anyOf": [*branches, dict(_REFERENCE)]}


def _tidied(value: Any, *, names: bool = False) -> Any:
    """Return a schema without the titles that pydantic makes from field names, and with only valid names allowed.

    `names` is True if the keys of `value` are names, not keywords of JSON Schema.
    """
    if isinstance(value, list):
        return [_tidied(inner) for inner in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    entries = cast("dict[str, Any]", value).items()
    if names:
        return {name: _tidied(inner) for name, inner in entries}
    tidied: dict[str, Any] = {}
    for key, inner in entries:
        if key == "description":
            tidied[key] = " ".join(inner.split())  # docstrings have line breaks
        elif key != "title":
            tidied[key] = _tidied(inner, names=key in {"properties", "$defs"})
    if "patternProperties" in tidied:
        tidied["additionalProperties"] = False
    return tidied
