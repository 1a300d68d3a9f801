"""Graphs by recipe and by name: exact structure, laws, determinism, and what is said when a set is missing or wrong."""

from __future__ import annotations

import collections
import gzip
import importlib.util
import os
import pickle
import types
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import ConvexHull
from torch_geometric.data import Data

from modalities.graphs import datasets
from modalities.graphs.datasets import gdss_split, load, spectre_split
from modalities.graphs.files.planetoid import citations
from modalities.graphs.recipes import (
    RECIPES,
    Communities,
    Grid,
    Lobster,
    Planar,
    Recipe,
    Sbm,
    Tree,
    communities,
    delaunay,
    ego_graphs,
    grid,
    lobster,
    planar,
    sbm,
    tree,
)
from modalities.graphs.simple import adjacency
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError, PfgmError

VARIABLES = ("PFGM_PLANAR", "PFGM_SBM", "PFGM_CITESEER", "PFGM_ENZYMES", "PFGM_MOSES")
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def network(graph: Data) -> nx.Graph:
    return nx.from_numpy_array(adjacency(graph))


def edges(graph: Data) -> set[tuple[int, int]]:
    return {(u, v) for u, v in graph.edge_index.T.tolist() if u < v}


def same(first: list[Data], second: list[Data]) -> bool:
    return len(first) == len(second) and all(
        a.num_nodes == b.num_nodes and torch.equal(a.edge_index, b.edge_index)
        for a, b in zip(first, second, strict=True)
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@few
@given(nodes=st.integers(3, 60), seed=st.integers(0, 2**32))
def test_planar_graphs_are_triangulations(nodes: int, seed: int) -> None:
    points = rng(seed).random((nodes, 2))
    drawn = planar(nodes, rng(seed))
    assert torch.equal(drawn.edge_index, delaunay(points).edge_index)
    graph = network(drawn)
    assert graph.number_of_nodes() == nodes
    assert nx.is_connected(graph)
    assert nx.check_planarity(graph)[0]
    assert graph.number_of_edges() == 3 * nodes - 3 - len(ConvexHull(points).vertices)  # Euler's formula
    # each side of the hull is an edge of the triangulation
    assert {tuple(sorted(side)) for side in ConvexHull(points).simplices.tolist()} <= edges(drawn)


def test_a_triangulation_known_by_hand() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.4, 0.5]])
    assert edges(delaunay(square)) == {(0, 1), (1, 2), (2, 3), (0, 3), (0, 4), (1, 4), (2, 4), (3, 4)}
    for points in (square[:2], np.stack([np.arange(5.0), np.arange(5.0)], axis=1)):
        with pytest.raises(DataError, match="not on one line"):
            delaunay(points)


