"""The graph of a run as SVG: boxes that lead to their steps, or stacked bars if there are too
many boxes.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from swarm.base.text import cut
from swarm.record.steps import Status, StepState
from swarm.spec.plan import role_of
from swarm.views.page.boxes import Box, FoldedGraph
from swarm.views.page.html import EMPTY, Html, html, join
from swarm.views.page.layout import BOX_HEIGHT, BOX_WIDTH, layout
from swarm.views.words import seconds, short

MOST_BOXES = 300
"""Maximum boxes that are drawn. More are stacked bars, one per column and agent."""
ID_CHARACTERS = 20
"""Maximum characters of an id in a box: the fonts are unknown, so texts are cut by characters."""
SMALL_CHARACTERS = 26
"""Maximum characters of the second line of a box."""
BAR_WIDTH, BAR_GAP, BAR_HEIGHT = 54, 14, 260

Link = Callable[[Sequence[StepState]], str]
"""Returns the place of the page that some steps lead to."""
Took = Callable[[StepState], float]
"""Returns the seconds of a step."""


def graph_svg(graph: FoldedGraph, link: Link, took: Took) -> Html:
    """Return the graph as SVG."""
    if not graph.boxes:
        return html("<p>No steps.</p>")
    return _boxes(graph, link, took) if len(graph.boxes) <= MOST_BOXES else _bars(graph)


def _boxes(graph: FoldedGraph, link: Link, took: Took) -> Html:
    placed = layout(graph)
    edges = [
        html('<path class="{}" d="{}"/>', "edge crit" if edge in graph.path else "edge", _curve(points))
        for edge, points in zip(graph.edges, placed.edges, strict=True)
    ]
    edges.sort(key=lambda edge: " crit" in edge)  # those of the critical path lie above the others
    boxes = [
        _box(box, (x, y, placed.box_height), link, took) for box, (x, y) in zip(graph.boxes, placed.boxes, strict=True)
    ]
    return html(
        '<svg class="graph" role="group" aria-label="Graph of steps" width="{0}" height="{1}" '
        'viewBox="0 0 {0} {1}">{2}{3}</svg>',
        round(placed.width),
        round(placed.height),
        join(edges),
        join(boxes),
    )


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Return a smooth path through points: curves between columns, straight lines along boxes."""
    (x, y), *rest = points
    parts = [f"M{x:.0f} {y:.1f}"]
    for n, (to_x, to_y) in enumerate(rest):
        if n % 2 == 0:
            half = (x + to_x) / 2
            parts.append(f"C{half:.0f} {y:.1f} {half:.0f} {to_y:.1f} {to_x:.0f} {to_y:.1f}")
        else:
            parts.append(f"L{to_x:.0f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(parts)


def _box(box: Box, place: tuple[float, float, float], link: Link, took: Took) -> Html:
    x, y, height = place
    has_two_lines = height >= BOX_HEIGHT
    stack = EMPTY
    if len(box.steps) > 1:
        stack = html('<rect class="back" x="4" y="4" width="{}" height="{}" rx="7"/>', BOX_WIDTH, height)
    second = html('<text x="10" y="33" class="small">{}</text>', cut(_second(box, took), SMALL_CHARACTERS))
    return html(
        '<a href="{}" class="{}"><g transform="translate({},{})"><title>{}</title>{}'
        '<rect width="{}" height="{}" rx="7"/><text x="10" y="{}">{}</text>{}</g></a>',
        link(box.steps),
        f"box {status_class(box.first)}{' crit' if box.is_critical else ''}",
        round(x, 1),
        round(y, 1),
        _title(box, took),
        stack,
        round(BOX_WIDTH),
        round(height),
        17 if has_two_lines else 15,
        _name(box),
        second if has_two_lines else EMPTY,
    )


def _name(box: Box) -> str:
    s = box.first
    if len(box.steps) == 1:
        return cut(s.id, ID_CHARACTERS)
    return f"{cut(_family(s), ID_CHARACTERS - 7)} ×{len(box.steps):,}"


def status_class(s: StepState) -> str:
    """Return the class of a step by its status."""
    return "cached" if s.outcome.cached and s.status is Status.DONE else s.status.value


def _family(s: StepState) -> str:
    return s.step.instance_of or s.step.partial_of or role_of(s.step)


def _second(box: Box, took: Took) -> str:
    s = box.first
    if len(box.steps) == 1:
        used = [role_of(s.step), seconds(took(s)) if s.spans else s.status.value]
        return " · ".join([*used, *([f"{short(s.usage.tokens)} tok"] if s.usage.tokens else [])])
    tokens = sum(each.usage.tokens for each in box.steps)
    status = "cached" if s.outcome.cached else s.status.value
    return f"all {status} · {short(tokens)} tok"


def _title(box: Box, took: Took) -> str:
    s = box.first
    tokens = sum(each.usage.tokens for each in box.steps)
    if len(box.steps) == 1:
        path = ", on the critical path" if box.is_critical else ""
        return f"{s.id}: {s.status.value}{path}, agent {role_of(s.step)}, {seconds(took(s))}, {tokens:,} tokens"
    times = sorted(map(took, box.steps))
    return (
        f"{len(box.steps):,} steps, {s.status.value}: {s.id} … {box.steps[-1].id}; "
        f"{seconds(times[0])} to {seconds(times[-1])}, median {seconds(times[len(times) // 2])}; {tokens:,} tokens"
    )


# Stacked bars


def _bars(graph: FoldedGraph) -> Html:
    """Return a bar per column with a segment per agent and status. Failed steps are at the top of
    a bar.
    """
    columns: dict[int, Counter[tuple[str, str]]] = {}
    for box in graph.boxes:
        key = role_of(box.first.step), status_class(box.first)
        columns.setdefault(box.column, Counter())[key] += len(box.steps)
    most = max(counts.total() for counts in columns.values())
    width = len(columns) * (BAR_WIDTH + BAR_GAP) + BAR_GAP
    bars = [_bar(counts, n, column, most) for n, (column, counts) in enumerate(sorted(columns.items()))]
    return html(
        '<svg class="graph" role="group" aria-label="Steps by column of the graph" width="{}" height="{}" '
        'viewBox="0 0 {} {}">{}</svg>',
        width,
        BAR_HEIGHT + 44,
        width,
        BAR_HEIGHT + 44,
        join(bars),
    )


def _bar(counts: Counter[tuple[str, str]], n: int, column: int, most: int) -> Html:
    x, y = BAR_GAP + n * (BAR_WIDTH + BAR_GAP), float(BAR_HEIGHT + 20)
    parts: list[Html] = []
    for (role, status), count in sorted(counts.items(), key=lambda item: (item[0][1] == "failed", item[0])):
        height = max(2.0, BAR_HEIGHT * count / most)
        y -= height
        title = f"{count:,} steps of {role}, {status}"
        parts.append(
            html(
                '<a href="#steps" class="box {}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}"/></a>',
                status,
                title,
                x,
                round(y, 1),
                BAR_WIDTH,
                round(height, 1),
            )
        )
    about = html('<text x="{}" y="{}" class="small mid">{}</text>', x + BAR_WIDTH / 2, round(y - 5), counts.total())
    label = html('<text x="{}" y="{}" class="small mid">{}</text>', x + BAR_WIDTH / 2, BAR_HEIGHT + 36, column + 1)
    return join([*parts, about, label])
