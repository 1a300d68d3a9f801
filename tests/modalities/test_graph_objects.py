"""Graphs as objects: what can be used, and to networkx and back."""

from __future__ import annotations

import re
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.utils import coalesce

from modalities.graphs.joint import edge_keys, node_keys
from modalities.graphs.objects import checked, from_networkx, is_networkx, networks, problem, to_networkx
from modalities.graphs.simple import MAX_NODES, adjacency, simple
from pfgm_science.errors import DataError

fuzz = settings(deadline=None, derandomize=True, max_examples=40)


def pairs(edges: list[list[int]]) -> torch.Tensor:
    return torch.tensor(edges).reshape(-1, 2).T


def same(a: Data, b: Data) -> None:
    assert set(a.keys()) == set(b.keys())
    assert a.num_nodes == b.num_nodes
    for key in set(a.keys()) - {"num_nodes"}:
        assert a[key].dtype == b[key].dtype, key
        assert torch.equal(a[key], b[key]), key


def test_adjacency_of_both_kinds() -> None:
    path = nx.Graph([("b", "a"), ("a", "c")])
    path.add_node("d")
    wanted = np.zeros((4, 4), bool)
    wanted[[0, 1, 1, 2], [1, 0, 2, 1]] = True
    assert (adjacency(path) == wanted).all() and adjacency(path).dtype == bool
    assert (adjacency(simple(4, [[1, 0], [1, 2]])) == wanted).all()
    assert adjacency(simple(3, [])).shape == (3, 3)
    assert not adjacency(nx.empty_graph(3)).any()


def test_simple_lists_both_directions_sorted_with_their_attributes() -> None:
    graph = simple(4, [[2, 1], [3, 0]], {"z": [6, 7, 8, 9]}, {"weight": [0.5, 2.0]})
    assert graph.edge_index.tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]]
    assert graph.weight.tolist() == [2.0, 0.5, 0.5, 2.0]
    assert graph.z.tolist() == [6, 7, 8, 9] and graph.num_nodes == 4
    assert graph.edge_index.dtype == torch.int64 and graph.edge_index.is_contiguous()


@fuzz
@given(st.integers(1, 9), st.data())
def test_simple_sorts_as_pyg(nodes: int, data: Any) -> None:
    every = [(i, j) for i in range(nodes) for j in range(i)]
    edges = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    graph = simple(nodes, edges, {}, {"w": torch.arange(len(edges))})
    both = [*edges, *((j, i) for i, j in edges)]
    index, weight = coalesce(pairs([list(edge) for edge in both]).long(), torch.arange(len(edges)).repeat(2), nodes)
    assert torch.equal(graph.edge_index, index)
    assert torch.equal(graph.w, weight)
    assert problem(graph) == "" or nodes == 1


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([[0, 0]], "edge 0-0 is a self-loop"),
        ([[0, 1], [1, 0]], "edge 0-1 is listed twice"),
        ([[0, 1], [0, 1]], "edge 0-1 is listed twice"),
        ([[0, 3]], "edge 0-3 names a node that does not exist: nodes are 0 to 2"),
        ([[-1, 0]], "edge -1-0 names a node"),
    ],
)
def test_simple_refuses_what_is_not_simple(edges: list[list[int]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        simple(3, edges)


def test_simple_refuses_attributes_of_another_length() -> None:
    with pytest.raises(DataError, match=r"node attribute 'z' has shape \[2\] for 3 nodes"):
        simple(3, [[0, 1]], {"z": [1, 2]})
    with pytest.raises(DataError, match=r"edge attribute 'w' has shape \[2\] for 1 edges"):
        simple(3, [[0, 1]], {}, {"w": [1, 2]})


GOOD = [[0, 1], [1, 0], [1, 2], [2, 1]]


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (nx.DiGraph([(0, 1)]), "directed"),
        (nx.MultiGraph([(0, 1)]), "multigraph"),
        (nx.Graph([("a", "a")]), "edge 'a'-'a' is a self-loop"),
        (nx.Graph(), "no nodes"),
        (nx.empty_graph(1), "one node"),
        (nx.empty_graph(MAX_NODES + 1), "1001 nodes; at most 1000"),
        (Data(edge_index=pairs([]), num_nodes=0), "no nodes"),
        (Data(edge_index=pairs([]), num_nodes=1), "one node"),
        (Data(edge_index=pairs([]).long(), num_nodes=1001), "at most 1000"),
        (Data(edge_index=pairs([[0, 1]]), num_nodes=3), "directed"),
        (Data(edge_index=pairs([[0, 0]]), num_nodes=3), "self-loop"),
        (Data(edge_index=pairs(GOOD + GOOD), num_nodes=3), "listed twice"),
        (Data(edge_index=pairs([[0, 1], [1, 0]]), num_nodes=1), "does not exist"),
        (Data(edge_index=pairs(GOOD).float(), num_nodes=3), "must be integers"),
        (Data(edge_index=pairs(GOOD).T, num_nodes=3), "must be integers"),
        (Data(num_nodes=3), "edge_index is missing"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, x=torch.rand(5, 2)), r"'x' has shape \[5, 2\]"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, x=torch.tensor([0, 1, torch.nan])), "NaN"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, x=torch.zeros(3, 2).long()), "one category"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, x=torch.zeros(3, 2, 2)), "shape"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, x=torch.zeros(3).to(torch.complex64)), "complex"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, edge_attr=torch.arange(4)), "differs between .* directions"),
        (Data(edge_index=pairs(GOOD), num_nodes=3, w=torch.rand(4, 2)), "differs between .* directions"),
        (3, "int"),
    ],
)
def test_problem_says_why_a_graph_cannot_be_used(graph: Any, words: str) -> None:
    assert re.search(words, problem(graph))