@few
@given(nodes=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_trees_are_trees(nodes: int, seed: int) -> None:
    graph = network(tree(nodes, rng(seed)))
    assert graph.number_of_nodes() == nodes
    assert nx.is_tree(graph)


def test_the_16_labelled_trees_of_four_nodes_are_equally_likely() -> None:
    generator = rng(1)
    counts = collections.Counter(frozenset(edges(tree(4, generator))) for _ in range(1600))
    assert len(counts) == 16
    # seeded; another seed would fail with chance 1/1000
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_sbm_of_certain_edges_is_its_blocks() -> None:
    joined = adjacency(sbm([3, 1, 4], rng(), inside=1, between=0))
    block = np.repeat([0, 1, 2], [3, 1, 4])
    expected = (block[:, None] == block) & ~np.eye(8, dtype=bool)
    assert (joined == expected).all()
    assert (adjacency(sbm([3, 1, 4], rng(), inside=0, between=1)) == (block[:, None] != block)).all()


def test_sbm_joins_with_the_two_chances() -> None:
    joined = adjacency(sbm([100, 100], rng(0), inside=0.3, between=0.05))
    inside, between = joined[:100, :100].sum() / 2, joined[:100, 100:].sum()
    # seeded; each would fail for another seed with chance 1/1000
    assert stats.binomtest(int(inside), 4950, 0.3).pvalue > 5e-4
    assert joined[100:, 100:].sum() != joined[:100, :100].sum()
    assert stats.binomtest(int(between), 10_000, 0.05).pvalue > 1e-3


def test_sbm_blocks_are_those_of_spectre() -> None:
    assert Sbm() == Sbm(blocks=(2, 5), block=(20, 40), inside=0.3, between=0.005)
    found = [
        [len(part) for part in nx.connected_components(network(graph))] for graph in Sbm(inside=1, between=0).draw(50)
    ]
    assert {len(sizes) for sizes in found} == {2, 3, 4, 5}
    # 175 sizes or so: the chance that one of 21 is missed is 21 (20/21)^175 = .004; seeded
    assert {size for sizes in found for size in sizes} == set(range(20, 41))


def test_a_lobster_without_its_legs_and_toes_is_its_spine() -> None:
    for seed in range(20):
        graph = network(lobster(12, rng(seed)))
        assert nx.is_tree(graph)
        assert set(graph) >= set(range(12))
        assert graph.subgraph(range(12)).edges == nx.path_graph(12).edges
        for _ in range(2):
            graph = graph.subgraph([node for node in graph if graph.degree(node) > 1 or node < 12])
        assert set(graph) == set(range(12))
    assert edges(lobster(4, rng(), p1=0, p2=0.9)) == {(0, 1), (1, 2), (2, 3)}
    assert [lobster(spine, rng(), p1=0).num_nodes for spine in (0, 1, 2)] == [0, 1, 2]


def test_lobsters_have_as_many_legs_and_toes_as_networkx_gives_them() -> None:
    nodes = lobster(20_000, rng(0), p1=0.5, p2=0.75).num_nodes
    # a spine node has 1 leg on average, a leg 3 toes: 5 nodes in all, variance of legs and toes 2 * 16 + 12
    assert abs(nodes - 100_000) < 3.3 * np.sqrt(20_000 * 44)  # seeded; chance 1/1000 for another seed
    drawn = Lobster().draw(60)
    assert Lobster() == Lobster(spine=80, p1=0.7, p2=0.7, nodes=(10, 100))
    assert all(10 <= graph.num_nodes <= 100 and nx.is_tree(network(graph)) for graph in drawn)
    # without legs all is spine: floor(2 u 3 + 1/2), so 0 to 6; 0 and 6 are half as likely
    spines = collections.Counter(graph.num_nodes for graph in Lobster(spine=3, p1=0, nodes=(1, 6)).draw(1100))
    expected = [200, 200, 200, 200, 200, 100]
    assert stats.chisquare([spines[n] for n in range(1, 7)], expected).pvalue > 1e-3  # seeded; chance 1/1000


def test_lobsters_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modalities.graphs.recipes._TRIES", 20)
    with pytest.raises(ConfigError, match="widen nodes"):
        Lobster(spine=1, p1=0, nodes=(50, 60)).draw(1)


def test_grids() -> None:
    assert edges(grid(2, 3)) == {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)}
    assert grid(1, 1).num_nodes == 1
    assert nx.is_isomorphic(network(grid(4, 6)), nx.grid_2d_graph(4, 6))
    every = Grid((2, 4)).every()
    assert [graph.num_nodes for graph in every] == [4, 6, 8, 6, 9, 12, 8, 12, 16]
    shapes = {(graph.num_nodes, len(edges(graph))) for graph in Grid((2, 4)).draw(200)}
    assert shapes == {(graph.num_nodes, len(edges(graph))) for graph in every}
    assert Grid() == Grid((10, 19))


def test_communities_are_those_of_the_published_generator() -> None:
    for size in range(6, 11):
        graph = network(communities(size, rng(), bridges=0))
        left, right = (nx.gnp_random_graph(size, 0.7, seed=seed) for seed in (0, 1))
        expected = nx.disjoint_union(left, right)
        expected.add_edge(0, size)  # the one bridge where none is drawn
        assert {frozenset(edge) for edge in graph.edges} == {frozenset(edge) for edge in expected.edges}


