"""The graph of a run with alike steps in one box.

Steps are alike if they are in the same column, have the same agent, status and model, and wait
for alike steps, which wait for them: colour refinement (Weisfeiler and Leman 1968). Steps that
failed, planners and steps of the critical path have a box of their own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from swarm.record.state import State
from swarm.record.steps import Status, StepState
from swarm.results.timeline import Timeline
from swarm.spec.plan import before_of, role_of

SMALL = 14
"""Maximum steps of a graph in which every step has a box of its own."""
REFINED = 20_000
"""Maximum steps that are refined. Of more, those of a column with one agent and one status are
one box."""
ROUNDS = 6
"""Maximum rounds of refinement. Each looks one step farther."""
_ALONE = frozenset({Status.FAILED, Status.LIMITED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class Box:
    """Alike steps."""

    steps: tuple[StepState, ...]
    column: int
    """From 0: the length of the longest chain before them."""
    is_critical: bool

    @property
    def first(self) -> StepState:
        """The first of the steps, in plan order."""
        return self.steps[0]


@dataclass(frozen=True, slots=True)
class FoldedGraph:
    """Boxes and the edges between them."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    """Pairs of boxes by index, from an earlier column to a later one."""
    path: frozenset[tuple[int, int]] = frozenset()
    """The edges on the critical path."""


def fold(timeline: Timeline, critical: Sequence[str]) -> FoldedGraph:
    """Return the graph of a run. `critical` are the steps on its critical path, in order."""
    path = frozenset(critical)
    columns = timeline.depths()
    colours = _Colours(timeline.state, columns, path).refined(timeline.steps)
    groups: dict[int, list[StepState]] = {}
    for s in timeline.steps:
        groups.setdefault(colours[s.id], []).append(s)
    boxes = [Box(tuple(group), columns.get(group[0].id, 1) - 1, group[0].id in path) for group in groups.values()]
    boxes.sort(key=lambda box: (box.column, box.first.order))
    box_of: dict[str, int] = {}
    for n, box in enumerate(boxes):
        box_of |= {s.id: n for s in box.steps}
    steps = [box_of[name] for name in critical if name in box_of]
    return FoldedGraph(tuple(boxes), tuple(_edges(timeline.state, boxes, box_of)), frozenset(pairwise(steps)))


class _Colours:
    """Colours of steps: steps with the same colour are alike."""

    def __init__(self, state: State, columns: Mapping[str, int], path: frozenset[str]) -> None:
        self._state = state
        self._columns = columns
        self._path = path
        self._before = {name: before_of(s.step) for name, s in state.steps.items()}

    def refined(self, steps: tuple[StepState, ...]) -> dict[str, int]:
        """Return the colour of each step."""
        if len(steps) <= SMALL:
            return {s.id: n for n, s in enumerate(steps)}
        found = _numbered({s.id: self._first(s) for s in self._state.steps.values()})
        for _ in range(ROUNDS if len(steps) <= REFINED else 0):
            finer = _numbered({s.id: self._next(s, found) for s in self._state.steps.values()})
            is_stable = len(set(finer.values())) == len(set(found.values()))
            found = finer
            if is_stable:
                break
        return {s.id: found[s.id] for s in steps}

    def _first(self, s: StepState) -> tuple[object, ...]:
        is_alone = s.status in _ALONE or s.kind != "plain" or s.id in self._path
        if is_alone:
            return (s.id,)
        return (self._columns.get(s.id, 0), role_of(s.step), s.status, s.model, s.outcome.cached)

    def _next(self, s: StepState, found: Mapping[str, int]) -> tuple[object, ...]:
        before = frozenset(found[name] for name in self._before[s.id])
        after = frozenset(found[name] for name in s.waiters)
        return found[s.id], before, after


def _numbered(colours: Mapping[str, object]) -> dict[str, int]:
    numbers: dict[object, int] = {}
    return {name: numbers.setdefault(colour, len(numbers)) for name, colour in colours.items()}


def _edges(state: State, boxes: list[Box], box_of: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield the edges between boxes, each once."""
    ends, siblings = _ends(state, box_of), _Siblings(state)
    seen: set[tuple[int, int]] = set()
    for target, box in enumerate(boxes):
        waits = chain.from_iterable(_waits_for(state, s, siblings) for s in box.steps)
        for name in dict.fromkeys(waits):
            for source in ends(name):
                edge = source, target
                if edge not in seen and boxes[source].column < box.column:
                    seen.add(edge)
                    yield edge


class _Siblings(dict[str, frozenset[str]]):
    """The children of each step, as a set that is made once."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def __missing__(self, step: str) -> frozenset[str]:
        self[step] = found = frozenset(self._state.steps[step].children)
        return found


def _waits_for(state: State, s: StepState, siblings: _Siblings) -> tuple[str, ...]:
    """Return the steps that a step waits for, and the planner that added it if no other of its
    steps is before it.
    """
    before = before_of(s.step)
    parent = state.steps.get(s.by)
    if parent is None:
        return before
    if parent.kind == "stand_in" and not parent.spans:
        return before or _waits_for(state, parent, siblings)
    is_first = not any(name in siblings[parent.id] for name in before)
    return (*before, _Own(parent.id)) if is_first else before


class _Own(str):
    """The id of a planner whose own attempt is meant, not the steps that it added."""

    __slots__ = ()


def _ends(state: State, box_of: Mapping[str, int]) -> Callable[[str], tuple[int, ...]]:
    """Return a function that names the boxes in which a step is settled: its own, or those of
    what it became.
    """
    known: dict[str, tuple[int, ...]] = {}

    def ends(name: str) -> tuple[int, ...]:
        if isinstance(name, _Own):
            return (box_of[name],) if name in box_of else ()
        if name not in known:
            s = state.steps[name]
            known[name] = ()  # a forged journal may have a circle
            last = _last(state, s)
            found = set(chain.from_iterable(map(ends, last)))
            own = (box_of[name],) if name in box_of else ()
            known[name] = tuple(sorted(found)) or own
        return known[name]

    return ends


def _last(state: State, s: StepState) -> list[str]:
    """Return the children of a step that no other child waits for."""
    if s.kind == "plain":
        return []
    siblings = frozenset(s.children)
    return [name for name in s.children if not any(waiter in siblings for waiter in state.steps[name].waiters)]
