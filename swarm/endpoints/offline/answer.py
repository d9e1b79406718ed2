"""Answers as text: the sentences of each source that are nearest to the question.

No sentence is generated. An answer consists of sentences from the sources and of the fixed phrases
below. A sentence that does not name its subject gets the subject in front. Reports are in
`swarm.endpoints.offline.report`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from swarm.endpoints.offline.rank import Passage, Question, pick, score
from swarm.endpoints.offline.read import Claim, Source, flat, labelled, passage
from swarm.spec.chat import estimate_tokens

NOTHING = (
    "The offline endpoint is not a language model. It returns sentences of its inputs, and it has no"
    " inputs. Add `inputs:` to the task, or set a model with `--endpoint URL` or `models:`."
)
NOT_READ = "Not read, because the offline endpoint reads only text:"
SAYS_NOTHING = "It contains no readable text."
NOT_SHOWN = "Omitted because of the length limit:"

TEXT_TOKENS = 3_000
"""Maximum tokens of an answer, as estimated: about four pages."""
PER_SOURCE = 6
"""Maximum claims of one source."""
PER_ANSWER = 40
"""Maximum claims of all sources together. Each source has at least one."""
_NEAR = 0.35
"""Minimum score of a claim, as a share of the best score."""

_BRACKETED = re.compile(r"\[([^\[\]]{0,300})\]")


@dataclass(frozen=True, slots=True)
class SourceOutput:
    """The material of an answer: the question and the sources that were read."""

    question: Question
    goal: str
    sources: tuple[Source, ...]
    unread: tuple[str, ...] = ()
    """Names of images, audio and videos."""
    missing: tuple[str, ...] = ()
    """Lines that say what is missing."""
    most: int | None = None
    """Maximum output of the request in tokens."""


def answer(given: SourceOutput) -> str:
    """Return an answer to a worker's question, with a section per source."""
    unread = not_read(given.unread)
    budget = min(TEXT_TOKENS, given.most or TEXT_TOKENS)
    budget -= sum(estimate_tokens(line) + 1 for line in unread)
    blocks: list[str] = []
    left: list[str] = []
    for source, lines in zip(given.sources, _nearest(given), strict=True):
        bullets = [f"- {line}" for line in lines]
        text = block(f"### {code(source.name)}", bullets or [SAYS_NOTHING])
        budget -= estimate_tokens(text) + 1
        if blocks and budget < 0:
            left.append(source.name)
        else:
            blocks.append(text)
    return "\n\n".join([*blocks, *left_out(left), *unread]) or NOTHING


def _nearest(given: SourceOutput) -> list[list[str]]:
    """Return the chosen claims of each source, in its own order.

    All claims are ranked together, so that a word is rare only if it is rare in all sources.
    """
    every: list[Passage] = []
    for source in given.sources:
        every += [passage(source, claim) for claim in source.claims]
    scores = score(given.question, every)
    count = max(1, min(PER_SOURCE, PER_ANSWER // max(1, len(given.sources))))
    found: list[list[str]] = []
    start = 0
    for source in given.sources:
        end = start + len(source.claims)
        chosen = _chosen(source, every[start:end], scores[start:end], count)
        found.append([_alone(source, source.claims[i], given.question) for i in chosen])
        start = end
    return found


def _chosen(
    source: Source,
    passages: Sequence[Passage],
    scores: Sequence[float],
    count: int,
) -> list[int]:
    """Return the claims of a source that an answer contains, in order."""
    always = [i for i, claim in enumerate(source.claims) if claim.always]
    others = [i for i, claim in enumerate(source.claims) if not claim.always]
    best = pick(
        [scores[i] for i in others],
        [passages[i] for i in others],
        max(count - len(always), 1),
    )
    return sorted([*always, *worthy([others[k] for k in best], scores)])


def worthy(chosen: Sequence[int], scores: Sequence[float]) -> list[int]:
    """Return the two best chosen claims, and others with at least `_NEAR` of the best score."""
    ranked = sorted(chosen, key=lambda i: (-scores[i], i))
    return [i for n, i in enumerate(ranked) if n < 2 or scores[i] >= _NEAR * scores[ranked[0]]]


def _alone(source: Source, claim: Claim, question: Question) -> str:
    # The full name of program source is already in the heading above its claims.
    return labelled(replace(source, path=False, named=not source.path and source.named), claim, question.common)


def quoted(text: str) -> str:
    """Return a text on one line, with brackets replaced, so that none looks like a citation."""
    return _BRACKETED.sub(r"(\1)", flat(text))


def code(name: str) -> str:
    """Return a name between backquotes."""
    return f"`{flat(name).replace('`', chr(39))}`"


def block(head: str, lines: Sequence[str]) -> str:
    """Return a heading with the lines below it."""
    return "\n".join([head, "", *lines])


def left_out(names: Iterable[str]) -> list[str]:
    """Return a line that lists the truncated names, or no line."""
    listed = ", ".join(code(name) for name in names)
    return [f"{NOT_SHOWN} {listed}."] if listed else []


def not_read(names: Iterable[str]) -> list[str]:
    """Return a line that lists the media that were not read, or no line."""
    listed = ", ".join(code(name) for name in names)
    return [f"{NOT_READ} {listed}."] if listed else []
