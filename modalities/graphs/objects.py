"""Graphs as `torch_geometric.data.Data`: undirected, simple, both directions of every edge listed.

A tensor whose rows are the nodes is a node attribute, one whose rows are the columns of `edge_index` an edge attribute.
Integers are categories, floating-point numbers are real. `y`, tensors of one row and what is no tensor belong to the
graph as a whole and are left out; a `y` with a row for each node becomes the node attribute `node_y`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]
Names = dict[str, list[Any]]
Signature = frozenset[tuple[str, str, tuple[int, ...]]]

MAX_NODES = 1_000  # the state is dense: n (n - 1) / 2 numbers a graph
LABEL = "y"  # where PyG keeps what belongs to a graph as a whole
_NOT_ATTRIBUTES = ("edge_index", "num_nodes", LABEL)
_TAKEN = ("adj", "adj_t", "batch", "edge_index", "face", "num_nodes", "ptr", LABEL)  # keys that mean something to PyG
_MISSING = object()


@dataclass(frozen=True)
class Parsed:
    """One graph that can be used by itself.

    names: key -> what its integers stand for. edge_keys: which attributes are the edges', None if that is not said.
    order: which column of the given `edge_index` each column comes from; None if attributes are in order already.
    """

    graph: Data
    names: Mapping[str, Sequence[Any]]
    edge_keys: frozenset[str] | None = None
    order: Tensor | None = None


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
    if reason := _edge_problem(num_nodes, ends):
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


def checked(objects: Any, names: Mapping[str, Sequence[Any]] | None = None) -> tuple[list[Data], Names]:
    """Graphs in the form of this module, and the words that their categories stand for.

    objects: a list of PyG `Data` or of networkx graphs, or a PyG data set. names: codes of words that are known
    already; another word is an error. Edges are sorted, booleans become integers, what belongs to a graph as a whole is
    dropped. Raises DataError with the index of the first graph that cannot be used, and the reason.
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
    found, words = joint(parsed, names)
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


def networks(graphs: Sequence[Data], names: Mapping[str, Sequence[Any]] | None = None) -> list[nx.Graph]:
    """`to_networkx` of graphs that belong together: what is an attribute of edges is judged by all of them."""
    nodes, edges = node_keys(graphs), edge_keys(graphs)
    return [_network(graph, nodes, edges, names or {}) for graph in graphs]


def is_networkx(objects: Any) -> bool:
    """Whether these are networkx graphs, judged by the first."""
    return isinstance(next(iter(objects), None), nx.Graph)


def node_keys(graphs: Iterable[Data]) -> list[str]:
    """Names of the attributes of nodes, sorted."""
    return sorted(key for key, place in _places(Parsed(graph, {}) for graph in graphs).items() if place == "node")


def edge_keys(graphs: Iterable[Data]) -> list[str]:
    """Names of the attributes of edges, sorted.

    Only if every graph has as many nodes as columns in `edge_index` the name decides: as in PyG an attribute with
    "edge" in its name is the edges', here also one with "weight" or "bond".
    """
    return sorted(key for key, place in _places(Parsed(graph, {}) for graph in graphs).items() if place == "edge")


def parse(graph: Any) -> Parsed:
    """One graph by itself; raises DataError with the reason when it cannot be used."""
    from torch_geometric.data import Data

    if isinstance(graph, Parsed):
        return graph
    if isinstance(graph, nx.Graph):
        return _from_networkx(graph)
    if isinstance(graph, Data):
        return _from_data(graph)
    raise DataError(f"it is a {type(graph).__name__}: a torch_geometric.data.Data or a networkx.Graph is needed")


