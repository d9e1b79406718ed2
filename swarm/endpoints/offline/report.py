"""Merges what steps found into one report: sentences that were read, ranked, each with the steps it comes from.

Repetitions are merged with all their citations, disagreements about a figure stand side by side, and what is missing is
said at the end. The words that are not quoted are the fixed phrases below.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from swarm.endpoints.offline.answer import (
    NOT_READ,
    NOT_SHOWN,
    NOTHING,
    PER_SOURCE,
    SAYS_NOTHING,
    SourceOutput,
    block,
    code,
    left_out,
    not_read,
    quoted,
    worthy,
)
from swarm.endpoints.offline.formats import IMPORTS
from swarm.endpoints.offline.rank import (
    PAIRWISE,
    Passage,
    Question,
    boost,
    figures,
    names,
    pick,
    question,
    relevance,
    same,
    score,
    similarity,
    vectors,
    words,
)
from swarm.endpoints.offline.read import Claim, Source, flat, label, labelled, passage
from swarm.spec.chat import estimate_tokens

BY_SOURCE = "By source"
SAID_ABOVE = "What it says is above."
DISAGREEMENTS = "Where sources disagree"
MISSING = "What is missing"
HOW = (
    "*Put together by the offline endpoint: sentences from the sources, ranked against the goal. No language model was"
    " used.*"
)

REPORT_TOKENS = 8_000
"""Most tokens of a report, as `estimate_tokens` counts: some ten pages."""
HEADLINE = 8
"""Most claims at the head of a report, and most disagreements."""
MANY = 12
"""Sources above which each is written as one line."""
_LEAST = 40  # tokens a source gets, however many there are: one line
_REST = 0.3  # weight of a claim's whole score beside its nearness to one of several questions
_LONG_GOAL = 2_000  # characters of a goal that are split into questions
_CLAUSE = re.compile(r"[?;,.]\s+(?:and\s+)?(?=(?:what|where|how|which|who|whom|when|why)\b)", re.IGNORECASE)

_CITED = re.compile(r"(?:\s*\[[a-z0-9][a-z0-9_.-]{0,63}(?:, ?[a-z0-9][a-z0-9_.-]{0,63})*\])+[.;]?$")
_LINE = re.compile(r"^`([^`]{1,300})`: ")
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_OWN = (HOW, SAID_ABOVE, SAYS_NOTHING, NOTHING)


@dataclass(frozen=True, slots=True)
class Cited:
    """A claim with the steps behind it."""

    about: str
    """What it is about, where it does not say so itself."""
    text: str
    """With what it is about in front."""
    short: str
    """The same, for below a heading that names its source."""
    steps: tuple[str, ...]
    origin: str
    """What it goes under: the file it was read in, else the step."""
    passage: Passage
    lead: bool = False
    """Whether it is the first its origin says."""
    score: float = 0.0

    @property
    def line(self) -> str:
        """The claim with its citations."""
        return f"{self.text} {_marks(self.steps)}"


def report(given: SourceOutput) -> str:
    """Write a report whose claims end with the steps they come from; bounded, in Markdown."""
    found = [cited for source in given.sources for cited in _cited(source, given.question)]
    scores = score(given.question, [claim.passage for claim in found])
    claims = _merged([replace(claim, score=value) for claim, value in zip(found, scores, strict=True)])
    tail = _tail(given, claims)
    if not claims and len(tail) < 2:
        return NOTHING
    head = _headline(claims, given)
    blocks = [f"# {_title(given.goal)}"] if given.goal else []
    blocks += ["\n".join(f"- {claims[i].line}" for i in head)] if head else []
    budget = min(REPORT_TOKENS, given.most or REPORT_TOKENS)
    budget -= sum(estimate_tokens(text) + 1 for text in (*blocks, *tail))
    sections, left = _sections(claims, set(head), budget)
    blocks += [f"## {BY_SOURCE}", *sections] if sections else []
    return "\n\n".join([*blocks, *left_out(left), *tail])


def _cited(source: Source, asked: Question) -> Iterable[Cited]:
    """Take an output's claims with their citations: its own, where it is a report that cites; else the step."""
    marked = [_CITED.search(claim.text) for claim in source.claims]
    cites = sum(map(bool, marked)) > max(1, len(marked) / 2)
    steps = [tuple(_ID.findall(marks[0])) if cites and marks else (source.name,) for marks in marked]
    # In a report, what is said at the head belongs to the file that a later section names for the same step.
    origins = {
        behind[0]: origin for claim, behind in zip(source.claims, steps, strict=True) if (origin := _file(claim, cites))
    }
    seen: set[str] = set()
    for claim, marks, behind in zip(source.claims, marked, steps, strict=True):
        text = claim.text[: marks.start()] if cites and marks else claim.text
        text = quoted(_LINE.sub("", text, count=1) if cites else text)
        if _is_frame(text, claim):
            continue
        file = _file(claim, cites) or (origins.get(behind[0], "") if cites else "")
        origin = file or behind[0]
        where = tuple(quoted(name) for name in claim.where if name != BY_SOURCE and not _is_code(name))
        inner = Claim(text, where, 0.0 if origin in seen else 1.0)
        seen.add(origin)
        subject = Source(origin, path=file.endswith((".py", ".pyi")), named=bool(file))
        about = label(subject, inner, asked.common)
        below = labelled(replace(subject, named=not subject.path, path=False), inner, asked.common) if file else ""
        full = f"{about}: {text}" if about else text
        yield Cited(about, full, below or full, behind, origin, passage(subject, inner), inner.prior > 0)


