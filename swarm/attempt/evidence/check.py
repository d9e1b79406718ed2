"""The status of each claim of a report: whether its figures, names and quotations are in what it cites.

A figure of a claim is one of these, in the order of the code:

1. Found in a cited text, with a unit that may be the same: supported. But if another passage is clearly the one that
   the claim repeats, and has another figure: unsupported.
2. The same quantity in another unit, or rounded: derived.
3. A sum, difference, ratio, percentage, average or count of cited figures: derived.
4. In the goal, which the report may repeat: supported.
5. Not found: unsupported.

A name is looked for if the sentence has a figure or a quotation. A quotation is looked for if it has some words.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from swarm.attempt.citations import cited_spans
from swarm.attempt.evidence.derive import computed, computes, restated
from swarm.attempt.evidence.figures import Quantity
from swarm.attempt.evidence.passages import Sentence, markdown_passages
from swarm.attempt.evidence.sources import Occurrence, SourceText, Statement, in_base, may_agree
from swarm.attempt.evidence.terms import STOP_WORDS, Name, fold, quotations, stem, words_of

Evidence = Literal["supported", "derived", "unsupported", "uncited"]
ALIKE = 0.6
"""Minimum share of a claim's words in a passage that the claim seems to repeat."""
CLEARER = 0.25
"""How much more of a claim's words that passage must have than every passage with the claim's figure."""
ENOUGH = 0.75
"""Share of a claim's words near a figure from which no other passage is looked for."""
MISSING_CHARACTERS = 120
"""Maximum characters of a missing quotation in a list."""

_REFERENCE = re.compile(
    r"\b(?:section|table|figure|fig\.|appendix|step|point|item|option|question|chapter|abschnitt|tabelle|abbildung)\s$",
    re.IGNORECASE,
)
_BRACKET = re.compile(r"[ \t]*\[([^\[\]\n]{1,600})\]")
_ADDRESS = re.compile(r"\]\([^)\n]*\)|https?://\S+")
_GERMAN = re.compile(
    r"\b(?:der|das|und|ist|sind|mit|von|für|eine?|einer|wie|mehr|als|nicht|auch|oder|zum|zur|gegenüber|beträgt|wird)\b",
    re.IGNORECASE,
)
"""Words of German, which writes nouns like names."""


@dataclass(frozen=True, slots=True)
class ReportClaim:
    """One sentence of a report, and whether the steps that it cites support it."""

    id: str
    """`c1`, `c2` … for sentences with citations, `u1`, `u2` … for the others, in the order of the text."""
    text: str
    """The sentence, without its citations."""
    start: int
    """Offset of the sentence in the report."""
    end: int
    steps: tuple[str, ...] = ()
    """Ids of the cited steps."""
    evidence: Evidence = "supported"
    missing: tuple[str, ...] = ()
    """Figures, names and quotations that were not found, as they are in the sentence."""
    found: tuple[Occurrence, ...] = ()
    """Where its figures were found."""


SourcesOf = Callable[[str], Sequence[SourceText]]
"""Returns the texts that a citation of a step stands for."""


def split_claims(text: str, known: Collection[str]) -> list[ReportClaim]:
    """Return the sentences of a report that state something, cited or not. Their evidence is not yet checked."""
    all_passages = markdown_passages(text)
    found, used = _cited_claims(text, all_passages, known)
    rest = [each for n, each in enumerate(all_passages) if n not in used and _states(each)]
    found += [ReportClaim(f"u{n}", p.text, p.start, p.end, evidence="uncited") for n, p in enumerate(rest, 1)]
    return sorted(found, key=lambda claim: (claim.start, claim.end))


def _states(passage: Sentence) -> bool:
    """Whether a passage may state something: a sentence or a row, and not the label of a list."""
    is_text = passage.kind in ("sentence", "row") and any(c.isalpha() for c in passage.text)
    return is_text and not passage.text.rstrip("* ").endswith(":")


def _cited_claims(
    text: str, all_passages: list[Sentence], known: Collection[str]
) -> tuple[list[ReportClaim], set[int]]:
    """Return the claims with citations, and the indexes of their passages."""
    starts = [passage.start for passage in all_passages]
    found: list[ReportClaim] = []
    used: set[int] = set()
    for n, span in enumerate(cited_spans(text, known), 1):
        first = max(0, bisect_right(starts, span.start) - 1)
        last = max(first, bisect_right(starts, span.end - 1) - 1)
        while first and not _said(text, all_passages[first : last + 1], known) and _is_next(all_passages, first):
            first -= 1
        used.update(range(first, last + 1))
        said = _said(text, all_passages[first : last + 1], known)
        start, end = all_passages[first].start, all_passages[last].end
        found.append(ReportClaim(f"c{n}", said, start, end, span.steps))
    return found, used


def _is_next(all_passages: list[Sentence], n: int) -> bool:
    return all_passages[n - 1].kind in ("sentence", "row")


def _said(text: str, pieces: Sequence[Sentence], known: Collection[str]) -> str:
    """Return the words of passages without their citations and addresses."""
    words = text[pieces[0].start : pieces[-1].end] if pieces else ""
    return bare(words, known)


