"""A comparison of two runs: steps that were added, removed or changed, and the duration and usage of each.

A step is the same in both runs if everything that determines its output is the same
(`StepStarted.parts`): a cache would have returned the one for the other. A step that did not run
has no parts. Such a step is changed if its status is different.
"""

from typing import Literal

from swarm.base.values import Frozen, Id
from swarm.record.cache import differing
from swarm.record.state import State
from swarm.record.steps import StepState
from swarm.results.measure import cost
from swarm.results.timeline import Timeline
from swarm.spec.chat import Usage

Change = Literal["added", "gone", "changed", "same"]


class Side(Frozen):
    """One run, or a step in one run."""

    status: str
    seconds: float
    tokens: int
    usd: float | None = None
    """US dollars. None if the price is unknown."""


class StepPair(Frozen):
    """A step in both runs."""

    step: Id
    change: Change
    differs: tuple[str, ...] = ()
    """Parts that determine its output and are different: `prompt`, `given`, `model` …; `status` if
    only that is."""
    before: Side | None
    after: Side | None


class RunPair(Frozen):
    """Two runs."""

    runs: tuple[str, str]
    """Their ids."""
    before: Side
    after: Side
    work_seconds: tuple[float, float]
    """Seconds of all attempts, of each run."""
    critical_path_seconds: tuple[float, float]
    steps: tuple[StepPair, ...]
    """Steps of the first run in plan order, then steps that only the second run has."""

    @property
    def counts(self) -> dict[Change, int]:
        """Number of steps by change."""
        found: dict[Change, int] = {"added": 0, "gone": 0, "changed": 0, "same": 0}
        for pair in self.steps:
            found[pair.change] += 1
        return found


def compare(before: State, after: State) -> RunPair:
    """Compare two runs. Either may still be running."""
    one, other = _Run(before), _Run(after)
    names = dict.fromkeys((*one.steps, *other.steps))
    return RunPair(
        runs=(before.run, after.run),
        before=one.side,
        after=other.side,
        work_seconds=(one.timeline.work, other.timeline.work),
        critical_path_seconds=(one.path_seconds, other.path_seconds),
        steps=tuple(_pair(name, one, other) for name in names),
    )


class _Run:
    def __init__(self, state: State) -> None:
        self.timeline = Timeline(state)
        self.steps: dict[str, StepState] = {s.id: s for s in self.timeline.steps}
        self._costs = cost(state)
        run = self._costs.run
        status = "not over" if state.finished is None else state.finished.status
        self.side = Side(status=status, seconds=state.t, tokens=run.tokens, usd=run.usd)

    @property
    def path_seconds(self) -> float:
        return self.timeline.longest(self.timeline.seconds).seconds

    def side_of(self, name: str) -> Side | None:
        s = self.steps.get(name)
        if s is None:
            return None
        spent = self._costs.steps.get(name, Usage())
        seconds = self.timeline.seconds[name]
        return Side(status=s.status.value, seconds=seconds, tokens=s.usage.tokens, usd=spent.usd)


def _pair(name: str, one: _Run, other: _Run) -> StepPair:
    before, after = one.steps.get(name), other.steps.get(name)
    change: Change = "same"
    differs: tuple[str, ...] = ()
    if before is None:
        change = "added"
    elif after is None:
        change = "gone"
    else:
        differs = _differing(before, after)
        change = "changed" if differs else "same"
    sides = one.side_of(name), other.side_of(name)
    return StepPair(step=name, change=change, differs=differs, before=sides[0], after=sides[1])


def _differing(before: StepState, after: StepState) -> tuple[str, ...]:
    # Journals of earlier versions lack some parts: what one of them does not say is no difference.
    known = before.parts.keys() & after.parts.keys()
    parts = tuple(name for name in differing(before.parts, after.parts) if name in known)
    if not parts and before.status is not after.status:
        return ("status",)
    return parts
