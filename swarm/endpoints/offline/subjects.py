"""The subjects of claims: the names that a list or a property of a JSON value asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.endpoints.offline.answer import SourceOutput
from swarm.endpoints.offline.rank import Passage, figures, names, score, words
from swarm.endpoints.offline.read import Claim, Source, passage, stem_of

SHORT = 60
"""Maximum characters of an entry that is a name and not a sentence."""


@dataclass(frozen=True, slots=True)
class ScoredClaim:
    """A claim with its source and score, from which values are taken."""

    source: Source
    claim: Claim
    passage: Passage
    score: float


def scored(given: SourceOutput) -> tuple[ScoredClaim, ...]:
    """Return all claims of all sources with their scores."""
    pairs: list[tuple[Source, Claim]] = []
    for source in given.sources:
        pairs += [(source, claim) for claim in source.claims]
    passages = [passage(source, claim) for source, claim in pairs]
    scores = score(given.question, passages)
    return tuple(ScoredClaim(*pair, p, s) for pair, p, s in zip(pairs, passages, scores, strict=True))


def records(scope: Sequence[ScoredClaim], figure: bool) -> list[ScoredClaim]:
    """Return the claims that become one record each.

    With several sources, that is the best claim of each; with one source, all its relevant claims.
    """
    fit = [said for said in scope if not figure or figures(said.claim.text)]
    best: dict[str, ScoredClaim] = {}
    for said in fit:
        name = said.source.name
        if name not in best or said.score > best[name].score:
            best[name] = said
    if len(best) > 1:
        return list(best.values())
    top = max((said.score for said in fit), default=0.0)
    return [said for said in fit if said.score >= top / 2]


def subject_of(said: ScoredClaim, common: frozenset[str]) -> str:
    """Return the subject of a claim: its head or first word if that is a name, else its heading."""
    text = said.claim.text
    head, colon, _ = text.partition(":")
    first = text.partition(" ")[0].rstrip(":,.'’")
    for name in (head if colon and len(head) <= SHORT else "", first):
        if name[:1] != name[:1].lower() and set(words(name)) - common:
            return name
    return _heading(said, common) or next(iter(names(text)), "")


def _heading(said: ScoredClaim, common: frozenset[str]) -> str:
    """Return the nearest short heading of a claim, or the title of its source; empty if none."""
    source = said.source
    stem = stem_of(source.name) if source.named else ""
    is_related = not stem or set(words(source.title)) & set(words(stem))
    above = (*reversed(said.claim.where), source.title if is_related else stem)
    short = (name for name in above if len(name) <= SHORT and set(words(name)) - common)
    return next((name.strip("`") for name in short), "")


def frequent_names(scope: Sequence[ScoredClaim], common: frozenset[str]) -> list[str]:
    """Return the names in claims, the most frequent and relevant first."""
    counts: dict[str, float] = {}
    for said in scope:
        for name in dict.fromkeys((subject_of(said, common), *names(said.claim.text))):
            counts[name] = counts.get(name, 0.0) + 1 + said.score
    counts.pop("", None)
    return sorted(counts, key=lambda name: -counts[name])


def main_subject(scope: Sequence[ScoredClaim], common: frozenset[str]) -> str:
    """Return the most frequent subject of claims."""
    counts: dict[str, int] = {}
    for said in scope:
        subject = subject_of(said, common)
        counts[subject] = counts.get(subject, 0) + 1
    counts.pop("", None)
    return max(counts, key=lambda subject: counts[subject], default="")
