"""Simple undirected graphs: made from edges, refused when they are not, and as adjacency matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]

MAX_NODES = 1_000  # the state is dense: n (n - 1) / 2 numbers a graph


def adjacency(graph: Data | nx.Graph) -> Array:
    """Which nodes of an undirected graph are joined: [n, n] booleans, symmetric, in the graph's own order of nodes."""
    if isinstance(graph, nx.Graph):
        index = {node: i for i, node in enumerate(graph)}
        rows = np.array([[index[u], index[v]] for u, v in graph.edges()], dtype=np.int64).reshape(-1, 2)
        count = len(index)
    else:
        rows = graph.edge_index.cpu().numpy().T
        count = int(graph.num_nodes or 0)
    joined = np.zeros((count, count), bool)
    joined[rows[:, 0], rows[:, 1]] = True
    return joined | joined.T


def simple(
    num_nodes: int, edges: Any, nodes: Mapping[str, Any] | None = None, edge_attributes: Mapping[str, Any] | None = None
) -> Data:
    """The graph of these edges, [m, 2] integers, each edge once in either direction.

    nodes: key -> one row a node; edge_attributes: key -> one row an edge. Raises DataError for a self-loop, an edge
    listed twice, a node that does not exist, and attributes of another length.
    """
    from torch_geometric.data import Data

    ends: Array = np.asarray(edges).reshape(-1, 2).astype(np.int64)
    if reason := edge_problem(num_nodes, ends):
        raise DataError(reason)
    both = np.concatenate([ends, ends[:, ::-1]])
    order = (both[:, 0] * num_nodes + both[:, 1]).argsort()
    graph = Data(edge_index=torch.from_numpy(np.ascontiguousarray(both[order].T)), num_nodes=num_nodes)
    for key, values in (nodes or {}).items():
        graph[key] = _rows(values, num_nodes, f"node attribute {key!r}", "nodes")
    for key, values in (edge_attributes or {}).items():
        rows = _rows(values, len(ends), f"edge attribute {key!r}", "edges")
        graph[key] = torch.cat([rows, rows])[order]
    return graph


def size_problem(nodes: int, attributes: bool = True) -> str:
    """Why a graph with so many nodes cannot be used, "" if it can be."""
    if nodes == 0:
        return "it has no nodes"
    if nodes > MAX_NODES:
        return f"it has {nodes} nodes; at most {MAX_NODES} are allowed, because the state is dense"
    if nodes == 1 and not attributes:
        return "it has one node without attributes, which holds nothing to learn"
    return ""


def edge_problem(count: int, ends: Array, both: bool = False) -> str:
    """What is wrong with edges [m, 2], each of which must be there once, or (both) in both directions."""
    strange: Array = np.any((ends < 0) | (ends >= count), axis=1)
    if strange.any():
        return f"edge {edge_name(ends, strange)} names a node that does not exist: nodes are 0 to {count - 1}"
    loops = ends[:, 0] == ends[:, 1]
    if loops.any():
        return f"edge {edge_name(ends, loops)} is a self-loop"
    forward = ends if both else np.sort(ends, 1)
    keys = np.sort(forward[:, 0] * count + forward[:, 1])
    twice = keys[1:] == keys[:-1]
    if twice.any():
        key = int(keys[1:][twice][0])
        return f"edge {key // count}-{key % count} is listed twice: it is a multigraph"
    back = ends[:, 1] * count + ends[:, 0]
    if both and (np.sort(back) != keys).any():
        alone: Array = ~np.isin(back, keys)
        return (
            f"it is directed: the other direction of edge {edge_name(ends, alone)} is not there. List both "
            "(torch_geometric.transforms.ToUndirected())"
        )
    return ""


def edge_name(ends: Array, where: Array) -> str:
    u, v = ends[where][0].tolist()
    return f"{u}-{v}"


def _rows(values: Any, count: int, what: str, owners: str) -> Tensor:
    rows = torch.as_tensor(values)
    if rows.ndim == 0 or len(rows) != count:
        raise DataError(f"{what} has shape {list(rows.shape)} for {count} {owners}: give one row each")
    return rows
