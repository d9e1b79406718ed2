"""Words as sentences are compared by: without endings, and one for `length` and `long`."""

import re
from collections.abc import Iterable
from functools import cache

from swarm.texts.lexicon import ALIKE, STOP, VERBS
from swarm.texts.terms import stem
from swarm.texts.words import kin, pieces, words

TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
"""A word, with its apostrophes and hyphens."""
_DERIVED = re.compile(r"(?<=\w{4})(?:ations?|ate|ions?|ments?|ance|ers?|ors?|ung|e)$")


def root(word: str) -> str:
    """Return a word as it is compared: without ending, and one word for `length` and `long`."""
    folded = stem(word.casefold())
    return ALIKE.get(folded, folded)


def content(text: str) -> list[str]:
    """Return the roots of the words of a text that have content."""
    return roots(written(" ".join(TOKEN.findall(text))))


def written(text: str) -> list[str]:
    """Return the words of a text that have content, as they are written."""
    found: list[str] = []
    for word in text.split():
        found += pieces(word) if "\u3040" <= word[0] <= "\u9fff" else [word] * is_content(word)
    return found


def roots(written: Iterable[str]) -> list[str]:
    """Return the roots of words; pairs of characters of those in a script without spaces."""
    found: list[str] = []
    for word in written:
        found += [root(word)] if word[0] < "\u3000" else words(word)
    return found


def is_content(word: str) -> bool:
    """Return whether a word tells what a sentence is about: no function word, but a label such as `A`."""
    folded = word.casefold()
    return not (folded in STOP or folded in VERBS) or (len(word) == 1 and word.isupper())


def common(some: Iterable[str], others: frozenset[str]) -> list[str]:
    """Return the words that both have."""
    return [word for word in some if has(others, word)]


def has(some: frozenset[str], word: str) -> bool:
    """Whether one of some words has the stem of a word."""
    return word in some or any(
        each[:4] == word[:4] and (kin(word, each) or _base(word) == _base(each)) for each in some
    )


@cache
def _base(word: str) -> str:
    """Return a word without the ending of a noun or a verb that is made of another one: `migration`, `migrate`."""
    return _DERIVED.sub("", word)
