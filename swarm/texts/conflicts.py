"""Figures, names and answers of sentences that disagree: the report without a model shows them.

Two values of different sources are of the same thing if

1. they have the same kind (unit, counted noun, date, name, version, yes or no),
2. half of the words around them are the same, and these are rare enough over all sources,
3. nothing tells them apart: the subject (`Alpha: …`, the title, a name at the start), opposite words (`long`, `wide`),
   a label (`équipe A`), a word before the same word (`mail service`), another year or number.

A yes and a no need more: one sentence has all words of the other. A thing with more than three values is a series and
no disagreement, and neither is what one source gives twice.
The report without a model compares all sentences of all sources; `attempt/evidence/conflicts.py` compares the outputs
of steps, only their figures, and demands a name.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product, starmap
from math import log

from swarm.texts.lexicon import OPPOSITE, PERSONS, QUALIFIERS
from swarm.texts.quantities import MONEY, WHEN, Figure
from swarm.texts.roots import common, content, has, root
from swarm.texts.uses import OneValue, Use, Utterance, answers, uses
from swarm.texts.values import LABEL, STATED, YES, agree, denies
from swarm.texts.words import kin

MOST_VALUES = 3
"""Maximum different values of a disagreement."""
COMMON = 60
"""Number of quantities that share a word above which it does not identify a thing."""
_SHARED = 0.5  # minimum share of the words of the shorter sentence that both have
_ONLY = 0.7  # the same if they have only one word in common
_EVIDENCE = 2.0  # minimum weight of these words: two that a third of the sources have, or one that a tenth has
_LEAST_SHARED = 2  # minimum words that two sentences share whose values are names, or yes and no
_CLEAR = 0.1  # by how much one quantity of a source is nearer than its others
_FARTHEST = 5  # factor above which two values are hardly of the same thing
_USUAL = 20  # number of sources that a few sources are taken for, so that a word that all have counts
_HEDGED = 0.1  # share by which an approximate value may differ
_LOWER = re.compile(r"(?<![\w-])[^\W\d_A-ZÀ-ÞА-Я][^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Values of one thing that differ."""

    about: str
    """The words that the statements share."""
    sides: tuple[OneValue, ...]


def conflicts(
    statements: Sequence[Utterance], categories: frozenset[str] = frozenset(), *, named: bool = False
) -> list[Disagreement]:
    """Return the values that disagree, in the order of the statements.

    `categories` are words of which several things are meant, such as `service` if the goal asks about each service.
    With `named`, only figures are compared whose subjects, names or titles have a word in common.
    """
    lower = frozenset(chain.from_iterable(map(_LOWER.findall, (each.text for each in statements))))
    by_kind: dict[str, list[Use]] = defaultdict(list)
    for n, statement in enumerate(statements):
        for use in uses(n, statement, lower, categories, with_names=not named):
            by_kind[use.kind].append(use)
    for n in () if named else _debatable(statements):
        by_kind[YES] += answers(n, statements[n], lower, categories)
    rarity = _Rarity(list(chain.from_iterable(by_kind.values())))
    found: list[Disagreement] = []
    for group in by_kind.values():
        found += _of_kind(group, rarity, named=named)
    return sorted(found, key=lambda conflict: conflict.sides[0].number)


def _debatable(statements: Sequence[Utterance]) -> list[int]:
    """Return the sentences that deny something, and those of other sources that share most words with one."""
    every = [frozenset(_start(word, 4) for word in content(each.text)) for each in statements]
    denied = [n for n, each in enumerate(statements) if denies(each.text)]
    by_word: dict[str, list[int]] = defaultdict(list)
    for n in denied:
        for word in every[n]:
            by_word[word].append(n)
    found = set(denied)
    for n, own in enumerate(every):
        rivals = Counter(chain.from_iterable(_few(by_word, word) for word in own))
        if any(_may_deny(statements, every, n, *rival) for rival in rivals.items()):
            found.add(n)
    return sorted(found)


def _few(by_word: Mapping[str, Sequence[int]], word: str) -> Sequence[int]:
    """Return the places of a word, but for one that many have."""
    places = by_word.get(word, ())
    return places if len(places) <= COMMON else ()


def _may_deny(
    statements: Sequence[Utterance], every: Sequence[frozenset[str]], n: int, rival: int, shared: int
) -> bool:
    """Whether a sentence of another source has most words of a shorter one."""
    least = max(_LEAST_SHARED, _SHARED * min(len(every[n]), len(every[rival])))
    return shared >= least and statements[n].origin != statements[rival].origin


class _Rarity:
    """The weight of words: the fewer sources have one, the larger."""

    def __init__(self, found: Iterable[Use]) -> None:
        self._files: dict[str, set[str]] = defaultdict(set)
        for use in found:
            for word in use.every:
                self._files[_start(word, 5)].add(use.origin)
        every = set(chain.from_iterable(self._files.values()))
        self._many = max(_USUAL, len(every))

    def of(self, some: Iterable[str]) -> float:
        """Return the weight of words. Words of one stem have their first letters in common."""
        return sum(log(1 + self._many / max(1, len(self._files[_start(word, 5)]))) for word in some)


