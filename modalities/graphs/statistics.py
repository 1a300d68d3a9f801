"""Descriptors of graphs: one row a graph, as the protocol of SPECTRE, DiGress, GDSS and their followers defines them.

A set of graphs is a sequence of `torch_geometric.data.Data` or `networkx.Graph`, simple and undirected, of one node or
more. Histograms are normalised: every row sums to 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import networkx as nx
import numpy as np
from scipy.linalg import eigvalsh
from torch_geometric.data import Data

from modalities.graphs.orbits import node_orbits, union
from modalities.graphs.simple import adjacency
from pfgm_science.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]
Graphs: TypeAlias = Sequence[Data | nx.Graph]
Statistic = Literal["degree", "clustering", "orbit", "spectral", "wavelet"]

STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
CLUSTERING_BINS = 100
SPECTRAL_BINS = 200
WAVELET_BINS = 100
FILTERS = 12

_SPECTRAL_EDGES = np.linspace(-1e-5, 2, SPECTRAL_BINS + 1)
_LARGEST_EIGENVALUE = 2.0
_SMALLEST_SCALED = _LARGEST_EIGENVALUE / 20  # what the low-pass filter leaves to the wavelets
_CELLS = 1 << 22  # of the stacked matrices held at once
_PEAK = 1 + 2 / 27**0.5  # of the wavelet kernel, at 2 - 1 / sqrt(3)


def describe(graphs: Graphs, statistics: Sequence[Statistic] = STATISTICS) -> dict[Statistic, Array]:
    """The descriptors of n graphs under the names asked for, float64 [n, ...]:

    - degree [n, largest degree + 1]: share of the nodes that have 0, 1, 2, ... neighbours
    - clustering [n, 100]: local clustering coefficients, in bins of equal width on [0, 1]
    - orbit [n, 15]: counts of the node orbits of subgraphs of up to four nodes, mean over nodes; see `orbits`
    - spectral [n, 200]: eigenvalues of the normalised Laplacian, in bins of equal width on [-1e-5, 2]
    - wavelet [n, 1200]: for each of 12 spectral filters, the squared norms of the filter localised at every node, in
      100 bins; see `wavelet_filters`

    The largest eigenvalue of a bipartite graph is 2, the end of the last bin: whether it counts is left to rounding, as
    in the published code (scipy's eigvalsh), and so to the machine and the order of the nodes: on trees about .0002 of
    a squared MMD. Other values seldom lie so near to the edge of a bin.

    Raises DataError for a graph without nodes or with a self-loop, ConfigError for an unknown statistic.
    """
    for name in statistics:
        if name not in STATISTICS:
            raise ConfigError(f"there is no statistic {name!r}; choose from {', '.join(STATISTICS)}")
    matrices = _matrices(graphs)
    sizes = np.array([len(matrix) for matrix in matrices], np.int64)
    found: dict[Statistic, Array] = {}
    if {"degree", "clustering", "orbit"} & set(statistics):
        orbits = node_orbits(union(matrices))
        owner = np.repeat(np.arange(len(sizes)), sizes)
        degrees, triangles = orbits[:, 0], orbits[:, 3]
        found["degree"] = _shares(owner, degrees, len(sizes), int(degrees.max(initial=0)) + 1)
        coefficients = 2 * triangles / np.maximum(degrees * (degrees - 1), 1)
        bins = _bins(coefficients, np.linspace(0, 1, CLUSTERING_BINS + 1))
        found["clustering"] = _shares(owner, bins, len(sizes), CLUSTERING_BINS)
        starts = np.cumsum(sizes) - sizes
        found["orbit"] = np.add.reduceat(orbits, starts) / sizes[:, None] if len(sizes) else np.zeros((0, 15))
    if "spectral" in statistics:
        found["spectral"] = _spectral(matrices)
    if "wavelet" in statistics:
        found["wavelet"] = _wavelet(matrices)
    return {name: found[name] for name in statistics}


def wavelet_filters(eigenvalues: Array) -> Array:
    """Responses [12, ...] of the filter bank of the protocol at eigenvalues [...] of the normalised Laplacian.

    A low-pass filter and 11 cubic-spline wavelets whose scales fall from 20 to 1/2 (Hammond, Vandergheynst and
    Gribonval, Applied and Computational Harmonic Analysis 30 (2011), section 8.1, with alpha = beta = 2, x1 = 1,
    x2 = 2, K = 20; "Abspline" of PyGSP).
    """
    values = np.asarray(eigenvalues, np.float64)
    scales = np.geomspace(2 / _SMALLEST_SCALED, 1 / _LARGEST_EIGENVALUE, FILTERS - 1)
    x = np.multiply.outer(scales, values)
    spline = np.polynomial.polynomial.polyval(x, [-5, 11, -6, 1])
    wavelets = np.where(x < 1, x * x, np.where(x < 2, spline, 4 / np.maximum(x, 2) ** 2))
    low = _PEAK * np.exp(-((values / (0.6 * _SMALLEST_SCALED)) ** 4))
    return np.concatenate([low[None], wavelets])


def normalised_laplacian(matrix: Array) -> Array:
    """I - D^-1/2 A D^-1/2 of adjacency matrices [..., n, n]; the row of a node without neighbours is zero."""
    degrees = matrix.sum(-1).astype(np.float64)
    root = 1 / np.sqrt(np.where(degrees > 0, degrees, np.inf))
    # The arithmetic of networkx to the last bit, since eigenvalues can lie on the edge of a bin.
    laplacian = degrees[..., None] * np.eye(matrix.shape[-1]) - matrix
    scaled: Array = root[..., :, None] * (laplacian * root[..., None, :])
    return scaled


def _matrices(graphs: Graphs) -> list[Array]:
    matrices = [adjacency(graph) for graph in graphs]
    for index, matrix in enumerate(matrices):
        if not len(matrix):
            raise DataError(f"graph {index} has no nodes, and so no statistics: leave it out and count it as invalid")
        if matrix.diagonal().any():
            raise DataError(f"graph {index} has a self-loop: statistics are of simple graphs; remove self-loops first")
    return matrices


def _spectral(matrices: list[Array]) -> Array:
    values = [eigvalsh(normalised_laplacian(matrix)) for matrix in matrices]
    owner = np.repeat(np.arange(len(values)), [len(own) for own in values])
    every = np.concatenate(values) if values else np.zeros(0)
    inside = every <= _LARGEST_EIGENVALUE
    return _shares(owner[inside], _bins(every[inside], _SPECTRAL_EDGES), len(values), SPECTRAL_BINS)


def _wavelet(matrices: list[Array]) -> Array:
    alike: dict[int, list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        alike[len(matrix)].append(index)
    norms = np.zeros((len(matrices), FILTERS * WAVELET_BINS))
    edges = np.linspace(0, _PEAK, WAVELET_BINS + 1)
    for size, members in alike.items():
        for chosen in np.array_split(members, -(-len(members) * size * size // _CELLS)):
            values, vectors = np.linalg.eigh(normalised_laplacian(np.stack([matrices[index] for index in chosen])))
            localised = wavelet_filters(values).transpose(1, 0, 2) ** 2 @ (vectors**2).transpose(0, 2, 1)
            bins = _bins(localised, edges) + WAVELET_BINS * np.arange(FILTERS)[:, None]
            owner = np.broadcast_to(np.arange(len(chosen))[:, None, None], bins.shape)
            inside = localised <= _PEAK
            norms[chosen] = _shares(owner[inside], bins[inside], len(chosen), norms.shape[1])
    return norms


def _bins(values: Array, edges: Array) -> Array:
    """The bin of every value: left edges belong to a bin, and the last edge to the last bin, as in np.histogram."""
    return np.minimum(np.searchsorted(edges, values, side="right") - 1, len(edges) - 2)


def _shares(owner: Array, bins: Array, graphs: int, count: int) -> Array:
    """Normalised histograms [graphs, count] of bins [m] whose graph is owner [m]."""
    table = np.bincount(owner * count + bins, minlength=graphs * count).reshape(graphs, count)
    shares: Array = table / np.maximum(table.sum(1, keepdims=True), 1)
    return shares
