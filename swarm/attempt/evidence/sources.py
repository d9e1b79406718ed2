"""A text that claims rest on, indexed once: where its figures are, and which names and quotations it has."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice

from swarm.texts.figures import Quantity, figures, has_figures, tidy
from swarm.texts.passages import Sentence, passages
from swarm.texts.terms import Name, names_of, pieces, squeezed, stem, words_of
from swarm.texts.units import MONTHS, SCALES, UNITS

INDEXED_CHARACTERS = 2_000_000
"""Maximum characters of a text whose figures are indexed: one second of work. Of a longer text,
only the spellings of figures are looked for."""

MOST_PLACES = 100
"""Maximum places of one figure in one text that are looked at: a text that repeats itself must not take long."""

_SPLIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_CLAUSE = re.compile(
    r"[,;()|–—]\s|[，、；（）]|\s(?:and|but|while|whereas|versus|und|aber|während|et|mais|tandis|y|pero)\s"
)

_DIGITS = re.compile(r"\d+(?: \d+)*")
_BETWEEN_INITIALS = r"\S* (?:\S{1,3} ){0,2}"
_NO_NAMES = frozenset((*UNITS, *SCALES, *MONTHS))


def keyed(text: str) -> str:
    """Return a text as names are compared: folded, letters and digits apart: `gpt 4` for GPT-4 and GPT4."""
    return " ".join(_SPLIT.sub(" ", squeezed(text)).split())


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


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table, or a field of a record."""

    start: int
    end: int
    label: str
    """Head of its column, or name of its field."""
    value: str


