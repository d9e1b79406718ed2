"""Numbers, dates and versions in a text, in any spelling, as values that can be compared."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import chain, islice

from swarm.texts.amounts import Quantity, compounds, fractions, tidy, with_ranges
from swarm.texts.numerals import NUMERAL, numeral
from swarm.texts.units import LETTER_SCALES, MONTHS, NUMBER_WORDS, PERCENT, SCALES, UNITS, Unit

MONTHS_A_YEAR = 12
DAYS_A_MONTH = 31
MOST_FIGURES = 100_000
"""Maximum figures that are read of one text."""

_OF_100 = ("百分之", "百分の")
_BEHIND = re.compile(r"\s?[\u3040-\u9fff\uac00-\ud7af%]{1,4}")
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_MYRIADS = "万萬만億亿억兆조"
"""Scale words that may be followed by a smaller one: `1億2000万`."""
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SPACES = dict.fromkeys((0xA0, 0x2007, 0x2009, 0x202F, 0x3000), ord(" "))
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), ord("-"))
_ASCII = {**_WIDE, **_SPACES, **_DASHES, 0x2019: ord("'"), 0x02BC: ord("'")}
_OTHER_DIGITS = re.compile(r"[^\W\d_]?(?![0-9])\d")

_LATIN = "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u024f\u0370-\u052f"
"""Letters of scripts that set words apart by spaces."""
_MONTH = "|".join(sorted(map(re.escape, MONTHS), key=len, reverse=True))
_DATES = re.compile(
    rf"""
      (?<![{_LATIN}0-9_.-])(?P<y1>\d{{4}})-(?P<m1>\d{{1,2}})(?:-(?P<d1>\d{{1,2}}))?(?:(?=T\d\d:)|(?![{_LATIN}0-9_-])(?!\.\d))
    | (?P<y2>\d{{4}})\s?[年년]\s?(?P<m2>\d{{1,2}})\s?[月월](?:\s?(?P<d2>\d{{1,2}})\s?[日일])?
    | (?<![\w.])(?P<d3>\d{{1,2}})(?:st|nd|rd|th|er|\.)?\s+(?:de\s+|of\s+)?(?P<m3>{_MONTH})\b\.?,?
      (?:\s+(?:de\s+)?(?P<y3>\d{{4}})\b)?
    | \b(?P<m4>{_MONTH})\b\.?\s+(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s?[%\w])(?:,?\s+(?P<y4>\d{{4}})\b)?
    | \b(?P<m5>{_MONTH})\b\.?,?\s+(?:de\s+)?(?P<y5>(?:1[5-9]|20)\d\d)\b
    | (?<![\w.])(?P<a6>\d{{1,2}})(?P<s6>[./])(?P<b6>\d{{1,2}})(?P=s6)(?P<y6>\d{{4}})(?![\w/])
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DATED = re.compile(r"\d{4}-\d|[月월]|\d[./]\d{1,2}[./]\d{4}")
"""Dates without the name of a month."""
_MONTH_START = re.compile("|".join(sorted({name[:3] for name in MONTHS})))
_CODE = r"\d{1,2}:\d\d(?::\d\d)?(?!\d)|(?!\d{1,3}(?:\.\d{3})+(?![.\d]))\d+(?:\.\d+){2,}(?![\d])"
_GROUPED = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d{1,3}(?:['_ ]\d{3})+(?:[.,]\d+)?"
_SCALE = "|".join(sorted((word for word in SCALES if word != "k"), key=len, reverse=True))
_NUMBER = re.compile(
    rf"""
    (?<![{_LATIN}0-9_])(?<![0-9][.,'])(?<![{_LATIN}][-.'])
    (?:
      (?P<code>{_CODE})
    | (?P<number>(?:{_GROUPED}|\d{{1,2}}(?:,\d\d)+,\d{{3}})(?![\d])|\d+(?:[.,]\d+)?|\.\d+)
      (?:e(?P<e>[+-]?\d{{1,2}})(?!\w|\.\d)|\s?[×x·⋅*]\s?10(?:(?:\^|\*\*)(?P<power>[+-]?\d{{1,2}})|(?P<raised>⁻?[⁰¹²³⁴-⁹]{{1,2}})))?
    )
    (?:(?P<ordinal>st|nd|rd|th|er|ère|ème)\b)?
    (?:(?P<letter>[KkMmBGT])(?![{_LATIN}0-9_/])(?!\s?[Bb]ytes)
     |[ -]?(?P<scale>{_SCALE})(?:\b|(?<=[\u3040-\u9fff\uac00-\ud7af]))\.?)?
    (?:[ -]?(?P<unit>percent(?:age)?\s?points?\b|points?\sde\spourcentage\b|basis\spoints?\b
        |%|per\s?cent\b|pour\s?cents?\b|°\s?[CF]\b|[$€£¥₹₩₽₺₴₪]|US\$
        |(?:years?|days?|hours?|minutes?|seconds?|months?|weeks?)\b
        |[A-Za-zµäöüéèñíłčа-яё]{{1,12}}(?![{_LATIN}0-9_'])
        |[\u3040-\u9fff\uac00-\ud7af]{{1,3}}))?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CURRENCY = re.compile(
    r"(?:(?<![^\W_])(?:US|AU?|CA?|HK|NT|S|NZ|R|MX)\$|[$€£¥₹₩₽₺₴₪]|(?<![^\W_])(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|AUD|CAD|NZD"
    r"|HKD|SGD|TWD|BRL|MXN|SEK|NOK|DKK|PLN|CZK|INR|KRW|RUB))\s?$",
    re.IGNORECASE,
)
_MINUS = re.compile(r"(?:^|[^\w)\]%-]\s?)-$|^\s?-$")
_DIGIT = re.compile(r"[\d½⅓⅔¼¾⅕-⅞]")
WORD = re.compile(
    r"(?<![\w-])(" + "|".join(w for w in NUMBER_WORDS if w[0] < "\u3000") + r")(?![\w-])"
    r"|([一二三四五六七八九十两兩]{1,2})(?=[个個名人台件条條种種つ社项項次家])",
    re.IGNORECASE,
)
"""Number words."""
_LETTERS = re.compile(r"[^\W\d_]+")


def has_figures(text: str) -> bool:
    """Return whether a text may have figures: digits, or a number word."""
    return _DIGIT.search(text) is not None or has_words(text)


def has_words(text: str) -> bool:
    """Return whether a text has number words."""
    return _may_have_words(text) and WORD.search(text) is not None


def _may_have_words(text: str) -> bool:
    """Whether a word is a number word: a look into a table is cheaper than the pattern."""
    words = _LETTERS.findall(text.casefold())
    return not (text.isascii() and NUMBER_WORDS.keys().isdisjoint(words))


def plain(text: str) -> str:
    """Return a text of the same length with ASCII digits, spaces, dashes and apostrophes."""
    if text.isascii():
        return text
    text = text.translate(_ASCII)
    return _OTHER_DIGITS.sub(_ascii_digit, text)


def _ascii_digit(found: re.Match[str]) -> str:
    return "".join(str(int(c)) if c.isdecimal() else c for c in found[0])


def figures(text: str) -> list[Quantity]:
    """Return the figures of a text in order."""
    text = plain(text)
    if _DIGIT.search(text) is None:
        return sorted(chain(_numerals(text), _words(text)), key=lambda each: each.start)
    found: list[Quantity] = []
    if _may_have_dates(text):
        found += filter(None, map(_date, _DATES.finditer(text)))
        text = _masked(text, found)
    together = [*fractions(text), *compounds(text)]
    found += together
    text = _masked(text, together)
    numbers: list[Quantity] = []
    for match in islice(_NUMBER.finditer(text), MOST_FIGURES):
        figure = _figure(match)
        before = numbers[-1] if numbers else figure
        if before.end == figure.start and before.text[-1] in _MYRIADS and figure.values and before.values:
            value = tidy(before.values[0] + figure.values[0])
            text_of = before.text + figure.text
            numbers[-1] = replace(figure, start=before.start, text=text_of, values=(value,), unit=figure.unit)
        else:
            numbers.append(figure)
    found += chain(with_ranges(text, numbers), _numerals(text), _words(text))
    return sorted(found, key=lambda each: each.start)


def _masked(text: str, found: Iterable[Quantity]) -> str:
    """Return a text with `x` in place of figures."""
    pieces: list[str] = []
    at = 0
    for each in sorted(found, key=lambda figure: figure.start):
        pieces += [text[at : each.start], "x" * (each.end - each.start)]
        at = each.end
    return "".join((*pieces, text[at:]))


def _numerals(text: str) -> Iterator[Quantity]:
    """Yield the numbers in characters. A short one without a unit is a number word."""
    for match in NUMERAL.finditer(text) if not text.isascii() else ():
        value = numeral(match[0])
        if value is not None:
            behind = _BEHIND.match(text, match.end())
            named = _unit_of(behind[0].strip()) if behind else None
            unit = named or _percent(text, match.start())
            is_word = unit is None and len(match[0]) <= 2
            yield Quantity(*match.span(), match[0], (float(value),), unit, word=is_word)


def _may_have_dates(text: str) -> bool:
    return _DATED.search(text) is not None or _MONTH_START.search(text.casefold()) is not None


def _words(text: str) -> Iterator[Quantity]:
    for match in WORD.finditer(text) if _may_have_words(text) else ():
        n = NUMBER_WORDS.get((match[1] or match[2]).casefold())
        if n is not None:
            yield Quantity(match.start(), match.end(), match[0], (float(n),), word=True)


def _figure(match: re.Match[str]) -> Quantity:
    if match["code"]:
        return Quantity(match.start("code"), match.end("code"), match["code"], code=match["code"].lstrip("0"))
    number = match["number"]
    values, places = readings(number)
    start, currency = _currency(match.string, match.start("number"))
    factor, end = _factor(match)
    unit = _unit_of(currency)
    if match["letter"]:
        values, unit = _with_letter(values, unit, match["letter"])
    elif factor != 1.0:
        values = tuple(tidy(value * factor) for value in values)
    named = _unit_of(match["unit"] or "")
    if named is not None:
        end = match.end("unit")
    unit = unit or named or _percent(match.string, start)
    return Quantity(
        start,
        end,
        match.string[start:end],
        values,
        unit,
        step=tidy(factor * 10**-places),
        zeros=0 if places else len(number) - len(number.rstrip("0,.' _")),
        negative=_MINUS.search(match.string, max(0, start - 3), start) is not None,
        bracketed=_is_bracketed(match.string, start, end),
        scale=1.0 if match["letter"] == "m" else factor,
    )


def _is_bracketed(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] == "(" and text[end : end + 1] == ")"


def _percent(text: str, start: int) -> Unit | None:
    """Return the percent of `百分之15`."""
    return UNITS[PERCENT] if text.endswith(_OF_100, 0, start) else None


def _factor(match: re.Match[str]) -> tuple[float, int]:
    """Return a power of ten, the factor of a scale word or of a letter, and its end."""
    if match["scale"]:
        return SCALES[match["scale"].casefold()], match.end("scale")
    if match["letter"]:
        return LETTER_SCALES.get(match["letter"], 1.0), match.end("letter")
    return _power(match), max(match.end(group) for group in ("number", "ordinal", "e", "power", "raised"))


def _currency(text: str, start: int) -> tuple[int, str]:
    """Return where a number begins with its currency, and the currency, if any: `US$ 5`."""
    found = _CURRENCY.search(text[max(0, start - 5) : start])
    return (start, "") if found is None else (start - len(found[0]), found[0].strip())


def _power(match: re.Match[str]) -> float:
    """Return the power of ten behind a number: `1.2e-3`, `1,2·10^5`, `3×10⁸`."""
    exponent = match["e"] or match["power"] or (match["raised"] or "").translate(_RAISED)
    return 10.0 ** int(exponent) if exponent else 1.0


def _with_letter(values: tuple[float, ...], unit: Unit | None, letter: str) -> tuple[tuple[float, ...], Unit | None]:
    """Return the values and the unit of a number with a letter: `5M` is 5,000,000; `5m` may be 5 metres."""
    factor = LETTER_SCALES.get(letter, 1.0)
    scaled = tuple(tidy(value * factor) for value in values)
    if unit is not None or letter in "KkBTM":
        return scaled, unit
    return (*values, *scaled), UNITS.get(letter.casefold())


@cache
def _unit_of(spelling: str) -> Unit | None:
    if spelling == "to":
        return None  # a word between two numbers; a terabyte in French is `To`
    folded = "".join(spelling.casefold().split())
    for length in range(len(folded), 0, -1):
        if folded[:length] in UNITS:
            is_word = folded[:length].isascii() and folded[0].isalpha()
            return UNITS[folded[:length]] if length == len(folded) or not is_word else None
    return None


def readings(number: str) -> tuple[tuple[float, ...], int]:
    """Return the values that digits may mean, the likely one first, and the decimal places of that one.

    `1,234` is 1234 or 1.234; `1.234` is 1.234 or 1234.
    """
    bare = re.sub(r"['_ ]", "", number)
    commas, points = bare.count(","), bare.count(".")
    if commas and points:
        decimal = max(bare.rfind(","), bare.rfind("."))
        whole = re.sub(r"[.,]", "", bare[:decimal])
        return (tidy(float(f"{whole}.{bare[decimal + 1 :]}")),), len(bare) - decimal - 1
    if commas + points > 1:
        return (float(re.sub(r"[.,]", "", bare)),), 0
    if not commas + points:
        return (float(bare),), 0
    mark = "," if commas else "."
    before, after = bare.split(mark)
    as_decimal = tidy(float(f"{before or '0'}.{after}"))
    if len(after) != 3 or len(before) > 3 or before in ("", "0"):
        return (as_decimal,), len(after)
    as_whole = float(before + after)
    return ((as_whole, as_decimal), 0) if mark == "," else ((as_decimal, as_whole), 3)


def _date(match: re.Match[str]) -> Quantity | None:
    year = _first(match, "y1", "y2", "y3", "y4", "y5", "y6")
    day = _first(match, "d1", "d2", "d3", "d4")
    named = _first(match, "m3", "m4", "m5")
    number = _first(match, "m1", "m2")
    if named:
        month = MONTHS[named.casefold()]
    elif number:
        month = int(number)
    else:
        one, other = int(match["a6"]), int(match["b6"])
        month, day = (other, str(one)) if other <= MONTHS_A_YEAR else (one, str(other))
    if not 1 <= month <= MONTHS_A_YEAR or not 1 <= int(day or 1) <= DAYS_A_MONTH:
        return None
    code = f"{year or '-'}-{month:02}" + (f"-{int(day):02}" if day else "")
    return Quantity(*match.span(), match[0].strip(), code=code, also=_other_date(match))


def _other_date(match: re.Match[str]) -> str:
    """Return the date with the month first, if day and month of a date with slashes may be exchanged."""
    if match["s6"] != "/" or max(int(match["a6"]), int(match["b6"])) > MONTHS_A_YEAR:
        return ""
    return f"{match['y6']}-{int(match['a6']):02}-{int(match['b6']):02}"


def _first(match: re.Match[str], *groups: str) -> str:
    """Return the text of the first group that matched, or an empty text."""
    return next((match[group] for group in groups if match[group]), "")
