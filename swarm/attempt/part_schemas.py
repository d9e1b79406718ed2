"""Output formats of steps that read a part of a long text, and the values of all parts as one.

A part may not have what the whole text has: the fields of an object are optional in it, a list may
be empty, and any other value may be null. Lists are joined and objects are filled without a model.
Only fields for which parts have different values are asked of a model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from swarm.base.values import Json, canonical

_OF_WHOLE = frozenset({"required", "minProperties", "dependentRequired"})
"""Keys of an object's schema that a part need not meet."""
_OF_ALL = frozenset({"minItems", "maxItems", "contains", "minContains", "maxContains", "uniqueItems"})
"""Keys of a list's schema that a part need not meet."""
_OF_ROOT = ("$schema", "$defs", "definitions")


def part_schema(schema: dict[str, Json]) -> dict[str, Json]:
    """Return the output format of a part of a text, from that of the whole text."""
    kind = schema.get("type")
    if kind == "array":
        return {key: value for key, value in schema.items() if key not in _OF_ALL}
    if kind == "object" and isinstance(schema.get("properties"), dict):
        return _object_schema(schema)
    root = {key: schema[key] for key in _OF_ROOT if key in schema}
    inner = {key: value for key, value in schema.items() if key not in root}
    return {**root, "anyOf": [inner, {"type": "null"}]}


def _object_schema(schema: dict[str, Json]) -> dict[str, Json]:
    kept = {key: value for key, value in schema.items() if key not in _OF_WHOLE}
    properties = cast("dict[str, Any]", kept["properties"])
    return {**kept, "properties": {name: _of_part(value) for name, value in properties.items()}}


def _of_part(schema: Any) -> Json:
    """Return the format of a list that is joined from those of the parts; any other as it is."""
    found: dict[str, Any] = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    return part_schema(found) if found.get("type") == "array" else cast("Json", schema)


SHARED_ENTRIES = 128
"""Maximum entries of a list that what two parts share is expected to give: 512 bytes of short words."""


@dataclass(frozen=True)
class Filled:
    """The value of a whole text, as far as its parts agree."""

    value: Json
    open: tuple[str, ...] = ()
    """Fields of an object for which parts have different values; `VALUE` for a value that is no object."""


VALUE = ""
"""The name of a value that is not an object, in `Filled.open`."""


def filled(values: Iterable[Json]) -> Filled:
    """Return one value made of those of the parts, in their order. Null and empty values give way to any other.

    Lists are joined, and so are lists in the same field of objects.
    """
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, list) for value in given):
        return Filled(joined(cast("list[list[Json]]", given)))
    if given and all(isinstance(value, dict) for value in given):
        return _filled_object(cast("list[dict[str, Json]]", given))
    different = _different(given)
    return Filled(different[0]) if len(different) == 1 else Filled(None, (VALUE,))


def _filled_object(objects: Sequence[dict[str, Json]]) -> Filled:
    names: dict[str, None] = {}
    for each in objects:
        names |= dict.fromkeys(each)
    fields: dict[str, Json] = {}
    unclear: list[str] = []
    for name in names:
        inner = filled(each.get(name) for each in objects)
        if inner.open:
            unclear.append(name)
        else:
            fields[name] = inner.value
    return Filled(fields, tuple(unclear))


def _different(values: Sequence[Json]) -> list[Json]:
    """Return the values that are not empty, each once; an empty one if there is no other."""
    found = {canonical(value): value for value in values if value not in ("", [], {})}
    return list(found.values()) or list(values[:1])


def joined(lists: Sequence[Sequence[Json]]) -> list[Json]:
    """Return the entries of lists in order. What ends one list and begins the next one is there once.

    Neighbouring parts share a line or a record, so both may name what is in it. The fewest entries
    that can be this are taken for it: a value that repeats in the text is not lost.
    """
    entries: list[Json] = []
    for each in lists:
        most = min(len(entries), len(each), SHARED_ENTRIES)
        sizes = (size for size in range(1, most + 1) if entries[-size:] == list(each[:size]))
        entries += each[next(sizes, 0) :]
    return entries
