"""Two runs side by side: which steps were added, are gone, or were determined by something else; what each took.

A step is the same in both where all that determines its output is (`StepStarted.parts`): then a cache would have given
the one for the other. What did not run has no parts; such a step differs where its status does.
"""

from typing import Literal

from swarm.base.values import Frozen, Id
from swarm.record.cache import differing
from swarm.record.state import State, StepState
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
    """US dollars. None where the price is not known."""


class StepPair(Frozen):
    """A step in the two runs."""

    step: Id
    change: Change
    differs: tuple[str, ...] = ()
    """Parts of what determines its output that differ: `prompt`, `given`, `model` …; `status` where that is all."""
    before: Side | None
    after: Side | None


class RunPair(Frozen):
    """Two runs."""

    runs: tuple[str, str]
    """Their ids."""
    before: Side
    after: Side
    work_seconds: tuple[float, float]
    """All attempts added up, of each."""
    critical_path_seconds: tuple[float, float]
    steps: tuple[StepPair, ...]
    """Those of the first in plan order, then those that only the second has."""

    @property
    def counts(self) -> dict[Change, int]:
        """How many steps were added, are gone, changed, or are the same."""
        found: dict[Change, int] = {"added": 0, "gone": 0, "changed": 0, "same": 0}
        for pair in self.steps:
            found[pair.change] += 1
        return found


def compare(before: State, after: State) -> RunPair:
    """Put two runs side by side. Either may still be going on."""
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
        finished = state.finished
        run = self._costs.run
        tokens = run.input_tokens + run.output_tokens
        self.side = Side(
            status="not over" if finished is None else finished.status, seconds=state.t, tokens=tokens, usd=run.usd
        )

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
    if before is None or after is None:
        change = "added" if before is None else "gone"
    else:
        differs = differing(before.parts, after.parts) if before.parts and after.parts else ()
        differs = differs or (("status",) if before.status is not after.status else ())
        change = "changed" if differs else "same"
    return StepPair(step=name, change=change, differs=differs, before=one.side_of(name), after=other.side_of(name))
