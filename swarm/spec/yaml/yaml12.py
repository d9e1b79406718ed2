"""Tokens of YAML, and a writer of YAML. The only module that imports ruamel.yaml."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from textwrap import indent
from typing import Any, cast

from swarm.base.values import Json
from swarm.spec.yaml.notation import Position, Stop, Token, scalar

_BARE = re.compile(r"[A-Za-z_./$][A-Za-z0-9_./$@+-]*(?: [A-Za-z0-9_./$@(][A-Za-z0-9_./$@+()-]*)*")
"""Text that every YAML parser reads as text without quotes, unless it is a number or a word such as
`null`."""
_OTHER_WORDS = {"y", "n", "yes", "no", "on", "off"}
"""Booleans of YAML 1.1. They are text in YAML 1.2, and are quoted for older parsers."""
LONG = 50
"""Lists with more items are written with one item per line, as JSON: block style costs 1 ms per
item."""
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""Characters that JSON allows unescaped, but YAML forbids or reads as the end of a line."""
_INK = "!-~¡-\u200a\u2010-\u2027\u2030-\u205e\u2070-\ud7ff\U00010000-\U0010ffff"
_LINE = f"(?:[ {_INK}]*[{_INK}])?"
_BLOCK = re.compile(f"[{_INK}]{_LINE}\n(?:{_LINE}\n)*{_LINE}")
"""Text that a block can hold unchanged: no space at its start or at the end of a line, and nothing
to escape."""


def yaml_tokens(text: str) -> Iterator[Token]:
    """Split YAML into tokens. Raise Stop at a syntax error or a second document."""
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
                    raise Stop(last, "a second document begins; only one per file is allowed")
            token = _token(kind, event, last)
            if token is not None:
                yield token
    except MarkedYAMLError as error:
        marked: Any = error
        mark: Any = marked.problem_mark or marked.context_mark
        position = last if mark is None else Position(mark.line + 1, mark.column + 1)
        raise Stop(position, _syntax_message(error, text, position)) from None
    except (YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, AssertionError) as error:
        raise Stop(*_unreadable(error, text, last)) from None


def _token(kind: str, event: Any, position: Position) -> Token | None:
    match kind:
        case "MappingStartEvent" | "SequenceStartEvent":
            return Token("{" if kind[0] == "M" else "[", "", False, position, _unsupported(event))
        case "MappingEndEvent" | "SequenceEndEvent":
            return Token("end", "", False, position)
        case "ScalarEvent":
            return Token("scalar", event.value, not event.style, position, _unsupported(event))
        case "AliasEvent":
            message = f"`*{event.anchor}` is an alias, which is not supported; write the value itself"
            return Token("scalar", "", True, position, message)
        case "DocumentStartEvent" if event.version not in (None, (1, 2)) or event.tags:
            raise Stop(position, "unsupported directive; only `%YAML 1.2` is allowed")
        case _:
            return None


def _unsupported(event: Any) -> str:
    if event.anchor is not None:
        return f"`&{event.anchor}` is an anchor, which is not supported; remove it"
    if event.tag is not None:
        return f"`{event.tag}` is a tag, which is not supported; remove it"
    return ""


def _syntax_message(error: Any, text: str, position: Position) -> str:
    problem = str(error.problem or error.context or "not YAML").split("\n", 1)[0]
    if "'\\t'" in problem:
        problem = "a tab; indent with spaces"
    elif error.context and error.problem:
        problem += f" ({str(error.context).split(chr(10), 1)[0]})"
    problem = problem.replace("the node content", "a value").replace("flow node", "value").replace("node", "value")
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    if "${" in line:
        problem += '; inside { } and [ ], put a reference in double quotes: "${NAME}"'
    return f"not YAML: {problem}"


def _unreadable(error: Exception, text: str, last: Position) -> tuple[Position, str]:
    """Return the place and the message of an error that is not a syntax error, such as a forbidden character."""
    offset = getattr(error, "position", None)
    character = getattr(error, "character", None)
    if not isinstance(offset, int) or character is None:
        return last, f"not YAML: {str(error).split(chr(10), 1)[0] or type(error).__name__}"
    before = text[:offset]
    here = Position(before.count("\n") + 1, offset - before.rfind("\n"))
    code = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
    return here, f"the character U+{code:04X} is not allowed in YAML; remove it"


def write_yaml(value: Json) -> str:
    """Return a JSON value as YAML that parses to the same value. Text of several lines becomes a block.

    A list of more than `LONG` items, such as the steps of a large plan, has one item per line, as
    JSON.
    """
    if not isinstance(value, dict) or not _has_long(value):
        return _dumped(value)
    entries = cast("dict[str, Any]", value).items()
    return "".join(_entry(key, inner) for key, inner in entries)


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
    writer.width = 1_000_000  # a folded line is hard to read, and all its lines change with one word
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    writer.dump(_styled(value), stream)
    return stream.getvalue().removesuffix("...\n")


def _styled(value: Any) -> Any:
    """Return a copy with a style for each text.

    Lists and mappings are copied, so that none becomes an alias.
    """
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
