"""YAML 1.2 and JSON composed to plain values, each with its position.

A subset of YAML: one document, no anchors, aliases or tags, no duplicate keys, text keys, finite
numbers, maximum 1 MB and 64 levels. Scalars follow the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema): `no` is a string and `010` is ten. In addition,
`400_000` is a number.

JSON is a subset of YAML. The standard library's parser reads it first: 1 MB takes a fraction of a
second, against several seconds for the YAML parser, which is written in Python. Positions in JSON
are computed when they are needed.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from swarm.base.errors import Problem
from swarm.base.text import clip
from swarm.base.values import MOST_DEPTH, Json

MOST_BYTES = 1_000_000
"""Maximum bytes of a text. Tasks and plans have a few kilobytes; above this, a parser in Python
takes many seconds."""
MOST_PROBLEMS = 100
"""Maximum errors reported for one text. A megabyte can hold a hundred thousand."""
MOST_DIGITS = 18
"""Maximum digits of a whole number: it fits 64 bits, and every JSON parser keeps it."""

Path = tuple[str | int, ...]
"""Path of a value inside a document: keys and indices, outermost first."""

_INT = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Mapping[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_JSON_TOKEN = re.compile(r'[\s,:]*("(?:[^"\\]|\\.)*"|[][{}]|[^][{}\s,:"]+)', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Position(NamedTuple):
    """A line and a column, both from 1."""

    line: int
    column: int


class Token(NamedTuple):
    """One element of a text: the start or the end of a mapping or list, or a scalar."""

    kind: str
    """`{`, `[`, `end`, or `scalar`."""
    text: str
    plain: bool
    """True for a scalar without quotes."""
    position: Position
    error: str = ""
    """Message if this element is not supported, else empty."""


@dataclass
class YamlReading:
    """Result of reading a text: the value, the positions in it, and the errors."""

    value: Json = None
    values: dict[Path, Position] = field(default_factory=dict[Path, Position])
    """Position of each value."""
    keys: dict[Path, Position] = field(default_factory=dict[Path, Position])
    """Position of the key of each value in a mapping."""
    plain: set[Path] = field(default_factory=set[Path])
    """Paths of texts without quotes."""
    problems: list[Problem] = field(default_factory=list[Problem])


class Stop(Exception):  # noqa: N818 - internal: `strict.parse` turns it into its caller's error
    """Reading cannot continue: a syntax error, too many levels, more items than a cap allows."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


