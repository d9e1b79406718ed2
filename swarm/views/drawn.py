"""Small pictures of a run or a plan as SVG: its graph, and its attempts on slots. Every text is escaped.

Colours are attributes, so that a picture looks the same in any page; text takes the colour of the page around it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import log2
from types import MappingProxyType

from swarm.base.redaction import safe_text
from swarm.record.steps import Status
from swarm.results.lanes import Bar
from swarm.spec.plan import Step, before_of
from swarm.views.paint import cut_to
from swarm.views.words import clock, seconds

FILLS: dict[Status, str] = {
    Status.DONE: "#4ca64c",
    Status.FAILED: "#d75f5f",
    Status.LIMITED: "#d75f5f",
    Status.CANCELLED: "#d75f5f",
    Status.SKIPPED: "#c09040",
    Status.RUNNING: "#4aa5b5",
    Status.READY: "#9a9a9a",
    Status.WAITING: "#c8c8c8",
}
"""Colours of the states of steps."""
CRITICAL = "#c0399f"
"""Colour of the frame of what is on the critical path."""
MOST_LANES, MOST_BARS, MOST_BOXES = 40, 2_000, 60
"""Maximum slots, attempts and boxes that are drawn; what is more is counted in words."""
_BOX, _HIGH, _GAP_X, _GAP_Y = 150, 34, 40, 12
_LANE, _WIDE = 12, 720


def esc(text: object) -> str:
    """Return a text for markup and for quoted attributes, without control characters."""
    return escape(safe_text(str(text)))


def svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """Return a picture."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" style="max-width:100%;height:auto" font-family="sans-serif" font-size="11" fill="currentColor">'
        f"<title>{esc(title)}</title>{''.join(parts)}</svg>"
    )


# Attempts on slots


def gantt(bars: Sequence[Bar], end: float, critical: frozenset[str]) -> str:
    """Return the attempts of a run on their slots; empty without any."""
    shown = [bar for bar in bars if bar.lane < MOST_LANES][:MOST_BARS]
    if not shown or end <= 0:
        return ""
    lanes = max(bar.lane for bar in shown) + 1
    scale = _WIDE / end
    parts: list[str] = []
    for bar in shown:
        frame = f' stroke="{CRITICAL}" stroke-width="1.5"' if bar.step.id in critical else ""
        fill = FILLS[Status.FAILED] if bar.has_failed else FILLS[bar.step.status]
        about = f"{bar.step.id}: {seconds(bar.end - bar.start)}, from {clock(bar.start)}"
        x, wide = bar.start * scale, max(1.0, (bar.end - bar.start) * scale)
        parts.append(
            f'<rect x="{x:.1f}" y="{bar.lane * _LANE}" width="{wide:.1f}" height="{_LANE - 2}" '
            f'fill="{fill}"{frame}><title>{esc(about)}</title></rect>'
        )
    high = lanes * _LANE
    more = len(bars) - len(shown)
    parts.append(f'<text x="0" y="{high + 14}">0:00{f"; {more:,} more attempts" if more else ""}</text>')
    parts.append(f'<text x="{_WIDE}" y="{high + 14}" text-anchor="end">{clock(end)}</text>')
    return svg(_WIDE, high + 20, "Attempts on worker slots over time", parts)


# The graph


@dataclass(slots=True)
class _Group:
    """Steps in one box: one step, or the instances of one."""

    name: str
    column: int
    steps: list[str] = field(default_factory=list[str])
    x: float = 0.0
    y: float = 0.0