def bare(text: str, known: Collection[str]) -> str:
    """Return a text without citations of known steps and without addresses of links."""

    def without(match: re.Match[str]) -> str:
        tokens = re.split(r"[,;\s]+", match[1].strip().lower().strip("`"))
        return "" if any(token in known for token in tokens) else match[0]

    return _ADDRESS.sub("]", _BRACKET.sub(without, text)).strip(" \t\n`")


class Checker:
    """Checks of the claims of one report against its sources."""

    def __init__(self, sources: SourcesOf, everything: Sequence[SourceText], *, goal: str = "") -> None:
        """`everything` are all texts that the writer read; `goal` is what it was asked."""
        self._sources = sources
        self._everything = everything
        self._goal = SourceText("goal", goal)

    def check(self, text: str, known: Collection[str]) -> list[ReportClaim]:
        """Return the claims of a report with their evidence."""
        contexts = {passage.start: passage for passage in markdown_passages(text)}
        return [self._checked(claim, contexts.get(claim.start)) for claim in split_claims(text, known)]

    def _checked(self, claim: ReportClaim, passage: Sentence | None) -> ReportClaim:
        context = "" if passage is None else passage.context
        kind = "sentence" if passage is None else passage.kind
        statement = Statement(Sentence(0, len(claim.text), claim.text, kind, 0, context))
        cited = self._cited(claim.steps) if claim.steps else list(self._everything)
        if not cited:
            return claim
        look = _Look(statement, cited, self._everything, self._goal)
        look.at_figures()
        look.at_quotations()
        look.at_names()
        evidence: Evidence = "derived" if look.is_derived else "supported"
        if look.missing:
            evidence = "unsupported"
        if not claim.steps:
            evidence = "uncited"
        found = tuple(look.found) if claim.steps else ()
        return replace(claim, evidence=evidence, missing=tuple(dict.fromkeys(look.missing)), found=found)

    def _cited(self, steps: Iterable[str]) -> list[SourceText]:
        found: dict[int, SourceText] = {}
        for step in steps:
            found.update((id(each), each) for each in self._sources(step))
        return list(found.values())


