"""The search for what one claim says in the texts that it cites."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, product

from swarm.attempt.evidence.derive import computed, computes, restated
from swarm.attempt.evidence.index import Alike
from swarm.attempt.evidence.places import Occurrence, in_base
from swarm.attempt.evidence.sources import Sources, SourceText
from swarm.attempt.evidence.statements import Statement, is_like_a_year, noun_behind
from swarm.texts.figures import Quantity
from swarm.texts.terms import STOP_WORDS, Name, fold, quotations, words_of

ALIKE = 0.6
"""Minimum share of a claim's words in a passage that the claim seems to repeat."""
CLEARER = 0.25
"""How much more of a claim's words that passage must have than every passage with the claim's figure."""
ENOUGH = 0.75
"""Share of a claim's words near a figure from which no other passage is looked for."""
MOST_LOOKED_AT = 300
"""Maximum figures and names of one claim whose surroundings are compared: with more, it is a listing that nobody wrote
as a sentence. The others only have to be there."""
MISSING_CHARACTERS = 120
"""Maximum characters of a missing quotation in a list."""

_REFERENCE = re.compile(
    r"\b(?:section|table|figure|fig\.|appendix|step|point|item|option|question|chapter|abschnitt|tabelle|abbildung)\s$",
    re.IGNORECASE,
)
_FALLS = re.compile(
    r"\b(?:minus|negative|below|under|loss\w*|los[et]\w*|f[ae]ll\w*|drop\w*|declin\w*|decreas\w*|reduc\w*|down|lower\w*|less|"
    r"fewer|cut\w*|shr[aiu]nk\w*|deficit|debt|contract\w*|worse\w*|sank|sink\w*|gefallen|gesunken|rückgang|verlust\w*|unter|"
    r"weniger|abgenommen|perte\w*|baiss\w*|recul\w*|chut\w*|diminu\w*|moins|bajó|cay\w*|pérdida\w*|menos)\b"
    r"|[下降减減少跌亏赤]|сниз|упал|убыт|минус|меньше",
    re.IGNORECASE,
)
"""Words of a fall: `fell by 5 %` is -5 %."""
_GERMAN = re.compile(
    r"\b(?:der|das|und|ist|sind|mit|von|für|eine?|einer|wie|mehr|als|nicht|auch|oder|zum|zur|gegenüber|beträgt|wird)\b",
    re.IGNORECASE,
)
"""Words of German, which writes nouns like names."""


