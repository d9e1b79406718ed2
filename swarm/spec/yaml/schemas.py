"""Checks of the JSON Schemas that people and planners write, before a model is called."""

from collections.abc import Iterator
from typing import Any, cast

from swarm.base.errors import Problem
from swarm.base.text import clip, listing
from swarm.base.values import Json
from swarm.spec.yaml.explain import meant
from swarm.spec.yaml.notation import Path, at

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def schema_problems(schema: Json, path: Path = ()) -> tuple[Problem, ...]:
    """Return the errors that make a value unusable as a JSON Schema (2020-12).

    Patterns must compile. A `$ref` must point inside the schema, because nothing is fetched.
    """
    from jsonschema import Draft202012Validator
    from jsonschema import exceptions as found

    kind: Any = Draft202012Validator
    meta = kind(kind.META_SCHEMA, format_checker=kind.FORMAT_CHECKER)
    worst: Any = cast("Any", found).best_match(meta.iter_errors(schema))
    if worst is not None:
        inner: Path = tuple(worst.absolute_path)
        message = _message(at(schema, inner), inner, worst.message)
        return (Problem(f"is not a JSON Schema: {message}", path=(*path, *inner)),)
    return tuple(_references(schema, schema, path))


def _message(found: Json, path: Path, message: str) -> str:
    if path[-1:] == ("type",) and isinstance(found, str):
        return f"`{clip(found)}` is not a type; allowed: {listing(_TYPES)}{meant(found, _TYPES)}"
    return clip(message, 160)


def _references(value: Json, root: Json, path: Path) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            if key in {"$ref", "$dynamicRef"} and isinstance(inner, str):
                if error := _reference_error(inner, root):
                    yield Problem(error, path=(*path, key))
            else:
                yield from _references(inner, root, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from _references(inner, root, (*path, index))


def _reference_error(reference: str, root: Json) -> str:
    if not reference.startswith("#"):
        return "points outside the schema; only references that begin with `#/` are allowed"
    if not reference.startswith("#/"):
        return ""
    names = [name.replace("~1", "/").replace("~0", "~") for name in reference[2:].split("/")]
    parts = tuple(int(name) if name.isascii() and name.isdigit() else name for name in names)
    if at(root, tuple(names)) is None and at(root, parts) is None:
        return f"points to `{clip(reference)}`, which does not exist"
    return ""
