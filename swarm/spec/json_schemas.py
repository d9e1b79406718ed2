"""What a JSON Schema means for a value: its references and `allOf` replaced, and a check that no pattern can stall."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, cast

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from swarm.base.values import Json

MOST_LEVELS = 16
"""Maximum references that are followed from one place, one behind the other."""
PATTERN_CHARACTERS = 1000
"""Maximum characters of a pattern in a schema; longer ones are not checked."""


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


def validator_of(schema: Any) -> Any:
    """Return a validator that fetches nothing: a reference to another document is an error.

    Patterns are matched in linear time; a pattern that needs backtracking is not checked.
    """
    validators: Any = import_module("jsonschema.validators")
    referencing: Any = import_module("referencing")
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    return _tame(kind)(tamed(schema), registry=referencing.Registry())


@cache
def _tame(kind: Any) -> Any:
    """Return a validator class without patterns that could take long. To make one takes longer than most checks."""
    validators: Any = import_module("jsonschema.validators")
    return validators.extend(kind, {"pattern": _matches, "patternProperties": _nothing})


def tamed(schema: Any) -> Any:
    """Return a schema without patterns of property names: `re` would match those."""
    if isinstance(schema, list):
        return [tamed(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found = cast("dict[str, Any]", schema)
    drop = {"patternProperties"}
    if isinstance(found.get("patternProperties"), dict):
        drop |= {"additionalProperties", "unevaluatedProperties"}  # they depend on the patterns
    return {key: tamed(value) for key, value in found.items() if key not in drop}


def _nothing(*_: Any) -> Iterator[Any]:
    return iter(())


def _matches(_validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    """Check the keyword `pattern` with pydantic's engine, which is linear (Thompson 1968)."""
    if not isinstance(instance, str) or not isinstance(pattern, str):
        return
    if len(pattern) > PATTERN_CHARACTERS:
        return
    exceptions: Any = import_module("jsonschema.exceptions")
    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern)).validate_python(instance)
    except SchemaError:
        return
    except ValidationError:
        yield exceptions.ValidationError(f"{instance!r} does not match {pattern!r}")