def _of_kind(group: Sequence[Use], rarity: _Rarity, *, named: bool) -> Iterator[Disagreement]:
    """Yield the disagreements among quantities of one kind. Only those that share a rare word
    are compared.
    """
    by_word = _by_word(group)
    pairs = _Pairs(group, rarity)
    done: set[int] = set()
    for n, use in enumerate(group):
        if n not in done:
            near = [m for m in _near(n, group, by_word) if not named or common(use.identity, group[m].identity)]
            same = _of_same_thing(n, near, pairs)
            members = [use, *(group[m] for m in same)]
            if _is_conflict(members):
                done.update(same)
                yield _conflict(members)


def _of_same_thing(n: int, near: Sequence[int], pairs: "_Pairs") -> list[int]:
    """Return the quantities of the same thing in other sources that the own source does not give, too."""
    group = pairs.group
    found = _nearest(n, [m for m in near if group[m].origin != group[n].origin], pairs)
    own = [m for m in near if group[m].origin == group[n].origin]
    return [m for m in found if not _says_too(own, n, m, pairs)]


class _Pairs:
    """How alike two quantities are, computed once for each pair."""

    def __init__(self, group: Sequence[Use], rarity: _Rarity) -> None:
        self.group = group
        self._rarity = rarity
        self._known: dict[tuple[int, int], float] = {}

    def likeness(self, n: int, m: int) -> float:
        """Return the likeness of two quantities; 0 if they are of different things."""
        pair = (n, m) if n < m else (m, n)
        if pair not in self._known:
            one, other = self.group[pair[0]], self.group[pair[1]]
            score = 0.0 if _is_other_measure(one, other) else _likeness(one, other, self._rarity)
            self._known[pair] = 0.0 if not score or _is_told_apart(one, other) else score
        return self._known[pair]


def _near(n: int, group: Sequence[Use], by_word: Mapping[str, Sequence[int]]) -> list[int]:
    """Return the places of the quantities that share a word with one, but for words that many have."""
    found = chain.from_iterable(_few(by_word, _start(word, 4)) for word in group[n].words)
    return sorted(set(found) - {n})


def _start(word: str, letters: int) -> str:
    """Return the first letters of a word, which words of one stem have in common; all of `REQ-101`."""
    return word if any(map(str.isdigit, word)) else word[:letters]


def _by_word(group: Sequence[Use]) -> dict[str, list[int]]:
    """Return the places of each word, by its start."""
    found: dict[str, list[int]] = defaultdict(list)
    for n, use in enumerate(group):
        for start in sorted({_start(word, 4) for word in use.words}):
            found[start].append(n)
    return found


def _nearest(n: int, others: Iterable[int], pairs: _Pairs) -> list[int]:
    """Return the quantities of the same thing: of each source those that agree, else the one clearly nearest."""
    group = pairs.group
    by_origin: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for m in others:
        score = pairs.likeness(n, m)
        if score:
            by_origin[group[m].origin].append((score, m))
    found: list[int] = []
    for scored in by_origin.values():
        best, first = max(scored)
        same = [m for _, m in scored if not _differ(group[n], group[m])]
        rivals = [score for score, m in scored if m != first and _differ(group[m], group[first])]
        found += same or [first] * all(score < best - _CLEAR for score in rivals)
    return sorted(found)


def _says_too(own: Iterable[int], n: int, m: int, pairs: _Pairs) -> bool:
    """Whether the source of a quantity that differs from another one has the value of that one,
    or a nearer one.
    """
    group = pairs.group
    if not _differ(group[n], group[m]):
        return False
    likeness = pairs.likeness(n, m) + _CLEAR
    if any(pairs.likeness(each, m) > likeness for each in own):
        return True
    return any(not _differ(group[each], group[m]) and pairs.likeness(each, m) for each in own)


def _is_conflict(members: Sequence[Use]) -> bool:
    """Whether two or three values are given."""
    values: list[Use] = []
    for use in members:
        values += [use] if all(_differ(use, other) for other in values) else []
        if len(values) > MOST_VALUES:
            return False
    return len(values) > 1


def _differ(one: Use, other: Use) -> bool:
    """Whether two values are more than roundings of one, or dates with a different part that
    both have.
    """
    if one.kind in STATED:
        return not agree(one.figure, other.figure)
    if one.kind == "when":
        return not _agree(one.figure, other.figure)
    apart = abs(one.figure.value - other.figure.value)
    if one.hedged or other.hedged:
        return apart > _HEDGED * max(abs(one.figure.value), abs(other.figure.value))
    return apart >= max(one.figure.step, other.figure.step, 1e-9)


