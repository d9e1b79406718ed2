"""The quantities of a text: numbers with a unit or a counted noun, years, dates and times of day, in any language."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from swarm.texts.lexicon import MONTHS, SCALES, STOP, UNITS

MONEY = frozenset({"dollars", "euros", "pounds", "yuan", "yen", "francs", "roubles"})
WHEN = ("year", "date", "day")
"""Kinds of dates."""
_NUMBER = re.compile(
    r"(?<![A-Za-zÀ-ӿ0-9_.,:/-])(?P<sign>[-−](?=\d))?(?P<currency>[$€£¥₽]|(?:US\$|EUR|USD|GBP|CHF)\s)?\s?"
    r"(?P<number>\d{1,3}(?:[, \u00a0\u202f'’]\d{3})+(?:\.\d+)?(?!\d)|\d+(?:[.,]\d+)?)(?![\d:/]|[.,]\d|-\d)"
)
_AFTER = re.compile(
    r"[\s-]?(?P<word>[$€£¥₽%]|°[CF]|km/h|m/s|[MG]bit/s|km²|m[²³23]\b|[\u3040-\u9fff]+|[^\W\d_\u3040-\u9fff]+)\.?"
    r"(?:\s(?:d['’]|of\s|de\s)?(?P<next>[$€£¥₽]|[^\W\d_]+))?"
)
_SHORT = {"k": 1e3, "m": 1e6, "b": 1e9}
"""Scales directly after an amount of money."""
_NOUN = re.compile(
    r"\s?(?:(?:of|de|du|des|an|von)\s+(?:the\s|la\s|l['’])?|d['’]\s?)?"
    r"(?P<noun>[\u30a0-\u9fff]|[^\W\d_\u3040-\u9fff]{2,}(?:-[^\W\d_]+)*)(?:\s(?P<more>[^\W\d_]{3,}))?"
)
_DATE = re.compile(
    r"""
      (?<!\d)(?:(?P<y1>\d{4})-(?P<m1>\d\d)-(?P<d1>\d\d)
    | (?P<y2>\d{4})\s?年\s?(?P<m2>\d{1,2})\s?月(?:\s?(?P<d2>\d{1,2})\s?日)?
    | (?P<d3>\d{1,2})(?:st|nd|rd|th|er|\.)?\s+(?P<m3>[^\W\d_]{3,10})\.?(?:,?\s+(?P<y3>\d{4}))?
    | (?P<m4>[^\W\d_]{3,10})\.?\s+(?P<d4>\d{1,2})(?:st|nd|rd|th)?\b(?!\s?[%\w.:])(?:,?\s+(?P<y4>\d{4}))?
    | (?P<m6>[^\W\d_]{3,10})\.?\s+(?P<y6>(?:1[5-9]|20)\d\d)(?![\d-]|[./:,]\d)
    | (?P<d5>\d{1,2})[./](?P<m5>\d{1,2})[./](?P<y5>\d{4}))(?!\d)
    """,
    re.VERBOSE,
)
_BEFORE_YEAR = frozenset(
    ("in", "since", "of", "by", "until", "from", "en", "depuis", "im", "seit", "jahr", "в", "с", "до")
)
_CLOCK = re.compile(
    r"(?<![\d:.,])(?P<h>[01]?\d|2[0-3])(?:(?:[:h]|\sh\s)(?P<m>[0-5]\d)(?![\d:])|(?:[:.](?P<n>[0-5]\d))?\s?(?:(?P<half>[ap])(?:\.m\.|m\b)|Uhr\b)"
    r"|[时時点點](?:(?P<o>[0-5]?\d)分)?(?!间|間))",
    re.IGNORECASE,
)
_ASKED = {
    "memory": "memory|storage|disk|speicher|mémoire|памят|内存|メモリ",
    "money": "costs?|prices?|budget|pay|expensive|kost|preis|prix|coût|стои|цен|бюджет|预算|价格|費用|予算",
    "time": "how long|how fast|latency|duration|wie lange|temps|времени",
    "date": "when|what year|what date|deadline|wann|quand|когда|什么时候|何时|いつ",
    "length": "how (?:long|tall|high|wide|deep|far)|length|height|wie (?:lang|hoch)|länge|longueur|длин",
    "mass": "how heavy|weigh|weight|mass|gewicht|poids",
    "share": "percent|share|proportion|anteil",
    "pressure": "pressure|druck|pression|давлен|压力|圧力",
    "voltage": "voltage|how many volts|spannung|tension|напряжен|电压|電圧",
    "temperature": "temperature|how (?:hot|cold|warm)|temperatur|température|температур|温度|気温",
    "speed": "speed|how fast|geschwindigkeit|vitesse|скорост|速度",
    "power": "how much power|leistung|puissance|мощност|功率|出力",
    "area": "area|fläche|superficie|площад|面积|面積",
    "volume": "volume|capacity|volumen|capacité|объём|объем|容积|容量",
    "number": "how many|number of|wie viele|combien|сколько|多少|几个|いくつ|何人",
}
"""Words that ask for a kind of quantity."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity in a text."""

    value: float
    """In the base unit of its kind."""
    kind: str
    """`memory`, `time`, `euros` …; `count` of a noun, `year`, `date`, `clock`; `number` if nothing follows it."""
    text: str
    """As the text has it, with its unit or noun."""
    start: int
    end: int
    noun: str = ""
    """What is counted or measured, as far as it follows: `memory` in `3 GB of memory`."""
    factor: float = 1.0
    """Factor of its unit."""
    step: float = 0.0
    """Precision: half of the last digit."""

    @property
    def named(self) -> str:
        """Its text with the noun that it counts: `140 workers`, also of a cell below the head `workers`."""
        return (
            f"{self.text} {self.noun}" if self.kind == "count" and self.noun.split()[0] not in self.text else self.text
        )