def joint(parsed: Sequence[Parsed], names: Mapping[str, Sequence[Any]] | None = None) -> tuple[list[Data | str], Names]:
    """Graphs with the attributes that most of them have, a reason in place of every other, and words of categories.

    names: codes that are known already. Numbers that are whole in some graphs and real in others become real.
    """
    places = _places(parsed)
    reasons = [_misfit(item, places) for item in parsed]
    fit = [item for item, reason in zip(parsed, reasons, strict=True) if not reason]
    usual = {place: _usual(fit, places, place) for place in ("node", "edge")}
    reasons = [reason or _odd(item, places, usual) for item, reason in zip(parsed, reasons, strict=True)]
    kept = [item for item, reason in zip(parsed, reasons, strict=True) if not reason]
    words = _words(kept, names or {})
    real = {key for item in kept for key in places if key in item.graph and item.graph[key].is_floating_point()}
    found = [
        reason or _finished(item, places, usual["edge"], words, real)
        for item, reason in zip(parsed, reasons, strict=True)
    ]
    graphs = [graph for graph in found if not isinstance(graph, str)]
    expected = sorted(key for key, place in places.items() if place == "edge")
    if graphs and (lost := set(expected) ^ set(edge_keys(graphs))):
        key = min(lost)
        reason = (
            f"edge attribute {key!r} cannot be told from a node attribute, as there are as many nodes as directions "
            f"of edges: call it 'edge_{key}'"
        )
        return [graph if isinstance(graph, str) else reason for graph in found], {}
    return found, words


def size_problem(nodes: int, attributes: bool = True) -> str:
    """Why a graph with so many nodes cannot be used, "" if it can be."""
    if nodes == 0:
        return "it has no nodes"
    if nodes > MAX_NODES:
        return f"it has {nodes} nodes; at most {MAX_NODES} are allowed, because the state is dense"
    if nodes == 1 and not attributes:
        return "it has one node without attributes, which holds nothing to learn"
    return ""


def _from_networkx(graph: nx.Graph) -> Parsed:
    if graph.is_directed():
        raise DataError("it is directed: make it undirected first (networkx: graph.to_undirected())")
    if graph.is_multigraph():
        raise DataError("it is a multigraph: make it simple first (networkx.Graph(graph))")
    if reason := size_problem(len(graph)):
        raise DataError(reason)
    index = {node: i for i, node in enumerate(graph)}
    links = list(graph.edges(data=True))
    for u, v, _ in links:
        if u == v:
            raise DataError(f"edge {u!r}-{v!r} is a self-loop")
    nodes = _columns([row for _, row in graph.nodes(data=True)], "node", [repr(node) for node in graph])
    edges = _columns([row for *_, row in links], "edge", [f"{u!r}-{v!r}" for u, v, _ in links])
    edges = {f"edge_{key}" if key in nodes else key: column for key, column in edges.items()}
    if not nodes and (reason := size_problem(len(graph), attributes=False)):
        raise DataError(reason)
    ends = np.array([(index[u], index[v]) for u, v, _ in links], dtype=np.int64).reshape(-1, 2)
    values, rows = ({key: column for key, (column, _) in columns.items()} for columns in (nodes, edges))
    names = {key: words for key, (_, words) in (nodes | edges).items() if words}
    return Parsed(simple(len(index), ends, values, rows), names, frozenset(edges))


def _columns(
    rows: Sequence[Mapping[Any, Any]], kind: str, owners: Sequence[str]
) -> dict[str, tuple[Tensor, list[Any]]]:
    """Key -> values and words of every attribute, that all rows must have."""
    columns = {}
    for key in {key: None for row in rows for key in row}:
        values = [row.get(key, _MISSING) for row in rows]
        name = str(key)
        safe = f"{kind}_{name}" if _is_taken(name) else name
        columns[safe] = _column(values, f"{kind} attribute {name!r}", [f"{kind} {owner}" for owner in owners])
    return columns


def _is_taken(key: str) -> bool:
    from torch_geometric.data import Data

    known = ("x", "pos", "edge_attr", "edge_weight", "time", "size")
    return key in _TAKEN or key.startswith("_") or (hasattr(Data, key) and key not in known)


