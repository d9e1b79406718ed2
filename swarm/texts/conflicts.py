"""Quantities that disagree: the same unit and the same noun, in different sources, with different values.

Two quantities are of the same thing if, in this order:

1. they have the same kind (unit, counted noun, date) and no source has both;
2. what follows them (`of memory`, `members`) is the same, if something follows both;
3. their sentences share most of their words, and the noun nearest to the quantities;
4. no word that both have is told apart: `search service` is not `mail service`, `équipe A` is not `équipe B`;
5. the years, dates and numbers around them are the same.

A thing with more than three values is a series and no disagreement.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from swarm.texts.lexicon import ALIKE, MEASURES, STOP, VAGUE, VERBS
from swarm.texts.quantities import MONEY, Figure, quantities
from swarm.texts.words import kin, pieces, stem, words

MOST_VALUES = 3
"""Maximum different values of a disagreement."""
COMMON = 60
"""Number of quantities that share a word above which it does not identify a thing."""
_SHARED = 0.6  # minimum share of the words of the shorter sentence that both have
_HEDGED = 0.1  # share by which an approximate value may differ
_HEDGE = re.compile(
    r"(?:about|around|roughly|approximately|nearly|almost|some|rund|etwa|ca\.?|environ|около|约|約|[~≈])\s*$", re.I
)
_BOUND = re.compile(
    r"(?:at least|at most|more than|less than|up to|over|under|mindestens|höchstens|plus de|moins de"
    r"|[<>≤≥]|version:?)\s*$",
    re.I,
)
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_ELIDED = re.compile(r"(?<!\w)(?:[cdjlmnst]|qu)['’](?=\w)", re.IGNORECASE)
_HEAD = re.compile(r"([^\W\d_]{3,})\s(?:of|de|du|des|von)\s(?:the\s|la\s|der\s)?([^\W\d_]{3,})")
_CONDITIONS = ("year", "date", "day", "number")
_FRENCH = re.compile(r"\b(?:les?|la|des|du|un|une|l['’])\b", re.IGNORECASE)
_CELL = re.compile(r"([^\W\d_]{3,})\s$")
_CLAUSE = re.compile(r"[;；。]\s*")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence with its source, in which quantities are looked for."""

    text: str
    above: str
    """Title and headings."""
    origin: str
    """Name of its source."""


