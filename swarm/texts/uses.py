"""The quantities of sentences with what tells them apart: the words around them, the subject,
other figures.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

from swarm.texts.lexicon import COUNTING, DOCUMENTS, MEASURES, PACKS, REPEATED, VAGUE
from swarm.texts.quantities import WHEN, Figure, quantities, unit_of
from swarm.texts.roots import TOKEN, common, content, is_content, root, roots, written
from swarm.texts.units import MONTHS
from swarm.texts.values import YES, answer, names, numbered
from swarm.texts.words import kin, words

MOST_FIGURES = 100
"""Maximum figures of a clause that are compared: with more, it is a listing, and each costs a
look at all."""
_NEAR = 40  # characters before a figure in which words such as `about` are looked for
_HEDGE = re.compile(
    r"(?:about|around|roughly|approximately|nearly|almost|some|rund|etwa|ca\.?|environ|около|约|約|[~≈])\s*$", re.I
)
_BOUND = re.compile(
    r"(?:at least|at most|more than|less than|up to|over|under|mindestens|höchstens|plus de|moins de"
    r"|[<>≤≥]|version:?|\d\s?[-–—]|\d(?:\s[^\W\d_]+)?\s(?:to|bis|à))\s*$",
    re.I,
)
_BOUND_AFTER = re.compile(
    r"\s?[-–—]\s?\d|\s(?:to|bis|à)\s\d|\s?(?:[^\W\d_]+\s){0,3}"
    r"(?:au (?:maximum|minimum|moins|plus)|or (?:more|less)|at (?:most|least)|maxim|minim|max\b"
    r"|oder mehr|ou plus)|以上|以下|以内|未満",
    re.I,
)
_CONDITION = re.compile(r"(?:\b(?:with|for|at|mit|bei|für|avec|pour|à|con|при|с|для)|在)\s?$", re.I)
_ELIDED = re.compile(r"(?<!\w)(?:[cdjlmnst]|qu)['’](?=\w)", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:A|An|À|Un)\s(?=[^\W\d])")
_HEAD = re.compile(r"([^\W\d_]{3,})\s(?:of|for|de|du|des|von)\s(?:the\s|la\s|der\s)?([^\W\d_]{3,})")
_FRENCH = re.compile(r"\b(?:les?|la|des|du|un|une|l['’])\b", re.IGNORECASE)
_DATED = re.compile(r"(?:year|vintage|jahrgang|millésime|date|month|jahr|datum|année|год|дата)\b|年", re.I)
_CODE = re.compile(r"(?<![\w.-])(?:\d+(?:\.\d+){2,}|[^\W\d_]+(?:-?\d+)+)(?![\w-])")
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
class Use:
    """A quantity with its context."""

    side: OneValue
    origin: str
    words: frozenset[str]
    noun: frozenset[str]
    every: frozenset[str]
    """Its words and those above it."""
    subject: frozenset[str]
    """What it is about, if the sentence says so."""
    names: frozenset[str]
    """Its words with a capital that are nowhere without one."""
    codes: frozenset[str]
    """Its versions and names with a digit, else those above it."""
    title: frozenset[str]
    """The title of its source, if it is a name."""
    before: dict[str, str]
    """The word directly before each word."""
    label: dict[str, str]
    """The letter, number or name directly after each word."""
    parts: tuple[tuple[str, str], ...]
    """What is of something, and of what."""
    others: tuple[Figure, ...]
    """The other figures that tell it from others: years, dates and plain numbers; of a date,
    all figures."""
    hedged: bool
    about: tuple[str, ...]
    """The words as they are written, in order."""
    row: frozenset[str] = frozenset()
    """The words of the other cells of its row that have no figure."""

    @property
    def figure(self) -> Figure:
        """The quantity."""
        return self.side.quantity

    @property
    def identity(self) -> frozenset[str]:
        """The words that name what it is about."""
        return self.names | self.subject | self.title

    @property
    def kind(self) -> str:
        """Its kind; `when` for dates of any kind."""
        return "when" if self.figure.kind in WHEN else self.figure.kind


def uses(
    number: int,
    statement: Utterance,
    lower: frozenset[str],
    categories: frozenset[str],
    *,
    with_names: bool = False,
) -> Iterator[Use]:
    """Yield the quantities of a statement, and other values; `lower` are the words that are no names."""
    if not statement.above and statement.text.split(" ")[0].casefold() in VAGUE:
        return  # nobody knows what it is about
    row = _row(_without_document(statement.text), lower)
    for text in row.clauses:
        found = quantities(text)
        kept = _values(text, found, row) if len(found) <= MOST_FIGURES else []
        kept += _stated(text, lower, in_row=len(row.clauses) > 1) if with_names else []
        for each in kept:
            use = _use(replace(statement, text=text), OneValue(number, each), found, lower, categories)
            own = use.words if row.subject else use.words | row.words
            others = use.others + row.when
            yield replace(use, words=own, row=row.words, others=others, names=use.names or row.names)


def _values(text: str, found: Sequence[Figure], row: "_Cells") -> list[Figure]:
    """Return the quantities of a clause that are said of something."""
    is_cell = ": " in text or len(row.clauses) > 1
    cells = (_of_cell(each, text, row.plain) if is_cell else each for each in found)
    return [each for each in cells if _is_value(each, text, found) and not _is_bound(each, text)]


def _stated(text: str, lower: frozenset[str], *, in_row: bool) -> Iterator[Figure]:
    """Yield the names, versions and numbered things that a clause gives as values."""
    for each in names(text, in_row=in_row):
        if any(_is_name(word, lower) or not word.isascii() for word in TOKEN.findall(each.text)):
            yield each
    yield from numbered(text)


def answers(number: int, statement: Utterance, lower: frozenset[str], categories: frozenset[str]) -> Iterator[Use]:
    """Yield for each clause of a statement whether it says yes or no."""
    for text in _row(_without_document(statement.text), lower).clauses:
        figure = answer(text)
        if figure is not None:
            found = quantities(text)
            use = _use(replace(statement, text=text), OneValue(number, figure), found, lower, categories)
            yield replace(use, others=tuple(found))


def _without_document(text: str) -> str:
    """Return a sentence without the words before a colon that only say who says it: `Letter of the bank: …`."""
    head, colon, rest = text.partition(": ")
    return rest if colon and DOCUMENTS.intersection(roots(TOKEN.findall(head))) and len(rest) > len(head) else text


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of a row of a table; a sentence is a row of one cell without words."""

    clauses: tuple[str, ...]
    """The cells, each after the subject of the row."""
    subject: str = ""
    plain: str = ""
    """The text of the cells without figures."""
    words: frozenset[str] = frozenset()
    """The words of this text."""
    names: frozenset[str] = frozenset()
    """The names in the subject."""
    when: tuple[Figure, ...] = ()
    """Its year or date."""


