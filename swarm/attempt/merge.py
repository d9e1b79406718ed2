"""Merging without a model: the outputs of steps become one table, one list, counts or one text.

It is pure and deterministic, and costs O(n log n) at most for n cells. Nothing is dropped in
silence: a cell with two values keeps both with the steps behind each (`Conflict`), an empty
required cell is named (`Gap`), and so is an output that cannot be merged (`Merged.unread`).

How values are compared, for keys, conflicts and duplicates (`normal`):

- Texts: Unicode NFKC and case folding; any run of whitespace is one space; typographic quotes, apostrophes and dashes
  equal the plain ones; zero-width characters do not count.
- Numbers: by value (`1000`, `1000.0`). A text that is a number equals it, with commas or spaces
  between groups of three digits, too: `"1,000"` equals `1000`. A text's leading zeros and decimals
  count as written, so that `"007"` is not `7` and version `"1.10"` is not `"1.1"`.
- A number with a unit equals the same without the space between them. Dates are equal if they are
  the same day: `2024-03-01`, `1 March 2024`. `01/03/2024` may be two days, so it equals itself.
- Lists and objects: by their parts. Booleans equal themselves only.

A cell is empty if it is null, blank, or says that nothing is known (`EMPTY`). Such a word gives way
to any value.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, cast

from swarm.attempt.types import Attempt
from swarm.base.values import Json
from swarm.spec.plan import MergeKind
from swarm.spec.rows import Row, fields_of, items_of, required_of, table_rows

EMPTY = frozenset({"", "-", "?", "n/a", "null", "unknown"})
"""Texts of cells, in normal form, that give way to any other value and leave a gap if the cell is required."""

VALUE = "value"
"""Column of values that have no field: those of a list, and those that are counted."""

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff"),
    }
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|-?[1-9][0-9]{0,2}(?:[, ][0-9]{3})+(?:\.[0-9]+)?")
_MEASURE = re.compile(rf"({_NUMBER.pattern}) ?([^\W\d_]{{1,8}}(?:/[^\W\d_]{{1,8}})?|[%°€$£¥])")
"""A number with its unit."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATES = (
    re.compile(r"(?P<y>[0-9]{4})([-/.])(?P<m>[0-9]{1,2})\2(?P<d>[0-9]{1,2})(?:[t ]00:00(?::00)?(?:\.0+)?z?)?"),
    re.compile(rf"(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<m>{_MONTH}),? (?P<y>[0-9]{{4}})"),
    re.compile(rf"(?P<m>{_MONTH}) (?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<y>[0-9]{{4}})"),
)
"""Dates that can be read in one way only: a date of figures that begins with the day may begin with the month."""


@dataclass(frozen=True)
class Leaf:
    """The output of one step that is merged."""

    step: str
    output: Json
    title: str = ""
    """Heading of its text. Empty: the id of the step."""


@dataclass(frozen=True)
class CellValue:
    """A value that some steps gave for a cell."""

    value: Json
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Conflict:
    """A cell for which steps gave different values. The first value is in the row."""

    row: int
    """Index of the row, from 0."""
    key: Row
    """Values of the key of that row; empty for a table without a key."""
    field: str
    values: tuple[CellValue, ...]


@dataclass(frozen=True)
class Gap:
    """A required cell that is empty."""

    row: int
    """Index of the row, from 0."""
    key: Row
    field: str


