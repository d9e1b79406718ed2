"""Validation errors of pydantic in plain words, for the person who wrote the file.

Pydantic reports an error in a union once per branch, and names Python types. Here each place gets
one problem: the value, what is allowed, and the nearest allowed name.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from swarm.base.errors import Problem
from swarm.base.redaction import looks_like_key
from swarm.base.text import clip, listing
from swarm.base.values import ID_PATTERN, Json
from swarm.spec.yaml.notation import Path, at

MOST_EXPLAINED = 300
"""Maximum errors of pydantic that are explained. Each is compared with every other, so the cost is
quadratic."""

_KINDS: Mapping[str, str] = {
    "string_type": "text",
    "path_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""Names of the types that pydantic expects, by its error type."""

_BOUNDS: Mapping[str, str] = {
    "greater_than": "more than {gt:,.10g}",
    "greater_than_equal": "at least {ge:,.10g}",
    "less_than": "less than {lt:,.10g}",
    "less_than_equal": "at most {le:,.10g}",
}


@dataclass(frozen=True)
class _Violation:
    """One error of pydantic, with its path in the value."""

    path: Path
    kind: str
    details: ErrorDetails
    in_union: bool
    """True if it concerns one branch of a union."""
    on_key: bool


def explain(error: ValidationError, value: Json, schema: Callable[[], dict[str, Any]]) -> list[Problem]:
    """Return one problem per wrong place.

    `value` is the validated value. `schema` returns its JSON Schema, which has the allowed keys.
    """
    errors = error.errors(include_url=False, include_input=False)[:MOST_EXPLAINED]
    violations = [_located(details, value) for details in errors]
    grouped: dict[tuple[Path, bool], list[_Violation]] = {}
    for violation in violations:
        if not _is_noise(violation, violations):
            grouped.setdefault((violation.path, violation.on_key), []).append(violation)
    problems: list[Problem] = []
    for (path, on_key), group in grouped.items():
        problems.append(Problem(_message(group, at(value, path), path, schema), path=path, on_key=on_key))
    return problems


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """Return the message for an unknown key: the allowed keys and the nearest one."""
    names = sorted(allowed)
    return f"unknown key; allowed here: {listing(names)}{meant(key, names)}"


def meant(word: str, allowed: Iterable[str]) -> str:
    """Return `; did you mean …?` with the nearest allowed word, as the end of a message; empty if none is near."""
    by_lower_case = {name.lower(): name for name in reversed(list(allowed))}
    near = difflib.get_close_matches(word[:200].lower(), by_lower_case, n=1, cutoff=0.6)
    return f"; did you mean `{by_lower_case[near[0]]}`?" if near else ""


def _located(details: ErrorDetails, value: Json) -> _Violation:
    """Return an error with its path: pydantic's location without the names that it gives to branches of unions."""
    location = list(details["loc"])
    kind = details["type"]
    on_key = bool(location) and location[-1] == "[key]"
    if on_key:
        location.pop()
    missing = [location.pop()] if kind == "missing" and location else []
    path: list[str | int] = []
    in_union = False
    for part in location:
        is_key = isinstance(value, dict) and part in value
        is_index = isinstance(value, list) and isinstance(part, int)
        if is_key or is_index:
            path.append(part)
            value = at(value, (part,))
        else:
            in_union = True
    return _Violation((*path, *missing), kind, details, in_union, on_key or kind == "extra_forbidden")


def _is_noise(violation: _Violation, violations: list[_Violation]) -> bool:
    """Check whether another violation makes this one superfluous.

    A list counts as too short if its items are wrong. A type error of one branch of a union says
    nothing if another branch has the right type and an error inside.
    """
    nearby = [other for other in violations if _is_within(other.path, violation.path)]
    has_inner = any(len(other.path) > len(violation.path) for other in nearby)
    if violation.kind == "too_short":
        return has_inner
    if not violation.in_union or not _is_type_error(violation):
        return False
    return has_inner or not all(_is_type_error(other) for other in nearby)


def _is_within(path: Path, outer: Path) -> bool:
    return path[: len(outer)] == outer


def _is_type_error(violation: _Violation) -> bool:
    return violation.kind in _KINDS or violation.kind == "literal_error"


