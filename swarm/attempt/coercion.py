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
| a bare value for the only field | `836`, `**836**`, `n: 836` |
| one value in place of a list of one, and the other way round | `"a"` for `["a"]` |
| a number as text for another script or with marks of thousands | `８３６`, `1,836` |
| a key of a schema, a comment | `$schema`, `_note` |
| punctuation of a word processor or another script | `｛“a”：1，“b”：2｝` |
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from unicodedata import normalize

from swarm.base.values import Json
from swarm.spec.json_schemas import resolved

MOST_DEPTH = 16
"""Maximum levels of a value that are put right."""
MOST_CHARACTERS = 200_000
"""Maximum characters of a text that is read as JSON."""
MOST_WRAPPERS = 4
"""Maximum wrappers around an answer, one in the other."""
BARE_CHARACTERS = 80
"""Maximum characters of a bare value that is not JSON."""
_INSIDE = ("arguments", "parameters", "input", "properties", "function", "tool_calls")
"""Keys under which models put an answer, next to other keys."""
_WORDS: Mapping[str, Json] = {
    **dict.fromkeys(("true", "yes", "oui", "sí", "si", "ja", "да", "是", "はい", "예", "对", "真"), True),
    **dict.fromkeys(("false", "no", "non", "nein", "нет", "否", "いいえ", "아니요", "错", "假"), False),
}
_NOTHING = frozenset({"", "null", "none", "nil", "n/a", "-"})
"""Texts for no value."""
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_MARKS_AROUND = " \t`*_\"'“”."


def coerced(value: Json, schema: Json, matches: Callable[[Json], bool]) -> Json | None:
    """Return the value that matches a schema and is meant by one that does not; None if there is none."""
    if not isinstance(schema, dict):
        return None
    known = cast("dict[str, Json]", schema)
    for candidate in _unwrapped(value, known, 0):
        for meant in (candidate, _fixed(candidate, known, known, 0)):
            if meant is not value and matches(meant):
                return meant
    return None


def bare_value(text: str, schema: Json) -> dict[str, Json] | None:
    """Return the value of the only field of a schema, if a text is nothing else, or None.

    Any prose is a text, so a field for any text has no such value.
    """
    known = cast("dict[str, Json]", schema) if isinstance(schema, dict) else {}
    only, properties, line = _only_field(known), known.get("properties"), text.strip()
    is_short = 0 < len(line) <= BARE_CHARACTERS and "\n" not in line
    if only is None or not isinstance(properties, dict) or not is_short:
        return None
    field = _meant(cast("dict[str, Json]", properties).get(only), known) or {}
    if "string" in _kinds(field) and not field.keys() & {"enum", "const", "pattern"}:
        return None
    named = re.match(rf"\W{{0,8}}{re.escape(only)}\W{{0,8}}[:=：]\s{{0,8}}", line, re.IGNORECASE)
    boxed = re.fullmatch(r"\$?\\boxed\{([^{}]*)\}\$?", line)
    if boxed is not None:
        return {only: boxed[1]}
    return {only: (line if named is None else line[named.end() :]).strip(_MARKS_AROUND)}


def _unwrapped(value: Json, schema: dict[str, Json], depth: int) -> Iterator[Json]:
    """Yield the value, and what it may be a wrapper of."""
    yield value
    inner = _parsed(value) if isinstance(value, str) else value
    if inner is not value:
        yield inner
    for inside in _inside(inner) if depth < MOST_WRAPPERS else ():
        yield from _unwrapped(inside, schema, depth + 1)
    if isinstance(inner, dict):
        return
    only = _only_field(schema)
    if only is not None and depth <= 1:
        yield {only: inner}


def _inside(value: Any) -> Iterator[Json]:
    """Yield the values under the keys that models put around an answer, or in a list of one."""
    if isinstance(value, list):
        several = cast("list[Json]", value)
        yield from several if len(several) == 1 else ()
    elif isinstance(value, dict):
        yield from _under_keys(cast("dict[str, Json]", value))


def _under_keys(fields: dict[str, Json]) -> Iterator[Json]:
    keys = [key for key in _INSIDE if key in fields]
    objects = [key for key, inside in fields.items() if isinstance(inside, dict)]
    alone = [each[0] for each in (list(fields), objects) if len(each) == 1]
    for key in keys or alone[:1]:
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
    known = _meant(schema, root)
    if depth > MOST_DEPTH or known is None:
        return value
    kinds = _kinds(known)
    value = _of_a_kind(value, kinds) if kinds else value
    if isinstance(value, dict):
        return _fixed_object(cast("dict[str, Json]", value), known, root, depth)
    if isinstance(value, list):
        return [_fixed(item, known.get("items"), root, depth + 1) for item in cast("list[Json]", value)]
    return value


