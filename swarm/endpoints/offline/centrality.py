"""Rank sentences by how central they are, with networkx."""

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from networkx import DiGraph


DAMPING = 0.85
"""The share of a rank that comes from the neighbours: the value of Brin and Page (1998), kept by TextRank."""


TOLERANCE = 1e-9
"""How far, on average, one round may still move a rank: below what could change an order that means anything."""


def centrality(similarities: Mapping[tuple[str, str], float], bias: Mapping[str, float]) -> dict[str, float]:
    """Rank names by how much of what is central in the rest they share; ranks are at least 0 and add up to 1.

    `similarities` weighs pairs, in either order (the two orders add up); `bias` says where rank comes from beside the
    neighbours, and is all equal where none of it is positive. Names are those of both, in that order of `bias` first.
    Weights that are not positive and finite count as 0.

    This is PageRank with a bias (Haveliwala 2002) over a graph of sentences, as in TextRank (Mihalcea and Tarau 2004)
    and LexRank (Erkan and Radev 2004). It is computed as Katz centrality over out-weights that add up to 1, which has
    the same solution up to a factor: `networkx.pagerank` would load scipy, which is no dependency here. Damping below
    1 makes the iteration a contraction, so it always converges.
    """
    import networkx as nx

    names = dict.fromkeys((*bias, *(name for pair in similarities for name in pair)))
    if not names:
        return {}
    sources = _shares({name: bias.get(name, 0.0) for name in names}) or dict.fromkeys(names, 1 / len(names))
    neighbours: dict[str, dict[str, float]] = {name: {} for name in names}
    for (one, other), weight in similarities.items():
        if one != other and isfinite(weight) and weight > 0:
            neighbours[one][other] = neighbours[one].get(other, 0.0) + weight
            neighbours[other][one] = neighbours[other].get(one, 0.0) + weight
    graph: DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    for name, weights in neighbours.items():
        graph.add_weighted_edges_from((name, other, share) for other, share in _shares(weights).items())
    beta = {name: (1 - DAMPING) * sources.get(name, 0.0) for name in names}
    start = {name: sources.get(name, 0.0) for name in names}
    ranks: dict[str, float] = nx.katz_centrality(
        graph, alpha=DAMPING, beta=beta, nstart=start, tol=TOLERANCE, normalized=False, weight="weight"
    )
    total = sum(ranks.values())
    return {name: rank / total for name, rank in ranks.items()}


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Scale what is positive and finite so that it adds up to 1; empty where nothing is."""
    positive = {name: weight for name, weight in weights.items() if isfinite(weight) and weight > 0}
    if not positive:
        return {}
    most = max(positive.values())
    total = sum(weight / most for weight in positive.values())
    return {name: weight / most / total for name, weight in positive.items()}
