"""What is wrong with a JSON value or a JSON Schema that somebody, or a model, put into a plan."""

from collections.abc import Iterator
from math import isfinite
from typing import Any, cast
from urllib.parse import unquote

from swarm.frozen import Json, canonical
from swarm.lint.findings import quoted

MOST_DEPTH = 64
"""Levels of lists and mappings, as in task files; real schemas take 10 to 20."""
LIST_OF_TEXTS: dict[str, Json] = {"type": "array", "items": {"type": "string"}}
"""The form of an answer that `each` runs over where the plan does not say: `{item}` is filled with text."""

_REFERENCES = ("$ref", "$dynamicRef")
_DATA = frozenset({"enum", "const", "default", "examples"})


def unusable(value: Json) -> str:
    """Say why a value is no JSON that can be kept: too deep, not finite, not UTF-8, not JSON at all. Else nothing."""
    rows: list[tuple[object, int]] = [(value, 1)]
    while rows:
        one, depth = rows.pop()
        if isinstance(one, str):
            if not _encodable(one):
                return f"{quoted(one)} is not valid Unicode"
        elif isinstance(one, float):
            if not isfinite(one):
                return f"{one} is not a finite number"
        elif isinstance(one, dict | list | tuple):
            if depth > MOST_DEPTH:
                return f"it is nested deeper than {MOST_DEPTH} levels"
            inner = _inside(cast("dict[Any, Any] | list[Any] | tuple[Any, ...]", one))
            rows.extend((item, depth + 1) for item in inner)
        elif one is not None and not isinstance(one, bool | int):
            return f"a {type(one).__name__} is no JSON"
    return ""


def _inside(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[object]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key if isinstance(key, str) else object()
            yield item
    else:
        yield from value


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def gives_list(schema: dict[str, Json]) -> bool | None:
    """Say whether what fits a schema is always a list, never one, or cannot be told from its top level (None)."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return kinds == "array"
    if isinstance(kinds, list):
        return None if "array" in kinds else False
    return None


class Schemas:
    """Checks JSON Schemas; one that was seen before is not checked again."""

    def __init__(self) -> None:
        self._seen: dict[bytes, str] = {}

    def wrong(self, schema: dict[str, Json]) -> str:
        """Say what makes a mapping no JSON Schema (draft 2020-12) that answers can be held against. Else nothing."""
        problem = unusable(schema)
        if problem:
            return problem
        key = canonical(schema)
        if key not in self._seen:
            self._seen[key] = _against_the_draft(schema) or _unresolved(schema)
        return self._seen[key]


def _against_the_draft(schema: dict[str, Json]) -> str:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        at = ".".join(str(part) for part in error.absolute_path)
        text = error.message if len(error.message) <= 200 else error.message[:199] + "…"
        if error.validator == "anyOf" and at.endswith("type"):
            text = f"{quoted(str(error.instance))} is no type: string, number, integer, boolean, object, array or null"
        return f"{at}: {text}" if at else text
    except (RecursionError, OverflowError, ValueError) as error:  # out of `re`, for a pattern that is too much for it
        return f"it cannot be checked: {quoted(str(error))}"
    return ""


def _unresolved(schema: dict[str, Json]) -> str:
    """Find references that lead nowhere, or elsewhere: a validator would fetch those."""
    rows: list[object] = [schema]
    while rows:
        one = rows.pop()
        if isinstance(one, list):
            rows.extend(cast("list[object]", one))
        if not isinstance(one, dict):
            continue
        here = cast("dict[str, object]", one)
        for key, value in here.items():
            if key in _REFERENCES and isinstance(value, str) and not _resolves(schema, value):
                return (
                    f"{key} {quoted(value)} leads to nothing in this schema; only #/… of the schema itself is allowed"
                )
        rows.extend(value for key, value in here.items() if key not in _DATA)
    return ""


def _resolves(schema: dict[str, Json], reference: str) -> bool:
    if not reference.startswith("#"):
        return False
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        return f'anchor":"{pointer}"'.encode() in canonical(schema)
    at: Any = schema
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and name in at:
            at = cast("dict[str, Any]", at)[name]
        elif isinstance(at, list) and name.isdecimal() and len(name) < 7 and int(name) < len(cast("list[Any]", at)):
            at = cast("list[Any]", at)[int(name)]
        else:
            return False
    return isinstance(at, dict | bool)
