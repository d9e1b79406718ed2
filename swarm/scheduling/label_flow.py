"""The labels that a step of a run carries: those of all it reads, and of all that wrote what it is told.

A step reads inputs, results of tools and the outputs of other steps; where one of those gave nothing it reads why, and
what that step would have read. Its prompt, its id and its item were written by the step it was spawned by; its role's
instructions, where a plan brought them, by that plan's step. A planner is told the names of the steps and roles there
are, which are words of the planners before it. All of this carries the labels of who wrote it.
"""

from collections.abc import Callable, Iterable, Iterator

from swarm.record.state import State, Status, StepState
from swarm.spec.plan import PLAN_STEP, before_of

_Seen = tuple[str, bool]
"""A step, and whether what it spawned is read too."""


class LabelFlow:
    """Labels of the steps of a run. What a step carried when an attempt at it was made is kept."""

    def __init__(self, state: State, own: Callable[[StepState], Iterable[str]], every: Iterable[str]) -> None:
        """`own` returns the labels of the inputs and tools of a step itself; `every` is all labels of the run."""
        self._state = state
        self._own = own
        self._every = frozenset(every)
        self._kept: dict[str, frozenset[str]] = {}
        self._makers: dict[str, list[str]] = {}
        self._makers_at = (0, 0)

    def of(self, s: StepState) -> tuple[str, ...]:
        """Name the labels of what an attempt at a step would read now, sorted."""
        found = self._collect((s.id, False), again=True)
        self._kept[s.id] = found
        return tuple(sorted(found))

    def output_of(self, s: StepState) -> tuple[str, ...]:
        """Name the labels of what a step and all it spawned give, sorted.

        A step that neither plans nor runs over a list passes its own output only; its readers carry the labels of what
        it spawned as well, which is never too little.
        """
        return tuple(sorted(self._collect((s.id, True))))

    def _collect(self, first: _Seen, *, again: bool = False) -> frozenset[str]:
        if not self._every:
            return frozenset()
        steps = self._state.steps
        found: set[str] = set()
        seen: set[_Seen] = set()
        todo = [first]
        while todo and len(found) < len(self._every):
            now = todo.pop()
            name, spawned = now
            if now in seen or name not in steps:
                continue
            seen.add(now)
            s = steps[name]
            if spawned:
                todo += [(child, True) for child in s.children]
            if name in self._kept and not (again and name == first[0]):
                found |= self._kept[name]
                continue
            found.update(self._own(s))
            todo += self._sources(s, found)
        return frozenset(found)

    def _sources(self, s: StepState, found: set[str]) -> Iterator[_Seen]:
        """Name what wrote anything that a step is told; labels of writers that are gone are added to `found`."""
        state = self._state
        yield from ((before, True) for before in before_of(s.step))
        yield s.by, False
        started = state.started
        given = {agent.name for agent in started.agents} if started is not None else set[str]()
        plans = s.kind == "planner" and s.id != PLAN_STEP
        for name in (set(state.agents) if plans else {s.step.agent}) - given:
            makers = self._made().get(name, ())
            if not makers:
                found |= self._every
            yield from ((maker, False) for maker in makers)
        if plans:
            yield from ((other.id, False) for other in state.steps.values() if _was_before(other, s))

    def _made(self) -> dict[str, list[str]]:
        """Name, by role, the steps whose plans brought it: worked out anew when there is another plan."""
        now = (self._state.plans, self._state.resumed)
        if now != self._makers_at:
            self._makers_at, self._makers = now, {}
            for s in self._state.steps.values():
                for agent in s.outcome.agents:
                    self._makers.setdefault(agent.name, []).append(s.id)
        return self._makers


def _was_before(other: StepState, s: StepState) -> bool:
    """Whether another planner had named steps when this one was told which there are."""
    if other.id == s.id or other.step.each is not None or not other.children or other.status is not Status.DONE:
        return False
    if s.status is not Status.DONE or not s.spans or not other.spans or other.spans[-1].end is None:
        return True
    return other.spans[-1].end <= s.spans[-1].start