def test_bridges_between_communities() -> None:
    full = communities(5, rng(), inside=1, bridges=10)  # chance capped at 1
    assert len(edges(full)) == 10 * 9 // 2
    generator, size = rng(0), 8
    bridges = [
        int(adjacency(communities(size, generator, inside=0, fresh=True))[:size, size:].sum()) for _ in range(1000)
    ]
    chance = 2 * 0.05 / size  # so size^2 of them give .05 a node, and none counts as one
    expected = [stats.binom.pmf([0, 1], 64, chance).sum(), *stats.binom.pmf([2, 3], 64, chance)]
    observed = np.bincount(np.clip(bridges, 1, 4), minlength=5)[1:]
    assert min(bridges) == 1
    # seeded; another seed would fail with chance 1/1000
    assert stats.chisquare(observed, 1000 * np.array([*expected, 1 - sum(expected)])).pvalue > 1e-3


def test_community_small_has_five_pairs_of_communities_unless_fresh() -> None:
    def pairs(recipe: Recipe) -> set[bytes]:
        found = set()
        for graph in recipe.draw(100):
            joined, half = adjacency(graph), graph.num_nodes // 2
            joined[:half, half:] = joined[half:, :half] = False
            found.add(joined.tobytes())
        return found

    drawn = Communities().draw(100)
    assert {graph.num_nodes for graph in drawn} == {12, 14, 16, 18, 20}
    assert all(nx.is_connected(network(graph)) for graph in drawn)
    assert len(pairs(Communities())) == 5
    assert len(pairs(Communities(fresh=True))) == 100


def test_ego_graphs_by_hand() -> None:
    #  0 - 1 - 2, a triangle 2 3 4, 5 at 2; 7 - 8 apart; 1 names itself
    neighbours = {2: [1, 3, 4, 5], 0: [1], 1: [0, 2, 1], 3: [2, 4], 4: [], 5: [], 7: [8], 8: [7]}
    every = ego_graphs(neighbours, (1, 9))
    assert [(graph.num_nodes, len(edges(graph))) for graph in every] == [(5, 5), (2, 1), (3, 2), (3, 3), (3, 3), (2, 1)]
    assert same(ego_graphs(neighbours, (3, 4)), [every[i] for i in (2, 3, 4)])
    assert same(ego_graphs(neighbours), every[:1])
    assert ego_graphs({}) == []


@pytest.mark.parametrize("name", RECIPES)
def test_graph_i_depends_on_seed_and_i_alone(name: str) -> None:
    recipe = RECIPES[name]
    whole = recipe.draw(6, seed=3)
    assert same(whole[:2], recipe.draw(2, seed=3))
    assert not same(whole, recipe.draw(6, seed=4))
    assert not same(whole[:1] * 6, whole)
    torch.manual_seed(1)
    np.random.seed(1)
    assert same(whole, recipe.draw(6, seed=3))