class Look:
    """The search for what one claim says in the texts that it cites."""

    def __init__(
        self,
        statement: Statement,
        cited: Sources,
        everything: Sources,
        goal: SourceText,
        *,
        strict: bool = True,
    ) -> None:
        """If not `strict`, a figure is found anywhere, whatever the passage around it is about."""
        self._strict = strict
        self._statement = statement
        self._cited = cited
        self._everything = everything
        self._goal = goal
        self._words = words_of(statement.passage.text)
        self._values = set(chain.from_iterable(each.values for each in statement.figures))
        self._alien: dict[int, bool] = {}
        self.missing: list[str] = []
        self.found: list[Occurrence] = []
        self.is_derived = False

    # Figures

    def at_figures(self) -> None:
        """Look for every figure."""
        text = self._statement.passage.text
        for figure in self._statement.figures[MOST_LOOKED_AT:]:
            if not figure.word and not self._cited.same(figure):
                self.missing.append(figure.text.strip())
        for figure in self._statement.figures[:MOST_LOOKED_AT]:
            if _REFERENCE.search(text[max(0, figure.start - 16) : figure.start]):
                continue
            if figure.word:
                self._at_word(figure)
            elif not self._is_found(figure):
                self.missing.append(figure.text.strip())

    def _is_found(self, figure: Quantity) -> bool:
        every = [each for each in self._cited.same(figure) if self._is_used_alike(figure, each)]
        if every:  # 1
            best = self._best(figure, every)
            self.found += [] if best is None else [best]
            return best is not None
        if self._cited.mentions(figure.text):
            return True
        return self._is_derived(figure) or self._is_context(figure) or self._is_two(figure)

    def _is_used_alike(self, figure: Quantity, each: Occurrence) -> bool:
        """Whether the number of a thing supports a figure: another one, or one of what its word says.

        `Thing 46` is no source of `46 MB`, but `Users 46` is one of `46 users`.
        """
        if each.label is None or self._statement.label_of(figure) is not None:
            return True
        return each.label in self._words and each.label not in self._statement.label_words

    def _best(self, figure: Quantity, every: Iterable[Occurrence]) -> Occurrence | None:
        """Return the place that a figure is from, or None if it is of something else, or was not read."""
        read = (each for each in every if not each.source.doubts(figure))
        same = [each for each in read if self._has_its_sign(figure, each)]
        best, most = None, -1.0
        for each in same:
            share = self._share(figure, each)
            if share > most:
                best, most = each, share
            if share == 1.0:
                break
        if best is None or self._contradicted(figure, most) or self._is_of_another(figure, same):
            return None
        return best

    def _has_its_sign(self, figure: Quantity, other: Occurrence) -> bool:
        """Whether two figures have the same sign. The word for a fall stands for a minus sign."""
        if figure.negative == other.figure.negative or figure.bracketed or other.figure.bracketed:
            return True
        text = other.passage.text if figure.negative else self._statement.passage.text
        return _FALLS.search(text) is not None

    def _is_derived(self, figure: Quantity) -> bool:
        other = restated(self._statement, figure, self._cited)  # 2
        if other is not None:
            self.found.append(other)
            self.is_derived = True
            return True
        may_be = computes(self._statement.passage.text) or not self._contradicted(figure, 0.0)
        if may_be and computed(self._statement, figure, self._cited):  # 3
            self.is_derived = True
            return True
        return False

    def _is_context(self, figure: Quantity) -> bool:
        """Whether a figure is in the goal, or in what a cited step was asked."""
        return bool(self._goal.same(figure) or self._cited.asked.same(figure))

    def _is_two(self, figure: Quantity) -> bool:
        """Whether digits with a space or a slash between them are two figures that are there."""
        if figure.parts:
            apart = [replace(figure, values=(part,), parts=()) for part in figure.parts]
            return all(map(self._cited.same, apart))
        parts = figure.text.split()
        if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
            return False
        two = [Quantity(0, 0, part, (float(part),)) for part in parts if part.isdigit()]
        return all(self._cited.same(each) for each in two)

    def _share(self, figure: Quantity, each: Occurrence) -> float:
        """Return the share of the words near a figure that are near it in the source, too."""
        wanted = self._statement.words_near(figure)
        if not wanted:
            return 1.0
        theirs = each.statement
        rest = wanted - theirs.words_near(each.figure)
        if rest and theirs.passage.kind != "row" and not self._has_other_name(theirs):
            rest = rest - theirs.words - each.source.words_of_block(each.at)
        return 1.0 - len(rest) / len(wanted)

    def _has_other_name(self, theirs: Statement, *, above: bool = False) -> bool:
        """Whether a passage, or a heading `above` it, names something that the claim does not."""
        if above and any(words_of(name.text).isdisjoint(self._words) for name in theirs.names_above):
            return True
        if id(theirs) not in self._alien:
            self._alien[id(theirs)] = any(words.isdisjoint(self._words) for words in theirs.words_of_names)
        return self._alien[id(theirs)]

    def _contradicted(self, figure: Quantity, share: float) -> bool:
        """Whether another passage is clearly the one that the claim repeats, and has another figure."""
        wanted = self._statement.words_near(figure)
        if share >= ENOUGH or not wanted or not self._strict:
            return False
        groups = chain.from_iterable(each.near(wanted, max(ALIKE, share + CLEARER)) for each in self._cited.places)
        telling = (each for each in groups if self._tells(wanted & each.near, len(wanted)))
        return any(self._is_other_in(figure, each, is_all=wanted <= each.near) for each in telling)

    def _is_other_in(self, figure: Quantity, group: Alike, *, is_all: bool) -> bool:
        """Whether one of some figures is another value of the same as a figure.

        If `is_all` words near the figure are near them, a figure of another dimension is one, too: a price is no size.
        """
        for kind in group.figures():
            for other in kind:
                is_like = self._is_comparable(figure, other)
                if not (is_like or (is_all and _measures_other(figure, other))):
                    break  # nor is any other of the kind
                if self._differs(figure, other):
                    return True
        return False

    def _is_of_another(self, figure: Quantity, same: Sequence[Occurrence]) -> bool:
        """Whether a figure is stated of `GPT-3.5` or 2023 only, and the `GPT-4` or 2024 of the claim has another."""
        mine = self._statement.identities(figure)
        if not mine or not all(_clash(mine, _identities(each)) for each in same):
            return False
        key = min(mine)
        named = product(self._cited.places, sorted(mine[key]))
        others = chain.from_iterable(places.identified(key, name) for places, name in named)
        own = (each for each in others if self._is_other(figure, each.figure) and _agree(mine, _identities(each)))
        return any(self._is_alike(figure, each) for each in own)

    def _is_alike(self, figure: Quantity, each: Occurrence) -> bool:
        """Whether most words near a figure are in the passage of another."""
        wanted, theirs = self._statement.words_near(figure), each.statement
        near = theirs.words_near(each.figure) | theirs.own_words
        return len(wanted & near) >= ALIKE * len(wanted)

    def _tells(self, shared: frozenset[str], wanted: int) -> bool:
        """Whether shared words are enough to identify a statement."""
        return len(shared) >= 2 or len(shared) == wanted == 1

    def _is_other(self, figure: Quantity, other: Quantity) -> bool:
        """Whether a figure is comparable with that of the claim, differs, and is not in the claim."""
        return self._is_comparable(figure, other) and self._differs(figure, other)

    def _is_comparable(self, figure: Quantity, other: Quantity) -> bool:
        """Whether two figures may be values of the same."""
        if bool(figure.code) != bool(other.code) or other.word:
            return False
        if figure.code:
            return len(figure.code) == len(other.code)
        units = {figure.unit, other.unit} - {None}
        if len(units) > 1 and in_base(figure)[0] != in_base(other)[0]:
            return False
        return is_like_a_year(figure) == is_like_a_year(other)

    def _differs(self, figure: Quantity, other: Quantity) -> bool:
        """Whether a comparable figure has another value, which is not in the claim."""
        if figure.code:
            return not {figure.code, figure.also} & {other.code, other.also} - {""}
        return self._values.isdisjoint(other.values)

    def _at_word(self, figure: Quantity) -> None:
        """Look for a number word. It is missing only if its noun has another number in the source."""
        if figure.values[0] == 1 or self._cited.same(figure):
            return
        noun = noun_behind(self._statement.passage.text, figure)
        if not noun or computed(self._statement, figure, self._cited):
            return
        if any(noun in each.counted_nouns for each in self._cited.places):
            self.missing.append(f"{figure.text} {noun}")

    # Quotations

    def at_quotations(self) -> None:
        """Look for every quotation."""
        for quoted in quotations(self._statement.passage.text):
            if not (self._cited.has_quotation(quoted) or self._goal.has_quotation(quoted)):
                self.missing.append(f"“{quoted[:MISSING_CHARACTERS]}”")

    # Names

    def at_names(self) -> None:
        """Look for every name of a sentence with a figure or a quotation."""
        text = self._statement.passage.text
        if not any(not figure.word for figure in self._statement.figures) and not quotations(text):
            return
        found: list[Name] = []
        missing: list[Name] = []
        for name in self._statement.names[:MOST_LOOKED_AT]:
            is_there = self._cited.has_name(name.text)
            (found if is_there else missing).append(name)
        for name in missing:
            if self._is_missing(name, bool(found)):
                self._miss(name)

    def _miss(self, name: Name) -> None:
        """Record that a name is missing; the figures in it are not missing by themselves."""
        parts = {figure.text for figure in self._statement.figures if name.has(figure.start)}
        self.missing = [each for each in self.missing if each not in parts]
        self.missing.append(name.text)

    def _is_missing(self, name: Name, others: bool) -> bool:
        """Whether a name that is in no cited text is an error. `others`: another name of the sentence is there."""
        text = self._statement.passage.text
        if fold(name.text) in STOP_WORDS or _is_cjk(self._cited.start) != _is_cjk(text):
            return False
        replaced = self._replaces(name)
        if self._goal.has_name(name.text) and (others or not replaced):
            return False
        is_known = self._everything.has_name(name.text)
        is_name = name.sure and (is_known or not _GERMAN.search(text))
        return is_name or replaced or self._is_cell(name)

    def _is_cell(self, name: Name) -> bool:
        """Whether a name is the first cell of a row."""
        passage = self._statement.passage
        return passage.kind == "row" and "|" not in passage.text[: name.start].strip().lstrip("|")

    def _replaces(self, name: Name) -> bool:
        """Whether a name is where the source has another one, in a passage that is the same otherwise."""
        rest = self._statement.own_words - words_of(name.text)
        found = {(id(each.source), each.at): each.statement for each in self.found}
        for theirs in found.values():
            alike = len(rest & theirs.words) / len(rest) if rest else 0.0
            if alike >= ALIKE and self._has_other_name(theirs, above=True):
                return True
        return False


def _measures_other(figure: Quantity, other: Quantity) -> bool:
    """Whether two figures are of different dimensions: a price is no size."""
    if figure.unit is None or other.unit is None or other.word:
        return False
    return in_base(figure)[0] != in_base(other)[0]


Identities = Mapping[str, set[str]]


def _identities(each: Occurrence) -> Identities:
    return each.statement.identities(each.figure)


def _clash(mine: Identities, theirs: Identities) -> bool:
    """Whether both have names that differ in digits only, and none is the same."""
    alike = mine.keys() & theirs.keys()
    return bool(alike) and any(mine[key].isdisjoint(theirs[key]) for key in alike)


def _agree(mine: Identities, theirs: Identities) -> bool:
    """Whether another text has every name with digits and every year of the claim."""
    return all(key in theirs and not names.isdisjoint(theirs[key]) for key, names in mine.items())


def _is_cjk(text: str) -> bool:
    return sum("\u3040" <= c <= "\u9fff" for c in text) > len(text) / 8