class _Look:
    """The search for what one claim says in the texts that it cites."""

    def __init__(
        self, statement: Statement, cited: list[SourceText], everything: Sequence[SourceText], goal: SourceText
    ) -> None:
        self._statement = statement
        self._cited = cited
        self._everything = everything
        self._goal = goal
        self._words = words_of(statement.passage.text)
        self._values = set(chain.from_iterable(each.values for each in statement.figures))
        self.missing: list[str] = []
        self.found: list[Occurrence] = []
        self.is_derived = False

    # Figures

    def at_figures(self) -> None:
        """Look for every figure."""
        text = self._statement.passage.text
        for figure in self._statement.figures:
            if _REFERENCE.search(text[max(0, figure.start - 16) : figure.start]):
                continue
            if figure.word:
                self._at_word(figure)
            elif not self._is_found(figure):
                self.missing.append(figure.text.strip())

    def _is_found(self, figure: Quantity) -> bool:
        same = list(chain.from_iterable(source.same(figure) for source in self._cited))
        if same:  # 1
            best = max(same, key=lambda each: self._share(figure, each))
            if self._contradicted(figure, self._share(figure, best)):
                return False
            self.found.append(best)
            return True
        if any(not each.is_indexed and each.mentions(figure.text) for each in self._cited):
            return True
        return self._is_derived(figure) or self._is_context(figure) or self._is_two(figure)

    def _is_derived(self, figure: Quantity) -> bool:
        other = restated(self._statement, figure, self._cited)  # 2
        if other is not None:
            self.found.append(other)
            self.is_derived = True
            return True
        may_be = computes(self._statement.passage.text) or not self._contradicted(figure, 0.0)
        if may_be and computed(self._statement, figure, self._cited):  # 3
            self.is_derived = True
            return True
        return False

    def _is_context(self, figure: Quantity) -> bool:
        """Whether a figure is in the goal, or in what a cited step was asked."""
        texts = [self._goal, *(each.asked for each in self._cited)]
        return any(text.same(figure) for text in texts)

    def _is_two(self, figure: Quantity) -> bool:
        """Whether digits with a space between them are two figures that are there."""
        parts = figure.text.split()
        if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
            return False
        two = [Quantity(0, 0, part, (float(part),)) for part in parts if part.isdigit()]
        return all(any(source.same(each) for source in self._cited) for each in two)

    def _share(self, figure: Quantity, each: Occurrence) -> float:
        """Return the share of the words near a figure that are near it in the source, too."""
        wanted = self._statement.words_near(figure)
        if not wanted:
            return 1.0
        theirs = each.source.statement(each.at)
        near = theirs.words_near(each.figure)
        if theirs.passage.kind != "row" and not self._has_other_name(theirs):
            near = near | theirs.words | each.source.words_of_block(each.at)
        return len(wanted & near) / len(wanted)

    def _has_other_name(self, theirs: Statement) -> bool:
        """Whether a passage names something that the claim does not."""
        return any(not (words_of(name.text) & self._words) for name in theirs.names)

    def _contradicted(self, figure: Quantity, share: float) -> bool:
        """Whether another passage is clearly the one that the claim repeats, and has another figure."""
        wanted = self._statement.words_near(figure)
        if share >= ENOUGH or not wanted:
            return False
        for source in self._cited:
            for each in source.occurrences:
                if not self._is_other(figure, each.figure):
                    continue
                near = source.statement(each.at).words_near(each.figure)
                shared = wanted & near
                if len(shared) / len(wanted) >= max(ALIKE, share + CLEARER) and self._tells(shared, len(wanted)):
                    return True
        return False

    def _tells(self, shared: frozenset[str], wanted: int) -> bool:
        """Whether shared words are enough to identify a statement."""
        return len(shared) >= 2 or len(shared) == wanted == 1

    def _is_other(self, figure: Quantity, other: Quantity) -> bool:
        """Whether a figure is comparable with that of the claim, differs, and is not in the claim."""
        if bool(figure.code) != bool(other.code) or other.word:
            return False
        if figure.code:
            return len(figure.code) == len(other.code) and figure.code != other.code
        units = {figure.unit, other.unit} - {None}
        if len(units) > 1 and in_base(figure)[0] != in_base(other)[0]:
            return False
        if _is_year(figure) != _is_year(other):
            return False
        return not self._values.intersection(other.values)

    def _at_word(self, figure: Quantity) -> None:
        """Look for a number word. It is missing only if its noun has another number in the source."""
        if figure.values[0] == 1 or any(source.same(figure) for source in self._cited):
            return
        noun = _noun_behind(self._statement.passage.text, figure)
        if not noun or computed(self._statement, figure, self._cited):
            return
        for source in self._cited:
            for each in source.occurrences:
                if not each.figure.code and _noun_behind(each.passage.text, each.figure) == noun:
                    self.missing.append(f"{figure.text} {noun}")
                    return

    # Quotations

    def at_quotations(self) -> None:
        """Look for every quotation."""
        for quoted in quotations(self._statement.passage.text):
            if not any(source.has_quotation(quoted) for source in (*self._cited, self._goal)):
                self.missing.append(f"“{quoted[:MISSING_CHARACTERS]}”")

    # Names

    def at_names(self) -> None:
        """Look for every name of a sentence with a figure or a quotation."""
        text = self._statement.passage.text
        if not any(not figure.word for figure in self._statement.figures) and not quotations(text):
            return
        found: list[Name] = []
        missing: list[Name] = []
        for name in self._statement.names:
            is_there = any(source.has_name(name.text) for source in self._cited)
            (found if is_there else missing).append(name)
        for name in missing:
            if self._is_missing(name, bool(found)):
                self.missing.append(name.text)

    def _is_missing(self, name: Name, others: bool) -> bool:
        """Whether a name that is in no cited text is an error. `others`: another name of the sentence is there."""
        text = self._statement.passage.text
        if fold(name.text) in STOP_WORDS or _is_cjk(self._cited) != _is_cjk([SourceText("", text)]):
            return False
        replaced = self._replaces(name)
        if self._goal.has_name(name.text) and (others or not replaced):
            return False
        is_known = any(source.has_name(name.text) for source in self._everything)
        is_name = name.sure and (is_known or not _GERMAN.search(text))
        return is_name or replaced or self._is_cell(name)

    def _is_cell(self, name: Name) -> bool:
        """Whether a name is the first cell of a row."""
        passage = self._statement.passage
        return passage.kind == "row" and "|" not in passage.text[: name.start].strip().lstrip("|")

    def _replaces(self, name: Name) -> bool:
        """Whether a name is where the source has another one, in a passage that is the same otherwise."""
        rest = self._statement.own_words - words_of(name.text)
        for each in self.found:
            theirs = each.source.statement(each.at)
            names = (*theirs.names, *theirs.names_above)
            alien = [other for other in names if not words_of(other.text) & self._words]
            alike = len(rest & theirs.words) / len(rest) if rest else 0.0
            if alien and alike >= ALIKE:
                return True
        return False


def _is_year(figure: Quantity) -> bool:
    value = figure.values[0] if figure.values else 0.0
    return figure.unit is None and value == int(value) and 1500 <= value < 2100 and len(figure.text) == 4


_NOUN = re.compile(r"\s(?:[^\W\d_]+ly\s)?([^\W\d_]{3,30})")


def _noun_behind(text: str, figure: Quantity) -> str:
    """Return the stem of the word behind a figure, or an empty text."""
    match = _NOUN.match(text, figure.end)
    return "" if match is None or fold(match[1]) in STOP_WORDS else stem(fold(match[1]))


def _is_cjk(sources: Iterable[SourceText]) -> bool:
    text = "".join(source.text[:2000] for source in sources)
    return sum("\u3040" <= c <= "\u9fff" for c in text) > len(text) / 8


def agrees(one: Quantity, other: Quantity) -> bool:
    """Return whether two figures may be the same quantity."""
    if one.code or other.code:
        return one.code == other.code or one.code.startswith(other.code) or other.code.startswith(one.code)
    return may_agree(one, other) and bool(set(one.values) & set(other.values))