def _column(values: Sequence[Any], what: str, owners: Sequence[str]) -> tuple[Tensor, list[Any]]:
    kinds = [_kind(value) for value in values]
    known = set(kinds)
    if known == {"integer", "real"}:
        known = {"real"}
    if len(known) > 1 or not known <= {"word", "boolean", "integer", "real", "vector"}:
        usual = Counter(kinds).most_common(1)[0][0]
        place = next(i for i, kind in enumerate(kinds) if kind != usual or kind.startswith("no "))
        if kinds[place] == "missing" or usual == "missing":
            place = kinds.index("missing")
            raise DataError(f"{what} is missing at {owners[place]}: every one must have it, or none")
        raise DataError(
            f"{what} is {kinds[place]} at {owners[place]}, elsewhere {usual}: give words, booleans, whole numbers, "
            "numbers or vectors of numbers, of one kind"
        )
    kind = known.pop()
    if kind in ("word", "boolean"):
        words: list[Any] = sorted({bool(value) if kind == "boolean" else str(value) for value in values})
        code = {word: i for i, word in enumerate(words)}
        return torch.tensor([code[value] for value in values]), words
    try:
        array = np.array([np.asarray(value) for value in values] if kind == "vector" else values)
        if kind == "vector" and (array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "biuf"):
            raise ValueError
        whole = kind == "integer" or (kind == "vector" and array.shape[1] == 1 and array.dtype.kind in "iu")
        with np.errstate(over="ignore"):
            column = torch.from_numpy(array.astype(np.int64 if whole else np.float32))
        if whole and array.dtype.kind not in "iu":
            raise OverflowError
    except ValueError:
        raise DataError(f"{what} does not hold vectors of one length, of numbers") from None
    except (OverflowError, TypeError):
        raise DataError(f"{what} holds a number that is too large") from None
    if not bool(column.isfinite().all()):
        place = int((~column.reshape(len(column), -1).isfinite().all(1)).nonzero()[0])
        raise DataError(f"{what} is {values[place]} at {owners[place]}: it must be finite, as a 32-bit number")
    return column, []


def _kind(value: Any) -> str:
    if value is _MISSING:
        return "missing"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, str):
        return "word"
    if isinstance(value, int | np.integer):
        return "integer"
    if isinstance(value, float | np.floating):
        return "real"
    if isinstance(value, list | tuple | np.ndarray | Tensor):
        return "vector"
    return f"no number ({type(value).__name__})"


def _from_data(graph: Data) -> Parsed:
    from torch_geometric.data import Data

    index, count = graph.edge_index, _num_nodes(graph)
    whole = isinstance(index, Tensor) and (index.dtype in (torch.int64, torch.int32) or index.numel() == 0)
    if not whole or index.shape[:-1] != (2,):
        given = f"of shape {list(index.shape)} and type {index.dtype}" if isinstance(index, Tensor) else "missing"
        raise DataError(f"its edge_index is {given}: it must be integers [2, edges]")
    ends: Array = index.detach().cpu().long().numpy()
    if reason := size_problem(count) or _edge_problem(count, ends.T, both=True):
        raise DataError(reason)
    keys = ends[0] * count + ends[1]
    order = None if bool((keys[1:] > keys[:-1]).all()) else keys.argsort()
    clean = Data(edge_index=torch.from_numpy(ends if order is None else ends[:, order]), num_nodes=count)
    for key, value in graph.stores[0].items():
        if key == LABEL and np.shape(value)[:1] == (count,) and count > 1:
            key = f"node_{LABEL}"
        if key not in _NOT_ATTRIBUTES and isinstance(value, np.ndarray | Tensor):
            values = _numbers(value, key)
            if not any(_fits(values, count, ends.shape[1])):
                raise DataError(
                    f"attribute {key!r} has shape {list(values.shape)}: it must have a row for each of the {count} "
                    f"nodes, or for each of the {ends.shape[1]} columns of edge_index"
                )
            clean[key] = values
    return Parsed(clean, {}, None, None if order is None else torch.from_numpy(order))


def _items(graph: Data) -> Iterator[tuple[str, Any]]:
    """What a graph holds beside its nodes and edges and its label."""
    return ((key, value) for key, value in graph.stores[0].items() if key not in _NOT_ATTRIBUTES)


