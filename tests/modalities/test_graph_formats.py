"""Files of graphs: as other tools write them, broken ones, and round trips."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import pickle
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data, InMemoryDataset

from modalities.graphs.formats import Record, read, stream, write
from modalities.graphs.simple import adjacency, simple
from pfgm_science.errors import BadRecord, ConfigError, DataError, PfgmError

fuzz = settings(
    deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = (".g6", ".s6", ".edges", ".txt", ".graphml", ".json", ".jsonl")


def reasons(dataset: Any) -> dict[str, str]:
    return {record.record or os.path.basename(record.file): record.reason for record in dataset.rejected}


def plain(count: int = 4, seed: int = 0) -> list[Data]:
    """Graphs of 2 to 8 nodes without attributes, some of them without edges or not connected."""
    random = np.random.default_rng(seed)
    graphs = []
    for i in range(count):
        nodes = int(random.integers(2, 9))
        joined = np.triu(random.random((nodes, nodes)) < i % 3 / 3, 1)
        graphs.append(simple(nodes, np.argwhere(joined)))
    return graphs


def attributed(count: int = 4, seed: int = 0, vectors: bool = True) -> list[Data]:
    draw = torch.Generator().manual_seed(seed)
    graphs = []
    for graph in plain(count, seed):
        nodes, once = int(graph.num_nodes or 0), graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]].T
        rows = {"z": torch.randint(0, 3, (nodes,), generator=draw), "s": torch.randn(nodes, generator=draw)}
        if vectors:
            rows["pos"] = torch.randn(nodes, 3, generator=draw)
        bonds = {"bond": torch.randint(1, 4, (len(once),), generator=draw)}
        graphs.append(simple(nodes, once, rows, bonds))
    return graphs


def same(found: Any, wanted: Any) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert set(a.keys()) == set(b.keys())
        assert a.num_nodes == b.num_nodes
        for key in set(a.keys()) - {"num_nodes"}:
            assert a[key].dtype == b[key].dtype, key
            assert torch.equal(a[key], b[key]), key


def test_graph6_lines_of_nauty(tmp_path: Path) -> None:
    """geng's lines, as in nauty's formats.txt and in the House of Graphs."""
    (tmp_path / "a.g6").write_bytes(b">>graph6<<DQc\r\nD~{\n\nIheA@GUAo\n")
    dataset = read(tmp_path / "a.g6")
    first, complete, petersen = dataset.objects
    assert {tuple(edge) for edge in first.edge_index.T.tolist()} >= {(0, 2), (0, 4), (1, 3), (3, 4)}
    assert first.edge_index.shape == (2, 8)
    assert (adjacency(complete) == ~np.eye(5, dtype=bool)).all()
    assert nx.is_isomorphic(nx.from_numpy_array(adjacency(petersen)), nx.petersen_graph())
    assert dataset.condition == {} and dataset.rejected == () and dataset.details == {}
    assert dataset.source == str(tmp_path / "a.g6") and dataset.name == "a"


def test_graph6_bad_lines_are_named(tmp_path: Path) -> None:
    lines = [b"DQc", b"?", b"@", b"&DI?AO?", b"DQ", b"D\x01\xff", b"~", b"~~?~????", b":Fa@x^", b":A_", b";abc", b"D~{"]
    (tmp_path / "a.g6").write_bytes(b"\n".join(lines))
    dataset = read(tmp_path / "a.g6")
    found = reasons(dataset)
    assert len(dataset) + len(found) == len(lines)
    assert "no nodes" in found["line 2"] and "one node" in found["line 3"]
    assert "directed" in found["line 4"]
    assert "cut short" in found["line 5"] and "cut short" in found["line 7"]
    assert "not graph6" in found["line 6"]
    assert "nodes; at most 1000" in found["line 8"]
    assert "multigraph" in found["line 10"]  # formats.txt's own example of three parallel edges
    assert "incremental" in found["line 11"]
    assert set(found) == {f"line {i}" for i in (2, 3, 4, 5, 6, 7, 8, 10, 11)}


@pytest.mark.parametrize("name", ["a.g6", "a.s6"])
def test_numbers_of_nodes_of_one_byte_and_of_three(tmp_path: Path, name: str) -> None:
    graphs = [simple(nodes, [[0, nodes - 1]]) for nodes in (62, 63, 64, 1000)]
    write(tmp_path / name, graphs)
    same(read(tmp_path / name).objects, graphs)


def test_sparse6_is_read_as_graph6_is(tmp_path: Path) -> None:
    (tmp_path / "a.s6").write_bytes(nx.to_sparse6_bytes(nx.petersen_graph()) + b":Fa@x^\n")
    petersen, example = read(tmp_path / "a.s6").objects
    assert (adjacency(petersen) == adjacency(nx.petersen_graph())).all()
    edges = {(0, 1), (0, 2), (1, 2), (5, 6)}  # the example of formats.txt
    assert {(u, v) for u, v in example.edge_index.T.tolist() if u < v} == edges and example.num_nodes == 7


def test_edge_lists_of_other_tools(tmp_path: Path) -> None:
    """Blanks, commas, tabs; networkx's dict; comments; Windows line ends."""
    text = "\ufeff# made by hand\r\na b\r\nb\tc\r\n\r\n\r\n1,2\r\n2, 3\r\n3;4\r\n\r\n0 1 {}\r\n"
    (tmp_path / "a.txt").write_bytes(text.encode())
    dataset = read(tmp_path / "a.txt")
    assert [graph.num_nodes for graph in dataset.objects] == [3, 4, 2]
    assert dataset.objects[0].edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    path = tmp_path / "b.edgelist"
    graph = nx.path_graph(4)
    nx.set_edge_attributes(graph, {(0, 1): 0.5, (1, 2): 2, (2, 3): 1.5}, "weight")
    for write_it in (nx.write_edgelist, nx.write_weighted_edgelist):
        write_it(graph, path)
        (found,) = read(path).objects
        assert found.weight.tolist() == [0.5, 0.5, 2, 2, 1.5, 1.5]


