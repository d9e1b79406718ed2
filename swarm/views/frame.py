"""One frame of the live view: the facts of a run as lines for a terminal of a given size.

    How much memory does each service need?                        1:05 · about 1:40 left
    default: qwen3 at 127.0.0.1:8000
    127.0.0.1:8000: 8 of 16 calls (rate limit: 8 in flight were accepted) · 2 retries
    340k of 5.0M tokens · $0.42 of $5 · 3 waiting for budget
    ████████████████████████▓▓▓▓▓▓▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░
    412 done · 3 failed · 64 running · 12 ready · 500 waiting

    ◆ study.3   writing              0 s   1.2k  … and the memory of the cache grows with it
      study.4   waiting for budget  12 s    310
      … and 41 more agents: 38 writing, 3 waiting for budget

`◆` marks the agents on the chain of steps that decides how long the run still takes. Nothing here
is wider or higher than the terminal, and everything that a model wrote is made safe before it is
cut.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest
from math import ceil

from swarm.record.steps import Status
from swarm.views.board import TAIL_CHARACTERS
from swarm.views.facts import TASK_SHOWN, EndpointUse, Moment, RunningAgent, calls_at
from swarm.views.paint import Line, Tone, Toned, cut_end, cut_line, cut_to, fitted, width_of
from swarm.views.words import clock, columns, counted, one_line, short, some

COLUMN = 62
"""Minimum columns of a cell if there are several next to each other."""
ENDPOINTS = 3
"""Maximum endpoints that get a line each."""
LEAST_WIDTH, LEAST_HEIGHT = 20, 4
"""The smallest terminal that is drawn on: a smaller one shows a part."""
TONES: dict[Status, Tone] = {
    Status.DONE: "good",
    Status.FAILED: "bad",
    Status.LIMITED: "bad",
    Status.CANCELLED: "bad",
    Status.SKIPPED: "warning",
    Status.RUNNING: "busy",
    Status.READY: "plain",
    Status.WAITING: "dim",
}
"""Tones of the states of steps."""
_BAR: dict[Status, str] = {
    Status.DONE: "█#",
    Status.FAILED: "▚x",
    Status.LIMITED: "▚x",
    Status.CANCELLED: "▚x",
    Status.SKIPPED: "▞/",
    Status.RUNNING: "▓=",
    Status.READY: "▒-",
    Status.WAITING: "░.",
}
"""Characters of the bar by state: in Unicode, and in ASCII."""
_MARKS = ("◆ ", "* ")
"""Mark of an agent on the critical chain: in Unicode, and in ASCII."""
_DOT = (" · ", " | ")


def frame(
    facts: Moment, width: int, height: int, *, ascii_only: bool = False, clean: Callable[[str], str] = str
) -> list[Line]:
    """Return the lines of a frame, at most `height` of at most `width` columns.

    `clean` removes secrets from what models wrote.
    """
    width, height = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)
    pen = _Pen(width, clean, ascii_only=ascii_only)
    head = [line for line in pen.head(facts) if line]
    bar = [pen.bar(facts), *pen.counts(facts)]
    room = height - len(bar) - len(head)
    # A terminal that is too low keeps the first line, the bar and the counts.
    while room < 3 and len(head) > 1:
        head.pop()
        room += 1
    cells = pen.cells(facts.agents, room - 1) if facts.agents and room > 1 else []
    body = [(), *cells] if cells else []
    return [cut_line(line, width) for line in [*head, *bar, *body][:height]]


class _Pen:
    """Writes the parts of a frame in a number of columns."""

    def __init__(self, width: int, clean: Callable[[str], str], *, ascii_only: bool) -> None:
        self._width = width
        self._clean = clean
        self._ascii = int(ascii_only)

    @property
    def _dot(self) -> Toned:
        return Toned(_DOT[self._ascii], "dim")

    # The header

    def head(self, facts: Moment) -> Iterator[Line]:
        """Yield what the run is, where it calls, and what it has used."""
        yield self._title(facts)
        yield from self._packed([Toned(one_line(model), "dim") for model in facts.models])
        yield from self._endpoints(facts)
        yield from self._packed([Toned(text) for text in facts.used] + self._troubles(facts))

    def _title(self, facts: Moment) -> Line:
        left = "" if facts.left is None else f", about {clock(facts.left)} left"
        if facts.left is None and facts.total > facts.over:
            left = ", time left unknown"
        end = Toned(f"  {clock(facts.t)}{left}", "strong")
        goal = one_line(facts.goal or facts.run, 4 * self._width)
        return Toned(fitted(goal, max(0, self._width - columns(end.text))), "strong"), end

    def _endpoints(self, facts: Moment) -> Iterator[Line]:
        for each in facts.endpoints[:ENDPOINTS]:
            yield (Toned(_calls(each), "plain" if not each.why else "warning"),)
        rest = facts.endpoints[ENDPOINTS:]
        if rest:
            used = sum(each.used or 0 for each in rest)
            yield (Toned(f"{counted(len(rest), 'more endpoint')}: {counted(used, 'call')}"),)

    def _troubles(self, facts: Moment) -> list[Toned]:
        found = [Toned(f"{counted(facts.repeated, 'call')} retried", "warning")] if facts.repeated else []
        found += [Toned(f"{count:,} {words}", "warning") for words, count in _grouped(facts.waiting).items()]
        if facts.limits:
            found.append(Toned(f"limit reached: {some(facts.limits, 3)}; only the report can still start", "warning"))
        return found

    def _packed(self, spans: Sequence[Toned]) -> Iterator[Line]:
        """Yield spans in as few lines as they fit, with dots between them."""
        line: list[Toned] = []
        for span in spans:
            if line and width_of(line) + columns(self._dot.text + span.text) > self._width:
                yield tuple(line)
                line = []
            line += [self._dot, span] if line else [span]
        if line:
            yield tuple(line)

    # The steps

    def bar(self, facts: Moment) -> Line:
        """Return the bar: each state has its share, in the order of states, and at least one column."""
        total, left, columns_left = facts.total, facts.total, self._width
        spans: list[Toned] = []
        for status, count in facts.counts.items():
            others = sum(1 for _ in facts.counts) - len(spans) - 1
            share = max(1, round(columns_left * count / left)) if left else 0
            share = min(share, max(0, columns_left - others))
            spans.append(Toned(_BAR[status][self._ascii] * share, TONES[status]))
            left, columns_left = left - count, columns_left - share
        return tuple(spans) if total else (Toned(_BAR[Status.WAITING][self._ascii] * self._width, "dim"),)

    def counts(self, facts: Moment) -> Iterator[Line]:
        """Yield the number of steps in each state."""
        return self._packed([Toned(f"{count:,} {status}", TONES[status]) for status, count in facts.counts.items()])

    # The agents

    def cells(self, agents: Sequence[RunningAgent], room: int) -> list[Line]:
        """Return a cell for each agent in `room` lines; the agents that do not fit are counted."""
        if 2 * len(agents) <= room:
            return list(chain.from_iterable(self._tall(agent, agents) for agent in agents))
        if len(agents) <= room:
            return [self._cell(agent, agents, self._width) for agent in agents]
        return self._columns(agents, room)

    def _columns(self, agents: Sequence[RunningAgent], room: int) -> list[Line]:
        """Return cells next to each other in `room` lines, and a line that counts the agents that do not fit."""
        across = max(1, min(self._width // COLUMN, ceil(len(agents) / room)))
        fits = across * room
        shown = agents if len(agents) <= fits else agents[: across * (room - 1)]
        wide = (self._width - 2 * (across - 1)) // across
        cells = [self._cell(agent, shown, wide) for agent in shown]
        high = ceil(len(cells) / across)
        rows = zip_longest(*(cells[n * high : (n + 1) * high] for n in range(across)), fillvalue=())
        lines = [_side_by_side(row, wide) for row in rows]
        return lines if len(shown) == len(agents) else [*lines, self._fold(agents[len(shown) :])]

    def _cell(self, agent: RunningAgent, shown: Sequence[RunningAgent], width: int) -> Line:
        line = self._facts_of(agent, shown)
        room = width - width_of(line) - 2
        words = self._words(agent, room) if room >= 8 else ""
        return (*line, Toned(f"  {words}", "dim")) if words else line

    def _words(self, agent: RunningAgent, room: int) -> str:
        """Return the end of what an agent's model wrote, before that the start of what it was asked.

        It is without secrets, safe to show, and cut, in that order.
        """
        if not agent.words:
            return cut_to(one_line(self._clean(agent.task), TASK_SHOWN), room)
        return cut_end(one_line(self._clean(agent.words), 4 * TAIL_CHARACTERS), room)

    def _tall(self, agent: RunningAgent, shown: Sequence[RunningAgent]) -> Iterator[Line]:
        """Yield a cell of two lines: the second has the last words."""
        yield self._facts_of(agent, shown)
        words = self._words(agent, self._width - 4)
        yield (Toned(f"    {words}", "dim"),) if words else (Toned(""),)

    def _facts_of(self, agent: RunningAgent, shown: Sequence[RunningAgent]) -> Line:
        name = min(max(columns(one_line(each.id)) for each in shown), self._width // 4)
        does = min(max(columns(each.doing) for each in shown), self._width // 4)
        mark = _MARKS[self._ascii] if agent.critical else "  "
        return (
            Toned(mark, "busy"),
            Toned(fitted(one_line(agent.id), name), "strong" if agent.critical else "plain"),
            Toned("  " + fitted(agent.doing, does), "warning" if agent.waits else "plain"),
            Toned(fitted(seconds_since(agent.quiet), 8, right=True), "dim"),
            Toned(fitted(short(agent.tokens), 6, right=True)),
        )

    def _fold(self, agents: Sequence[RunningAgent]) -> Line:
        """Return the line about agents without a cell."""
        doing = _grouped(Counter(agent.doing for agent in agents))
        most = sorted(doing.items(), key=lambda pair: -pair[1])
        longest = max(agents, key=lambda agent: agent.quiet)
        words = ", ".join(f"{count:,} {what}" for what, count in most[:4])
        text = f"  … and {counted(len(agents), 'more agent')}: {words}"
        quiet = f"; quiet longest: {one_line(longest.id, 40)}, {seconds_since(longest.quiet)}"
        text += quiet if columns(text + quiet) <= self._width else ""
        return (Toned(cut_to(text, self._width), "dim"),)


def seconds_since(value: float) -> str:
    """Return a duration in whole seconds: `0 s`, `41 s`, `2:05`."""
    return f"{int(value)} s" if value < 100 else clock(value)


def _calls(endpoint: EndpointUse) -> str:
    """Return the calls in flight at an endpoint: `host: 8 of 16 calls (rate limit)`."""
    why = f" ({one_line(endpoint.why, 120)})" if endpoint.why else ""
    return f"{one_line(endpoint.name, 60)}: {calls_at(endpoint)}{why}"


def _grouped(doing: "dict[str, int] | Counter[str]") -> dict[str, int]:
    """Return counts of what agents do, without the seconds of single ones."""
    found: Counter[str] = Counter()
    for words, count in doing.items():
        found[words.partition(" in ")[0]] += count
    return dict(found)


def _side_by_side(row: Sequence[Line], wide: int) -> Line:
    spans: list[Toned] = []
    for cell in row:
        if spans:
            spans.append(Toned("  "))
        kept = cut_line(cell, wide)
        spans += [*kept, Toned(" " * (wide - width_of(kept)))]
    return tuple(spans)
