"""What pydantic found wrong, in words for the person who wrote the file.

Pydantic reports a union once for each of its branches, by the names of Python types. Here each place gets one flaw:
what stands there, what is allowed, and the nearest allowed thing.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from swarm.base.redaction import looks_like_key
from swarm.base.text import clip, listing
from swarm.base.values import ID_PATTERN, Json
from swarm.spec.yaml.notation import Flaw, Path, at

MOST_FINDINGS = 300
"""Errors of pydantic that are looked at, a few for each problem; each is compared with every other."""

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
"""What a type error of pydantic asks for, in our words."""

_BOUNDS: Mapping[str, str] = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
}


@dataclass(frozen=True)
class _Finding:
    path: Path
    kind: str
    details: ErrorDetails
    in_union: bool
    """Whether it speaks for one branch of a union at its path."""
    on_key: bool


def explain(error: ValidationError, value: Json, schema: Callable[[], dict[str, Any]]) -> list[Flaw]:
    """Give one flaw for each place that is wrong.

    `value` is what was validated; `schema` gives its JSON Schema, from which the allowed keys are taken.
    """
    errors = error.errors(include_url=False, include_input=False)[:MOST_FINDINGS]
    findings = [_located(details, value) for details in errors]
    grouped: dict[tuple[Path, bool], list[_Finding]] = {}
    for finding in findings:
        if not _is_noise(finding, findings):
            grouped.setdefault((finding.path, finding.on_key), []).append(finding)
    made: list[Flaw] = []
    for (path, on_key), group in grouped.items():
        made.append(Flaw(path, _message(group, at(value, path), path, schema), on_key=on_key))
    return made


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """Say that a key is not known, which are, and which was meant."""
    names = sorted(allowed)
    return f"unknown key; allowed here: {listing(names)}{meant(key, names)}"


def meant(word: str, allowed: Iterable[str]) -> str:
    """Name the allowed word that is nearest, as the end of a message; empty if none is near."""
    near = difflib.get_close_matches(word[:200].lower(), {name.lower(): None for name in allowed}, n=1, cutoff=0.6)
    exact = [name for name in allowed if near and name.lower() == near[0]]
    return f"; did you mean `{exact[0]}`?" if exact else ""


def _located(details: ErrorDetails, value: Json) -> _Finding:
    """Follow pydantic's location through the value, leaving out the names it gives to branches of unions."""
    steps = list(details["loc"])
    kind = details["type"]
    on_key = bool(steps) and steps[-1] == "[key]"
    if on_key:
        steps.pop()
    absent = [steps.pop()] if kind == "missing" and steps else []
    path: list[str | int] = []
    in_union = False
    for part in steps:
        inside = isinstance(value, dict) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int)):
            path.append(part)
            value = at(value, (part,))
        else:
            in_union = True
    return _Finding((*path, *absent), kind, details, in_union, on_key or kind == "extra_forbidden")


def _is_noise(finding: _Finding, findings: list[_Finding]) -> bool:
    """Tell whether it is not worth saying.

    A branch of a union that was not meant says so, while another says what is wrong inside; a list whose items are
    wrong counts as too short.
    """
    if finding.kind == "too_short":
        return any(len(other.path) > len(finding.path) for other in findings if _within(other.path, finding.path))
    if not finding.in_union or (finding.kind not in _KINDS and finding.kind != "literal_error"):
        return False
    return any(
        _within(other.path, finding.path)
        and (len(other.path) > len(finding.path) or (other.kind not in _KINDS and other.kind != "literal_error"))
        for other in findings
    )


def _within(path: Path, outer: Path) -> bool:
    return path[: len(outer)] == outer


def _message(group: list[_Finding], found: Json, path: Path, schema: Callable[[], dict[str, Any]]) -> str:
    first = group[0]
    match first.kind:
        case "extra_forbidden":
            return unknown_key(str(path[-1]), allowed_keys(schema(), path[:-1]))
        case "missing":
            return "is required, and is not there"
        case "string_pattern_mismatch" if first.details.get("ctx", {}).get("pattern") == ID_PATTERN:
            return _bad_id(str(path[-1]) if first.on_key else str(found))
        case "too_short":
            return "is an empty list; at least one item is needed"
        case "string_too_short":
            return "is empty; some text is needed"
        case kind if kind in _BOUNDS:
            return f"is {_shown(found)}; allowed: {_BOUNDS[kind].format(**first.details.get('ctx', {}))}"
        case kind if kind in _KINDS or kind == "literal_error":
            return _wrong_kind(group, found, path, schema)
        case _:
            return clip(first.details["msg"].removeprefix("Value error, "), 200)


def _wrong_kind(group: list[_Finding], found: Json, path: Path, schema: Callable[[], dict[str, Any]]) -> str:
    words: list[str] = []
    literals: list[str] = []
    for finding in group:
        if finding.kind == "literal_error":
            literals += re.findall(r"'([^']*)'", str(finding.details.get("ctx", {}).get("expected", "")))
        elif finding.kind in _KINDS:
            words.append(_KINDS[finding.kind])
    allowed = list(dict.fromkeys([f"`{literal}`" for literal in literals] + words))
    message = f"is {_shown(found)}; allowed: {_either(allowed)}"
    if allowed == ["a mapping"]:
        keys = sorted(allowed_keys(schema(), path))
        return f"{message} with the keys {listing(keys)}" if keys else message
    if isinstance(found, int | float) and "text" in allowed:
        return f'{message}; in quotes it is text: "{_plain(found)}"'
    return message + meant(found, literals) if isinstance(found, str) else message


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _shown(value: Json) -> str:
    """Name a value in a message; never one that may be a secret."""
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


def _bad_id(name: str) -> str:
    better = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-_.")[:64]
    hint = f"; did you mean `{better}`?" if better else ""
    return (
        f"the name `{clip(name)}` cannot be used; names are lower-case letters, digits, `_`, `.` and `-`, begin with a "
        f"letter or a digit and have at most 64 characters{hint}"
    )


def allowed_keys(schema: dict[str, Any], path: Path) -> set[str]:
    """Give the keys a mapping at a path may have, by a JSON Schema; empty where any key is allowed."""
    here = list(_branches(schema, schema))
    for part in path:
        here = [inner for branch in here for inner in _inside(schema, branch, part)]
    return {key for branch in here for key in branch.get("properties", {})}


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
