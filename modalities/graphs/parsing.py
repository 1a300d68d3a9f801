"""One graph as users have it, PyG's or networkx', to one of the form of `objects`, by itself."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from modalities.graphs.simple import Array, edge_problem, simple, size_problem
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data

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
    if reason := size_problem(count) or edge_problem(count, ends.T, both=True):
        raise DataError(reason)
    keys = ends[0] * count + ends[1]
    order = None if bool((keys[1:] > keys[:-1]).all()) else keys.argsort()
    clean = Data(edge_index=torch.from_numpy(ends if order is None else ends[:, order]), num_nodes=count)
    for key, value in graph.stores[0].items():
        if key == LABEL and np.shape(value)[:1] == (count,) and count > 1:
            key = f"node_{LABEL}"
        if key not in _NOT_ATTRIBUTES and isinstance(value, np.ndarray | Tensor):
            values = _numbers(value, key)
            if not any(row_fits(values, count, ends.shape[1])):
                raise DataError(
                    f"attribute {key!r} has shape {list(values.shape)}: it must have a row for each of the {count} "
                    f"nodes, or for each of the {ends.shape[1]} columns of edge_index"
                )
            clean[key] = values
    return Parsed(clean, {}, None, None if order is None else torch.from_numpy(order))


def items(graph: Data) -> Iterator[tuple[str, Any]]:
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


def row_fits(values: Tensor, nodes: int, columns: int) -> tuple[bool, bool, bool]:
    """Whether values could be of the nodes, of the edges, of the graph as a whole."""
    if values.ndim == 0:
        return False, False, True
    rows = len(values)
    return rows == nodes, rows == columns, rows == 1
