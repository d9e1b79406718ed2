"""The JSON Schema of a task file, for editors, and a task to begin with."""

from typing import Any, cast

from swarm.base.values import Json
from swarm.spec.task import Model, Task

SCHEMA_FILE = "task.schema.json"
"""What `swarm init` calls the schema that it writes beside a task."""
_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
_SHORTHAND = {"type": "string", "minLength": 1, "description": "provider/name, URL#name, local:PATH or offline"}
_STARTER = """\
# yaml-language-server: $schema={schema}
# A task for `swarm run {name}`. Without `models:` it takes the model it finds, else none: `offline` ranks sentences.

goal: >
  What does the task file that is given ask for, and which limits does it set?

# What agents may read: paths and globs relative to this file. For example notes/*.md, or docs/** for a whole folder.
inputs:
  - {name}

# Values for {{name}} in the goal and in prompts. `--set audience=managers` overrides one.
# parameters: {{audience: engineers}}

# Endpoints that speak the OpenAI protocol, by alias. A key is a reference to the environment, never the key itself.
# models:
#   default: {{endpoint: "http://127.0.0.1:8000/v1", name: qwen3-32b, calls: 8}}
#   strong:  {{endpoint: "https://api.example.com/v1", name: kimi-k2.5, key: "${{MOONSHOT_API_KEY}}"}}

# What the run may take. A limit that is reached ends the run with a report of what there is.
limits: {{workers: 8, steps: 64, tokens: 400_000, seconds: 900}}

# ask: show the plan and its price first.
approve: auto

# Files to write the report to: .md or .json. It is printed in any case.
# output: report.md
"""


def starter(name: str = "task.yaml") -> str:
    """Give a commented task that runs as it is, with no model and no other file. `name` is what it is saved as."""
    return _STARTER.format(schema=SCHEMA_FILE, name=name)


def task_schema() -> dict[str, Json]:
    """Give the JSON Schema (2020-12) of a task file. Editors complete and check by it; the loader checks more."""
    schema = cast("dict[str, Any]", _tidied(Task.model_json_schema(by_alias=True)))
    model = schema["$defs"]["Model"]["properties"]
    for name in Model.model_fields:
        if name not in {"endpoint", "name", "key", "use", "takes", "params", "extra"}:
            model[name] = _or_reference(model[name])
    for pattern, one in schema["properties"]["models"]["patternProperties"].items():
        schema["properties"]["models"]["patternProperties"][pattern] = {"anyOf": [one, dict(_SHORTHAND)]}
    for branch in schema["properties"]["plan"]["anyOf"]:
        if branch.get("type") == "array":
            branch["minItems"] = 1
    schema["anyOf"] = [{"required": ["goal"]}, {"required": ["plan"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A swarm task"}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a value be a reference to the environment too; what is said about it stays in front."""
    about = {key: schema[key] for key in ("description", "default") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [*(rest["anyOf"] if set(rest) == {"anyOf"} else [rest]), dict(_REFERENCE)]}


def _tidied(value: Any, *, names: bool = False) -> Any:
    """Leave out the titles that pydantic makes of field names, and allow no name that fits no pattern of names.

    `names` where keys are names, not words of a schema.
    """
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        made = {
            key: _tidied(inner, names=not names and key in {"properties", "$defs"})
            for key, inner in entries
            if names or key != "title" or not isinstance(inner, str)
        }
        return made if names or "patternProperties" not in made else made | {"additionalProperties": False}
    if isinstance(value, list):
        return [_tidied(inner) for inner in cast("list[Any]", value)]
    return value
