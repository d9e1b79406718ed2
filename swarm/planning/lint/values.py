"""Checks of JSON values and JSON Schemas in a plan."""

from collections.abc import Iterator
from math import isfinite
from typing import Any, cast

from swarm.base.text import clip
from swarm.base.values import MOST_DEPTH, Json, canonical
from swarm.planning.lint.findings import quoted
from swarm.spec.yaml.notation import Problem
from swarm.spec.yaml.schemas import schema_problems

LIST_OF_TEXTS: dict[str, Json] = {"type": "array", "items": {"type": "string"}}
"""The default output of a step that `each` runs over: `{item}` is filled with text."""


def unusable(value: Json) -> str:
    """Return why a value cannot be stored as JSON: too deep, not finite, not UTF-8; else an empty text."""
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
            return f"a {type(one).__name__} is not JSON"
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
    """Return True if all values of a schema are lists, False if none is, None if its top level is not enough."""
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return kinds == "array"
    if isinstance(kinds, list):
        return None if "array" in kinds else False
    return None


class Schemas:
    """A checker of JSON Schemas. It checks equal schemas once."""

    def __init__(self) -> None:
        self._seen: dict[bytes, Problem | None] = {}

    def problem(self, schema: dict[str, Json]) -> Problem | None:
        """Return the error that makes a mapping unusable as a JSON Schema, with its path in it, or None."""
        if reason := unusable(schema):
            return Problem(f"is not a JSON Schema: {reason}")
        key = canonical(schema)
        if key not in self._seen:
            self._seen[key] = _first_problem(schema)
        return self._seen[key]


def _first_problem(schema: dict[str, Json]) -> Problem | None:
    try:
        return next(iter(schema_problems(schema)), None)
    except (RecursionError, OverflowError, ValueError) as error:  # by `re`, for extreme patterns
        return Problem(f"cannot be used as a JSON Schema: {clip(str(error))}")
