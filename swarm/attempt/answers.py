"""From what a model wrote to a value: JSON found in a text, and checked against the form it was to have.

Everything that reads a model's text is linear in its length: a scanner never goes back, a repair has a fixed number of
looks, and patterns in schemas, which models write too, are matched by an engine that does not backtrack.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from typing import Any, SupportsIndex, cast

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from swarm.base.errors import AnswerError
from swarm.base.values import MOST_DEPTH, Json

MOST_ERRORS = 10
"""Errors told at once: a model that is told more corrects fewer."""
ERROR_CHARACTERS = 240
MOST_STARTS = 200
"""Fences, and brackets, tried as the beginning of JSON in one text; a failure costs a look over the text before it."""
REPAIRED_CHARACTERS = 32_768
"""Twice what the default output cap lets a model write."""
LOOKS = 5
"""Characters a repair may look at, for each it was given. Broken plans take 2 to 2.5; hostile texts take thousands."""
PATTERN_CHARACTERS = 1000


@dataclass(frozen=True)
class Fit:
    """A value read from an answer, or why there is none."""

    value: Json = None
    errors: tuple[str, ...] = ()
    """What a model must change, a line each; empty where the value fits."""
    repaired: bool = False
    """Whether the JSON was broken and had to be guessed."""

    @property
    def ok(self) -> bool:
        """Whether there is a value that fits."""
        return not self.errors


def read_json(text: str, *, repair: bool = False) -> Fit:
    """Read the JSON value in a text, whatever stands around it. `repair` allows to guess what broken JSON means."""
    return fit(text, True, repair=repair)


def fit(text: str, schema: dict[str, Json] | bool, *, key: str | None = None, repair: bool = False) -> Fit:
    """Read the JSON value in a text and check it against a schema.

    Tried in order: the whole text, what stands in code fences, whatever begins as JSON does. The first that fits is
    taken. A value that is an object of `key` alone is what is under that key. A repaired value is taken only if it
    fits. Raises `AnswerError` where the schema itself cannot be used.
    """
    first: Fit | None = None
    found = _scan(text.strip().removeprefix("\ufeff"))
    for value in found.values:
        checked = _checked(_unwrapped(value, key), schema)
        if checked.ok:
            return checked
        first = first or checked
    if found.broken and repair:
        value = _repaired(found.broken)
        guessed = None if value is None else _checked(_unwrapped(value, key), schema)
        if guessed is not None and guessed.ok:
            return Fit(guessed.value, repaired=True)
    bare = text.strip()
    if isinstance(schema, dict) and schema.get("type") == "string" and bare and not found.broken:
        checked = _checked(bare, schema)
        first = checked if checked.ok else first or checked
    if first is None or len(found.broken) > found.size:
        return Fit(errors=(_syntax_error(found.broken),))
    return first


def _unwrapped(value: Json, key: str | None) -> Json:
    if key is None or not isinstance(value, dict):
        return value
    entries = cast("dict[str, Json]", value)
    return entries[key] if list(entries) == [key] else entries


# Finding JSON


@dataclass
class _Found:
    """What of a text is JSON, and what would like to be."""

    values: list[Json] = field(default_factory=list[Any])
    size: int = 0
    """Characters of the first value."""
    broken: str = ""
    """The longest piece that begins as JSON does and is none."""


_START = re.compile(r"""\{\s{0,80}(?:["'}]|\w{1,40}\s{0,8}:)|\[\s{0,80}(?:[\[{"'\d\]-]|(?:true|false|null)\b)""")
_BRACKET = re.compile(r"[\[\]{}]")


def _scan(text: str) -> _Found:
    """Find the JSON values in a text, the likeliest first."""
    found = _Found()
    for body in (text, *islice(_fenced(text), MOST_STARTS)):
        try:
            found.values.append(json.loads(body))
        except (ValueError, RecursionError):
            continue
        found.size = found.size or len(body)
        if body is text:
            return found
    _scan_bracketed(text, found)
    return found


def _scan_bracketed(text: str, found: _Found) -> None:
    """Find what begins as JSON does. What is broken is stepped over as a whole, never into: linear."""
    decoder = json.JSONDecoder()
    at = 0
    for _ in range(MOST_STARTS):
        start = _START.search(text, at)
        if start is None:
            return
        try:
            value, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = _end_of(text, start.start())
            if at - start.start() > len(found.broken):
                found.broken = text[start.start() : at]
        else:
            found.values.append(value)
            found.size = found.size or at - start.start()


def _end_of(text: str, start: int) -> int:
    """Find where the bracket that opens at `start` is closed, or the end of the text."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def _fenced(text: str) -> Iterator[str]:
    """Give what stands in code fences."""
    opened: str | None = None
    body: list[str] = []
    for line in text.split("\n"):
        mark = line.strip()[:3]
        if opened is None and mark in ("```", "~~~"):
            opened, body = mark, []
        elif opened is not None and mark == opened:
            yield "\n".join(body).strip()
            opened = None
        elif opened is not None:
            body.append(line)


def _syntax_error(broken: str) -> str:
    if not broken:
        return "$: there is no JSON in the answer"
    try:
        json.loads(broken)
    except json.JSONDecodeError as error:
        near = error.doc[max(0, error.pos - 20) : error.pos + 20]
        return f"$: not JSON: {error.msg} at line {error.lineno}, column {error.colno}, near {near!r}"
    except (ValueError, RecursionError):
        pass
    return "$: not JSON"


# Repair


class _LooksSpentError(Exception):
    pass


class _Metered(str):
    """A text that may be looked at only so often: the repair goes back and forth, and must end all the same."""

    __slots__ = ("left",)
    left: int

    def __getitem__(self, key: SupportsIndex | slice, /) -> str:
        found = str.__getitem__(self, key)
        self.left -= len(found)
        if self.left < 0:
            raise _LooksSpentError
        return found


def _repaired(text: str) -> Json:
    """Guess what broken JSON means; None where that would take too long, or nothing is left."""
    if len(text) > REPAIRED_CHARACTERS:
        return None
    import json_repair

    metered = _Metered(text)
    metered.left = LOOKS * len(text) + 1000
    try:
        value: Json = json_repair.loads(metered, skip_json_loads=True)
    except (_LooksSpentError, ValueError, RecursionError):
        return None
    return value or None


# Checking


def _checked(value: Json, schema: dict[str, Json] | bool) -> Fit:
    unsound = _unsound(value)
    if unsound:
        return Fit(errors=(unsound,))
    if _has_surrogate(value):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return Fit(value, () if schema is True else validate(value, schema))


def _unsound(value: Json) -> str:
    """Say why a value cannot be kept, if it cannot: it is too deep, or a number is not finite."""
    level = [value]
    for _ in range(MOST_DEPTH):
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            return "$: a number is not finite"
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return ""
    return f"$: nested deeper than {MOST_DEPTH} levels"


def _inside(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(cast("dict[str, Json]", value).values())
    return cast("list[Json]", value) if isinstance(value, list) else []


def _has_surrogate(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def validate(value: Json, schema: dict[str, Json] | bool) -> tuple[str, ...]:
    """Check a value against a JSON Schema. Gives what is wrong as lines a model can act on, `$.path: message`.

    Nothing is fetched: a reference to another document is an error. Patterns are matched in linear time; one that
    would need backtracking is not judged. Raises `AnswerError` of kind `schema` where the schema cannot be used.
    """
    validators: Any = import_module("jsonschema.validators")
    exceptions: Any = import_module("jsonschema.exceptions")
    referencing: Any = import_module("referencing")
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    rules = {"pattern": _matches, "patternProperties": _nothing}
    try:
        validator = validators.extend(kind, rules)(_tamed(schema), registry=referencing.Registry())
        found = sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path])
        causes = [exceptions.best_match([error]) or error for error in found[:MOST_ERRORS]]
    except (
        exceptions.UnknownType,
        referencing.exceptions.Unresolvable,
        RecursionError,
        TypeError,
        ValueError,
        AttributeError,
        KeyError,
    ) as error:
        message = f"the form asked for is no usable JSON Schema ({_short(str(error))}): correct the step's `output`"
        raise AnswerError(message, kind="schema", may_help=False) from error
    lines = tuple(f"{cause.json_path}: {_short(cause.message)}" for cause in causes)
    more = len(found) - len(lines)
    return (*lines, f"and {more} more") if more > 0 else lines


def _short(message: str) -> str:
    if len(message) <= ERROR_CHARACTERS:
        return message
    return f"{message[: ERROR_CHARACTERS // 2]} … {message[-ERROR_CHARACTERS // 2 :]}"


def _tamed(schema: Any) -> Any:
    """Take patterns of property names, and what depends on them, out of a schema: they would be matched by `re`."""
    if isinstance(schema, list):
        return [_tamed(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found = cast("dict[str, Any]", schema)
    drop = {"additionalProperties", "unevaluatedProperties"} if isinstance(found.get("patternProperties"), dict) else ()
    return {key: _tamed(value) for key, value in found.items() if key != "patternProperties" and key not in drop}


def _nothing(*_: Any) -> Iterator[Any]:
    return iter(())


def _matches(_validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    """Judge the keyword `pattern` with pydantic's engine, which is linear in the text (Thompson 1968)."""
    if not isinstance(instance, str) or not isinstance(pattern, str) or len(pattern) > PATTERN_CHARACTERS:
        return
    exceptions: Any = import_module("jsonschema.exceptions")
    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern)).validate_python(instance)
    except SchemaError:
        return
    except ValidationError:
        yield exceptions.ValidationError(f"{instance!r} does not match {pattern!r}")
