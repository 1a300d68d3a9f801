"""Node-link JSON, as networkx and D3 have it: one document, a list of them, or one a line (.jsonl)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import networkx as nx
import numpy as np

from modalities.graphs.files.lines import lines
from modalities.graphs.simple import MAX_NODES, size_problem
from pfgm_science.errors import DataError

Array = np.ndarray[Any, Any]

_LONGEST = 1 << 26  # bytes of one document
_MOST_OBJECTS = MAX_NODES * (MAX_NODES + 1) // 2 + 10  # nodes, pairs of nodes, and what they stand in
_CHUNK = 1 << 18
_BETWEEN = " \t\r\n,"
_ESCAPE = re.compile(r"\\.", re.DOTALL)


def read(path: Path) -> Iterator[tuple[str, nx.Graph | str, Any]]:
    """Record, graph or reason, label or None, of every document in a .json or .jsonl file."""
    try:
        yield from _read_lines(path) if path.suffix.lower() == ".jsonl" else _read_documents(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from error


def encode(graphs: Iterable[nx.Graph], labels: Sequence[Any] | None, by_line: bool = False) -> Iterator[bytes]:
    """Parts of a file: a list of documents, or one a line. A label is graph["graph"]["label"]."""
    start, between, end = (b"", b"\n", b"\n") if by_line else (b"[\n", b",\n", b"\n]\n")
    for index, graph in enumerate(graphs):
        yield (between if index else start) + document(graph, None if labels is None else labels[index])
    yield end


def document(graph: nx.Graph, label: Any = None) -> bytes:
    """One node-link document; raises DataError for an attribute whose name means something else there."""
    for taken, rows in (
        ("id", graph.nodes.values()),
        ("source", graph.edges.values()),
        ("target", graph.edges.values()),
    ):
        if any(taken in row for row in rows):
            raise DataError(f"an attribute of the name {taken!r} cannot be written as JSON: use .pt, or rename it")
    content = nx.node_link_data(graph, edges="edges")
    if label is not None:
        content["graph"] = {"label": label}
    return json.dumps(content, allow_nan=False, ensure_ascii=False).encode()


def _read_lines(path: Path) -> Iterator[tuple[str, nx.Graph | str, Any]]:
    for number, line in enumerate(lines(path, _LONGEST), 1):
        if line is None:
            yield f"line {number}", f"the line has more than {_LONGEST} bytes", None
        elif line.strip():
            try:
                text = line.decode("utf-8-sig")
            except UnicodeDecodeError:
                yield f"line {number}", "it is not UTF-8 text", None
                continue
            yield f"line {number}", *_graph(text)


def _read_documents(path: Path) -> Iterator[tuple[str, nx.Graph | str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(_documents(file)):
            if text is None:
                yield f"index {number}", f"it is cut short, no JSON, or has more than {_LONGEST} characters", None
            else:
                yield f"index {number}", *_graph(text)


def _documents(file: TextIO) -> Iterator[str | None]:
    """The text of each object of a file that holds one, several, or a list of them; None for one that is not whole.

    Brackets are counted outside of strings, so that what follows a damaged or a huge object can still be read.
    """
    base = depth = size = 0
    quoted = started = False
    parts: list[str] = []
    while chunk := _chunk(file):
        if not started and chunk.strip():
            started = True
            base = int(chunk.lstrip().startswith("["))
        steps, quoted = _steps(chunk, quoted)
        depths = depth + np.cumsum(steps)
        begin = 0  # of what is not yet given out in this chunk
        for place in np.flatnonzero((steps != 0) & (np.minimum(depths, depths - steps) <= base)).tolist():
            opens, now = steps[place] > 0, depths[place]
            if now < 0:
                yield None
                return
            if opens and now == base + 1:
                if "".join([*parts, chunk[begin:place]]).strip(_BETWEEN):
                    yield None
                begin = place
            else:
                size += place + 1 - begin
                if not opens and now == base:
                    yield "".join([*parts, chunk[begin : place + 1]]) if size <= _LONGEST else None
                begin = place + 1
            parts, size = [], 0
        depth = int(depths[-1])
        size += len(chunk) - begin
        parts = [*parts, chunk[begin:]] if size <= _LONGEST else []
    if depth or quoted or not started or "".join(parts).strip(_BETWEEN):
        yield None


def _steps(chunk: str, quoted: bool) -> tuple[Array, bool]:
    """+1 where a bracket opens outside of a string, -1 where one closes, else 0; and whether a string goes on."""
    plain = _ESCAPE.sub("__", chunk) if "\\" in chunk else chunk
    codes = np.frombuffer(plain.encode("ascii", "replace"), np.uint8)
    inside = (np.cumsum(codes == ord('"')) + quoted) % 2
    opens = (codes == ord("{")) | (codes == ord("["))
    closes = (codes == ord("}")) | (codes == ord("]"))
    steps: Array = np.where(inside, 0, opens.astype(np.int64) - closes)
    return steps, bool(inside[-1])


def _chunk(file: TextIO) -> str:
    """Text that does not end between a backslash and what it escapes."""
    chunk = file.read(_CHUNK)
    while chunk.endswith("\\") and (more := file.read(1)):
        chunk += more
    return chunk


def _graph(text: str) -> tuple[nx.Graph | str, Any]:
    """The graph of a document, or the reason why it cannot be used, and its label."""
    if text.count("{") > _MOST_OBJECTS:  # before it is decoded, which takes twenty times the memory of the text
        return f"it has more nodes and edges than a graph of {MAX_NODES} nodes, the most allowed", None
    try:
        graph = _checked(json.loads(text))
    except DataError as error:
        return str(error), None
    except (ValueError, RecursionError) as error:
        return f"it is not JSON ({error})", None
    except Exception as error:  # networkx raises many types on what is not node-link
        return f"it is not a node-link document ({type(error).__name__}: {error})", None
    about = graph.graph if isinstance(graph.graph, dict) else {}
    return graph, about.get("label")


def _checked(content: Any) -> nx.Graph:
    edges = next((key for key in ("edges", "links") if isinstance(content, dict) and key in content), None)
    if edges is None or not isinstance(content.get("nodes"), list) or not isinstance(content[edges], list):
        raise DataError('it is not a node-link document: {"nodes": [...], "edges": [...]} is needed (or "links")')
    nodes, links = content["nodes"], content[edges]
    if reason := size_problem(len(nodes)):
        raise DataError(reason)
    if not all(isinstance(row, dict) for row in [*nodes, *links]):
        raise DataError("its nodes and edges must be objects")
    graph = nx.node_link_graph(content, multigraph=False, edges=edges)
    if len(graph) > len(nodes):
        raise DataError(f"an edge names the node {list(graph)[len(nodes)]!r}, which does not exist")
    if len(graph) < len(nodes):
        raise DataError("two of its nodes have the same id")
    if not graph.is_multigraph() and graph.number_of_edges() < len(links):
        raise DataError("an edge is listed twice: it is a multigraph")
    return graph