def _file(claim: Claim, cites: bool) -> str:
    """Name the file that a claim was read in: the line that begins with it, or the heading that is nothing else."""
    line = _LINE.match(claim.text) if cites else None
    if line:
        return line[1]
    return next((name.strip("`") for name in reversed(claim.where) if _is_code(name)), "")


def _is_code(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == "`"


def _is_frame(text: str, claim: Claim) -> bool:
    """Whether a line says nothing about the matter: one of our own phrases, a rule, what is told elsewhere."""
    if not any(c.isalnum() for c in text) or text.startswith((NOT_READ, NOT_SHOWN)):
        return True
    return DISAGREEMENTS in claim.where or MISSING in claim.where or (len(text) > 12 and any(text in p for p in _OWN))


def _merged(claims: Sequence[Cited]) -> list[Cited]:
    """Merge claims that say the same, with all their citations: equal ones everywhere, near ones among the best."""
    kept: dict[str, Cited] = {}
    for claim in claims:
        key = claim.text.casefold().rstrip(".")
        kept[key] = _joined(kept[key], claim) if key in kept else claim
    found = list(kept.values())
    top = sorted(sorted(range(len(found)), key=lambda i: (-found[i].score, i))[:PAIRWISE])
    weighed = vectors([words(found[i].text) for i in top])
    subjects = [(found[i].about, _subjects(found[i].text)) for i in top]
    gone: set[int] = set()
    for b, i in enumerate(top):
        for a in range(b):
            j = top[a]
            if j in gone or subjects[a] != subjects[b]:
                continue
            if same(found[i].passage, found[j].passage, similarity(weighed[a], weighed[b])):
                found[j] = _joined(found[j], found[i])
                gone.add(i)
                break
    return [claim for i, claim in enumerate(found) if i not in gone]


def _joined(one: Cited, other: Cited) -> Cited:
    steps = tuple(dict.fromkeys((*one.steps, *other.steps)))
    return replace(one, steps=steps, score=max(one.score, other.score))


def _headline(claims: Sequence[Cited], given: SourceOutput) -> list[int]:
    """Choose the head of a report: of one or two sources, what is best; else the best claim of each of the best.

    Where the goal asks several things, they take turns.
    """
    if len({claim.origin for claim in claims}) < 3:
        return pick([c.score for c in claims], [c.passage for c in claims], PER_SOURCE)
    turns = [_order(claims, facet) for facet in facets(given.goal)] or [[claim.score for claim in claims]]
    # A list of names is near to every question about one of them, and answers none.
    left: list[int] = [i for i, claim in enumerate(claims) if f"{IMPORTS}:" not in claim.text]
    chosen: list[int] = []
    while left and len(chosen) < HEADLINE:
        scores = turns[len(chosen) % len(turns)]
        best = min(left, key=lambda i: -scores[i])
        chosen.append(best)
        left = [i for i in left if claims[i].origin != claims[best].origin]
    return sorted(chosen)


def _order(claims: Sequence[Cited], facet: Question) -> list[float]:
    near = relevance(facet.weights, [claim.passage.terms for claim in claims])
    return [n + boost(facet, c.text) + _REST * c.score for n, c in zip(near, claims, strict=True)]


def facets(goal: str) -> list[Question]:
    """Split a goal that asks several questions in one sentence or more; empty where it asks one."""
    found = [question((text, 1.0)) for text in _CLAUSE.split(goal[:_LONG_GOAL])]
    asked = [facet for facet in found if facet.weights]
    return asked if len(asked) > 1 else []


def _sections(claims: Sequence[Cited], used: set[int], budget: int) -> tuple[list[str], list[str]]:
    """Write what each source says beyond the headline, sharing the room out evenly; name those without room."""
    origins: dict[str, list[int]] = {}
    for i, claim in enumerate(claims):
        origins.setdefault(claim.origin, []).append(i)
    if used.issuperset(range(len(claims))):
        return [], []
    blocks: list[str] = []
    left: list[str] = []
    for n, (origin, members) in enumerate(origins.items()):
        share = max(_LEAST, budget // (len(origins) - n))
        rest = _rest([claims[i] for i in members if i not in used], share - estimate_tokens(origin) - 12)
        steps = tuple(dict.fromkeys(step for i in members for step in claims[i].steps))
        text = _line(origin, rest, steps) if len(origins) > MANY else _section(origin, rest, steps)
        if estimate_tokens(text) > budget:
            left.append(origin)
            continue
        budget -= estimate_tokens(text) + 1
        blocks.append(text)
    return ["\n".join(blocks)] if len(origins) > MANY else blocks, left


def _rest(claims: Sequence[Cited], room: int) -> list[Cited]:
    """Choose what a source says first, and the best beside it that has room, in their own order."""
    chosen: list[int] = []
    leads = [i for i, claim in enumerate(claims) if claim.lead]
    for i in dict.fromkeys((*leads, *worthy(range(len(claims)), [claim.score for claim in claims]))):
        room -= estimate_tokens(claims[i].short) + 2 + 4 * len(claims[i].steps)
        if chosen and (room < 0 or len(chosen) == PER_SOURCE):
            break
        chosen.append(i)
    return [claims[i] for i in sorted(chosen)]


def _section(origin: str, rest: Sequence[Cited], steps: tuple[str, ...]) -> str:
    lines = [f"- {claim.short} {_marks(claim.steps)}" for claim in rest]
    return block(f"### {code(origin)}", lines or [f"{SAID_ABOVE} {_marks(steps)}"])


def _line(origin: str, rest: Sequence[Cited], steps: tuple[str, ...]) -> str:
    """Write a source as one line."""
    told = [f"{claim.short} {_marks(claim.steps)}" for claim in rest]
    return f"- {code(origin)}: {' '.join(told) or f'{SAID_ABOVE} {_marks(steps)}'}"


def _tail(given: SourceOutput, claims: Sequence[Cited]) -> list[str]:
    lines = ["- " + " / ".join(claim.line for claim in members) for members in disagreements(claims)]
    blocks = [block(f"## {DISAGREEMENTS}", lines)] if lines else []
    missing = [quoted(line) for line in given.missing]
    for source in given.sources:
        told = [c.text for c in source.claims if MISSING in c.where or c.text.startswith((NOT_READ, NOT_SHOWN))]
        missing += [f"{quoted(_CITED.sub('', text))} {_marks((source.name,))}" for text in told]
        if not told and all(_is_frame(claim.text, claim) for claim in source.claims):
            missing.append(f"{flat(source.name)}: {SAYS_NOTHING}")
    missing += not_read(given.unread)
    if missing:
        blocks.append(block(f"## {MISSING}", [f"- {line}" for line in dict.fromkeys(missing)]))
    return [*blocks, HOW]


def disagreements(claims: Sequence[Cited]) -> list[tuple[Cited, ...]]:
    """Find claims that say the same of the same thing but for one figure; only where hardly anything else differs.

    Claims disagree if, figures aside, they share at least three words and 8 of 10 of all their words, name the same
    things, have the same units in the same order, and one figure is not the same.
    """
    groups: dict[tuple[str, ...], list[list[tuple[Cited, set[str], list[float]]]]] = {}
    for claim in claims:
        found = figures(claim.text)
        if not found:
            continue
        terms = {term for term in words(claim.text) if not term[0].isdigit()}
        values = [figure.value for figure in found]
        sets = groups.setdefault((*(f.unit for f in found), "|", *sorted(_subjects(claim.text))), [])
        for members in sets[:PAIRWISE]:
            if all(_disagree(terms, known, values, theirs) for _, known, theirs in members[:HEADLINE]):
                members.append((claim, terms, values))
                break
        else:
            sets.append([(claim, terms, values)])
    every = [tuple(claim for claim, _, _ in members) for sets in groups.values() for members in sets]
    return [members[:HEADLINE] for members in every if len(members) > 1][:HEADLINE]


def _disagree(terms: set[str], known: set[str], values: Sequence[float], theirs: Sequence[float]) -> bool:
    shared, every = len(terms & known), len(terms | known)
    differ = sum(1 for one, other in zip(values, theirs, strict=True) if one != other)
    return differ == 1 and shared >= 3 and shared * 10 >= every * 8


def _subjects(text: str) -> set[str]:
    """Name what a claim is about: its proper names, and its first word if it is written large."""
    first = re.match(r"[^\W\d_a-z][\w-]*", text)
    found = (*names(text), *([first[0]] if first else []))
    return {name.casefold().removesuffix("'s") for name in found if words(name)}


def _marks(steps: Sequence[str]) -> str:
    return " ".join(f"[{step}]" for step in steps)


def _title(goal: str) -> str:
    text = quoted(goal)
    return text if len(text) <= 160 else text[:160].rsplit(" ", 1)[0] + " …"
