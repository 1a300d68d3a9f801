"""Features of graphs from a graph isomorphism network with random weights, for distances that no one tuned by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import torch
from torch_geometric.data import Data

from modalities.graphs.simple import adjacency
from pfgm_science.errors import ConfigError

Array = np.ndarray[Any, Any]

WIDTH = 35
LAYERS = 2

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
