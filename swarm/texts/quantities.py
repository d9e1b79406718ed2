"""What the numbers of a text are numbers of: a unit, a counted noun, a year, a date, a time of day. In any language.

`figures` reads the numbers themselves.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from swarm.texts.figures import Quantity, figures, has_figures, tidy
from swarm.texts.lexicon import PREDICATES, STOP, VERBS
from swarm.texts.units import NUMBER_WORDS, UNITS, Unit

MONEY = frozenset({"USD", "EUR", "GBP", "JPY", "CNY", "CHF", "RUB", "KRW", "INR"})
WHEN = ("year", "date", "day")
"""Kinds of dates."""
_SECONDS = {"days": 86_400.0, "months": 2_592_000.0}
"""Dimensions that are compared as time, and their seconds."""
_NOUN = re.compile(
    r"\s?(?:(?:of|de|du|des|an|von)\s+(?:the\s|la\s|l['’])?|d['’]\s?)?"
    r"(?P<noun>[\u30a0-\u9fff]|[^\W\d_\u3040-\u9fff]{2,}(?:-[^\W\d_]+)*)(?:\s(?P<more>[^\W\d_]{3,}))?"
)
_UNIT = re.compile(
    r"(?P<shaped>\s?(?:km/h|m/s|[MG]bit/s|(?:[kc]?m[²³]|m[23])(?!\w)))|[\s-](?:d['’]|de\s|of\s)?(?P<word>[^\W\d_]{2,}|[$€₽])"
)
"""A unit that is more than a word, or that a word is between."""
_LETTERS = re.compile(r"[^\W\d_]+$")
_ORDINAL = re.compile(r"\d(?:st|nd|rd|th|er|ère|ème)$")
_PLAIN = ("number", "count", "year")
_JOINED = re.compile(r"[:/@#=_\\]$|\w-$")
_DATE = re.compile(r"(\d{4}|-)-(\d\d)(?:-(\d\d))?")
_BEFORE_YEAR = frozenset(
    ("in", "since", "of", "by", "until", "from", "en", "depuis", "im", "seit", "jahr", "в", "с", "до")
)
_CLOCK = re.compile(
    r"(?<![\d:.,])(?P<h>[01]?\d|2[0-3])(?:(?:[:h]|\sh\s)(?P<m>[0-5]\d)(?![\d:])|(?:[:.](?P<n>[0-5]\d))?\s?(?:(?P<half>[ap])(?:\.m\.|m\b)|Uhr\b)"
    r"|[時时点點](?:(?P<o>[0-5]?\d)分)?(?!间|間))",
    re.IGNORECASE,
)
_COUNTS = "one|two|three|four|five|six|seven|eight|nine|ten|ein|eine|zwei|drei|vier|un|une|deux|trois|quatre|an?"
_PART = re.compile(
    rf"\b(?:(?P<whole>{_COUNTS})[\s-])(?P<part>thirds?|quarters?|fifths?|tenths?|half|drittel|viertel"
    r"|fünftel|tiers|quarts?|cinquièmes?)"
    r"(?=\s(?:of|der|des|von|du|de|all|aller)\b(?!\s(?:an?|one|einer|une?)\s))"
    r"|(?<!first )(?<!second )\b(?P<half>half|hälfte|moitié|половин[аы]|треть|четверть)"
    r"(?=\s(?:of|the|der|des|von|du|de|[а-я])|\s?d['’])",
    re.IGNORECASE,
)
_OUT_OF = re.compile(
    rf"\b(?:(?P<whole>\d{{1,3}})\s(?:out\sof|in)|(?P<word>{_COUNTS})\s(?:out\sof|in|of|von|sur))\s(?:every\s)?"
    r"(?P<of>three|four|five|ten|drei|vier|fünf|zehn|trois|quatre|cinq|dix|100|10|5|4|3)(?=\s(?P<next>[^\W\d]+))",
    re.IGNORECASE,
)
_SHARES = (
    (
        _PART,
        (
            *("third", "quarter", "fifth", "tenth", "half", "drittel", "viertel", "fünftel", "hälfte"),
            *("moitié", "tiers", "quart", "cinquième", "полови", "треть", "четверть"),
        ),
    ),
    (_OUT_OF, (" in ", " of ", " von ", " sur ")),
)
"""Patterns of shares, and what a text with one has: most texts need no closer look."""
"""A share in words: `three quarters of`, `half of`, `four in five`."""
_PARTS = {
    **dict.fromkeys(("half", "hälfte", "moitié", "половина", "половины"), 2),
    **dict.fromkeys(("third", "drittel", "tier", "треть"), 3),
    **dict.fromkeys(("quarter", "viertel", "quart", "четверть"), 4),
    **dict.fromkeys(("fifth", "fünftel", "cinquième"), 5),
    "tenth": 10,
}
_ARTICLES = ("a", "an", "ein", "eine", "une")
_SHARE_STEP = 5.0
"""Percent by which a figure may differ from a share in words: nobody says `three quarters` of 74 %."""
_ASKED = {
    "bytes": "memory|storage|disk|speicher|mémoire|памят|内存|メモリ",
    "money": "costs?|prices?|rent|fee|budget|pay|expensive|kost|preis|miete|prix|loyer|coût|стои|цен|бюджет|预算|价格"
    "|費用|予算",
    "seconds": "how long|how fast|latency|duration|wie lange|temps|времени",
    "date": "when|what year|what date|deadline|wann|quand|когда|什么时候|何时|いつ",
    "metres": "how (?:long|tall|high|wide|deep|far|large|big)|length|height|wie (?:lang|hoch)|länge|longueur|длин",
    "grams": "how heavy|weigh|weight|mass|gewicht|poids",
    "%": "percent|share|proportion|yield|anteil|ausbeute",
    "bar": "pressure|druck|pression|давлен|压力|圧力",
    "volts": "voltage|how many volts|spannung|tension|напряжен|电压|電圧",
    "celsius": "temperature|how (?:hot|cold|warm)|temperatur|température|температур|温度|気温",
    "km/h": "speed|how fast|geschwindigkeit|vitesse|скорост|速度",
    "watts": "how much power|leistung|puissance|мощност|功率|出力",
    "m²": "area|how (?:large|big)|fläche|superficie|площад|面积|面積",
    "litres": "volume|capacity|volumen|capacité|объём|объем|容积|容量",
    "number": "how many|number of|wie viele|combien|сколько|多少|几个|いくつ|何人",
}
"""Words that ask for a kind of quantity."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity in a text."""

    value: float
    """In the base unit of its kind."""
    kind: str
    """`bytes`, `seconds`, `EUR` …; `count` of a noun, `year`, `date`, `clock`; `number` if nothing follows it."""
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
        """Its text with the noun that it counts: `140 workers`, also of a cell below the head `workers`; yes or no."""
        if self.kind == "yes":
            return "yes" if self.value else "no"
        noun = self.noun.split() if self.kind == "count" else []
        return f"{self.text} {self.noun}" if 0 < len(noun) < 3 and noun[0] not in self.text else self.text