def _message(group: list[_Violation], found: Json, path: Path, schema: Callable[[], dict[str, Any]]) -> str:
    first = group[0]
    match first.kind:
        case "extra_forbidden":
            return unknown_key(str(path[-1]), allowed_keys(schema(), path[:-1]))
        case "missing":
            return "is required but missing"
        case "string_pattern_mismatch" if first.details.get("ctx", {}).get("pattern") == ID_PATTERN:
            name = str(path[-1]) if first.on_key else str(found)
            return _no_code(name) if path[-1:] == ("check",) and _FUNCTION.fullmatch(name) else _bad_id(name)
        case "too_short":
            return "is an empty list; at least one item is required"
        case "string_too_short":
            return "is empty; some text is required"
        case kind if kind in _BOUNDS:
            return f"is {_shown(found)}; allowed: {_BOUNDS[kind].format(**first.details.get('ctx', {}))}"
        case kind if kind in _KINDS or kind == "literal_error":
            return _wrong_kind(group, found, path, schema)
        case _:
            return clip(first.details["msg"].removeprefix("Value error, "), 200)


def _wrong_kind(group: list[_Violation], found: Json, path: Path, schema: Callable[[], dict[str, Any]]) -> str:
    types: list[str] = []
    literals: list[str] = []
    for violation in group:
        if violation.kind == "literal_error":
            expected = violation.details.get("ctx", {}).get("expected", "")
            literals += re.findall(r"'([^']*)'", str(expected))
        elif violation.kind in _KINDS:
            types.append(_KINDS[violation.kind])
    allowed = list(dict.fromkeys([f"`{literal}`" for literal in literals] + types))
    message = f"is {_shown(found)}; allowed: {_either(allowed)}"
    if allowed == ["a mapping"]:
        keys = sorted(allowed_keys(schema(), path))
        return f"{message} with the keys {listing(keys)}" if keys else message
    if isinstance(found, int | float) and "text" in allowed:
        return f'{message}; quote it if it is text: "{_plain(found)}"'
    return message + meant(found, literals) if isinstance(found, str) else message


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _shown(value: Json) -> str:
    """Return a value as messages show it, but not a text that may be a secret."""
    match value:
        case None:
            return "empty"
        case bool():
            return f"`{_plain(value)}`"
        case int() | float():
            return f"the number {_plain(value)}"
        case str():
            return "a text" if looks_like_key(value) else f"the text `{clip(value)}`"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _plain(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:([A-Za-z_]\w*)")
"""The name of a Python function with its module."""


def _no_code(name: str) -> str:
    """Return why a `check` names no function of a module, and how a function is given."""
    function = name.rpartition(":")[2]
    return (
        f"`{clip(name)}` names Python code, which a file cannot run; write `check: {clip(function.lower())}`, and give "
        f"the function in Python: `swarm.run(…, checks={{'{clip(function.lower())}': {clip(function)}}})`"
    )


def _bad_id(name: str) -> str:
    better = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.")[:64]
    hint = f"; did you mean `{better}`?" if better else ""
    return (
        f"invalid name `{clip(name)}`; names have lower case letters, digits, `_`, `.` and `-`, begin with a letter or "
        f"digit, and have at most 64 characters{hint}"
    )


def allowed_keys(schema: dict[str, Any], path: Path) -> set[str]:
    """Return the keys that a JSON Schema allows in the mapping at a path; empty if any key is allowed."""
    here = list(_branches(schema, schema))
    for part in path:
        inner = (_inside(schema, branch, part) for branch in here)
        here = list(chain.from_iterable(inner))
    return set(chain.from_iterable(branch.get("properties", {}) for branch in here))


def _branches(schema: dict[str, Any], branch: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(branch, dict):
        return
    branch = cast("dict[str, Any]", branch)
    if "$ref" in branch:
        yield from _branches(schema, schema["$defs"][branch["$ref"].rsplit("/", 1)[1]])
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in branch.get(word, ()):
            yield from _branches(schema, inner)
    yield branch


def _inside(schema: dict[str, Any], branch: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        yield from _branches(schema, branch.get("items"))
    elif part in branch.get("properties", {}):
        yield from _branches(schema, branch["properties"][part])
    else:
        for inner in (branch.get("additionalProperties"), *branch.get("patternProperties", {}).values()):
            yield from _branches(schema, inner)
