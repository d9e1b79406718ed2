"""Where the figures of texts are: found by their values, or by the words near them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Protocol

from swarm.attempt.evidence.index import Alike, Digits, Postings, groups_of
from swarm.attempt.evidence.statements import Statement, is_like_a_year, noun_behind
from swarm.texts.amounts import SECONDS_A_DAY, Quantity, tidy
from swarm.texts.figures import has_figures
from swarm.texts.passages import Sentence
from swarm.texts.units import Unit

MOST_PLACES = 100
"""Maximum places of one figure that are looked at: a text that repeats itself must not take long."""


class HasPassages(Protocol):
    """A text that was read, with its passages."""

    name: str
    passages: cached_property[list[Sentence]]
    """Its passages, in order."""

    def statement(self, at: int) -> Statement:
        """Return a passage with its figures and names."""
        ...

    def words_of_block(self, at: int) -> frozenset[str]:
        """Return the content words of the paragraph of a passage, up to the passage."""
        ...

    def doubts(self, figure: Quantity) -> bool:
        """Return whether the writer of the text did not read a figure of it."""
        ...


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A figure in a passage of a source."""

    source: HasPassages
    at: int
    """Index of the passage."""
    figure: Quantity

    @property
    def passage(self) -> Sentence:
        """The passage with the figure."""
        return self.source.passages[self.at]

    @property
    def statement(self) -> Statement:
        """The passage with all its figures and names."""
        return self.source.statement(self.at)

    @property
    def label(self) -> str | None:
        """The word in front of a number that names a thing; None if it is a value."""
        return self.statement.label_of(self.figure)


class Places:
    """The figures of texts, with indexes that are made when they are first needed."""

    def __init__(self, texts: Sequence[HasPassages] = ()) -> None:
        self._texts: Sequence[HasPassages] = texts
        self._by_value: dict[float | str, list[Occurrence]] = {}
        self._figures: dict[int, dict[float | str, list[Quantity]]] = {}

    @cached_property
    def _passages(self) -> list[tuple[HasPassages, int]]:
        """Every passage of the texts, as its text and its index there."""
        each = (zip(repeat(text), range(len(text.passages))) for text in self._texts)
        return list(chain.from_iterable(each))

    @cached_property
    def _digits(self) -> Digits:
        return Digits(each.text for each in chain.from_iterable(text.passages for text in self._texts))

    def _at_value(self, value: float | str) -> list[Occurrence]:
        """Return the places of a value, in order. Only the passages that may have it are read."""
        if value not in self._by_value:
            found: list[Occurrence] = []
            for n in self._digits.find(value):
                text, at = self._passages[n]
                figures = self._keyed_at(n).get(value, ())
                found.extend(Occurrence(text, at, each) for each in figures)
            self._by_value[value] = found
        return self._by_value[value]

    def _keyed_at(self, n: int) -> dict[float | str, list[Quantity]]:
        """Return the figures of a passage by their keys."""
        if n not in self._figures:
            text, at = self._passages[n]
            found: dict[float | str, list[Quantity]] = {}
            for figure in text.statement(at).figures:
                for key in keys_of(figure):
                    found.setdefault(key, []).append(figure)
            self._figures[n] = found
        return self._figures[n]

    def same(self, figure: Quantity) -> list[Occurrence]:
        """Return the places with the same value, in a unit that may be the same."""
        if figure.code:
            also = self._at_value(figure.also) if figure.also else []
            return [*self._at_value(figure.code), *also][:MOST_PLACES]
        found = chain.from_iterable(map(self._at_value, figure.values))
        return list(islice((each for each in found if may_agree(figure, each.figure)), MOST_PLACES))

    @cached_property
    def occurrences(self) -> list[Occurrence]:
        """Every figure of the texts, in order."""
        found: list[Occurrence] = []
        for text, at in self._passages:
            if has_figures(text.passages[at].text):
                found.extend(Occurrence(text, at, figure) for figure in text.statement(at).figures)
        return found

    @cached_property
    def _groups(self) -> tuple[list[Alike], Postings]:
        """The figures with the same words near them, and these words."""
        numbers = (each for each in self.occurrences if not each.figure.word)
        near = ((each.statement.words_near(each.figure), each.figure, comparable(each.figure)) for each in numbers)
        groups = groups_of(near)
        return groups, Postings(each.near for each in groups)

    def near(self, wanted: frozenset[str], least: float) -> Iterator[Alike]:
        """Yield the groups of figures that have at least this share of some words near them."""
        groups, postings = self._groups
        return (groups[n] for n in postings.find(wanted, least))

    @cached_property
    def _about(self) -> tuple[list[tuple[HasPassages, int]], Postings]:
        """Each passage with figures, and its words."""
        at = list(dict.fromkeys((each.source, each.at) for each in self.occurrences))
        return at, Postings(text.statement(n).words for text, n in at)

    def about_words(self, wanted: frozenset[str], least: float) -> Iterator[Occurrence]:
        """Yield the figures of the passages that have at least this share of some words, in themselves or above."""
        passages, postings = self._about
        for n in postings.find(wanted, least):
            text, at = passages[n]
            yield from (Occurrence(text, at, figure) for figure in text.statement(at).figures)

    @cached_property
    def _identified(self) -> dict[tuple[str, str], list[Occurrence]]:
        found: dict[tuple[str, str], list[Occurrence]] = {}
        for each in self.occurrences:
            for key, names in each.statement.identities(each.figure).items():
                for name in names:
                    found.setdefault((key, name), []).append(each)
        return found

    def identified(self, key: str, name: str) -> list[Occurrence]:
        """Return the figures that are stated of a name with digits or a year, by the keys of `identities`."""
        return self._identified.get((key, name), [])

    @cached_property
    def counted_nouns(self) -> frozenset[str]:
        """The words behind the figures."""
        texts = ((each.passage.text, each.figure) for each in self.occurrences if not each.figure.code)
        return frozenset(noun_behind(text, figure) for text, figure in texts)

    def near_values(self, ranges: Iterable[tuple[str, float, float]]) -> list[Occurrence]:
        """Return the figures with a value in one of these ranges, in order: dimension, least and greatest value."""
        found: set[int] = set()
        for dimension, least, greatest in ranges:
            values = self._in_order.get(dimension, [])
            first = bisect_left(values, (least, -1))
            last = bisect_right(values, (greatest, len(self.occurrences)))
            found.update(n for _, n in values[first:last])
        return [self.occurrences[n] for n in sorted(found)]

    @cached_property
    def _in_order(self) -> dict[str, list[tuple[float, int]]]:
        """The values of the figures in base units, in order, with their index in `occurrences`; by dimension."""
        found: dict[str, list[tuple[float, int]]] = {}
        for n, each in enumerate(self.occurrences):
            if not each.figure.code and each.label is None:
                dimension, values = in_base(each.figure)
                found.setdefault(dimension, []).extend((value, n) for value in values)
        return {dimension: sorted(values) for dimension, values in found.items()}