def test_graphs_without_a_problem() -> None:
    assert problem(nx.petersen_graph()) == ""
    assert problem(nx.empty_graph(2)) == ""
    assert problem(Data(edge_index=pairs(GOOD), num_nodes=3)) == ""
    assert problem(nx.path_graph(MAX_NODES)) == ""
    assert problem(simple(1, [], {"z": [6]})) == ""


def test_pyg_graphs_are_brought_to_the_form() -> None:
    index = pairs([[2, 1], [0, 1], [1, 2], [1, 0]])
    given = Data(
        edge_index=index.int(),
        num_nodes=3,
        edge_attr=torch.tensor([5, 4, 5, 4]),
        flag=torch.tensor([True, False, True]),
        half=torch.ones(3, 2).half(),
        idx=torch.tensor([7]),
        y=torch.tensor([[1.0, 2.0]]),
        name="gdb_1",
    )
    (graph,), names = checked([given])
    wanted = simple(
        3, [[0, 1], [1, 2]], {"flag": torch.tensor([1, 0, 1]), "half": torch.ones(3, 2)}, {"edge_attr": [4, 5]}
    )
    same(graph, wanted)
    assert names == {}
    assert given.edge_attr.tolist() == [5, 4, 5, 4]
    same(checked([wanted])[0][0], wanted)
    (node,), _ = checked([Data(edge_index=index, num_nodes=3, y=torch.tensor([0, 1, 0]))])
    assert node.node_y.tolist() == [0, 1, 0]


def test_checked_takes_a_pyg_data_set_and_refuses_a_single_graph(tmp_path: Any) -> None:
    class Two(InMemoryDataset):
        def __init__(self) -> None:
            super().__init__()
            self.data, self.slices = self.collate([simple(3, [[0, 1]]), simple(4, [[2, 3]])])

    graphs, _ = checked(Two())
    assert [graph.num_nodes for graph in graphs] == [3, 4]
    for single in (nx.path_graph(3), simple(3, [])):
        with pytest.raises(DataError, match="put it in a list"):
            checked(single)
    with pytest.raises(DataError, match="graph 1: .*directed"):
        checked([nx.path_graph(3), nx.DiGraph([(0, 1)])])
    with pytest.raises(DataError, match="graph 1: it is a list"):
        checked([nx.path_graph(3), [[0, 1]]])
    assert checked([]) == ([], {})


