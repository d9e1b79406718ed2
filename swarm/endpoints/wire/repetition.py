"""Detection of repetitive text: small models may repeat themselves up to their output cap.

A text that ends in the same words several times holds nothing new after the first time. So the text
up to there is the complete answer, and the finish reason is "repeats", not "length". A repetitive
stream is stopped, which saves the time and the tokens of the rest.

Exact repetition is found with the Z function (Gusfield 1997, "Algorithms on Strings, Trees and
Sequences", 1.4) of the reversed end of the text, in linear time. Near repetition is text that
compression makes many times smaller.
"""

import zlib
from dataclasses import dataclass

LOOKED_AT = 4000
"""Characters at the end of a text that are searched for exact repetition."""
LONGEST = 600
"""Maximum characters of one repetition: of longer ones, too few fit into `LOOKED_AT`."""
SENTENCE_ENDS = ".!?\n"
"""Characters that end a sentence."""


@dataclass(frozen=True)
class Bounds:
    """From which amount on a repetition counts."""

    times: int
    """Minimum number of repetitions."""
    characters: int
    """Minimum characters of all repetitions together."""
    nearly: bool = False
    """True if near repetition counts, too."""


AT_THE_CAP = Bounds(times=4, characters=300, nearly=True)
"""Bounds for a text that reached its output cap, which alone suggests a fault."""
WHILE_WRITTEN = Bounds(times=8, characters=1600)
"""Bounds for a stream: the rule of a table or a list of zeros must not count."""
RAMBLING = 1000
"""Characters of the window that is searched for near repetition."""
STALE = 10.0
"""Compression ratio from which a window counts as near repetition.

Prose shrinks 2 to 3 times, code 4, a regular table 6. The repetitive output of a model of 135
million parameters shrank 15 times."""
EVERY = 400
"""Characters of a stream between two searches."""


def unrepeated(text: str, bounds: Bounds = AT_THE_CAP) -> str | None:
    """Return a text with its repetitive end reduced to one time, or None if it does not repeat."""
    end = text[-LOOKED_AT:][::-1]
    matches = _matches(end)
    for period in range(1, min(LONGEST, len(end) - 1) + 1):
        repeated = period + matches[period]
        if repeated >= max(bounds.characters, bounds.times * period):
            return text[: _first_end(text, len(text) - repeated, period)].rstrip()
    return _unrambled(text) if bounds.nearly else None


def _unrambled(text: str) -> str | None:
    """Return a text up to where near repetition begins, or None if its end is not repetitive."""
    end = len(text)
    while end >= RAMBLING and _sameness(text[end - RAMBLING : end]) >= STALE:
        end -= RAMBLING // 4
    if end == len(text):
        return None
    start = end + RAMBLING // 4 - RAMBLING
    ends = (place for place in range(start, start + RAMBLING // 4) if text[place] in SENTENCE_ENDS)
    return text[: next(ends, start + RAMBLING // 8) + 1].rstrip()


def _sameness(text: str) -> float:
    """Return the compression ratio of a text."""
    plain = text.encode("utf-8", "replace")
    return len(plain) / len(zlib.compress(plain, 9))


def _first_end(text: str, start: int, period: int) -> int:
    """Return where the first repetition ends: at the end of its sentence, if it has one."""
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    once = start + period
    last = max(start, len(text[:once].rstrip()) - 1)
    ends = (place for place in range(last, once + period) if text[place] in SENTENCE_ENDS)
    return next(ends, once - 1) + 1


def _matches(text: str) -> list[int]:
    """Return the Z function: for each place, how many characters match the text's beginning."""
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
    """Detects repetition in a text while it is streamed."""

    def __init__(self) -> None:
        self._end = ""
        self._fresh: list[str] = []
        self._waiting = 0

    def repeats(self, piece: str) -> bool:
        """Add a piece. Return True if the text repeats itself. Search every `EVERY` ones."""
        self._fresh.append(piece)
        self._waiting += len(piece)
        if self._waiting < EVERY:
            return False
        self._end = (self._end + "".join(self._fresh))[-LOOKED_AT:]
        self._fresh.clear()
        self._waiting = 0
        return unrepeated(self._end, WHILE_WRITTEN) is not None
