"""A number in a text as a value, and numbers that belong together: `1 h 30 min`, `10–20 MB`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from unicodedata import numeric

from swarm.texts.units import UNITS, Unit

SECONDS_A_DAY = 86_400
SECONDS_A_MINUTE = 60

_LETTERS = "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u024f\u0370-\u052f"
_EXTRA = {
    **dict.fromkeys(("y",), UNITS["year"]),
    **dict.fromkeys(("mo", "mos"), UNITS["month"]),
    **dict.fromkeys(("wk", "wks"), UNITS["week"]),
    **dict.fromkeys(("std",), UNITS["hour"]),
    **dict.fromkeys(("'", "′"), UNITS["ft"]),
    **dict.fromkeys(('"', "″", "''"), UNITS["inch"]),
    "in": UNITS["inch"],
}
"""Units that are read only next to a larger or a smaller one."""
_DIMENSIONS = ("seconds", "days", "months", "metres", "grams")
_SPELLINGS = {word: unit for word, unit in UNITS.items() if unit.dimension in _DIMENSIONS} | _EXTRA
_UNIT = "|".join(map(re.escape, sorted(_SPELLINGS, key=len, reverse=True)))
_PIECE = rf"\d{{1,4}}[\s-]?(?:{_UNIT})(?![{_LETTERS}_])\.?"
_JOIN = r"(?:,?\s(?:and|und|et|y)\s|,\s|\s|)"
_COMPOUND = re.compile(rf"{_PIECE}(?:{_JOIN}{_PIECE})+", re.IGNORECASE)
_MAY_BE = re.compile(
    rf"(?<![{_LETTERS}0-9_])(?<!\d[.,:/'])(?<!-)\d{{1,4}}[\s-]?(?:[^\W\d_]{{1,12}}\.?|['′]){_JOIN}(?=\d)"
)
"""Where several numbers with units may be one quantity: compared before the units are."""
_FRACTION = re.compile(
    rf"(?<![{_LETTERS}0-9_/])(?<!\d[.,'])"
    r"(?:(?:(?P<full>\d{1,3}) )?(?P<over>\d{1,3})/(?P<under>[1-9]\d{0,2})(?![\w/]|\.\d)"
    r"|(?P<whole>\d{1,3})? ?(?P<vulgar>[½⅓⅔¼¾⅕-⅞]))(?: ?(?P<unit>%|[^\W\d_]{1,12})\b)?"
)
FRACTION_STEP = 0.01
"""Precision that a fraction is taken for: a third is 0.33."""
_PAIR = re.compile(rf"(\d+)[\s-]?({_UNIT})", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:between|from|zwischen|von|entre|de)\s$", re.IGNORECASE)
_MINUTES = UNITS["min"]
_TO = re.compile(r"\s?(?:[-~〜～±]|\+/-|\+-|to|bis|à|a|至|到)\s?", re.IGNORECASE)
_LISTED = re.compile(r",|\s(?:and|und|et|y)\s", re.IGNORECASE)
"""Between short units, it separates two quantities: `5 m, 3 cm`."""
_AND = re.compile(r"\s(?:and|und|et|y)\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, date or version in a text."""

    start: int
    end: int
    text: str
    """Its spelling in the text, with its unit."""
    values: tuple[float, ...] = ()
    """Its readings: `1,234` may be 1234 or 1.234. Empty if it is a date or a version."""
    unit: Unit | None = None
    """Its unit if that is a known one."""
    code: str = ""
    """A date as `2024-03-05`, `2024-03` or `--03-05`; a version or a time as it is written."""
    step: float = 1.0
    """Value of its last written place: 0.1 for `3.5`, 100,000 for `3.5 million`."""
    zeros: int = 0
    """Zeros at the end of a whole number."""
    word: bool = False
    """Whether it is a number word."""
    negative: bool = False
    """Whether a minus sign is directly before it."""
    bracketed: bool = False
    """Whether brackets are directly around it, which stand for a minus sign in accounts."""
    also: str = ""
    """The other reading of a date in figures: 3 May of `05/03/2024`, which may be 5 March."""
    scale: float = 1.0
    """Factor of the scale word behind it: 1,000,000 in `3.5 million`."""
    parts: tuple[float, ...] = ()
    """The numbers of a fraction, which may be two numbers: 7 and 10 of `7/10`."""


def tidy(value: float) -> float:
    """Return a number without the noise of binary fractions: 12 significant digits."""
    return float(f"{value:.12g}")


