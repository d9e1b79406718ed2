"""The time of a run as SVG: its slots with their attempts, the calls at each endpoint, and what
was waited for.

All rows share one axis. A row is a slot, not a step: a run of a thousand steps has as many rows
as it had workers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from swarm.base.text import cut
from swarm.record.steps import StepState
from swarm.results.lanes import Bar
from swarm.views.page.drawing import status_class
from swarm.views.page.html import EMPTY, Html, html, join
from swarm.views.page.moments import Curve
from swarm.views.words import seconds

WIDTH, GUTTER, RIGHT = 1120.0, 180.0, 66.0
"""Pixels: of the drawing, of the names on its left, and of the figures on its right."""
PLOT = WIDTH - GUTTER - RIGHT
SLOTS_HEIGHT = 420.0
"""Maximum height of all slots together."""
TALLEST, LOWEST = 20.0, 1.0
"""Heights of one slot."""
STRIP, STRIP_GAP = 30.0, 12.0
MOST_BARS = 2000
"""Maximum bars that are drawn one by one. Of more, those narrower than a pixel are merged with
their neighbours."""
CHARACTER = 6.6
"""Pixels of a character in a bar, at most."""
NAMED_SLOTS = 24
"""Maximum slots of which each has its number."""
GUTTER_CHARACTERS = 28

Link = Callable[[Sequence[StepState]], str]


@dataclass(frozen=True)
class Axis:
    """The time axis: all of a run on the width of the plot."""

    end: float

    def x(self, at: float) -> float:
        """Return the place of a time."""
        return GUTTER + PLOT * min(1.0, max(0.0, at / self.end)) if self.end > 0 else GUTTER

    def ticks(self) -> tuple[float, ...]:
        """Return four to ten round times."""
        if self.end <= 0:
            return (0.0,)
        rough = self.end / 8
        power = 10.0 ** floor(log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        for nice in (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400):
            if step > 10 and nice >= rough:
                step = nice
                break
        return tuple(step * n for n in range(int(self.end / step) + 1))


@dataclass(slots=True)
class _Piece:
    """Bars of a lane that are drawn as one."""

    start: float
    end: float
    bars: list[Bar]


def gantt_svg(bars: Sequence[Bar], curves: Sequence[Curve], end: float, link: Link, critical: frozenset[str]) -> Html:
    """Return the time of a run as SVG. `end` is its duration in seconds."""
    axis = Axis(end)
    lanes = max((bar.lane for bar in bars), default=-1) + 1
    height = min(TALLEST, max(LOWEST, SLOTS_HEIGHT / max(1, lanes)))
    top = 24.0
    below = top + lanes * height + STRIP_GAP + 6
    whole = below + len(curves) * (STRIP + STRIP_GAP) + 6
    strips = [_strip(curve, axis, below + n * (STRIP + STRIP_GAP)) for n, curve in enumerate(curves)]
    return html(
        '<svg class="gantt" aria-hidden="true" width="{0}" height="{1}" viewBox="0 0 {0} {1}">{2}{3}{4}{5}</svg>',
        round(WIDTH),
        ceil(whole),
        _grid(axis, whole),
        _names(lanes, top, height),
        join(_piece(piece, axis, top, height, link, critical) for piece in _pieces(bars, axis)),
        join(strips),
    )


def _grid(axis: Axis, height: float) -> Html:
    lines: list[Html] = []
    for at in axis.ticks():
        x = round(axis.x(at), 1)
        line = html('<line class="grid" x1="{}" x2="{}" y1="18" y2="{}"/>', x, x, round(height))
        lines.append(html('{}<text class="small mid" x="{}" y="12">{}</text>', line, x, seconds(at) if at else "0"))
    return join(lines)


def _names(lanes: int, top: float, height: float) -> Html:
    if lanes <= NAMED_SLOTS:
        wanted: Iterable[int] = range(lanes)
    else:
        wanted = (0, lanes - 1)
    names = [
        html(
            '<text class="small end" x="{}" y="{}">slot {}</text>',
            GUTTER - 10,
            round(max(top + 8, top + (lane + 0.5) * height + 4), 1),
            lane + 1,
        )
        for lane in wanted
    ]
    return join(names)


def _pieces(bars: Sequence[Bar], axis: Axis) -> Iterator[_Piece]:
    """Yield the bars; if there are many, narrow neighbours in a slot as one."""
    if len(bars) <= MOST_BARS:
        yield from (_Piece(bar.start, bar.end, [bar]) for bar in bars)
        return
    open_pieces: dict[int, _Piece] = {}
    pixel = axis.end / PLOT
    for bar in bars:
        before = open_pieces.get(bar.lane)
        is_narrow = bar.end - bar.start < pixel and not bar.has_failed
        if before is not None and is_narrow and bar.start - before.start < pixel and not before.bars[0].has_failed:
            before.end = max(before.end, bar.end)
            before.bars.append(bar)
            continue
        if before is not None:
            yield before
        open_pieces[bar.lane] = _Piece(bar.start, bar.end, [bar])
    yield from open_pieces.values()


def _piece(piece: _Piece, axis: Axis, top: float, height: float, link: Link, critical: frozenset[str]) -> Html:
    bar = piece.bars[0]
    x, y = axis.x(piece.start), top + bar.lane * height
    width = max(0.8, axis.x(piece.end) - x)
    gap = 2.0 if height >= 8 else 0.0
    status = "failed" if bar.has_failed else status_class(bar.step)
    is_critical = any(each.step.id in critical for each in piece.bars)
    label = EMPTY
    room = int((width - 8) / CHARACTER)
    if height >= 14 and room >= 3 and len(piece.bars) == 1:
        label = html(
            '<text class="in" x="{}" y="{}">{}</text>',
            round(x + 4, 1),
            round(y + height / 2 + 3, 1),
            cut(bar.step.id, room),
        )
    return html(
        '<a href="{}" tabindex="-1" class="bar {}"><title>{}</title>'
        '<rect x="{}" y="{}" width="{}" height="{}"{}/>{}</a>',
        link([each.step for each in piece.bars]),
        f"{status} crit" if is_critical else status,
        _title(piece),
        round(x, 1),
        round(y, 1),
        round(width, 1),
        round(max(0.8, height - gap), 1),
        html(' rx="3"') if height >= 8 else EMPTY,
        label,
    )


def _title(piece: _Piece) -> str:
    bar = piece.bars[0]
    when = f"{seconds(piece.end - piece.start)}, from {seconds(piece.start)} to {seconds(piece.end)}"
    if len(piece.bars) > 1:
        return f"{len(piece.bars):,} attempts: {bar.step.id} … {piece.bars[-1].step.id}; {when}"
    again = f", attempt {bar.attempt}" if bar.attempt > 1 else ""
    failed = ", failed" if bar.has_failed else ""
    return f"{bar.step.id}{again}{failed}: {when}"


# Curves below the slots


def _strip(curve: Curve, axis: Axis, top: float) -> Html:
    most = max(curve.peak, *(count for _, count in curve.allowed)) if curve.allowed else curve.peak
    allowed = EMPTY
    if curve.allowed:
        line = _line(_steps([*curve.allowed, (axis.end, curve.allowed[-1][1])], axis), most, top)
        allowed = html('<path class="allowed" d="{}"/>', line)
    figures = f"max {curve.peak:,}" if not curve.allowed else f"{curve.peak:,} of {most:,}"
    return html(
        '<g class="strip {}"><title>{}</title><rect class="ground" x="{}" y="{}" width="{}" height="{}"/>'
        '<path class="area" d="{}"/>{}<text class="small end" x="{}" y="{}">{}</text>'
        '<text class="small" x="{}" y="{}">{}</text></g>',
        curve.kind,
        f"{curve.name}: {figures} at once",
        GUTTER,
        round(top, 1),
        PLOT,
        STRIP,
        _area(_steps(curve.points, axis), most, top),
        allowed,
        GUTTER - 10,
        round(top + STRIP / 2 + 4, 1),
        cut(curve.name, GUTTER_CHARACTERS),
        WIDTH - RIGHT + 6,
        round(top + 10, 1),
        figures,
    )


def _steps(points: Iterable[tuple[float, int]], axis: Axis) -> list[tuple[int, int]]:
    """Return the highest number of each pixel column at which the number changes."""
    found: dict[int, int] = {}
    last = 0
    for at, count in points:
        x = round(axis.x(at))
        found[x] = max(found.get(x, last), count)
        last = count
        found[x + 1] = count
    return sorted(found.items())


def _area(steps: Sequence[tuple[int, int]], most: int, top: float) -> str:
    if not steps:
        return "M0 0"
    return f"{_line(steps, most, top, closed=True)}"


def _line(steps: Sequence[tuple[int, int]], most: int, top: float, *, closed: bool = False) -> str:
    bottom = top + STRIP
    parts = [f"M{steps[0][0]} {bottom:.1f}" if closed else f"M{steps[0][0]} {_y(steps[0][1], most, top)}"]
    for n, (x, count) in enumerate(steps):
        parts.append(f"H{x}" if n else "")
        parts.append(f"V{_y(count, most, top)}")
    return "".join(parts) + (f"V{bottom:.1f}Z" if closed else "")


def _y(count: int, most: int, top: float) -> str:
    return f"{top + STRIP - (STRIP - 2) * count / max(1, most):.1f}"
