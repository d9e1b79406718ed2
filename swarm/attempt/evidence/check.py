"""The status of each claim of a report: whether its figures, names and quotations are in what it cites.

A figure of a claim is one of these, in the order of the code:

1. Found in a cited text, with a unit that may be the same: supported. But if another passage is clearly the one that
   the claim repeats, and has another figure, or if the writer of the text did not read the figure: unsupported.
2. The same quantity in another unit, or rounded: derived.
3. A sum, difference, ratio, percentage, average or count of cited figures: derived.
4. In the goal, which the report may repeat: supported.
5. Not found: unsupported.

A name is looked for if the sentence has a figure or a quotation. A quotation is looked for if it has some words.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from swarm.attempt.citations import cited_spans
from swarm.attempt.evidence.look import Look
from swarm.attempt.evidence.places import Occurrence
from swarm.attempt.evidence.sources import Sources, SourceText
from swarm.attempt.evidence.statements import Statement
from swarm.texts.passages import Sentence, markdown_passages, passages

Evidence = Literal["supported", "derived", "unsupported", "uncited"]
EVERYTHING_CHARACTERS = 1_000_000
"""Maximum characters of all outputs together up to which sentences without citations are checked against them."""

_BRACKET = re.compile(r"(?<![ \t])[ \t]*\[([^\[\]\n]{1,600})\]")
_TARGET = re.compile(r"\]\([^)\n]*\)")
_ADDRESS = re.compile(r"[ \t]?\[https?://[^\s\]]*\]|https?://[^\s\])|]+")
"""An address, and a source that is called by its address."""


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
    return _split(text, markdown_passages(text), known)


def _split(text: str, all_passages: list[Sentence], known: Collection[str]) -> list[ReportClaim]:
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

    @cache
    def said_by(first: int, last: int) -> str:  # a passage may have very many citations
        return _said(text, all_passages[first : last + 1], known)

    found: list[ReportClaim] = []
    used: set[int] = set()
    for n, span in enumerate(cited_spans(text, known), 1):
        first = max(0, bisect_right(starts, span.start) - 1)
        last = max(first, bisect_right(starts, span.end - 1) - 1)
        while first and not said_by(first, last) and _is_next(all_passages, first):
            first -= 1
        used.update(range(first, last + 1))
        said = said_by(first, last)
        start, end = all_passages[first].start, all_passages[last].end
        found.append(ReportClaim(f"c{n}", said, start, end, span.steps))
    return found, used


def _is_next(all_passages: list[Sentence], n: int) -> bool:
    return all_passages[n - 1].kind in ("sentence", "row")


def _said(text: str, pieces: Sequence[Sentence], known: Collection[str]) -> str:
    """Return the words of passages without their citations and addresses."""
    words = text[pieces[0].start : pieces[-1].end] if pieces else ""
    if any(piece.kind == "row" for piece in pieces):  # of CSV, too, whose passages are written otherwise
        words = "\n".join(piece.text for piece in pieces)
    return bare(words, known)


def bare(text: str, known: Collection[str]) -> str:
    """Return a text without citations of known steps and without addresses of links."""

    def without(match: re.Match[str]) -> str:
        tokens = re.split(r"[,;\s]+", match[1].strip().lower().strip("`"))
        return "" if any(token in known for token in tokens) else match[0]

    return _ADDRESS.sub("", _TARGET.sub("]", _BRACKET.sub(without, text))).strip(" \t\n`")


class Checker:
    """Checks of the claims of one report against its sources."""

    def __init__(self, sources: SourcesOf, everything: Sequence[SourceText], *, goal: str = "") -> None:
        """`everything` are all texts that the writer read; `goal` is what it was asked."""
        self._sources = sources
        self._everything = Sources(everything)
        self._cited_sources: dict[tuple[str, ...], Sources] = {}
        self._goal = SourceText("goal", goal)
        self._known: dict[object, ReportClaim] = {}
        """Claims by what decides on their evidence: a report that repeats a sentence is not looked at again."""

    def check(self, text: str, known: Collection[str]) -> list[ReportClaim]:
        """Return the claims of a report with their evidence."""
        all_passages = markdown_passages(text)
        contexts = {passage.start: passage for passage in all_passages}
        found = _split(text, all_passages, known)
        return [self._checked(claim, contexts.get(claim.start)) for claim in found]

    def _checked(self, claim: ReportClaim, passage: Sentence | None) -> ReportClaim:
        context = "" if passage is None else passage.context
        kind = "sentence" if passage is None else passage.kind
        known = (claim.text, claim.steps, kind, context)
        if known not in self._known:
            self._known[known] = self._looked_at(claim, Sentence(0, len(claim.text), claim.text, kind, 0, context))
        done = self._known[known]
        return replace(claim, evidence=done.evidence, missing=done.missing, found=done.found)

    def _looked_at(self, claim: ReportClaim, passage: Sentence) -> ReportClaim:
        cited = self._cited(claim.steps) if claim.steps else self._everything
        is_too_much = not claim.steps and cited.characters > EVERYTHING_CHARACTERS
        if not cited.texts or is_too_much:
            return claim
        look = Look(Statement(passage), cited, self._everything, self._goal)
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

    def _cited(self, steps: tuple[str, ...]) -> Sources:
        if steps not in self._cited_sources:
            found: dict[int, SourceText] = {}
            for step in steps:
                found.update((id(each), each) for each in self._sources(step))
            self._cited_sources[steps] = Sources(found.values())
        return self._cited_sources[steps]


def unfounded(text: str, read: Sequence[SourceText]) -> tuple[str, ...]:
    """Return the figures, names and quotations of an answer that are in none of the texts that its writer read."""
    missing: dict[str, None] = {}
    sources, goal = Sources(read), SourceText("", "")
    for passage in passages(text):
        if passage.kind == "code":
            continue
        look = Look(Statement(passage), sources, sources, goal, strict=False)
        look.at_figures()
        look.at_quotations()
        look.at_names()
        missing.update(dict.fromkeys(look.missing))
    return tuple(missing)