def kinds_asked(question: str) -> frozenset[str]:
    """Return the kinds of quantities that a question asks for."""
    found = {kind for kind, pattern in _ASKED.items() if re.search(pattern, question, re.IGNORECASE)}
    found |= MONEY if "money" in found else set()
    return frozenset(found | ({"day", "year", "clock"} if "date" in found else set()))


def unit_of(word: str) -> tuple[str, float] | None:
    """Return the kind and the factor of a unit, or None."""
    unit = UNITS.get(word.casefold()) if word != "to" else None  # a terabyte in French is `To`
    return None if unit is None else _kind_of(unit)


def _kind_of(unit: Unit) -> tuple[str, float]:
    seconds = _SECONDS.get(unit.dimension)
    return (unit.dimension, unit.factor) if seconds is None else ("seconds", unit.factor * seconds)


def quantities(text: str) -> tuple[Figure, ...]:
    """Return the quantities of a text in their order. Versions, codes and ordinals are none."""
    found = list(_shares(text))
    if not (found or has_figures(text)):
        return ()
    found += _clocks(text)
    taken = set(chain.from_iterable(range(each.start, each.end) for each in found))
    for each in figures(text):
        figure = None if each.start in taken else _of(text, each)
        found += [] if figure is None else [figure]
    return tuple(sorted(found, key=lambda each: each.start))


def _clocks(text: str) -> Iterator[Figure]:
    for match in _CLOCK.finditer(text):
        hour = int(match["h"])
        if match["half"]:
            hour = hour % 12 + (12 if match["half"] in "pP" else 0)
        minute = int(match["m"] or match["n"] or match["o"] or 0)
        yield Figure(hour * 60 + minute, "clock", match[0], match.start(), match.end())


def _shares(text: str) -> Iterator[Figure]:
    """Yield shares in words as percentages, with a twentieth of the whole as their precision."""
    folded = text.casefold()
    for pattern, marks in _SHARES:
        if any(mark in folded for mark in marks):
            yield from filter(None, map(_share, pattern.finditer(text)))


def _share(match: re.Match[str]) -> Figure | None:
    said = match.groupdict()
    part = said.get("part") or said.get("half") or ""
    of = _PARTS.get(part.casefold().rstrip("s"), 0) if part else _count(match["of"])
    word = said["whole"] or said.get("word")
    count = _count(word) if word else 1.0
    if not of or count > of or unit_of(said.get("next") or ""):
        return None
    return Figure(tidy(100 * count / of), "%", match[0], *match.span(), step=_SHARE_STEP)