def kinds_asked(question: str) -> frozenset[str]:
    """Return the kinds of quantities that a question asks for."""
    found = {kind for kind, pattern in _ASKED.items() if re.search(pattern, question, re.IGNORECASE)}
    found |= MONEY if "money" in found else set()
    return frozenset(found | ({"day", "year", "clock"} if "date" in found else set()))


@cache
def _units() -> tuple[dict[str, tuple[str, float]], list[tuple[str, tuple[str, float]]]]:
    """Return the units by name, and those whose names have more endings."""
    exact: dict[str, tuple[str, float]] = {}
    stems: list[tuple[str, tuple[str, float]]] = []
    for line in UNITS.strip().splitlines():
        kind, factor, *names = line.split()
        for name in names:
            if name.endswith("*"):
                stems.append((name[:-1].casefold(), (kind, float(factor))))
            exact[name.removesuffix("*").casefold()] = kind, float(factor)
    return exact, stems


@cache
def unit_of(word: str) -> tuple[str, float] | None:
    """Return the kind and the factor of a unit, or None."""
    folded = word.casefold()
    exact, stems = _units()
    longer = (unit for stem, unit in stems if len(folded) - 4 <= len(stem) and folded.startswith(stem))
    return exact.get(folded) or (next(longer, None) if len(folded) > 2 else None)


@cache
def _scale(word: str) -> float:
    rows = (line.split() for line in SCALES.strip().splitlines())
    return next((float(factor) for factor, *names in rows if word.casefold() in names), 1.0)


def value_of(digits: str) -> float:
    """Return the value of digits with separators: `1,200.5`, `1 200`, `1,5`."""
    digits = re.sub(r"(?<=\d)[ \u00a0\u202f'’](?=\d)", "", digits)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        return float(digits.replace(",", ""))
    return float(digits.replace(",", "."))


def quantities(text: str) -> tuple[Figure, ...]:
    """Return the quantities of a text in their order. Versions and codes are none."""
    if not any(c.isdigit() for c in text):
        return ()
    found = [*_dates(text), *_clocks(text)]
    taken = [(each.start, each.end) for each in found]
    for match in _NUMBER.finditer(text):
        is_taken = any(start <= match.start("number") < end for start, end in taken)
        found += [] if is_taken else [_number(text, match)]
    return tuple(sorted(found, key=lambda each: each.start))


def _dates(text: str) -> Iterator[Figure]:
    for match in _DATE.finditer(text):
        parts = {key[0]: value for key, value in match.groupdict().items() if value}
        month = int(parts["m"]) if parts["m"].isdigit() else _month(parts["m"])
        if 1 <= month <= 12:
            value = int(parts.get("y", 0)) * 10_000 + month * 100 + int(parts.get("d", 0))
            kind = "date" if "y" in parts else "day"
            yield Figure(value, kind, match[0], match.start(), match.end())


def _month(word: str) -> int:
    rows = enumerate(MONTHS.split("|"), 1)
    return next((n for n, names in rows if any(word.casefold().startswith(name) for name in names.split())), 0)


def _clocks(text: str) -> Iterator[Figure]:
    for match in _CLOCK.finditer(text):
        hour = int(match["h"])
        if match["half"]:
            hour = hour % 12 + (12 if match["half"] in "pP" else 0)
        minute = int(match["m"] or match["n"] or match["o"] or 0)
        yield Figure(hour * 60 + minute, "clock", match[0], match.start(), match.end())