def test_which_attributes_are_of_nodes_and_of_edges_is_judged_by_all_graphs() -> None:
    two = simple(2, [[0, 1]], {"kind": [1, 2]}, {"tie": [3]})  # two nodes, two directions
    three = simple(3, [[0, 1], [1, 2]], {"kind": [1, 2, 3]}, {"tie": [3, 4]})
    assert node_keys([two, three]) == ["kind"] and edge_keys([two, three]) == ["tie"]
    named = simple(2, [[0, 1]], {"x": [1, 2]}, {"edge_attr": [1], "weight": [1.0]})
    assert node_keys([named]) == ["x"] and edge_keys([named]) == ["edge_attr", "weight"]
    networks_of = networks([two, three])
    assert networks_of[0].edges[0, 1] == {"tie": 3} and networks_of[0].nodes[0] == {"kind": 1}
    network = nx.Graph()
    network.add_edge(0, 1, tie=1)
    with pytest.raises(DataError, match="'tie' cannot be told from a node attribute.*'edge_tie'"):
        from_networkx([network])


def coloured() -> nx.Graph:
    graph = nx.Graph()
    graph.add_node("b", colour="red", size=1, mass=0.1, old=True, place=[0.5, 1])
    graph.add_node(("a", 1), colour="blue", size=7, mass=2, old=False, place=(1, 2))
    graph.add_node(3, colour="red", size=-2, mass=np.float32(3.5), old=np.bool_(True), place=np.array([0.0, 9]))
    graph.add_edge("b", 3, weight=0.5, colour=4)
    return graph


def test_from_networkx_converts_every_kind_of_attribute() -> None:
    (graph,), names = from_networkx([coloured()])
    assert graph.num_nodes == 3
    assert graph.edge_index.tolist() == [[0, 2], [2, 0]]
    assert names == {"colour": ["blue", "red"], "old": [False, True]}
    assert graph.colour.tolist() == [1, 0, 1] and graph.old.tolist() == [1, 0, 1]
    assert graph["size"].tolist() == [1, 7, -2]
    torch.testing.assert_close(graph.mass, torch.tensor([0.1, 2, 3.5]))
    assert graph.place.tolist() == [[0.5, 1], [1, 2], [0, 9]] and graph.place.dtype == torch.float32
    assert graph.weight.tolist() == [0.5, 0.5]
    assert graph.edge_colour.tolist() == [4, 4]  # nodes have a colour, too


def test_to_networkx_is_the_inverse() -> None:
    graphs, names = from_networkx([coloured()])
    network = to_networkx(graphs[0], names)
    assert list(network) == [0, 1, 2] and not network.is_directed()
    assert network.nodes[0] == {"colour": "red", "size": 1, "mass": 0.1, "old": True, "place": [0.5, 1.0]}
    assert dict(network.edges) == {(0, 2): {"weight": 0.5, "edge_colour": 4}}
    assert type(network.nodes[0]["size"]) is int and type(network.nodes[0]["mass"]) is float
    same(from_networkx([network])[0][0], graphs[0])
    with pytest.raises(DataError, match="'colour' has the category 1"):
        to_networkx(graphs[0], {"colour": ["blue"]})


def test_words_are_numbered_jointly_or_as_they_are_known() -> None:
    def one(*words: str) -> nx.Graph:
        graph = nx.path_graph(len(words))
        nx.set_node_attributes(graph, dict(enumerate(words)), "c")
        return graph

    graphs, names = from_networkx([one("b", "c"), one("a", "b", "b")])
    assert names == {"c": ["a", "b", "c"]}
    assert [graph.c.tolist() for graph in graphs] == [[1, 2], [0, 1, 1]]
    (graph,), names = checked([one("a", "b")], {"c": ["b", "x", "a"]})
    assert graph.c.tolist() == [2, 0] and names == {"c": ["b", "x", "a"]}
    with pytest.raises(DataError, match="graph 1: node attribute 'c' is 'z': known are 'a', 'b'"):
        checked([one("a", "b"), one("b", "z")], {"c": ["a", "b"]})


def test_numbers_are_real_if_any_graph_has_a_real_one() -> None:
    whole, real = nx.path_graph(2), nx.path_graph(3)
    nx.set_node_attributes(whole, 1, "a")
    nx.set_node_attributes(real, 0.5, "a")
    graphs, _ = from_networkx([whole, real])
    assert [graph.a.dtype for graph in graphs] == [torch.float32] * 2
    assert graphs[0].a.tolist() == [1.0, 1.0]


