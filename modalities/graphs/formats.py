"""Read and write graphs: graph6, edge lists, GraphML, node-link JSON, PyTorch and PyG files, TU folders, molecules.

Objects are `torch_geometric.data.Data` as in `modalities.graphs.objects`; the words that categories stand for are in
`Dataset.details["names"]`. What cannot be used is left out and named in `Dataset.rejected`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from modalities.graphs.files import edgelist, graph6, graphml, nodelink, tensors, tudataset
from modalities.graphs.joint import edge_keys, joint, node_keys
from modalities.graphs.objects import checked, networks
from modalities.graphs.parsing import LABEL, Parsed, parse
from pfgm_science.data import Dataset, checked_labels, nothing_usable
from pfgm_science.errors import BadRecord, ConfigError, DataError
from pfgm_science.files import new_folder, reading, replacing, walk

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]
Item = tuple[str, Any, Any]

EDGE_SUFFIXES = (".edges", ".edgelist", ".txt")
MOLECULE_SUFFIXES = (".smi", ".smiles", ".csv", ".sdf")
_READERS: dict[str, Callable[[Path], Iterator[Item]]] = {
    **dict.fromkeys((".g6", ".graph6", ".s6", ".sparse6"), graph6.read),
    **dict.fromkeys(EDGE_SUFFIXES, edgelist.read),
    ".graphml": graphml.read,
    ".json": nodelink.read,
    ".jsonl": nodelink.read,
    ".pt": tensors.read,
    **dict.fromkeys(MOLECULE_SUFFIXES, lambda path: _molecules(path)),
}
SUFFIXES = tuple(_READERS)


@dataclass(frozen=True)
class Record:
    """One graph that can be used by itself, its label if it has one, and where it was."""

    parsed: Parsed
    label: Any = None
    file: str = ""
    record: str = ""

    def bad(self, reason: str) -> BadRecord:
        return BadRecord(self.file, self.record, reason)


def read(
    path: str | os.PathLike[str], *, connected: bool = False, attributes: Collection[str] | None = None
) -> Dataset:
    """Graphs at path: a Dataset of PyG `Data`, with condition {"label": ...} if graphs have labels.

    path is one of
    - .g6, .graph6, .s6, .sparse6: a graph a line, a label after a tab
    - .edges, .edgelist, .txt: an edge "u v" a line, with a weight behind it or not; graphs separated by empty lines;
      `# nodes N` for nodes 0 to N - 1, also those without edges
    - .graphml: a graph or several; the label is the graph's attribute "label"
    - .json: a node-link document (networkx, D3) or a list of them; .jsonl: one a line. The label is
      graph["graph"]["label"], a name, a number or a vector
    - .pt: what `write` makes; PyG `Data`, a list of them, (data, slices) of an InMemoryDataset, whose label is `y`;
      adjacency matrices as SPECTRE's files have them
    - .smi, .smiles, .csv, .sdf (also with .gz): molecules, see `modalities.graphs.molecules`
    - a folder of such files: the first sub-folder is the label, if there is one. Or a folder of the TU collection.

    connected: reject graphs of several parts, which are kept otherwise. attributes: names of those to keep; without it
    all, which every graph must have on every node or edge. Numbers in text become float32 if any is not whole.
    Rejected are directed graphs, self-loops, edges listed twice, graphs without nodes or with more than MAX_NODES,
    graphs with other attributes than most, and, where any graph has a label, graphs without one.

    Raises PfgmError for a path that does not exist or cannot be read, DataError when no graph can be used.
    """
    kept: list[Record] = []
    rejected: list[BadRecord] = []
    for item in stream(path, attributes=attributes):
        if isinstance(item, BadRecord):
            rejected.append(item)
        elif connected and (parts := _parts(item.parsed.graph)) > 1:
            rejected.append(item.bad(f"it is not connected: it has {parts} parts"))
        else:
            kept.append(item)
    if any(record.label is not None for record in kept):
        rejected += [record.bad("it has no label, others do") for record in kept if record.label is None]
        kept = [record for record in kept if record.label is not None]
    found, names = joint([record.parsed for record in kept])
    rejected += [record.bad(graph) for record, graph in zip(kept, found, strict=True) if isinstance(graph, str)]
    kept = [record for record, graph in zip(kept, found, strict=True) if not isinstance(graph, str)]
    graphs = [graph for graph in found if not isinstance(graph, str)]
    if not graphs:
        if not rejected:
            raise DataError(f"there is no graph in {path}. Files of graphs end in {' '.join(SUFFIXES)}.")
        raise DataError(nothing_usable(path, "graph", rejected))
    if _suffix(Path(path)).removesuffix(".gz") in MOLECULE_SUFFIXES:
        from modalities.graphs.molecules import settle_charges

        graphs = settle_charges(graphs)
    return Dataset(
        graphs,
        _condition([record.label for record in kept], path),
        name=Path(path).stem,
        source=str(path),
        rejected=tuple(rejected),
        details={"names": names} if names else {},
    )


def stream(path: str | os.PathLike[str], *, attributes: Collection[str] | None = None) -> Iterator[Record | BadRecord]:
    """Graphs at path one by one, each with its own attributes, the unusable ones as BadRecord; see `read`."""
    if isinstance(attributes, str):
        raise ConfigError(f"attributes is {attributes!r}; it must be a list of names.")
    with reading(path) as existing:
        if existing.is_dir():
            yield from _folder(existing, attributes)
        else:
            yield from _file(existing, attributes)


def write(
    path: str | os.PathLike[str],
    graphs: Any,
    labels: Sequence[Any] | Array | None = None,
    names: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Write graphs, a list of PyG `Data` or of networkx graphs, whole or not at all, as the name of path asks for.

    - .pt: everything; .json, .jsonl: everything, real numbers with the 32 bits they are read with
    - .graphml: all but vectors; .g6, .graph6, .s6, .sparse6: no attributes; .edges, .edgelist, .txt: no attribute but
      a real "weight" of edges, and no labels
    - .smi, .smiles, .csv, .sdf (also with .gz): molecules without labels
    - no suffix, or an empty folder: files 000000.json, ..., in a sub-folder for each class if labels are given (read
      back class by class)

    names: what categories stand for, name of the attribute -> words; .json and .graphml hold the words themselves.
    Raises DataError for graphs that cannot be used and for what the form cannot hold, ConfigError for another suffix.
    """
    clean, words = checked(graphs, names)
    if not clean:
        raise DataError(f"there are no graphs to write to {path}: at least one is needed.")
    tags = None if labels is None else checked_labels(labels, len(clean), path)
    known = {**(names or {}), **words}
    suffix = "" if Path(path).is_dir() or str(path).endswith("/") else _suffix(Path(path))
    base = suffix.removesuffix(".gz")
    _check_holds(suffix, clean, tags, path)
    values = None if tags is None else tags.tolist()
    if suffix == "":
        _write_folder(path, clean, values, known)
    elif base in MOLECULE_SUFFIXES:
        from modalities.graphs import molecules

        (molecules.write_sdf if base == ".sdf" else molecules.write_smiles)(path, clean)
    elif suffix == ".pt":
        with replacing(path) as temporary:
            tensors.write(temporary, clean, tags, {key: known[key] for key in known if key in clean[0]})
    elif suffix == ".graphml":
        with replacing(path) as temporary:
            graphml.write(temporary, networks(clean, known), values)
    else:
        drawn = networks(clean, known)
        if suffix in EDGE_SUFFIXES:
            parts = edgelist.encode(drawn)
        elif suffix in (".json", ".jsonl"):
            parts = nodelink.encode(drawn, values, by_line=suffix == ".jsonl")
        else:
            texts = None if values is None else [str(value) for value in values]
            parts = graph6.encode(drawn, texts, sparse=suffix in (".s6", ".sparse6"))
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.writelines(parts)


