"""YAML taken apart to tokens, and written. The only module that imports ruamel.yaml."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from textwrap import indent
from typing import Any, cast

from swarm.base.values import Json
from swarm.spec.yaml.notation import Position, Stop, Token, scalar

_BARE = re.compile(r"[A-Za-z_./$][A-Za-z0-9_./$@+-]*(?: [A-Za-z0-9_./$@(][A-Za-z0-9_./$@+()-]*)*")
"""Text that no reader of YAML takes for anything else, if it is no word like `null` and no number."""
_OTHER_WORDS = {"y", "n", "yes", "no", "on", "off"}
"""Booleans of YAML 1.1. Text to us, and quoted for the sake of older readers."""
LONG = 50
"""Items of a list from which each is written on a line of its own, as JSON."""
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""What JSON may hold as it is and YAML may not, or takes for the end of a line."""
_INK = "!-~¡-\u200a\u2010-\u2027\u2030-\u205e\u2070-\ud7ff\U00010000-\U0010ffff"
_LINE = f"(?:[ {_INK}]*[{_INK}])?"
_BLOCK = re.compile(f"[{_INK}]{_LINE}\n(?:{_LINE}\n)*{_LINE}")
"""Lines a block holds as they are: the first begins with no space, none ends in one, and nothing needs an escape."""


def yaml_tokens(text: str) -> Iterator[Token]:
    """Take YAML apart. Stops at a syntax error and at a second document."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader: Any = YAML(typ="safe", pure=True)
    last = Position(1, 1)
    documents = 0
    try:
        for event in reader.parse(text):
            last = Position(event.start_mark.line + 1, event.start_mark.column + 1)
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise Stop(last, "a second document begins; a file holds one")
            token = _token(kind, event, last)
            if token is not None:
                yield token
    except MarkedYAMLError as error:
        marked: Any = error
        mark: Any = marked.problem_mark or marked.context_mark
        spot = last if mark is None else Position(mark.line + 1, mark.column + 1)
        raise Stop(spot, _syntax(error, text, spot)) from None
    except (YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, AssertionError) as error:
        raise Stop(*_unreadable(error, text, last)) from None


def _token(kind: str, event: Any, spot: Position) -> Token | None:
    match kind:
        case "MappingStartEvent" | "SequenceStartEvent":
            return Token("{" if kind[0] == "M" else "[", "", False, spot, _refused(event))
        case "MappingEndEvent" | "SequenceEndEvent":
            return Token("end", "", False, spot)
        case "ScalarEvent":
            return Token("scalar", event.value, not event.style, spot, _refused(event))
        case "AliasEvent":
            return Token("scalar", "", True, spot, f"`*{event.anchor}` is an alias; write the value out")
        case "DocumentStartEvent" if event.version not in (None, (1, 2)) or event.tags:
            raise Stop(spot, "a directive other than `%YAML 1.2`; leave it out")
        case _:
            return None


def _refused(event: Any) -> str:
    if event.anchor is not None:
        return f"`&{event.anchor}` is an anchor, and there are no aliases; leave it out"
    if event.tag is not None:
        return f"`{event.tag}` is a tag, and values are only text, numbers, booleans, null, lists and mappings"
    return ""


def _syntax(error: Any, text: str, spot: Position) -> str:
    problem = str(error.problem or error.context or "not YAML").split("\n", 1)[0]
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    elif error.context and error.problem:
        problem += f" ({str(error.context).split(chr(10), 1)[0]})"
    problem = problem.replace("the node content", "a value").replace("flow node", "value").replace("node", "value")
    lines = text.splitlines()
    line = lines[spot.line - 1] if spot.line <= len(lines) else ""
    if "${" in line:
        problem += '; inside { } and [ ] a reference stands in double quotes: "${NAME}"'
    return f"not YAML: {problem}"


def _unreadable(error: Exception, text: str, last: Position) -> tuple[Position, str]:
    position = getattr(error, "position", None)
    character = getattr(error, "character", None)
    if isinstance(position, int) and character is not None:
        before = text[:position]
        spot = Position(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
        code = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
        return spot, f"the character U+{code:04X} may not stand in YAML; remove it"
    return last, f"not YAML: {str(error).split(chr(10), 1)[0] or type(error).__name__}"


def write_yaml(value: Json) -> str:
    """Write a JSON value as YAML that reads back as the same value; text of several lines as a block.

    A list of more than `LONG` items, such as the steps of a large plan, is written with one item a line, as JSON, which
    YAML 1.2 is a superset of: block style costs about a millisecond an item.
    """
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return "".join(_entry(key, inner) for key, inner in entries) if _has_long(value) else _dumped(value)
    return _dumped(value)


def _has_long(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_long(inner) for inner in cast("dict[str, Any]", value).values())
    return isinstance(value, list | tuple) and len(cast("list[Any]", value)) > LONG


def _entry(key: str, value: Any) -> str:
    if not _has_long(value):
        return _dumped({key: value})
    head = _dumped({key: None}).rstrip().removesuffix("null").rstrip() + "\n"
    if isinstance(value, dict):
        return head + indent(write_yaml(value), "  ", lambda _: True)
    return head + "".join(f"  - {_flow(item)}\n" for item in cast("list[Any]", value))


def _flow(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _dumped(value: Json) -> str:
    from ruamel.yaml import YAML

    writer: Any = YAML(pure=True)
    writer.width = 1_000_000  # a folded line reads badly, and moves when a word changes
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    writer.dump(_styled(value), stream)
    return stream.getvalue().removesuffix("...\n")


def _styled(value: Any) -> Any:
    """Give each text the style it reads best in. Lists and mappings are made anew, so nothing becomes an alias."""
    if isinstance(value, str):
        return _styled_text(value, key=False)
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {_styled_text(key, key=True): _styled(inner) for key, inner in entries}
    if isinstance(value, list | tuple):
        return [_styled(inner) for inner in cast("list[Any]", value)]
    return value


def _styled_text(text: str, *, key: bool) -> str:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if _BARE.fullmatch(text) and text.lower() not in _OTHER_WORDS and scalar(text) == text:
        return text
    if not key and _BLOCK.fullmatch(text):
        return LiteralScalarString(text)
    return DoubleQuotedScalarString(text)