def test_graphs_without_edges_have_edge_attributes_as_the_others() -> None:
    full = nx.path_graph(3)
    nx.set_edge_attributes(full, 2, "bond")
    nx.set_edge_attributes(full, {edge: [0.5, 1.0] for edge in full.edges}, "vector")
    graphs, _ = from_networkx([full, nx.empty_graph(2)])
    assert graphs[1].bond.shape == (0,) and graphs[1].bond.dtype == torch.int64
    assert graphs[1].vector.shape == (0, 2) and graphs[1].vector.dtype == torch.float32


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["red", None, "red"], "graph 0: node attribute 'a' is no number \\(NoneType\\) at node 'y'"),
        (["red", 1, "red"], "'a' is integer at node 'y', elsewhere word"),
        ([1, True, 2], "boolean at node 'y'"),
        ([1.0, float("nan"), 2], "'a' is nan at node 'y': it must be finite"),
        ([1.0, 1e300, 2], "1e[+]300 at node 'y': it must be finite"),
        ([1, 2**70, 2], "too large"),
        ([[1, 2], [1], [1, 2]], "vectors of one length"),
        ([["u"], ["v"], ["w"]], "vectors of one length"),
        ([[], [], []], "vectors of one length"),
        ([{}, {}, {}], "no number"),
    ],
)
def test_attributes_that_cannot_be_used_are_named(values: list[Any], words: str) -> None:
    graph = nx.Graph([("x", "y"), ("y", "z")])
    nx.set_node_attributes(graph, dict(zip("xyz", values, strict=True)), "a")
    with pytest.raises(DataError, match=words):
        from_networkx([graph])


def test_attributes_that_only_some_have_are_named() -> None:
    graph = nx.path_graph(3)
    graph.nodes[0]["a"] = graph.nodes[1]["a"] = 1
    with pytest.raises(DataError, match="graph 1: node attribute 'a' is missing at node 2"):
        from_networkx([nx.path_graph(3), graph])
    graph = nx.path_graph(3)
    graph.edges[0, 1]["b"] = 1
    with pytest.raises(DataError, match="graph 0: edge attribute 'b' is missing at edge 1-2"):
        from_networkx([graph])
    with pytest.raises(DataError, match="graph 2: its attributes of nodes are none, .*'a' \\(numbers\\)"):
        checked([simple(2, [], {"a": [1, 2]}), simple(2, [], {"a": [1, 2]}), simple(2, [])])


def test_names_that_mean_something_to_pyg_are_changed() -> None:
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, 0.5, "y")
    nx.set_node_attributes(graph, 0.5, "batch")
    nx.set_edge_attributes(graph, 1, "num_nodes")
    (found,), _ = from_networkx([graph])
    assert set(found.keys()) == {"edge_index", "num_nodes", "node_y", "node_batch", "edge_num_nodes"}


def test_is_networkx() -> None:
    assert is_networkx([nx.path_graph(2)])
    assert not is_networkx([simple(2, [])])
    assert not is_networkx([])


@fuzz
@given(st.data())
def test_networkx_and_back_changes_nothing(data: Any) -> None:
    graphs = []
    for _ in range(data.draw(st.integers(1, 3))):
        nodes = data.draw(st.integers(3, 6))
        edges = [(i, i + 1) for i in range(nodes - 1)]
        number = st.floats(width=32, allow_nan=False, allow_infinity=False)
        z = data.draw(st.lists(st.integers(0, 5), min_size=nodes, max_size=nodes))
        s = data.draw(st.lists(number, min_size=nodes, max_size=nodes))
        w = data.draw(st.lists(st.lists(number, min_size=2, max_size=2), min_size=nodes - 1, max_size=nodes - 1))
        rows = {"z": torch.tensor(z), "s": torch.tensor(s), "c": torch.tensor(z)[:, None]}
        graphs.append(simple(nodes, edges, rows, {"w": torch.tensor(w)}))
    back, names = from_networkx(networks(graphs))
    assert names == {}
    for a, b in zip(graphs, back, strict=True):
        same(a, b)
