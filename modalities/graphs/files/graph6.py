"""graph6 and sparse6: a graph a line, as nauty and networkx write them, with a label after a tab if there is one.

Format: B. D. McKay, https://users.cecs.anu.edu.au/~bdm/data/formats.txt
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx

from modalities.graphs.files.lines import lines
from modalities.graphs.simple import MAX_NODES, size_problem
from pfgm_science.errors import DataError

_LONGEST = 2 * MAX_NODES**2  # bytes of a line: sparse6 takes at most 16 bits an edge


def read(path: Path) -> Iterator[tuple[str, nx.Graph | str, Any]]:
    """Record, graph or reason, label or None, of every line that is not empty."""
    for number, line in enumerate(lines(path, _LONGEST), 1):
        place = f"line {number}"
        if line is None:
            yield place, f"the line has more than {_LONGEST} bytes: a graph of {MAX_NODES} nodes takes fewer", None
            continue
        text, tab, label = line.partition(b"\t")
        text = text.strip().removeprefix(b">>graph6<<").removeprefix(b">>sparse6<<")
        if not text:
            continue
        try:
            yield place, decode(text), label.decode().strip() if tab else None
        except UnicodeDecodeError:
            yield place, "its label is not UTF-8 text", None
        except DataError as error:
            yield place, str(error), None


def decode(text: bytes) -> nx.Graph:
    """The graph of one line in graph6, or in sparse6 if it begins with a colon; DataError with the reason."""
    if text[:1] in (b"&", b";"):
        form = "digraph6: the graph is directed" if text[:1] == b"&" else "incremental sparse6, which is not read"
        raise DataError(f"it is {form}")
    sparse = text.startswith(b":")
    codes = text[sparse:]
    if not codes or min(codes) < 63 or max(codes) > 126:
        raise DataError(f"it is not graph6 (it begins with {text[:12]!r}): all bytes must be from 63 to 126")
    if reason := size_problem(_node_count(codes)):
        raise DataError(reason)
    try:
        return nx.from_sparse6_bytes(text) if sparse else nx.from_graph6_bytes(text)
    except (nx.NetworkXException, ValueError, IndexError) as error:
        raise DataError(f"it is cut short or damaged ({error})") from error


def encode(graphs: Iterable[nx.Graph], labels: Iterable[str] | None, sparse: bool = False) -> Iterator[bytes]:
    """Lines of graph6 or sparse6, in the order of the graphs' nodes."""
    write = nx.to_sparse6_bytes if sparse else nx.to_graph6_bytes
    if labels is None:
        yield from (write(graph, header=False) for graph in graphs)
    else:
        for graph, label in zip(graphs, labels, strict=True):
            yield write(graph, header=False).rstrip(b"\n") + b"\t" + label.encode() + b"\n"


def _node_count(codes: bytes) -> int:
    """The number of nodes that a line of graph6 begins with: 1 byte, or 3 after one 126, or 6 after two."""
    if codes[0] < 126:
        return codes[0] - 63
    digits = codes[2:8] if codes[1:2] == b"~" else codes[1:4]
    if len(digits) not in (3, 6):
        raise DataError("it is cut short in its number of nodes")
    count = 0
    for digit in digits:
        count = 64 * count + digit - 63
    return count
