"""The centrality of sentences, computed with networkx."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from networkx import DiGraph


DAMPING = 0.85
"""Share of a rank that comes from the neighbours: the value of Brin and Page (1998) and of
TextRank."""


TOLERANCE = 1e-9
"""Maximum mean change of a rank in the last iteration: too small to change a meaningful order."""


def centrality(similarities: Mapping[tuple[str, str], float], bias: Mapping[str, float]) -> dict[str, float]:
    """Return the rank of each name by its similarity to other central names.

    Ranks are at least 0 with sum 1.

    `similarities` has the weights of pairs; weights of both orders of a pair are added. `bias` has
    the rank that does not come from neighbours. If no bias is positive, it is equal for all. The
    names are those of `bias`, then the others. Weights that are not positive and finite count as 0.

    This is PageRank with a bias (Haveliwala 2002) over a graph of sentences, as in TextRank
    (Mihalcea and Tarau 2004) and LexRank (Erkan and Radev 2004). It is computed as Katz centrality
    over out-weights with sum 1, which has the same solution up to a factor, because
    `networkx.pagerank` would load scipy, which is not a dependency. With a damping below 1 the
    iteration is a contraction, so it always converges.
    """
    import networkx as nx

    names = dict.fromkeys(bias)
    for pair in similarities:
        names.update(dict.fromkeys(pair))
    if not names:
        return {}
    equal = dict.fromkeys(names, 1 / len(names))
    sources = _shares({name: bias.get(name, 0.0) for name in names}) or equal
    graph: DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    for name, weights in _neighbours(names, similarities).items():
        shares = _shares(weights)
        graph.add_weighted_edges_from((name, other, share) for other, share in shares.items())
    beta = {name: (1 - DAMPING) * sources.get(name, 0.0) for name in names}
    start = {name: sources.get(name, 0.0) for name in names}
    ranks: dict[str, float] = nx.katz_centrality(
        graph,
        alpha=DAMPING,
        beta=beta,
        nstart=start,
        tol=TOLERANCE,
        normalized=False,
        weight="weight",
    )
    total = sum(ranks.values())
    return {name: rank / total for name, rank in ranks.items()}


def _neighbours(
    names: Iterable[str],
    similarities: Mapping[tuple[str, str], float],
) -> dict[str, dict[str, float]]:
    """Return the weights of the neighbours of each name."""
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for (one, other), weight in similarities.items():
        if one != other and isfinite(weight) and weight > 0:
            found[one][other] = found[one].get(other, 0.0) + weight
            found[other][one] = found[other].get(one, 0.0) + weight
    return found


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the positive finite weights scaled to sum 1, or nothing if there are none."""
    positive = {name: weight for name, weight in weights.items() if isfinite(weight) and weight > 0}
    if not positive:
        return {}
    most = max(positive.values())
    total = sum(weight / most for weight in positive.values())
    return {name: weight / most / total for name, weight in positive.items()}
