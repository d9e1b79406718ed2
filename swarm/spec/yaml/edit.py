"""One entry of a YAML file written or replaced, with everything else as it is: comments, order, quotes."""

import re

from swarm.base.errors import Problem, TaskError
from swarm.base.values import Json
from swarm.spec.yaml.notation import Path, at
from swarm.spec.yaml.strict import Document, parse

_WORD = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[^\s,}\]#]+")


def with_entry(document: Document, path: Path, key: str, value: str) -> str:
    """Return the text of a document with an entry of the mapping at a path.

    `value` has letters, digits and `-` only. Raise `TaskError` if the text is too unusual to be changed.
    """
    holder: Json = at(document.value, path)
    text = ""
    if isinstance(holder, dict) and holder:
        text = _replaced(document, (*path, key), value) if key in holder else _inserted(document, path, key, value)
    if text and _value_of(text, path) == {**holder, key: value}:
        return text
    message = f"this entry cannot be written here\nhint: write it yourself: {key}: {value}"
    raise TaskError(*document.located([Problem(message, path=path)]))


def _value_of(text: str, path: Path) -> Json:
    """Return what a changed text has at a path; None if it cannot be read any more."""
    try:
        changed = parse(text, source="")
    except TaskError:
        return None
    return None if changed.problems else at(changed.value, path)


def _replaced(document: Document, path: Path, value: str) -> str:
    start = _offset(document, path, on_key=False)
    found = None if start is None else _WORD.match(document.text, start)
    if found is None:
        return ""
    return f'{document.text[: found.start()]}"{value}"{document.text[found.end() :]}'


def _inserted(document: Document, path: Path, key: str, value: str) -> str:
    """Return the text with the entry before the first one of its mapping, in the same style."""
    holder: Json = at(document.value, path)
    text = document.text
    start = _offset(document, (*path, next(iter(holder))), on_key=True)
    if start is None:
        return ""
    name = f'"{key}"' if text[start : start + 1] == '"' else key
    before = text[:start].rstrip()
    line = text.rfind("\n", 0, start) + 1
    is_flow = before.endswith(("{", ","))
    end = ", " if is_flow else f"\n{' ' * (start - line)}"
    return f'{text[:start]}{name}: "{value}"{end}{text[start:]}'


def _offset(document: Document, path: Path, *, on_key: bool) -> int | None:
    """Return where the key or the value at a path begins."""
    position = document.located([Problem("", path=path, on_key=on_key)])[0].position
    if position is None:
        return None
    line, column = position
    start = 0
    for _ in range(line - 1):
        start = document.text.find("\n", start) + 1
    return start + column - 1
