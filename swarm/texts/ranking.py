"""Claims of sources ranked by their relevance to questions: which are about them, and the best of each."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import PurePosixPath

from swarm.texts.claims import Claim
from swarm.texts.lexicon import GENERIC
from swarm.texts.sentences import Source
from swarm.texts.terms import stem
from swarm.texts.words import FLOOR, SHARE, Facet, Passage, relevance


def scores_of(questions: Iterable[Facet], passages: Sequence[Passage]) -> list[list[float]]:
    """Return for each question the relevance of each passage.

    All are ranked together, so that a word is rare only if it is rare in all sources.
    """
    return [relevance(question, passages) for question in questions]


def claims_of(sources: Iterable[Source]) -> Iterator[tuple[Source, Claim]]:
    """Yield the claims of sources, each with its source."""
    for source in sources:
        yield from ((source, claim) for claim in source.claims)


def passages_of(sources: Iterable[Source]) -> list[Passage]:
    """Return the claims of sources with the words above them: title, name of the file, headings."""
    found: list[Passage] = []
    for source in sources:
        named = f"{source.title} {subject_of(source.name)}"
        claims = enumerate(source.claims)
        found += [Passage(each.text, " ".join((named, *each.where)), lead=not n) for n, each in claims]
    return found


def subject_of(name: str) -> str:
    """Return the words of a file's name that may name a subject: not those of `notes-3.md`, or of a step."""
    path = PurePosixPath(name)
    is_file = path.suffix and not path.suffix[1:].isdigit()
    named = re.split(r"[\W_]+", path.stem) if is_file else []
    return " ".join(word for word in named if not word.isdigit() and stem(word.casefold()) not in GENERIC)


def about(scores: Sequence[Sequence[float]]) -> list[int]:
    """Return the passages that are about the questions, the best of each question in turn."""
    found = chain.from_iterable(zip_longest(*map(_best, scores)))
    return list(dict.fromkeys(n for n in found if n is not None))


def _best(own: Sequence[float]) -> list[int]:
    """Return the passages above the floor, and not far below the best one, by relevance."""
    least = max(FLOOR, SHARE * max(own, default=0.0))
    return sorted((n for n, value in enumerate(own) if value >= least), key=lambda n: (-own[n], n))


def totals(scores: Iterable[Sequence[float]]) -> list[float]:
    """Return the relevance of each passage to the question that it answers best."""
    return [max(each) for each in zip(*scores, strict=True)]