def _num_nodes(graph: Data) -> int:
    if isinstance(graph.stores[0].get("num_nodes"), int):
        return int(graph.num_nodes or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the number is inferred
        try:
            return int(graph.num_nodes or 0)
        except Exception as error:  # whatever is under the keys that PyG infers the number from
            raise DataError("its number of nodes cannot be found: set num_nodes") from error


def _numbers(value: Any, key: str) -> Tensor:
    try:
        tensor = torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError) as error:
        raise DataError(f"attribute {key!r} is no array of numbers") from error
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
        raise DataError(f"attribute {key!r} is sparse, complex or quantised: give plain real numbers or integers")
    if not tensor.is_floating_point():
        return tensor.long()
    if not bool(tensor.isfinite().all()):
        raise DataError(f"attribute {key!r} has values that are NaN or infinite")
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _edge_problem(count: int, ends: Array, both: bool = False) -> str:
    """What is wrong with edges [m, 2], each of which must be there once, or (both) in both directions."""
    strange: Array = np.any((ends < 0) | (ends >= count), axis=1)
    if strange.any():
        return f"edge {_edge(ends, strange)} names a node that does not exist: nodes are 0 to {count - 1}"
    loops = ends[:, 0] == ends[:, 1]
    if loops.any():
        return f"edge {_edge(ends, loops)} is a self-loop"
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
            f"it is directed: the other direction of edge {_edge(ends, alone)} is not there. List both "
            "(torch_geometric.transforms.ToUndirected())"
        )
    return ""


def _edge(ends: Array, where: Array) -> str:
    u, v = ends[where][0].tolist()
    return f"{u}-{v}"


def _rows(values: Any, count: int, what: str, owners: str) -> Tensor:
    rows = torch.as_tensor(values)
    if rows.ndim == 0 or len(rows) != count:
        raise DataError(f"{what} has shape {list(rows.shape)} for {count} {owners}: give one row each")
    return rows


def _fits(values: Tensor, nodes: int, columns: int) -> tuple[bool, bool, bool]:
    """Whether values could be of the nodes, of the edges, of the graph as a whole."""
    if values.ndim == 0:
        return False, False, True
    rows = len(values)
    return rows == nodes, rows == columns, rows == 1


def _places(parsed: Iterable[Parsed]) -> dict[str, str]:
    """Key -> "node", "edge" or "graph", whichever fits the most graphs."""
    votes: dict[str, list[int]] = {}
    for item in parsed:
        graph = item.graph
        count, columns = int(graph.num_nodes or 0), graph.edge_index.shape[1]
        for key, value in _items(graph):
            if not isinstance(value, Tensor):
                continue
            fits = _fits(value, count, columns)
            if item.edge_keys is not None:
                fits = (key not in item.edge_keys, key in item.edge_keys, False)
            tally = votes.setdefault(key, [0, 0, 0])
            for place, fit in enumerate(fits):
                tally[place] += fit
    return {key: _place(key, tally) for key, tally in votes.items()}


def _place(key: str, tally: Sequence[int]) -> str:
    places = ["node", "edge", "graph"]
    if any(word in key for word in ("edge", "weight", "bond")):
        places = ["edge", "node", "graph"]
    count = dict(zip(("node", "edge", "graph"), tally, strict=True))
    return max(places, key=lambda place: count[place])  # the first of the best


def _misfit(item: Parsed, places: Mapping[str, str]) -> str:
    """What is wrong with the rows of an attribute, now that it is known what they stand for."""
    graph = item.graph
    count, columns = int(graph.num_nodes or 0), graph.edge_index.shape[1]
    attributed = False
    for key, value in _items(graph):
        place = places.get(key)
        if place not in ("node", "edge"):
            continue
        attributed |= place == "node"
        wanted = count if place == "node" else columns
        said = item.edge_keys is None or (key in item.edge_keys) == (place == "edge")
        if not said or value.ndim == 0 or len(value) != wanted:
            return f"{place} attribute {key!r} has shape {list(value.shape)}: a row for each of {wanted} is needed"
        if (
            value.ndim > 2
            or 0 in value.shape[1:]
            or (value.ndim == 2 and not value.is_floating_point() and value.shape[1] > 1)
        ):
            return (
                f"{place} attribute {key!r} has rows of shape {list(value.shape[1:])} and type {value.dtype}: give one "
                "category (integer) each, or a number or a vector of floating-point numbers"
            )
        if place == "edge" and (edge := _one_way(graph, _ordered(value, item.order))):
            return f"edge attribute {key!r} differs between the two directions of edge {edge}"
    return size_problem(count, attributed)


