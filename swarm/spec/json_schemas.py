"""What a JSON Schema means for a value: its references and `allOf` are replaced by their content."""

from typing import Any, cast

from swarm.base.values import Json

MOST_LEVELS = 16
"""Maximum references that are followed from one place, one behind the other."""


def resolved(schema: Json, root: Json, levels: int = MOST_LEVELS) -> dict[str, Any] | None:
    """Return a schema with its references and `allOf` replaced by their content.

    None if no value fits, or if a reference leads in a circle, nowhere or outside of the document `root`.
    """
    found = dict(cast("dict[str, Any]", schema)) if isinstance(schema, dict) else {}
    while levels > 0 and schema is not False:
        levels -= 1
        if "$ref" in found:
            target = _target(str(found.pop("$ref")), root)
            if target is None:
                return None
            found = {**target, **found}
        elif isinstance(found.get("allOf"), list):
            for part in cast("list[Json]", found.pop("allOf")):
                inner = resolved(part, root, levels)
                if inner is None:
                    return None
                found = joined_schemas(found, inner)
        else:
            return found
    return None


def _target(pointer: str, root: Json) -> dict[str, Any] | None:
    """Return the schema that a reference inside the document points to."""
    place: Any = root if pointer.startswith("#") else None
    for key in pointer[1:].split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        place = cast("dict[str, Any]", place).get(name) if isinstance(place, dict) else None
    return cast("dict[str, Any]", place) if isinstance(place, dict) else None


def joined_schemas(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that requires both schemas."""
    found = {**one, **other}
    if "properties" in one and "properties" in other:
        found["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        found["required"] = [*one["required"], *other["required"]]
    return found
