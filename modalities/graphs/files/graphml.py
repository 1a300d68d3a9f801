"""GraphML, as networkx, igraph, Gephi and yEd write it: one graph or several a file.

Format: U. Brandes et al., GraphML progress report, Graph Drawing 2001. One graph at a time is in memory.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx

from modalities.graphs.simple import MAX_NODES
from pfgm_science.errors import DataError

_SPACE = f"{{{nx.GraphMLReader.NS_GRAPHML}}}"
_GRAPH, _NODE, _EDGE = (_SPACE + name for name in ("graph", "node", "edge"))
_DRAWING = ("x", "y", "shape_type")  # where yEd puts a node on the screen
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_EDGES = MAX_NODES * (MAX_NODES - 1) // 2


def read(path: Path) -> Iterator[tuple[str, nx.Graph | str, Any]]:
    """Record, graph or reason, label or None, of every graph in the file."""
    stack: list[ElementTree.Element] = []
    number = nodes = edges = 0
    try:
        for event, element in ElementTree.iterparse(path, events=("start", "end")):
            if event == "start":
                if not element.tag.startswith("{"):
                    element.tag = _SPACE + element.tag
                stack.append(element)
                nodes += element.tag == _NODE
                edges += element.tag == _EDGE
                continue
            stack.pop()
            too_large = nodes > MAX_NODES or edges > _MOST_EDGES
            if too_large and len(stack) > 1:
                stack[-1].clear()
            if element.tag != _GRAPH or len(stack) != 1:
                continue
            if too_large:
                most = f"the most allowed are {MAX_NODES} nodes"
                yield f"graph {number}", f"it has {nodes} nodes and {edges} edges: {most}, as the state is dense", None
            else:
                yield f"graph {number}", *_graph(stack[0], element, nodes, edges)
            stack[0].remove(element)
            number, nodes, edges = number + 1, 0, 0
    except ElementTree.ParseError as error:
        yield f"graph {number}", f"the XML is cut short or damaged ({error})", None


def write(path: Path, graphs: Sequence[nx.Graph], labels: Sequence[Any] | None) -> None:
    """All graphs in one file; raises DataError for attributes that GraphML does not have: vectors."""
    writer = nx.GraphMLWriter()
    for index, graph in enumerate(graphs):
        if labels is not None:
            graph.graph["label"] = labels[index]
        _check_words(graph)
        try:
            writer.add_graph_element(graph)
            writer.attributes.clear()  # or they would be added again with the next graph
        except (nx.NetworkXException, TypeError) as error:
            raise DataError(f"{error}: GraphML holds words and single numbers; write .json or .pt") from error
    with path.open("wb") as file:
        writer.dump(file)


def _check_words(graph: nx.Graph) -> None:
    for row in (graph.graph, *graph.nodes.values(), *graph.edges.values()):
        for text in (*row, *row.values()):
            if isinstance(text, str) and _NOT_XML.search(text):
                raise DataError(f"{text!r} holds a character that XML does not have: write .json or .pt")


def _graph(root: ElementTree.Element, element: ElementTree.Element, nodes: int, edges: int) -> tuple[Any, Any]:
    """The graph, or the reason why it cannot be used, and its label."""
    reader = nx.GraphMLReader(node_type=str)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ports and keys without a type
            keys, defaults = reader.find_graphml_keys(root)
            graph = reader.make_graph(element, keys, defaults)
    except nx.NetworkXException as error:
        return f"networkx cannot read it ({error})", None
    except Exception as error:  # what int() and float() and missing XML attributes raise
        return f"a value in it cannot be read ({type(error).__name__}: {error})", None
    if not graph.is_multigraph() and (len(graph), graph.number_of_edges()) != (nodes, edges):
        return "a node or an edge is listed twice, or an edge names a node that does not exist", None
    drawn = any(key["name"] in ("nodegraphics", "edgegraphics") for key in keys.values())
    for rows, default in ((graph.nodes, "node_default"), (graph.edges, "edge_default")):
        for row in rows.values():
            row.update({**graph.graph.get(default, {}), **row})
            for name in _DRAWING if drawn else ():
                row.pop(name, None)
    for row in graph.edges.values():
        row.pop("id", None)  # networkx's copy of the element's id
    return graph, graph.graph.get("label")