def graph(
    steps: Sequence[Step],
    status_of: Callable[[str], Status | None] = lambda _: None,
    critical: frozenset[str] = frozenset(),
    planner: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return steps in columns by their depth, the instances of a step in one box; empty if there are too many boxes.

    `planner` names the step that planned a step, for those that wait for nothing else.
    """
    before = {step.id: before_of(step) or tuple(filter(None, [planner.get(step.id)])) for step in steps}
    columns = depths(before)
    expanded = {step.instance_of for step in steps}
    groups: dict[str, _Group] = {}
    for step in steps:
        name = step.instance_of or step.id
        group = groups.setdefault(name, _Group(name, columns[step.id]))
        if step.id not in expanded:
            group.steps.append(step.id)
    if not groups or len(groups) > MOST_BOXES:
        return ""
    filled: dict[int, int] = {}
    for group in groups.values():
        row = filled[group.column] = filled.get(group.column, -1) + 1
        group.x, group.y = group.column * (_BOX + _GAP_X), row * (_HIGH + _GAP_Y)
    parts = [*_edges(steps, before, groups), *(_box(group, status_of, critical) for group in groups.values())]
    wide = (max(filled) + 1) * (_BOX + _GAP_X) - _GAP_X
    high = (max(filled.values()) + 1) * (_HIGH + _GAP_Y)
    return svg(wide, high, "Graph of steps", parts)


def depths(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the longest chain of steps before each step; in a cycle, which only a forged run has, it is any number."""
    found: dict[str, int] = {}
    stack = [*before][::-1]
    opened: set[str] = set()
    while stack:
        name = stack[-1]
        earlier = [other for other in before[name] if other in before]
        if name not in opened:
            opened.add(name)
            stack += [other for other in earlier if other not in opened]
            continue
        stack.pop()
        found[name] = 1 + max((found[other] for other in earlier if other in found), default=-1)
    return found


def _edges(steps: Sequence[Step], before: Mapping[str, Sequence[str]], groups: Mapping[str, _Group]) -> list[str]:
    home = {step.id: groups[step.instance_of or step.id] for step in steps}
    parts: dict[str, None] = {}
    for step in steps:
        b = home[step.id]
        for a in (home[other] for other in before[step.id] if other in home and home[other] is not b):
            x1, y1, x2, y2 = a.x + _BOX, a.y + _HIGH / 2, b.x, b.y + _HIGH / 2
            middle = (x1 + x2) / 2
            way = f"M{x1:.0f},{y1:.0f} C{middle:.0f},{y1:.0f} {middle:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
            parts[f'<path d="{way}" fill="none" stroke="#999999"/>'] = None
    return list(parts)


def _box(group: _Group, status_of: Callable[[str], Status | None], critical: frozenset[str]) -> str:
    states = [status for status in map(status_of, group.steps) if status is not None]
    is_critical = any(name in critical for name in group.steps)
    frame = f'stroke="{CRITICAL}" stroke-width="2"' if is_critical else 'stroke="#999999"'
    name = group.name if len(group.steps) <= 1 else f"{group.name} × {len(group.steps):,}"
    left, strips = 0.0, ""
    for status in Status:
        wide = _BOX * states.count(status) / max(1, len(states))
        if wide:
            place = f'x="{group.x + left:.1f}" y="{group.y + _HIGH - 6:.0f}" width="{wide:.1f}"'
            strips += f'<rect {place} height="6" fill="{FILLS[status]}"/>'
        left += wide
    counts = ", ".join(f"{states.count(status):,} {status}" for status in Status if status in states)
    return (
        f"<g><title>{esc(name)}{': ' if counts else ''}{counts}</title>"
        f'<rect x="{group.x:.0f}" y="{group.y:.0f}" width="{_BOX}" height="{_HIGH}" rx="3" fill="none" {frame}/>'
        f"{strips}"
        f'<text x="{group.x + 8:.0f}" y="{group.y + 18:.0f}">{esc(cut_to(safe_text(name), 22))}</text></g>'
    )


# Figures by worker count


def curve(points: Sequence[tuple[float, float]], bound: Sequence[tuple[float, float]]) -> str:
    """Return seconds by worker count, each count twice as far as its half, with a dashed line of their upper bound."""
    wide, high, left, low = 480, 220, 60, 30
    most = max((y for _, y in (*points, *bound)), default=0.0) or 1.0
    span = max((log2(x) for x, _ in points), default=0.0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + log2(x) / span * (wide - left - 20), 10 + (1 - y / most) * (high - low - 10)

    def line(through: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{px:.1f},{py:.1f}" for px, py in (place(x, y) for x, y in through))

    parts = [
        f'<polyline points="{line(bound)}" fill="none" stroke="#999999" stroke-dasharray="4 3"/>',
        f'<polyline points="{line(points)}" fill="none" stroke="{FILLS[Status.RUNNING]}" stroke-width="2"/>',
    ]
    for x, y in points:
        px, py = place(x, y)
        about = f"{x:g} workers: {seconds(y)}"
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3"><title>{esc(about)}</title></circle>')
        parts.append(f'<text x="{px:.1f}" y="{high - 12}" text-anchor="middle">{x:g}</text>')
    parts += [f'<text x="{left - 8}" y="14" text-anchor="end">{esc(seconds(most))}</text>']
    parts += [f'<text x="{left - 8}" y="{high - low + 4}" text-anchor="end">0 s</text>']
    return svg(wide, high, "Seconds by number of workers", parts)