def _ordered(values: Tensor, order: Tensor | None) -> Tensor:
    return values if order is None else values[order]


def _one_way(graph: Data, values: Tensor) -> str:
    """An edge whose directions have different values, "" if there is none."""
    low, high = graph.edge_index.numpy()
    back = (high * int(graph.num_nodes or 0) + low).argsort()
    rows = values.numpy()
    different: Array = rows != rows[back] if rows.ndim == 1 else (rows != rows[back]).any(1)
    return _edge(graph.edge_index.T.numpy(), different) if different.any() else ""


def _signature(item: Parsed, places: Mapping[str, str], place: str) -> Signature:
    return frozenset(
        (key, _sort(item, key, value), tuple(value.shape[1:]))
        for key, value in _items(item.graph)
        if places.get(key) == place
    )


def _sort(item: Parsed, key: str, value: Tensor) -> str:
    if key in item.names:
        return "booleans" if isinstance(item.names[key][0], bool) else "words"
    return "numbers" if value.ndim == 1 else "integers" if not value.is_floating_point() else "vectors"


def _usual(parsed: Sequence[Parsed], places: Mapping[str, str], place: str) -> Signature:
    """The attributes that most graphs have; graphs without edges say nothing of those of edges."""
    telling = [item for item in parsed if place == "node" or item.graph.edge_index.shape[1]] or list(parsed)
    counts = Counter(_signature(item, places, place) for item in telling)
    return counts.most_common(1)[0][0] if counts else frozenset()


def _odd(item: Parsed, places: Mapping[str, str], usual: Mapping[str, Signature]) -> str:
    for place in ("node", "edge"):
        if place == "edge" and not item.graph.edge_index.shape[1]:
            continue
        own = _signature(item, places, place)
        if own != usual[place]:
            return f"its attributes of {place}s are {_described(own)}, those of most graphs {_described(usual[place])}"
    return ""


def _described(signature: Signature) -> str:
    parts = [f"{key!r} ({sort}{f' of {shape[0]}' if shape else ''})" for key, sort, shape in sorted(signature)]
    return ", ".join(parts) or "none"


def _words(kept: Sequence[Parsed], names: Mapping[str, Sequence[Any]]) -> Names:
    """Key -> words in the order of their codes, which are kept where all graphs agree on them already."""
    lists: dict[str, set[tuple[Any, ...]]] = {}
    for item in kept:
        for key, words in item.names.items():
            lists.setdefault(key, set()).add(tuple(words))
    found = {}
    for key, given in lists.items():
        known = next(iter(given)) if len(given) == 1 else sorted({word for words in given for word in words})
        found[key] = list(names.get(key, known))
    return found


def _finished(
    item: Parsed, places: Mapping[str, str], usual: Signature, words: Mapping[str, list[Any]], real: set[str]
) -> Data | str:
    from torch_geometric.data import Data

    graph = item.graph
    done = Data(edge_index=graph.edge_index, num_nodes=graph.num_nodes)
    for key, value in _items(graph):
        if places.get(key) not in ("node", "edge"):
            continue
        if key in item.names and list(item.names[key]) != words[key]:
            code = {word: i for i, word in enumerate(words[key])}
            codes = torch.tensor([code.get(word, -1) for word in item.names[key]])[value]
            if bool((codes < 0).any()):
                word = item.names[key][int(value[codes < 0][0])]
                return f"{places[key]} attribute {key!r} is {word!r}: known are {', '.join(map(repr, words[key]))}"
            value = codes
        if key in real:
            value = value if value.is_floating_point() else value.float()
        done[key] = _ordered(value, item.order) if places[key] == "edge" else value
    if not graph.edge_index.shape[1]:
        for key, _, shape in usual:
            dtype = torch.float32 if key in real else torch.int64
            done[key] = torch.zeros(0, *shape, dtype=dtype)
    return done


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
