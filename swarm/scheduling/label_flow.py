"""The labels of a step: those of everything it reads, and of the steps that wrote its instructions.

1. A step reads inputs, results of tools and the outputs of other steps. If one of these steps has
   no output, it reads the reason, and what that step would have read.
2. Its prompt, its id and its item were written by the step that spawned it.
3. If a plan brought its role, the planner of that plan wrote the instructions of the role.
4. A later planner receives the names of the existing steps and roles, which the planners before it
   wrote.

Everything that a step wrote has the labels of that step.
"""

from collections.abc import Callable, Iterable, Iterator

from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.spec.plan import PLAN_STEP, before_of

_Seen = tuple[str, bool]
"""A step, and whether the steps that it spawned are read, too."""


class LabelFlow:
    """The labels of the steps of a run. Those of an attempt are kept from when it was made."""

    def __init__(self, state: State, own: Callable[[StepState], Iterable[str]], every: Iterable[str]) -> None:
        """`own` returns the labels of a step's inputs and tools; `every` is all labels of the run."""
        self._state = state
        self._own = own
        self._every = frozenset(every)
        self._kept: dict[str, frozenset[str]] = {}
        self._makers: dict[str, list[str]] = {}
        self._makers_at = (0, 0)

    def of(self, s: StepState) -> tuple[str, ...]:
        """Return the labels of an attempt at a step that is made now, sorted."""
        found = self._collect((s.id, False), again=True)
        self._kept[s.id] = found
        return tuple(sorted(found))

    def would_have(self, s: StepState) -> tuple[str, ...]:
        """Return the labels of a step that need not be in the graph, sorted. Nothing is kept."""
        if not self._every:
            return ()
        found = set(self._own(s))
        for source in list(self._sources(s, found)):
            found |= self._collect(source)
        return tuple(sorted(found))

    def output_of(self, s: StepState) -> tuple[str, ...]:
        """Return the labels of the outputs of a step and of every step that it spawned, sorted.

        A plain step passes its own output only. Its readers have the labels of the steps that it
        spawned as well: that may be too many labels, but never too few.
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
        """Yield the writers of what a step reads. A removed writer adds every label to `found`."""
        # 1 and 2: the steps before it, and the step that spawned it.
        yield from ((before, True) for before in before_of(s.step))
        yield self._writer_of(s), False
        # 3: the planners that brought its role. 4: for a later planner, those that brought any role.
        is_later_planner = s.kind == "planner" and s.id != PLAN_STEP
        roles = set(self._state.agents) if is_later_planner else {s.step.agent}
        for role in roles - self._given_roles():
            makers = self._makers_by_role().get(role, ())
            if not makers:
                found |= self._every
            yield from ((maker, False) for maker in makers)
        # 4: the planners before it, which named the existing steps.
        if is_later_planner:
            others = self._state.steps.values()
            yield from ((other.id, False) for other in others if _named_steps_before(other, s))

    def _writer_of(self, s: StepState) -> str:
        """Return the step that wrote the prompt of a step.

        The step for which another one does a share of the work wrote nothing: a partial has the labels of its own
        group, not of all groups.
        """
        seen: set[str] = set()
        while s.step.partial_of is not None and s.by in self._state.steps and s.by not in seen:
            seen.add(s.by)
            s = self._state.steps[s.by]
        return s.by

    def _given_roles(self) -> set[str]:
        """Return the roles that no plan brought."""
        started = self._state.started
        return set() if started is None else {agent.name for agent in started.agents}

    def _makers_by_role(self) -> dict[str, list[str]]:
        """Return the steps whose plans brought each role. Computed again when a plan has joined."""
        now = (self._state.plans, self._state.resumed)
        if now != self._makers_at:
            self._makers_at, self._makers = now, {}
            for s in self._state.steps.values():
                for agent in s.outcome.agents:
                    self._makers.setdefault(agent.name, []).append(s.id)
        return self._makers


def _named_steps_before(other: StepState, s: StepState) -> bool:
    """Whether a planner had named steps before another received the names of the steps."""
    has_named = other.status is Status.DONE and bool(other.children) and other.step.each is None
    if not has_named or other.id == s.id:
        return False
    # A finished planner received the names as of its start; any other one receives those of now.
    is_finished = s.status is Status.DONE and bool(s.spans)
    ended = other.spans[-1].end if other.spans else None
    if not is_finished or ended is None:
        return True
    return ended <= s.spans[-1].start
