"""Graphs in PyTorch files: plain tensors as written here, PyG objects and data sets, SPECTRE's adjacencies.

Nothing is unpickled but tensors, plain containers and PyG's own containers of tensors.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from modalities.graphs.joint import edge_keys, node_keys
from modalities.graphs.parsing import LABEL, Parsed, parse
from modalities.graphs.simple import simple, size_problem
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data

Item = tuple[str, Any, Any]


def read(path: Path) -> Iterator[Item]:
    """Record, graph or reason, label or None, of every graph in the file."""
    content = _load(path)
    try:
        yield from _graphs(content, path)
    except DataError:
        raise
    except Exception as error:  # PyG raises many types on what is not consistent
        raise DataError(f"{path} does not hold consistent graphs ({type(error).__name__}: {error}).") from error


def write(path: Path, graphs: Sequence[Data], labels: Any, names: Mapping[str, Sequence[Any]]) -> None:
    """All graphs as one dictionary of tensors, each attribute of all graphs one after the other.

    num_nodes [g]; ptr [g + 1], where each graph begins in edge_index [2, all edges], whose nodes are numbered within
    their graph; "node" and "edge", name -> attribute; "y", labels as a tensor or a list of words; "names", words of
    categories.
    """
    counts = [int(graph.num_nodes or 0) for graph in graphs]
    columns = np.cumsum([0, *(graph.edge_index.shape[1] for graph in graphs)])
    content: dict[str, Any] = {
        "num_nodes": torch.tensor(counts),
        "ptr": torch.from_numpy(columns),
        "edge_index": torch.cat([graph.edge_index for graph in graphs], 1),
        "node": {key: torch.cat([graph[key] for graph in graphs]) for key in node_keys(graphs)},
        "edge": {key: torch.cat([graph[key] for graph in graphs]) for key in edge_keys(graphs)},
        "names": {key: list(words) for key, words in names.items()},
    }
    if labels is not None:
        content[LABEL] = labels.tolist() if labels.dtype.kind == "U" else torch.from_numpy(labels)
    torch.save(content, path)


def _load(path: Path) -> Any:
    from torch_geometric.data import Data
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import AttrType, GlobalStorage

    allowed = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage, AttrType, defaultdict, set]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises many types on damaged or foreign files
        reason = str(error).strip().splitlines()
        told = next((line for line in reason if "GLOBAL" in line or "global" in line), reason[0] if reason else "")
        raise DataError(
            f"cannot read {path} as a PyTorch file of graphs ({told[:200] or type(error).__name__}). It must be whole "
            "and hold PyG Data, a list of them, (data, slices) of an InMemoryDataset, or a dictionary of tensors. "
            "Other objects could run a program and are not loaded. Save your own with torch.save([Data(...)], path)."
        ) from error


def _graphs(content: Any, path: Path) -> Iterator[Item]:
    from torch_geometric.data import Data

    if isinstance(content, dict) and "ptr" in content and isinstance(content.get("num_nodes"), Tensor):
        yield from _own(content, path)
    elif isinstance(content, dict) and "edge_index" in content:
        yield "", *_labelled(Data.from_dict(content))
    elif isinstance(content, Data):
        yield "", *_labelled(content)
    elif _is_collated(content):
        data = Data.from_dict(content[0]) if isinstance(content[0], dict) else content[0]
        yield from _collated(data, content[1])
    elif isinstance(content, list | tuple) and content and all(isinstance(entry, Data | dict) for entry in content):
        for index, entry in enumerate(content):
            yield f"index {index}", *_labelled(Data.from_dict(entry) if isinstance(entry, dict) else entry)
    elif (matrices := _matrices(content)) is not None:
        for index, matrix in enumerate(matrices):
            yield f"index {index}", _from_matrix(matrix), None
    else:
        kind = f"{type(content).__name__} of {len(content)}" if hasattr(content, "__len__") else type(content).__name__
        raise DataError(
            f"{path} holds no graphs (a {kind}): give PyG Data, a list of them, (data, slices) of an InMemoryDataset, "
            "or a list of adjacency matrices."
        )


def _is_collated(content: Any) -> bool:
    """Whether this is what `InMemoryDataset.save` writes: data, slices and perhaps a class."""
    from torch_geometric.data import Data

    if not isinstance(content, tuple) or len(content) not in (2, 3) or not isinstance(content[0], Data | dict):
        return False
    slices = content[1]
    return slices is None or (isinstance(slices, dict) and all(isinstance(s, Tensor) for s in slices.values()))


def _collated(data: Data, slices: Mapping[str, Tensor] | None) -> Iterator[Item]:
    from torch_geometric.data import Data
    from torch_geometric.data.separate import separate

    if slices is None:
        yield "", *_labelled(data)
        return
    for index in range(len(slices["edge_index"]) - 1):
        try:
            graph = separate(cls=Data, batch=data, idx=index, slice_dict=slices, decrement=False)
        except Exception as error:  # slices that do not fit what they slice
            yield f"index {index}", f"its slices do not fit ({type(error).__name__}: {error})", None
            continue
        yield f"index {index}", *_labelled(graph)


def _own(content: Mapping[str, Any], path: Path) -> Iterator[Item]:
    from torch_geometric.data import Data

    counts, ptr, index = (content[key] for key in ("num_nodes", "ptr", "edge_index"))
    nodes, edges = content.get("node", {}), content.get("edge", {})
    names, labels = content.get("names", {}), content.get(LABEL)
    columns = (ptr[1:] - ptr[:-1]).tolist()
    if (
        min([*columns, *counts.tolist(), 0]) < 0
        or len(columns) != len(counts)
        or (labels is not None and len(labels) != len(counts))
        or any(len(value) != int(counts.sum()) for value in nodes.values())
        or any(len(value) != index.shape[1] for value in edges.values())
        or sum(columns) != index.shape[1]
        or not all(isinstance(words, list) and words for words in names.values())
    ):
        raise DataError(f"{path} is damaged: its tensors are not of one length.")
    split_nodes = {key: value.split(counts.tolist()) for key, value in nodes.items()}
    split_edges = {key: value.split(columns) for key, value in edges.items()}
    words = {key: value for key, value in names.items() if key in nodes or key in edges}
    for number, (count, part) in enumerate(zip(counts.tolist(), index.split(columns, 1), strict=True)):
        graph = Data(edge_index=part, num_nodes=count)
        for key, values in (split_nodes | split_edges).items():
            graph[key] = values[number]
        label = None if labels is None else labels[number]
        yield f"index {number}", _named(graph, words, frozenset(edges)), _value(label)


def _named(graph: Data, names: Mapping[str, Sequence[Any]], edges: frozenset[str]) -> Parsed | str:
    try:
        parsed = parse(graph)
    except DataError as error:
        return str(error)
    for key, words in names.items():
        codes = parsed.graph[key]
        if codes.is_floating_point() or (len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(words)):
            return f"attribute {key!r} has categories without a name: there are names for {len(words)}"
    return replace(parsed, names=names, edge_keys=edges)


def _labelled(graph: Data) -> tuple[Data, Any]:
    """The graph and what its `y` says of it as a whole."""
    y = graph.stores[0].get(LABEL)
    if isinstance(y, Tensor) and y.ndim and len(y) != 1:  # of nodes, unless it is a vector of another length
        y = y if y.ndim == 1 and y.is_floating_point() and len(y) != graph.num_nodes else None
    return graph, _value(y)


def _value(label: Any) -> Any:
    if not isinstance(label, Tensor):
        return label if isinstance(label, str | int | float) else None
    return label.item() if label.numel() == 1 and label.ndim < 2 else label.flatten().float().tolist()


def _matrices(content: Any) -> list[Tensor] | None:
    """Adjacencies as in SPECTRE's files, [adjacencies, eigenvalues, ...], or by themselves."""
    for found in (content[0] if isinstance(content, list | tuple) and content else None, content):
        if isinstance(found, list | tuple) and found and all(isinstance(m, Tensor) and m.ndim == 2 for m in found):
            return list(found)
    return None


def _from_matrix(matrix: Tensor) -> Data | str:
    if matrix.shape[0] != matrix.shape[1]:
        return f"its adjacency has shape {list(matrix.shape)}: it must be square"
    if reason := size_problem(len(matrix)):
        return reason
    if not bool(((matrix == 0) | (matrix == 1)).all()):
        return "its adjacency has entries other than 0 and 1"
    if not torch.equal(matrix, matrix.T):
        return "its adjacency is not symmetric: the graph is directed"
    if bool(matrix.diagonal().any()):
        return "its adjacency has a self-loop on the diagonal"
    return simple(len(matrix), torch.triu(matrix).nonzero())
