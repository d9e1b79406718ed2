"""Facts of a JSON Schema that the offline endpoint needs: its types, and two schemas joined."""

from collections.abc import Mapping
from typing import Any, cast

Schema = Mapping[str, Any]

_KINDS = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
}
"""The type of a schema without `type`, by a key that it has."""


def types_of(schema: Schema) -> list[str]:
    """Return the types that a schema allows, `null` last."""
    implied = (kind for key, kind in _KINDS.items() if key in schema)
    types = schema.get("type") or next(implied, "string")
    every = [types] if isinstance(types, str) else cast("list[str]", types)
    return sorted(every, key=lambda kind: kind == "null")


def needs_figure(items: Schema) -> bool:
    """Return whether an entry of a list is a number, or an object with a number."""
    if items.get("type") in ("number", "integer"):
        return True
    properties = cast("dict[str, Any]", items.get("properties") or {})
    inner = [cast("dict[str, Any]", each) for each in properties.values() if isinstance(each, dict)]
    return any(each.get("type") in ("number", "integer") for each in inner)


def joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that requires both schemas."""
    found = {**one, **other}
    if "properties" in one and "properties" in other:
        found["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        found["required"] = [*one["required"], *other["required"]]
    return found
