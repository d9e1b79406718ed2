"""Answers in words: what each source says nearest to the question. Reports are `swarm.endpoints.offline.report`.

No sentence is made here. What is written are sentences that were read, each with the name of what it is about where it
does not say so itself, and the fixed phrases below.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from swarm.endpoints.offline.rank import Question, pick, score
from swarm.endpoints.offline.read import Claim, Source, flat, labelled, passage
from swarm.spec.chat import estimate_tokens

NOTHING = (
    "The offline endpoint is not a language model: it can only give back what it is handed, and here there is nothing"
    " to read. Give the task `inputs:`, or name an endpoint with `--endpoint URL` or under `models:` in the task."
)
NOT_READ = "Not read, because the offline endpoint reads text only:"
SAYS_NOTHING = "Nothing in it could be read as text."
NOT_SHOWN = "Not shown, to keep this short:"

TEXT_TOKENS = 3_000
"""Most tokens of an answer, as `estimate_tokens` counts: some four pages."""
PER_SOURCE = 6
"""Most claims of one source."""
PER_ANSWER = 40
"""Most claims of all sources together, beyond one each."""
_NEAR = 0.35

_BRACKETED = re.compile(r"\[([^\[\]]{0,300})\]")


@dataclass(frozen=True, slots=True)
class SourceOutput:
    """What an answer is made of."""

    question: Question
    goal: str
    sources: tuple[Source, ...]
    unread: tuple[str, ...] = ()
    """Pictures, sounds and films, by name."""
    missing: tuple[str, ...] = ()
    """What is missing, a line each."""
    most: int | None = None
    """The request's output cap in tokens."""


def answer(given: SourceOutput) -> str:
    """Answer a worker's question out of its sources, naming each; bounded, in the order of the sources."""
    unread = not_read(given.unread)
    budget = min(TEXT_TOKENS, given.most or TEXT_TOKENS) - sum(estimate_tokens(line) + 1 for line in unread)
    blocks: list[str] = []
    left: list[str] = []
    for source, lines in zip(given.sources, _nearest(given), strict=True):
        text = block(f"### {code(source.name)}", [f"- {line}" for line in lines] or [SAYS_NOTHING])
        budget -= estimate_tokens(text) + 1
        if blocks and budget < 0:
            left.append(source.name)
        else:
            blocks.append(text)
    return "\n\n".join([*blocks, *left_out(left), *unread]) or NOTHING


def _nearest(given: SourceOutput) -> list[list[str]]:
    """Choose the claims of each source, in its own order; ranked together, so that a rare word is rare in all."""
    every = [passage(source, claim) for source in given.sources for claim in source.claims]
    scores = score(given.question, every)
    count = max(1, min(PER_SOURCE, PER_ANSWER // max(1, len(given.sources))))
    found: list[list[str]] = []
    start = 0
    for source in given.sources:
        places = range(start, start + len(source.claims))
        always = [i for i in places if source.claims[i - start].always]
        others = [i for i in places if not source.claims[i - start].always]
        chosen = pick([scores[i] for i in others], [every[i] for i in others], max(count - len(always), 1))
        kept = sorted([*always, *worthy([others[k] for k in chosen], scores)])
        found.append([_alone(source, source.claims[i - start], given.question) for i in kept])
        start += len(source.claims)
    return found


def worthy(chosen: Sequence[int], scores: Sequence[float]) -> list[int]:
    """Drop the chosen ones that are far from the question: beyond the best two, those under `_NEAR` of the best."""
    ranked = sorted(chosen, key=lambda i: (-scores[i], i))
    return [i for n, i in enumerate(ranked) if n < 2 or scores[i] >= _NEAR * scores[ranked[0]]]


def _alone(source: Source, claim: Claim, question: Question) -> str:
    # Program source is told apart by its full name, which stands above its claims already.
    return labelled(replace(source, path=False, named=not source.path and source.named), claim, question.common)


def quoted(text: str) -> str:
    """Write somebody's words on one line so that no bracket in them reads as a citation."""
    return _BRACKETED.sub(r"(\1)", flat(text))


def code(name: str) -> str:
    """Write a name between backquotes."""
    return f"`{flat(name).replace('`', chr(39))}`"


def block(head: str, lines: Sequence[str]) -> str:
    """Write a heading and the lines below it."""
    return "\n".join([head, "", *lines])


def left_out(names: Iterable[str]) -> list[str]:
    """Say what had no room: one line, or none."""
    listed = ", ".join(code(name) for name in names)
    return [f"{NOT_SHOWN} {listed}."] if listed else []


def not_read(names: Iterable[str]) -> list[str]:
    """Say which pictures, sounds and films were not read: one line, or none."""
    listed = ", ".join(code(name) for name in names)
    return [f"{NOT_READ} {listed}."] if listed else []
