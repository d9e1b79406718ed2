"""Facts of a JSON Schema that values need: its types, and two schemas joined."""

from collections.abc import Mapping
from typing import Any, cast

Schema = Mapping[str, Any]

_IMPLIED = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
}
"""The type of a schema without `type`, by a key that it has."""


def types_of(schema: Schema) -> list[str]:
    """Return the types that a schema allows, `null` last."""
    types = schema.get("type") or next((kind for key, kind in _IMPLIED.items() if key in schema), "string")
    every = [types] if isinstance(types, str) else cast("list[str]", types)
    return sorted(every, key=lambda kind: kind == "null")


def needs_figure(items: Schema) -> bool:
    """Return whether an entry of a list is a number, or an object with a number."""
    inner = [items, *cast("dict[str, Schema | bool]", items.get("properties") or {}).values()]
    return any(isinstance(each, Mapping) and each.get("type") in ("number", "integer") for each in inner)


def joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that requires both schemas."""
    found = {**one, **other}
    if "properties" in one and "properties" in other:
        found["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        found["required"] = [*one["required"], *other["required"]]
    return found
