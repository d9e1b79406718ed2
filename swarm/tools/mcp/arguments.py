"""Arguments for a tool of a server: read as JSON, and compared with its schema as far as that is certain.

The server has the last word, and may take more than its schema says, such as a number as text. Its
schema is the text of a third party: no pattern in it is run, and no reference in it is followed.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import from_json

from swarm.base.errors import ToolError
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.tools.functions import MOST_ERRORS

_CONTAINERS: dict[str, type] = {"object": dict, "array": list}
_PLAIN = ("string", "number", "integer", "boolean")


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
    wrong = [f"{clip(name)}: is required" for name in names if isinstance(name, str) and name not in values]
    for name, value in values.items():
        if name in known:
            wrong += _wrong_kind(clip(name), value, _mapping(known[name]).get("type"))
        elif schema.get("additionalProperties") is False:
            wrong.append(f"{clip(name)}: is unknown; known: {listing(sorted(known), 20)}")
    if wrong:
        raise ToolError("; ".join(wrong[:MOST_ERRORS]), kind="arguments")


def _wrong_kind(name: str, value: Any, kind: Any) -> list[str]:
    """Return that a value is no list, no object, or one of these in the place of a plain value."""
    if isinstance(kind, str) and kind in _CONTAINERS:
        return [] if isinstance(value, _CONTAINERS[kind]) else [f"{name}: must be an {kind}"]
    return [f"{name}: must be a {kind}"] if kind in _PLAIN and isinstance(value, dict | list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