def _suffix(path: Path) -> str:
    """The ending in small letters, without .gz."""
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() + suffix if suffix == ".gz" else suffix


def _file(path: Path, attributes: Collection[str] | None, label: str | None = None) -> Iterator[Record | BadRecord]:
    """Graphs of one file; label: that of its folder, which comes before their own."""
    reader = _READERS.get(_suffix(path).removesuffix(".gz"))
    if reader is None or (path.suffix.lower() == ".gz" and reader is not _READERS[".smi"]):
        raise DataError(
            f"{path} is no kind of file that graphs are read from: give a folder or one of {' '.join(SUFFIXES)}."
        )
    yield from _records(reader(path), path, attributes, label)


def _records(
    items: Iterator[Item], path: Path, attributes: Collection[str] | None, folder: str | None = None
) -> Iterator[Record | BadRecord]:
    for place, graph, own in items:
        try:
            if isinstance(graph, str):
                raise DataError(graph)
            chosen = graph if attributes is None else _only(graph, set(attributes))
            yield Record(parse(chosen), own if folder is None else folder, str(path), place)
        except DataError as error:
            yield BadRecord(str(path), place, str(error))


def _only(graph: Any, wanted: set[str]) -> Any:
    """The graph with no other attributes than these."""
    if isinstance(graph, nx.Graph):
        for row in (*graph.nodes.values(), *graph.edges.values()):
            for key in [key for key in row if str(key) not in wanted]:
                del row[key]
    elif isinstance(graph, Parsed):
        names = {key: words for key, words in graph.names.items() if key in wanted}
        edges = None if graph.edge_keys is None else graph.edge_keys & wanted
        return replace(graph, graph=_only(graph.graph, wanted), names=names, edge_keys=edges)
    else:
        for key in set(graph.keys()) - wanted - {"edge_index", "num_nodes", LABEL}:
            del graph[key]
    return graph


