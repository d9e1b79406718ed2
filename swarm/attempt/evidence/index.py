"""Where figures are in a text: found by their digits, or by the words near them."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import chain
from math import ceil

from swarm.texts.amounts import compound_matches
from swarm.texts.figures import WORD, Quantity, has_words, plain
from swarm.texts.units import NUMBER_WORDS

_NO_DIGITS = re.compile(r"[^\d\n]+")
_LINE = re.compile(r"\n")
_ANY = re.compile(
    r"\d{12}|\d\s?[万萬億亿兆조]|[〇零一二三四五六七八九十百千½⅓⅔¼¾⅕-⅞]|\d/\d|\d\s?e[+-]?\d",
    re.IGNORECASE,
)
"""Figures whose value may have other digits than their text: rounded ones, sums, fractions, and those that are no
digits.
"""
_MOST_WORDS = max(NUMBER_WORDS.values())


class Postings:
    """Sets of words, found by the words that they have."""

    def __init__(self, sets: Iterable[frozenset[str]]) -> None:
        self._having: dict[str, set[int]] = {}
        for n, words in enumerate(sets):
            for word in words:
                self._having.setdefault(word, set()).add(n)

    def find(self, wanted: frozenset[str], least: float) -> list[int]:
        """Return, in order, the indexes of the sets that have at least this share of some words, minimum one word.

        A set without the rarest of the words has not enough of them, so only the sets with one of these are counted.
        """
        need = max(1, ceil(least * len(wanted) - 1e-9))
        every = sorted((self._having.get(word, set[int]()) for word in wanted), key=len)
        candidates = set[int]().union(*every[: len(wanted) - need + 1])
        counts = Counter(chain.from_iterable(candidates & having for having in every))
        return sorted(n for n, count in counts.items() if count >= need)


class Digits:
    """The digits of passages, to find those that may have a value."""

    def __init__(self, passages: Iterable[str]) -> None:
        self._text = plain("\n".join(each.replace("\n", " ") for each in passages))
        self._ends = [match.end() for match in _LINE.finditer(self._text)]
        self._digits = _NO_DIGITS.sub("", self._text)
        self._starts = [0, *(match.end() for match in _LINE.finditer(self._digits))]

    @cached_property
    def _any(self) -> list[int]:
        found = chain(_ANY.finditer(self._text), compound_matches(self._text))
        return sorted(set(self._at(found)))

    @cached_property
    def _words(self) -> list[int]:
        return self._at(WORD.finditer(self._text)) if has_words(self._text) else []

    def _at(self, found: Iterable[re.Match[str]]) -> list[int]:
        """Return the indexes of the passages with some matches, which may end in later ones."""
        lines: list[int] = []
        for match in found:
            first = bisect_right(self._ends, match.start())
            lines += range(first, bisect_right(self._ends, match.end() - 1) + 1)
        return list(dict.fromkeys(lines))

    def find(self, value: float | str) -> list[int]:
        """Return, in order, the indexes of the passages that may have a value, or a date or version."""
        found = set(self._any)
        if not isinstance(value, str) and value <= _MOST_WORDS:
            found.update(self._words)
        wanted = significant(value)
        at = self._digits.find(wanted)
        while at >= 0:
            n = bisect_right(self._starts, at) - 1
            found.add(n)
            is_last = n + 1 == len(self._starts)
            at = -1 if is_last else self._digits.find(wanted, self._starts[n + 1])
        return sorted(found)


def significant(value: float | str) -> str:
    """Return digits that every spelling of a value has in a row: those of a number without the zeros at its ends, of a
    date with a year those of the year, else those of the day.
    """
    if isinstance(value, str):
        parts = value.split("-")
        return _NO_DIGITS.sub("", parts[0] or parts[-1]).lstrip("0") or "0"
    return _NO_DIGITS.sub("", format(Decimal(repr(value)), "f")).strip("0") or "0"


@dataclass
class Alike:
    """Figures with the same words near them."""

    near: frozenset[str]
    kinds: dict[object, dict[object, Quantity]] = field(default_factory=dict[object, dict[object, Quantity]])
    """Different figures, by what makes them comparable with others."""

    def add(self, figure: Quantity, kind: object) -> None:
        """Add a figure."""
        key = (figure.code, figure.also, figure.values)
        self.kinds.setdefault(kind, {}).setdefault(key, figure)

    def figures(self) -> Iterator[Iterable[Quantity]]:
        """Yield the figures of each kind."""
        for each in self.kinds.values():
            yield each.values()


def groups_of(found: Iterable[tuple[frozenset[str], Quantity, object]]) -> list[Alike]:
    """Return figures in groups with the same words near them."""
    groups: dict[frozenset[str], Alike] = {}
    for near, figure, kind in found:
        groups.setdefault(near, Alike(near)).add(figure, kind)
    return list(groups.values())
