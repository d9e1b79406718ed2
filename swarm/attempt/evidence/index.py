"""Where figures are in a text, found without a look at every passage: by their digits, or by the words near them."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from math import ceil

from swarm.texts.figures import Quantity, has_words, plain
from swarm.texts.units import NUMBER_WORDS

_NO_DIGITS = re.compile(r"\D+")
_ANY = re.compile(r"\d{12}|\d\s?[万萬億亿억兆조]|[〇零一二三四五六七八九十百千]")
"""Figures whose value may have other digits than their text: rounded ones, sums, and those that are no digits."""
_MOST_WORDS = max(NUMBER_WORDS.values())


class Postings:
    """Sets of words, found by the words that they have."""

    def __init__(self, sets: Iterable[frozenset[str]]) -> None:
        self._sets = list(sets)
        self._having: dict[str, list[int]] = {}
        for n, words in enumerate(self._sets):
            for word in words:
                self._having.setdefault(word, []).append(n)

    def find(self, wanted: frozenset[str], least: float) -> list[int]:
        """Return, in order, the indexes of the sets that have at least this share of some words, minimum one word.

        A set without the rarest of the words has not enough of them, so only the sets with one of these are compared.
        """
        need = max(1, ceil(least * len(wanted) - 1e-9))
        rarest = sorted(wanted, key=lambda word: (len(self._having.get(word, ())), word))[: len(wanted) - need + 1]
        found: set[int] = set()
        for word in rarest:
            found.update(self._having.get(word, ()))
        return sorted(n for n in found if len(wanted & self._sets[n]) >= need)


class Digits:
    """The digits of passages, to find those that may have a value."""

    def __init__(self, passages: Sequence[str]) -> None:
        texts = [plain(passage) for passage in passages]
        digits = [_NO_DIGITS.sub("", text) for text in texts]
        self._text = "\n".join(digits)
        self._starts = [0, *accumulate(len(each) + 1 for each in digits)]
        self._any = [n for n, text in enumerate(texts) if _ANY.search(text)]
        self._texts = texts

    @cached_property
    def _words(self) -> list[int]:
        return [n for n, text in enumerate(self._texts) if has_words(text)]

    def find(self, value: float | str) -> list[int]:
        """Return, in order, the indexes of the passages that may have a value, or a date or version."""
        found = set(self._any)
        if not isinstance(value, str) and value <= _MOST_WORDS:
            found.update(self._words)
        wanted = significant(value)
        at = self._text.find(wanted)
        while at >= 0:
            n = bisect_right(self._starts, at) - 1
            found.add(n)
            at = self._text.find(wanted, self._starts[n + 1])
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
