"""A text that claims rest on, indexed once: where its figures are, and which names and quotations it has."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

from swarm.attempt.evidence.index import Alike, Digits, Postings, groups_of
from swarm.attempt.evidence.statements import Statement, is_like_a_year, keyed, noun_behind
from swarm.texts.figures import Quantity, figures, has_figures, tidy
from swarm.texts.passages import Sentence, passages
from swarm.texts.terms import pieces, squeezed, stem, words_of

INDEXED_CHARACTERS = 2_000_000
"""Maximum characters of a text whose figures are indexed: one second of work. Of a longer text,
only the spellings of figures are looked for."""

BLOCK_PASSAGES = 30
"""Maximum passages of a paragraph before a figure that count as what it is about."""
MOST_PLACES = 100
"""Maximum places of one figure in one text that are looked at: a text that repeats itself must not take long."""


_BETWEEN_INITIALS = r"\S* (?:\S{1,3} ){0,2}"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A figure in a passage of a source."""

    source: "SourceText"
    at: int
    """Index of the passage."""
    figure: Quantity

    @property
    def passage(self) -> Sentence:
        """The passage with the figure."""
        return self.source.passages[self.at]


class SourceText:
    """A text that claims rest on."""

    def __init__(self, name: str, text: str, *, about: str = "", doubted: Sequence[str] = ()) -> None:
        """`about` says what the text is about: a name in it counts as one of the text.

        `doubted` are figures, names and quotations of the text that support nothing: its writer did not read them.
        """
        self.name = name
        self.text = text
        self.about = about
        self._doubted = doubted
        self._statements: dict[int, Statement] = {}
        self._blocks: dict[int, frozenset[str]] = {}
        self._by_value: dict[float | str, list[Occurrence]] = {}
        self._figures: dict[int, dict[float | str, list[Quantity]]] = {}

    @cached_property
    def passages(self) -> list[Sentence]:
        """Its passages, in order."""
        return passages(self.text[:INDEXED_CHARACTERS])

    def statement(self, at: int) -> Statement:
        """Return a passage with its figures and names."""
        if at not in self._statements:
            self._statements[at] = Statement(self.passages[at])
        return self._statements[at]

    @property
    def is_indexed(self) -> bool:
        """Whether all of the text is indexed."""
        return len(self.text) <= INDEXED_CHARACTERS

    @cached_property
    def asked(self) -> "SourceText":
        """What the text is about, as a source."""
        return SourceText(self.name, self.about)

    @cached_property
    def items(self) -> int:
        """Number of blocks that are list items or sentences of their own."""
        return len({passage.block for passage in self.passages if passage.kind == "sentence"})

    def words_of_block(self, at: int) -> frozenset[str]:
        """Return the content words of the paragraph of a passage, up to the passage."""
        block = self.passages[at].block
        first = at
        while first and at - first < BLOCK_PASSAGES and self.passages[first - 1].block == block:
            first -= 1
        if at not in self._blocks:
            self._blocks[at] = words_of(" ".join(each.text for each in self.passages[first : at + 1]))
        return self._blocks[at]

    @cached_property
    def occurrences(self) -> list[Occurrence]:
        """Every figure of the text, in order."""
        found: list[Occurrence] = []
        for at, passage in enumerate(self.passages):
            if has_figures(passage.text):
                found.extend(Occurrence(self, at, figure) for figure in self.statement(at).figures)
        return found

    @cached_property
    def _digits(self) -> Digits:
        return Digits([passage.text for passage in self.passages])

    def _at_value(self, value: float | str) -> list[Occurrence]:
        """Return the places of a value, in order. Only the passages that may have it are read."""
        if value not in self._by_value:
            found: list[Occurrence] = []
            for at in self._digits.find(value):
                found.extend(Occurrence(self, at, figure) for figure in self._keyed_at(at).get(value, ()))
            self._by_value[value] = found
        return self._by_value[value]

    def _keyed_at(self, at: int) -> dict[float | str, list[Quantity]]:
        """Return the figures of a passage by their keys."""
        if at not in self._figures:
            found: dict[float | str, list[Quantity]] = {}
            for figure in self.statement(at).figures:
                for key in _keys(figure):
                    found.setdefault(key, []).append(figure)
            self._figures[at] = found
        return self._figures[at]

    @cached_property
    def _groups(self) -> tuple[list[Alike], Postings]:
        """The figures with the same words near them, and these words."""
        near = (
            (self.statement(each.at).words_near(each.figure), each.figure, comparable(each.figure))
            for each in self.occurrences
            if not each.figure.word
        )
        groups = groups_of(near)
        return groups, Postings(each.near for each in groups)

    def near(self, wanted: frozenset[str], least: float) -> Iterator[Alike]:
        """Yield the groups of figures that have at least this share of some words near them."""
        groups, postings = self._groups
        return (groups[n] for n in postings.find(wanted, least))

    @cached_property
    def _about(self) -> tuple[list[int], Postings]:
        """Index and words of each passage with figures."""
        at = list(dict.fromkeys(each.at for each in self.occurrences))
        return at, Postings(self.statement(n).words for n in at)

    def about_words(self, wanted: frozenset[str], least: float) -> Iterator[Occurrence]:
        """Yield the figures of the passages that have at least this share of some words, in themselves or above."""
        at, postings = self._about
        for n in postings.find(wanted, least):
            yield from (Occurrence(self, at[n], figure) for figure in self.statement(at[n]).figures)

    @cached_property
    def _identified(self) -> dict[tuple[str, str], list[Occurrence]]:
        found: dict[tuple[str, str], list[Occurrence]] = {}
        for each in self.occurrences:
            for key, names in self.statement(each.at).identities(each.figure).items():
                for name in names:
                    found.setdefault((key, name), []).append(each)
        return found

    def identified(self, key: str, name: str) -> list[Occurrence]:
        """Return the figures that are stated of a name with digits or a year, by the keys of `identities`."""
        return self._identified.get((key, name), [])

    @cached_property
    def counted_nouns(self) -> frozenset[str]:
        """The words behind its figures."""
        texts = ((each.passage.text, each.figure) for each in self.occurrences if not each.figure.code)
        return frozenset(noun_behind(text, figure) for text, figure in texts)

    @cached_property
    def rows(self) -> int:
        """Number of its rows."""
        return sum(passage.kind == "row" for passage in self.passages)

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
        """The values of its figures in base units, in order, with their index in `occurrences`; by dimension."""
        found: dict[str, list[tuple[float, int]]] = {}
        for n, each in enumerate(self.occurrences):
            if not each.figure.code:
                dimension, values = in_base(each.figure)
                found.setdefault(dimension, []).extend((value, n) for value in values)
        return {dimension: sorted(values) for dimension, values in found.items()}

    def doubts(self, figure: Quantity) -> bool:
        """Return whether the writer of the text did not read a figure of it."""
        found = chain.from_iterable(figures(doubted)[:1] for doubted in self._doubted)
        same = (each for each in found if each.start == 0 and _keys(figure) & _keys(each))
        return any(may_agree(figure, each) for each in same)

    def same(self, figure: Quantity) -> list[Occurrence]:
        """Return the places with the same value, in a unit that may be the same."""
        if figure.code:
            return self._dated(figure)
        found = chain.from_iterable(map(self._at_value, figure.values))
        return list(islice((each for each in found if may_agree(figure, each.figure)), MOST_PLACES))

    def _dated(self, figure: Quantity) -> list[Occurrence]:
        also = self._at_value(figure.also) if figure.also else []
        return [*self._at_value(figure.code), *also][:MOST_PLACES]

    @cached_property
    def _squeezed(self) -> str:
        return f" {squeezed(self.text)} "

    @cached_property
    def _keyed(self) -> str:
        return f" {keyed(self.text)} {keyed(self.about)} "

    @cached_property
    def _tokens(self) -> frozenset[str]:
        return frozenset(self._keyed.split())

    @cached_property
    def _stems(self) -> frozenset[str]:
        return frozenset(map(stem, self._tokens))

    def has_quotation(self, quoted: str) -> bool:
        """Return whether the pieces of a quotation are in the text, in their order."""
        if any(squeezed(quoted) == squeezed(doubted) for doubted in self._doubted):
            return False
        at = 0
        for piece in pieces(quoted):
            at = self._squeezed.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        return True

    def has_name(self, name: str) -> bool:
        """Return whether a name is in the text, in any case, or as its initials, or with its words apart."""
        wanted = keyed(name.removesuffix("'s").removesuffix("’s"))
        parts = wanted.split()
        if self._tokens.issuperset(parts) and (len(parts) < 2 or f" {wanted} " in self._keyed):
            return all(wanted != keyed(doubted) for doubted in self._doubted)
        if all(part in self._tokens or stem(part) in self._stems for part in parts):
            return True
        return self._has_initials(name, wanted, parts)

    def _has_initials(self, name: str, wanted: str, parts: Sequence[str]) -> bool:
        """Return whether initials are the name, or the name is initials of the text."""
        if len(parts) == 1 and name.isupper() and 2 <= len(wanted) <= 6:
            return re.search(r"(?<!\S)" + _BETWEEN_INITIALS.join(map(re.escape, wanted)), self._keyed) is not None
        return len(parts) > 1 and "".join(part[0] for part in parts) in self._tokens

    def mentions(self, text: str) -> bool:
        """Return whether a spelling is in the text as it is."""
        return text in self.text


def _keys(figure: Quantity) -> set[float | str]:
    """Return the keys under which a figure is found: its values, or its date and the parts of it."""
    if not figure.code:
        return set(figure.values)
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
    return one.unit == other.unit


def in_base(figure: Quantity) -> tuple[str, tuple[float, ...]]:
    """Return the dimension of a figure and its values in the base unit; without a unit, as they are."""
    if figure.unit is None:
        return "", figure.values
    return figure.unit.dimension, tuple(tidy(value * figure.unit.factor) for value in figure.values)


def comparable(figure: Quantity) -> tuple[object, ...]:
    """Return what two figures have in common that can be compared: the form of a date; else being a year, and the
    dimension of the unit, which a figure without a unit takes from the other.
    """
    if figure.code:
        return (len(figure.code),)
    return is_like_a_year(figure), None if figure.unit is None else figure.unit