def _count(word: str) -> float:
    folded = word.casefold()
    return float(folded) if folded.isdigit() else float(folded in _ARTICLES or NUMBER_WORDS.get(folded, 0))


def _of(text: str, each: Quantity) -> Figure | None:
    """Return what a number is a number of; None of an ordinal, a version, and a number word that counts nothing."""
    if each.code:
        return _date(each)
    if _ORDINAL.search(each.text) or not each.values or _is_article(each):
        return None
    unit, end = _measured(text, each)
    kind, noun, end = _counted(text, each, unit[0] if unit else "", end)
    if _is_no_value(text, each, kind):
        return None
    value = _value(each.values, kind)
    if kind == "count" and not value.is_integer():
        kind = "number"  # a version
    factor = (unit[1] if unit else 1.0) * (-1 if each.negative else 1)
    words = text[each.start : end].strip()
    return Figure(tidy(value * factor), kind, words, each.start, end, noun, abs(factor), each.step * abs(factor) / 2)


def _is_no_value(text: str, each: Quantity, kind: str) -> bool:
    """Whether a number is a word that counts nothing, or a port, or a part of a path or of a name."""
    if kind in _PLAIN and _JOINED.search(text[max(0, each.start - 2) : each.start]):
        return True
    return each.word and kind in ("number", "year")


def _is_article(each: Quantity) -> bool:
    return each.word and each.values[0] == 1


def _value(readings: Sequence[float], kind: str) -> float:
    """Return the likely reading; of a count and of money the whole one, as in German: nobody counts thousandths."""
    is_whole = kind == "count" or kind in MONEY
    return next((each for each in readings if is_whole and each.is_integer()), readings[0])


def _date(each: Quantity) -> Figure | None:
    match = _DATE.fullmatch(each.code)
    if match is None:
        return None
    value = int(match[1].strip("-") or 0) * 10_000 + int(match[2]) * 100 + int(match[3] or 0)
    return Figure(value, "day" if match[1] == "-" else "date", each.text, each.start, each.end)


def _measured(text: str, each: Quantity) -> tuple[tuple[str, float] | None, int]:
    """Return the kind and the factor of the unit of a number, and the end of both."""
    tail = _LETTERS.search(each.text) if text[each.end : each.end + 1] in ("²", "³", "/") else None
    after = _UNIT.match(text, each.start + tail.start() if tail else each.end)
    if after and after["shaped"]:  # `km²`, of which `figures` knows the `km`
        return unit_of(after["shaped"].strip()), after.end()
    if each.unit is not None:
        return _kind_of(each.unit), each.end
    unit = unit_of(after["word"]) if after else None
    return (unit, after.end()) if unit and after else (None, each.end)


def _counted(text: str, each: Quantity, kind: str, end: int) -> tuple[str, str, int]:
    """Return the kind of a number, the noun after it, and its end: a number without a unit counts the noun."""
    noun = _NOUN.match(text, end)
    if noun is not None and _is_label(text[: each.start], noun["noun"]):
        return kind or "number", "", end
    if noun is None or noun["noun"].casefold() in STOP:
        return kind or _plain(text, each), "", end
    more = noun["more"] or ""
    both = f"{noun['noun']} {more}" if more and more.casefold() not in STOP else noun["noun"]
    if kind:
        return kind, both, end
    is_year = _is_year(text, each, noun["noun"])
    return ("year", both, end) if is_year else ("count", both, noun.end("noun"))


def _plain(text: str, each: Quantity) -> str:
    return "year" if _is_year(text, each, "") else "number"


def _is_label(before: str, following: str) -> bool:
    """Whether a number is that of a thing: it stands between a noun and a verb, as in `order 64 needs a lorry`."""
    last = before.rstrip().rpartition(" ")[2].casefold()
    return following.casefold() in PREDICATES and last.isalpha() and last not in VERBS and last not in STOP


def _is_year(text: str, each: Quantity, following: str) -> bool:
    if len(each.text) != 4 or not "1500" <= each.text < "2100":
        return False
    before = text[max(0, each.start - 20) : each.start].rstrip().rpartition(" ")[2].casefold().strip("(")
    return not following or before in _BEFORE_YEAR or text[each.end :].lstrip()[:1] in "年)"


def convert(quantity: Figure, unit: str) -> float | None:
    """Return the value of a quantity in a unit, or None if it measures something else. Without a unit, its value."""
    own, wanted = quantity.kind, unit_of(unit) if unit else None
    if wanted is None:
        return tidy(quantity.value / quantity.factor)
    if own == wanted[0]:
        return tidy(quantity.value / wanted[1])  # without the rounding error of the division
    return quantity.value if own in ("count", "number", "year") else None


def wanted_unit(asked: Iterable[str]) -> str:
    """Return the first unit among words; empty if there is none."""
    return next((word for word in asked if len(word) > 1 and unit_of(word)), "")