def fractions(text: str) -> Iterator[Quantity]:
    """Yield the fractions of a text, alone or behind a whole number: `½`, `3/4`, `1 3/4 cups`."""
    for match in _FRACTION.finditer(text) if "/" in text or not text.isascii() else ():
        whole = int(match["full"] or match["whole"] or 0)
        parts: tuple[float, ...] = ()
        if match["over"]:
            share = int(match["over"]) / int(match["under"])
            parts = (
                float(match["over"]),
                float(match["under"]),
                *([float(whole)] * bool(match["full"])),
            )
        else:
            share = numeric(match["vulgar"])
        unit = UNITS.get((match["unit"] or "").casefold())
        end = match.end("unit") if unit else max(match.end("under"), match.end("vulgar"))
        value = tidy(whole + share)
        yield Quantity(
            match.start(),
            end,
            text[match.start() : end],
            (value,),
            unit,
            step=FRACTION_STEP,
            parts=parts,
        )


def compound_matches(text: str) -> Iterator[re.Match[str]]:
    """Yield the places of several numbers with units that may be one quantity."""
    at = 0
    for place in _MAY_BE.finditer(text):
        match = _COMPOUND.match(text, place.start()) if place.start() >= at else None
        if match is not None:
            at = match.end()
            yield match


def compounds(text: str) -> Iterator[Quantity]:
    """Yield the quantities of several numbers with units: `1 h 30 min`, `5 ft 3 in`."""
    for match in compound_matches(text):
        before = text[max(0, match.start() - 10) : match.start()]
        is_between = _BETWEEN.search(before) and _AND.search(match[0])
        pieces = list(_PAIR.finditer(text, match.start(), match.end()))
        for group in () if is_between else _groups(text, pieces):
            start, end = group[0].start(), group[-1].end()
            yield Quantity(start, end, text[start:end], *_sum(group))


def _groups(text: str, pieces: Iterable[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Yield neighbours of which each has a smaller unit than the one before, and fits into it."""
    group: list[re.Match[str]] = []
    for piece in pieces:
        if group and not _continues(text, group, piece):
            if len(group) > 1:
                yield group
            group = []
        group.append(piece)
    if len(group) > 1:
        yield group


def _continues(text: str, group: Sequence[re.Match[str]], piece: re.Match[str]) -> bool:
    before = group[-1]
    is_short = min(len(before[2]), len(piece[2])) <= 2
    if is_short and _LISTED.search(text[before.end() : piece.start()]):
        return False
    above, unit = _units((before, piece))
    first = group[0]
    is_far = first[2].casefold() == "m" and int(first[1]) >= SECONDS_A_MINUTE
    if is_far and unit.dimension == "seconds":
        return False  # a race of 100 m in 12 s
    return unit.dimension == above.dimension and int(piece[1]) * unit.factor < above.factor


def _units(group: Sequence[re.Match[str]]) -> list[Unit]:
    """Return the units of neighbours. Next to a time, `m` is a minute."""
    words = [piece[2].casefold() for piece in group]
    is_time = any(_SPELLINGS[word].dimension in ("seconds", "days") for word in words)
    found = (_MINUTES if is_time and word == "m" else _SPELLINGS[word] for word in words)
    return [_in_seconds(unit) for unit in found]


def _sum(group: Sequence[re.Match[str]]) -> tuple[tuple[float, ...], Unit]:
    """Return the sum of neighbours in the last of their units."""
    units = _units(group)
    total = sum(int(piece[1]) * unit.factor for piece, unit in zip(group, units, strict=True))
    return (tidy(total / units[-1].factor),), units[-1]


def _in_seconds(unit: Unit) -> Unit:
    return Unit("seconds", unit.factor * SECONDS_A_DAY) if unit.dimension == "days" else unit


def with_ranges(text: str, found: Sequence[Quantity]) -> list[Quantity]:
    """Return figures; the first one of a range has unit and scale of the second: `10–20 MB`."""
    done = list(found)
    for n in range(len(done) - 1):
        one, other = done[n], done[n + 1]
        if one.unit is None and one.values and other.values and _is_range(text, one, other):
            values = one.values
            if one.scale == 1.0 < other.scale:
                values = (*(tidy(value * other.scale) for value in values), *values)
            done[n] = replace(one, unit=other.unit, values=values)
    return done


def _is_range(text: str, one: Quantity, other: Quantity) -> bool:
    between = text[one.end : other.start] if other.start - one.end <= 6 else ""
    if _TO.fullmatch(between):
        return True
    before = text[max(0, one.start - 10) : one.start]
    return _AND.fullmatch(between) is not None and _BETWEEN.search(before) is not None