def _agree(one: Figure, other: Figure) -> bool:
    """Whether two figures may be the same: equal, or dates whose years, months and days are
    equal as far as given.
    """
    if one.kind in WHEN and other.kind in WHEN:
        return all(not (a and b) or a == b for a, b in zip(_parts_of(one), _parts_of(other), strict=True))
    return one.value == other.value


def _parts_of(figure: Figure) -> tuple[float, float, float]:
    value = int(figure.value) * (10_000 if figure.kind == "year" else 1)
    return value // 10_000, value // 100 % 100, value % 100


def _conflict(members: Sequence[Use]) -> Disagreement:
    first = members[0]
    shared = [word for word in first.about if all(has(use.words, root(word)) for use in members[1:])]
    return Disagreement(" ".join(dict.fromkeys(shared)), tuple(use.side for use in members))


def _likeness(one: Use, other: Use, rarity: _Rarity) -> float:
    """Return the share of the words of the shorter sentence that both have; 0 if that or their rarity is too small."""
    if one.noun and other.noun and not common(one.noun, other.noun) and _is_of_other(one, other):
        return 0.0
    shares = sorted((_covered(one.words, other, rarity), _covered(other.words, one, rarity)))
    if one.kind in STATED and len(common(one.words, other.every | other.row)) < _LEAST_SHARED:
        return 0.0
    if one.kind == YES and not (shares[1] == 1 and shares[0] >= _SHARED):
        return 0.0
    return shares[1]


def _covered(some: frozenset[str], other: Use, rarity: _Rarity) -> float:
    """Return the share of some words that a quantity or what is above it has; 0 if it, or their rarity, is small."""
    shared = common(some, other.every | other.row)
    share = len(shared) / len(some)
    is_enough = share >= (_SHARED if len(shared) > 1 else _ONLY)
    return share if is_enough and rarity.of(shared) >= _EVIDENCE and common(some, other.words) else 0.0


def _is_of_other(one: Use, other: Use) -> bool:
    """Whether two quantities with different nouns are of different things. Persons may be
    called anything.
    """
    if one.kind == LABEL:
        return True
    if one.kind == "count":
        return not (common(one.noun, PERSONS) or common(other.noun, PERSONS))
    return not common(one.noun, other.every) and not common(other.noun, one.every)


def _is_told_apart(one: Use, other: Use) -> bool:
    pairs = [
        (one.subject, other.subject or other.title),
        (one.subject or one.title, other.subject),
        (one.names, other.names),
    ]
    pairs += [(one.words & line, other.words & line) for line in OPPOSITE]
    pairs += [(one.words - one.names, other.words - other.names)] if one.kind == "when" else []
    if any(_are_different(one, other, *pair) for pair in pairs) or _have_other_conditions(one.others, other.others):
        return True
    if _have_other_codes(one, other) or _is_part(one, other) or _is_part(other, one):
        return True
    return _clash(one, other, one.before, other.before) or _clash(one, other, one.label, other.label)


def _have_other_codes(one: Use, other: Use) -> bool:
    """Whether both name versions or numbered things, and none is the same: 4.1.0 and 4.2.0, F-2
    and F-3.
    """
    return bool(one.codes and other.codes) and one.codes.isdisjoint(other.codes)


def _is_other_measure(one: Use, other: Use) -> bool:
    """Whether only one is net, average or the like, or the values are far apart and have no
    code in common.
    """
    values = sorted((abs(one.figure.value), abs(other.figure.value)))
    is_far = (
        one.kind not in ("when", "clock", *STATED) and values[1] > _FARTHEST * values[0] and not one.codes & other.codes
    )
    return is_far or (one.kind not in STATED and bool((one.words ^ other.words) & QUALIFIERS))


def _are_different(one: Use, other: Use, mine: frozenset[str], yours: frozenset[str]) -> bool:
    """Whether both have something that the other does not have."""
    return bool(mine and yours) and not common(mine, other.every) and not common(yours, one.every)


def _have_other_conditions(some: Sequence[Figure], others: Sequence[Figure]) -> bool:
    """Whether both have dates, or both have figures, and none of these agree."""
    for is_when in (True, False):
        mine = [each for each in some if (each.kind in WHEN) == is_when]
        yours = [each for each in others if (each.kind in WHEN) == is_when]
        if mine and yours and not any(starmap(_agree, product(mine, yours))):
            return True
    return False


def _clash(one: Use, other: Use, here: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Whether a word that both have stands next to different words that the other lacks."""
    for word in here.keys() & there.keys():
        left, right = here[word], there[word]
        if not kin(left, right) and not has(other.every, left) and not has(one.every, right):
            return True
    return False


def _is_part(one: Use, other: Use) -> bool:
    """Whether one amount of money is for a part of what the other is for: `the repair of the
    bridge`, `the bridge`.
    """
    return one.kind in MONEY and any(
        has(other.words, whole) and not has(other.words, part) for part, whole in one.parts
    )
