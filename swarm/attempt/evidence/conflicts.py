"""Figures of the same thing that differ between outputs.

Two figures are of the same thing if their names, their dimension and the other figures around them are the same, and
the words around them are mostly the same, or the noun that is counted or measured is. Precision comes before recall: a
false conflict costs the reader's trust. So bounds, ranges, roundings, figures that one output gives twice, and things
with more than three values are left alone. `texts/conflicts.py` compares sources without names, so it demands less.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from swarm.attempt.evidence.sources import SourceText, in_base
from swarm.attempt.evidence.statements import Cell, Statement, is_like_a_year
from swarm.texts.figures import Quantity
from swarm.texts.terms import STOP_WORDS, Name, fold, names_of, stem, words_of

ALIKE_WORDS = 0.6
"""Minimum share of common words (Jaccard 1901) of two figures of the same thing."""
MOST_VALUES = 3
"""Maximum values of one thing that are a conflict: with more, it is not one thing."""
MOST_COMPARED = 200
"""Maximum figures with the same names and dimension that are compared with each other."""
NAME_CHARACTERS = 60
"""Maximum characters of the first cell of a row that names what the row is about."""
MOST_FIGURES = 100
"""Maximum figures of a sentence or row that are compared: with more, it is a listing, and each costs a look at all."""
WORDS_BEFORE = 40
"""Characters before a figure in which `about` or `is` is looked for."""
HEDGED = 0.1
"""Share by which an approximate figure may differ."""

_DIGIT = re.compile(r"\d")
_CITATION = re.compile(r"\[([a-z0-9][a-z0-9_.-]*(?:[,;]\s*[a-z0-9][a-z0-9_.-]*)*)\]")
_BOUND = re.compile(
    r"(?:at least|at most|more than|less than|up to|under|over|above|below|exceeds?|min\w*|max\w*|mindestens|"
    r"höchstens|mehr als|weniger als|bis zu|plus de|moins de|[<>≤≥]|from|between|zwischen|entre|\d\s?[-–]|\bto"
    r"|limit (?:of|is))\s*$",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\s?(?:[-–]|to|bis|à)\s?\d")
_ABOUT = re.compile(
    r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|ca\.?|rund|etwa|environ|[~≈约約])\s*$", re.I
)
_STATED = re.compile(r"(?:\b(?:is|are|was|equals?|ist|beträgt|war|est|était|es|era)\s|[=:]\s?)$", re.I)
_OF = re.compile(r"\s(?:of|an|de)\s(?:the\s|its\s)?([^\W\d_]{3,30})")
_TOKEN = re.compile(r"[^\W\d_]+-?\d(?:[\w.-]*\w)?|[^\W\d_]{2,}")
_NEXT = re.compile(r"\s([^\W\d_]{3,30})")
_SINGLE = re.compile(
    r"\b(?:founded|born|established|released|launched|opened|gegründet|erschien|fondée?|sorti)\b", re.I
)
_QUALIFYING = """
net gross idle peak minimum maximum average median mean initial final before after planned expected forecast estimated
annual monthly weekly daily hourly total old new first second third last previous current former compressed gzipped cold
warm without excluding including remaining additional extra further other another target budget actual yesterday today
tomorrow morning evening north south east west left right upper lower
"""
_QUALIFIERS = frozenset(map(stem, _QUALIFYING.split()))
"""Words that tell two figures of one thing apart."""


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


@dataclass(frozen=True)
class _Fact:
    source: str
    steps: tuple[str, ...]
    text: str
    figure: Quantity
    names: frozenset[str]
    nouns: frozenset[str]
    head: str
    others: frozenset[str]
    """The other figures around it: its conditions."""
    hedged: bool
    stated: bool = False
    """Whether it is all that its sentence says of its names: `F-7 is 12`."""

    @cached_property
    def kind(self) -> str:
        return "date" if self.figure.code else in_base(self.figure)[0]

    @cached_property
    def value(self) -> float | str:
        return self.figure.code or in_base(self.figure)[1][0]


def conflicts(sources: Iterable[SourceText]) -> list[Contradiction]:
    """Return the conflicts between outputs, in the order of their first sides."""
    texts = list(sources)
    common = _lower_words(texts)
    groups: dict[tuple[frozenset[str], str], list[_Fact]] = defaultdict(list)
    order: dict[int, int] = {}
    for source in texts:
        for fact in _facts(source, common):
            order[id(fact)] = len(order)
            groups[fact.names, fact.kind].append(fact)
    found: list[list[_Fact]] = []
    for group in groups.values():
        if len({fact.source for fact in group}) > 1:
            found.extend(_clusters(group[:MOST_COMPARED]))
    found.sort(key=lambda cluster: order[id(cluster[0])])
    return [_conflict(cluster) for cluster in found]


def _conflict(cluster: Sequence[_Fact]) -> Contradiction:
    first = cluster[0]
    shared = first.nouns.intersection(*(fact.nouns for fact in cluster))
    known = first.names | shared
    words = [word for word in _TOKEN.findall(first.text) if {fold(word), stem(fold(word))} & known]
    sides = tuple(OneSide(fact.steps, fact.figure.text, fact.text) for fact in cluster)
    return Contradiction(" ".join(dict.fromkeys(words)) or " ".join(sorted(first.names)), sides)


def _clusters(group: Sequence[_Fact]) -> Iterator[list[_Fact]]:
    """Yield the facts of the same thing that have two or three values, one fact a value and source."""
    left = list(group)
    while left:
        first, *others = left
        cluster = [first, *(other for other in others if _is_same(first, other))]
        values = {fact.value for fact in cluster}
        is_conflict = _conflicting(cluster)
        if is_conflict:
            yield list({(fact.source, str(fact.value)): fact for fact in cluster}.values())
        done = cluster if is_conflict or len(values) > MOST_VALUES else [first]
        left = [fact for fact in left if not any(fact is each for each in done)]


def _conflicting(cluster: Sequence[_Fact]) -> bool:
    by_source: dict[str, set[float | str]] = defaultdict(set)
    for fact in cluster:
        by_source[fact.source].add(fact.value)
    values = {fact.value for fact in cluster}
    if len(by_source) < 2 or not 1 < len(values) <= MOST_VALUES or any(len(own) > 1 for own in by_source.values()):
        return False
    return all(_differ(one, other) for one, other in combinations(cluster, 2) if one.value != other.value)


def _is_same(one: _Fact, other: _Fact) -> bool:
    """Whether two figures with the same names and dimension are of the same thing."""
    if one.others != other.others:
        return False
    common, every = one.nouns & other.nouns, one.nouns | other.nouns
    if not every:
        return bool(one.kind) or (one.stated and other.stated)
    if not common or (every - common) & _QUALIFIERS:
        return False
    return len(common) / len(every) >= ALIKE_WORDS or (bool(one.head) and one.head == other.head)


def _differ(one: _Fact, other: _Fact) -> bool:
    """Whether two values are more than different roundings or precisions of one."""
    if isinstance(one.value, str) or isinstance(other.value, str):
        first, second = str(one.value), str(other.value)
        return not first.startswith(second) and not second.startswith(first)
    factors = [1.0 if fact.figure.unit is None else fact.figure.unit.factor for fact in (one, other)]
    steps = [fact.figure.step * factor for fact, factor in zip((one, other), factors, strict=True)]
    apart = abs(one.value - other.value)
    if one.hedged or other.hedged:
        return apart > HEDGED * max(abs(one.value), abs(other.value))
    return apart > 0.5 * max(steps) * (1 + 1e-9)


# Facts


def _lower_words(texts: Iterable[SourceText]) -> frozenset[str]:
    """Return the words that some output writes in lower case: at the start of a sentence they are no names."""
    found: set[str] = set()
    for source in texts:
        found.update(re.findall(r"(?<![\w-])[a-zà-ÿ]{3,}", source.text))
    return frozenset(found)


def _facts(source: SourceText, common: frozenset[str]) -> Iterator[_Fact]:
    for at, passage in enumerate(source.passages):
        if passage.kind in ("heading", "code") or not _DIGIT.search(passage.text):
            continue
        cited = _CITATION.findall(passage.text)
        statement = _without_citations(source, at) if cited else source.statement(at)
        steps = tuple(dict.fromkeys(re.split(r"[,;]\s*", ", ".join(cited)))) if cited else (source.name,)
        text = statement.passage.text.strip()
        read = _of_row if passage.kind == "row" else _of_sentence
        if len(statement.figures) > MOST_FIGURES:
            continue
        for figure in statement.figures:
            fact = read(statement, figure, common) if _is_single(statement, figure) else None
            if fact is not None and fact[0]:
                names, nouns, head = fact
                before = statement.passage.text[max(0, figure.start - WORDS_BEFORE) : figure.start]
                hedged = _ABOUT.search(before) is not None
                others = _conditions(statement, figure)
                stated = _STATED.search(before) is not None
                yield _Fact(source.name, steps, text, figure, names, nouns, head, others, hedged, stated)


def _without_citations(source: SourceText, at: int) -> Statement:
    passage = source.passages[at]
    return Statement(replace(passage, text=_CITATION.sub("", passage.text)))


def _is_single(statement: Statement, figure: Quantity) -> bool:
    """Whether a figure is one value: not a word, bound, range, version or year."""
    text = statement.passage.text
    if figure not in statement.numbers or _BOUND.search(text[max(0, figure.start - 20) : figure.start]):
        return False
    if _RANGE.match(text, figure.end) or (figure.code and not re.match(r"\d{4}-", figure.code)):
        return False
    is_year = not figure.code and is_like_a_year(figure)
    return not (is_year or figure.code) or statement.passage.kind == "row" or _SINGLE.search(text) is not None


def _conditions(statement: Statement, figure: Quantity) -> frozenset[str]:
    """Return the other figures near a figure, such as the year or the number of documents."""
    if statement.passage.kind == "row":
        return frozenset()
    start, end = statement.clause(figure)
    near = [each for each in statement.numbers if each is not figure]
    years = [each for each in near if each.code or is_like_a_year(each)]
    inside = [each for each in near if start <= each.start < end]
    return frozenset(each.code or str(each.values[0]) for each in (*years, *inside))


Words = tuple[frozenset[str], frozenset[str], str]


def _of_sentence(statement: Statement, figure: Quantity, common: frozenset[str]) -> Words:
    """Return the names and the other words of a figure in a sentence, and the noun that it counts or measures."""
    names = _names_of(statement, figure, common)
    above = _above(statement, common)
    words = _words(names)
    if not any(name.sure for name in names):  # a label such as `Memory:` below the heading with the name
        words |= above
    return words, statement.words_of_clause(figure) - words - above, _head(statement, figure)


def _names_of(statement: Statement, figure: Quantity, common: frozenset[str]) -> list[Name]:
    """Return the names in the clause of a figure, else the last one before it, else the only one of the sentence."""
    start, end = statement.clause(figure)
    found = [name for name in statement.names if _is_name(name, common)]
    inside = [name for name in found if start <= name.start < end]
    before = [name for name in found if name.start < start]
    return inside or before[-1:] or (found if len(found) == 1 else [])


def _words(names: Iterable[Name]) -> frozenset[str]:
    """Return the words of names; of a name with digits all of it, since they tell it from others."""
    texts = [name.text for name in names]
    return words_of(" ".join(texts)) | {fold(text) for text in texts if any(c.isdigit() for c in text)}


def _above(statement: Statement, common: frozenset[str]) -> frozenset[str]:
    """Return the words of the names in the headings."""
    names = [name for name in names_of(statement.passage.context.replace(" / ", ". ")) if _is_name(name, common)]
    return _words(names)


def _is_name(name: Name, common: frozenset[str]) -> bool:
    return name.sure or fold(name.text.split()[0]) not in common


def _head(statement: Statement, figure: Quantity) -> str:
    text = statement.passage.text
    after = (_NEXT if figure.unit is None else _OF).match(text, figure.end)
    if after is not None and fold(after[1]) not in STOP_WORDS:
        return stem(fold(after[1]))
    start, _ = statement.clause(figure)
    before = [word for word in re.findall(r"[^\W\d_]{3,}", text[start : figure.start]) if fold(word) not in STOP_WORDS]
    return stem(fold(before[-1])) if before else ""


def _of_row(statement: Statement, figure: Quantity, common: frozenset[str]) -> Words | None:
    """Return the first cell of a row as its name, and the label of the figure's own cell.

    In a table of properties, the first cell is the property, and the heading is the name.
    """
    cells = [cell for cell in statement.cells if cell.value.strip()]
    own = next((cell for cell in cells if cell.start <= figure.start <= cell.end), None)
    first = next((cell for cell in cells if cell is own or _is_text(cell)), None)
    if own is None or first is None or first is own:
        return None
    names, nouns = words_of(first.value), words_of(own.label)
    return (names, nouns, "") if nouns else (_above(statement, common), names, "")


def _is_text(cell: Cell) -> bool:
    return len(cell.value) <= NAME_CHARACTERS and not any(c.isdigit() for c in cell.value)


def line(conflict: Contradiction) -> str:
    """Return a conflict in one line: `Aurora memory: 120 MB [read.1]; 180 MB [read.7]`."""
    sides = "; ".join(f"{side.figure.strip()} [{', '.join(side.steps)}]" for side in conflict.sides)
    return f"{conflict.about}: {sides}"