def test_edge_lists_with_isolated_nodes(tmp_path: Path) -> None:
    (tmp_path / "a.edges").write_text("# nodes 4\n2 0\n\n# nodes 3\n\n# nodes 2\n0 2\n\n# nothing\n\n#nodes 2\n")
    dataset = read(tmp_path / "a.edges")
    assert [graph.num_nodes for graph in dataset.objects] == [4, 3, 2]
    assert dataset.objects[0].edge_index.tolist() == [[0, 2], [2, 0]]
    assert reasons(dataset) == {"graph 3": "node 2 does not exist: line '# nodes 2' says 0 to 1"}


def test_edge_list_bad_graphs_are_named(tmp_path: Path) -> None:
    blocks = [
        "0 1",
        "0 0",
        "0 1\n1 2\n1 0",
        "0",
        "0 1 x",
        "0 1 2 3",
        "0 1 {'a'",
        "# nodes 2000000",
        "0 1 0.5\n1 2",
        "1 2",
    ]
    (tmp_path / "a.edges").write_bytes(
        "\n\n".join(blocks).encode() + b"\n\n\xff\xfe 1\n\n" + b"7" * 20_000 + b" 1\n\n5 6"
    )
    dataset = read(tmp_path / "a.edges")
    assert len(dataset) == 3
    found = reasons(dataset)
    assert found["graph 2"] == "line 3: edge 0-0 is a self-loop"
    assert "line 7: edge 1-0 is listed twice" in found["graph 3"]
    assert "is no edge" in found["graph 4"] and "not one number" in found["graph 5"]
    assert "not one number" in found["graph 6"] and "dict" in found["graph 7"]
    assert "2000000 nodes; at most 1000" in found["graph 8"]
    assert "'weight' is missing at edge '1'-'2'" in found["graph 9"]
    assert "UTF-8" in found["graph 11"] and "bytes" in found["graph 12"]


def test_a_graph_with_other_attributes_than_most_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.edges").write_text("0 1 0.5\n\n0 1\n\n1 2 0.25\n\n0 1 nan\n")
    dataset = read(tmp_path / "a.edges")
    assert [graph.weight.tolist() for graph in dataset.objects] == [[0.5, 0.5], [0.25, 0.25]]
    assert reasons(dataset) == {
        "graph 4": "edge attribute 'weight' is nan at edge '0'-'1': it must be finite, as a 32-bit number",
        "graph 2": "its attributes of edges are none, those of most graphs 'weight' (numbers)",
    }


NAMESPACE = 'xmlns="http://graphml.graphdrawing.org/xmlns"'
IGRAPH = f"""<?xml version="1.0" encoding="UTF-8"?>
<graphml {NAMESPACE} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
         xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns
         http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
<!-- Created by igraph -->
  <key id="g_label" for="graph" attr.name="label" attr.type="string"/>
  <key id="v_colour" for="node" attr.name="colour" attr.type="string"/>
  <key id="v_old" for="node" attr.name="old" attr.type="boolean"/>
  <key id="e_weight" for="edge" attr.name="weight" attr.type="double"/>
  <graph id="G" edgedefault="undirected">
    <data key="g_label">active</data>
    <node id="n0"><data key="v_colour">red</data><data key="v_old">true</data></node>
    <node id="n1"><data key="v_colour">blue</data><data key="v_old">false</data></node>
    <node id="n2"><data key="v_colour">red</data><data key="v_old">true</data></node>
    <edge source="n0" target="n1"><data key="e_weight">0.5</data></edge>
    <edge source="n2" target="n1"><data key="e_weight">2</data></edge>
  </graph>
</graphml>
"""
GEPHI = f"""<?xml version="1.0" encoding="UTF-8"?>
<graphml {NAMESPACE}>
<key attr.name="label" attr.type="string" for="node" id="label"/>
<key attr.name="Edge Label" attr.type="string" for="edge" id="edgelabel"/>
<key attr.name="weight" attr.type="double" for="edge" id="weight"><default>1.0</default></key>
<key attr.name="r" attr.type="int" for="node" id="r"/>
<key attr.name="y" attr.type="float" for="node" id="y"/>
<graph edgedefault="undirected">
<node id="a"><data key="label">A</data><data key="r">3</data><data key="y">-1.5</data></node>
<node id="b"><data key="label">B</data><data key="r">153</data><data key="y">2.5</data></node>
<node id="c"><data key="label">A</data><data key="r">3</data><data key="y">0</data></node>
<edge id="0" source="a" target="b"><data key="weight">3.0</data></edge>
<edge id="1" source="b" target="c"/>
</graph>
</graphml>
"""
YED = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<graphml {NAMESPACE} xmlns:y="http://www.yworks.com/xml/graphml">
  <key for="node" id="d6" yfiles.type="nodegraphics"/>
  <key for="edge" id="d10" yfiles.type="edgegraphics"/>
  <graph edgedefault="DIRECTION" id="G">
    <node id="n0"><data key="d6"><y:ShapeNode><y:Geometry height="30.0" width="30.0" x="5.0" y="7.0"/>
      <y:NodeLabel>C</y:NodeLabel><y:Shape type="ellipse"/></y:ShapeNode></data></node>
    <node id="n1"><data key="d6"><y:ShapeNode><y:Geometry height="30.0" width="30.0" x="9.0" y="1.0"/>
      <y:NodeLabel>N</y:NodeLabel><y:Shape type="rectangle"/></y:ShapeNode></data></node>
    <edge id="e0" source="n0" target="n1"><data key="d10"><y:PolyLineEdge/></data></edge>
  </graph>
