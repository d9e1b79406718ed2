"""Parts of the page of a run for a page of somebody else, such as a notebook.

They look as on the page itself. The rules of its style sheet hold inside of these parts only, and
nothing in them leads anywhere: the panels that links of the page open are not there.
"""

import re
from functools import cache

from swarm.record import events as e
from swarm.record.recorded import Recorded
from swarm.record.state import State
from swarm.results.result import Result
from swarm.results.timeline import Timeline
from swarm.spec.plan import Plan
from swarm.views.page.boxes import fold
from swarm.views.page.drawing import graph_svg
from swarm.views.page.html import Html, edited, html, join
from swarm.views.page.page import graph_part, time_part
from swarm.views.page.report import report_part
from swarm.views.page.scene import PageScene
from swarm.views.page.style import style

SCOPE = ".swarm-run"
"""Class of the element around the parts."""
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}@]+)\{([^{}]*)\}")
_COMMA = re.compile(r",(?![^(]*\))")
_WHOLE = frozenset({":root", "html", "body"})
"""Selectors of the page as a whole."""
_PLACES = re.compile(r' (?:href|id|tabindex)="[^"]*"')
"""Attributes that lead to a place or are one. A text has no quote of its own: it is escaped."""


def result_parts(found: Recorded, result: Result) -> Html:
    """Return the report, the graph and the use of time of a run."""
    scene = PageScene(found, result, None)
    return _embedded(join((report_part(scene), graph_part(scene), time_part(scene))))


def plan_part(plan: Plan) -> Html:
    """Return the graph of a plan. Raise `JournalError` for one that is invalid."""
    state = State()
    state.apply(e.RunStarted(run="plan", trace="", versions={}, task={}, agents=plan.agents))
    state.apply(e.StepsAdded(by="task", steps=plan.steps))
    graph = fold(Timeline(state), ())
    return _embedded(html('<div class="pic">{}</div>', graph_svg(graph, lambda _: "", lambda _: 0.0)))


def _embedded(parts: Html) -> Html:
    return html('<div class="swarm-run"><style>{}</style>{}</div>', scoped(), edited(_PLACES, parts, ""))


@cache
def scoped() -> Html:
    """Return the style sheet of the page with rules that hold inside of `SCOPE` only."""

    def inside(rule: re.Match[str]) -> str:
        selectors = (each.strip() for each in _COMMA.split(rule[1]))
        return f"{','.join(SCOPE if each in _WHOLE else f'{SCOPE} {each}' for each in selectors)}{{{rule[2]}}}"

    return edited(_RULE, edited(_COMMENT, style(), ""), inside)
