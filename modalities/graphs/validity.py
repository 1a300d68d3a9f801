"""Is a graph what its kind must be, and has it been seen before? Exact answers: planarity, trees, isomorphism.

A graph is a `torch_geometric.data.Data` or a `networkx.Graph`, simple and undirected. Attributes do not count. A graph
without nodes is valid for no kind.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import networkx as nx
import numpy as np
from scipy.stats import chi2
from torch_geometric.data import Data

from modalities.graphs.orbits import union
from modalities.graphs.simple import adjacency
from pfgm_science.errors import PfgmError

Array = np.ndarray[Any, Any]
Graph: TypeAlias = Data | nx.Graph

_ROUNDS = 8  # of colour refinement before graphs are told apart pair by pair
_SWEEPS = 100  # of merge-split moves after the fit of the blocks


def connected(graph: Graph) -> bool:
    """One piece: every node reaches every other."""
    plain = _plain(graph)
    return len(plain) > 0 and nx.is_connected(plain)


def planar(graph: Graph) -> bool:
    """Connected, and can be drawn without crossings: what SPECTRE's Planar set is judged by."""
    plain = _plain(graph)
    return len(plain) > 0 and nx.is_connected(plain) and bool(nx.check_planarity(plain)[0])


def tree(graph: Graph) -> bool:
    """Connected and without cycles."""
    plain = _plain(graph)
    return len(plain) > 0 and nx.is_tree(plain)


def lobster(graph: Graph) -> bool:
    """A tree that becomes a path, or nothing, when its leaves are taken off twice."""
    plain = _plain(graph)
    if not len(plain) or not nx.is_tree(plain):
        return False
    for _ in range(2):
        plain.remove_nodes_from([node for node, degree in plain.degree() if degree == 1])
    return all(degree <= 2 for _, degree in plain.degree())


def sbm(graph: Graph, *, fit: Callable[[Array], Array] | None = None) -> bool:
    """Drawn from a stochastic block model as SPECTRE's SBM set is: see `blocks_fit` for the test.

    The blocks are those of minimum description length, by graph-tool: a greedy fit and 100 rounds of merge-split moves
    at zero temperature. Both are random: `graph_tool.seed_rng` makes them repeatable. fit: adjacency [n, n] -> blocks
    [n], instead of graph-tool's. Every node counts, also without neighbours. Raises PfgmError without graph-tool: no
    other fit gives comparable figures.
    """
    matrix = adjacency(graph)
    return bool(len(matrix) and matrix.any()) and blocks_fit(matrix, (fit or _minimum_description_length)(matrix))


def blocks_fit(matrix: Array, blocks: Array, *, inside: float = 0.3, between: float = 0.005) -> bool:
    """Whether a graph with these blocks follows the stochastic block model: 2 to 5 blocks of 20 to 40 nodes, and more
    than 0.9 as the mean p-value, over all ordered pairs of blocks, of the chi-squared test (p_hat - p)^2 / (p_hat (1 -
    p_hat)) against the edge probabilities inside and between blocks.

    matrix: adjacency [n, n]; blocks: their labels [n]. The statistic lacks the number of pairs of a Wald test: so it is
    in the published code, and so figures can be compared (Martinkus et al., SPECTRE, ICML 2022).
    """
    labels, index, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    if not 2 <= len(labels) <= 5 or sizes.min() < 20 or sizes.max() > 40:
        return False
    member = np.eye(len(labels))[index]
    joined = member.T @ matrix @ member
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    found = joined / (pairs + 1e-6)
    asked = np.where(np.eye(len(labels), dtype=bool), inside, between)
    statistic = (found - asked) ** 2 / (found * (1 - found) + 1e-6)
    return bool(chi2.sf(np.abs(statistic), 1).mean() > 0.9)


VALIDITY: dict[str, Callable[[Graph], bool]] = {
    "connected": connected,
    "planar": planar,
    "tree": tree,
    "lobster": lobster,
    "sbm": sbm,
}


def missing(kind: str) -> str | None:
    """Why the check of this kind cannot run here, or None when it can."""
    if kind == "sbm" and importlib.util.find_spec("graph_tool") is None:
        return (
            "validity of SBM graphs needs graph-tool, which is not installed (Debian, Ubuntu: python3-graph-tool, in "
            "an environment of its own with numpy < 2; conda-forge: graph-tool). No other fit gives comparable figures"
        )
    return None