</graphml>
"""


def test_graphml_as_igraph_writes_it(tmp_path: Path) -> None:
    for text in (IGRAPH, IGRAPH.replace(NAMESPACE, "")):
        (tmp_path / "a.graphml").write_text(text)
        dataset = read(tmp_path / "a.graphml")
        (graph,) = dataset.objects
        assert graph.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
        assert graph.colour.tolist() == [1, 0, 1] and graph.old.tolist() == [1, 0, 1]
        assert graph.weight.tolist() == [0.5, 0.5, 2, 2]
        assert dataset.details == {"names": {"colour": ["blue", "red"], "old": [False, True]}}
        assert dataset.condition["label"].tolist() == ["active"]


def test_graphml_as_gephi_writes_it(tmp_path: Path) -> None:
    (tmp_path / "a.graphml").write_text(GEPHI)
    dataset = read(tmp_path / "a.graphml")
    (graph,) = dataset.objects
    assert graph.weight.tolist() == [3, 3, 1, 1]  # the default of the key
    assert graph.node_y.tolist() == [-1.5, 2.5, 0] and graph.r.tolist() == [3, 153, 3]
    assert set(graph.keys()) == {"edge_index", "num_nodes", "label", "r", "node_y", "weight"}
    (graph,) = read(tmp_path / "a.graphml", attributes=["r", "weight"]).objects
    assert set(graph.keys()) == {"edge_index", "num_nodes", "r", "weight"}


def test_graphml_as_yed_writes_it(tmp_path: Path) -> None:
    (tmp_path / "a.graphml").write_text(YED.replace("DIRECTION", "undirected"))
    dataset = read(tmp_path / "a.graphml")
    assert set(dataset.objects[0].keys()) == {"edge_index", "num_nodes", "label"}
    assert dataset.details == {"names": {"label": ["C", "N"]}}
    (tmp_path / "a.graphml").write_text(YED.replace("DIRECTION", "directed"))  # yEd's own habit
    with pytest.raises(DataError, match=r"a\.graphml, graph 0: it is directed: make it undirected"):
        read(tmp_path / "a.graphml")


def graphml(*graphs: str) -> str:
    keys = '<key id="k" for="node" attr.name="k" attr.type="int"/>'
    bodies = (f'<graph edgedefault="undirected">{graph}</graph>' for graph in graphs)
    return f"<graphml {NAMESPACE}>{keys}{''.join(bodies)}</graphml>"


def test_graphml_bad_graphs_are_named(tmp_path: Path) -> None:
    two = '<node id="0"/><node id="1"/>'
    text = graphml(
        two, "", two + '<edge source="0" target="2"/>', two + '<edge source="0" target="0"/>',
        two + '<edge source="0" target="1"/><edge source="1" target="0"/>', two + '<edge source="0"/>',
        '<node id="0"><data key="k">x</data></node>', '<node id="0"/><node id="0"/>', two + '<hyperedge/>',
        "".join(f'<node id="{i}"/>' for i in range(1001)), two + '<edge source="0" target="1" directed="true"/>', two,
    )  # fmt: skip
    (tmp_path / "a.graphml").write_text(text)
    dataset = read(tmp_path / "a.graphml")
    found = reasons(dataset)
    assert len(dataset) == 2 and set(found) == {f"graph {i}" for i in range(1, 11)}
    assert "no nodes" in found["graph 1"] and "does not exist" in found["graph 2"]
    assert "self-loop" in found["graph 3"] and "multigraph" in found["graph 4"]
    assert "does not exist" in found["graph 5"] and "cannot be read" in found["graph 6"]
    assert "twice" in found["graph 7"] and "hyperedge" in found["graph 8"]
    assert "1001 nodes" in found["graph 9"] and "directed" in found["graph 10"]
    (tmp_path / "a.graphml").write_text(text[: text.index("hyper")])
    assert "cut short" in reasons(read(tmp_path / "a.graphml"))["graph 8"]


def test_json_of_networkx_and_d3(tmp_path: Path) -> None:
    graph = nx.Graph(label="x")
    graph.add_node("a", colour="red", v=[1, 0.5])
    graph.add_node("b", colour="blue", v=[2, 3])
    graph.add_edge("a", "b", weight=2)
    path = tmp_path / "a.json"
    for key in ("edges", "links"):
        content = nx.node_link_data(graph, edges=key)
        for document in (content, [content]):
            path.write_text(json.dumps(document, indent=1))
            dataset = read(path)
            (found,) = dataset.objects
            assert found.colour.tolist() == [1, 0] and found.v.tolist() == [[1, 0.5], [2, 3]]
            assert found.weight.tolist() == [2, 2] and found.weight.dtype == torch.int64
            assert dataset.condition["label"].tolist() == ["x"]
    path.write_text('\ufeff{"nodes": [{"name": "\\\\\\"}]{"}, {"name": "u"}], "links": [{"source": 0, "target": 1}]}')
    dataset = read(path)  # D3's older examples: numbers of nodes, no ids
    assert dataset.details["names"]["name"] == ['\\"}]{', "u"]
    assert dataset.objects[0].edge_index.tolist() == [[0, 1], [1, 0]]


GOOD = '{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0, "target": 1}]}'


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{}", "not a node-link document"),
        ("[1]", "not a node-link document"),
        ('{"nodes": [], "edges": []}', "no nodes"),
        ('{"nodes": {}, "edges": []}', "not a node-link document"),
        ('{"nodes": [1], "edges": []}', "must be objects"),
        ('{"nodes": [{"id": {}}, {"id": 1}], "edges": []}', "not a node-link document"),
        ('{"nodes": [{"id": 0}, {"id": 0}], "edges": []}', "same id"),
        ('{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0, "target": 2}]}', "node 2, which does not exist"),
        ('{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0}]}', "not a node-link document"),
        ('{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 1, "target": 1}]}', "self-loop"),
        (GOOD.replace("}]}", "}, {}]}").replace("{}", '{"source": 1, "target": 0}'), "listed twice"),
        (GOOD.replace('{"nodes"', '{"directed": true, "nodes"'), "directed"),
        (GOOD.replace('{"nodes"', '{"multigraph": true, "nodes"'), "multigraph"),
        ('{"nodes": [{"id": 0}, {"id": 1,}], "edges": []}', "not JSON"),
        ('{"nodes": [{"id": 0, "a": NaN}, {"id": 1, "a": 0.5}], "edges": []}', "finite"),
        ('{"nodes": [{"id": 0, "a": 1}, {"id": 1}], "edges": []}', "'a' is missing at node 1"),
    ],
)
def test_json_bad_documents_are_named(tmp_path: Path, document: str, words: str) -> None:
    (tmp_path / "a.json").write_text(f"[{GOOD}, {document},\n{GOOD}]")
    (tmp_path / "a.jsonl").write_text(f"{GOOD}\n\n{document}\n{GOOD}\n")
    for name, record in (("a.json", "index 1"), ("a.jsonl", "line 3")):
        dataset = read(tmp_path / name)
        assert len(dataset) == 2
        assert [place for place in reasons(dataset)] == [record]
        assert words in reasons(dataset)[record]


def test_json_cut_short_keeps_what_is_whole(tmp_path: Path) -> None:
    for text, good in ((f"[{GOOD}, {GOOD}", 2), (f"[{GOOD}, {GOOD[:-9]}", 1), (f"[{GOOD}, 7, {GOOD}]", 2)):
        (tmp_path / "a.json").write_text(text)
        dataset = read(tmp_path / "a.json")
        assert len(dataset) == good
        (record,) = dataset.rejected
        assert "cut short" in record.reason


def huge(suffix: str) -> Iterator[bytes]:
    """A graph of too many nodes, edge by edge where the form has edges, between two good ones."""
    count = 100_000
    if suffix == ".g6":
        yield b"DQc\n~~??Bszn" + b"?" * 10_000_000 + b"\nDQc\n"
    elif suffix == ".edges":
        yield b"0 1\n\n"
        for i in range(count):
            yield b"%d %d\n" % (i, i + 1)
        yield b"\n0 1\n"
    elif suffix == ".graphml":
        head, tail = graphml('<node id="0"/><node id="1"/>', "@", '<node id="0"/><node id="1"/>').split("@")
        yield head.encode()
        for i in range(count):
            yield b'<node id="%d"/>' % i
        yield tail.encode()
    else:
        yield b"[" + GOOD.encode() + b',{"nodes":['
        yield b"{}," * 501_000
        yield b'{}],"edges":[]},' + GOOD.encode() + b"]"


@pytest.mark.parametrize("suffix", [".g6", ".edges", ".graphml", ".json"])
def test_too_many_nodes_are_refused_in_little_memory_and_the_next_graph_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as file:
        file.writelines(huge(suffix))
    limit = 20 if suffix == ".json" else 8  # the text of one document of JSON is held as a whole
    tracemalloc.start()
    try:
        dataset = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(dataset) == 2
    (record,) = dataset.rejected
    assert "1000" in record.reason
    assert peak < limit << 20


def test_pt_of_pyg(tmp_path: Path) -> None:
    graphs = attributed()
    path = tmp_path / "a.pt"
    torch.save(graphs, path)
    same(read(path).objects, graphs)
    torch.save(graphs[2], path)
    same(read(path).objects, graphs[2:3])
    torch.save(graphs[2].to_dict(), path)
    same(read(path).objects, graphs[2:3])
    torch.save([graph.to_dict() for graph in graphs], path)
    same(read(path).objects, graphs)


def test_pt_of_an_in_memory_data_set(tmp_path: Path) -> None:
    graphs = attributed()
    labelled = [graph.clone() for graph in graphs]
    for i, graph in enumerate(labelled):
        graph.y = torch.tensor([i % 2])
    path = tmp_path / "a.pt"
    InMemoryDataset.save(labelled, str(path))
    dataset = read(path)
    same(dataset.objects, graphs)
    assert dataset.condition["label"].tolist() == [0, 1, 0, 1]
    torch.save(InMemoryDataset.collate(labelled), path)  # (data, slices), as older releases have it
    same(read(path).objects, graphs)
    data, slices = InMemoryDataset.collate(labelled)
    slices["z"] = slices["z"] + 1_000_000
    torch.save((data, slices), path)
    with pytest.raises(DataError, match=r"a\.pt, index 0: .*slices"):
        read(path)


def test_pt_labels_are_y(tmp_path: Path) -> None:
    def labelled(*labels: Any) -> Any:
        graphs = [graph.clone() for graph in plain(len(labels))]
        for graph, label in zip(graphs, labels, strict=True):
            graph.y = label
        torch.save(graphs, tmp_path / "a.pt")
        return read(tmp_path / "a.pt").condition["label"].tolist()

    assert labelled(torch.tensor([[0.5, 1.0]]), torch.tensor([[2.0, 3.0]])) == [[0.5, 1.0], [2.0, 3.0]]
    assert labelled(torch.tensor([[0, 1]]), torch.tensor([[1, 1]])) == [[0.0, 1.0], [1.0, 1.0]]
    assert labelled(torch.tensor(0.5), torch.tensor([1.5])) == [0.5, 1.5]
    assert labelled("a", "b") == ["a", "b"] and labelled(3, 4) == [3, 4]
    with pytest.raises(DataError, match=r"labels of .*a\.pt"):
        labelled(torch.tensor([[0.5]]), torch.tensor([[2.0, 3.0]]))
    graphs = [graph.clone() for graph in plain(3)]
    graphs[0].y = graphs[1].y = torch.tensor([1])
    torch.save(graphs, tmp_path / "a.pt")
    assert reasons(read(tmp_path / "a.pt")) == {"index 2": "it has no label, others do"}


def test_pt_of_spectre(tmp_path: Path) -> None:
    """planar_64_200.pt holds [adjacencies, eigenvalues, eigenvectors, n_nodes, max, min, same_sample, n_max]."""
    adjacencies = [torch.from_numpy(adjacency(graph)).float() for graph in plain()]
    torch.save([adjacencies, [torch.rand(3)], [torch.rand(3, 3)], [3], 1.0, 0.0, False, 8], tmp_path / "a.pt")
    same(read(tmp_path / "a.pt").objects, plain())
    directed, loop, weighted = (torch.zeros(3, 3) for _ in range(3))
    directed[0, 1] = loop[1, 1] = weighted[0, 2] = weighted[2, 0] = 1
    bad = [directed, loop, weighted / 2, torch.zeros(2, 3), torch.zeros(0, 0), torch.full((3, 3), torch.nan)]
    torch.save([*adjacencies, *bad], tmp_path / "b.pt")
    dataset = read(tmp_path / "b.pt")
    same(dataset.objects, plain())
    words = ["not symmetric", "self-loop", "other than 0 and 1", "square", "no nodes", "other than 0 and 1"]
    for record, word in zip(dataset.rejected, words, strict=True):
        assert word in record.reason


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("touch harmed",)


def test_pt_with_objects_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (Harmful(), [nx.path_graph(3)], Data(edge_index=torch.zeros(2, 0).long(), num_nodes=2, a=Harmful())):
        torch.save(content, tmp_path / "a.pt")
        with pytest.raises(DataError, match=r"a\.pt.*are not loaded. Save your own with torch\.save\(\[Data"):
            read(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(DataError, match=r"b\.pt"):
        read(tmp_path / "b.pt")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [3, [], {}, torch.zeros(3), [torch.zeros(3)], {"a": torch.zeros(3)}, "x", [1, 2]])
def test_pt_without_graphs_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(DataError, match=r"a\.pt holds no graphs"):
        read(tmp_path / "a.pt")


def test_our_pt_is_plain_tensors_and_its_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    write(path, attributed(), ["a", "b", "a", "b"], {"z": ["C", "N", "O"]})
    content = torch.load(path, weights_only=True)
    assert set(content) == {"num_nodes", "ptr", "edge_index", "node", "edge", "names", "y"}
    assert content["names"] == {"z": ["C", "N", "O"]} and content["y"] == ["a", "b", "a", "b"]
    dataset = read(path)
    same(dataset.objects, attributed())
    assert dataset.details == {"names": {"z": ["C", "N", "O"]}}
    assert dataset.condition["label"].tolist() == ["a", "b", "a", "b"]
    for key, value in (
        ("ptr", content["ptr"][:-1]), ("ptr", content["ptr"].flip(0)), ("num_nodes", -content["num_nodes"]),
        ("node", {"z": torch.zeros(2)}), ("edge", {"bond": torch.zeros(2)}), ("y", ["a"]), ("edge_index", None),
        ("names", {"z": 3}), ("node", 3),
    ):  # fmt: skip
        torch.save({**content, key: value}, path)
        with pytest.raises(DataError, match=r"a\.pt"):
            read(path)
    torch.save({**content, "names": {"z": ["C"]}}, path)
    with pytest.raises(DataError, match="categories without a name"):
        read(path)


def tu(folder: Path, **changes: str) -> Path:
    """Two graphs in the form of ENZYMES: nodes 1 to 3, nodes 4 and 5."""
    files = {
        "A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4\n",
        "graph_indicator": "1\n1\n1\n2\n2\n",
        "graph_labels": "6\n-1\n",
        "node_labels": "1\n2\n3\n1\n1\n",
        "node_attributes": "0.5, 1\n1, 2\n3, 4\n5, 6\n7, 8\n",
        "edge_labels": "1\n1\n2\n2\n3\n3\n",
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"TOY_{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("place", ["TOY", "TOY/raw"])
def test_tu_folder(tmp_path: Path, place: str) -> None:
    tu(tmp_path / place)
    dataset = read(tmp_path / "TOY")
    first = simple(
        3, [[0, 1], [1, 2]], {"node_label": [1, 2, 3], "x": [[0.5, 1], [1, 2], [3, 4]]}, {"edge_label": [1, 2]}
    )
    second = simple(2, [[0, 1]], {"node_label": [1, 1], "x": [[5.0, 6], [7, 8]]}, {"edge_label": [3]})
    same(dataset.objects, [first, second])
    assert dataset.condition["label"].tolist() == [6, -1]
    assert dataset.rejected == ()


def test_tu_nodes_of_graphs_may_be_mixed(tmp_path: Path) -> None:
    tu(tmp_path / "a", graph_indicator="1\n2\n1\n2\n1\n", A="1, 3\n3, 1\n4, 2\n2, 4\n3, 5\n5, 3\n")
    first, second = read(tmp_path / "a").objects
    assert first.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]] and first.node_label.tolist() == [1, 3, 1]
    assert first.edge_label.tolist() == [1, 1, 3, 3]
    assert second.node_label.tolist() == [2, 1] and second.edge_label.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"A": "1, 9\n"}, "node that does not exist"),
        ({"A": "1, x\n"}, "TOY_A.txt is no table of numbers"),
        ({"A": "1\n"}, "TOY_A.txt must hold 2 whole numbers"),
        ({"graph_indicator": "1.5\n1\n1\n2\n2\n"}, "graph_indicator.txt must hold whole numbers"),
        ({"node_labels": "1\n"}, "TOY_node_labels.txt has 1 lines for 5"),
        ({"edge_labels": "1\n"}, "TOY_edge_labels.txt has 1 lines for 6"),
        ({"graph_labels": "1\n"}, "TOY_graph_labels.txt has 1 lines for 2"),
        ({"A": "1, 2\n2, 3\n1, 1\n2, 1\n4, 4\n5, 4\n"}, "2 were left out"),
    ],
)
def test_tu_files_that_do_not_fit_together(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(tu(tmp_path / "a", **changes))


def test_tu_bad_graphs_are_named(tmp_path: Path) -> None:
    dataset = read(tu(tmp_path / "a", A="1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 1\n"))
    assert len(dataset) == 1
    assert reasons(dataset) == {"graph 2": "an edge leads to a node of another graph"}


def test_a_folder_of_files_with_classes(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    (tmp_path / "cat" / "1.edges").write_text("0 1\n")
    (tmp_path / "dog" / "1.g6").write_text("DQc\towl\nD~{\towl\n")  # the folder's name comes first
    (tmp_path / "dog" / "2.json").write_text(GOOD)
    (tmp_path / "dog" / "notes.md").write_text("hello")
    (tmp_path / "dog" / ".hidden").write_text("hello")
    (tmp_path / "loose.edges").write_text("0 1\n")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path / "cat")
    dataset = read(tmp_path)
    assert dataset.condition["label"].tolist() == ["cat", "dog", "dog", "dog"]
    found = reasons(dataset)
    assert found["graph 1"] == "it has no label, others do"
    assert "no kind of file" in found["notes.md"] and len(found) == 2


def test_graphs_of_several_parts_are_kept_unless_connected_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.edges").write_text("0 1\n2 3\n\n0 1\n1 2\n")
    assert len(read(tmp_path / "a.edges")) == 2
    dataset = read(tmp_path / "a.edges", connected=True)
    assert len(dataset) == 1
    assert reasons(dataset) == {"graph 1": "it is not connected: it has 2 parts"}


def test_molecules(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "a.smi").write_text("CCO ethanol\nC1CC\nC\nC=O\n")
    dataset = read(tmp_path / "a.smi")
    assert [graph.z.tolist() for graph in dataset.objects] == [[6, 6, 8], [6], [6, 8]]
    assert dataset.objects[2].edge_attr.tolist() == [2, 2] and "charge" not in dataset.objects[0]
    assert list(reasons(dataset)) == ["line 2"]
    for name in ("b.smi", "b.csv", "b.sdf", "b.smi.gz", "b.pt", "b.json"):
        write(tmp_path / name, dataset.objects)
        assert [graph.num_nodes for graph in read(tmp_path / name).objects] == [3, 1, 2]
    assert gzip.decompress((tmp_path / "b.smi.gz").read_bytes()).decode().split() == ["CCO", "C", "C=O"]
    with pytest.raises(DataError, match="cannot hold labels"):
        write(tmp_path / "b.smi", dataset.objects, [1, 2, 3])


def test_stream_yields_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.g6").write_bytes(b"DQc\ta\n?\n")
    first, second = stream(tmp_path / "a.g6")
    assert isinstance(first, Record) and first.label == "a" and first.parsed.graph.num_nodes == 5
    assert second == BadRecord(str(tmp_path / "a.g6"), "line 2", "it has no nodes")


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PfgmError, match="no file or folder"):
        read(tmp_path / "missing.g6")
    with pytest.raises(DataError, match=f"no graph in {tmp_path}"):
        read(tmp_path)
    for name in ("a.xyz", "a.g6.gz"):
        (tmp_path / name).write_bytes(b"DQc")
        with pytest.raises(DataError, match="no kind of file"):
            read(tmp_path / name)
    (tmp_path / "b.g6").write_bytes(b"?\n?\n?\n?\n")
    with pytest.raises(DataError, match="4 were left out"):
        read(tmp_path / "b.g6")
    with pytest.raises(ConfigError, match="list of names"):
        read(tmp_path / "b.g6", attributes="z")


@pytest.mark.parametrize(
    "labels", [None, [0, 1, 0, 7], ["a", "b c", "é", "a"], [0.5, 1.5, 2.0, 1e-9], [True, False] * 2]
)
@pytest.mark.parametrize("name", ["a.g6", "a.s6", "a.json", "a.jsonl", "a.graphml", "a.pt"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str, labels: Any) -> None:
    graphs = plain() if name in ("a.g6", "a.s6") else attributed(vectors=name != "a.graphml")
    write(tmp_path / name, graphs, labels)
    dataset = read(tmp_path / name)
    same(dataset.objects, graphs)
    assert dataset.rejected == ()
    if labels is None:
        assert dataset.condition == {}
    else:
        assert [str(label) for label in dataset.condition["label"].tolist()] == [str(label) for label in labels]


def test_edge_lists_are_read_back(tmp_path: Path) -> None:
    weighted = [simple(3, [[0, 2]], {}, {"weight": [0.1]}), simple(4, [[0, 1], [2, 3]], {}, {"weight": [1e-30, -2.0]})]
    for graphs in (plain(), weighted):
        write(tmp_path / "a.edges", graphs)
        same(read(tmp_path / "a.edges").objects, graphs)
    assert (tmp_path / "a.edges").read_text().startswith("# nodes 3\n0 2 0.1\n\n# nodes 4\n0 1 1e-30\n")


def test_folders_are_read_back_class_by_class(tmp_path: Path) -> None:
    graphs = attributed()
    write(tmp_path / "plain", graphs)
    same(read(tmp_path / "plain").objects, graphs)
    write(tmp_path / "classes", graphs, ["b", "a", "b", "a"])
    dataset = read(tmp_path / "classes")
    same(dataset.objects, [graphs[i] for i in (1, 3, 0, 2)])
    assert dataset.condition["label"].tolist() == ["a", "a", "b", "b"]
    assert len(list((tmp_path / "classes" / "a").iterdir())) == 2


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.graphml", "a.pt", "folder"])
def test_words_are_read_back(tmp_path: Path, name: str) -> None:
    graphs = [nx.path_graph(3), nx.path_graph(2)]
    for graph, words in zip(graphs, (["red", "blue", "red"], ["", 'a "<&>\n']), strict=True):
        nx.set_node_attributes(graph, dict(enumerate(words)), "colour")
        nx.set_node_attributes(graph, True, "old")
    write(tmp_path / name, graphs)
    dataset = read(tmp_path / name)
    assert dataset.details["names"] == {"colour": ["", 'a "<&>\n', "blue", "red"], "old": [True]}
    assert [graph.colour.tolist() for graph in dataset.objects] == [[3, 2, 3], [0, 1]]
    write(tmp_path / "again.json", dataset.objects, names=dataset.details["names"])
    assert read(tmp_path / "again.json").details == dataset.details


def test_graphml_holds_each_attribute_once(tmp_path: Path) -> None:
    write(tmp_path / "a.graphml", [simple(2, [], {"z": [1, 2]})] * 3)
    assert (tmp_path / "a.graphml").read_text().count("<data") == 6


def test_vectors_as_labels(tmp_path: Path) -> None:
    labels = np.arange(8).reshape(4, 2) / 3
    for name in ("a.json", "a.pt"):
        write(tmp_path / name, plain(), labels)
        np.testing.assert_allclose(read(tmp_path / name).condition["label"], labels, rtol=1e-6)
    for name in ("a.g6", "a.graphml", "folder"):
        with pytest.raises(DataError, match="labels that are vectors"):
            write(tmp_path / name, plain(), labels)


def test_what_a_form_cannot_hold_is_refused_and_others_are_named(tmp_path: Path) -> None:
    for name in ("a.g6", "a.s6", "a.edges", "a.txt"):
        with pytest.raises(
            DataError, match=r"cannot hold the attributes .*'z'.* write .* as \.json, \.graphml or \.pt"
        ):
            write(tmp_path / name, attributed())
    with pytest.raises(DataError, match=r"vectors, as 'pos' are: write .* as \.json or \.pt"):
        write(tmp_path / "a.graphml", attributed())
    with pytest.raises(DataError, match="'weight'"):
        write(tmp_path / "a.edges", [simple(2, [[0, 1]], {}, {"weight": [1]})])  # would be read back as 1.0
    with pytest.raises(DataError, match="cannot hold labels"):
        write(tmp_path / "a.edges", plain(), [1, 2, 3, 4])
    with pytest.raises(DataError, match="4 samples"):
        write(tmp_path / "a.g6", plain(), [1, 2])
    for label in ("", "a\tb", "a\nb"):
        with pytest.raises(DataError, match="tab or a line break"):
            write(tmp_path / "a.g6", plain(1), [label])
    for label in ("", "../a", ".a"):
        with pytest.raises(DataError, match="name of a folder"):
            write(tmp_path / "folder", plain(1), [label])
    with pytest.raises(ConfigError, match=r"written as \.xyz"):
        write(tmp_path / "a.xyz", plain())
    with pytest.raises(ConfigError, match=r"written as \.g6\.gz"):
        write(tmp_path / "a.g6.gz", plain())
    with pytest.raises(DataError, match="no graphs to write"):
        write(tmp_path / "a.g6", [])
    with pytest.raises(DataError, match="graph 0: it is directed"):
        write(tmp_path / "a.g6", [nx.DiGraph([(0, 1)])])
    with pytest.raises(DataError, match="XML does not have"):
        write(tmp_path / "a.graphml", plain(1), ["a\x01"])
    with pytest.raises(DataError, match="'id' cannot be written as JSON"):
        write(tmp_path / "a.json", [simple(2, [], {"id": [1, 2]})])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "a.g6", "a.edges", "a.json", "a.graphml", "a.pt"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name != "folder":
        (tmp_path / name).write_bytes(b"old")
    before = sorted(entry.name for entry in tmp_path.iterdir())

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PfgmError, match=f"{name}: No space left"):
        write(tmp_path / name, plain())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert name == "folder" or (tmp_path / name).read_bytes() == b"old"


@fuzz
@given(
    head=st.sampled_from([b"", b"D", b":", b">>graph6<<", b"[", b"{", b'[{"nodes":[', b"<graphml>", b"PK\3\4", b"1 2"]),
    data=st.binary(max_size=200),
    name=st.sampled_from(["a.g6", "a.s6", "a.edges", "a.txt", "a.graphml", "a.json", "a.jsonl", "a.pt"]),
)  # fmt: skip
def test_arbitrary_bytes_raise_nothing_else(tmp_path: Path, head: bytes, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(head + data)
    try:
        assert len(read(tmp_path / name)) > 0
    except PfgmError as error:
        assert name in str(error)


written: dict[str, bytes] = {}


@settings(fuzz, max_examples=150)
@given(
    suffix=st.sampled_from([*TEXT, ".pt"]),
    place=st.floats(0, 1, exclude_max=True),
    value=st.integers(0, 255),
    cut=st.floats(0, 1),
)
def test_damaged_files_raise_nothing_else(tmp_path: Path, suffix: str, place: float, value: int, cut: float) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix not in written:
        bare = suffix in (".g6", ".s6", ".edges", ".txt")
        write(path, plain(3) if bare else attributed(3, vectors=suffix != ".graphml"))
        written[suffix] = path.read_bytes()
    data = bytearray(written[suffix])
    data[int(place * len(data))] = value
    path.write_bytes(data[: max(1, int(cut * 1.5 * len(data)))])
    try:
        assert all(graph.num_nodes for graph in read(path).objects)
    except PfgmError as error:
        assert path.name in str(error)


def test_deeply_nested_json_is_no_crash(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" + '{"a":[' * 50_000 + "]}" * 50_000 + "]"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(DataError, match=r"a\.json"):
            read(tmp_path / "a.json")


def test_chunks_of_json_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modalities.graphs.files import nodelink

    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, '\\"[{', "a")
    text = io.BytesIO(b"".join(nodelink.encode([graph] * 3, None))).read()
    (tmp_path / "a.json").write_bytes(text)
    for size in range(1, 40):
        monkeypatch.setattr(nodelink, "_CHUNK", size)
        dataset = read(tmp_path / "a.json")
        assert len(dataset) == 3 and not dataset.rejected
        assert dataset.details == {"names": {"a": ['\\"[{']}}
