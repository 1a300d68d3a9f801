"""Where the nodes and the pairs of a graph stand in the flat values of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Node channels first, node by node, then the pairs i < j in the order (0, 1), (0, 2), (1, 2), (0, 3), ...

    Pairs are ordered by their higher node, so that a graph of k nodes has the first k (k - 1) / 2 of them, and a batch
    of small graphs can be cut short. nodes: the most that a graph has. node_channels, pair_channels: numbers of each
    node and of each pair; a pair always has at least one, whether there is an edge.
    """

    nodes: int
    node_channels: int
    pair_channels: int

    @property
    def pairs(self) -> int:
        return pair_count(self.nodes)

    @property
    def size(self) -> int:
        """Numbers of a graph, padding included."""
        return self.nodes * self.node_channels + self.pairs * self.pair_channels

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the higher node of each pair: two [pairs]."""
        high, low = np.tril_indices(self.nodes, -1)
        return low, high

    def place(self, low: Tensor, high: Tensor) -> Tensor:
        """The pair of two nodes, low < high: [k] integers."""
        return high * (high - 1) // 2 + low

    def split(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, size] -> nodes [batch, nodes, node_channels] and pairs [batch, pairs, pair_channels]."""
        cut = self.nodes * self.node_channels
        nodes = values[:, :cut].reshape(len(values), self.nodes, self.node_channels)
        return nodes, values[:, cut:].reshape(len(values), self.pairs, self.pair_channels)

    def join(self, nodes: Tensor, pairs: Tensor) -> Tensor:
        """The inverse of split."""
        return torch.cat([nodes.flatten(1), pairs.flatten(1)], dim=1)

    def mask(self, sizes: Tensor) -> Tensor:
        """1 for what a graph of so many nodes has, 0 for padding: [batch, size] float32 from [batch] integers."""
        present = torch.arange(self.nodes) < sizes[:, None]
        both = torch.arange(self.pairs) < (sizes * (sizes - 1) // 2)[:, None]
        nodes = present[..., None].expand(-1, -1, self.node_channels)
        return self.join(nodes.float(), both[..., None].expand(-1, -1, self.pair_channels).float())

    def sizes(self, mask: Tensor) -> Tensor:
        """Numbers of nodes, [batch] integers, of a mask that `mask` made."""
        _, pairs = self.split(mask)
        free = (pairs[..., 0] > 0).sum(1)
        return ((1 + (1 + 8 * free).double().sqrt()) / 2).round().long()


def pair_count(nodes: int) -> int:
    return nodes * (nodes - 1) // 2