def isomorphism_classes(graphs: Sequence[Graph]) -> Array:
    """Integers [n], equal for isomorphic graphs and for no others: the index of the first graph of each class.

    Colour refinement of all graphs at once sorts out most pairs; what remains is decided exactly by individualisation
    and refinement (McKay and Piperno, J. Symbolic Computation 60 (2014)), at worst exponential in the number of nodes.
    """
    matrices = [adjacency(graph) for graph in graphs]
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    classes = np.arange(len(matrices))
    for index, key in enumerate(_signatures(matrices)):
        for first in alike[key]:
            if isomorphic(matrices[first], matrices[index]):
                classes[index] = first
                break
        else:
            alike[key].append(index)
    return classes


def isomorphic(a: Array, b: Array) -> bool:
    """Whether some order of the nodes turns one symmetric adjacency matrix [n, n] into the other; exact."""
    if a.shape != b.shape:
        return False
    a, b = a.astype(np.uint64), b.astype(np.uint64)
    choices = [iter([(a.sum(1), b.sum(1))])]
    while choices:
        colours = next(choices[-1], None)
        if colours is None:
            choices.pop()
            continue
        colours_a, colours_b = _stable(a, colours[0]), _stable(b, colours[1])
        order_a, order_b = np.argsort(colours_a, kind="stable"), np.argsort(colours_b, kind="stable")
        if (colours_a[order_a] != colours_b[order_b]).any():
            continue
        if (a[np.ix_(order_a, order_a)] == b[np.ix_(order_b, order_b)]).all():
            return True
        if len(np.unique(colours_a)) < len(a):
            choices.append(_individualised(colours_a, colours_b))
    return False


def _individualised(colours_a: Array, colours_b: Array) -> Iterator[tuple[Array, Array]]:
    """Colours that set one node of a, of its smallest undecided class, apart, and each node of b it may go to."""
    kinds, counts = np.unique(colours_a, return_counts=True)
    colour = kinds[np.where(counts > 1, counts, len(colours_a) + 1).argmin()]
    one = _marked(colours_a, int(np.flatnonzero(colours_a == colour)[0]))
    return ((one, _marked(colours_b, int(node))) for node in np.flatnonzero(colours_b == colour))


def _stable(matrix: Array, colours: Array) -> Array:
    """Refine colours by the colours of the neighbours until no class splits."""
    colours = _mixed(colours)
    count = len(np.unique(colours))
    while True:
        refined = _refined(matrix, colours)
        now = len(np.unique(refined))
        if now <= count:
            return refined
        colours, count = refined, now


def _signatures(matrices: Sequence[Array]) -> list[tuple[int, int]]:
    """The number of nodes and a hash of every graph, equal for isomorphic graphs."""
    if not matrices:
        return []
    joined = union(matrices).astype(np.uint64)
    colours = _mixed(np.asarray(joined.sum(axis=1)).ravel().astype(np.uint64))
    for _ in range(_ROUNDS):
        colours = _refined(joined, colours)
    parts = np.split(_mixed(colours), np.cumsum([len(matrix) for matrix in matrices])[:-1])
    return [(len(part), int(part.sum(dtype=np.uint64))) for part in parts]


def _refined(matrix: Any, colours: Array) -> Array:
    return _mixed(colours * np.uint64(3) + matrix @ _mixed(colours))


def _marked(colours: Array, node: int) -> Array:
    marked = colours.copy()
    marked[node] = ~marked[node]
    return marked


def _mixed(x: Array) -> Array:
    """A bijection of 64-bit integers that looks random (splitmix64; Steele, Lea and Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _plain(graph: Graph) -> nx.Graph:
    return nx.from_numpy_array(adjacency(graph))


def _minimum_description_length(matrix: Array) -> Array:
    if reason := missing("sbm"):
        raise PfgmError(reason)
    import graph_tool.all as gt

    # Both directions of every edge in a directed graph, as the published code fits it.
    graph = gt.Graph()
    graph.add_vertex(len(matrix))
    graph.add_edge_list(np.argwhere(matrix))
    state = gt.minimize_blockmodel_dl(graph)
    for _ in range(_SWEEPS):
        state.multiflip_mcmc_sweep(beta=np.inf, niter=10)
    return np.array(state.get_blocks().a)
