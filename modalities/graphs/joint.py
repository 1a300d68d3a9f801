"""Graphs that belong together: what is an attribute of nodes and what of edges, and which graphs do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modalities.graphs.parsing import Parsed, items, row_fits
from modalities.graphs.simple import Array, edge_name, size_problem

if TYPE_CHECKING:
    from torch_geometric.data import Data

Names = dict[str, list[Any]]
Signature = frozenset[tuple[str, str, tuple[int, ...]]]


def node_keys(graphs: Iterable[Data]) -> list[str]:
    """Names of the attributes of nodes, sorted."""
    return _keys(graphs, "node")


def edge_keys(graphs: Iterable[Data]) -> list[str]:
    """Names of the attributes of edges, sorted.

    Only if every graph has as many nodes as columns in `edge_index` the name decides: as in PyG an attribute with
    "edge" in its name is the edges', here also one with "weight" or "bond".
    """
    return _keys(graphs, "edge")


def _keys(graphs: Iterable[Data], wanted: str) -> list[str]:
    places = attribute_places(Parsed(graph, {}) for graph in graphs)
    return sorted(key for key, place in places.items() if place == wanted)


def joint(
    parsed: Sequence[Parsed], names: Mapping[str, Sequence[Any]] | None = None, known: Mapping[str, str] | None = None
) -> tuple[list[Data | str], Names]:
    """Graphs with the attributes that most of them have, a reason in place of every other, and words of categories.

    names: codes that are known already; known: attribute -> "node" or "edge", the others are judged. Numbers that are
    whole in some graphs and real in others become real.
    """
    places = attribute_places(parsed) | dict(known or {})
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
    if graphs and (lost := (set(expected) ^ set(edge_keys(graphs))) - set(known or {})):
        key = min(lost)
        reason = (
            f"edge attribute {key!r} cannot be told from a node attribute, as there are as many nodes as directions "
            f"of edges: call it 'edge_{key}'"
        )
        return [graph if isinstance(graph, str) else reason for graph in found], {}
    return found, words


def attribute_places(parsed: Iterable[Parsed]) -> dict[str, str]:
    """Key -> "node", "edge" or "graph", whichever fits the most graphs."""
    votes: dict[str, list[int]] = {}
    for item in parsed:
        graph = item.graph
        count, columns = int(graph.num_nodes or 0), graph.edge_index.shape[1]
        for key, value in items(graph):
            if not isinstance(value, Tensor):
                continue
            fits = row_fits(value, count, columns)
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
    for key, value in items(graph):
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
    return edge_name(graph.edge_index.T.numpy(), different) if different.any() else ""


def _signature(item: Parsed, places: Mapping[str, str], place: str) -> Signature:
    return frozenset(
        (key, _sort(item, key, value), tuple(value.shape[1:]))
        for key, value in items(item.graph)
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
    for key, value in items(graph):
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
