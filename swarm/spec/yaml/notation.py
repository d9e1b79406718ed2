"""YAML 1.2 and JSON put together to plain values, each with its place.

Less than YAML allows: one document, no anchors and aliases, no tags, no duplicate keys, keys that are text, finite
numbers, at most 1 MB and 64 levels. A scalar is a string, int, float, bool or null by the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema), so `no` is a string and `010` is ten; `400_000` is a number too.

JSON is YAML, and is read by the standard library's own parser first: 1 MB of it takes a fraction of a second, where
the YAML parser, which is Python, takes several. Places are found only when something asks for one.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from swarm.base.text import clip
from swarm.base.values import Json

MOST_BYTES = 1_000_000
"""A task or plan that people read is a few kilobytes; beyond this a parser in Python takes many seconds."""
MOST_DEPTH = 64
"""Levels of lists and mappings. JSON Schemas in outputs take 10 to 20; a parser of 1,000 recurses too deep."""
MOST_FLAWS = 100
"""Things wrong with one text. Nobody reads on, and a megabyte can hold a hundred thousand."""
MOST_DIGITS = 18
"""Digits of a whole number: what 64 bits hold, and what every reader of JSON keeps."""

Path = tuple[str | int, ...]
"""Where a value is inside a document: keys and indices from the outside in."""

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
    """One thing a parser met: the start of a mapping or list, the end of one, or a scalar."""

    kind: str
    """`{`, `[`, `end`, or `scalar`."""
    text: str
    plain: bool
    """Of a scalar: written without quotes."""
    spot: Position
    wrong: str = ""
    """What is wrong with it, if it is something we do not read."""


@dataclass(frozen=True)
class Flaw:
    """Something wrong at a place inside a document; `strict.Document.problems` makes it a `Problem`."""

    path: Path
    message: str
    on_key: bool = False
    """Whether the key is at fault, not its value."""
    spot: Position | None = None
    """Where, if that is not where the path is (the second of two equal keys)."""


@dataclass
class Reading:
    """What came out of a text: its value, where everything in it is, and what is wrong with it."""

    value: Json = None
    places: dict[Path, Position] = field(default_factory=dict[Path, Position])
    keys: dict[Path, Position] = field(default_factory=dict[Path, Position])
    """For a value in a mapping, where its key is."""
    plain: set[Path] = field(default_factory=set[Path])
    """Text that was written without quotes."""
    flaws: list[Flaw] = field(default_factory=list[Flaw])


class Stop(Exception):  # noqa: N818 - never seen outside: `strict.parse` makes it the error that its caller wants
    """Reading cannot go on: not YAML, too deep, more items than a cap allows."""

    def __init__(self, spot: Position, message: str) -> None:
        super().__init__(message)
        self.spot = spot
        self.message = message


def scalar(text: str) -> Json:
    """Read a plain scalar by YAML 1.2: null, bool, int, float, else the text itself.

    A `ValueError` for numbers that are not finite, and whole numbers of more than 18 digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _int(text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError("a number too large; numbers are finite")
        return value
    if _INFINITE.fullmatch(text):
        raise ValueError("not a finite number; in quotes it is a text")
    return text


def _int(text: str) -> int:
    if len(text.replace("_", "").lstrip("+-0")) > MOST_DIGITS:
        raise ValueError(f"a whole number of more than {MOST_DIGITS} digits; in quotes it is a text")
    return int(text, 0 if text[:2] in {"0o", "0x"} else 10)


def quick_json(text: str, caps: Mapping[Path, int]) -> tuple[Literal["sound", "flawed", "other"], Json]:
    """Read JSON that has nothing wrong with it, fast: whether it is such, JSON with a flaw, or no JSON at all."""
    odd = False

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        nonlocal odd
        made = dict(items)
        odd = odd or len(made) != len(items)
        return made

    def strange(_: str) -> None:
        nonlocal odd
        odd = True

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=strange)
    except json.JSONDecodeError:
        return "other", None
    except (ValueError, RecursionError):  # thousands of digits; thousands of levels
        return "flawed", None
    if odd or _over(value, caps) or not _sound(value):
        return "flawed", None
    return "sound", value


def _over(value: Json, caps: Mapping[Path, int]) -> bool:
    for path, most in caps.items():
        found = at(value, path)
        if isinstance(found, list) and len(cast("list[Any]", found)) > most:
            return True
    return False


def at(value: Json, path: Path) -> Json:
    """Give what is at a path inside a value; None where there is nothing."""
    here: Any = value
    for part in path:
        there: Any = here
        if isinstance(there, dict) and part in there:
            here = cast("dict[str | int, Any]", there)[part]
        elif isinstance(part, int) and isinstance(there, list) and part < len(cast("list[Any]", there)):
            here = cast("list[Any]", there)[part]
        else:
            return None
    return here


