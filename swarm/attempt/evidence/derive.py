"""Figures that are not in the sources as they are, but follow from them by simple arithmetic."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, combinations, islice, product
from statistics import fmean

from swarm.attempt.evidence.places import Occurrence, base_of, in_base
from swarm.attempt.evidence.sources import Sources
from swarm.attempt.evidence.statements import Statement
from swarm.texts.figures import Quantity
from swarm.texts.units import PERCENT

MOST_OPERANDS = 12
"""Maximum figures that are combined in pairs: 66 pairs, and few chance hits."""
MOST_COUNT = 10_000
"""Maximum number that may be a count."""
RELATED = 0.34
"""Minimum share of the words of a statement in a passage whose figures are combined for it."""

MOST_SCORED = 1_000
"""Maximum figures of the cited texts that are compared with a statement one by one."""
FEW = 4
"""Number of comparable figures up to which all are combined, whatever they are about."""

_COMPUTES = re.compile(
    r"\b(?:total|sum|together|combined|overall|difference|differs?|more than|less than|fewer|times|twice|half|ratio|"
    r"average|mean|median|share|rose|rise|fell|fall|grew|growth|increase\w*|decrease\w*|drop\w*|reduc\w*|saves?|range|"
    r"in all|per|faster|slower|larger|smaller|higher|lower|between|of the|out of|remaining|rest|gap|"
    r"insgesamt|zusammen|summe|differenz|mehr als|weniger als|doppelt|durchschnitt\w*|anteil|gesamt\w*|"
    r"au total|ensemble|somme|différence|moyenne|de plus que|de moins que|fois|en moyenne)\b|[×=+]"
    r"|合计|合計|总计|共计|总共|平均|差|倍|増|减|減",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?:\b(?:about|around|roughly|approximately|approx\.?|nearly|almost|some|over|under|more than|less than|at least|"
    r"up to|just|circa|ca\.?|rund|etwa|fast|knapp|gut|über|environ|près de|presque|plus de|moins de|unos|casi)"
    r"|[~≈<>≤≥约約])"
    r"\s?$",
    re.IGNORECASE,
)
_ONE = re.compile(r"\s(?:source|file|document|input|text)\b")
_COUNTS = re.compile(r"[^\W\d_]")


@lru_cache(maxsize=16)  # asked for each figure of a sentence
def computes(text: str) -> bool:
    """Return whether a sentence has words of arithmetic: a total, a difference, a share."""
    return _COMPUTES.search(text) is not None


def is_hedged(statement: Statement, figure: Quantity) -> bool:
    """Return whether a figure is an approximate one: `about 40 MB`."""
    return _ABOUT.search(statement.passage.text[max(0, figure.start - 20) : figure.start]) is not None


def restated(statement: Statement, figure: Quantity, cited: Sources) -> Occurrence | None:
    """Return the place of the same quantity in another unit, rounded, or as a share instead of a percentage."""
    if figure.code or not figure.values:
        return None
    tolerance = _tolerance(statement, figure)
    for places in cited.places:
        near = places.near_values(_ranges(figure, tolerance))
        found = (each for each in near if _is_restated(figure, each.figure, tolerance))
        first = next(found, None)
        if first is not None:
            return first
    return None


def _ranges(figure: Quantity, tolerance: float) -> Iterator[tuple[str, float, float]]:
    """Yield dimension, least and greatest value of the figures that may be the same quantity, in base units.

    They are a little wider than what `_is_restated` accepts.
    """
    dimension, values = in_base(figure)
    factor = base_of(figure.unit)[1]
    scales = [1.024**n for n in range(-3, 4)] if dimension == "bytes" else [1.0]
    for value, scale in product(values, scales):
        around = tolerance * factor * (1 + 1e-6)
        yield dimension, (value - around) / scale, (value + around) / scale
        if dimension:
            yield "", (value - around) / factor, (value + around) / factor
        if dimension == PERCENT:
            yield "", (value - around) / 100, (value + around) / 100
        if not dimension:
            yield PERCENT, 100 * (value - around), 100 * (value + around)


def _is_restated(figure: Quantity, other: Quantity, tolerance: float) -> bool:
    if figure.unit == other.unit and other.step >= figure.step * 10**figure.zeros:
        return False  # it is not rounded
    values, others, tolerance = _comparable(figure, other, tolerance)
    is_converted = figure.unit != other.unit and in_base(figure)[0] == in_base(other)[0] == "bytes"
    scales = [1.024**n for n in range(-3, 4)] if is_converted else [1.0]
    return any(_near_any(values, theirs, scales, tolerance) for theirs in others)


Values = tuple[float, ...]


def _comparable(figure: Quantity, other: Quantity, tolerance: float) -> tuple[Values, Values, float]:
    """Return the values of two figures and the tolerance in one unit; no values if the units cannot be compared."""
    dimension, values = in_base(figure)
    of, others = in_base(other)
    factor = base_of(figure.unit)[1]
    if dimension == of:
        return values, others, tolerance * factor
    if dimension == PERCENT and not of:
        return values, tuple(100 * value for value in others if 0 < value <= 1), tolerance
    if of == PERCENT and not dimension:
        return tuple(100 * value for value in values), others, 100 * tolerance
    if not of:
        return values, tuple(value * factor for value in others), tolerance * factor
    return (), (), 0.0


def _near_any(values: Iterable[float], theirs: float, scales: Iterable[float], tolerance: float) -> bool:
    return any(_near(value, theirs * scale, tolerance) for value, scale in product(values, scales))


def _tolerance(statement: Statement, figure: Quantity) -> float:
    """Return how much a value may differ from what the figure says: half of its last written place."""
    zeros = figure.zeros if is_hedged(statement, figure) else 0
    return 0.5 * figure.step * 10**zeros


def _near(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * (1 + 1e-9)


def computed(statement: Statement, figure: Quantity, cited: Sources) -> bool:
    """Return whether a figure is a sum, difference, ratio, percentage, average or count of cited figures.

    The operands are the other figures of the sentence; if it has words of arithmetic, also the figures of the cited
    texts that are about the same, and one figure of each cited text.
    """
    if figure.code or not figure.values:
        return False
    tolerance = _tolerance(statement, figure)
    factor = base_of(figure.unit)[1]
    targets = in_base(figure)[1]
    lists = _operand_lists(statement, figure, cited)
    for value in chain.from_iterable(_results(figure, operands) for operands in lists):
        if any(_near(target, value, tolerance * factor) for target in targets):
            return True
    return figure.unit is None and _is_count(statement, figure, cited)


def _operand_lists(statement: Statement, figure: Quantity, cited: Sources) -> Iterator[list[Quantity]]:
    own = [each for each in statement.figures if each is not figure and each.values and not each.word]
    yield own[:MOST_OPERANDS]
    if _is_percentage(figure) or computes(statement.passage.text):
        yield from _related(statement, figure, cited)


def _is_percentage(figure: Quantity) -> bool:
    return figure.unit is not None and figure.unit.dimension == PERCENT


def _related(statement: Statement, figure: Quantity, cited: Sources) -> Iterator[list[Quantity]]:
    """Yield the figures of the cited texts that are about the same, one of each text, and all of a single text."""
    scored = [(_share(statement.words, each), n, each) for n, each in enumerate(_all_of(statement, figure, cited))]
    scored.sort(key=lambda entry: (-entry[0], entry[1]))
    close = [each.figure for share, _, each in scored if share >= RELATED or len(scored) <= FEW]
    yield _distinct(close)[:MOST_OPERANDS]
    best: dict[str, Quantity] = {}
    for _, _, each in scored:
        best.setdefault(each.source.name, each.figure)
    if len(best) > 1:
        yield list(best.values())
    elif len(scored) > 1:
        yield [each.figure for _, _, each in scored]


def _all_of(statement: Statement, figure: Quantity, cited: Sources) -> Iterator[Occurrence]:
    """Yield the figures of the cited texts that may be operands; of very many, those of passages about the same."""
    is_ratio = figure.unit is None or _is_percentage(figure)
    are_few = sum(len(each.occurrences) for each in cited.places) <= MOST_SCORED
    for places in cited.places:
        found = places.occurrences if are_few else places.about_words(statement.words, RELATED)
        for each in islice(found, MOST_SCORED):
            is_value = each.figure.values and not each.figure.word and each.label is None
            if is_value and (is_ratio or _fits(figure, each.figure)):
                yield each


def _fits(figure: Quantity, other: Quantity) -> bool:
    return other.unit is None or figure.unit is None or base_of(other.unit)[0] == base_of(figure.unit)[0]


def _share(wanted: frozenset[str], each: Occurrence) -> float:
    near = each.statement.words_near(each.figure)
    return len(wanted & near) / max(1, len(wanted))


def _distinct(found: Iterable[Quantity]) -> list[Quantity]:
    return list({(each.values[0], each.unit): each for each in found}.values())


def _results(figure: Quantity, operands: Sequence[Quantity]) -> Iterator[float]:
    """Yield what the operands may give, in the base unit of the figure."""
    values = [in_base(each)[1][0] for each in operands]
    like = [value for value, each in zip(values, operands, strict=True) if _fits(figure, each)]
    if len(like) > 1:
        yield sum(like)
        yield fmean(like)
        yield max(like) - min(like)
    is_percent = _is_percentage(figure)
    for one, other in combinations(like[:MOST_OPERANDS], 2):
        yield one + other
        yield abs(one - other)
    if figure.unit is not None and not is_percent:
        return
    pairs = combinations(list(zip(values, operands, strict=True))[:MOST_OPERANDS], 2)
    for (one, first), (other, second) in pairs:
        if _fits(first, second):
            yield from _ratios(one, other, percent=is_percent)


def _ratios(one: float, other: float, *, percent: bool) -> Iterator[float]:
    low, high = sorted((abs(one), abs(other)))
    if not low:
        return
    if not percent:
        yield high / low
        yield low / high
        yield one * other
        return
    yield from (
        100 * low / high,
        100 * high / low,
        100 * (high - low) / high,
        100 * (high - low) / low,
    )
    yield 100 * low / (low + high)


def _is_count(statement: Statement, figure: Quantity, cited: Sources) -> bool:
    """Whether a whole number counts something: cited texts, entries of a list, names in the sentence."""
    value = figure.values[0]
    after = statement.passage.text[figure.end : figure.end + 3].strip()
    if value == 1:  # else it is seldom a count
        return cited.named == 1 and _ONE.match(statement.passage.text, figure.end) is not None
    if value != int(value) or not 1 < value <= MOST_COUNT or not _COUNTS.match(after):
        return False
    return int(value) in (len(statement.names), *cited.counts)