def keys_of(figure: Quantity) -> set[float | str]:
    """Return the keys under which a figure is found: its values, or its date and the parts of it."""
    if not figure.code:
        return {*figure.values, *figure.parts}
    parts = figure.code.split("-")
    found: set[float | str] = {figure.code, figure.also or figure.code}
    if len(parts) == 3 and len(parts[0]) == 4:
        found.update((f"{parts[0]}-{parts[1]}", f"--{parts[1]}-{parts[2]}", float(parts[0])))
    elif len(parts) == 2 and len(parts[0]) == 4:
        found.add(float(parts[0]))
    return found


def may_agree(one: Quantity, other: Quantity) -> bool:
    """Return whether two figures of equal value may be the same quantity: no known unit differs."""
    if one.unit is None or other.unit is None:
        return True
    return one.unit == other.unit or base_of(one.unit) == base_of(other.unit)


def in_base(figure: Quantity) -> tuple[str, tuple[float, ...]]:
    """Return the dimension of a figure and its values in the base unit; without a unit, as they are."""
    if figure.unit is None:
        return "", figure.values
    dimension, factor = base_of(figure.unit)
    return dimension, tuple(tidy(value * factor) for value in figure.values)


def base_of(unit: Unit | None) -> tuple[str, float]:
    """Return the dimension of a unit and its size in the base unit; days are seconds."""
    if unit is None:
        return "", 1.0
    is_days = unit.dimension == "days"
    return ("seconds", unit.factor * SECONDS_A_DAY) if is_days else (unit.dimension, unit.factor)


def comparable(figure: Quantity) -> tuple[object, ...]:
    """Return what two figures have in common that can be compared: the form of a date; else being a year, and the
    dimension of the unit, which a figure without a unit takes from the other.
    """
    if figure.code:
        return (len(figure.code),)
    return is_like_a_year(figure), None if figure.unit is None else figure.unit
