"""A curve as SVG, and the colours of a notebook's view of a running run. Every text is escaped.

Colours are attributes, so that a picture looks the same in any page; text takes the colour of the
page around it.
"""

from collections.abc import Iterable, Sequence
from html import escape
from math import log2

from swarm.base.redaction import safe_text
from swarm.record.steps import Status
from swarm.views.words import seconds

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
