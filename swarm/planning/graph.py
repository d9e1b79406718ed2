"""Questions about the graph of a plan, put to networkx: nothing else imports it, and the first question loads it.

Every function takes steps and looks at nothing of them but `swarm.spec.plan.before_of`; an id that no step has is
ignored, so a wave can be asked about without the run around it. Ids are taken to be unique (`swarm.planning.lint` sees
to it). Durations are a mapping of seconds, at least 0, by step id; a step that is not in it takes no time. What needs
an order raises `PlanError` for steps that wait for one another. All is iterative and linear in steps and edges.
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
    """The longest chain: no number of workers makes a run shorter."""

    steps: tuple[str, ...]
    """Ids, first to last."""
    seconds: float
    """The sum of their durations."""


def _graph(steps: Sequence[Step]) -> "DiGraph[str]":
    """One edge from a step to each that waits for it; steps in the order given."""
    import networkx as nx

    graph: DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(step.id for step in steps)
    graph.add_edges_from((before, step.id) for step in steps for before in before_of(step) if before in graph)
    return graph


def tangles(steps: Sequence[Step]) -> tuple[tuple[str, ...], ...]:
    """Name each set of steps that wait for one another, or for themselves: the non-trivial strong components.

    Sets, and ids within one, are in the order of the steps. None of them: the steps are a DAG. (Tarjan 1972, in
    Nuutila's iterative form, as networkx has it.)
    """
    import networkx as nx

    graph = _graph(steps)
    place = {step.id: index for index, step in enumerate(steps)}
    found = (
        sorted(component, key=place.__getitem__)
        for component in nx.strongly_connected_components(graph)
        if len(component) > 1 or any(graph.has_edge(one, one) for one in component)
    )
    return tuple(tuple(names) for names in sorted(found, key=lambda names: place[names[0]]))


def cycles(steps: Sequence[Step]) -> tuple[tuple[str, ...], ...]:
    """Name one shortest cycle of each tangle, as `("a", "b", "a")`: a before b, and b before a.

    It runs through the tangle's first step and starts there. Breaking the cycles named need not break them all.
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
    """Group steps by depth: a step's stage is the number of steps in the longest chain before it.

    No two steps of a stage wait for each other. A picture, not a schedule: nothing waits for a stage to end.
    """
    import networkx as nx

    place = {step.id: index for index, step in enumerate(steps)}
    try:
        levels = list(nx.topological_generations(_graph(steps)))
    except nx.NetworkXUnfeasible:
        raise PlanError(*(f"steps wait for each other: {' → '.join(one)}" for one in cycles(steps))) from None
    return tuple(tuple(sorted(level, key=place.__getitem__)) for level in levels)


def finishes(steps: Sequence[Step], seconds: Mapping[str, float]) -> dict[str, float]:
    """When each step would be over with a worker for everyone, in seconds from the start; in topological order."""
    befores = {step.id: before_of(step) for step in steps}
    over: dict[str, float] = {}
    for stage in stages(steps):
        for name in stage:
            start = max((over[before] for before in befores[name] if before in over), default=0.0)
            over[name] = start + seconds.get(name, 0.0)
    return over


def critical_path(steps: Sequence[Step], seconds: Mapping[str, float]) -> CriticalPath:
    """Find the longest chain by duration; of several, the one whose steps come first (Kelley and Walker 1959)."""
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
    """Bound what any schedule that never idles needlessly takes, in seconds: CP·(1 − 1/N) + W/N.

    Graham, "Bounds for certain multiprocessing anomalies" (1966), and "Bounds on multiprocessing timing anomalies"
    (1969), in the form that names the critical path (Brent 1974). `workers` is at least 1.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; at least 1 is needed")
    return critical_path * (1 - 1 / workers) + work / workers


def topological_order(waits: Mapping[Node, int], followers: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """Return nodes in an order in which each comes after the nodes it waits for (Kahn 1962).

    `waits` counts these nodes, and `followers` returns the nodes that wait for one; a follower without a count is
    ignored. Nodes of a cycle, and nodes after one, are omitted. It does not load networkx.
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
