"""Arguments for a tool of a server: read as JSON, and compared with its schema as far as that is certain.

The server has the last word, and may take more than its schema says, such as a number as text. Its schema is
the text of a third party: no pattern in it is run, and no reference in it is followed.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import from_json

from swarm.base.errors import ToolError
from swarm.base.text import clip, listing
from swarm.base.values import Json

_CONTAINERS = {"object": dict, "array": list}


def arguments_of(text: str) -> dict[str, Any]:
    """Return arguments that a model wrote. Raise `ToolError` if they are no object of JSON."""
    try:
        value: Json = from_json(text.strip() or "{}")
    except ValueError as error:
        raise ToolError(f"the arguments are not valid JSON: {error}", kind="arguments") from None
    if not isinstance(value, dict):
        raise ToolError("the arguments must be one JSON object", kind="arguments")
    return cast("dict[str, Any]", value)


def check_arguments(schema: Mapping[str, Any], text: str) -> None:
    """Raise `ToolError` for arguments that no server with this schema can take: one is missing, unknown, or no list."""
    values = arguments_of(text)
    known = _mapping(schema.get("properties"))
    required = schema.get("required")
    names = cast("list[Any]", required) if isinstance(required, list) else []
    missing = [name for name in names if isinstance(name, str) and name not in values]
    wrong = [f"{clip(name)}: is required" for name in missing]
    for name, value in values.items():
        if name not in known:
            if schema.get("additionalProperties") is False:
                wrong.append(f"{clip(name)}: is unknown; known: {listing(sorted(known), 20)}")
            continue
        kind = _mapping(known[name]).get("type")
        expected = _CONTAINERS.get(kind) if isinstance(kind, str) else None
        if expected is not None and not isinstance(value, expected):
            wrong.append(f"{clip(name)}: must be an {kind}")
        elif kind in ("string", "number", "integer", "boolean") and isinstance(value, dict | list):
            wrong.append(f"{clip(name)}: must be a {kind}")
    if wrong:
        raise ToolError("; ".join(wrong[:10]), kind="arguments")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