@pytest.mark.parametrize("name", RECIPES)
def test_graphs_are_simple_and_of_the_sizes_that_the_recipe_says(name: str) -> None:
    recipe = RECIPES[name]
    for graph in recipe.draw(20):
        assert recipe.sizes[0] <= graph.num_nodes <= recipe.sizes[1]
        joined = adjacency(graph)
        assert not joined.diagonal().any()
        assert graph.edge_index.T.tolist() == np.argwhere(joined).tolist()  # both directions, once each, sorted
        assert graph.keys() == ["edge_index", "num_nodes"] or set(graph.keys()) == {"edge_index", "num_nodes"}


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        (Planar((5, 7)), {5, 6, 7}),
        (Tree((1, 3)), {1, 2, 3}),
        (Sbm((1, 2), (2, 3)), {2, 3, 4, 5, 6}),
        (Grid((1, 3)), {1, 2, 3, 4, 6, 9}),
        (Communities((4, 7)), {4, 6}),
        (Lobster(spine=4, nodes=(10, 12)), {10, 11, 12}),
    ],
)
def test_every_size_occurs_and_no_other(recipe: Recipe, sizes: set[int]) -> None:
    found = {graph.num_nodes for graph in recipe.draw(100)}
    assert found == sizes
    assert recipe.sizes == (min(sizes), max(sizes))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Planar((2, 5)), "nodes is 2-5.*from 3 on"),
        (lambda: Tree((0, 5)), "nodes is 0-5"),
        (lambda: Tree((5, 4)), "nodes is 5-4"),
        (lambda: Sbm(blocks=(0, 1)), "blocks"),
        (lambda: Sbm(block=(0, 1)), "block is"),
        (lambda: Sbm(inside=1.1), "inside is 1.1"),
        (lambda: Sbm(between=float("nan")), "between is nan"),
        (lambda: Lobster(p1=-0.1), "p1"),
        (lambda: Lobster(p2=1.0), "p2"),
        (lambda: Lobster(spine=0), "spine"),
        (lambda: Lobster(nodes=(0, 3)), "nodes"),
        (lambda: Grid((0, 3)), "sides"),
        (lambda: Communities((1, 3)), "nodes"),
        (lambda: Communities(inside=2), "inside"),
        (lambda: Communities(bridges=-1), "bridges"),
        (lambda: Tree().draw(0), "count is 0"),
        (lambda: Tree().draw(1, seed=-1), "seed -1"),
    ],
)
def test_parameters_that_no_graph_has_are_refused(make: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make()


@pytest.mark.parametrize(
    ("name", "count"),
    [("planar", 200), ("tree", 200), ("sbm", 200), ("lobster", 100), ("community-small", 100), ("tree-20", 2000)],
)
def test_recipes_by_name(name: str, count: int) -> None:
    data = load(name)
    assert same(data.objects[:9], RECIPES[name].draw(9, seed=0))
    assert len(data) == count
    assert (data.name, data.condition) == (name, {})
    assert f"{count:,} graphs" in next(info.size for info in datasets.names() if info.name == name)


def test_grid_by_name_is_every_lattice_or_draws() -> None:
    assert same(load("grid").objects, Grid().every())
    assert same(load("grid:sides=2-3").objects, Grid((2, 3)).every())
    assert same(load("grid:sides=2-3:count=5").objects, Grid((2, 3)).draw(5))
    assert same(load("grid:sides=2:seed=7").objects, Grid((2, 2)).draw(100, seed=7))


def test_settings_in_a_name() -> None:
    data = load("planar:nodes=8:count=5:seed=3")
    assert same(data.objects, Planar((8, 8)).draw(5, seed=3))
    assert data.name == "planar:nodes=8:count=5:seed=3"
    assert data.source == datasets.PLANAR.source
    assert same(load("planar-20:count=3").objects, Planar((16, 24)).draw(3))
    assert same(load("tree:nodes=3-9:count=9").objects, Tree((3, 9)).draw(9))
    assert same(load("sbm:blocks=1:block=5-6:inside=.5:between=0:count=2").objects, Sbm((1, 1), (5, 6), 0.5, 0).draw(2))
    assert same(load("community-small:fresh=yes").objects, Communities(fresh=True).draw(100))
    assert same(load("community-small:fresh=no").objects, Communities().draw(100))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("planar:nods=8", "'nods=8' is no setting.*nodes=64, count=200, seed=0"),
        ("planar-20:nodes", "cannot be read.*nodes=16-24"),
        ("planar:nodes=8-", None),
        ("planar:nodes=8:nodes=9", "twice"),
        ("planar:nodes=many", "cannot be read"),
        ("planar:count=2.5", "cannot be read"),
        ("planar:", "is no setting"),
        ("community-small:fresh=1", "cannot be read.*fresh=no"),
        ("sbm:inside=2", "from 0 to 1"),
        ("tree:count=0", "count is 0"),
        ("planar-spectre:parts=test", "part=train"),
        ("moses:part=validation:count=x", "count=50000"),
    ],
)
def test_wrong_settings_are_told_what_is_allowed(name: str, reason: str | None) -> None:
    if reason is None:
        assert load(f"{name}:count=1").objects[0].num_nodes == 8
        return
    with pytest.raises(ConfigError, match=reason):
        load(name)


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(PfgmError, match="Did you mean 'planar'"):
        load("planr:nodes=3")


def test_every_entry_says_where_it_comes_from() -> None:
    known = [info.name for info in datasets.names()]
    assert len(set(known)) == len(known) == 14
    assert set(RECIPES) <= set(known)
    for info in datasets.names():
        assert all(getattr(info, field.name) for field in fields(info) if field.name not in ("citation", "how"))
        assert info.citation or "of this package" in info.description