def _sound(value: Json) -> bool:
    """Tell whether a value keeps to the depth, the digits, finite numbers and whole characters."""
    layer: list[Json] = [value]
    for depth in range(MOST_DEPTH + 1):
        inner: list[Json] = []
        for item in layer:
            if not isinstance(item, dict | list):
                if not _sound_scalar(item):
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


def _sound_scalar(item: Json) -> bool:
    if isinstance(item, str):
        return _SURROGATE.search(item) is None
    if isinstance(item, float):
        return math.isfinite(item)
    return not isinstance(item, int) or abs(item) < 10**MOST_DIGITS


def json_tokens(text: str) -> Iterator[Token]:
    """Take JSON apart. It is known to parse, or to be too deep for `json`: nothing is checked here."""
    line, start = 1, 0
    position = 0
    while (found := _JSON_TOKEN.match(text, position)) is not None:
        begin = found.start(1)
        breaks = text.count("\n", position, begin)  # a JSON string holds no line feed
        if breaks:
            line, start = line + breaks, text.rindex("\n", position, begin) + 1
        position = found.end()
        word, spot = found.group(1), Position(line, begin - start + 1)
        if word in {"{", "["}:
            yield Token(word, "", False, spot)
        elif word in {"}", "]"}:
            yield Token("end", "", False, spot)
        elif word[0] == '"':
            yield Token("scalar", json.loads(word, strict=False), False, spot)
        else:
            yield Token("scalar", word, True, spot, f"`{word}` is not JSON" if word[-1] in "Ny" else "")


def compose(tokens: Iterator[Token], caps: Mapping[Path, int], reading: Reading) -> Reading:
    """Put tokens together to a value, noting places and everything that is wrong. Raises `Stop`, having noted some."""
    first = next(tokens, None)
    if first is not None:
        reading.value = _Composer(tokens, caps, reading).value(first, ())
        for _ in tokens:  # what follows the value is for the parser to refuse
            pass
    return reading


class _Composer:
    def __init__(self, tokens: Iterator[Token], caps: Mapping[Path, int], reading: Reading) -> None:
        self._tokens = tokens
        self._caps = caps
        self._reading = reading

    def value(self, token: Token, path: Path) -> Json:
        if len(path) >= MOST_DEPTH and token.kind != "scalar":
            raise Stop(token.spot, f"nested deeper than {MOST_DEPTH} levels")
        self._reading.places.setdefault(path, token.spot)
        if token.wrong:
            self._wrong(path, token.spot, token.wrong)
        if token.kind == "{":
            return self._mapping(path)
        if token.kind == "[":
            return self._list(path)
        return self._scalar(token, path)

    def _wrong(self, path: Path, spot: Position, message: str) -> None:
        if len(self._reading.flaws) >= MOST_FLAWS:
            raise Stop(spot, f"more than {MOST_FLAWS} things are wrong; these are the first")
        self._reading.flaws.append(Flaw(path, message, spot=spot))

    def _list(self, path: Path) -> list[Json]:
        most = self._caps.get(path)
        items: list[Json] = []
        while (token := next(self._tokens)).kind != "end":
            if most is not None and len(items) >= most:
                raise Stop(token.spot, f"more than {most} items; `limits.steps` bounds the steps of a run")
            items.append(self.value(token, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Json]:
        made: dict[str, Json] = {}
        while (token := next(self._tokens)).kind != "end":
            key = self._key(token, path)
            inner = (*path, key)
            if key in made:
                line = self._reading.keys[inner].line
                self._wrong(inner, token.spot, f"the key `{clip(key)}` is there twice; it stands first in line {line}")
            else:
                self._reading.keys[inner] = token.spot
            made[key] = self.value(next(self._tokens), inner)
        return made

    def _key(self, token: Token, path: Path) -> str:
        if token.kind != "scalar":
            self._wrong(path, token.spot, "a key is a list or a mapping; keys are text")
            self.value(token, (*path, "?"))
            return "?"
        if token.wrong:
            self._wrong(path, token.spot, token.wrong)
            return token.text
        try:
            is_text = not token.plain or isinstance(scalar(token.text), str)
        except ValueError:
            is_text = False
        if not is_text:
            shown = clip(token.text) or "null"
            self._wrong((*path, token.text), token.spot, f'the key `{shown}` is not text; write it as "{shown}"')
        return self._text(token, token.text, path)

    def _scalar(self, token: Token, path: Path) -> Json:
        if not token.plain:
            return self._text(token, token.text, path)
        try:
            value = scalar(token.text)
        except ValueError as error:
            self._wrong(path, token.spot, f"`{clip(token.text)}` is {error}")
            return None
        if not isinstance(value, str):
            return value
        self._reading.plain.add(path)
        return self._text(token, value, path)

    def _text(self, token: Token, text: str, path: Path) -> str:
        if _SURROGATE.search(text) is None:
            return text
        try:  # JSON writes one character as two halves; YAML gives them back as they are
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._wrong(path, token.spot, "half of a character (a lone surrogate) is in the text; remove it")
            return _SURROGATE.sub("\ufffd", text)
