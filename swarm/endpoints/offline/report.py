"""Reports: the best sentences of the steps' outputs, each with the steps it comes from.

Duplicates are merged with all their citations. Disagreements about a figure are listed together.
The end lists what is missing. All other words are the fixed phrases below.
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
from swarm.endpoints.offline.cited import (
    BY_SOURCE,
    CITATIONS,
    DISAGREEMENTS,
    HOW,
    MISSING,
    SAID_ABOVE,
    Cited,
    cited_claims,
    is_frame,
    marks_of,
    merged,
    subjects_of,
)
from swarm.endpoints.offline.formats import IMPORTS
from swarm.endpoints.offline.rank import (
    PAIRWISE,
    Question,
    boost,
    figures,
    pick,
    question,
    relevance,
    score,
    words,
)
from swarm.endpoints.offline.read import Claim, Source, flat
from swarm.spec.chat import estimate_tokens

REPORT_TOKENS = 8_000
"""Maximum tokens of a report, as estimated: about ten pages."""
HEADLINE = 8
"""Maximum claims at the head of a report, and maximum disagreements."""
MANY = 12
"""Maximum sources with a section each. If there are more, each has one line."""
_LEAST = 40  # minimum tokens per source: one line
_REST = 0.3  # weight of a claim's whole score; its relevance to one of several questions has 1
_LONG_GOAL = 2_000  # maximum characters of a goal that are split into questions
_CLAUSE = re.compile(r"[?;,.]\s+(?:and\s+)?(?=(?:what|where|how|which|who|whom|when|why)\b)", re.IGNORECASE)


def report(given: SourceOutput) -> str:
    """Return a report in Markdown whose claims end with citations, up to the maximum tokens."""
    found: list[Cited] = []
    for source in given.sources:
        found += cited_claims(source, given.question)
    scores = score(given.question, [claim.passage for claim in found])
    claims = merged([replace(claim, score=value) for claim, value in zip(found, scores, strict=True)])
    tail = _tail(given, claims)
    if not claims and len(tail) < 2:
        return NOTHING
    head = _headline(claims, given)
    blocks = _top(given.goal, [claims[i] for i in head])
    budget = min(REPORT_TOKENS, given.most or REPORT_TOKENS)
    budget -= sum(estimate_tokens(text) + 1 for text in (*blocks, *tail))
    sections, left = _sections(claims, set(head), budget)
    blocks += [f"## {BY_SOURCE}", *sections] if sections else []
    return "\n\n".join([*blocks, *left_out(left), *tail])


def _top(goal: str, head: Sequence[Cited]) -> list[str]:
    """Return the title and the headline of a report, if it has them."""
    blocks = [f"# {_title(goal)}"] if goal else []
    if head:
        blocks.append("\n".join(f"- {claim.line}" for claim in head))
    return blocks


def _headline(claims: Sequence[Cited], given: SourceOutput) -> list[int]:
    """Return the claims at the head of a report.

    With one or two sources, they are the best claims; else the best claim of each of the best
    sources. If the goal asks several questions, each of them chooses in turn.
    """
    own = [claim.score for claim in claims]
    if len({claim.origin for claim in claims}) < 3:
        return pick(own, [claim.passage for claim in claims], PER_SOURCE)
    turns = [_order(claims, facet) for facet in facets(given.goal)] or [own]
    # A list of names is similar to every question about one of them, but answers none.
    left = [i for i, claim in enumerate(claims) if f"{IMPORTS}:" not in claim.text]
    return _in_turn(left, turns, [claim.origin for claim in claims])


def _in_turn(left: list[int], turns: list[list[float]], origins: list[str]) -> list[int]:
    """Return the best claims of different origins, where the scores in `turns` alternate."""
    chosen: list[int] = []
    while left and len(chosen) < HEADLINE:
        scores = turns[len(chosen) % len(turns)]
        best = max(left, key=scores.__getitem__)
        chosen.append(best)
        left = [i for i in left if origins[i] != origins[best]]
    return sorted(chosen)


def _order(claims: Sequence[Cited], facet: Question) -> list[float]:
    """Return the scores of claims for one of several questions."""
    near = relevance(facet.weights, [claim.passage.terms for claim in claims])
    return [n + boost(facet, c.text) + _REST * c.score for n, c in zip(near, claims, strict=True)]


def facets(goal: str) -> list[Question]:
    """Return the questions of a goal that asks several; nothing if it asks one."""
    found = [question((text, 1.0)) for text in _CLAUSE.split(goal[:_LONG_GOAL])]
    asked = [facet for facet in found if facet.weights]
    return asked if len(asked) > 1 else []


def _sections(claims: Sequence[Cited], used: set[int], budget: int) -> tuple[list[str], list[str]]:
    """Return a section per source, and the names of the sources without space.

    The sources share the space evenly.
    """
    origins: dict[str, list[int]] = {}
    for i, claim in enumerate(claims):
        origins.setdefault(claim.origin, []).append(i)
    if used.issuperset(range(len(claims))):
        return [], []
    is_wide = len(origins) > MANY
    write = _line if is_wide else _section
    blocks: list[str] = []
    left: list[str] = []
    for n, (origin, members) in enumerate(origins.items()):
        share = max(_LEAST, budget // (len(origins) - n))
        rest = _rest([claims[i] for i in members if i not in used], share - estimate_tokens(origin) - 12)
        steps = _steps([claims[i] for i in members])
        text = write(origin, rest, steps)
        if estimate_tokens(text) > budget:
            left.append(origin)
            continue
        budget -= estimate_tokens(text) + 1
        blocks.append(text)
    return ["\n".join(blocks)] if is_wide else blocks, left


def _steps(claims: Iterable[Cited]) -> tuple[str, ...]:
    """Return the steps behind claims, each once."""
    found: dict[str, None] = {}
    for claim in claims:
        found.update(dict.fromkeys(claim.steps))
    return tuple(found)


def _rest(claims: Sequence[Cited], room: int) -> list[Cited]:
    """Return the first claim of a source, and the best others that fit, in their own order."""
    chosen: list[int] = []
    leads = [i for i, claim in enumerate(claims) if claim.lead]
    best = worthy(range(len(claims)), [claim.score for claim in claims])
    for i in dict.fromkeys((*leads, *best)):
        room -= estimate_tokens(claims[i].short) + 2 + 4 * len(claims[i].steps)
        if chosen and (room < 0 or len(chosen) == PER_SOURCE):
            break
        chosen.append(i)
    return [claims[i] for i in sorted(chosen)]


def _section(origin: str, rest: Sequence[Cited], steps: tuple[str, ...]) -> str:
    lines = [f"- {claim.short} {marks_of(claim.steps)}" for claim in rest]
    return block(f"### {code(origin)}", lines or [f"{SAID_ABOVE} {marks_of(steps)}"])


def _line(origin: str, rest: Sequence[Cited], steps: tuple[str, ...]) -> str:
    """Return a source as one line."""
    said = " ".join(f"{claim.short} {marks_of(claim.steps)}" for claim in rest)
    return f"- {code(origin)}: {said or f'{SAID_ABOVE} {marks_of(steps)}'}"


def _tail(given: SourceOutput, claims: Sequence[Cited]) -> list[str]:
    """Return the end of a report: disagreements, what is missing, and how it was built."""
    blocks: list[str] = []
    lines = [" / ".join(claim.line for claim in members) for members in disagreements(claims)]
    if lines:
        blocks.append(block(f"## {DISAGREEMENTS}", [f"- {line}" for line in lines]))
    missing = [quoted(line) for line in given.missing]
    for source in given.sources:
        missing += _missing(source)
    missing += not_read(given.unread)
    if missing:
        blocks.append(block(f"## {MISSING}", [f"- {line}" for line in dict.fromkeys(missing)]))
    return [*blocks, HOW]


def _missing(source: Source) -> list[str]:
    """Return what an output says is missing, or that it has no content."""
    said = [claim.text for claim in source.claims if _says_missing(claim)]
    if said:
        return [f"{quoted(CITATIONS.sub('', text))} {marks_of((source.name,))}" for text in said]
    is_empty = all(is_frame(claim.text, claim) for claim in source.claims)
    return [f"{flat(source.name)}: {SAYS_NOTHING}"] if is_empty else []


def _says_missing(claim: Claim) -> bool:
    return MISSING in claim.where or claim.text.startswith((NOT_READ, NOT_SHOWN))


@dataclass(frozen=True, slots=True)
class _Figured:
    """A claim with figures, for the search for disagreements."""

    claim: Cited
    terms: frozenset[str]
    """Its words without figures."""
    values: tuple[float, ...]


def disagreements(claims: Sequence[Cited]) -> list[tuple[Cited, ...]]:
    """Return claims that are equal except for one figure.

    Claims disagree if they name the same subjects, have the same units in the same order, and
    differ in one figure. Apart from figures, they share at least three words and 80 % of their
    words.
    """
    groups: dict[tuple[str, ...], list[list[_Figured]]] = {}
    for claim in claims:
        found = figures(claim.text)
        if found:
            units = (figure.unit for figure in found)
            key = (*units, "|", *sorted(subjects_of(claim.text)))
            terms = frozenset(term for term in words(claim.text) if not term[0].isdigit())
            values = tuple(figure.value for figure in found)
            _join(groups.setdefault(key, []), _Figured(claim, terms, values))
    disagreeing: list[tuple[Cited, ...]] = []
    for sets in groups.values():
        several = [members[:HEADLINE] for members in sets if len(members) > 1]
        disagreeing += [tuple(each.claim for each in members) for members in several]
    return disagreeing[:HEADLINE]


def _join(sets: list[list[_Figured]], each: _Figured) -> None:
    """Add a claim to the first set with which it disagrees, or else as a new set."""
    for members in sets[:PAIRWISE]:
        if all(_disagree(each, other) for other in members[:HEADLINE]):
            members.append(each)
            return
    sets.append([each])


def _disagree(one: _Figured, other: _Figured) -> bool:
    shared, every = len(one.terms & other.terms), len(one.terms | other.terms)
    differ = sum(1 for a, b in zip(one.values, other.values, strict=True) if a != b)
    return differ == 1 and shared >= 3 and shared * 10 >= every * 8


def _title(goal: str) -> str:
    text = quoted(goal)
    return text if len(text) <= 160 else text[:160].rsplit(" ", 1)[0] + " …"