@pytest.mark.parametrize("info", datasets.names(), ids=lambda info: info.name)
def test_a_missing_set_says_how_to_get_it(info: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    if info.name in RECIPES:
        assert len(load(f"{info.name}:count=1")) == 1
        return
    with pytest.raises(PfgmError) as caught:
        load(info.name)
    assert info.how in str(caught.value)
    assert "pip " in info.how or any(variable in info.how for variable in VARIABLES)


def test_the_split_of_spectre() -> None:
    train, validation, test = spectre_split(200)
    assert (len(train), len(validation), len(test)) == (128, 32, 40)
    parts = torch.utils.data.random_split(range(200), [128, 32, 40], generator=torch.Generator().manual_seed(1234))
    for ours, theirs in zip((train, validation, test), parts, strict=True):
        assert ours.tolist() == list(theirs.indices)


@given(count=st.integers(1, 300))
def test_splits_are_partitions(count: int) -> None:
    for parts in (spectre_split(count), gdss_split(count)):
        assert np.sort(np.concatenate(parts)).tolist() == list(range(count))


def test_the_split_of_gdss() -> None:
    train, test = gdss_split(587)
    assert test.tolist() == list(range(117))
    assert train.tolist() == list(range(117, 587))


def spectre_file(path: Path, graphs: list[Data]) -> list[torch.Tensor]:
    matrices = [torch.from_numpy(adjacency(graph)).float() for graph in graphs]
    spectra = [torch.zeros(2)] * len(graphs)
    torch.save([matrices, spectra, spectra, [len(m) for m in matrices], torch.tensor(2.0), 0, False, 64], path)
    return matrices


@pytest.mark.parametrize(("name", "variable"), [("planar-spectre", "PFGM_PLANAR"), ("sbm-spectre", "PFGM_SBM")])
def test_the_files_of_spectre(name: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = Tree((4, 9)).draw(20)
    spectre_file(tmp_path / "a.pt", graphs)
    monkeypatch.setenv(variable, str(tmp_path / "a.pt"))
    assert same(load(f"{name}:part=all").objects, graphs)
    for part, index in zip(("train", "validation", "test"), spectre_split(20), strict=True):
        assert same(load(f"{name}:part={part}").objects, [graphs[i] for i in index])
    data = load(name)
    assert len(data) == 13
    assert (data.name, data.licence) == (name, "MIT")
    with pytest.raises(ConfigError, match="train, validation, test, all"):
        load(f"{name}:part=tests")


def test_files_that_are_not_of_spectre(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(PfgmError, match="no file or folder"):
        datasets.spectre(path)
    for content in (b"", b"PK\3\4", pickle.dumps([[1]], 2), pickle.dumps(os.system, 2)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read .*a\.pt"):
            datasets.spectre(path)
    for matrix in (torch.ones(2, 2), torch.zeros(2, 3), torch.tensor([[0, 1], [0, 0]]), torch.full((2, 2), 0.5)):
        torch.save([[torch.zeros(2, 2), matrix]], path)
        with pytest.raises(DataError, match=r"index 1 of .*a\.pt: its adjacency"):
            datasets.spectre(path)
    torch.save([[]], path)
    with pytest.raises(DataError, match="holds no graphs"):
        datasets.spectre(path)
    torch.save({"model": torch.zeros(2)}, path)
    with pytest.raises(DataError, match=r"a\.pt"):
        datasets.spectre(path)


def wheel_graph(count: int) -> dict[int, list[int]]:
    """A ring of count nodes, each joined to the two next to it on either side: every ego graph has 5 nodes, 7 edges."""
    return {i: [(i + step) % count for step in (-2, -1, 1, 2)] for i in range(count)}


def test_ego_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ind.citeseer.graph"
    lists = collections.defaultdict(list, wheel_graph(250))
    for protocol in range(5):
        path.write_bytes(pickle.dumps(lists, protocol=protocol))
        assert citations(path) == lists
    monkeypatch.setenv("PFGM_CITESEER", str(path))
    assert (len(load("ego-small")), len(load("ego-small:part=test")), len(load("ego-small:part=all"))) == (160, 40, 200)
    assert all((graph.num_nodes, len(edges(graph))) == (5, 7) for graph in load("ego-small").objects)


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    # what Python 2 writes for defaultdict(list, {0: [1], 1: [0, 4294967296L]}), protocol 0
    data = (
        b"ccollections\ndefaultdict\np0\n(c__builtin__\nlist\np1\ntp2\nRp3\n"
        b"I0\n(lp4\nI1\nasI1\n(lp5\nI0\naL4294967296L\nas."
    )
    (tmp_path / "g").write_bytes(data)
    assert citations(tmp_path / "g") == {0: [1], 1: [0, 4294967296]}


class Calls:
    """Pickled, it asks for a function to be called when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("function", [os.system, eval, getattr, collections.OrderedDict])
def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, function: Any, protocol: int) -> None:
    argument = f"touch {tmp_path / 'ran'}"
    path = tmp_path / "ind.citeseer.graph"
    path.write_bytes(pickle.dumps({0: [1], 1: Calls(function, argument)}, protocol=protocol))
    with pytest.raises(DataError, match=r"ind\.citeseer\.graph.*refused"):
        citations(path)
    assert not (tmp_path / "ran").exists()


def test_other_content_than_lists_of_integers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ind.citeseer.graph"
    contents: list[Any] = [{}, [1], 3, {0: 1}, {"a": [1]}, {0: ["a"]}, {0: [True]}, {0: (1,)}, {0.0: [1]}]
    for content in contents:
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="dictionary of lists of integers"):
            citations(path)
    with pytest.raises(DataError, match="no file of at most"):
        citations(tmp_path)
    path.write_bytes(pickle.dumps({0: [1], 1: [0]}))
    with pytest.raises(DataError, match="not Citeseer"):
        datasets.ego_small(path)


@few
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.floats(0, 1))
def test_damaged_pickles_raise_nothing_else(tmp_path: Path, place: float, value: int, cut: float) -> None:
    data = bytearray(pickle.dumps(collections.defaultdict(list, wheel_graph(20)), protocol=2))
    data[int(place * len(data))] = value
    path = tmp_path / "ind.citeseer.graph"
    path.write_bytes(data[: int(cut * 1.2 * len(data))])
    try:
        assert citations(path)
    except DataError as error:
        assert "ind.citeseer.graph" in str(error)


def test_enzymes_are_those_of_gdss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rings = [network(Tree((size, size)).draw(1)[0]) for size in (9, 10, 12, 11, 10, 30)]
    rings[1].add_node("alone")
    rings[0].add_node("alone")  # 10 nodes, but 9 that are joined
    whole = nx.disjoint_union_all(rings)
    lines = {
        "A": [f"{u + 1}, {v + 1}" for a, b in whole.edges for u, v in ((a, b), (b, a))],
        "graph_indicator": [str(i + 1) for i, graph in enumerate(rings) for _ in graph],
        "graph_labels": ["1", "2", "3", "1", "2", "3"],
        "node_labels": [str(1 + node % 3) for node in whole],
    }
    for name, content in lines.items():
        (tmp_path / f"ENZYMES_{name}.txt").write_text("\n".join(content) + "\n")
    monkeypatch.setenv("PFGM_ENZYMES", str(tmp_path))
    data = load("enzymes:part=all")
    assert [graph.num_nodes for graph in data.objects] == [10, 12, 11, 10, 30]
    assert [len(edges(graph)) for graph in data.objects] == [9, 11, 10, 9, 29]
    assert [graph.num_nodes for graph in load("enzymes:part=test").objects] == [10]
    assert [graph.num_nodes for graph in load("enzymes").objects] == [12, 11, 10, 30]
    assert all(len(value) == 5 for value in data.condition.values())


def fake_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package qm9pack of five molecules, one of which no chemist knows."""
    (folder / "data").mkdir(parents=True)
    rows = [("C", 0.0, 0.5), ("C1CC1O", 1.5, 0.25), ("C(C", 2.0, 0.2), ("C#N", 3.0, 0.125), ("[NH3+]CC([O-])=O", 4, 1)]
    for number, part in ((1, rows[:2]), (2, rows[2:3]), (3, rows[3:])):
        lines = ["Index,SMILES,Dipole_debye,HOMO_LUMO_gap_au", *(f'1,"{s}",{mu},{gap}' for s, mu, gap in part)]
        (folder / "data" / f"qm9_part{number}.csv").write_text("\n".join(lines) + "\n")
    spec = types.SimpleNamespace(submodule_search_locations=[str(folder)])
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "qm9pack" else find(name))


def test_qm9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rdkit")
    fake_package(tmp_path / "qm9pack", monkeypatch)
    data = load("qm9:properties=gap+mu")
    assert [graph.z.tolist() for graph in data.objects] == [[6], [6, 6, 6, 8], [6, 7], [7, 6, 6, 8, 8]]
    assert data.objects[2].edge_attr.tolist() == [3, 3]
    assert [graph.charge.tolist() for graph in data.objects[2:]] == [[0, 0], [1, 0, 0, -1, 0]]
    assert list(data.condition) == ["gap", "mu"]
    assert data.condition["gap"].tolist() == [0.5, 0.25, 0.125, 1.0]  # the rejected one's is left out
    assert data.condition["mu"].tolist() == [0.0, 1.5, 3.0, 4.0]
    assert [record.record for record in data.rejected] == ["C(C"]
    assert load("qm9").condition == {}
    for setting, reason in (
        ("properties=gapp", "mu, alpha, homo"),
        ("count=6", "0 \\(all\\) to 5"),
        ("seed=-1", "seed"),
    ):
        with pytest.raises(ConfigError, match=reason):
            load(f"qm9:{setting}")


def test_some_of_a_set_are_drawn_without_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rdkit")
    fake_package(tmp_path / "qm9pack", monkeypatch)
    chosen = set()
    for seed in range(12):
        data = load(f"qm9:count=3:seed={seed}:properties=mu")
        assert len(data) + len(data.rejected) == 3
        assert (np.diff(data.condition["mu"]) > 0).all()  # in the order of the file
        assert load(data.name).condition["mu"].tolist() == data.condition["mu"].tolist()
        chosen |= set(data.condition["mu"].tolist())
    assert chosen == {0.0, 1.5, 3.0, 4.0}


def test_moses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rdkit")
    inner = tmp_path / "unpacked" / "moses" / "dataset" / "data"
    inner.mkdir(parents=True)
    for part, smiles in (("train", "CCO\nCCN\nCC=O\n"), ("test", "CCC\nX\n"), ("test_scaffolds", "C1CC1\n")):
        (inner / f"{part}.csv.gz").write_bytes(gzip.compress(f"SMILES\n{smiles}".encode()))
    with zipfile.ZipFile(tmp_path / "molsets.whl", "w") as archive:
        for file in inner.iterdir():
            archive.write(file, f"moses/dataset/data/{file.name}")
    for path in (tmp_path / "molsets.whl", tmp_path / "unpacked", inner, inner.parent.parent):
        monkeypatch.setenv("PFGM_MOSES", str(path))
        data: Dataset = load("moses:count=0")
        assert [graph.z.tolist() for graph in data.objects] == [[6, 6, 8], [6, 6, 7], [6, 6, 8]]
        assert "charge" not in data.objects[0]
        assert len(load("moses:count=2")) == 2
        test = load("moses:part=test:count=0")
        assert (len(test), [record.record for record in test.rejected]) == (1, ["X"])
        assert load("moses:part=test_scaffolds:count=1").objects[0].num_nodes == 3
    with pytest.raises(ConfigError, match="train, test, test_scaffolds"):
        load("moses:part=valid")


def test_files_that_are_not_molsets(tmp_path: Path) -> None:
    with pytest.raises(PfgmError, match="no file or folder"):
        datasets.moses(tmp_path / "molsets.whl")
    with pytest.raises(DataError, match=r"no train\.csv\.gz in .*pip download"):
        datasets.moses(tmp_path)
    (tmp_path / "a.whl").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a\.whl is damaged.*pip download"):
        datasets.moses(tmp_path / "a.whl")
    for content in (
        b"x",
        gzip.compress(b"SMILES\nCC")[:12],
        gzip.compress(b"name\nCC"),
        gzip.compress(b"SMILES\n\xff"),
    ):
        (tmp_path / "train.csv.gz").write_bytes(content)
        with pytest.raises(PfgmError, match=str(tmp_path)):
            datasets.moses(tmp_path)
