"""Features of graphs from a graph isomorphism network with random weights, and distances that no one tuned by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch_geometric.data import Data

from modalities.graphs.simple import adjacency
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.metrics import frechet_distance

Array = np.ndarray[Any, Any]

WIDTH = 35
LAYERS = 2
SEED = 42  # of the weights, in published figures
BANDWIDTHS = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

_NORM = 1 / math.sqrt(1 + 1e-5)  # batch normalisation that has seen no data


def features(graphs: Sequence[Data | nx.Graph], seed: int = 0, *, width: int = WIDTH, layers: int = LAYERS) -> Array:
    """Sum-pooled states of every layer of a random GIN, side by side: float64 [n, layers * width].

    Thompson et al., On Evaluation Metrics for Graph Generative Models, ICLR 2022, with their defaults: twice the degree
    as the one input, sums over neighbours, two-layer perceptrons of 35, orthogonal weights. Attributes do not count.
    Each row depends on its graph and the seed alone and, up to rounding, not on the order of the nodes; a graph without
    nodes has zeros. Rows grow with the graph: standardise them, or use a kernel of adaptive width, before distances.

    Raises ConfigError for a width or a number of layers below 1.
    """
    if width < 1 or layers < 1:
        raise ConfigError(f"width = {width}, layers = {layers}: both must be at least 1")
    weights = _weights(seed, width, layers)
    rows = [_pooled(adjacency(graph).astype(np.float64), weights) for graph in graphs]
    return np.stack(rows) if rows else np.zeros((0, layers * width))


class Distances:
    """MMD and Frechet distance of graphs from the `test` graphs, in `features` standardised by these.

    distances = Distances(test); distances(generated)["gin_mmd"]. Raises DataError for fewer than two graphs.
    """

    def __init__(self, test: Sequence[Data | nx.Graph], seed: int = SEED) -> None:
        _check_two("test", test)
        self.seed = seed
        raw = features(test, seed)
        self._centre, spread = raw.mean(0), raw.std(0)
        self._scale = np.where(spread > 1e-12 * (1 + np.abs(self._centre)), spread, 1.0)
        self._test = (raw - self._centre) / self._scale

    def __call__(self, generated: Sequence[Data | nx.Graph]) -> dict[str, float]:
        """gin_mmd: biased squared MMD, see `mmd2`; gin_frechet: see `pfgm_science.metrics.frechet_distance`."""
        _check_two("generated", generated)
        found = (features(generated, self.seed) - self._centre) / self._scale
        return {"gin_mmd": mmd2(found, self._test), "gin_frechet": frechet_distance(found, self._test)}


def mmd2(a: Array, b: Array) -> float:
    """Biased squared MMD (V-statistic) of features a [n, k] and b [m, k], the largest over ten Gaussian kernels.

    exp(-|x - y|^2 / (2 (c s)^2)), c of BANDWIDTHS and s^2 the mean squared distance between the sets (Thompson et al.,
    ICLR 2022, as polygraph-benchmark computes it).
    """
    aa, bb, ab = (cdist(x, y, "sqeuclidean") for x, y in ((a, a), (b, b), (a, b)))
    scale = ab.mean() or 1.0
    means = [[np.exp(-d / (2 * scale * c**2)).mean() for d in (aa, bb, ab)] for c in BANDWIDTHS]
    return float(max(near + far - 2 * across for near, far, across in means))


def _check_two(name: str, graphs: Sequence[Data | nx.Graph]) -> None:
    if len(graphs) < 2:
        raise DataError(f"{name} has {len(graphs)} graph(s): distances of random features need two")


def _weights(seed: int, width: int, layers: int) -> list[tuple[Array, Array]]:
    """Two pairs of weight [inputs, width] and bias [width] a layer, drawn in the order of the published code."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for inputs in (1, *[width] * (2 * layers - 1)):
        weight = torch.empty(width, inputs)
        torch.nn.init.orthogonal_(weight, generator=generator)
        bias = torch.empty(width).uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
        drawn.append((weight.double().numpy().T, bias.double().numpy()))
    return drawn


def _pooled(matrix: Array, weights: list[tuple[Array, Array]]) -> Array:
    """[nodes, nodes] -> [layers * width]: the states of every layer, summed over nodes."""
    state = 2 * matrix.sum(1, keepdims=True)
    pooled = []
    for (first, first_bias), (second, second_bias) in zip(weights[::2], weights[1::2], strict=True):
        state = state + matrix @ state
        state = np.maximum((state @ first + first_bias) * _NORM, 0)
        # Normalised twice: the perceptron's own output, and the layer's, with a ReLU after each.
        state = np.maximum((state @ second + second_bias) * _NORM * _NORM, 0)
        pooled.append(state.sum(0))
    return np.concatenate(pooled)
