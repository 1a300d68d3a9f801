"""Counts of the 15 orbits of connected induced subgraphs of two to four nodes, per node.

Orbits are numbered as by Przulj, Bioinformatics 23(2) (2007): 0 edge; 1, 2 end and middle of a path of three; 3
triangle; 4, 5 end and middle of a path of four; 6, 7 leaf and centre of a star; 8 four-cycle; 9, 10, 11 the nodes of
degree 1, 2 and 3 of a triangle with a tail; 12, 13 the nodes of degree 2 and 3 of a four-cycle with a chord; 14 the
complete graph.

Subgraphs that need not be induced are counted by products of sparse matrices, in integers, for all graphs at once; what
denser subgraphs contain is then taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
from scipy.sparse import csr_array
from torch_geometric.data import Data

from modalities.graphs.simple import adjacency

Array = np.ndarray[Any, Any]

ORBITS = 15
_EDGES = 1 << 14  # whose common neighbours are held at once


def orbit_counts(graphs: Sequence[Data | nx.Graph]) -> list[Array]:
    """In how many subgraphs each node takes each part: an int64 array [nodes, 15] for every graph."""
    matrices = [adjacency(graph) for graph in graphs]
    sizes = [len(matrix) for matrix in matrices]
    return np.split(node_orbits(union(matrices)), np.cumsum(sizes)[:-1]) if matrices else []


def union(matrices: Sequence[Array]) -> csr_array[Any, Any]:
    """One graph with all graphs as parts without a link: int64 [nodes, nodes] from square adjacency matrices."""
    starts = np.concatenate([[0], np.cumsum([len(matrix) for matrix in matrices], dtype=np.int64)])
    ends = [np.nonzero(matrix) for matrix in matrices]
    rows = np.concatenate([row + start for (row, _), start in zip(ends, starts, strict=False)] or [starts[:0]])
    columns = np.concatenate([column + start for (_, column), start in zip(ends, starts, strict=False)] or [starts[:0]])
    return csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(starts[-1], starts[-1]))


def node_orbits(joined: csr_array[Any, Any]) -> Array:
    """Orbit counts [nodes, 15] of a symmetric int64 matrix [nodes, nodes] of zeros and ones, without a diagonal."""
    d = _rows(joined)
    walks = joined @ joined
    common = walks * joined  # of the two ends of every edge: in how many triangles it lies
    t = _rows(common) // 2
    around = joined @ (d - 1)
    complete = _complete(joined)

    # Not necessarily induced. Four-cycles: pairs of walks of length 2 that end in one other node.
    cycle = _rows(_pairs(walks)) - _choose(d, 2)
    chord_end = _rows(_pairs(common))
    chord_side = _rows((joined @ common) * joined) // 2 - t
    tail = joined @ t - 2 * t
    tail_side = common @ (d - 2)
    tail_corner = t * (d - 2)
    star_leaf = joined @ _choose(d - 1, 2)
    path_end = joined @ around - d * (d - 1) - 2 * t
    path_middle = (d - 1) * around - 2 * t

    counts = np.zeros((len(d), ORBITS), np.int64)
    counts[:, 0] = d
    counts[:, 1] = around - 2 * t
    counts[:, 2] = _choose(d, 2) - t
    counts[:, 3] = t
    counts[:, 14] = o14 = complete
    counts[:, 13] = o13 = chord_end - 3 * o14
    counts[:, 12] = o12 = chord_side - 3 * o14
    counts[:, 11] = o11 = tail_corner - 2 * o13 - 3 * o14
    counts[:, 10] = o10 = tail_side - 2 * o12 - 2 * o13 - 6 * o14
    counts[:, 9] = o9 = tail - 2 * o12 - 3 * o14
    counts[:, 8] = o8 = cycle - o12 - o13 - 3 * o14
    counts[:, 7] = _choose(d, 3) - o11 - o13 - o14
    counts[:, 6] = star_leaf - o9 - o10 - 2 * o12 - o13 - 3 * o14
    counts[:, 5] = path_middle - 2 * o8 - o10 - 2 * o11 - 2 * o12 - 4 * o13 - 6 * o14
    counts[:, 4] = path_end - 2 * o8 - 2 * o9 - o10 - 4 * o12 - 2 * o13 - 6 * o14
    return counts


def _complete(joined: csr_array[Any, Any]) -> Array:
    """In how many complete subgraphs of four each node lies: edges among the common neighbours of an edge's ends."""
    low, high = joined.nonzero()
    low, high = low[low < high], high[low < high]
    found: Array = np.zeros(joined.shape[0], np.int64)
    for start in range(0, len(low), _EDGES):
        one, other = low[start : start + _EDGES], high[start : start + _EDGES]
        shared = joined[one] * joined[other]
        edges = _rows((shared @ joined) * shared) // 2
        np.add.at(found, one, edges)
        np.add.at(found, other, edges)
    return np.asarray(found // 3)


def _rows(matrix: csr_array[Any, Any]) -> Array:
    sums: Array = np.asarray(matrix.sum(axis=1), np.int64).ravel()
    return sums


def _pairs(matrix: csr_array[Any, Any]) -> csr_array[Any, Any]:
    """Every entry x as x (x - 1) / 2."""
    pairs = matrix.copy()
    pairs.data = _choose(pairs.data, 2)
    return pairs


def _choose(n: Array, k: int) -> Array:
    """Binomial coefficients n over k for k = 2, 3; 0 for n < k, negative n too."""
    n = np.maximum(n, 0)
    ways: Array = n * (n - 1) // 2 if k == 2 else n * (n - 1) * (n - 2) // 6
    return ways