def _row(text: str, lower: frozenset[str]) -> _Cells:
    if ";" not in text:
        return _Cells((text,), text)
    subject, colon, rest = text.partition(": ")
    cells = _CLAUSE.split(rest if colon else text)
    plain = " ".join(cell for cell in cells if not quantities(cell))
    dated = " ".join(cell for cell in cells if _DATED.match(cell))
    when = tuple(figure for figure in quantities(dated) if figure.kind in WHEN)
    clauses = tuple(f"{subject}: {cell}" if colon else cell for cell in cells)
    return _Cells(clauses, subject if colon else "", plain, frozenset(content(plain)), _names(subject, lower), when)


def _is_bound(figure: Figure, text: str) -> bool:
    """Whether a figure is a limit, or when something happened that happens again and again."""
    if figure.kind in WHEN:
        roots = {root(word) for word in TOKEN.findall(text)}
        if any(kin(*pair) for pair in product(roots, REPEATED)):
            return True
    before = text[max(0, figure.start - _NEAR) : figure.start]
    return _BOUND.search(before) is not None or _BOUND_AFTER.match(text, figure.end) is not None


def _is_value(figure: Figure, text: str, every: Sequence[Figure]) -> bool:
    """Whether a figure is said of something: no label, no condition, no date before another."""
    before = text[max(0, figure.start - _NEAR) : figure.start]
    others = [each for each in every if each.kind not in WHEN]
    if figure.kind in WHEN and len(before.split()) < 2:
        return not others
    if _is_condition(figure, text) and any(not _is_condition(each, text) for each in others):
        return False
    return figure.kind != "number" or _is_stated(before)


def _is_condition(figure: Figure, text: str) -> bool:
    """Whether another figure is said of this one: `76 MB with 2,000 pages`."""
    return _CONDITION.search(text[max(0, figure.start - _NEAR) : figure.start]) is not None


def _is_stated(before: str) -> bool:
    """Whether a plain number is a value, and not a label such as that of `group 7`."""
    last = before.split()[-1:] or [""]
    return (last[0].endswith(":") and last[0] != "::") or not is_content(last[0])


def _of_cell(figure: Figure, text: str, plain: str) -> Figure:
    """Return a plain number in a row as the count of what its head names: `workers 140`."""
    before = text[max(0, figure.start - _NEAR) : figure.start]
    is_all = not text[figure.end :].strip(" .;")
    head = _CELL.search(before) if figure.kind == "number" and is_all else None
    if head is None:
        return figure
    subject, colon, cell = text.partition(": ")
    if head[1][0].isupper() and cell[:1].islower():
        return figure  # `place Ward 4`: the number is part of a name
    counts_subject = colon and root(head[1]) in COUNTING
    return replace(figure, kind="count", noun=f"{subject} {plain}".strip() if counts_subject else head[1])