def _meant(schema: Json, root: dict[str, Json]) -> dict[str, Json] | None:
    """Return a schema behind its local references, and behind a choice with null."""
    for _ in range(MOST_DEPTH):
        known = resolved(schema, root) if isinstance(schema, dict) else None
        choices = [each for each in known.get("anyOf") or () if each != {"type": "null"}] if known else []
        if len(choices) != 1:
            return known
        schema = choices[0]
    return None


def _kinds(schema: dict[str, Json]) -> set[str]:
    kind = schema.get("type")
    return {kind} if isinstance(kind, str) else set(cast("list[str]", kind or []))


def _of_a_kind(value: Any, kinds: set[str]) -> Json:
    """Return a value of one of the kinds that a schema allows, if another can only mean that."""
    if isinstance(value, str):
        return _from_text(value, kinds) if "string" not in kinds else value
    if isinstance(value, int | float):
        return _from_number(value, kinds)
    kind, inside = "array", cast("list[Json]", value)
    if not isinstance(value, list):
        kind, inside = "object", list(cast("dict[str, Json]", value or {}).values())
    if kind not in kinds and len(inside) == 1:
        return _of_a_kind(inside[0], kinds)
    return cast("Json", value)


def _from_number(value: float, kinds: set[str]) -> Json:
    if kinds == {"string"}:
        return json.dumps(value)
    return bool(value) if kinds == {"boolean"} and value in (0, 1) else value


def _from_text(text: str, kinds: set[str]) -> Json:
    bare = normalize("NFKC", text).strip()
    if "boolean" in kinds and bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if "null" in kinds and bare.lower() in _NOTHING:
        return None
    if "integer" in kinds and _THOUSANDS.fullmatch(bare):
        return int(bare.replace(",", ""))
    if kinds == {"array"} and bare and not re.search(r"[,;\n\[{]", bare):
        return [text]
    value = _parsed(bare)
    return text if isinstance(value, str) else value


def _fixed_object(value: dict[str, Json], schema: dict[str, Json], root: dict[str, Json], depth: int) -> Json:
    properties = cast("dict[str, Json]", schema.get("properties") or {})
    required = cast("list[str]", schema.get("required") or [])
    is_closed = schema.get("additionalProperties") is False
    by_case = {_plain_name(name): name for name in properties}
    fixed: dict[str, Json] = {}
    for key, item in value.items():
        name = key if key in properties else by_case.get(_plain_name(key), key)
        name = key if name in value else name
        is_ours = is_closed and key[:1] in {"$", "_", "@"} and name not in properties
        is_none = name not in required and _is_left_out(item, properties.get(name), root)
        if not is_ours and not is_none:
            fixed[name] = _fixed(item, properties.get(name), root, depth + 1)
    return fixed


def _plain_name(name: str) -> str:
    """Return a name without case, blanks and marks: `firstName` and `first_name` are one."""
    return re.sub(r"[\W_]+", "", name).casefold()


def _is_left_out(item: Json, schema: Json, root: dict[str, Json]) -> bool:
    """Return whether the value of an optional field means that there is none."""
    known = _meant(schema, root)
    if known is None or "null" in _kinds(known) or "anyOf" in cast("dict[str, Json]", schema):
        return False
    is_word = isinstance(item, str) and bool(_kinds(known)) and "string" not in _kinds(known)
    return item is None or (is_word and str(item).strip().lower() in _NOTHING)


_QUOTES = "“”„‟＂"
_MARKS = {"｛": "{", "｝": "}", "［": "[", "］": "]", "：": ":", "，": ","}
_DIGITS = {chr(0xFF10 + n): str(n) for n in range(10)}
_PLAIN = str.maketrans({**_MARKS, **_DIGITS, **dict.fromkeys(_QUOTES, '"')})
_STRING = re.compile(rf'"(?:[^"\\]|\\.)*+"|[{_QUOTES}](?:[^{_QUOTES}\\]|\\.)*+[{_QUOTES}]', re.DOTALL)


def straightened(text: str) -> str:
    """Return a text whose punctuation of JSON is plain outside of its strings. Other texts are not changed."""
    if not any(mark in text for mark in (*_QUOTES, "｛", "：", *_DIGITS)):
        return text
    parts: list[str] = []
    at = 0
    for string in _STRING.finditer(text):
        parts += [text[at : string.start()].translate(_PLAIN), f'"{string[0][1:-1]}"']
        at = string.end()
    return "".join(parts) + text[at:].translate(_PLAIN)
