"""Places for the boxes and edges of a graph: columns, few crossings, and short edges.

The method is that of Sugiyama, Tagawa and Toda (1981): boxes stand in columns, an edge over
several columns gets a point in each of them, and the order in a column follows the mean of the
neighbours (the barycentre), in sweeps from both sides. Edges from one box share their points, so
that there are at most boxes · columns of them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise

from swarm.views.page.boxes import FoldedGraph

BOX_WIDTH, BOX_HEIGHT = 162.0, 42.0
COLUMN_GAP, ROW_GAP = 58.0, 12.0
LINE_GAP = 6.0
TALL = 20
"""Maximum boxes of a column that have two lines each."""
LINE_HEIGHT = 22.0
"""Height of a box with one line: in a graph with a longer column."""
POINT_HEIGHT = 6.0
"""Height that an edge takes in a column that it crosses."""
MARGIN = 12.0
SWEEPS = 8


@dataclass(frozen=True)
class Positions:
    """Where everything is, in pixels."""

    boxes: tuple[tuple[float, float], ...]
    """Left and top of each box of the graph."""
    edges: tuple[tuple[tuple[float, float], ...], ...]
    """Points of each edge of the graph, from the right side of a box to the left side of another."""
    width: float
    height: float
    box_height: float
    """Height of every box."""


@dataclass(slots=True, eq=False)
class _Spot:
    """A box, or the point of an edge in a column that it crosses."""

    column: int
    height: float
    rank: float
    before: "list[_Spot]" = field(default_factory=list["_Spot"])
    after: "list[_Spot]" = field(default_factory=list["_Spot"])
    middle: float = 0.0


def layout(graph: FoldedGraph) -> Positions:
    """Return positions for the boxes and edges of a graph, the same ones for the same graph."""
    box_height = _box_height(graph)
    spots = [_Spot(box.column, box_height, n) for n, box in enumerate(graph.boxes)]
    points: dict[tuple[int, int], _Spot] = {}
    ways = [_way(spots, points, source, target) for source, target in graph.edges]
    columns: dict[int, list[_Spot]] = {}
    for spot in (*spots, *points.values()):
        columns.setdefault(spot.column, []).append(spot)
    order = [columns[column] for column in sorted(columns)]
    _sort(order)
    _place(order)
    every = list(chain(*order))
    top = min((spot.middle - spot.height / 2 for spot in every), default=0.0) - MARGIN
    bottom = max((spot.middle + spot.height / 2 for spot in every), default=0.0) + MARGIN
    left = {column: MARGIN + n * (BOX_WIDTH + COLUMN_GAP) for n, column in enumerate(sorted(columns))}
    return Positions(
        boxes=tuple((left[spot.column], spot.middle - box_height / 2 - top) for spot in spots),
        edges=tuple(_points(way, left, top) for way in ways),
        width=max(left.values(), default=0.0) + BOX_WIDTH + MARGIN,
        height=bottom - top,
        box_height=box_height,
    )


def _box_height(graph: FoldedGraph) -> float:
    """Return the height of every box: less if a column is long."""
    longest = max(Counter(box.column for box in graph.boxes).values(), default=0)
    return BOX_HEIGHT if longest <= TALL else LINE_HEIGHT


def _way(spots: list[_Spot], points: dict[tuple[int, int], _Spot], source: int, target: int) -> list[_Spot]:
    """Return the spots of an edge, and join them as neighbours."""
    start, end = spots[source], spots[target]
    between = range(start.column + 1, end.column)
    crossed = [points.setdefault((source, n), _Spot(n, POINT_HEIGHT, start.rank)) for n in between]
    way = [start, *crossed, end]
    for before, after in pairwise(way):
        if after not in before.after:
            before.after.append(after)
            after.before.append(before)
    return way


def _sort(order: list[list[_Spot]]) -> None:
    """Order each column by the mean place of its neighbours, from left to right and back."""
    for column in order:
        column.sort(key=lambda spot: spot.rank)
        _rank(column)
    for sweep in range(SWEEPS):
        for column in order if sweep % 2 == 0 else reversed(order):
            wanted = {id(spot): _mean(spot.before if sweep % 2 == 0 else spot.after, spot.rank) for spot in column}
            column.sort(key=lambda spot, wanted=wanted: (wanted[id(spot)], spot.rank))
            _rank(column)


def _rank(column: list[_Spot]) -> None:
    # Ranks are shares of the column: columns of different lengths can be compared.
    for n, spot in enumerate(column):
        spot.rank = (n + 0.5) / len(column)


def _mean(spots: list[_Spot], otherwise: float) -> float:
    return sum(spot.rank for spot in spots) / len(spots) if spots else otherwise


def _place(order: list[list[_Spot]]) -> None:
    """Give each spot a height above its neighbours, as near as possible to theirs."""
    for column in order:
        _stack(column, [0.0] * len(column))
    for sweep in range(SWEEPS):
        for column in order if sweep % 2 == 0 else reversed(order):
            wanted: list[float] = []
            for spot in column:
                near = spot.before if sweep % 2 == 0 else spot.after
                near = near or spot.before or spot.after
                wanted.append(sum(each.middle for each in near) / len(near) if near else spot.middle)
            _stack(column, wanted)


def _stack(column: list[_Spot], wanted: list[float]) -> None:
    """Place a column in its order, without overlaps, and as near as possible to the wanted places
    on average.
    """
    at = float("-inf")
    previous = 0.0
    for spot, middle in zip(column, wanted, strict=True):
        gap = ROW_GAP if spot.height > LINE_HEIGHT else LINE_GAP
        least = at + (previous + spot.height) / 2 + gap
        spot.middle = max(middle, least)
        at, previous = spot.middle, spot.height
    shift = sum(middle - spot.middle for spot, middle in zip(column, wanted, strict=True)) / max(1, len(column))
    for spot in column:
        spot.middle += shift


def _points(way: list[_Spot], left: Mapping[int, float], top: float) -> tuple[tuple[float, float], ...]:
    start, *between, end = way
    found = [(left[start.column] + BOX_WIDTH, start.middle - top)]
    for spot in between:
        found.append((left[spot.column], spot.middle - top))
        found.append((left[spot.column] + BOX_WIDTH, spot.middle - top))
    return (*found, (left[end.column], end.middle - top))
