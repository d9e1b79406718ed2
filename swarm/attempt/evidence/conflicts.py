"""Figures of the same thing that differ between outputs, with the steps that say so.

`swarm/texts/conflicts.py` finds them. Outputs are about different items, so only what has a name in common is compared:
a false conflict costs the reader's trust.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

from swarm.attempt.evidence.sources import SourceText
from swarm.attempt.evidence.statements import Statement
from swarm.texts.conflicts import conflicts as disagreements
from swarm.texts.figures import has_figures
from swarm.texts.passages import Sentence
from swarm.texts.records import entry
from swarm.texts.uses import Utterance

LONGEST = 2_000
"""Maximum characters of a sentence or row that is compared: a longer one is a listing."""
_CITATION = re.compile(r"\[([a-z0-9][a-z0-9_.-]*(?:[,;]\s*[a-z0-9][a-z0-9_.-]*)*)\]")
_LABELLED = re.compile(r"\s*[^:.]{1,60}:\s+\S")


@dataclass(frozen=True, slots=True)
class OneSide:
    """What one output says."""

    steps: tuple[str, ...]
    """The step of the output, or the steps that the sentence cites."""
    figure: str
    text: str
    """The sentence or row."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Several outputs that say different things of the same."""

    about: str
    """Names and words that the sides share."""
    sides: tuple[OneSide, ...]


def conflicts(sources: Iterable[SourceText]) -> list[Contradiction]:
    """Return the conflicts between outputs, in the order of their first sides."""
    told: list[Utterance] = []
    steps: list[tuple[str, ...]] = []
    for source in sources:
        for line in chain.from_iterable(map(_lines, source.passages)):
            if line.kind in ("sentence", "row") and len(line.text) <= LONGEST and has_figures(line.text):
                cited = re.split(r"[,;]\s*", ", ".join(_CITATION.findall(line.text)))
                steps.append(tuple(dict.fromkeys(filter(None, cited))) or (source.name,))
                told.append(_utterance(source.name, line))
    found: list[Contradiction] = []
    for each in disagreements(told, named=True):
        sides = (OneSide(steps[side.number], side.quantity.text, told[side.number].text) for side in each.sides)
        found.append(Contradiction(each.about, tuple(sides)))
    return found


def _lines(passage: Sentence) -> list[Sentence]:
    """Return each line of a list without marks (`F-2: 18`) as a sentence; any other passage as it is."""
    lines = passage.text.splitlines()
    is_list = passage.kind == "sentence" and len(lines) > 1 and all(_LABELLED.match(line) for line in lines)
    return [replace(passage, text=line) for line in lines] if is_list else [passage]


def _utterance(origin: str, passage: Sentence) -> Utterance:
    """Return a sentence without citations; a row or a record with the heads of its cells, its first cell in front."""
    above = passage.context
    text = " ".join(_CITATION.sub("", passage.text).split())
    if passage.kind == "row":
        cells = Statement(passage).cells
        above = above.rpartition(" / ")[0] if "|" in passage.text else above
        cells = [cell for cell in cells if cell.value.strip()]
        text = entry(
            [cell.label for cell in cells],
            [_CITATION.sub("", cell.value).strip() for cell in cells],
        )
    return Utterance(text, above.replace(" / ", " "), origin)


def line(conflict: Contradiction) -> str:
    """Return a conflict in one line: `Aurora memory: 120 MB [read.1]; 180 MB [read.7]`."""
    sides = "; ".join(f"{side.figure.strip()} [{', '.join(side.steps)}]" for side in conflict.sides)
    return f"{conflict.about}: {sides}"