@dataclass(frozen=True, slots=True)
class OneValue:
    """One value of a disagreement."""

    number: int
    """Index of its statement."""
    quantity: Figure


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Values of one thing that differ."""

    about: str
    """The words that the statements share."""
    sides: tuple[OneValue, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    side: OneValue
    origin: str
    words: frozenset[str]
    noun: frozenset[str]
    near: frozenset[str]
    before: dict[str, str]
    """The word directly before each word."""
    label: dict[str, str]
    """The letter, number or name directly after each word."""
    parts: tuple[tuple[str, str], ...]
    """What is of something, and of what."""
    others: frozenset[float]
    """Years, dates and plain numbers around it."""
    above: frozenset[str]
    named: int
    """Number of its own words that are no categories."""
    hedged: bool
    about: tuple[str, ...]
    """The words as they are written, in order."""


def conflicts(statements: Sequence[Utterance], categories: frozenset[str] = frozenset()) -> list[Disagreement]:
    """Return the quantities that disagree, in the order of the statements.

    `categories` are words of which several things are meant, such as `service` if the goal asks about each service.
    """
    by_kind: dict[str, list[_Use]] = defaultdict(list)
    for n, statement in enumerate(statements):
        for fact in _facts(n, statement, categories):
            by_kind[fact.side.quantity.kind].append(fact)
    found: list[Disagreement] = []
    for group in by_kind.values():
        found += _of_kind(group)
    return sorted(found, key=lambda conflict: conflict.sides[0].number)


def _of_kind(group: Sequence[_Use]) -> Iterator[Disagreement]:
    """Yield the disagreements among quantities of one kind. Only those that share a rare word are compared."""
    by_word = _by_word(group)
    done: set[int] = set()
    for n, fact in enumerate(group):
        places = (by_word[word[:4]] for word in fact.words)
        near = set(chain.from_iterable(found for found in places if len(found) <= COMMON)) - {n}
        same = [m for m in sorted(near) if _is_same(fact, group[m])]
        members = [fact, *(group[m] for m in same)]
        if n not in done and _is_conflict(members):
            done.update(same)
            yield _conflict(members)


def _by_word(group: Sequence[_Use]) -> dict[str, list[int]]:
    """Return the places of each word, by its first four letters: words of one stem have these in common."""
    found: dict[str, list[int]] = defaultdict(list)
    for n, fact in enumerate(group):
        for start in sorted({word[:4] for word in fact.words}):
            found[start].append(n)
    return found


def _is_conflict(members: Sequence[_Use]) -> bool:
    """Whether two or three values are given, each source giving one."""
    values: list[_Use] = []
    by_origin: dict[str, set[float]] = defaultdict(set)
    for fact in members:
        by_origin[fact.origin].add(fact.side.quantity.value)
        if all(_differ(fact, other) for other in values):
            values.append(fact)
    return 1 < len(values) <= MOST_VALUES and all(len(own) == 1 for own in by_origin.values())


def _differ(one: _Use, other: _Use) -> bool:
    """Whether two values are more than roundings of one."""
    first, second = one.side.quantity, other.side.quantity
    apart = abs(first.value - second.value)
    if one.hedged or other.hedged:
        return apart > _HEDGED * max(abs(first.value), abs(second.value))
    return apart > max(first.step, second.step)


def _conflict(members: Sequence[_Use]) -> Disagreement:
    first = members[0]
    shared = [word for word in first.about if all(_has(fact.words, _root(word)) for fact in members[1:])]
    return Disagreement(" ".join(dict.fromkeys(shared)), tuple(fact.side for fact in members))


def _is_same(one: _Use, other: _Use) -> bool:
    """Whether two quantities are of the same thing: the cases of the module, in their order."""
    if one.origin == other.origin:  # 1
        return False
    if one.noun and other.noun and not _common(one.noun, other.noun):  # 2
        return False
    return _is_about_the_same(one, other) and not _is_told_apart(one, other)


def _is_about_the_same(one: _Use, other: _Use) -> bool:
    shared, least = _common(one.words, other.words), min(len(one.words), len(other.words))  # 3
    if not shared or shared < _SHARED * least or not _common(one.near, other.near):
        return False
    if shared == 1 and len(one.words) + len(other.words) > 3:
        return False
    is_vague = min(one.named, other.named) < 2 and one.above and other.above
    return not is_vague or _common(one.above, other.above) > 0


def _is_told_apart(one: _Use, other: _Use) -> bool:
    if one.others and other.others and one.others != other.others:  # 5
        return True
    if one.side.quantity.kind in MONEY and (_is_part(one, other) or _is_part(other, one)):
        return True
    return _clash(one, other, one.before, other.before) or _clash(one, other, one.label, other.label)  # 4


def _clash(one: _Use, other: _Use, here: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Whether a word that both have stands next to different words, which the other does not have."""
    for word in here.keys() & there.keys():
        left, right = here[word], there[word]
        if not kin(left, right) and not _has(other.words, left) and not _has(one.words, right):
            return True
    return False


def _is_part(one: _Use, other: _Use) -> bool:
    """Whether one is about a part of what the other is about: `the repair of the bridge`, `the bridge`."""
    return any(_has(other.words, whole) and not _has(other.words, part) for part, whole in one.parts)


def _common(some: Iterable[str], others: frozenset[str]) -> int:
    return sum(1 for word in some if _has(others, word))


def _has(some: frozenset[str], word: str) -> bool:
    return word in some or any(kin(word, each) for each in some)


def _root(word: str) -> str:
    """Return a word as it is compared: without ending, and one word for `length` and `long`."""
    folded = stem(word.casefold())
    return ALIKE.get(folded, folded)


def _written(text: str) -> list[str]:
    """Return the words of a text that have content, as they are written."""
    found: list[str] = []
    for word in text.split():
        found += pieces(word) if "\u3040" <= word[0] <= "\u9fff" else [word] * _is_content(word)
    return found


