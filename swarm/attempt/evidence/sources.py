"""A text that claims rest on, indexed once: where its figures are, and which names and quotations it has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

from swarm.attempt.evidence.statements import Statement, keyed
from swarm.texts.figures import Quantity, figures, has_figures, tidy
from swarm.texts.passages import Sentence, passages
from swarm.texts.terms import pieces, squeezed, stem, words_of

INDEXED_CHARACTERS = 2_000_000
"""Maximum characters of a text whose figures are indexed: one second of work. Of a longer text,
only the spellings of figures are looked for."""

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
        while first and self.passages[first - 1].block == block:
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
    def _by_value(self) -> dict[float | str, list[Occurrence]]:
        found: dict[float | str, list[Occurrence]] = {}
        for each in self.occurrences:
            for key in _keys(each.figure):
                found.setdefault(key, []).append(each)
        return found

    def doubts(self, figure: Quantity) -> bool:
        """Return whether the writer of the text did not read a figure of it."""
        found = chain.from_iterable(figures(doubted)[:1] for doubted in self._doubted)
        same = (each for each in found if each.start == 0 and _keys(figure) & _keys(each))
        return any(may_agree(figure, each) for each in same)

    def same(self, figure: Quantity) -> list[Occurrence]:
        """Return the places with the same value, in a unit that may be the same."""
        if figure.code:
            return self._dated(figure)
        found = chain.from_iterable(self._by_value.get(value, ()) for value in figure.values)
        return list(islice((each for each in found if may_agree(figure, each.figure)), MOST_PLACES))

    def _dated(self, figure: Quantity) -> list[Occurrence]:
        also = self._by_value.get(figure.also, []) if figure.also else []
        return [*self._by_value.get(figure.code, []), *also][:MOST_PLACES]

    @cached_property
    def _squeezed(self) -> str:
        return f" {squeezed(self.text)} "

    @cached_property
    def _keyed(self) -> str:
        return f" {keyed(self.text)} {keyed(self.about)} "

    @cached_property
    def _stems(self) -> frozenset[str]:
        return frozenset(map(stem, self._keyed.split()))

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
        if not wanted or f" {wanted} " in self._keyed:
            return all(wanted != keyed(doubted) for doubted in self._doubted)
        parts = wanted.split()
        if all(f" {part} " in self._keyed or stem(part) in self._stems for part in parts):
            return True
        if len(parts) == 1 and name.isupper() and 2 <= len(wanted) <= 6:
            return re.search(r"(?<!\S)" + _BETWEEN_INITIALS.join(map(re.escape, wanted)), self._keyed) is not None
        return len(parts) > 1 and f" {''.join(part[0] for part in parts)} " in self._keyed

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
