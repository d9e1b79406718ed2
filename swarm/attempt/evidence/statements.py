"""A passage with its figures and names, and which words belong to which figure."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import cached_property

from swarm.texts.figures import Quantity, figures
from swarm.texts.passages import Sentence
from swarm.texts.terms import Name, names_of, squeezed, words_of
from swarm.texts.units import MONTHS, SCALES, UNITS

_SPLIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_CLAUSE = re.compile(
    r"[,;()|–—]\s|[，、；（）]|\s(?:and|but|while|whereas|versus|und|aber|während|et|mais|tandis|y|pero)\s"
)
_DIGITS = re.compile(r"\d+(?: \d+)*")
_NO_NAMES = frozenset((*UNITS, *SCALES, *MONTHS))


def keyed(text: str) -> str:
    """Return a text as names are compared: folded, letters and digits apart: `gpt 4` for GPT-4 and GPT4."""
    return " ".join(_SPLIT.sub(" ", squeezed(text)).split())


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


def is_like_a_year(figure: Quantity) -> bool:
    """Return whether a figure is probably a year."""
    return figure.unit is None and len(figure.text) == 4 and "1500" <= figure.text < "2100"