@dataclass(frozen=True)
class Merged:
    """Outputs merged without a model."""

    kind: MergeKind
    value: Json
    """`table`: a list of rows that all have the same fields; an empty cell is null or as it was written. `list`: a list
    of items. `count`: a list of rows, the most frequent first, each with its value and `count`. `text`: one text."""
    sources: tuple[tuple[str, ...], ...]
    """For each row, item, count or section: the steps that gave it, in plan order."""
    fields: tuple[str, ...] = ()
    """Columns of a table or of counts, in order."""
    conflicts: tuple[Conflict, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unread: tuple[str, ...] = ()
    """Steps whose output is not a row or a list of rows: nothing of it is in the table."""


def merged(kind: MergeKind, leaves: Iterable[Leaf], *, key: Sequence[str] = (), schema: Json = None) -> Merged:
    """Merge outputs in plan order.

    `key` names the fields that make two rows one row (`table`) or one value (`count`). `schema` is that of the merged
    value: it gives the order of the fields, and which are required. `list` and `text` use neither.
    """
    if kind == "table":
        return merge_table(leaves, key=key, schema=schema)
    if kind == "list":
        return merge_list(leaves)
    return merge_counts(leaves, key=key) if kind == "count" else merge_text(leaves)


def merged_of(attempt: Attempt) -> Merged:
    """Return what a step with `merge` makes of the outputs that it was given."""
    step = attempt.step
    if step.merge is None:
        raise ValueError(f"step {step.id} has no `merge`")
    leaves = [Leaf(each.step, each.output, each.about) for each in attempt.given]
    return merged(step.merge, leaves, key=step.key or (), schema=step.output)


def notes_of(merged: Merged) -> dict[str, Json]:
    """Return the conflicts and the empty cells of a table as JSON, each with the key of its row; no empty lists."""
    conflicts = [
        {"key": each.key, "field": each.field, "values": [asdict(value) for value in each.values]}
        for each in merged.conflicts
    ]
    gaps = [{"key": each.key, "field": each.field} for each in merged.gaps]
    return {name: found for name, found in (("conflicts", conflicts), ("gaps", gaps)) if found}


def merge_table(leaves: Iterable[Leaf], *, key: Sequence[str] = (), schema: Json = None) -> Merged:
    """Return the rows of all outputs, with rows of equal keys merged, in the order of their first appearance.

    Without a key, equal rows are one. With one, a row with an empty key cell is merged with rows equal to it only. A
    row without any value is left out. Of several values for a cell, the row has the one that most steps gave; of
    these, the first.
    """
    fields = dict.fromkeys((*(fields_of(schema) or key), *key, *required_of(schema)))
    required = dict.fromkeys((*key, *required_of(schema)))
    groups, unread = _grouped_rows(leaves, key, fields)
    table: list[Row] = []
    conflicts: list[Conflict] = []
    gaps: list[Gap] = []
    for number, members in enumerate(groups):
        values = {field: _values(field, members) for field in fields}
        row = {field: found[0].value if found else None for field, found in values.items()}
        named = {field: row[field] for field in key}
        conflicts += _conflicts(number, named, values)
        gaps += _gaps(number, named, row, required)
        table.append(row)
    sources = tuple(_steps(step for step, _ in members) for members in groups)
    return Merged("table", table, sources, tuple(fields), tuple(conflicts), tuple(gaps), tuple(unread))


def _grouped_rows(
    leaves: Iterable[Leaf], key: Sequence[str], fields: dict[str, None]
) -> tuple[list[list[tuple[str, Row]]], list[str]]:
    """Return the rows by identity, each with its step, and the steps without rows. Add what fields the rows have."""
    groups: dict[Hashable, list[tuple[str, Row]]] = {}
    unread: list[str] = []
    named = {_folded(field): field for field in reversed(fields)}
    for leaf in leaves:
        rows = table_rows(leaf.output, key)
        if rows is None:
            unread.append(leaf.step)
        for written in rows or ():
            row = _renamed(written, fields, named)
            fields.update(dict.fromkeys(row))
            if any(not is_empty(cell) for cell in row.values()):
                groups.setdefault(_identity(row, key), []).append((leaf.step, row))
    return list(groups.values()), unread


def _renamed(row: Row, fields: dict[str, None], named: dict[str, str]) -> Row:
    """Return a row with the names of fields before it, if its own differ in case, blanks, `_` and `-`."""
    if row.keys() <= fields.keys():
        return row
    found: Row = {}
    for field, cell in row.items():
        known = named.setdefault(_folded(field), field)
        is_taken = field in fields or known in row or known in found
        found[field if is_taken else known] = cell
    return found


def _folded(field: str) -> str:
    return _BETWEEN_WORDS.sub("_", unicodedata.normalize("NFKC", field).strip().casefold())


_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def _conflicts(number: int, named: Row, values: dict[str, tuple[CellValue, ...]]) -> list[Conflict]:
    return [Conflict(number, named, field, found) for field, found in values.items() if len(found) > 1]


def _gaps(number: int, named: Row, row: Row, required: Iterable[str]) -> list[Gap]:
    return [Gap(number, named, field) for field in required if is_empty(row[field])]


def merge_list(leaves: Iterable[Leaf]) -> Merged:
    """Return the items of all outputs without duplicates, in the order of their first appearance."""
    found = _grouped(leaves, normal)
    items = [members[0][1] for members in found]
    return Merged("list", items, tuple(_steps(step for step, _ in members) for members in found))


def merge_counts(leaves: Iterable[Leaf], *, key: Sequence[str] = ()) -> Merged:
    """Count the items of all outputs by value, or by the values of the fields in `key`.

    The most frequent come first; of equally frequent ones, the first seen.
    """

    def identity(item: Json) -> Hashable:
        return tuple(normal(_cell(item, field)) for field in key) if key else normal(item)

    found = sorted(_grouped(leaves, identity), key=len, reverse=True)
    fields = (*key, "count") if key else (VALUE, "count")
    counts: list[Row] = []
    for members in found:
        item = members[0][1]
        named = {field: _cell(item, field) for field in key} if key else {VALUE: item}
        counts.append({**named, "count": len(members)})
    return Merged("count", counts, tuple(_steps(step for step, _ in members) for members in found), fields)


def merge_text(leaves: Iterable[Leaf]) -> Merged:
    """Return the texts in plan order, each under a heading that cites its step. A blank one is left out."""
    sections: list[str] = []
    sources: list[tuple[str, ...]] = []
    for leaf in leaves:
        text = leaf.output if isinstance(leaf.output, str) else _as_text(leaf.output)
        if text.strip():
            title = " ".join(leaf.title.split())
            heading = f"{title} [{leaf.step}]" if title else f"[{leaf.step}]"
            sections.append(f"## {heading}\n\n{text.strip()}")
            sources.append((leaf.step,))
    return Merged("text", "\n\n".join(sections), tuple(sources))


def is_empty(cell: Json) -> bool:
    """Whether a cell is empty: null, blank, an empty list or object, or a word of `EMPTY`."""
    if isinstance(cell, str):
        if len(cell) > _LONGEST_EMPTY:
            return not cell.strip()
        return (cell.strip().lower() if cell.isascii() else normal(cell)) in EMPTY
    return cell is None or cell in ([], {})


_LONGEST_EMPTY = 20
"""Maximum characters of a text that may be a word of `EMPTY` with blanks: longer texts are not normalised for it."""


def normal(value: Json) -> Hashable:
    """Return the form of a value in which it is compared: equal forms are equal values. See the module."""
    if isinstance(value, str):
        text = value if value.isascii() else unicodedata.normalize("NFKC", value).translate(_PLAIN)
        text = " ".join(text.casefold().split())
        text = text if text.isascii() else unicodedata.normalize("NFKC", text)
        return _figure(text)
    if value is None or isinstance(value, bool):
        return ("is", value)
    if isinstance(value, int | float):
        return ("number", _digits(value))
    if isinstance(value, dict):
        parts = cast("dict[str, Json]", value)
        return ("object", tuple((name, normal(parts[name])) for name in sorted(parts)))
    return ("list", tuple(normal(each) for each in cast("list[Json]", value)))


_DIGIT = re.compile(r"[0-9]")
_LONGEST_FIGURE = 40
"""Maximum characters of a text that may be a number, a measure or a date."""


def _figure(text: str) -> Hashable:
    """Return the form of a text that may be a number, a number with a unit, or a date; else the text."""
    if len(text) > _LONGEST_FIGURE or _DIGIT.search(text) is None:
        return text
    if _NUMBER.fullmatch(text):
        return ("number", _ungrouped(text))
    if (measure := _MEASURE.fullmatch(text)) is not None:
        return ("measure", _ungrouped(measure[1]), measure[2])
    for pattern in _DATES:
        if (date := pattern.fullmatch(text)) is not None:
            month = date["m"]
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
            return ("date", int(date["y"]), number, int(date["d"]))
    return text


def _ungrouped(number: str) -> str:
    return number.replace(",", "").replace(" ", "")


def _digits(value: float) -> str:
    digits = str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits


def _identity(row: Row, key: Sequence[str]) -> Hashable:
    if key and not any(is_empty(row.get(field)) for field in key):
        return tuple(normal(row[field]) for field in key)
    return (("row",), normal({name: cell for name, cell in row.items() if not is_empty(cell)}))


def _values(field: str, members: Sequence[tuple[str, Row]]) -> tuple[CellValue, ...]:
    """Return the different values of a cell, that of most steps first; the words for nothing only if there is no other.

    A value is as the first step wrote it.
    """
    if len(members) == 1:
        step, row = members[0]
        return (CellValue(row[field], (step,)),) if row.get(field) is not None else ()
    found: dict[Hashable, list[tuple[str, Json]]] = {}
    for step, row in members:
        if row.get(field) is not None:
            found.setdefault(normal(row[field]), []).append((step, row[field]))
    values = [CellValue(given[0][1], _steps(step for step, _ in given)) for given in found.values()]
    full = [each for each in values if not is_empty(each.value)]
    return tuple(sorted(full, key=lambda each: -len(each.steps))) or tuple(values[:1])


def _grouped(leaves: Iterable[Leaf], identity: Callable[[Json], Hashable]) -> list[list[tuple[str, Json]]]:
    groups: dict[Hashable, list[tuple[str, Json]]] = {}
    for leaf in leaves:
        for item in items_of(leaf.output):
            if item is not None and item != "":
                groups.setdefault(identity(item), []).append((leaf.step, item))
    return list(groups.values())


def _cell(item: Any, field: str) -> Json:
    return item.get(field) if isinstance(item, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _steps(steps: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(steps))


def _as_text(value: Json) -> str:
    return "" if value is None else f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```"
