"""The graph of a plan: cycles, stages, the critical path, orders.

Functions use only `swarm.spec.plan.before_of` of the steps. They ignore ids that no step has, so a
wave can be measured without the rest of the run. Ids must be unique (`swarm.planning.lint` checks
that). Durations are seconds by step id, at least 0; a step without one takes no time. All functions
are iterative and linear in steps and edges. Only this module imports networkx, when a function
first needs it.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from swarm.base.errors import PlanError
from swarm.spec.plan import Step, before_of

if TYPE_CHECKING:
    from networkx import DiGraph

Node = TypeVar("Node", bound=Hashable)


@dataclass(frozen=True)
class CriticalPath:
    """The longest chain of steps: the minimum duration of a run, with any number of workers."""

    steps: tuple[str, ...]
    """Ids of the chain, first to last."""
    seconds: float
    """The sum of their durations."""


def _graph(steps: Sequence[Step]) -> "DiGraph[str]":
    """Return the graph with an edge from each step to those that wait for it, in the given order."""
    import networkx as nx

    graph: DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(step.id for step in steps)
    for step in steps:
        graph.add_edges_from((before, step.id) for before in before_of(step) if before in graph)
    return graph


def tangles(steps: Sequence[Step]) -> tuple[tuple[str, ...], ...]:
    """Return each set of steps that wait for one another, or for themselves: the strong components with a cycle.

    Sets, and ids in a set, are in the order of the steps. Without a set, the steps are a DAG. The
    algorithm is Tarjan's (1972) in Nuutila's iterative form, from networkx.
    """
    import networkx as nx

    graph = _graph(steps)
    place = {step.id: index for index, step in enumerate(steps)}
    found: list[list[str]] = []
    for component in nx.strongly_connected_components(graph):
        waits_for_itself = any(graph.has_edge(name, name) for name in component)
        if len(component) > 1 or waits_for_itself:
            found.append(sorted(component, key=place.__getitem__))
    found.sort(key=lambda names: place[names[0]])
    return tuple(tuple(names) for names in found)


def cycles(steps: Sequence[Step]) -> tuple[tuple[str, ...], ...]:
    """Return one shortest cycle of each tangle, as `("a", "b", "a")`: a before b, and b before a.

    It starts at the tangle's first step. A tangle may have other cycles, too.
    """
    import networkx as nx

    graph = _graph(steps)
    found: list[tuple[str, ...]] = []
    for names in tangles(steps):
        start = names[0]
        within = graph.subgraph(names)
        came_from = dict(nx.bfs_predecessors(within, start))
        closers = set(within.predecessors(start))
        last = next(one for one in (start, *came_from) if one in closers)
        back = [start, last]
        while back[-1] != start:
            back.append(came_from[back[-1]])
        found.append(tuple(reversed(back)))
    return tuple(found)


def stages(steps: Sequence[Step]) -> tuple[tuple[str, ...], ...]:
    """Return steps by depth: a step's stage is the number of steps in the longest chain before it.

    No two steps of a stage wait for each other. Stages are for display and measures: the scheduler
    does not wait for them. Raise `PlanError` if there is a cycle.
    """
    import networkx as nx

    place = {step.id: index for index, step in enumerate(steps)}
    try:
        levels = list(nx.topological_generations(_graph(steps)))
    except nx.NetworkXUnfeasible:
        raise PlanError(*(f"cyclic dependency: {' → '.join(one)}" for one in cycles(steps))) from None
    return tuple(tuple(sorted(level, key=place.__getitem__)) for level in levels)


def finishes(steps: Sequence[Step], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return when each step ends if every step has a worker, in seconds from the start, in topological order."""
    befores = {step.id: before_of(step) for step in steps}
    over: dict[str, float] = {}
    for stage in stages(steps):
        for name in stage:
            start = max((over[before] for before in befores[name] if before in over), default=0.0)
            over[name] = start + seconds.get(name, 0.0)
    return over


def critical_path(steps: Sequence[Step], seconds: Mapping[str, float]) -> CriticalPath:
    """Return the longest chain by duration; of several, the one with the first steps (Kelley and Walker 1959)."""
    over = finishes(steps, seconds)
    if not over:
        return CriticalPath((), 0.0)
    befores = {step.id: before_of(step) for step in steps}
    place = {step.id: index for index, step in enumerate(steps)}
    path = [min(over, key=lambda name: (-over[name], place[name]))]
    while known := [before for before in befores[path[-1]] if before in over]:
        path.append(min(known, key=lambda name: (-over[name], place[name])))
    return CriticalPath(tuple(reversed(path)), over[path[0]])


def makespan_bound(work: float, critical_path: float, workers: int) -> float:
    """Return the maximum seconds of a schedule without needless idling: CP·(1 − 1/N) + W/N.

    Graham, "Bounds for certain multiprocessing anomalies" (1966), and "Bounds on multiprocessing
    timing anomalies" (1969), in the form with the critical path (Brent 1974). The minimum of
    `workers` is 1.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; the minimum is 1")
    return critical_path * (1 - 1 / workers) + work / workers


def topological_order(waits: Mapping[Node, int], followers: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """Return nodes in an order in which each comes after the nodes it waits for (Kahn 1962).

    `waits` counts these nodes, and `followers` returns the nodes that wait for one; a follower
    without a count is ignored. Nodes of a cycle, and nodes after one, are omitted. It does not load
    networkx.
    """
    left = dict(waits)
    found = [node for node, count in left.items() if count == 0]
    for node in found:  # grows while it is read
        for follower in followers(node):
            if follower not in left:
                continue
            left[follower] -= 1
            if left[follower] == 0:
                found.append(follower)
    return found