def _use(
    statement: Utterance,
    side: OneValue,
    every: Sequence[Figure],
    lower: frozenset[str],
    categories: frozenset[str],
) -> Use:
    text, quantity = statement.text, side.quantity
    bare = _without_figures(text, (*every, quantity))
    tokens = list(TOKEN.finditer(bare))
    content = written(" ".join(match[0] for match in tokens))
    noun = frozenset(roots(filter(is_content, quantity.noun.split())))
    said = frozenset((*roots(content), *noun))
    own = said - MEASURES or said if quantity.kind != YES else said
    above = frozenset(map(root, words(statement.above)))
    is_vague = len(own - categories) < 2 or text.split(" ")[0].casefold() in VAGUE
    return Use(
        side,
        statement.origin,
        own | above if is_vague else own,
        noun,
        own | above,
        _subject(bare, own, above, lower, is_vague=is_vague),
        _names(bare, lower),
        _codes(bare) or _codes(statement.above),
        _title(statement.above, lower),
        _neighbours(tokens, text, ahead=False),
        _neighbours(tokens, text, ahead=True),
        _parts(bare),
        _others(quantity, every, text),
        _HEDGE.search(text[max(0, quantity.start - _NEAR) : quantity.start]) is not None,
        tuple(content),
    )


def _others(figure: Figure, every: Sequence[Figure], text: str) -> tuple[Figure, ...]:
    """Return the figures that tell one from others: of a date all, else dates, plain numbers and conditions."""
    kinds = {each.kind for each in every} if figure.kind in WHEN else {*WHEN, "number"}
    others = (each for each in every if each.kind in kinds or _is_condition(each, text))
    return tuple(each for each in others if not figure.start <= each.start < figure.end)


def _without_figures(text: str, every: Iterable[Figure]) -> str:
    """Return a text of the same length with spaces in place of its figures and elided articles."""
    bare = _ARTICLE.sub(_blank, _ELIDED.sub(_blank, text))
    for each in every:
        bare = bare[: each.start] + " " * (each.end - each.start) + bare[each.end :]
    return bare


def _blank(match: "re.Match[str]") -> str:
    return " " * len(match[0])


def _subject(
    text: str, own: frozenset[str], above: frozenset[str], lower: frozenset[str], *, is_vague: bool
) -> frozenset[str]:
    """Return what a sentence is about: what precedes a colon, the title if it says it, or a name at its start."""
    head, colon, _ = text.partition(": ")
    tokens = TOKEN.findall(text)
    before = frozenset(roots(written(" ".join(TOKEN.findall(head))))) if colon else frozenset[str]()
    names = frozenset(roots(word for word in tokens if _is_name(word, lower)))
    first = [word for word in tokens[:1] if _is_name(word, lower)]
    said = above if is_vague else frozenset(common(above & own, names))
    return (said if is_vague else before) or said or frozenset(roots(first))


def _title(above: str, lower: frozenset[str]) -> frozenset[str]:
    tokens = TOKEN.findall(above)
    is_name = len(tokens) < 3 and all(_is_name(word, lower) for word in tokens)
    found = frozenset(roots(tokens)) if is_name else frozenset[str]()
    return frozenset() if found & DOCUMENTS else found


def _is_name(word: str, lower: frozenset[str]) -> bool:
    """Whether a word is written with a capital, and nowhere without."""
    return word[0].isupper() and is_content(word) and word.casefold() not in lower


def _names(text: str, lower: frozenset[str]) -> frozenset[str]:
    words_of_names = (word for word in TOKEN.findall(text) if _is_name(word, lower))
    return frozenset(roots(word for word in words_of_names if not unit_of(word) and word.casefold() not in MONTHS))


def _codes(text: str) -> frozenset[str]:
    return frozenset(_CODE.findall(text.casefold()))


def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """Return what is of something, and of what: `repair`, `bridge`. A measure is no part, and neither is an invoice."""
    pairs = (match.groups() for match in _HEAD.finditer(text))
    whole = MEASURES | DOCUMENTS | PACKS
    return tuple((root(one), root(of)) for one, of in pairs if is_content(one) and one.casefold() not in whole)


def _neighbours(tokens: Sequence["re.Match[str]"], text: str, *, ahead: bool) -> dict[str, str]:
    """Return for each content word the one directly before it, or the label (`A`, `B2`) directly after it."""
    found: dict[str, str] = {}
    is_french = _FRENCH.search(text) is not None
    for left, right in pairwise(tokens):
        if text[left.end() : right.start()] != " " or not (is_content(left[0]) and is_content(right[0])):
            continue
        # French adjectives follow their nouns: `équipe rouge`.
        is_label = is_french or len(right[0]) == 1 or right[0] != right[0].lower() or any(c.isdigit() for c in right[0])
        if ahead and is_label:
            found[root(left[0])] = right[0].casefold()
        elif not ahead:
            found[root(right[0])] = root(left[0])
    return found