def _roots(written: Iterable[str]) -> list[str]:
    """Return the roots of words; pairs of characters of those in a script without spaces."""
    found: list[str] = []
    for word in written:
        found += [_root(word)] if word[0] < "\u3000" else words(word)
    return found


def _facts(number: int, statement: Utterance, categories: frozenset[str]) -> Iterator[_Use]:
    subject, _, rest = statement.text.partition(": ")
    is_row = ";" in rest
    for clause in _CLAUSE.split(rest) if is_row else [statement.text]:
        text = f"{subject}: {clause}" if is_row else clause
        found = quantities(text)
        for quantity in found:
            each = _of_cell(quantity, text) if is_row else quantity
            if each.kind != "number" or _is_stated(text[: each.start]):
                yield from _fact(replace(statement, text=text), OneValue(number, each), found, categories)


def _is_stated(before: str) -> bool:
    """Whether a plain number is a value, and not a label such as that of `group 7`."""
    last = before.split()[-1:] or [""]
    return (last[0].endswith(":") and last[0] != "::") or not _is_content(last[0])


def _of_cell(figure: Figure, text: str) -> Figure:
    """Return a plain number in a row as the count of what its head names: `workers 140`."""
    head = _CELL.search(text[: figure.start]) if figure.kind == "number" else None
    return replace(figure, kind="count", noun=head[1]) if head else figure


def _fact(statement: Utterance, side: OneValue, every: Sequence[Figure], categories: frozenset[str]) -> Iterator[_Use]:
    text, quantity = statement.text, side.quantity
    before = text[: quantity.start]
    if _BOUND.search(before):
        return
    bare = _ELIDED.sub(lambda match: " " * len(match[0]), text)
    for each in every:
        bare = bare[: each.start] + " " * (each.end - each.start) + bare[each.end :]
    tokens = list(_TOKEN.finditer(bare))
    content = _written(" ".join(match[0] for match in tokens))
    ahead = _roots(_written(" ".join(match[0] for match in tokens if match.end() <= quantity.start)))
    noun = frozenset(_roots(quantity.noun.split()))
    own = frozenset((*_roots(content), *noun))
    others = (q for q in every if q.start != quantity.start and q.kind in _CONDITIONS)
    above = frozenset(words(statement.above))
    is_vague = len(own) < 2 or text.split(" ")[0].casefold() in VAGUE
    yield _Use(
        side,
        statement.origin,
        own | above if is_vague else own,
        noun,
        frozenset((*ahead[-2:], *noun)),
        _neighbours(tokens, text, ahead=False),
        _neighbours(tokens, text, ahead=True),
        _parts(bare),
        frozenset(q.value for q in others),
        above,
        len(own - categories),
        _HEDGE.search(before) is not None,
        tuple(content),
    )


def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """Return what is of something, and of what: `repair`, `bridge`. A measure is no part."""
    pairs = (match.groups() for match in _HEAD.finditer(text))
    return tuple((_root(one), _root(of)) for one, of in pairs if _is_content(one) and one.casefold() not in MEASURES)


def _is_content(word: str) -> bool:
    folded = word.casefold()
    return not (folded in STOP or folded in VERBS) or (len(word) == 1 and word.isupper())


def _neighbours(tokens: Sequence["re.Match[str]"], text: str, *, ahead: bool) -> dict[str, str]:
    """Return for each content word the one directly before it, or the label (`A`, `B2`) directly after it."""
    found: dict[str, str] = {}
    is_french = _FRENCH.search(text) is not None
    for left, right in pairwise(tokens):
        if text[left.end() : right.start()] != " " or not (_is_content(left[0]) and _is_content(right[0])):
            continue
        # French adjectives follow their nouns: `équipe rouge`.
        is_label = is_french or len(right[0]) == 1 or right[0] != right[0].lower() or any(c.isdigit() for c in right[0])
        if ahead and is_label:
            found[_root(left[0])] = right[0].casefold()
        elif not ahead:
            found[_root(right[0])] = _root(left[0])
    return found
