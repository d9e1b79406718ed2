"""Runs, results and plans in a notebook: HTML that updates in place, without scripts, addresses or unescaped texts."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol
from uuid import uuid4

from swarm.base.errors import SwarmError
from swarm.base.text import clip
from swarm.forecast.widths import Widths
from swarm.record.folder import RunFolder
from swarm.record.recorded import recorded
from swarm.record.signals import Signals
from swarm.record.state import State
from swarm.record.steps import Status
from swarm.results.result import Result
from swarm.spec.plan import Plan, before_of
from swarm.views.board import TAIL_CHARACTERS, Board
from swarm.views.drawn import FILLS, curve, esc
from swarm.views.facts import TASK_SHOWN, FactFinder, Moment, RunningAgent, calls_at
from swarm.views.frame import seconds_since
from swarm.views.page.embedded import plan_part, result_parts
from swarm.views.progress import summary
from swarm.views.words import clock, counted, one_line, seconds, short

EVERY_SECONDS = 0.25
"""Seconds between two updates of a cell."""
MOST_AGENTS = 12
"""Maximum running agents that a cell shows; the others are counted."""
REPORT_CHARACTERS = 100_000
"""Maximum characters of the report of a run whose folder was removed."""
PROMPT_CHARACTERS = 160
"""Maximum characters of a prompt in the table of a plan."""
_TABLE = '<table style="border-collapse:collapse;font-size:90%">'
_SHARE = "display:inline-block;height:10px"
_CELL = 'style="padding:2px 8px;text-align:left;vertical-align:top"'


class Watched(Protocol):
    """A run that a cell shows."""

    signals: Signals
    prepared: Any

    @property
    def state(self) -> State:
        """State of the run."""
        ...

    @property
    def seconds(self) -> float:
        """Seconds of the run so far."""
        ...

    def progress(self, every: float = ...) -> AsyncIterator[State]:
        """Yield the state again and again."""
        ...


def bundle(value: object) -> dict[str, str]:
    """Return a value as text and as HTML: a result, a plan, a state, or a run."""
    return {"text/plain": repr(value), "text/html": _html_of(value)}


def _html_of(value: object) -> str:
    if isinstance(value, Result):
        shown = cell()
        return _headline_only(value) if shown is not None and shown.has_shown(value) else result_html(value)
    if isinstance(value, Plan):
        return plan_html(value)
    if isinstance(value, Widths):
        return widths_html(value)
    state = value if isinstance(value, State) else getattr(value, "state", None)
    if not isinstance(state, State):
        return f"<pre>{esc(repr(value))}</pre>"
    now = getattr(value, "seconds", state.t) if state.started is not None else 0.0
    return state_html(state, float(now), Board(lambda: state.t))


# A run while it works


def state_html(state: State, now: float, board: Board, clean: Callable[[str], str] = str) -> str:
    """Return a run at the time `now` of its clock. `clean` removes secrets from what models wrote."""
    return moment_html(FactFinder(board).facts(state, now), clean)


def moment_html(found: Moment, clean: Callable[[str], str] = str) -> str:
    """Return the facts of a run."""
    left = "" if found.left is None else f", about {clock(found.left)} left"
    lines = [f"<b>{esc(one_line(found.goal or found.run))}</b> &nbsp; {clock(found.t)}{left}"]
    about = [*found.used, *(f"{one_line(each.name, 60)}: {calls_at(each)}" for each in found.endpoints)]
    about += [f"{counted(found.repeated, 'call')} retried"] if found.repeated else []
    about += [f"{count:,} {words}" for words, count in found.waiting.items()]
    lines.append(f'<span style="opacity:.75">{esc(" · ".join(about))}</span>')
    lines.append(_bar(found.counts))
    head = "<br>".join(lines)
    rows = [_agent_row(agent, clean) for agent in found.agents[:MOST_AGENTS]]
    more = len(found.agents) - len(rows)
    rows += [f"<tr><td {_CELL} colspan=5>and {counted(more, 'more agent')}</td></tr>"] if more > 0 else []
    return f"<div>{head}{_TABLE}{''.join(rows)}</table></div>" if rows else f"<div>{head}</div>"


def _agent_row(agent: RunningAgent, clean: Callable[[str], str]) -> str:
    words = one_line(clean(agent.words), TAIL_CHARACTERS)[-120:] or one_line(clean(agent.task), TASK_SHOWN)
    cells = (
        ("◆ " if agent.critical else "") + one_line(agent.id, 60),
        agent.doing,
        seconds_since(agent.quiet),
        short(agent.tokens),
        words,
    )
    return f"<tr>{''.join(f'<td {_CELL}>{esc(each)}</td>' for each in cells)}</tr>"


def _bar(counts: dict[Status, int]) -> str:
    total = sum(counts.values()) or 1
    parts = [
        f'<span style="{_SHARE};width:{100 * count / total:.2f}%;background:{FILLS[status]}"></span>'
        for status, count in counts.items()
    ]
    words = " · ".join(f"{count:,} {status}" for status, count in counts.items())
    return f'<div style="width:100%;max-width:720px;line-height:0">{"".join(parts)}</div>{esc(words)}'


# A run that has ended


def result_html(result: Result) -> str:
    """Return a result: how the run ended, its report, its graph, and its attempts over time."""
    try:
        found = recorded(RunFolder(result.folder))
    except SwarmError:  # the folder was removed
        return f"<div>{_pre(repr(result))}<b>Report</b>{_pre(result.text[:REPORT_CHARACTERS])}</div>"
    return f"<div>{_pre(summary(found.state, result.parallelism))}{result_parts(found, result)}</div>"


def _pre(text: str) -> str:
    return f'<pre style="white-space:pre-wrap">{esc(text)}</pre>'


def _headline_only(result: Result) -> str:
    return f"<div>{esc(repr(result))}</div>"


def plan_html(plan: Plan) -> str:
    """Return a plan: its graph, and a table of its steps."""
    rows = [("step", "agent", "after", "prompt")]
    rows += [(s.id, s.agent, ", ".join(before_of(s)), clip(s.prompt, PROMPT_CHARACTERS)) for s in plan.steps]
    try:
        drawn = plan_part(plan)
    except SwarmError:  # a plan that is invalid has a table, but no graph
        drawn = ""
    return f"<div>{drawn}{_table(rows)}</div>"


def widths_html(found: Widths) -> str:
    """Return the seconds of a plan or a run by worker count, as a curve and as a table."""
    counts = [(float(each.workers), each) for each in found.widths if each.workers != "unlimited"]
    drawn = curve([(n, each.seconds) for n, each in counts], [(n, each.bound_seconds) for n, each in counts])
    rows = [("workers", "time", "at most (Graham's bound)", "speed-up")]
    rows += [
        (f"{each.workers}", seconds(each.seconds), seconds(each.bound_seconds), f"{each.speedup:.1f}×")
        for each in found.widths
    ]
    return f"<div>{drawn if counts else ''}{_table(rows)}</div>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ["".join(f"<td {_CELL}>{esc(one_line(each))}</td>" for each in row) for row in rows]
    return f"{_TABLE}<thead><tr><b>{head}</b></tr></thead>{''.join(f'<tr>{row}</tr>' for row in body)}</table>"


# The cell that runs


class NotebookCell:
    """The output of the notebook cell that runs, which shows one run."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._name = uuid4().hex
        self._is_shown = False
        self._last = ""

    async def follow(self, run: Watched) -> None:
        """Show a run until it ends. An error in the view ends the view, never the run."""
        board = Board(lambda: run.seconds)
        finder = FactFinder(board)
        clean = run.prepared.redactor.clean
        with run.signals.listen(board.hear):
            async for state in run.progress(EVERY_SECONDS):
                if not self._put(lambda state=state: moment_html(finder.facts(state, run.seconds), clean)):
                    return

    def end(self, result: Result) -> None:
        """Show the result in place of the run."""
        if self._put(lambda: result_html(result), repr(result)):
            self._shell.swarm_shown = self._mark(result)

    def has_shown(self, result: Result) -> bool:
        """Return whether this execution of the cell has shown a result already."""
        return getattr(self._shell, "swarm_shown", None) == self._mark(result)

    def _mark(self, result: Result) -> tuple[str, int]:
        return result.run, int(self._shell.execution_count)

    def _put(self, made: Callable[[], str], text: str = "a run of swarm") -> bool:
        """Show HTML in the cell, if it changed. Return whether that is possible."""
        try:
            html = made()
            if html != self._last:
                data, place = {"text/plain": text, "text/html": html}, {"display_id": self._name}
                self._shell.display_pub.publish(data, transient=place, update=self._is_shown)
                self._is_shown, self._last = True, html
        except Exception:  # noqa: BLE001 - a view must not end a run that is paid for
            return False
        return True


def cell() -> NotebookCell | None:
    """Return the output of the cell that runs; None outside of a notebook kernel."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return None if shell is None or getattr(shell, "kernel", None) is None else NotebookCell(shell)
