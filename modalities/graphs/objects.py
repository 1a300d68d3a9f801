"""Graphs as `torch_geometric.data.Data`: undirected, simple, both directions of every edge listed.

A tensor whose rows are the nodes is a node attribute, one whose rows are the columns of `edge_index` an edge attribute.
Integers are categories, floating-point numbers are real. `y`, tensors of one row and what is no tensor belong to the
graph as a whole and are left out; a `y` with a row for each node becomes the node attribute `node_y`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import torch
from torch import Tensor

from modalities.graphs.joint import Names, edge_keys, joint, node_keys
from modalities.graphs.parsing import parse
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data


def problem(graph: Data | nx.Graph) -> str:
    """Why a graph cannot be used, "" if it can be.

    It must be undirected and simple and have 1 to MAX_NODES nodes, at least 2 if they have no attribute; an attribute
    must have a value for each node or edge, the same in both directions of an edge, and be finite.
    """
    try:
        (found,), _ = joint([parse(graph)])
    except DataError as error:
        return str(error)
    return found if isinstance(found, str) else ""


def checked(
    objects: Any, names: Mapping[str, Sequence[Any]] | None = None, places: Mapping[str, str] | None = None
) -> tuple[list[Data], Names]:
    """Graphs in the form of this module, and the words that their categories stand for.

    objects: a list of PyG `Data` or of networkx graphs, or a PyG data set. names: codes of words that are known
    already; another word is an error. places: attribute -> "node" or "edge" where that is known. Edges are sorted,
    booleans become integers, what belongs to a graph as a whole is dropped. Raises DataError with the index of the
    first graph that cannot be used, and the reason.
    """
    from torch_geometric.data import Data

    if isinstance(objects, nx.Graph | Data | str) or not (
        hasattr(objects, "__iter__") or hasattr(objects, "__getitem__")
    ):
        raise DataError(f"a list of graphs is needed, not a single {type(objects).__name__}: put it in a list")
    parsed = []
    for index, graph in enumerate(objects):
        try:
            parsed.append(parse(graph))
        except DataError as error:
            raise DataError(f"graph {index}: {error}") from error
    found, words = joint(parsed, names, places)
    graphs = []
    for index, graph in enumerate(found):
        if isinstance(graph, str):
            raise DataError(f"graph {index}: {graph}")
        graphs.append(graph)
    return graphs, words


def from_networkx(graphs: Iterable[nx.Graph]) -> tuple[list[Data], Names]:
    """Graphs and the words of their categories: names[key][code] is the word.

    Nodes are numbered in the graph's own order. An attribute must be on every node (every edge) of every graph: whole
    numbers are categories as they are, words and booleans are numbered in sorted order, floats and sequences of numbers
    are float32 (a sequence of one whole number: a category, [n, 1]). If nodes have an attribute of the same name, or if
    the name means something to PyG, "node_" or "edge_" is put before it. Raises DataError as `checked` does.
    """
    return checked(graphs)


def to_networkx(graph: Data, names: Mapping[str, Sequence[Any]] | None = None) -> nx.Graph:
    """The inverse of `from_networkx`: nodes 0, 1, ..., attributes as Python numbers, lists and words."""
    (network,) = networks([graph], names)
    return network


def networks(
    graphs: Sequence[Data],
    names: Mapping[str, Sequence[Any]] | None = None,
    keys: tuple[Sequence[str], Sequence[str]] | None = None,
) -> list[nx.Graph]:
    """`to_networkx` of graphs that belong together.

    keys: names of the attributes of nodes, and of edges; None: judged by all of the graphs.
    """
    nodes, edges = (node_keys(graphs), edge_keys(graphs)) if keys is None else keys
    return [_network(graph, nodes, edges, names or {}) for graph in graphs]


def is_networkx(objects: Any) -> bool:
    """Whether these are networkx graphs, judged by the first."""
    return isinstance(next(iter(objects), None), nx.Graph)


def _network(graph: Data, nodes: Sequence[str], edges: Sequence[str], names: Mapping[str, Sequence[Any]]) -> nx.Graph:
    count = int(graph.num_nodes or 0)
    network = nx.Graph()
    network.add_nodes_from(range(count))
    for key in nodes:
        for node, value in enumerate(_scalars(graph[key], key, names)):
            network.nodes[node][key] = value
    once = graph.edge_index[0] < graph.edge_index[1]
    ends = graph.edge_index[:, once].T.tolist()
    network.add_edges_from(ends)
    for key in edges:
        for (u, v), value in zip(ends, _scalars(graph[key][once], key, names), strict=True):
            network.edges[u, v][key] = value
    return network


def _scalars(values: Tensor, key: str, names: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Python numbers, the shortest that round to the same; words where there are any."""
    if key in names and not values.is_floating_point():
        words = names[key]
        codes = values.reshape(-1).tolist()
        if codes and not 0 <= min(codes) <= max(codes) < len(words):
            raise DataError(
                f"attribute {key!r} has the category {max(codes)}, but there are names for {len(words)} only"
            )
        return [words[code] for code in codes]
    if values.dtype != torch.float32:
        return list(values.tolist())
    if values.ndim == 1:
        return [float(str(value)) for value in values.numpy()]
    return [[float(str(value)) for value in row] for row in values.numpy()]
