"""Rows of tables and records of JSON as claims: `Mail: memory 3 GB; disk 20 GB`."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import cast

from swarm.base.values import Json
from swarm.texts.claims import MOST_CLAIMS, Claim, cut, flat, sampled, sentences
from swarm.texts.quantities import quantities, unit_of

LONGEST_NAME = 60
"""Maximum characters of a heading or a cell that is put before a claim."""
_NUMBERING = frozenset({"number", "year", "date", "day"})
"""Kinds of figures in the name of something."""
_DEEPEST = 12  # maximum level of JSON that is read
_SECTION = re.compile(r"\s*\[+([^\[\]]{1,60})\]+$|\s*(?:-\s+)?([\w./ -]{1,60}):$")
_MARK = re.compile(r"^\s*(?:[#;]+|-)\s*")
_UNIT = re.compile(r"[\s_]*[(\[]?(?:in\s)?([^\s_()\[\]]{1,12})[)\]]?$")


def entry(columns: Sequence[str], values: Sequence[str]) -> str:
    """Return a row as one line: `Mail: memory 3 GB; disk 20 GB`. A first cell without a quantity names its subject."""
    heads = [*columns, *[""] * max(0, len(values) - len(columns))]
    cells = [(head, value) for head, value in zip(heads, values, strict=False) if value]
    name = cells[0][1] if len(cells) > 1 and cells[0][1] == values[0] and _is_subject(values[0]) else ""
    rest = "; ".join(_cell(head, value) for head, value in (cells[1:] if name else cells))
    return f"{name}: {rest}" if name else rest


def _is_subject(cell: str) -> bool:
    """Whether the first cell of a row names what it is about: `Mail`, `Ward 4`, `March 2024`."""
    kinds = {figure.kind for figure in quantities(cell)}
    return len(cell) <= LONGEST_NAME and (not kinds or (cell[0].isalpha() and kinds <= _NUMBERING))


def _cell(head: str, value: str) -> str:
    """Return a value after the head of its column; `memory_gb` and `3` are `memory 3 GB`."""
    unit = _UNIT.search(head)
    if unit and len(head) > len(unit[0]) and value.replace(".", "").replace(",", "").isdigit() and unit_of(unit[1]):
        head, value = (
            head[: unit.start()],
            f"{value} {unit[1].upper() if unit[1] in ('kb', 'mb', 'gb', 'tb') else unit[1]}",
        )
    return flat(f"{head.replace('_', ' ')} {value}")


def table(lines: Sequence[str], delimiter: str) -> list[Claim] | None:
    """Return a claim per row of a table with a head, or None if it is too small."""
    try:
        if len(lines) > 1 and lines[0].count(delimiter) < lines[0].count(";"):
            delimiter = ";"
        rows = list(csv.reader([*lines[:1], *sampled(lines[1:], MOST_CLAIMS)], delimiter=delimiter))
    except csv.Error:
        return None
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    columns = [flat(cell) for cell in rows[0]]
    found: list[Claim] = []
    for values in rows[1:]:
        found += [Claim(piece, (), listed=True) for piece in cut(entry(columns, [flat(each) for each in values]))]
    return found


def records(text: str) -> list[Claim] | None:
    """Return a claim for each object and each leaf of JSON or of lines of JSON, or None if it is neither."""
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            return None
    return list(islice(_leaves(value, (), 0), MOST_CLAIMS))


def _leaves(value: Json, where: tuple[str, ...], depth: int) -> Iterator[Claim]:
    """Yield the claims of a JSON value: one for all leaves of an object. `where` is its path."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield from _record(cast("dict[str, Json]", value), where, depth)
    elif isinstance(value, list):
        for inner in cast("list[Json]", value):
            yield from _leaves(inner, where, depth + 1)
    else:
        yield from (Claim(sentence, where) for sentence in sentences(_leaf(value)))


def _record(value: dict[str, Json], where: tuple[str, ...], depth: int) -> Iterator[Claim]:
    """Yield a claim for all leaves of an object, then those of its other fields."""
    leaves = {key: _leaf(each) for key, each in value.items() if not isinstance(each, dict | list)}
    text = entry([_leaf(key) for key in leaves], list(leaves.values()))
    yield from (Claim(piece, where) for piece in cut(text))
    for key in (key for key in value if key not in leaves):
        yield from _leaves(value[key], (*where, _leaf(key)), depth + 1)


def settings(lines: Sequence[str]) -> list[Claim]:
    """Return the lines of settings, each below its section: `[wifi]`, or the keys that are indented less."""
    found: list[Claim] = []
    above: list[tuple[int, str]] = []
    for line in filter(str.strip, lines):
        depth = len(line) - len(line.lstrip())
        above = [(n, name) for n, name in above if n < depth]
        section = _SECTION.match(line.rstrip())
        if section:
            above = [(-1, section[1])] if section[1] else [*above, (depth, section[2])]
            continue
        text = _MARK.sub("", line).replace(" = ", ": ", 1)
        found += [Claim(piece, tuple(name for _, name in above)) for piece in cut(flat(text))]
    return found


def _leaf(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return flat(text.encode("utf-8", "replace").decode())


def is_name(line: str) -> bool:
    """Return whether a line or a cell is short and has no figure, as that of a name."""
    return len(line) <= LONGEST_NAME and not quantities(line)
