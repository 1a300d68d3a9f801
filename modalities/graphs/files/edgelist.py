"""Edge lists: "u v" a line, graphs separated by empty lines.

`# nodes N` says that nodes are 0 to N - 1, which is the only way to have nodes without edges. Every other line that
begins with # is passed over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx

from modalities.graphs.files.lines import lines
from modalities.graphs.simple import MAX_NODES, size_problem
from pfgm_science.errors import DataError

_LONGEST = 10_000  # bytes of a line
_NODES = re.compile(r"#\s*nodes\s+(\d{1,18})\s*")
_SEPARATOR = re.compile(r"[\s,;]+")


@dataclass
class _Block:
    """Lines between empty ones."""

    graph: nx.Graph = field(default_factory=nx.Graph)
    declared: int | None = None
    reason: str = ""

    def add(self, line: bytes | None, number: int) -> None:
        """Take one line; after the first that is wrong nothing more is kept."""
        if self.reason:
            return
        try:
            self._add(line)
        except DataError as error:
            self.reason = f"line {number}: {error}"
            self.graph = nx.Graph()

    def _add(self, line: bytes | None) -> None:
        if line is None:
            raise DataError(f"it has more than {_LONGEST} bytes")
        try:
            text = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise DataError("it is not UTF-8 text") from None
        if text.startswith("#"):
            if found := _NODES.fullmatch(text):
                self.declared = int(found[1])
                if reason := size_problem(self.declared):
                    raise DataError(reason)
            return
        u, v, values = _fields(text)
        if u == v:
            raise DataError(f"edge {u}-{v} is a self-loop")
        if self.graph.has_edge(u, v):
            raise DataError(f"edge {u}-{v} is listed twice: it is a multigraph")
        self.graph.add_edge(u, v, **values)
        if len(self.graph) > MAX_NODES:
            raise DataError(f"it has more than {MAX_NODES} nodes, which are too many because the state is dense")

    def result(self) -> nx.Graph | str | None:
        """The graph, why it cannot be used, or None if there is none."""
        if self.reason or self.declared is None:
            return self.reason or (self.graph if len(self.graph) else None)
        numbers = {str(i): i for i in range(self.declared)}
        strange = [node for node in self.graph if node not in numbers]
        if strange:
            return f"node {strange[0]} does not exist: line '# nodes {self.declared}' says 0 to {self.declared - 1}"
        whole = nx.Graph()
        whole.add_nodes_from(range(self.declared))
        whole.add_edges_from((numbers[u], numbers[v], values) for u, v, values in self.graph.edges(data=True))
        return whole


def read(path: Path) -> Iterator[tuple[str, nx.Graph | str, Any]]:
    """Record, graph or reason, and None for a label, of every graph in the file."""
    block, count = _Block(), 0
    for number, line in enumerate(lines(path, _LONGEST), 1):
        if line is None or line.strip():
            block.add(line, number)
            continue
        if (found := block.result()) is not None:
            count += 1
            yield f"graph {count}", found, None
        block = _Block()
    if (found := block.result()) is not None:
        yield f"graph {count + 1}", found, None


def encode(graphs: Iterable[nx.Graph]) -> Iterator[bytes]:
    """Edge lists of graphs that have no attribute but "weight" of edges, each with its number of nodes."""
    for index, graph in enumerate(graphs):
        rows = [f"# nodes {len(graph)}"]
        for u, v, values in graph.edges(data=True):
            rows.append(f"{u} {v} {values['weight']!r}" if values else f"{u} {v}")
        yield ("\n" * bool(index) + "\n".join(rows) + "\n").encode()


def _fields(text: str) -> tuple[str, str, dict[str, Any]]:
    """Two nodes, and {"weight": number} or what networkx writes behind them as a dict."""
    parts = _SEPARATOR.split(text, 2)
    if len(parts) < 2 or not all(parts[:2]):
        raise DataError(f"{text[:40]!r} is no edge: two nodes are needed, separated by blanks or a comma")
    rest = parts[2].strip() if len(parts) == 3 else ""
    if not rest:
        return parts[0], parts[1], {}
    if rest.startswith("{"):
        return parts[0], parts[1], _dict(rest)
    try:
        return parts[0], parts[1], {"weight": float(rest)}
    except ValueError:
        raise DataError(f"{rest[:40]!r} is not one number: only a weight may follow the two nodes") from None


def _dict(text: str) -> dict[str, Any]:
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DataError(f"{text[:40]!r} is not a dict of attributes as networkx writes it")
    return values