def scalar(text: str) -> Json:
    """Convert a plain scalar according to YAML 1.2: null, bool, int, float, else the text itself.

    Raise ValueError if a number is not finite or a whole number has more than 18 digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError("too large for a number")
        return value
    if _INFINITE.fullmatch(text):
        raise ValueError("not a finite number; quote it if it is text")
    return text


def _int(text: str) -> int:
    if len(text.replace("_", "").lstrip("+-0")) > MOST_DIGITS:
        raise ValueError(f"a whole number with more than {MOST_DIGITS} digits; quote it if it is text")
    return int(text, 0 if text[:2] in {"0o", "0x"} else 10)


def quick_json(text: str, caps: Mapping[Path, int]) -> tuple[Literal["valid", "invalid", "other"], Json]:
    """Parse JSON with the standard library. Return the value if it is `valid`.

    `invalid` is JSON with an error that `compose` will find and place; `other` is not JSON.
    """
    refused = False

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        nonlocal refused
        value = dict(items)
        refused = refused or len(value) != len(items)
        return value

    def constant(_: str) -> None:
        nonlocal refused
        refused = True

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError:
        return "other", None
    except (ValueError, RecursionError):  # thousands of digits; thousands of levels
        return "invalid", None
    if refused or _over(value, caps) or not _is_valid(value):
        return "invalid", None
    return "valid", value


def _over(value: Json, caps: Mapping[Path, int]) -> bool:
    for path, most in caps.items():
        found = at(value, path)
        if isinstance(found, list) and len(cast("list[Any]", found)) > most:
            return True
    return False


def at(value: Json, path: Path) -> Json:
    """Return the value at a path inside a value, or None if there is none."""
    here: Any = value
    for part in path:
        outer: Any = here
        if isinstance(outer, dict) and part in outer:
            here = cast("dict[str | int, Any]", outer)[part]
        elif isinstance(part, int) and isinstance(outer, list) and part < len(cast("list[Any]", outer)):
            here = cast("list[Any]", outer)[part]
        else:
            return None
    return here


def _is_valid(value: Json) -> bool:
    """Check the depth, the number of digits, that numbers are finite, and that no text has half a character."""
    layer: list[Json] = [value]
    for depth in range(MOST_DEPTH + 1):
        inner: list[Json] = []
        for item in layer:
            if not isinstance(item, dict | list):
                if not _is_valid_scalar(item):
                    return False
            elif depth == MOST_DEPTH:
                return False
            elif isinstance(item, dict):
                inner.extend(cast("dict[str, Any]", item).keys())
                inner.extend(cast("dict[str, Any]", item).values())
            else:
                inner.extend(cast("list[Any]", item))
        layer = inner
    return True


def _is_valid_scalar(item: Json) -> bool:
    if isinstance(item, str):
        return _SURROGATE.search(item) is None
    if isinstance(item, float):
        return math.isfinite(item)
    return not isinstance(item, int) or abs(item) < 10**MOST_DIGITS


def json_tokens(text: str) -> Iterator[Token]:
    """Split JSON into tokens.

    The caller knows that it is JSON, or nested too deep for `json`: no syntax is checked.
    """
    line, start = 1, 0
    offset = 0
    while (found := _JSON_TOKEN.match(text, offset)) is not None:
        begin = found.start(1)
        breaks = text.count("\n", offset, begin)  # a JSON string contains no line feed
        if breaks:
            line, start = line + breaks, text.rindex("\n", offset, begin) + 1
        offset = found.end()
        word = found.group(1)
        here = Position(line, begin - start + 1)
        if word in {"{", "["}:
            yield Token(word, "", False, here)
        elif word in {"}", "]"}:
            yield Token("end", "", False, here)
        elif word[0] == '"':
            yield Token("scalar", json.loads(word, strict=False), False, here)
        else:
            yield Token("scalar", word, True, here, f"`{word}` is not JSON" if word[-1] in "Ny" else "")


def compose(tokens: Iterator[Token], caps: Mapping[Path, int], reading: YamlReading) -> YamlReading:
    """Compose tokens to a value.

    Add the value, its positions and its errors to `reading`, also before raising Stop.
    """
    first = next(tokens, None)
    if first is not None:
        reading.value = _Composer(tokens, caps, reading).value(first, ())
        for _ in tokens:  # the parser raises Stop if something follows the value
            pass
    return reading


class _Composer:
    """Builds a value from tokens, recursively, and keeps what it finds in a `YamlReading`."""

    def __init__(self, tokens: Iterator[Token], caps: Mapping[Path, int], reading: YamlReading) -> None:
        self._tokens = tokens
        self._caps = caps
        self._reading = reading

    def value(self, token: Token, path: Path) -> Json:
        if len(path) >= MOST_DEPTH and token.kind != "scalar":
            raise Stop(token.position, f"nested deeper than {MOST_DEPTH} levels")
        self._reading.values.setdefault(path, token.position)
        if token.error:
            self._report(path, token.position, token.error)
        if token.kind == "{":
            return self._mapping(path)
        if token.kind == "[":
            return self._list(path)
        return self._scalar(token, path)

    def _report(self, path: Path, position: Position, message: str) -> None:
        if len(self._reading.problems) >= MOST_PROBLEMS:
            raise Stop(position, f"more than {MOST_PROBLEMS} errors; these are the first")
        self._reading.problems.append(Problem(message, path=path, position=position))

    def _list(self, path: Path) -> list[Json]:
        most = self._caps.get(path)
        items: list[Json] = []
        while (token := next(self._tokens)).kind != "end":
            if most is not None and len(items) >= most:
                raise Stop(token.position, f"more than {most} items, the maximum that `limits.steps` allows")
            items.append(self.value(token, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Json]:
        value: dict[str, Json] = {}
        while (token := next(self._tokens)).kind != "end":
            key = self._key(token, path)
            inner = (*path, key)
            if key in value:
                first = self._reading.keys[inner].line
                self._report(inner, token.position, f"duplicate key `{clip(key)}`; it is already in line {first}")
            else:
                self._reading.keys[inner] = token.position
            value[key] = self.value(next(self._tokens), inner)
        return value

    def _key(self, token: Token, path: Path) -> str:
        if token.kind != "scalar":
            self._report(path, token.position, "a key must be text, not a list or a mapping")
            self.value(token, (*path, "?"))
            return "?"
        if token.error:
            self._report(path, token.position, token.error)
            return token.text
        try:
            is_text = not token.plain or isinstance(scalar(token.text), str)
        except ValueError:
            is_text = False
        if not is_text:
            shown = clip(token.text) or "null"
            self._report((*path, token.text), token.position, f'the key `{shown}` is not text; quote it: "{shown}"')
        return self._text(token, token.text, path)

    def _scalar(self, token: Token, path: Path) -> Json:
        if not token.plain:
            return self._text(token, token.text, path)
        try:
            value = scalar(token.text)
        except ValueError as error:
            self._report(path, token.position, f"`{clip(token.text)}` is {error}")
            return None
        if not isinstance(value, str):
            return value
        self._reading.plain.add(path)
        return self._text(token, value, path)

    def _text(self, token: Token, text: str, path: Path) -> str:
        if _SURROGATE.search(text) is None:
            return text
        try:  # JSON escapes one character as two surrogates; the YAML parser keeps both
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._report(path, token.position, "the text contains half a character (a lone surrogate); remove it")
            return _SURROGATE.sub("\ufffd", text)
