"""The head of a page: what was asked, how it ended, what it took and used, and what that was
spent on.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from swarm.record.steps import Status, StepState
from swarm.results.left_out import left_out_line
from swarm.results.report import Report
from swarm.spec.chat import Usage
from swarm.views.facts import BAR_ORDER
from swarm.views.page.html import EMPTY, Html, html, join, joined
from swarm.views.page.scene import PageScene
from swarm.views.parallel import flags, paragraph
from swarm.views.steps import ended_alike
from swarm.views.why import TITLES, amount
from swarm.views.words import counted, dollars, seconds, short

GOAL_CHARACTERS = 240
"""Maximum characters of the goal in the heading of a page: about three lines."""
NOT_DONE, NAMED = 10, 5
"""Maximum reasons for steps without an output in the head of a page, and steps that it names for each."""


def title_of(scene: PageScene) -> str:
    """Return the goal of a run, or its id."""
    return " ".join(scene.state.goal.split()) or f"Run {scene.state.run}"


def head_part(scene: PageScene, *, status: str) -> Html:
    """Return the goal, the status and the figures of a run."""
    finished = scene.state.finished
    because = (
        html('<p class="because">{}</p>', finished.because) if finished is not None and finished.because else EMPTY
    )
    return html(
        '<header><p class="run"><span class="badge {}">{}</span> run {}{}</p>{}{}{}{}</header>',
        status,
        status,
        scene.state.run,
        _when(scene),
        _goal(scene),
        because,
        html('<dl class="tiles">{}</dl>', join(_tiles(scene))),
        _not_done(scene),
    )


def _goal(scene: PageScene) -> Html:
    """Return the goal as the heading of the page; of a long one its beginning, and all of it
    folded.
    """
    goal = title_of(scene)
    if len(goal) <= GOAL_CHARACTERS:
        return html("<h1>{}</h1>", goal)
    return html(
        "<h1>{}…</h1><details><summary>The whole goal</summary><pre>{}</pre></details>",
        goal[:GOAL_CHARACTERS].rstrip(),
        scene.state.goal,
    )


def _when(scene: PageScene) -> str:
    at = scene.found.events[0].at
    try:
        return f" · {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" if at > 0 else ""
    except (OverflowError, OSError, ValueError):  # a journal may hold any number
        return ""


def _tiles(scene: PageScene) -> Iterator[Html]:
    steps, usage, p = scene.result.steps, scene.result.usage, scene.parallelism
    counts = Counter(s.status for s in scene.timeline.steps if s.over and s.status is not Status.DONE)
    others = [f"{counts[status]:,} {status}" for status in BAR_ORDER if counts[status]]
    others += [f"{steps['cached']:,} cached"] if steps["cached"] else []
    yield _tile("Steps done", f"{steps['done']:,} of {steps['total']:,}", ", ".join(others))
    yield _tile("Time", seconds(p.seconds), f"{seconds(p.work_seconds)} of calls and tools")
    if usage.calls:
        yield _tile("Tokens", short(usage.tokens), f"{short(usage.input_tokens)} in, {short(usage.output_tokens)} out")
        yield _tile("Cost", dollars(usage.cost), counted(usage.calls, "call"))
    yield _tile("In parallel", f"{p.peak:,}", f"peak, of {p.workers:,} workers; mean {p.mean:.1f}")
    if scene.result.report is not None and scene.result.report.claims:
        yield _claims_tile(scene.result.report)


def _claims_tile(report: Report) -> Html:
    """Return how many of the claims that cite a step are supported by it."""
    cited = [claim for claim in report.claims if claim.evidence != "uncited"]
    uncited = len(report.claims) - len(cited)
    if not cited:
        return _tile("Claims supported", "none cited", f"{counted(uncited, 'claim')} without a source")
    found = sum(claim.evidence in ("supported", "derived") for claim in cited)
    more = [report.not_found, f"{uncited:,} more without a source" if uncited else ""]
    return _tile("Claims supported", f"{found:,} of {len(cited):,}", "; ".join(filter(None, more)))


def _tile(name: str, value: str, more: str) -> Html:
    return html("<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>", name, value, more)


def _not_done(scene: PageScene) -> Html:
    groups = ended_alike(scene.timeline.steps)
    lines = [_ended(scene, group) for group in groups[:NOT_DONE]]
    if more := sum(map(len, groups[NOT_DONE:])):
        lines.append(html('<li>and {} more in <a href="#steps">the table</a></li>', f"{more:,}"))
    if line := left_out_line(scene.result.left_out):
        lines.append(html("<li>left out: {}</li>", line))
    return html('<div class="note bad"><p>Not done</p><ul>{}</ul></div>', join(lines)) if lines else EMPTY


def _ended(scene: PageScene, group: list[StepState]) -> Html:
    """Return the steps that ended for one kind of reason, the first ones as links, and that reason."""
    s = group[0]
    why = s.because or ("" if s.error is None else s.error.message)
    links = joined(", ", [scene.link(each.id) for each in group[:NAMED]])
    more = f" and {len(group) - NAMED:,} more" if len(group) > NAMED else ""
    return html("<li>{}{} {}: {}</li>", links, more, s.status.value, " ".join(why.split())[:300])


def _with_code(text: str) -> Html:
    """Return a text with what stands between backticks as code."""
    parts = text.split("`")
    return join(html("<code>{}</code>", part) if n % 2 else html("{}", part) for n, part in enumerate(parts))


def why_part(scene: PageScene) -> Html:
    """Return what most of the time and the cost was spent on, and what would change it."""
    lists: list[Html] = []
    for of, title in TITLES.items():
        found = [reason for reason in scene.reasons if reason.of == of]
        entries = [
            html(
                "<li><b>{}</b> ({}) {}<small>→ {}</small></li>",
                amount(reason),
                f"{reason.share:.0%}",
                scene.named(reason.what, reason.steps),
                _with_code(reason.advice),
            )
            for reason in found
        ]
        if entries:
            lists.append(html("<div><h3>{}</h3><ol>{}</ol></div>", title.capitalize(), join(entries)))
    if not lists:
        return EMPTY
    return html('<section id="why"><h2>Why so long, why so much</h2><div class="why">{}</div></section>', join(lists))


def cost_part(scene: PageScene) -> Html:
    """Return what agents and models used."""
    costs = scene.result.costs
    if not costs.run.calls:
        return EMPTY
    rows = [_used("all", costs.run, costs.run)]
    rows += [_used(f"agent {name}", used, costs.run) for name, used in _by_tokens(costs.agents)]
    rows += [_used(f"model {name}", used, costs.run) for name, used in _by_tokens(costs.models)]
    return html(
        '<section id="cost"><h2>Cost by agent and model</h2><div class="wide" role="region" aria-label="Cost" '
        'tabindex="0"><table class="figures"><thead><tr><th>Of</th><th>Calls</th><th>Input tokens</th>'
        "<th>from cache</th><th>Output tokens</th><th>USD</th><th>Share</th></tr></thead><tbody>{}</tbody></table>"
        "</div></section>",
        join(rows),
    )


def _by_tokens(used: dict[str, Usage]) -> list[tuple[str, Usage]]:
    return sorted(used.items(), key=lambda item: (-(item[1].cost or 0.0), -item[1].tokens, item[0]))


def _used(name: str, used: Usage, whole: Usage) -> Html:
    of, part = (whole.cost, used.cost) if whole.cost else (whole.tokens, used.tokens)
    share = (part or 0) / of if of else 0.0
    return html(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        '<td><meter min="0" max="1" value="{}" aria-label="{}"></meter> {}</td></tr>',
        name,
        f"{used.calls:,}",
        f"{used.input_tokens:,}",
        f"{used.cached_tokens:,}",
        f"{used.output_tokens:,}",
        "unknown" if used.cost is None else f"{used.cost:,.4f}",
        f"{share:.4f}",
        f"share of {name}",
        f"{share:.0%}",
    )


def parallel_part(scene: PageScene) -> Html:
    """Return the parallelism of a run in words, its flags first."""
    found = flags(scene.parallelism)
    lines = [line for line in paragraph(scene.parallelism) if not line.startswith("! ")]
    notes = html('<div class="note"><ul>{}</ul></div>', join(html("<li>{}</li>", flag) for flag in found))
    return html(
        '<section id="parallel"><h2>Parallelism</h2>{}<ul class="plain">{}</ul></section>',
        notes if found else EMPTY,
        join(html("<li>{}</li>", line) for line in lines),
    )
