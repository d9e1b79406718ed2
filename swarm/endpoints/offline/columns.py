"""The columns of a table that a goal names, and the steps that fill them."""

import re
from collections.abc import Iterable
from typing import Any

MOST_COLUMNS = 12
"""Maximum columns: a longer list in a goal is hardly one of columns."""
MOST_WORDS = 4
"""Maximum words of a column. A longer part of a list is a clause."""
UNNAMED = ("name", "finding")
"""Columns of a table file whose columns no goal names."""

_LIST = re.compile(r"(?::|\b(?:columns?|with)\b:?)\s+(?:the\s+)?(?:columns?\s+)?([^.?!:;\n]{1,400})", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*(?:,\s*(?:and|und|et|y|e)\s|,|\s(?:and|und|et|y|e)\s|&)\s*", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|their|its|a|an)\s+", re.IGNORECASE)


def columns_of(goal: str) -> tuple[str, ...]:
    """Return the columns that a goal lists after a colon, `with` or `columns`, as names of fields; else none.

    A list has at least two parts of a few words: `A table of all libraries: name, licence and year.`
    """
    for match in _LIST.finditer(goal):
        parts = [_ARTICLE.sub("", part.strip()) for part in _BETWEEN.split(match[1])]
        fields = dict.fromkeys(filter(None, (re.sub(r"\W+", "_", part.lower()).strip("_") for part in parts)))
        if 2 <= len(fields) <= MOST_COLUMNS and all(len(part.split()) <= MOST_WORDS for part in parts):
            return tuple(fields)
    return ()


def with_rows(steps: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return steps that give rows with these columns, and a last one that joins the rows by the first column."""
    fields: dict[str, Any] = {name: {"type": ["string", "null"]} for name in columns}
    fields[columns[0]] = {"type": "string"}
    row = {"type": "object", "properties": fields, "required": list(columns), "additionalProperties": False}
    reading = [{**step, "output": row if "each" in step else {"type": "array", "items": row}} for step in steps]
    after = [str(step["id"]) for step in reading]
    return [*reading, {"id": "table", "merge": "table", "key": [columns[0]], "after": after}]
