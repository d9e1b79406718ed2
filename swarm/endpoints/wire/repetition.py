"""Texts that go round in circles: small models fall into saying the same thing until their output cap stops them.

A text that ends in the same words again and again holds nothing new from their second time on. So it is not cut short
like an answer that hit its cap: up to there it is all that the model had to say. A stream that does so is stopped,
which saves the time and the tokens of the rest.

The same is found with the Z function (Gusfield 1997, "Algorithms on Strings, Trees and Sequences", 1.4) of the reversed
end of the text: linear in what is looked at. Nearly the same is what compression makes next to nothing of.
"""

import zlib
from dataclasses import dataclass

LOOKED_AT = 4000
"""Characters from the end that are looked at."""
LONGEST = 600
"""Characters of what is repeated: longer, and too few times fit what is looked at."""
SENTENCE_ENDS = ".!?\n"


@dataclass(frozen=True)
class Bounds:
    """From when on a repetition counts."""

    times: int
    characters: int
    """Of all the times together."""
    nearly: bool = False
    """Whether nearly the same counts, too."""


AT_THE_CAP = Bounds(times=4, characters=300, nearly=True)
"""Of a text that hit its output cap: that alone says that something is wrong."""
WHILE_WRITTEN = Bounds(times=8, characters=1600)
"""Of a text that is still being written: a table's rule or a list of zeros must not be taken for one."""
RAMBLING = 1000
"""Characters from which it can be told that nearly the same is said."""
STALE = 10.0
"""How many times smaller such a text gets by compression. Prose gets 2 to 3 times smaller, code 4, a regular table 6;
what a model of 135 million parameters wrote in circles got 15 times smaller."""
EVERY = 400
"""Characters of a stream between two looks."""


def unrepeated(text: str, bounds: Bounds = AT_THE_CAP) -> str | None:
    """Give a text up to where its end begins to repeat itself, said once; None if it does not."""
    end = text[-LOOKED_AT:][::-1]
    matches = _matches(end)
    for period in range(1, min(LONGEST, len(end) - 1) + 1):
        repeated = period + matches[period]
        if repeated >= max(bounds.characters, bounds.times * period):
            return text[: _first_end(text, len(text) - repeated, period)].rstrip()
    return _unrambled(text) if bounds.nearly else None


def _unrambled(text: str) -> str | None:
    """Give a text up to where it says nearly the same with a word changed here and there; None if it does not."""
    end = len(text)
    while end >= RAMBLING and _sameness(text[end - RAMBLING : end]) >= STALE:
        end -= RAMBLING // 4
    if end == len(text):
        return None
    start = end + RAMBLING // 4 - RAMBLING
    ends = (place for place in range(start, start + RAMBLING // 4) if text[place] in SENTENCE_ENDS)
    return text[: next(ends, start + RAMBLING // 8) + 1].rstrip()


def _sameness(text: str) -> float:
    """Tell how many times smaller a text gets by compression."""
    plain = text.encode("utf-8", "replace")
    return len(plain) / len(zlib.compress(plain, 9))


def _first_end(text: str, start: int, period: int) -> int:
    """Find where the first time is over: at the end of its sentence, if it has one."""
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    once = start + period
    last = max(start, len(text[:once].rstrip()) - 1)
    ends = (place for place in range(last, once + period) if text[place] in SENTENCE_ENDS)
    return next(ends, once - 1) + 1


def _matches(text: str) -> list[int]:
    """Tell for each place how many characters from there on are those the text begins with."""
    matches = [0] * len(text)
    left = right = 0
    for place in range(1, len(text)):
        found = min(matches[place - left], right - place) if place < right else 0
        while place + found < len(text) and text[found] == text[place + found]:
            found += 1
        matches[place] = found
        if place + found > right:
            left, right = place, place + found
    return matches


class Watch:
    """Looks at a text while it is written."""

    def __init__(self) -> None:
        self._end = ""
        self._fresh: list[str] = []
        self._waiting = 0

    def repeats(self, piece: str) -> bool:
        """Take in the next piece; tell whether the text goes round in circles. Looks every `EVERY` characters or so."""
        self._fresh.append(piece)
        self._waiting += len(piece)
        if self._waiting < EVERY:
            return False
        self._end = (self._end + "".join(self._fresh))[-LOOKED_AT:]
        self._fresh.clear()
        self._waiting = 0
        return unrepeated(self._end, WHILE_WRITTEN) is not None
