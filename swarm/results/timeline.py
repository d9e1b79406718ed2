"""The timeline of a run: the duration of each step, what waited for what, and how many ran in parallel.

All figures come from a `State`, of a finished run or of one that is still running. Only real steps
count: a step that was replaced by its instances took no time of its own. The seconds of a step are
those of its attempts without the waits in them: its calls and its tools. Pauses between them are
waiting, too.

A step waits until the steps before it are settled, with all they spawned. So every step has two
points in time,

    start(x)    ≥ settled(b) for each b that x waits for, and ≥ the end of the step that spawned x
    settled(x)  ≥ start(x) + seconds(x), and ≥ settled(c) for each c that x spawned

and the longest way through them is the critical path. Computing it is linear in the number of steps
and needs; edges between real steps would be a product of groups. There are two exceptions. A
skipped step waits only for the first failure among its needs. And if a step was ready before
another one was settled, it did not wait for it: the other one had been given up.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from swarm.planning.graph import CriticalPath, topological_order
from swarm.record.state import State
from swarm.record.steps import Span, Status, StepState
from swarm.spec.plan import REDUCER, before_of


@dataclass(frozen=True)
class Concurrency:
    """The number of attempts that ran in parallel."""

    peak: int = 0
    """Maximum number."""
    busy_seconds: float = 0.0
    """Seconds during which at least one attempt was running."""
    attempt_seconds: float = 0.0
    """Seconds of all attempts, summed."""

    @property
    def mean(self) -> float:
        """Average number while at least one attempt was running."""
        return self.attempt_seconds / self.busy_seconds if self.busy_seconds > 0 else float(self.peak)


class _Point(NamedTuple):
    """A point in time on the longest way to it."""

    at: float = 0.0
    last: str = ""
    """The last step on that way that took any time."""


_ZERO = _Point()


class Timeline:
    """The steps of a run on its clock, in their present state."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.steps: tuple[StepState, ...] = tuple(state.real_steps())
        """Real steps, in plan order."""
        self.seconds: dict[str, float] = {s.id: self._seconds(s) for s in self.steps}
        """Seconds of all attempts of each step, without waiting."""
        self.main: frozenset[str] = frozenset(s.id for s in self.steps if self._is_main(s))
        """Steps of the orchestrator: those that plan, those that reduce, and the one that makes the
        report."""
        self._before = {name: before_of(s.step) for name, s in state.steps.items()}
        self._order = _ordered(state, self._before)
        self._settled_at = self._when_settled()
        self._waited = {name: self._waited_for(state.steps[name]) for name, settling in self._order if not settling}

    @property
    def sub(self) -> tuple[StepState, ...]:
        """Steps of sub-agents that were started and did not come from the cache, in plan order."""
        return tuple(s for s in self.steps if s.spans and not s.outcome.cached and s.id not in self.main)

    @property
    def work(self) -> float:
        """Seconds of all attempts, without waiting."""
        return sum(self.seconds.values(), 0.0)

    def spans(self, s: StepState) -> tuple[tuple[float, float], ...]:
        """Return start and end of each attempt at a step. A cache hit is not an attempt."""
        paid = s.spans[:-1] if s.outcome.cached else s.spans
        return tuple((span.start, max(span.start, self.end_of(span))) for span in paid)

    def ends(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Return the time at which each step would end with a worker for every step."""
        return {name: point.at for name, (_, point) in self._walk(seconds).items()}

    def longest(self, seconds: Mapping[str, float]) -> CriticalPath:
        """Return the chain of steps that takes longest, without steps that take no time."""
        walked = self._walk(seconds)
        end = max((point for _, point in walked.values()), key=lambda point: point.at, default=_ZERO)
        path: list[str] = []
        name = end.last
        while name:
            path.append(name)
            name = walked[name][0].last
        return CriticalPath(tuple(reversed(path)), end.at)

    def stages(self) -> dict[str, int]:
        """Return the stage of each real step: the length of the longest chain that ends with it."""
        ends = self.ends(dict.fromkeys(self.seconds, 1.0))
        return {s.id: round(ends.get(s.id, 1.0)) for s in self.steps}

    def depths(self) -> dict[str, int]:
        """Return the length of the longest chain of steps that ends with each real step, as the plan has it.

        Unlike a stage, it does not depend on what has run: a step that still waits has one, too.
        """
        own: dict[str, int] = {}
        settled: dict[str, int] = {}
        real = self.seconds.keys()
        for name, settling in self._order:
            s = self.state.steps[name]
            if settling:
                settled[name] = max((own[name], *(settled[child] for child in s.children)))
            else:
                start = max((own.get(s.by, 0), *(settled.get(before, 0) for before in self._before[name])))
                own[name] = start + (name in real)
        return {name: depth for name, depth in own.items() if name in real}

    def waited_for(self, step: str) -> tuple[str, ...]:
        """Return the steps that a step waited for until they were settled."""
        return self._waited.get(step, ())

    def settled_at(self, step: str) -> float:
        """Return the time at which a step and all it spawned had ended; of one that has not, the present."""
        return self._settled_at.get(step, self.state.t)

    def all_spans(self, names: Collection[str] | None = None) -> list[tuple[float, float]]:
        """Return start and end of each attempt at some steps, or at all."""
        steps = (s for s in self.steps if names is None or s.id in names)
        return list(chain.from_iterable(map(self.spans, steps)))

    def width(self, names: Collection[str] | None = None) -> Concurrency:
        """Return how many attempts ran in parallel, at some steps or at all, in O(n log n)."""
        spans = self.all_spans(names)
        running = 0
        peak = 1 if spans else 0
        busy, before = 0.0, 0.0
        for at, change in _turns(spans):
            if running:
                busy += at - before
            running += change
            peak, before = max(peak, running), at
        return Concurrency(peak, busy, sum((end - start for start, end in spans), 0.0))

    def end_of(self, span: Span) -> float:
        """Return the end of an attempt; of one that is running, the present."""
        return self.state.t if span.end is None else span.end

    def _seconds(self, s: StepState) -> float:
        return max(0.0, self.unwaited(s) - self.idle(s))

    def unwaited(self, s: StepState) -> float:
        """Return the seconds of a step's attempts without those in which they waited."""
        whole = sum((end - start for start, end in self.spans(s)), 0.0)
        return max(0.0, whole - sum(s.waited.values()))

    def idle(self, s: StepState) -> float:
        """Return those of these seconds that are neither of an answered call nor of a tool.

        They are 0 for a step whose calls were not recorded: one without calls, or of an earlier journal.
        """
        if not s.calls or s.turns > len(s.calls):
            return 0.0
        return max(0.0, self.unwaited(s) - sum(call.seconds for call in s.calls) - s.tool_seconds)

    def _is_main(self, s: StepState) -> bool:
        agent = self.state.agents.get(s.step.agent)
        reports = s.step.agent == REDUCER or (agent is not None and agent.output == "report")
        return s.kind == "planner" or reports or s.id == self.state.report_step

    def _when_settled(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, settling in self._order:
            s = self.state.steps[name]
            if not settling:
                continue
            if s.status is Status.SKIPPED:
                own = min((found[bad] for bad in self._bad(s) if bad in found), default=0.0)
            else:
                own = self.end_of(s.spans[-1]) if s.spans else s.ready_at
            found[name] = max((own, *(found.get(child, 0.0) for child in s.children)))
        return found

    def _bad(self, s: StepState) -> Iterator[str]:
        """Yield the steps that may be the reason why a step was skipped."""
        for name in self._before[s.id]:
            if name not in s.step.after and not self.state.steps[name].good:
                yield name

    def _waited_for(self, s: StepState) -> tuple[str, ...]:
        """Return the steps that a step waited for until they were settled."""
        if s.status is Status.SKIPPED:
            return tuple(self._bad(s))
        return tuple(name for name in self._before[s.id] if self._settled_at[name] <= s.ready_at)

    def _walk(self, seconds: Mapping[str, float]) -> dict[str, tuple[_Point, _Point]]:
        """Return the start and the end of each step on the longest way to it."""
        points: dict[str, tuple[_Point, _Point]] = {}
        settled: dict[str, _Point] = {}
        steps = self.state.steps
        for name, settling in self._order:
            s = steps[name]
            if settling:
                latest = points[name][1]
                for child in s.children:
                    latest = settled[child] if settled[child].at > latest.at else latest
                settled[name] = latest
                continue
            start = self._start(s, points, settled)
            took = seconds.get(name, 0.0)
            points[name] = start, (_Point(start.at + took, name) if took > 0 else start)
        return points

    def _start(
        self, s: StepState, points: Mapping[str, tuple[_Point, _Point]], settled: Mapping[str, _Point]
    ) -> _Point:
        waited = self._waited[s.id]
        if s.status is Status.SKIPPED:
            return min((settled[name] for name in waited), key=lambda point: point.at, default=_ZERO)
        start = points[s.by][1] if s.by in points else _ZERO
        for name in waited:
            start = settled[name] if settled[name].at > start.at else start
        return start


def _turns(spans: list[tuple[float, float]]) -> list[tuple[float, int]]:
    """Return the times at which an attempt starts (1) or ends (-1), sorted.

    At equal times ends come first: an attempt that ends makes room for one that starts.
    """
    timed = [(start, end) for start, end in spans if end > start]
    starts = [(start, 1) for start, _ in timed]
    ends = [(end, -1) for _, end in timed]
    return sorted(starts + ends)


def _ordered(state: State, before: Mapping[str, tuple[str, ...]]) -> list[tuple[str, bool]]:
    """Return the starts (False) and settlings (True) of all steps in topological order.

    Steps in a cycle are left out: they never ran.
    """
    steps = state.steps
    waits: dict[tuple[str, bool], int] = {}
    for name, s in steps.items():
        waits[name, False] = len(before[name]) + (s.by in steps)
        waits[name, True] = 1 + len(s.children)

    def followers(point: tuple[str, bool]) -> list[tuple[str, bool]]:
        name, is_settling = point
        s = steps[name]
        if not is_settling:
            return [*((child, False) for child in s.children), (name, True)]
        parent = [(s.by, True)] if s.by in steps else []
        return [*((waiter, False) for waiter in s.waiters), *parent]

    return topological_order(waits, followers)
