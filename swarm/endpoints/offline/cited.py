"""The claims of the steps' outputs, each with the steps it comes from, and without duplicates."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from swarm.endpoints.offline.answer import NOT_READ, NOT_SHOWN, NOTHING, SAYS_NOTHING, quoted
from swarm.endpoints.offline.rank import (
    PAIRWISE,
    Passage,
    Question,
    names,
    same,
    similarity,
    vectors,
    words,
)
from swarm.endpoints.offline.read import Claim, Source, label, labelled, passage

BY_SOURCE = "By source"
SAID_ABOVE = "Its content is listed above."
DISAGREEMENTS = "Disagreements between sources"
MISSING = "Missing information"
HOW = (
    "*Built by the offline endpoint from sentences of the sources, ranked by relevance to the goal."
    " No language model was used.*"
)

CITATIONS = re.compile(r"(?:\s*\[[a-z0-9][a-z0-9_.-]{0,63}(?:, ?[a-z0-9][a-z0-9_.-]{0,63})*\])+[.;]?$")
"""The citations at the end of a claim."""
_LINE = re.compile(r"^`([^`]{1,300})`: ")
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_OWN = (HOW, SAID_ABOVE, SAYS_NOTHING, NOTHING)


@dataclass(frozen=True, slots=True)
class Cited:
    """A claim with the steps it comes from."""

    about: str
    """Its subject, if it does not name it itself."""
    text: str
    """The claim with its subject."""
    short: str
    """The claim for a place below a heading with its source."""
    steps: tuple[str, ...]
    origin: str
    """Its heading: the file it comes from, else the step."""
    passage: Passage
    lead: bool = False
    """True if it is the first claim of its origin."""
    score: float = 0.0

    @property
    def line(self) -> str:
        """The claim with its citations."""
        return f"{self.text} {marks_of(self.steps)}"


@dataclass(frozen=True, slots=True)
class _OutputLine:
    """A claim of an output, with its citations and its file taken off."""

    claim: Claim
    text: str
    steps: tuple[str, ...]
    file: str


def cited_claims(source: Source, asked: Question) -> Iterator[Cited]:
    """Yield the claims of an output with their citations.

    If the output is a report with citations, these are its own. Else each claim cites the step.
    """
    cited = [bool(CITATIONS.search(claim.text)) for claim in source.claims]
    is_report = sum(cited) > max(1, len(cited) / 2)
    lines = [_line(claim, source.name, is_report=is_report) for claim in source.claims]
    # A later section of a report names the file of a step, also for its claims at the head.
    files = {line.steps[0]: line.file for line in lines if line.file} if is_report else {}
    seen: set[str] = set()
    for line in lines:
        text = quoted(line.text)
        if is_frame(text, line.claim):
            continue
        file = line.file or files.get(line.steps[0], "")
        origin = file or line.steps[0]
        prior = 0.0 if origin in seen else 1.0
        seen.add(origin)
        yield _cited_claim(Claim(text, _headings(line.claim), prior), file, line.steps, asked)


def _line(claim: Claim, step: str, *, is_report: bool) -> _OutputLine:
    file = _file(claim, is_report)
    if not is_report:
        return _OutputLine(claim, claim.text, (step,), file)
    marks = CITATIONS.search(claim.text)
    steps = tuple(_ID.findall(marks[0])) if marks else (step,)
    return _OutputLine(claim, _uncited(claim.text, marks), steps, file)


def _uncited(text: str, marks: re.Match[str] | None) -> str:
    """Return a claim of a report without its citations and without the file at its start."""
    return _LINE.sub("", text[: marks.start()] if marks else text, count=1)


def _headings(claim: Claim) -> tuple[str, ...]:
    """Return the headings of a claim that are not our own frame and not file names."""
    return tuple(quoted(name) for name in claim.where if name != BY_SOURCE and not _is_code(name))


def _cited_claim(claim: Claim, file: str, steps: tuple[str, ...], asked: Question) -> Cited:
    """Return a claim with its subject and the steps it comes from."""
    origin = file or steps[0]
    subject = Source(origin, path=file.endswith((".py", ".pyi")), named=bool(file))
    about = label(subject, claim, asked.common)
    full = f"{about}: {claim.text}" if about else claim.text
    below = full
    if file:
        named = replace(subject, named=not subject.path, path=False)
        below = labelled(named, claim, asked.common) or full
    is_lead = claim.prior > 0
    return Cited(about, full, below, steps, origin, passage(subject, claim), is_lead)


def _file(claim: Claim, cites: bool) -> str:
    """Return the file at the start of a claim's line or in its nearest heading; else empty."""
    line = _LINE.match(claim.text) if cites else None
    if line:
        return line[1]
    return next((name.strip("`") for name in reversed(claim.where) if _is_code(name)), "")


def _is_code(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == "`"


def is_frame(text: str, claim: Claim) -> bool:
    """Return whether a line has no content: our own phrase, a rule, or another section."""
    if not any(c.isalnum() for c in text) or text.startswith((NOT_READ, NOT_SHOWN)):
        return True
    if DISAGREEMENTS in claim.where or MISSING in claim.where:
        return True
    return len(text) > 12 and any(text in phrase for phrase in _OWN)


def merged(claims: Sequence[Cited]) -> list[Cited]:
    """Return claims with duplicates merged: equal ones always, similar ones among the best claims."""
    kept: dict[str, Cited] = {}
    for claim in claims:
        key = claim.text.casefold().rstrip(".")
        kept[key] = _joined(kept[key], claim) if key in kept else claim
    return _merge_similar(list(kept.values()))


def _merge_similar(found: list[Cited]) -> list[Cited]:
    """Return claims with similar ones among the best merged into the first of them."""
    best = sorted(range(len(found)), key=lambda i: (-found[i].score, i))
    top = sorted(best[:PAIRWISE])
    weighed = vectors([words(found[i].text) for i in top])
    subjects = [(found[i].about, subjects_of(found[i].text)) for i in top]
    merged: set[int] = set()
    for b, i in enumerate(top):
        for a in range(b):
            j = top[a]
            if j in merged or subjects[a] != subjects[b]:
                continue
            if same(found[i].passage, found[j].passage, similarity(weighed[a], weighed[b])):
                found[j] = _joined(found[j], found[i])
                merged.add(i)
                break
    return [claim for i, claim in enumerate(found) if i not in merged]


def _joined(one: Cited, other: Cited) -> Cited:
    steps = tuple(dict.fromkeys((*one.steps, *other.steps)))
    return replace(one, steps=steps, score=max(one.score, other.score))


def subjects_of(text: str) -> set[str]:
    """Return the subjects of a claim: its proper names, and its first word if it has a capital."""
    first = re.match(r"[^\W\d_a-z][\w-]*", text)
    found = (*names(text), *([first[0]] if first else []))
    return {name.casefold().removesuffix("'s") for name in found if words(name)}


def marks_of(steps: Sequence[str]) -> str:
    """Return the citations of steps."""
    return " ".join(f"[{step}]" for step in steps)