class Statement:
    """A passage with its figures and names, and which words belong to which figure."""

    def __init__(self, passage: Sentence) -> None:
        self.passage = passage
        self._near: dict[int, frozenset[str]] = {}
        self._identities: dict[int, dict[str, set[str]]] = {}
        self.figures = figures(passage.text)
        if passage.kind == "row":
            self.figures = [self._with_unit(figure) for figure in self.figures]
        self._cuts = [0, *(cut.end() for cut in _CLAUSE.finditer(passage.text)), len(passage.text)]

    @cached_property
    def names(self) -> list[Name]:
        """Its names, without units, scale words and months."""
        return [name for name in names_of(self.passage.text) if name.text.casefold() not in _NO_NAMES]

    @cached_property
    def numbers(self) -> list[Quantity]:
        """Its figures that are no words and no parts of names such as the 3 of `F-2-3`."""
        starts = [name.start for name in self.names]
        found: list[Quantity] = []
        for figure in self.figures:
            at = bisect_left(starts, figure.start)
            if not figure.word and not (at and self.names[at - 1].has(figure.start)):
                found.append(figure)
        return found

    @cached_property
    def names_above(self) -> list[Name]:
        """The names in the headings above it."""
        return names_of(self.passage.context)

    @cached_property
    def words(self) -> frozenset[str]:
        """The content words of the passage and of its context, without its figures and their units."""
        return self.own_words | words_of(self.passage.context)

    @cached_property
    def own_words(self) -> frozenset[str]:
        """The same without its context."""
        return words_of(self._without_figures(0, len(self.passage.text)))

    def words_near(self, figure: Quantity) -> frozenset[str]:
        """Return the content words of the clause of a figure, with the nearest names before it.

        In a row, these are the label or the head of the cell, and the cells without figures.
        """
        if figure.start not in self._near:
            is_row = self.passage.kind == "row"
            self._near[figure.start] = self._words_of_cell(figure) if is_row else self._words_of_clause(figure)
        return self._near[figure.start]

    def identities(self, figure: Quantity) -> dict[str, set[str]]:
        """Return the names with digits and the years that a figure is stated of, by what they have without digits.

        `GPT-4` and `GPT-3.5`, `Python 3.11` and `Python 3.12`, 2023 and 2024 are alike, and not the same.
        """
        if figure.start not in self._identities:
            start, end = (0, len(self.passage.text)) if self.passage.kind == "row" else self.clause(figure)
            found: dict[str, set[str]] = {}
            for at, key in self._numbered:
                if start <= at < end and at != figure.start:
                    found.setdefault(_DIGITS.sub("#", key), set()).add(key)
            self._identities[figure.start] = found
        return self._identities[figure.start]

    @cached_property
    def _numbered(self) -> list[tuple[int, str]]:
        """The names with digits, the names with a number behind them, and the years, each with its place."""
        text = self.passage.text
        found = [(name.start, keyed(name.text)) for name in self.names if any(c.isdigit() for c in name.text)]
        ends = {name.start + len(name.text): name for name in self.names}
        for figure in self.figures:
            if figure.code[:2].isdigit() and figure.code[:4].isdigit():
                found.append((figure.start, figure.code[:4]))
            elif is_like_a_year(figure):
                found.append((figure.start, figure.text))
            elif figure.unit is None and figure.start - 1 in ends and text[figure.start - 1] == " ":
                found.append((figure.start, keyed(f"{ends[figure.start - 1].text} {figure.text}")))
        return found

    def words_of_clause(self, figure: Quantity) -> frozenset[str]:
        """Return the content words of the clause of a figure alone."""
        return words_of(self._without_figures(*self.clause(figure)))

    def _words_of_clause(self, figure: Quantity) -> frozenset[str]:
        start, end = self.clause(figure)
        near = self.words_of_clause(figure)
        names = [name for name in self.names if name.start < end]
        if names and not any(name.start >= start for name in names):
            last = names[-1]
            near |= words_of(last.text)
        if not any(name.sure for name in names):
            near |= words_of(self.passage.context)
        return near

    def clause(self, figure: Quantity) -> tuple[int, int]:
        """Return start and end of the clause of a figure."""
        place = bisect_right(self._cuts, figure.start)
        end = bisect_left(self._cuts, figure.end)
        return self._cuts[max(0, place - 1)], self._cuts[min(end, len(self._cuts) - 1)]

    def _words_of_cell(self, figure: Quantity) -> frozenset[str]:
        found: set[str] = set()
        for cell in self.cells:
            if cell.start <= figure.start <= cell.end:
                found |= words_of(f"{cell.label} {self._blanked(cell.value)}")
            elif not any(cell.start <= each.start < cell.end for each in self.figures if not each.word):
                found |= words_of(self._blanked(cell.value))
        if "|" not in self.passage.text:
            found |= words_of(self.passage.context)
        return frozenset(found)

    @cached_property
    def cells(self) -> list["Cell"]:
        """The cells of a row of a table, or the fields of a record, with their labels."""
        text = self.passage.text
        separator = "|" if "|" in text else "; "
        heads = self.passage.context.rpartition(" / ")[2].split("|") if separator == "|" else []
        found: list[Cell] = []
        at = 0
        for n, words in enumerate(text.split(separator)):
            label, _, value = words.rpartition(": ")
            head = heads[n] if n < len(heads) else ""
            found.append(Cell(at, at + len(words), f"{head} {label}".strip(), value))
            at += len(words) + len(separator)
        return found

    def _with_unit(self, figure: Quantity) -> Quantity:
        """Return a figure without a unit with that of its label: `memory_mb: 40`, `Memory (MB)`."""
        if figure.unit is not None or figure.code or is_like_a_year(figure):
            return figure
        label = next((cell.label for cell in self.cells if cell.start <= figure.start <= cell.end), "")
        words = re.split(r"[\s_()\[\]/,]+", label.casefold().rstrip(" )]"))
        unit = UNITS.get(words[-1]) if len(words[-1]) > 1 or words[-1] in ("%", "$", "€", "£", "¥", "s") else None
        return figure if unit is None else replace(figure, unit=unit)

    def _without_figures(self, start: int, end: int) -> str:
        text = self.passage.text
        for each in self.figures:
            if each.start < end and each.end > start:
                text = text[: each.start] + " " * (each.end - each.start) + text[each.end :]
        return text[start:end]

    def _blanked(self, text: str) -> str:
        return re.sub(r"\[[^\]]*\]|\d\S*", " ", text)


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


def is_like_a_year(figure: Quantity) -> bool:
    """Return whether a figure is probably a year."""
    return figure.unit is None and len(figure.text) == 4 and "1500" <= figure.text < "2100"


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
