"""Folders of the TU collection (Morris et al., arXiv 2007.08663): NAME_A.txt, NAME_graph_indicator.txt and others.

Node labels become the attribute `node_label`, node attributes `x`, edge labels `edge_label`, edge attributes
`edge_attr`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pfgm_science.errors import DataError

Array = np.ndarray[Any, Any]

_PARTS = {
    "node_labels": ("node_label", np.int64),
    "node_attributes": ("x", np.float32),
    "edge_labels": ("edge_label", np.int64),
    "edge_attributes": ("edge_attr", np.float32),
}


def prefix(folder: Path) -> Path | None:
    """FOLDER/NAME or FOLDER/raw/NAME if there are files of a TU data set, else None."""
    for place in (folder, folder / "raw"):
        for path in sorted(place.glob("*_A.txt")):
            name = path.with_name(path.name.removesuffix("_A.txt"))
            if _file(name, "graph_indicator").is_file():
                return name
    return None


def read(name: Path) -> Iterator[tuple[str, Any, Any]]:
    """Record, graph and label or None, of every graph; raises DataError where files do not fit together."""
    from torch_geometric.data import Data

    indicator = _table(_file(name, "graph_indicator"), np.int64)[:, 0]
    ends = _table(_file(name, "A"), np.int64, 2) - 1
    if ends.size and not 0 <= ends.min() <= ends.max() < len(indicator):
        raise DataError(f"{_file(name, 'A')} names a node that does not exist: there are {len(indicator)}, from 1.")
    numbers, count = np.unique(indicator, return_counts=True)
    order = np.argsort(indicator, kind="stable")  # the nodes of each graph together
    first = np.concatenate([[0], np.cumsum(count)])
    within = np.empty(len(indicator), np.int64)
    within[order] = np.arange(len(indicator)) - np.repeat(first[:-1], count)
    graph_of = np.searchsorted(numbers, indicator)
    edge_order = np.argsort(graph_of[ends[:, 0]], kind="stable")
    edge_first = np.searchsorted(graph_of[ends[:, 0]][edge_order], np.arange(len(numbers) + 1))
    attributes = {}
    for part, (key, kind) in _PARTS.items():
        if _file(name, part).is_file():
            rows, places = (len(ends), edge_order) if part.startswith("edge") else (len(indicator), order)
            values = _rows(_file(name, part), kind, rows)[places]
            values = values[:, 0] if values.shape[1] == 1 and kind is np.int64 else values
            attributes[key] = (values, edge_first if part.startswith("edge") else first)
    labels = _labels(name, len(numbers))
    for i, number in enumerate(numbers.tolist()):
        place, label = f"graph {number}", None if labels is None else labels[i]
        pairs = ends[edge_order[edge_first[i] : edge_first[i + 1]]]
        if (graph_of[pairs[:, 1]] != i).any():
            yield place, "an edge leads to a node of another graph", None
            continue
        graph = Data(edge_index=torch.from_numpy(within[pairs].T.copy()), num_nodes=int(count[i]))
        for key, (values, starts) in attributes.items():
            graph[key] = torch.from_numpy(values[starts[i] : starts[i + 1]].copy())
        yield place, graph, label


def _labels(name: Path, count: int) -> list[Any] | None:
    for part, kind in (("graph_labels", np.int64), ("graph_attributes", np.float64)):
        if _file(name, part).is_file():
            values = _rows(_file(name, part), kind, count)
            return list((values[:, 0] if kind is np.int64 else values).tolist())
    return None


def _file(name: Path, part: str) -> Path:
    return name.with_name(f"{name.name}_{part}.txt")


def _rows(path: Path, kind: Any, count: int) -> Array:
    values = _table(path, kind)
    if len(values) != count:
        raise DataError(f"{path} has {len(values)} lines for {count}: one each is needed.")
    return values


def _table(path: Path, kind: Any, columns: int = 0) -> Array:
    try:
        values: Array = np.loadtxt(path, dtype=np.float64, delimiter=",", ndmin=2, comments=None)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no table of numbers ({error}).") from error
    if values.size == 0:
        values = values.reshape(0, columns or 1)
    whole = kind is not np.int64 or bool(
        (np.isfinite(values) & (values == np.rint(values)) & (abs(values) < 2**53)).all()
    )
    if not whole or (columns and values.shape[1] != columns):
        raise DataError(f"{path} must hold {f'{columns} ' if columns else ''}whole numbers a line.")
    return values.astype(kind)
