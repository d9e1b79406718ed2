"""Slips of a model against a schema that have one meaning, and the value that is meant. Pure.

A value is changed only where the schema rejects it, and only to a value that then matches. Each
change is noted.

| slip | example |
| --- | --- |
| a value written as text | `"[1, 2]"`, `"3"`, `"true"` |
| the whole answer written as text | `"{…}"` |
| the answer inside something else | `{"name": …, "arguments": {…}}`, `[{…}]`, `{"result": {…}}`, under `properties` |
| null for an optional field | `{"a": 1, "b": null}` |
| a key in another case | `{"Items": []}` |
| a bare value for the only field | `836` |
| punctuation of a word processor or another script | `｛“a”：1，“b”：2｝` |
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from swarm.base.values import Json

MOST_DEPTH = 16
"""Maximum levels of a value that are put right."""
MOST_CHARACTERS = 200_000
"""Maximum characters of a text that is read as JSON."""
_INSIDE = ("arguments", "parameters", "input", "properties")
"""Keys under which models put an answer, next to other keys."""
_WORDS: Mapping[str, Json] = {"true": True, "false": False, "yes": True, "no": False}


def coerced(value: Json, schema: Json, matches: Callable[[Json], bool]) -> Json | None:
    """Return the value that matches a schema and is meant by one that does not; None if there is none."""
    if not isinstance(schema, dict):
        return None
    known = cast("dict[str, Json]", schema)
    for candidate in _unwrapped(value, known):
        for meant in (candidate, _fixed(candidate, known, known, 0)):
            if meant is not value and matches(meant):
                return meant
    return None


def _unwrapped(value: Json, schema: dict[str, Json]) -> Iterator[Json]:
    """Yield the value, and what it may be a wrapper of."""
    yield value
    inner = _parsed(value) if isinstance(value, str) else value
    if inner is not value:
        yield inner
    if isinstance(inner, list) and len(cast("list[Json]", inner)) == 1:
        yield cast("list[Json]", inner)[0]
    if isinstance(inner, dict):
        yield from _inside(cast("dict[str, Json]", inner))
        return
    only = _only_field(schema)
    if only is not None:
        yield {only: inner}


def _inside(fields: dict[str, Json]) -> Iterator[Json]:
    """Yield the values under the keys that models put around an answer."""
    keys = [key for key in _INSIDE if key in fields]
    for key in keys or (fields if len(fields) == 1 else ()):
        inside = fields[key]
        yield _parsed(inside) if isinstance(inside, str) else inside


def _only_field(schema: dict[str, Json]) -> str | None:
    """Return the name of the only field that an object has, or must have."""
    if schema.get("type") != "object":
        return None
    required, properties = schema.get("required"), schema.get("properties")
    names = list(cast("list[str]", required)) if isinstance(required, list) else []
    names = names or (list(cast("dict[str, Json]", properties)) if isinstance(properties, dict) else [])
    return names[0] if len(names) == 1 else None


def _parsed(text: str) -> Json:
    """Return the JSON in a text, or the text."""
    if len(text) > MOST_CHARACTERS:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _fixed(value: Json, schema: Json, root: dict[str, Json], depth: int) -> Json:
    """Return a value with the slips in it put right, as far as its schema tells what is meant."""
    known = _resolved(schema, root)
    if depth > MOST_DEPTH or known is None:
        return value
    kinds = _kinds(known)
    if isinstance(value, str) and kinds and "string" not in kinds:
        value = _from_text(value, kinds)
    if isinstance(value, dict):
        return _fixed_object(cast("dict[str, Json]", value), known, root, depth)
    if isinstance(value, list):
        return [_fixed(item, known.get("items"), root, depth + 1) for item in cast("list[Json]", value)]
    return value


def _resolved(schema: Json, root: dict[str, Json]) -> dict[str, Json] | None:
    """Return a schema behind its local references, and behind a choice with null."""
    for _ in range(MOST_DEPTH):
        if not isinstance(schema, dict):
            return None
        known = cast("dict[str, Any]", schema)
        reference = known.get("$ref")
        choices: list[Any] = [each for each in known.get("anyOf") or () if each != {"type": "null"}]
        if isinstance(reference, str) and reference.startswith("#/"):
            schema = root
            for part in reference[2:].split("/"):
                schema = cast("dict[str, Json]", schema).get(part) if isinstance(schema, dict) else None
        elif len(choices) == 1:
            schema = choices[0]
        else:
            return known
    return None


def _kinds(schema: dict[str, Json]) -> set[str]:
    kind = schema.get("type")
    return {kind} if isinstance(kind, str) else set(cast("list[str]", kind or []))


def _from_text(text: str, kinds: set[str]) -> Json:
    bare = text.strip()
    if "boolean" in kinds and bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if "null" in kinds and bare.lower() in {"", "null", "none"}:
        return None
    value = _parsed(bare)
    return text if isinstance(value, str) else value


def _fixed_object(value: dict[str, Json], schema: dict[str, Json], root: dict[str, Json], depth: int) -> Json:
    properties = cast("dict[str, Json]", schema.get("properties") or {})
    required = cast("list[str]", schema.get("required") or [])
    by_case = {name.lower(): name for name in properties}
    fixed: dict[str, Json] = {}
    for key, item in value.items():
        name = key if key in properties else by_case.get(key.lower(), key)
        name = key if name in value else name
        known = _resolved(properties.get(name), root)
        optional = known is not None and name not in required and "null" not in _kinds(known)
        if item is None and optional and "anyOf" not in cast("dict[str, Json]", properties[name]):
            continue
        fixed[name] = _fixed(item, properties.get(name), root, depth + 1)
    return fixed


_QUOTES = "“”„‟＂"
_MARKS = {"｛": "{", "｝": "}", "［": "[", "］": "]", "：": ":", "，": ","}
_PLAIN = str.maketrans({**_MARKS, **dict.fromkeys(_QUOTES, '"')})
_STRING = re.compile(rf'"(?:[^"\\]|\\.)*+"|[{_QUOTES}](?:[^{_QUOTES}\\]|\\.)*+[{_QUOTES}]', re.DOTALL)


def straightened(text: str) -> str:
    """Return a text whose punctuation of JSON is plain outside of its strings. Other texts are not changed."""
    if not any(mark in text for mark in (*_QUOTES, "｛", "：")):
        return text
    parts: list[str] = []
    at = 0
    for string in _STRING.finditer(text):
        parts += [text[at : string.start()].translate(_PLAIN), f'"{string[0][1:-1]}"']
        at = string.end()
    return "".join(parts) + text[at:].translate(_PLAIN)
