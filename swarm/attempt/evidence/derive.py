"""Figures that are not in the sources as they are, but follow from them by simple arithmetic."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from statistics import fmean

from swarm.attempt.evidence.figures import Figure
from swarm.attempt.evidence.sources import Occurrence, Source, Statement, in_base
from swarm.attempt.evidence.units import PERCENT

MOST_OPERANDS = 12
"""Maximum figures that are combined in pairs: 66 pairs, and few chance hits."""
MOST_COUNT = 10_000
"""Maximum number that may be a count."""
RELATED = 0.34
"""Minimum share of the words of a statement in a passage whose figures are combined for it."""

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
    r"up to|just|circa|ca\.?|rund|etwa|fast|knapp|gut|über|environ|près de|presque|plus de|moins de|unos|casi)|[~≈<>≤≥约約])"
    r"\s?$",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"[^\W\d_]")


def computes(text: str) -> bool:
    """Return whether a sentence has words of arithmetic: a total, a difference, a share."""
    return _COMPUTES.search(text) is not None


def is_hedged(statement: Statement, figure: Figure) -> bool:
    """Return whether a figure is an approximate one: `about 40 MB`."""
    return _ABOUT.search(statement.passage.text[max(0, figure.start - 20) : figure.start]) is not None


def restated(statement: Statement, figure: Figure, cited: Iterable[Source]) -> Occurrence | None:
    """Return the place of the same quantity in another unit, rounded, or as a share instead of a percentage."""
    if figure.code or not figure.values:
        return None
    tolerance = _tolerance(statement, figure)
    for source in cited:
        for each in source.occurrences:
            if not each.figure.code and any(_is_restated(figure, each.figure, tolerance)):
                return each
    return None


def _is_restated(figure: Figure, other: Figure, tolerance: float) -> Iterator[bool]:
    dimension, values = in_base(figure)
    of, others = in_base(other)
    factor = 1.0 if figure.unit is None else figure.unit.factor
    for value in values:
        for theirs in others:
            if dimension == of or not of or not dimension:
                theirs_here = theirs if of == dimension else theirs * (factor if not of else 1.0)
                yield _near(value, theirs_here, tolerance * factor) and other.step < figure.step * 10**figure.zeros
                yield of == dimension and figure.unit != other.unit and _near(value, theirs, tolerance * factor)
            if dimension == "bytes" and of == dimension and figure.unit != other.unit:
                yield any(_near(value, theirs * 1.024**n, tolerance * factor) for n in (-3, -2, -1, 1, 2, 3))
            if dimension == PERCENT and not of and 0 < theirs <= 1:
                yield _near(value, 100 * theirs, tolerance)
            if of == PERCENT and not dimension:
                yield _near(100 * value, theirs, 100 * tolerance)


def _tolerance(statement: Statement, figure: Figure) -> float:
    """Return how much a value may differ from what the figure says: half of its last written place."""
    zeros = figure.zeros if is_hedged(statement, figure) else 0
    return 0.5 * figure.step * 10**zeros


def _near(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * (1 + 1e-9)


def computed(statement: Statement, figure: Figure, cited: Sequence[Source]) -> bool:
    """Return whether a figure is a sum, difference, ratio, percentage, average or count of cited figures.

    The operands are the other figures of the sentence; if it has words of arithmetic, also the figures of the cited
    texts that are about the same, and one figure of each cited text.
    """
    if figure.code or not figure.values:
        return False
    tolerance = _tolerance(statement, figure)
    factor = 1.0 if figure.unit is None else figure.unit.factor
    targets = in_base(figure)[1]
    for operands in _operand_lists(statement, figure, cited):
        for value in _results(figure, operands):
            if any(_near(target, value, tolerance * factor) for target in targets):
                return True
    return figure.unit is None and _is_count(statement, figure, cited)


def _operand_lists(statement: Statement, figure: Figure, cited: Sequence[Source]) -> Iterator[list[Figure]]:
    own = [each for each in statement.figures if each is not figure and each.values and not each.word]
    yield own[:MOST_OPERANDS]
    is_share = figure.unit is not None and figure.unit.dimension == PERCENT
    if not is_share and not computes(statement.passage.text):
        return
    wanted = statement.words
    scored = [(_share(wanted, each), n, each) for n, each in enumerate(_all_of(figure, cited))]
    scored.sort(key=lambda entry: (-entry[0], entry[1]))
    close = [each.figure for share, _, each in scored if share >= RELATED or len(scored) <= 4]
    yield _distinct(close)[:MOST_OPERANDS]
    best: dict[str, Figure] = {}
    for _, _, each in scored:
        best.setdefault(each.source.name, each.figure)
    if len(best) > 1:
        yield list(best.values())
    if len(cited) == 1 and len(scored) > 1:
        yield [each.figure for _, _, each in scored]


def _all_of(figure: Figure, cited: Iterable[Source]) -> Iterator[Occurrence]:
    is_ratio = figure.unit is None or figure.unit.dimension == PERCENT
    for source in cited:
        for each in source.occurrences:
            if each.figure.values and not each.figure.word and (is_ratio or _fits(figure, each.figure)):
                yield each


def _fits(figure: Figure, other: Figure) -> bool:
    return other.unit is None or figure.unit is None or other.unit.dimension == figure.unit.dimension


def _share(wanted: frozenset[str], each: Occurrence) -> float:
    near = each.source.statement(each.at).words_near(each.figure)
    return len(wanted & near) / max(1, len(wanted))


def _distinct(found: Iterable[Figure]) -> list[Figure]:
    return list({(each.values[0], each.unit): each for each in found}.values())


def _results(figure: Figure, operands: Sequence[Figure]) -> Iterator[float]:
    """Yield what the operands may give, in the base unit of the figure."""
    values = [in_base(each)[1][0] for each in operands]
    like = [value for value, each in zip(values, operands, strict=True) if _fits(figure, each)]
    if len(like) > 1:
        yield sum(like)
        yield fmean(like)
        yield max(like) - min(like)
    is_percent = figure.unit is not None and figure.unit.dimension == PERCENT
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
    yield from (100 * low / high, 100 * high / low, 100 * (high - low) / high, 100 * (high - low) / low)
    yield 100 * low / (low + high)


def _is_count(statement: Statement, figure: Figure, cited: Sequence[Source]) -> bool:
    """Whether a whole number counts something: cited texts, entries of a list, names in the sentence."""
    value = figure.values[0]
    after = statement.passage.text[figure.end : figure.end + 3].strip()
    if value != int(value) or not 1 < value <= MOST_COUNT or not _COUNTS.match(after):
        return False
    counts = {len(cited)} | {len(statement.names)}
    for source in cited:
        counts.add(sum(passage.kind == "row" for passage in source.passages))
        counts.add(source.items)
    counts.add(sum(sum(passage.kind == "row" for passage in source.passages) for source in cited))
    return int(value) in counts