def _number(text: str, match: "re.Match[str]") -> Figure:
    """Return the figure of a number: with its scale, its unit, and the noun after it."""
    measure = _measure(text, match)
    kind, noun, end = _counted(text, match, measure)
    size = measure.scale * measure.factor
    digits = match["number"]
    if kind == "count" or (kind in MONEY and measure.scale == 1):
        digits = re.sub(r"^(\d{1,3})\.(\d{3})$", r"\1\2", digits)  # as in German: nobody counts thousandths
    value = value_of(digits) * size * (-1 if match["sign"] else 1)
    fraction = re.fullmatch(r"\d+[.,](?!\d{3}$)(\d+)", digits)
    if kind == "count" and measure.scale == 1 and "." in digits:
        kind = "number"  # a version
    start = match.start("currency" if match["currency"] else "number")
    step = 0.5 * size / 10 ** len(fraction[1] if fraction else "")
    return Figure(value, kind, text[start:end].strip(), start, end, noun, measure.factor, step)


class _Measure(NamedTuple):
    """The scale and the unit after a number."""

    kind: str
    factor: float
    scale: float
    end: int


def _measure(text: str, match: "re.Match[str]") -> _Measure:
    """Return the scale and the unit of a number; a currency before it wins."""
    own = unit_of((match["currency"] or "").strip().removeprefix("US"))
    after = _AFTER.match(text, match.end())
    if after is None:
        return _Measure(*(own or ("", 1.0)), 1.0, match.end())
    scale = _scale_of(after["word"])
    if own and scale == 1:
        scale = _SHORT.get(after["word"].casefold(), 1.0)  # `€4.2m`
    unit, end = _scaled_unit(after) if scale > 1 else _plain_unit(after)
    kind, factor = own or unit or ("", 1.0)
    is_bare = scale == 1 and (own is not None or unit is None)
    return _Measure(kind, factor, scale, match.end() if is_bare else end)


def _plain_unit(after: "re.Match[str]") -> tuple[tuple[str, float] | None, int]:
    word = after["word"]
    return unit_of(word) or unit_of(word[0] if word[0] > "\u3040" else ""), after.end("word")


def _scaled_unit(after: "re.Match[str]") -> tuple[tuple[str, float] | None, int]:
    word = after["word"]
    if word[0] > "\u3040":  # as in `300万元`
        return unit_of(word[1:]), after.end("word")
    unit = unit_of(after["next"] or "")
    return unit, after.end("next" if unit else "word")


def _counted(text: str, match: "re.Match[str]", measure: _Measure) -> tuple[str, str, int]:
    """Return the kind of a number, the noun after it, and its end: a number without a unit counts the noun."""
    noun = _NOUN.match(text, measure.end)
    if noun is None or noun["noun"].casefold() in STOP:
        kind = "year" if _is_year(text, match, "") else "number"
        return measure.kind or kind, "", measure.end
    more = noun["more"] or ""
    both = f"{noun['noun']} {more}" if more and more.casefold() not in STOP else noun["noun"]
    if measure.kind:
        return measure.kind, both, measure.end
    is_year = _is_year(text, match, noun["noun"])
    return ("year", both, measure.end) if is_year else ("count", both, noun.end("noun"))


def _scale_of(word: str) -> float:
    """Return the scale that a word stands for, or that a word without spaces begins with; else 1."""
    return max(_scale(word), _scale(word[:1]) if "\u3400" < word[:1] < "\u9fff" else 1.0)


def _is_year(text: str, match: "re.Match[str]", following: str) -> bool:
    digits = match["number"]
    if len(digits) != 4 or not "1500" <= digits < "2100" or match["currency"]:
        return False
    before = text[: match.start()].rstrip().rpartition(" ")[2].casefold().strip("(")
    return not following or before in _BEFORE_YEAR or text[match.end() :].lstrip()[:1] in "年)"


def convert(quantity: Figure, unit: str) -> float | None:
    """Return the value of a quantity in a unit, or None if it measures something else. Without a unit, its value."""
    own, wanted = quantity.kind, unit_of(unit) if unit else None
    if wanted is None:
        return float(f"{quantity.value / quantity.factor:.12g}")
    if own == wanted[0]:
        return float(f"{quantity.value / wanted[1]:.12g}")  # without the rounding error of the division
    return quantity.value if own in ("count", "number", "year") else None


def wanted_unit(asked: Iterable[str]) -> str:
    """Return the first unit among words; empty if there is none."""
    return next((word for word in asked if len(word) > 1 and unit_of(word)), "")