def _folder(root: Path, attributes: Collection[str] | None) -> Iterator[Record | BadRecord]:
    name = tudataset.prefix(root)
    if name is not None:
        yield from _records(tudataset.read(name), root, attributes)
        return
    for path in sorted(walk(root), key=lambda path: path.relative_to(root).as_posix()):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") for part in parts):
            continue
        try:
            yield from _file(path, attributes, parts[0] if len(parts) > 1 else None)
        except DataError as error:
            yield BadRecord(str(path), "", str(error))
        except OSError as error:
            yield BadRecord(str(path), "", f"cannot be read ({error.strerror or error})")


def _molecules(path: Path) -> Iterator[Item]:
    from modalities.graphs import molecules

    read = molecules.read_sdf if _suffix(path).startswith(".sdf") else molecules.read_smiles
    return ((place, molecule, None) for place, molecule in read(path))


def _parts(graph: Data) -> int:
    """How many connected components there are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = graph.edge_index.numpy()
    size = int(graph.num_nodes or 0)
    return int(connected_components(coo_array((np.ones(len(rows)), (rows, columns)), (size, size)), directed=False)[0])


def _condition(labels: Sequence[Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """Labels as integers, floats, vectors or words, whichever they all are; none if there are none."""
    if labels[0] is None:
        return {}
    try:
        tags = np.asarray(labels)
    except ValueError as error:
        raise DataError(f"labels of {path} are vectors of different lengths, or of mixed kinds ({error}).") from error
    if tags.dtype.kind == "U":
        tags = _as_numbers(tags)
    if tags.ndim == 2 and tags.dtype.kind in "iu":
        tags = tags.astype(np.float64)
    return {"label": checked_labels(tags, len(labels), path)}


def _as_numbers(words: Array) -> Array:
    """Numbers where every word is one, written as Python writes it."""
    for kind in (int, float):
        try:
            numbers = [kind(word) for word in words.tolist()]
        except ValueError:
            continue
        if [str(number) for number in numbers] == words.tolist() and np.asarray(numbers).dtype.kind != "O":
            return np.asarray(numbers)
    return words


def _check_holds(suffix: str, graphs: Sequence[Data], tags: Array | None, path: str | os.PathLike[str]) -> None:
    """DataError when this kind of file cannot hold the attributes or the labels, ConfigError when it is not known."""
    base = suffix.removesuffix(".gz")
    if base and (base not in SUFFIXES or (base != suffix and base not in MOLECULE_SUFFIXES)):
        raise ConfigError(f"graphs cannot be written as {suffix}: use {' '.join(SUFFIXES)} or a folder (no suffix).")
    lines = suffix in (".g6", ".graph6", ".s6", ".sparse6")
    if tags is not None and (base in (*EDGE_SUFFIXES, *MOLECULE_SUFFIXES)):
        raise DataError(f"a {suffix} file cannot hold labels: write {path} as .g6, .json, .graphml, .pt or a folder.")
    if tags is not None and tags.ndim == 2 and suffix != ".pt" and not suffix.startswith(".json"):
        raise DataError(f"a {suffix or 'folder'} cannot hold labels that are vectors: write {path} as .json or .pt.")
    if lines and tags is not None and any({"\t", "\n", "\r"} & set(str(tag)) or not str(tag).strip() for tag in tags):
        raise DataError(f"a label of {path} is empty or holds a tab or a line break: write .json or .pt.")
    nodes, edges = node_keys(graphs), edge_keys(graphs)
    if suffix in EDGE_SUFFIXES:
        edges = [key for key in edges if key != "weight" or any(not _is_weight(graph[key]) for graph in graphs)]
    if (lines or suffix in EDGE_SUFFIXES) and (nodes or edges):
        lost = ", ".join(map(repr, [*nodes, *edges]))
        raise DataError(f"a {suffix} file cannot hold the attributes {lost}: write {path} as .json, .graphml or .pt.")
    wide = [key for key in (*nodes, *edges) if graphs[0][key].ndim > 1]
    if suffix == ".graphml" and wide:
        lost = ", ".join(map(repr, wide))
        raise DataError(f"a .graphml file cannot hold vectors, as {lost} are: write {path} as .json or .pt.")


def _is_weight(values: Any) -> bool:
    return bool(values.is_floating_point() and values.ndim == 1)


def _write_folder(
    path: str | os.PathLike[str],
    graphs: Sequence[Data],
    labels: Sequence[Any] | None,
    names: Mapping[str, Sequence[Any]],
) -> None:
    folders = [""] * len(graphs) if labels is None else [_folder_name(label) for label in labels]
    with new_folder(path) as root:
        for name in set(folders):
            (root / name).mkdir(exist_ok=True)
        for index, (graph, name) in enumerate(zip(networks(graphs, names), folders, strict=True)):
            (root / name / f"{index:06d}.json").write_bytes(nodelink.document(graph) + b"\n")


def _folder_name(label: Any) -> str:
    name = str(label)
    if not name or name.startswith(".") or set(name) & set('/\\\0:*?"<>|\n'):
        raise DataError(f"label {name!r} cannot be the name of a folder: write .json or .pt.")
    return name


__all__ = ["MOLECULE_SUFFIXES", "SUFFIXES", "Record", "read", "stream", "write"]
