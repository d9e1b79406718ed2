"""The table of steps."""

from swarm.record.steps import StepState
from swarm.spec.plan import role_of
from swarm.views.page.drawing import status_class
from swarm.views.page.html import EMPTY, Html, html, join
from swarm.views.page.scene import PageScene
from swarm.views.steps import in_order
from swarm.views.words import seconds

HEAD = (
    ("Step", ""),
    ("Status", ""),
    ("Agent", ""),
    ("Model", ""),
    ("Attempts", "n"),
    ("Turns", "n"),
    ("Input", "n"),
    ("Output", "n"),
    ("USD", "n"),
    ("Waited", "n"),
    ("Took", "n"),
)
"""Columns, and the class of their cells."""


def steps_part(scene: PageScene) -> Html:
    """Return a row per step, in plan order. The script, if it runs, sorts and filters them."""
    head = join(html('<th scope="col" class="{}">{}</th>', kind, name) for name, kind in HEAD)
    real = {s.id for s in scene.timeline.steps}
    rows = join(_row(scene, s) for s in in_order(scene.state) if s.id in real)
    return html(
        '<section id="steps"><h2>Steps</h2><p id="f" hidden><label>Filter <input type="search"></label> '
        '<output aria-live="polite"></output></p><div class="wide tall" role="region" aria-label="Steps" tabindex="0">'
        '<table id="t" class="steps"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></section>',
        head,
        rows,
    )


def _row(scene: PageScene, s: StepState) -> Html:
    used, took = s.usage, scene.took(s)
    waited = sum(s.waited.values())
    usd = used.cost
    return html(
        '<tr><td><a href="#s{}">{}</a>{}</td><td class="{}">{}</td><td>{}</td><td>{}</td><td class="n">{}</td>'
        '<td class="n">{}</td><td class="n">{}</td><td class="n">{}</td><td class="n" data-v="{}">{}</td>'
        '<td class="n" data-v="{}">{}</td><td class="n" data-v="{}">{}</td></tr>',
        s.order,
        s.id,
        html(' <span class="path" title="on the critical path">◆</span>') if s.id in scene.critical else EMPTY,
        status_class(s),
        status_class(s),
        role_of(s.step),
        s.model,
        s.attempt,
        s.turns,
        used.input_tokens,
        used.output_tokens,
        usd or 0,
        _price(usd),
        waited,
        seconds(waited),
        took,
        seconds(took),
    )


def _price(usd: float | None) -> str:
    if usd is None:
        return "?"
    if not usd:
        return "0"
    return "<0.0001" if usd < 0.00005 else f"{usd:.4f}"
