"""A passage with its figures and names, and which words belong to which figure."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from swarm.texts.figures import Quantity, figures
from swarm.texts.passages import CONTEXT_CHARACTERS, Sentence
from swarm.texts.terms import STOP_WORDS, Name, fold, names_of, squeezed, stem, words_of
from swarm.texts.units import MONTHS, SCALES, UNITS

_SPLIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_CLAUSE = re.compile(
    r"[,;()|–—]\s|[，、；（）]|\s(?:and|but|while|whereas|versus|und|aber|während|et|mais|tandis|y|pero)\s"
)
_DIGITS = re.compile(r"\d+(?: \d+)*")
_NOUN = re.compile(r"\s(?:[^\W\d_]+ly\s)?([^\W\d_]{3,30})")
_LABEL = re.compile(
    r"(?:\b(?P<fixed>version|release|section|chapter|table|figure|fig\.|appendix|step|item|question|option|page|line|row|no\."
    r"|nr\.|issue|ticket|case|phase|part|level|group|team|room|test|run|sample|build|port|id|order|unit|stage|round|model"
    r"|abschnitt|kapitel|tabelle|abbildung|schritt|seite|zeile|étape|tableau|chapitre)|(?P<name>\b[A-ZÀ-Þ][\w-]+))\s$|#\s?$",
    re.IGNORECASE,
)
_IS_NAMED = re.compile(r"(?:[:,)]|['’]s)?\s[^\W\d_]+(?:s|ed|t)\b|:\s|['’]s\b")
"""What is behind the number of a thing: `Thing 46 needs`, `Thing 46: 3 MB`."""
_HEADING_NUMBER = re.compile(r"\d+(?:\.\d+)*[.)]\s|\d+(?:\.\d+)+\s+[^\W\d_]")
_ID_HEADS = frozenset(("id", "no", "nr", "#", "№", "number"))
LABEL_CHARACTERS = 24
"""Maximum characters of the word in front of a number that names a thing."""
MOST_NUMBERED = 200
"""Maximum names with digits and years of one passage that tell its figures apart."""
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
        self._clauses: dict[tuple[int, int], frozenset[str]] = {}
        self._identities: dict[int, dict[str, set[str]]] = {}
        self._labels: dict[int, str | None] = {}
        self.figures = figures(passage.text)
        if passage.kind == "row":
            self.figures = [self._with_unit(figure) for figure in self.figures]
        self._cuts = [0, *(cut.end() for cut in _CLAUSE.finditer(passage.text)), len(passage.text)]

    @cached_property
    def names(self) -> list[Name]:
        """Its names, without units, scale words and months."""
        return [name for name in names_of(self.passage.text) if name.text.casefold() not in _NO_NAMES]

    @cached_property
    def words_of_names(self) -> list[frozenset[str]]:
        """The words of each of its names."""
        return [words_of(name.text) for name in self.names]

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

    def label_of(self, figure: Quantity) -> str | None:
        """Return the stem of the word before the number of a thing: `thing` of `Thing 46 needs`.

        It is empty for `#46`, and for the number of a heading. None if the number is a value.
        """
        if figure.start not in self._labels:
            is_plain = figure.unit is None and not figure.code and not figure.word
            self._labels[figure.start] = self._label_of(figure) if is_plain else None
        return self._labels[figure.start]

    def _label_of(self, figure: Quantity) -> str | None:
        text = self.passage.text
        is_id = self.passage.kind == "row" and self._head_of(figure) in _ID_HEADS
        if is_id or self._is_heading_number(figure):
            return ""
        found = _LABEL.search(text[max(0, figure.start - LABEL_CHARACTERS) : figure.start])
        if found is None or (found["name"] and not self._is_named(found["name"], figure)):
            return None
        word = fold(found["fixed"] or found["name"] or "")
        return None if word in STOP_WORDS else stem(word)

    def _is_heading_number(self, figure: Quantity) -> bool:
        is_first = self.passage.kind == "heading" and not figure.start
        return is_first and _HEADING_NUMBER.match(self.passage.text) is not None

    def _head_of(self, figure: Quantity) -> str:
        cell = self._cell_of(figure)
        return "" if cell is None else cell.label.casefold().strip(" .*_")

    def _is_named(self, word: str, figure: Quantity) -> bool:
        """Whether a number behind a capitalised word names a thing: something is said of it."""
        if is_like_a_year(figure) or not word[0].isupper():
            return False
        rest = self.passage.text[figure.end :].strip(" .)*_|")
        is_all = self.passage.kind != "sentence" and not rest
        return is_all or _IS_NAMED.match(self.passage.text, figure.end) is not None

    @cached_property
    def label_words(self) -> frozenset[str]:
        """The words in front of its numbers that name a thing."""
        return frozenset(filter(None, map(self.label_of, self.figures)))

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
        return words_of(self._without_figures)

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
            for at, key, form in self._numbered:
                if start <= at < end and at != figure.start:
                    found.setdefault(form, set()).add(key)
            self._identities[figure.start] = found
        return self._identities[figure.start]

    @cached_property
    def _numbered(self) -> list[tuple[int, str, str]]:
        """The names with digits, the names with a number behind them, and the years: place, name, the same with `#`
        for digits.
        """
        text = self.passage.text
        found = [(name.start, keyed(name.text)) for name in self.names if _DIGITS.search(name.text)]
        ends = {name.start + len(name.text): name for name in self.names}
        for figure in self.figures:
            if figure.code[:2].isdigit() and figure.code[:4].isdigit():
                found.append((figure.start, figure.code[:4]))
            elif is_like_a_year(figure):
                found.append((figure.start, figure.text))
            elif figure.unit is None and figure.start - 1 in ends and text[figure.start - 1] == " ":
                found.append((figure.start, keyed(f"{ends[figure.start - 1].text} {figure.text}")))
        return _with_forms(found[:MOST_NUMBERED])

    def words_of_clause(self, figure: Quantity) -> frozenset[str]:
        """Return the content words of the clause of a figure alone."""
        clause = self.clause(figure)
        if clause not in self._clauses:
            self._clauses[clause] = words_of(self._without_figures[slice(*clause)])
        return self._clauses[clause]

    def _words_of_clause(self, figure: Quantity) -> frozenset[str]:
        start, end = self.clause(figure)
        near = self.words_of_clause(figure)
        before = bisect_left(self.names, end, key=lambda name: name.start)
        if before and self.names[before - 1].start < start:
            near |= words_of(self.names[before - 1].text)
        if not before or self._first_sure >= before:
            near |= words_of(self.passage.context)
        return near

    @cached_property
    def _first_sure(self) -> int:
        return next((n for n, name in enumerate(self.names) if name.sure), len(self.names))

    def clause(self, figure: Quantity) -> tuple[int, int]:
        """Return start and end of the clause of a figure."""
        place = bisect_right(self._cuts, figure.start)
        end = bisect_left(self._cuts, figure.end)
        return self._cuts[max(0, place - 1)], self._cuts[min(end, len(self._cuts) - 1)]

    def _words_of_cell(self, figure: Quantity) -> frozenset[str]:
        cell = self._cell_of(figure)
        own = frozenset[str]() if cell is None else words_of(f"{cell.label} {self._blanked(cell.value)}")
        return own | self._words_of_other_cells

    @cached_property
    def _words_of_other_cells(self) -> frozenset[str]:
        """The content words of the cells without figures, and of what is above a record."""
        starts = [each.start for each in self.figures if not each.word]
        found: set[str] = set()
        for cell in self.cells:
            if bisect_left(starts, cell.start) == bisect_left(starts, cell.end):
                found |= words_of(self._blanked(cell.value))
        if "|" not in self.passage.text:
            found |= words_of(self.passage.context)
        return frozenset(found)

    def _cell_of(self, figure: Quantity) -> "Cell | None":
        at = bisect_right(self.cells, figure.start, key=lambda cell: cell.start) - 1
        return self.cells[at] if at >= 0 and figure.start <= self.cells[at].end else None

    @cached_property
    def cells(self) -> list["Cell"]:
        """The cells of a row of a table, or the fields of a record, with their labels."""
        text = self.passage.text
        separator = "|" if "|" in text else "; "
        heads = self.passage.context.rpartition(" / ")[2].split("|") if separator == "|" else []
        every = text.split(separator)
        cut = len(every) - len(heads) if len(self.passage.context) >= CONTEXT_CHARACTERS else 0
        found: list[Cell] = []
        at = 0
        for n, words in enumerate(every, -max(0, cut)):  # of a long head, the first columns are cut
            label, _, value = words.rpartition(": ")
            head = heads[n] if 0 <= n < len(heads) else ""
            found.append(Cell(at, at + len(words), f"{head} {label}".strip(), value))
            at += len(words) + len(separator)
        return found

    def _with_unit(self, figure: Quantity) -> Quantity:
        """Return a figure without a unit with that of its label: `memory_mb: 40`, `Memory (MB)`."""
        if figure.unit is not None or figure.code or is_like_a_year(figure):
            return figure
        cell = self._cell_of(figure)
        label = "" if cell is None else cell.label
        words = re.split(r"[\s_()\[\]/,]+", label.casefold().rstrip(" )]"))
        unit = UNITS.get(words[-1]) if len(words[-1]) > 1 or words[-1] in ("%", "$", "€", "£", "¥", "s") else None
        return figure if unit is None else replace(figure, unit=unit)

    @cached_property
    def _without_figures(self) -> str:
        """The text with spaces for figures: places stay."""
        kept: list[str] = []
        at = 0
        for each in self.figures:
            if each.end > at:
                start = max(at, each.start)
                kept += [self.passage.text[at:start], " " * (each.end - start)]
                at = each.end
        return "".join(kept) + self.passage.text[at:]

    def _blanked(self, text: str) -> str:
        return re.sub(r"\[[^\]]*\]|\d\S*", " ", text)


def _with_forms(found: Iterable[tuple[int, str]]) -> list[tuple[int, str, str]]:
    return [(at, key, _DIGITS.sub("#", key)) for at, key in found]


def is_like_a_year(figure: Quantity) -> bool:
    """Return whether a figure is probably a year."""
    return figure.unit is None and len(figure.text) == 4 and figure.text.isdigit() and "1500" <= figure.text < "2100"


def noun_behind(text: str, figure: Quantity) -> str:
    """Return the stem of the word behind a figure, or an empty text."""
    match = _NOUN.match(text, figure.end)
    return "" if match is None or fold(match[1]) in STOP_WORDS else stem(fold(match[1]))
