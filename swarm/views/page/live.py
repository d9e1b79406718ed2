"""What the page of a running run shows of this moment: steps by state, endpoints, limits, and
each running agent.

A page that is served (`swarm run --web`) has this part above the others. Its script asks for this
part once per second, and for the whole page when something was recorded; without scripts the
browser loads the page again every few seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swarm.base.redaction import safe_text
from swarm.record.steps import Status
from swarm.views.board import TAIL_CHARACTERS
from swarm.views.facts import TASK_SHOWN, EndpointUse, Moment, RunningAgent, calls_at
from swarm.views.page.html import EMPTY, Html, html, join
from swarm.views.words import clock, counted, one_line, short

REFRESH_SECONDS = 5
"""Seconds after which a browser without scripts loads the page again."""
MOST_AGENTS = 200
"""Maximum running agents that have a row. The others are counted."""
WORDS_CHARACTERS = 160
"""Characters of the last words of an agent that are shown."""
_CLASSES = {Status.LIMITED: "failed", Status.CANCELLED: "failed"}


@dataclass(frozen=True)
class Now:
    """A run at the moment at which its page is served."""

    moment: Moment
    seq: int
    """Number of the last event: a page with another number is not up to date."""
    is_over: bool
    """Whether the run has ended: then nothing changes any more."""
    says: str = ""
    """Why nothing works at it, if nothing does."""


def now_part(now: Now, clean: Callable[[str], str] = str) -> Html:
    """Return the section of this moment. `clean` removes secrets from what models wrote."""
    moment = now.moment
    if now.is_over:
        return _section(now, html("<p>The run has ended. This page does not change any more.</p>"))
    if now.says:
        return _section(now, html("<p>{}</p>", now.says))
    return _section(
        now,
        join(
            (
                html('<p class="key">{}</p>', _time(moment)),
                _bar(moment),
                html('<p class="key">{}</p>', join(_counts(moment))),
                _lines(moment),
                _agents(moment, clean),
            )
        ),
    )


def _section(now: Now, inside: Html) -> Html:
    return html(
        '<section id="now" data-seq="{}" data-over="{}"><h2>Now</h2>{}</section>', now.seq, int(now.is_over), inside
    )


def _time(moment: Moment) -> str:
    left = "time left unknown" if moment.left is None else f"about {clock(moment.left)} left"
    return f"{clock(moment.t)} so far, {left}" if moment.total > moment.over else f"{clock(moment.t)} so far"


def _class(status: Status) -> str:
    return _CLASSES.get(status, status.value)


def _bar(moment: Moment) -> Html:
    """Return the bar: each state has its share, in the order of states."""
    pieces: list[Html] = []
    at = 0.0
    for status, count in moment.counts.items():
        wide = 1000 * count / moment.total
        pieces.append(
            html(
                '<g class="box {}"><rect x="{}" y="1" width="{}" height="12"/></g>',
                _class(status),
                f"{at:.1f}",
                f"{wide:.1f}",
            )
        )
        at += wide
    words = ", ".join(f"{count:,} {status}" for status, count in moment.counts.items())
    return html(
        '<svg class="progress" viewBox="0 0 1000 14" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        f"Steps: {words}",
        join(pieces),
    )


def _counts(moment: Moment) -> Iterator[Html]:
    for status, count in moment.counts.items():
        yield html('<b class="badge {}">{} {}</b>', status.value, f"{count:,}", status.value)


def _lines(moment: Moment) -> Html:
    """Return what is used of limits and endpoints, and what is waited for."""
    lines = [html("<li>{}</li>", " · ".join(moment.used))]
    lines += [html("<li>{}</li>", _endpoint(each)) for each in moment.endpoints]
    troubles = [f"{counted(moment.repeated, 'call')} retried"] if moment.repeated else []
    troubles += [f"{count:,} {words}" for words, count in moment.waiting.items()]
    troubles += [f"limit reached: {name}; only the report can still start" for name in moment.limits]
    lines += [html("<li>{}</li>", " · ".join(troubles))] if troubles else []
    return html('<ul class="plain">{}</ul>', join(lines))


def _endpoint(each: EndpointUse) -> str:
    calls, why = calls_at(each), f" ({one_line(each.why)})" if each.why else ""
    return f"{one_line(each.name)}: {calls}{why}" if calls else f"{one_line(each.name)}{why}"


def _agents(moment: Moment, clean: Callable[[str], str]) -> Html:
    if not moment.agents:
        return EMPTY
    more = len(moment.agents) - MOST_AGENTS
    rows = [_agent(agent, clean) for agent in moment.agents[:MOST_AGENTS]]
    return html(
        '<div class="wide tall" role="region" aria-label="Running agents" tabindex="0"><table class="steps"><thead><tr>'
        '<th>Agent</th><th>Does</th><th class="n">Quiet</th><th class="n">Tokens</th><th>Last words</th></tr></thead>'
        "<tbody>{}</tbody></table></div>{}",
        join(rows),
        html("<p>and {}</p>", counted(more, "more agent")) if more > 0 else EMPTY,
    )


def _agent(agent: RunningAgent, clean: Callable[[str], str]) -> Html:
    # Without secrets and safe to show first, then cut: a half of a secret is not found any more.
    words = " ".join(safe_text(clean(agent.words[-TAIL_CHARACTERS:])).split())
    if words:
        shown = html("{}", words if len(words) <= WORDS_CHARACTERS else f"…{words[-WORDS_CHARACTERS:]}")
    else:
        shown = html('<span class="key">{}</span>', one_line(clean(agent.task), TASK_SHOWN))
    return html(
        '<tr><td>{}{}</td><td class="{}">{}</td><td class="n">{}</td><td class="n">{}</td><td>{}</td></tr>',
        agent.id,
        html(' <span class="path" title="decides how long the run still takes">◆</span>') if agent.critical else EMPTY,
        "limited" if agent.waits else "running",
        agent.doing,
        f"{int(agent.quiet)} s",
        short(agent.tokens),
        shown,
    )
