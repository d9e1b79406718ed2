"""Rows of a table: which fields a schema gives them, and which rows a value holds.

A row is a JSON object whose properties are the fields. A step gives rows if its output is one
object, a list of objects, or an object around one such list (`{"rows": [...]}`), as endpoints write
that enforce objects only.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, cast

from swarm.base.values import Json

Row = dict[str, Json]
"""One row, by field."""


def item_schema(schema: Json) -> dict[str, Json] | None:
    """Return the schema of the items that a value of this schema holds, or None if it is not known.

    It is that of the items of a list, of the list that is the only property of an object, or the schema itself.
    """
    if not isinstance(schema, dict):
        return None
    found = _wrapped(cast("dict[str, Any]", schema))
    if not _is_of(found, "array"):
        return found
    items = found.get("items")
    return cast("dict[str, Json]", items) if isinstance(items, dict) else None


def row_schema(schema: Json) -> dict[str, Json] | None:
    """Return the schema of the rows that a value of this schema holds, or None if it holds none."""
    found = item_schema(schema)
    return found if found is not None and (_is_of(found, "object") or "properties" in found) else None


def fields_of(schema: Json) -> tuple[str, ...]:
    """Return the fields of the rows of a schema, in its order. Empty if it names none."""
    properties = (row_schema(schema) or {}).get("properties")
    return tuple(cast("dict[str, Json]", properties)) if isinstance(properties, dict) else ()


def required_of(schema: Json) -> tuple[str, ...]:
    """Return the fields that every row of a schema must have, in its order."""
    required = (row_schema(schema) or {}).get("required")
    return tuple(map(str, cast("list[Json]", required))) if isinstance(required, list) else ()


def joined_schema(schemas: Iterable[Json]) -> dict[str, Json] | None:
    """Return the schema of a table that joins rows of these schemas: all fields, each required if one of them says so.

    None if none of them is a schema of rows.
    """
    rows = [row for row in map(row_schema, schemas) if row is not None]
    fields: dict[str, Json] = {}
    required: dict[str, None] = {}
    for row in rows:
        for name, schema in cast("dict[str, Json]", row.get("properties") or {}).items():
            fields.setdefault(name, schema)
        required |= dict.fromkeys(required_of(row))
    items: dict[str, Json] = {"type": "object", "properties": fields, "required": list(required)}
    return {"type": "array", "items": items} if rows else None


def items_of(value: Json) -> list[Json]:
    """Return the items of a list, or of the list that is the only property of an object; else the value alone.

    Null and a blank text hold none.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, Mapping):
        only = list(cast("Mapping[str, Json]", value).values())
        if len(only) == 1 and isinstance(only[0], list):
            return cast("list[Json]", only[0])
    return cast("list[Json]", value) if isinstance(value, list) else [value]


def rows_of(value: Json) -> list[Row] | None:
    """Return the rows that a value holds, or None if it holds something else."""
    rows = items_of(value)
    if all(isinstance(row, dict) for row in rows):
        return cast("list[Row]", rows)
    # One object whose only field is a list of values is a row, too.
    return [cast("Row", value)] if isinstance(value, dict) else None


def table_rows(value: Json, key: Collection[str] = ()) -> list[Row] | None:
    """Return the rows that a value holds for a table with a key, also inside of objects or lists.

    Lists of rows in a list are one list. An object without a field of the key is not a row if the
    only list of objects in it, at any depth, has rows with one.
    """
    if isinstance(value, list) and value and all(map(_is_list_of_rows, cast("list[Json]", value))):
        return list(chain.from_iterable(cast("list[list[Row]]", value)))
    rows = rows_of(value)
    if not key or rows is None or _have(rows, key):
        return rows
    found = list(chain.from_iterable(map(_lists_in, rows)))
    return found[0] if len(found) == 1 and _have(found[0], key) else rows


def _have(rows: Iterable[Row], key: Collection[str]) -> bool:
    """Return whether any row has a field of the key."""
    return any(not row.keys().isdisjoint(key) for row in rows)


def _is_list_of_rows(value: Json) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(each, dict) for each in cast("list[Json]", value))


def _lists_in(row: Row) -> Iterator[list[Row]]:
    """Yield the lists of objects in an object, at any depth of objects."""
    stack: list[Json] = [row]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(cast("Row", value).values())
        elif _is_list_of_rows(value):
            yield cast("list[Row]", value)


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(cast("dict[str, Any]", properties)) != 1:
        return schema
    only = next(iter(cast("dict[str, Any]", properties).values()))
    if isinstance(only, dict) and _is_of(cast("dict[str, Any]", only), "array"):
        inner = cast("dict[str, Any]", only).get("items")
        if isinstance(inner, dict) and _is_of(cast("dict[str, Any]", inner), "object"):
            return cast("dict[str, Any]", only)
    return schema


def _is_of(schema: Mapping[str, Any], kind: str) -> bool:
    types = schema.get("type")
    return types == kind or (isinstance(types, list) and kind in cast("list[Any]", types))
