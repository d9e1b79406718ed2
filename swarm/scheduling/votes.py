"""One value of several votes: the one that most of them gave, else what most of them gave for each part of it.

- Equal votes with a majority are the value. Spelling, blanks and the form of figures do not count
  (`normal`).
- Lists: an entry is in the value if more than half of the votes have it. Objects in a list are one
  row if the fields of their `key` are equal; without one, if the first field is that tells the rows
  of each vote apart. An entry that a vote has twice is counted twice. The order is that of the
  votes: what only later votes have follows what precedes it there.
- Objects and rows: for each field, the value that more than half of those that have the row gave.
  Empty cells are equal.
- Texts and other values: the whole value only.

What has no majority is undecided. The vote that a critic chose decides it; without one, the most
frequent value is taken, and an entry of half of the votes is kept.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from swarm.attempt.answers import fit
from swarm.attempt.merge import is_empty, normal
from swarm.base.values import Json, canonical

Row = dict[str, Json]


@dataclass(frozen=True)
class Voted:
    """The value of several votes."""

    value: Json
    is_decided: bool
    """Whether every part of it has a majority."""


def voted(
    votes: Sequence[Json], *, key: Sequence[str] = (), schema: dict[str, Json] | None = None, chosen: int | None = None
) -> Voted:
    """Return the value of votes. `chosen` is the index of the one that a critic chose.

    A value made of several votes that does not match `schema` is not used: then a whole vote is.
    """
    if not votes:
        return Voted(None, is_decided=False)
    count = _Count(key, chosen)
    found = count.value([(n, vote) for n, vote in enumerate(votes)])
    if found in votes or schema is None or fit(canonical(found).decode(), schema).ok:
        return Voted(found, count.is_decided)
    return Voted(votes[chosen] if chosen is not None else most_common(votes), is_decided=False)


def most_common(outputs: Iterable[Json]) -> Json:
    """Return the output that occurs most often, the first one of several. None without outputs."""
    groups = _alike(enumerate(outputs))
    return max(groups, key=len)[0][1] if groups else None


_Vote = tuple[int, Json]
"""A value with the index of its vote."""


class _Count:
    """The count of votes, and whether all parts had a majority."""

    def __init__(self, key: Sequence[str], chosen: int | None) -> None:
        self._key = tuple(key)
        self._chosen = chosen
        self.is_decided = True

    def value(self, votes: Sequence[_Vote]) -> Json:
        """Return the value of votes."""
        groups = _alike(votes)
        most = max(groups, key=len)
        if 2 * len(most) > len(votes):
            return most[0][1]
        values = [value for _, value in votes]
        if all(isinstance(value, list) for value in values):
            return self._list(cast("Sequence[tuple[int, list[Json]]]", votes))
        if all(isinstance(value, dict) for value in values):
            return self._object(cast("Sequence[tuple[int, Row]]", votes))
        self.is_decided = False
        return next((value for n, value in votes if n == self._chosen), most[0][1])

    def _object(self, votes: Sequence[tuple[int, Row]]) -> Row:
        names = dict.fromkeys(chain.from_iterable(row for _, row in votes))
        fields = {name: self.value([(n, row.get(name)) for n, row in votes]) for name in names}
        return {name: value for name, value in fields.items() if value is not None or _has(votes, name)}

    def _list(self, votes: Sequence[tuple[int, list[Json]]]) -> list[Json]:
        key = self._key or _told_apart([entries for _, entries in votes])
        entries: dict[Hashable, list[_Vote]] = {}
        order: list[Hashable] = []
        for n, vote in votes:
            named = list(_named(vote, key))
            order = _merged(order, [name for name, _ in named])
            for name, entry in named:
                entries.setdefault(name, []).append((n, entry))
        kept = [entries[name] for name in order if self._is_kept(entries[name], len(votes))]
        return [self.value(given) for given in kept]

    def _is_kept(self, given: Sequence[_Vote], total: int) -> bool:
        """Return whether an entry is in the value: if it has the majority, or half of the votes and nothing says no."""
        if 2 * len(given) != total:
            return 2 * len(given) > total
        self.is_decided = False
        return self._chosen is None or any(n == self._chosen for n, _ in given)


def _merged(order: Sequence[Hashable], names: Sequence[Hashable]) -> list[Hashable]:
    """Return the names of both, in the first order.

    A new one follows the name before it in the second.
    """
    known, behind, before = set(order), dict[Hashable, list[Hashable]](), _START
    for name in names:
        if name in known:
            before = name
        else:
            behind.setdefault(before, []).append(name)
    return [*behind.get(_START, ()), *chain.from_iterable((name, *behind.get(name, ())) for name in order)]


_START: Hashable = object()
"""What precedes the first name."""


def _alike(votes: Iterable[_Vote]) -> list[list[_Vote]]:
    """Return votes in groups of equal ones."""
    groups: dict[Hashable, list[_Vote]] = {}
    for n, value in votes:
        groups.setdefault(("empty",) if is_empty(value) else normal(value), []).append((n, value))
    return list(groups.values())


def _has(votes: Iterable[tuple[int, Row]], name: str) -> bool:
    """Return whether a vote states that a field is empty."""
    return any(name in row and row[name] is None for _, row in votes)


def _named(entries: Iterable[Json], key: Sequence[str]) -> Iterable[tuple[Hashable, Json]]:
    """Yield the entries of one vote, each with what makes it equal to others: of equal ones, its number, too."""
    times: dict[Hashable, int] = {}
    for entry in entries:
        row: Any = entry
        has_key = key and isinstance(entry, dict) and not any(is_empty(row.get(field)) for field in key)
        name = ("row", *(normal(row[field]) for field in key)) if has_key else normal(entry)
        times[name] = times.get(name, 0) + 1
        yield (name, times[name]), entry


def _told_apart(votes: Sequence[Sequence[Json]]) -> tuple[str, ...]:
    """Return the first field that tells the rows of each vote apart: a text in every row.

    None without one.
    """
    rows = list(chain.from_iterable(votes))
    if not rows or not all(isinstance(row, dict) for row in rows):
        return ()
    for field in cast("Row", rows[0]):
        columns = [[cast("Row", row).get(field) for row in vote] for vote in votes]
        if all(map(_is_key, columns)):
            return (field,)
    return ()


def _is_key(cells: Sequence[Json]) -> bool:
    """Return whether the cells of a column are different texts."""
    if not all(isinstance(cell, str) and not is_empty(cell) for cell in cells):
        return False
    return len(set(map(normal, cells))) == len(cells)
