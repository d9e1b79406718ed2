"""A text that claims rest on, indexed once: where its figures are, and which names and quotations it has."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain

from swarm.attempt.evidence.places import Occurrence, Places, keys_of, may_agree
from swarm.attempt.evidence.statements import Statement, keyed
from swarm.texts.figures import Quantity, figures
from swarm.texts.passages import Sentence, passages
from swarm.texts.terms import pieces, squeezed, stem, words_of

INDEXED_CHARACTERS = 2_000_000
"""Maximum characters of a text whose figures are indexed: one second of work. Of a longer text,
only the spellings of figures are looked for."""

BLOCK_PASSAGES = 30
"""Maximum passages of a paragraph before a figure that count as what it is about."""
FEW_TEXTS = 8
"""Maximum texts that are asked one by one: more are indexed together."""

_BETWEEN_INITIALS = r"\S* (?:\S{1,3} ){0,2}"


class SourceText(Places):
    """A text that claims rest on."""

    def __init__(self, name: str, text: str, *, about: str = "", doubted: Sequence[str] = ()) -> None:
        """`about` says what the text is about: a name in it counts as one of the text.

        `doubted` are figures, names and quotations of the text that support nothing: its writer did not read them.
        """
        super().__init__((self,))
        self.name = name
        self.text = text
        self.about = about
        self._doubted = doubted
        self._statements: dict[int, Statement] = {}
        self._words: dict[int, frozenset[str]] = {}
        self._blocks: dict[int, frozenset[str]] = {}

    @cached_property
    def passages(self) -> list[Sentence]:
        """Its passages, in order."""
        return passages(self.text[:INDEXED_CHARACTERS])

    def statement(self, at: int) -> Statement:
        """Return a passage with its figures and names."""
        if at not in self._statements:
            self._statements[at] = Statement(self.passages[at])
        return self._statements[at]

    @property
    def is_indexed(self) -> bool:
        """Whether all of the text is indexed."""
        return len(self.text) <= INDEXED_CHARACTERS

    @cached_property
    def asked(self) -> "SourceText":
        """What the text is about, as a source."""
        return SourceText(self.name, self.about)

    @cached_property
    def items(self) -> int:
        """Number of blocks that are list items or sentences of their own."""
        return len({passage.block for passage in self.passages if passage.kind == "sentence"})

    @cached_property
    def rows(self) -> int:
        """Number of its rows."""
        return sum(passage.kind == "row" for passage in self.passages)

    def words_of_block(self, at: int) -> frozenset[str]:
        """Return the content words of the paragraph of a passage, up to the passage."""
        if at not in self._blocks:
            block = self.passages[at].block
            first = at
            while first and at - first < BLOCK_PASSAGES and self.passages[first - 1].block == block:
                first -= 1
            self._blocks[at] = frozenset().union(*map(self._words_of, range(first, at + 1)))
        return self._blocks[at]

    def _words_of(self, at: int) -> frozenset[str]:
        if at not in self._words:
            self._words[at] = words_of(self.passages[at].text)
        return self._words[at]

    def doubts(self, figure: Quantity) -> bool:
        """Return whether the writer of the text did not read a figure of it."""
        if not self._doubted:
            return False
        found = chain.from_iterable(figures(doubted)[:1] for doubted in self._doubted)
        same = (each for each in found if each.start == 0 and keys_of(figure) & keys_of(each))
        return any(may_agree(figure, each) for each in same)

    @cached_property
    def _squeezed(self) -> str:
        return f" {squeezed(self.text)} "

    @cached_property
    def _keyed(self) -> str:
        return f" {keyed(self.text)} {keyed(self.about)} "

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Its words and numbers, and those of what it is about, as names are compared."""
        return frozenset(self._keyed.split())

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of its `tokens`."""
        return frozenset(map(stem, self.tokens))

    def has_quotation(self, quoted: str) -> bool:
        """Return whether the pieces of a quotation are in the text, in their order."""
        if any(squeezed(quoted) == squeezed(doubted) for doubted in self._doubted):
            return False
        at = 0
        for piece in pieces(quoted):
            at = self._squeezed.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        return True

    def has_name(self, name: str) -> bool:
        """Return whether a name is in the text, in any case, or as its initials, or with its words apart."""
        wanted = keyed(name.removesuffix("'s").removesuffix("’s"))
        parts = wanted.split()
        if self.tokens.issuperset(parts) and (len(parts) < 2 or f" {wanted} " in self._keyed):
            return all(wanted != keyed(doubted) for doubted in self._doubted)
        if all(part in self.tokens or stem(part) in self.stems for part in parts):
            return True
        return self._has_initials(name, wanted, parts)

    def _has_initials(self, name: str, wanted: str, parts: Sequence[str]) -> bool:
        """Return whether initials are the name, or the name is initials of the text."""
        if len(parts) == 1 and name.isupper() and 2 <= len(wanted) <= 6:
            return re.search(r"(?<!\S)" + _BETWEEN_INITIALS.join(map(re.escape, wanted)), self._keyed) is not None
        return len(parts) > 1 and "".join(part[0] for part in parts) in self.tokens

    def mentions(self, text: str) -> bool:
        """Return whether a spelling is in the text as it is."""
        return text in self.text


class Sources:
    """The texts that a claim may rest on, asked together."""

    def __init__(self, texts: Iterable[SourceText]) -> None:
        self.texts = tuple(texts)
        self.places: Sequence[Places] = self.texts
        if len(self.texts) > FEW_TEXTS:
            self.places = (Places(self.texts),)
        self._names: dict[str, bool] = {}

    @cached_property
    def asked(self) -> Places:
        """What the texts are about."""
        return Places([text.asked for text in self.texts if text.about])

    @cached_property
    def characters(self) -> int:
        """Characters of all texts."""
        return sum(len(text.text) for text in self.texts)

    @cached_property
    def start(self) -> str:
        """The first characters of the texts, which show their script."""
        return "".join(text.text[:2000] for text in self.texts)

    @cached_property
    def named(self) -> int:
        """Number of texts with different names: not the prompt."""
        return len({text.name for text in self.texts} - {""})

    @cached_property
    def counts(self) -> frozenset[int]:
        """What may be counted in them: the texts, those with a name, the rows and the items of each, all rows."""
        rows = [text.rows for text in self.texts]
        return frozenset((len(rows), self.named, sum(rows), *rows, *(text.items for text in self.texts)))

    @cached_property
    def _unindexed(self) -> list[SourceText]:
        return [text for text in self.texts if not text.is_indexed]

    def same(self, figure: Quantity) -> list[Occurrence]:
        """Return the places with the same value, in a unit that may be the same."""
        return list(chain.from_iterable(places.same(figure) for places in self.places))

    def mentions(self, text: str) -> bool:
        """Return whether a spelling is in a text that is too long to be indexed."""
        return any(text in each.text for each in self._unindexed)

    def has_quotation(self, quoted: str) -> bool:
        """Return whether a quotation is in one of the texts."""
        return any(text.has_quotation(quoted) for text in self.texts)

    def has_name(self, name: str) -> bool:
        """Return whether a name is in one of the texts."""
        if name not in self._names:
            self._names[name] = any(text.has_name(name) for text in self.texts)
        return self._names[name]
