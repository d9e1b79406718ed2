"""Values from answers: find the JSON in a text and check it against a schema.

All code that reads a model's text is linear in its length. The scanner never goes back. A repair
may read a fixed multiple of the text. Patterns in schemas, which models write too, are matched by
an engine that does not backtrack.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import chain, islice
from typing import Any, SupportsIndex, cast

from swarm.attempt.coercion import bare_value, coerced, straightened
from swarm.base.errors import AnswerError
from swarm.base.values import MOST_DEPTH, Json
from swarm.spec.json_schemas import validator_of

MOST_CHARACTERS = 262_144
"""Maximum characters of an answer in which JSON is looked for: 64,000 tokens and more. Checking a value of
this size against its schema takes most of a second, during which no other step continues."""
MOST_ERRORS = 10
"""Maximum number of errors in a correction: with more, models correct fewer of them."""
ERROR_CHARACTERS = 240
"""Maximum characters of one error: it may quote a value of any size."""
MOST_STARTS = 200
"""Maximum number of code fences, and of brackets, that are tried as the start of JSON in one
text. Each failure costs a scan of the text before it."""
REPAIRED_CHARACTERS = 32_768
"""Maximum characters of a text that is repaired: twice the default output cap."""
LOOKS = 5
"""Characters that a repair may read per character of its text. Broken plans need 2 to 2.5;
hostile texts need thousands."""
MOST_COERCED = 5
"""Maximum number of values in one text whose slips are put right: each costs several checks."""


@dataclass(frozen=True)
class Fit:
    """A value from an answer, or the errors in it."""

    value: Json = None
    errors: tuple[str, ...] = ()
    """What the model must change, one line each; empty if the value matches the schema."""
    repaired: bool = False
    """Whether the JSON was broken and was repaired."""
    coerced: bool = False
    """Whether a slip with one meaning was put right by the schema."""

    @property
    def ok(self) -> bool:
        """Whether the value matches the schema."""
        return not self.errors


def read_json(text: str, *, repair: bool = False) -> Fit:
    """Return the JSON value in a text. With `repair`, broken JSON may be repaired."""
    return fit(text, True, repair=repair)


def fit(text: str, schema: dict[str, Json] | bool, *, key: str | None = None, repair: bool = False) -> Fit:
    """Return the JSON value in a text that matches a schema.

    1. The first value that matches: the whole text, a code fence, anything that starts like JSON;
       after those, the first value with slips that the schema puts right.
    2. With `repair`, the longest broken piece, if it matches once it is repaired.
    3. The text itself, if the schema is that of a text and nothing in the text starts like JSON.
    4. Else the errors of the first value; if the broken piece is longer, its syntax error.

    Of an object whose only key is `key`, the value under it is taken.
    Raise `AnswerError` if the schema itself cannot be used.
    """
    if len(text) > MOST_CHARACTERS:
        return Fit(errors=(f"$: the answer has {len(text):,} characters; the maximum is {MOST_CHARACTERS:,}",))
    fitted = _fit(text, schema, key, repair=repair)
    straight = straightened(text)
    if fitted.ok or straight == text:
        return fitted
    other = _fit(straight, schema, key, repair=repair)
    return replace(other, coerced=True) if other.ok else fitted


def _fit(text: str, schema: dict[str, Json] | bool, key: str | None, *, repair: bool) -> Fit:
    found = _scan(text.strip().removeprefix("\ufeff"))
    first: Fit | None = None
    for candidate in _candidates(text.strip(), found, schema, key, repair=repair):
        if candidate.ok:
            return candidate
        first = first or candidate
    if first is None or len(found.broken) > found.size:  # 4
        return Fit(errors=(_syntax_error(found.broken),))
    return first


def _candidates(
    text: str, found: "_Found", schema: dict[str, Json] | bool, key: str | None, *, repair: bool
) -> Iterator[Fit]:
    for value in found.values:  # 1
        yield _checked(_unwrapped(value, key), schema)
    for value in found.values[:MOST_COERCED]:
        meant = coerced(value, schema, lambda candidate: _checked(candidate, schema).ok)
        if meant is not None:
            yield Fit(_checked(meant, schema).value, coerced=True)
    repaired = _repaired(found.broken) if repair and found.broken else None
    if repaired is not None:  # 2
        checked = _checked(_unwrapped(repaired, key), schema)
        if checked.ok:  # the errors of a guess would mislead
            yield Fit(checked.value, repaired=True)
    if text and not found.broken and _is_of_text(schema):  # 3
        yield _checked(text, schema)
    yield from _bare(text, schema, found)


def _bare(text: str, schema: dict[str, Json] | bool, found: "_Found") -> Iterator[Fit]:
    """Yield the value of the only field of a schema, if the text is nothing else."""
    bare = None if found.values or found.broken else bare_value(text, schema)
    if bare is None:
        return
    meant = coerced(bare, schema, lambda candidate: _checked(candidate, schema).ok)
    checked = _checked(bare if meant is None else meant, schema)
    if checked.ok:  # the errors of a guess would mislead
        yield replace(checked, coerced=True)


def _is_of_text(schema: dict[str, Json] | bool) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "string"


def _unwrapped(value: Json, key: str | None) -> Json:
    if key is None or not isinstance(value, dict):
        return value
    entries = cast("dict[str, Json]", value)
    return entries[key] if list(entries) == [key] else entries


# JSON in a text


@dataclass
class _Found:
    """The JSON values in a text, and what looks like JSON but is not."""

    values: list[Json] = field(default_factory=list[Any])
    size: int = 0
    """Characters of the first value."""
    broken: str = ""
    """The longest piece that starts like JSON and is not valid."""


_START = re.compile(r"""\{\s{0,80}(?:["'}]|\w{1,40}\s{0,8}:)|\[\s{0,80}(?:[\[{"'\d\]-]|(?:true|false|null)\b)""")
_BRACKET = re.compile(r"[\[\]{}]")


def _scan(text: str) -> _Found:
    """Find the JSON values in a text, the most likely first."""
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
    """Find everything that starts like JSON. Broken pieces are skipped whole: the scan is linear."""
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
    """Return the position after the bracket that closes the one at `start`, or the end."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def _fenced(text: str) -> Iterator[str]:
    """Yield the content of each code fence."""
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
    """A text that limits how much is read from it: a repair goes back and forth, and must end."""

    __slots__ = ("left",)
    left: int

    def __getitem__(self, key: SupportsIndex | slice, /) -> str:
        found = str.__getitem__(self, key)
        self.left -= len(found)
        if self.left < 0:
            raise _LooksSpentError
        return found


def _repaired(text: str) -> Json:
    """Return the likely value of broken JSON. None if that takes too long or the value is empty."""
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
    """Return why a value cannot be stored (too deep, or a number is not finite), or an empty text."""
    level = [value]
    for _ in range(MOST_DEPTH):
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            return "$: a number is not finite"
        level = list(chain.from_iterable(map(_inside, level)))
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
    """Return the errors of a value against a JSON Schema, for a model to act on: `$.path: message`.

    Nothing is fetched: a reference to another document is an error. Patterns are matched in
    linear time; a pattern that needs backtracking is not checked. Raise `AnswerError` of kind
    `schema` if the schema cannot be used.
    """
    exceptions: Any = import_module("jsonschema.exceptions")
    referencing: Any = import_module("referencing")
    try:
        validator = validator_of(schema)
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
        message = f"the step's `output` is not a valid JSON Schema: {_short(str(error))}"
        raise AnswerError(message, kind="schema", may_help=False) from error
    lines = tuple(f"{cause.json_path}: {_short(cause.message)}" for cause in causes)
    more = len(found) - len(lines)
    return (*lines, f"and {more} more") if more > 0 else lines


def _short(message: str) -> str:
    if len(message) <= ERROR_CHARACTERS:
        return message
    return f"{message[: ERROR_CHARACTERS // 2]} … {message[-ERROR_CHARACTERS // 2 :]}"
