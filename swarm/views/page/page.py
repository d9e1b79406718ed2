"""The page of a run: its parts in order."""

from collections.abc import Callable
from dataclasses import dataclass

from swarm.base.collection import no_collection
from swarm.base.version import __version__
from swarm.record.recorded import Recorded
from swarm.record.state import State
from swarm.results.result import Result
from swarm.views.page.details import panels
from swarm.views.page.drawing import graph_svg
from swarm.views.page.gantt import gantt_svg
from swarm.views.page.html import EMPTY, Html, html, join
from swarm.views.page.live import REFRESH_SECONDS, Now, now_part
from swarm.views.page.report import claims_part, report_part
from swarm.views.page.scene import PageScene
from swarm.views.page.steps import steps_part
from swarm.views.page.style import policy, script, served_script, style
from swarm.views.page.summary import cost_part, head_part, parallel_part, title_of, why_part
from swarm.views.words import counted

SECTIONS = (
    ("now", "Now"),
    ("report", "Report"),
    ("claims", "Claims"),
    ("why", "Why"),
    ("graph", "Graph"),
    ("time", "Time"),
    ("parallel", "Parallelism"),
    ("cost", "Cost"),
    ("steps", "Steps"),
)
_TITLE_CHARACTERS = 120
ALONE = "This page loads nothing and sends nothing."
SERVED = "This page asks only the command that serves it."


def page(found: Recorded, result: Result, *, status: str = "", base: str = "") -> str:
    """Return a run as one page of HTML.

    `status` is how it ended; the default is that of the result. `base` is the path from the page
    to the folder of the run, with a slash at its end; empty if the page is in that folder.
    """
    with no_collection():
        return _page(PageScene(found, result, base), status or result.status)


def served_page(found: Recorded, result: Result, now: Now, *, status: str, clean: Callable[[str], str] = str) -> str:
    """Return a run that may still work as a page for a server of this machine: above the others a
    part of this moment.

    Files of the run are named, not linked. `clean` removes secrets from what models wrote.
    """
    with no_collection():
        return _page(PageScene(found, result, None), status, now, clean)


@dataclass(frozen=True)
class _Served:
    """What a page that is served has and a file has not."""

    now: Html = EMPTY
    mark: Html = EMPTY
    """The attribute that says how much of the run the page shows."""
    refresh: Html = EMPTY
    by_hand: Html = EMPTY
    gone: Html = EMPTY


def _page(scene: PageScene, status: str, now: Now | None = None, clean: Callable[[str], str] = str) -> Html:
    served = _Served() if now is None else _served(scene.state, now, clean)
    parts = (
        served.now,
        report_part(scene),
        claims_part(scene),
        why_part(scene),
        graph_part(scene),
        time_part(scene),
        parallel_part(scene),
        cost_part(scene),
        steps_part(scene),
    )
    sections = [html('<li><a href="#{}">{}</a></li>', name, title) for name, title in SECTIONS]
    present = [link for link, part in zip(sections, parts, strict=True) if part]
    return html(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="{}"><meta name="referrer" content="no-referrer">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">{}<title>{}</title><style>{}</style>'
        '</head><body{}>{}<nav aria-label="Sections"><ul>{}</ul></nav>{}<main>{}</main>'
        '<aside aria-label="Details">{}</aside>'
        "<footer>{}</footer>"
        "<script>{}</script></body></html>\n",
        policy(served=now is not None),
        served.refresh,
        title_of(scene)[:_TITLE_CHARACTERS],
        style(),
        served.mark,
        head_part(scene, status=status),
        join(present),
        served.by_hand,
        join((served.gone, *parts)),
        join(panels(scene)),
        f"swarm {__version__}, run {scene.state.run}. {ALONE if now is None else SERVED}",
        script() if now is None else served_script(),
    )


def _served(state: State, now: Now, clean: Callable[[str], str]) -> _Served:
    return _Served(
        now=now_part(now, clean),
        mark=html(' data-seq="{}"', state.seq),
        refresh=EMPTY if now.is_over else _refresh(),
        by_hand=EMPTY if now.is_over else _by_hand(),
        gone=_gone(state.run),
    )


def _refresh() -> Html:
    """Return what loads the page again if its script does not run. A browser does so only at an
    address without `#`.
    """
    return html('<noscript><meta http-equiv="refresh" content="{}"></noscript>', REFRESH_SECONDS)


def _by_hand() -> Html:
    """Return what a reader without scripts has to know about that."""
    words = "s while none of its parts is open. Otherwise"
    return html(
        '<noscript><div class="by-hand"><p class="note">This page is loaded again every {} {} <a href="./">load it now'
        "</a>.</p></div></noscript>",
        REFRESH_SECONDS,
        words,
    )


def _gone(run: str) -> Html:
    """Return what the script of a served page shows when its server does not answer any more."""
    words = "The command that served this page has ended. To get the page as a file: swarm report"
    return html('<p id="gone" class="note" hidden>{} {}</p>', words, run)


def graph_part(scene: PageScene) -> Html:
    """Return the graph of steps."""
    count = len(scene.timeline.steps)
    folded = len(scene.graph.boxes)
    about = counted(count, "step") if folded == count else f"{counted(count, 'step')}; alike ones are in one box"
    return html(
        '<section id="graph"><h2>Graph</h2><p class="key">{}. {}</p>'
        '<div class="pic" role="region" aria-label="Graph" tabindex="0">{}</div></section>',
        about,
        _key(
            ("done", "done"),
            ("failed", "failed"),
            ("skipped", "skipped"),
            ("cached", "cached"),
            ("crit", "critical path"),
        ),
        graph_svg(scene.graph, scene.place, scene.took),
    )


def time_part(scene: PageScene) -> Html:
    """Return the slots, the calls and the waiting over time."""
    if not scene.bars:
        return EMPTY
    return html(
        '<section id="time"><h2>Time</h2><p class="key">A row is a worker slot, a bar an attempt. {} Below: calls in '
        "flight at each endpoint, with its present maximum if that changed, and steps that waited, by cause.</p>"
        '<div class="pic" role="region" aria-label="Time" tabindex="0">{}</div></section>',
        _key(("done", "done"), ("failed", "failed"), ("crit", "critical path")),
        gantt_svg(scene.bars, scene.curves, scene.state.t, scene.place, scene.critical),
    )


def _key(*entries: tuple[str, str]) -> Html:
    return join(html('<b><i class="{}"></i>{}</b>', kind, words) for kind, words in entries)
