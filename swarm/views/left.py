"""How long a run may still take, and which of its running steps decide that: an estimate from what it did so far.

A step is expected to take as long as similar steps did: the instances of the same step, else the
steps of the same agent, else what its plan says, else any step of the run. What is left is the
longer of two times: the longest chain of unfinished steps, and the work of all of them on the
workers that are busy now. O(steps + dependencies).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from swarm.record.state import State
from swarm.record.steps import Status, StepState

OVERDUE = 0.25
"""Share of its expected time that a step is expected to take once it has taken longer than that."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a run."""

    seconds: float | None = None
    """None if nothing is known of a step that is left."""
    critical: frozenset[str] = frozenset()
    """The longest chain of unfinished steps that begins with a running one."""


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, seconds: float) -> None:
        self.total += seconds
        self.count += 1


def left(state: State, now: float, workers: int) -> Left:
    """Return how long a run may still take at the time `now` of its clock, with `workers` in parallel."""
    open_steps = {s.id: s for s in state.steps.values() if not s.over}
    if state.finished is not None or not open_steps or not state.plans:
        return Left()
    seconds = _rests(state, open_steps.values(), now)
    if seconds is None:
        return Left()
    chains = _Chains(state, open_steps, seconds)
    running = [name for name, s in open_steps.items() if _runs(s)]
    busy = max(1, min(workers, len(running)) if state.counts[Status.READY] else workers)
    longest = max(chains.best.values())
    return Left(max(longest, sum(seconds.values()) / busy), frozenset(chains.longest(running or open_steps)))


def _rests(state: State, open_steps: Iterable[StepState], now: float) -> dict[str, float] | None:
    """Return how long each unfinished step still takes; None if nothing is known of one of them."""
    expected = _expectations(state)
    seconds: dict[str, float] = {}
    for s in open_steps:
        usual = 0.0 if s.kind == "stand_in" else expected(s)
        if usual is None:
            return None
        seconds[s.id] = _rest(s, usual, now)
    return seconds


def _runs(s: StepState) -> bool:
    return bool(s.spans) and s.spans[-1].end is None


def _expectations(state: State) -> Callable[[StepState], float | None]:
    """Return what a step is expected to take, by those that have ended."""
    means: dict[str, _Mean] = {}
    for s in state.steps.values():
        if s.outcome.cached or not s.spans or s.spans[-1].end is None or s.kind == "planner":
            continue
        took = s.spans[-1].end - s.spans[-1].start
        for key in _keys(s):
            means.setdefault(key, _Mean()).add(took)

    def usual(s: StepState) -> float | None:
        for key in _keys(s):
            if key == "" and s.step.seconds is not None:
                return s.step.seconds
            if key in means:
                return means[key].total / means[key].count
        return None

    return usual


def _keys(s: StepState) -> Iterator[str]:
    """Yield what steps that take equally long have in common, the most similar ones first."""
    if s.step.instance_of is not None:
        yield f"instance {s.step.instance_of}"
    yield f"agent {s.step.agent}"
    yield ""


def _rest(s: StepState, usual: float, now: float) -> float:
    if not _runs(s):
        return usual
    return max(usual - (now - s.spans[-1].start), OVERDUE * usual)


class _Chains:
    """The chain of unfinished steps after each of them that takes longest."""

    def __init__(self, state: State, open_steps: Mapping[str, StepState], seconds: Mapping[str, float]) -> None:
        self.best: dict[str, float] = {}
        """Seconds of the chain that begins with a step."""
        self._after: dict[str, str | None] = {}
        opened: set[str] = set()
        stack = [*open_steps][::-1]
        while stack:
            step = stack[-1]
            later = list(_later(state.steps[step], open_steps))
            if step not in opened:
                opened.add(step)
                stack += [other for other in later if other not in opened]
                continue
            stack.pop()
            known = [other for other in later if other in self.best]
            follow = self._after[step] = max(known, key=self.best.__getitem__, default=None)
            self.best[step] = seconds[step] + (0.0 if follow is None else self.best[follow])

    def longest(self, names: Iterable[str]) -> list[str]:
        """Return the longest chain that begins with one of some steps."""
        chain: list[str] = []
        name = max(names, key=self.best.__getitem__, default=None)
        while name is not None and name not in chain:
            chain.append(name)
            name = self._after[name]
        return chain


def _later(s: StepState, open_steps: Mapping[str, StepState]) -> Iterator[str]:
    """Yield the unfinished steps that wait for a step: its readers, and those of the step that it is a part of."""
    yield from (name for name in s.waiters if name in open_steps)
    if s.by in open_steps:
        yield s.by
