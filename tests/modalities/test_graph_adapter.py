"""Graphs as tensors and back, attributes, sizes, parts, and what large graphs cost; the contract tests the rest."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch as PyGBatch
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.transforms import AddRandomWalkPE

import modalities.graphs
import pfgm_science as pfgm
from modalities.graphs import Graphs, Part
from modalities.graphs.attributes import ROOT_2, Attribute
from modalities.graphs.cost import notice
from modalities.graphs.objects import from_networkx
from modalities.graphs.simple import adjacency, simple
from pfgm_science.data import Dataset
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.model import Model, configure

TINY: dict[str, Any] = {
    "network": {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8},
    "steps": 3,
    "batch_size": 4,
}


PATHS = [nx.path_graph(3 + i % 3) for i in range(6)]


@pytest.fixture(scope="module")
def model() -> Model:
    """Of networkx graphs of 4 to 8 nodes."""
    return pfgm.fit(Graphs(), [nx.gnp_random_graph(4 + i % 5, 0.5, seed=i) for i in range(20)], **TINY)


def test_an_edge_is_plus_one_and_none_minus_one_less_their_mean() -> None:
    adapter = Graphs().fit(Dataset([nx.path_graph(3), nx.complete_graph(3)]))
    assert adapter.density == pytest.approx(5 / 6)
    values = adapter.encode([nx.path_graph(3)]).values + adapter.centre
    assert values.tolist() == [pytest.approx([1.0, -1.0, 1.0])]  # pairs (0, 1), (0, 2), (1, 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.floats(0, 1), st.integers(0, 1000))
def test_any_graph_survives(size: int, density: float, seed: int) -> None:
    graph = nx.gnp_random_graph(size, density, seed=seed)
    adapter = Graphs().fit(Dataset([graph, nx.path_graph(12)]))
    (back,) = adapter.decode(adapter.encode([graph]))
    assert nx.utils.graphs_equal(back, graph)


def test_noise_below_half_the_distance_is_decoded_away() -> None:
    graphs = [nx.gnp_random_graph(9, 0.3, seed=i) for i in range(5)]
    adapter = Graphs().fit(Dataset(graphs))
    batch = adapter.encode(graphs)
    noise = 1.9 * torch.rand(batch.values.shape, generator=torch.Generator().manual_seed(0)) - 0.95
    noisy = type(batch)(batch.values + noise * batch.mask, batch.mask)
    assert all(nx.utils.graphs_equal(a, b) for a, b in zip(adapter.decode(noisy), graphs, strict=True))


def test_categories_lie_two_apart_around_zero() -> None:
    attribute = Attribute.fit("kind", [torch.tensor([3, 5, 9]), torch.tensor([5])])
    assert attribute.codes == (3, 5, 9) and attribute.channels == 3
    hot = attribute.encode(torch.tensor([3, 9, 5]))
    torch.testing.assert_close(hot.sum(1), torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.pdist(hot), torch.full((3,), 2.0))
    assert float(hot.max()) == pytest.approx(ROOT_2 * 2 / 3)
    assert attribute.decode(hot).tolist() == [3, 9, 5]
    with pytest.raises(DataError, match="'kind' is 4"):
        attribute.encode(torch.tensor([4]))


def test_real_numbers_are_standardised_and_one_hot_vectors_recognised() -> None:
    values = torch.tensor([[1.0, 7.0], [3.0, 7.0]])
    real = Attribute.fit("place", [values])
    assert real.encode(values).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert torch.equal(real.decode(real.encode(values)), values)
    hot = torch.eye(3)[[0, 2, 1]]
    category = Attribute.fit("type", [hot])
    assert category.one_hot and category.channels == 3
    assert torch.equal(category.decode(category.encode(hot) + 0.1), hot)


def test_attributes_that_cannot_be_learned_are_refused() -> None:
    for entries, words in (
        ([torch.arange(200)], "200 categories"),
        ([torch.zeros(3), torch.zeros(3, 2)], "several kinds"),
        ([torch.zeros(3, 2, 2)], "shape"),
        ([torch.zeros(3, 2, dtype=torch.long)], "2 integers each"),
    ):
        with pytest.raises(DataError, match=words):
            Attribute.fit("a", entries)


def test_words_of_networkx_attributes_come_back() -> None:
    graph = nx.Graph()
    graph.add_nodes_from([("a", {"colour": "red", "mass": 1.5}), ("b", {"colour": "blue", "mass": 2.5})])
    graph.add_edge("a", "b", bond="double")
    other = nx.relabel_nodes(graph, {"a": "b", "b": "a"})
    adapter = Graphs().fit(Dataset([graph, other]))
    back = adapter.restore(adapter.settings()).decode(adapter.encode([graph]))[0]
    assert dict(back.nodes(data=True)) == {0: {"colour": "red", "mass": 1.5}, 1: {"colour": "blue", "mass": 2.5}}
    assert list(back.edges(data=True)) == [(0, 1, {"bond": "double"})]
    with pytest.raises(DataError, match="green"):
        nx.set_node_attributes(other, "green", "colour")
        adapter.encode([other])


def test_sizes_are_drawn_as_often_as_they_occur() -> None:
    """5,000 draws: a share is off by more than .03 (over 4 standard errors) with a chance below 1e-4; fixed seed."""
    graphs = [nx.path_graph(3)] * 3 + [nx.path_graph(7)]
    adapter = Graphs().fit(Dataset(graphs))
    template = adapter.template(5000, seed=1)
    sizes = adapter.layout.sizes(template.mask)
    assert set(sizes.tolist()) == {3, 7}
    assert abs(float((sizes == 3).float().mean()) - 0.75) < 0.03


def test_a_graph_larger_than_any_of_the_data_is_refused() -> None:
    adapter = Graphs().fit(Dataset([nx.path_graph(4)]))
    with pytest.raises(DataError, match="graph 1 has 5 nodes"):
        adapter.encode([nx.path_graph(3), nx.path_graph(5)])


def test_a_part_is_kept_whatever_the_size(model: Model) -> None:
    part = nx.cycle_graph(4)
    samples = model.sample(30, keep=Part(part, seed=3), evaluations=5)
    for sample in samples:
        assert len(sample) in (4, 5, 6, 7, 8)
        assert nx.utils.graphs_equal(nx.Graph(sample.subgraph(range(4))), part)
    assert len({len(sample) for sample in samples}) > 1
    again = model.sample(30, keep=Part(part, seed=3), evaluations=5)
    assert all(nx.utils.graphs_equal(a, b) for a, b in zip(samples, again, strict=True))


def test_the_network_is_shown_the_part_as_its_estimate(model: Model) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    class Spy(Wrapper):
        def __init__(self, denoiser: Denoiser) -> None:
            self.denoiser = denoiser

        def __call__(self, x, sigma, condition=None, mask=None):  # type: ignore[no-untyped-def]
            seen.append(dict(condition or {}))
            return self.denoiser(x, sigma, condition, mask)

    part = Part(nx.cycle_graph(4), sizes=6, repeats=1)
    known = part.encoded(model.adapter, 2)
    model.sample(2, keep=part, evaluations=12, steer=Spy)
    shown = [condition["estimate"] for condition in seen if "estimate" in condition]
    assert len(shown) >= 3
    for estimate in shown:
        torch.testing.assert_close((estimate * known.known).float(), known.batch.values * known.known)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Part(nx.path_graph(5), sizes=4), "cannot have fewer"),
        (Part(nx.path_graph(3), sizes=[5, 6, 7]), "3 sizes for 2 samples"),
        (Part(nx.path_graph(3), sizes=9), "4 to 8|2 to 8"),
    ],
)
def test_a_part_without_room_is_refused(model: Model, part: Part, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        model.sample(2, keep=part)
    with pytest.raises(ConfigError, match="sizes"):
        model.sample(2, keep=Part(nx.path_graph(3)), sizes=5)


def test_three_lines_for_a_first_time_user() -> None:
    """A list of networkx graphs in, a list of networkx graphs out."""
    graphs = [nx.random_labeled_tree(6, seed=i) for i in range(12)]
    trained = pfgm.fit(Graphs(), graphs, dimension=128, **TINY)
    new = trained.sample(5, seed=0, evaluations=5)
    assert len(new) == 5 and all(type(graph) is nx.Graph and len(graph) == 6 for graph in new)


def test_networkx_graphs_of_a_model_of_pyg_graphs_on_request() -> None:
    words = from_networkx([nx.set_node_attributes(g, {n: "ab"[n % 2] for n in g}, "kind") or g for g in PATHS])
    trained = pfgm.fit(Graphs(), Dataset(words[0], details={"names": words[1]}), **TINY)
    new = trained.sample(3, evaluations=4)
    assert all(isinstance(graph, Data) for graph in new)
    asked = modalities.graphs.networks(new, trained.adapter.names)
    for graph, same in zip(new, asked, strict=True):
        assert type(same) is nx.Graph and same.number_of_edges() == graph.num_edges // 2
        assert {row["kind"] for _, row in same.nodes(data=True)} <= {"a", "b"}


def test_a_pyg_data_set_with_a_transform_of_pyg() -> None:
    class Paths(InMemoryDataset):
        def __init__(self) -> None:
            super().__init__(None, transform=AddRandomWalkPE(3, attr_name="walks"))
            self.data, self.slices = self.collate(from_networkx(PATHS)[0])

    trained = pfgm.fit(Graphs(), Paths(), **TINY)
    new = trained.sample(3, evaluations=4)
    assert all(graph.walks.shape == (graph.num_nodes, 3) and graph.walks.is_floating_point() for graph in new)
    assert PyGBatch.from_data_list(new).num_graphs == 3


def test_what_a_run_on_large_graphs_costs_is_said_before(caplog: pytest.LogCaptureFixture) -> None:
    adapter = Graphs().fit(Dataset([nx.path_graph(201)]))
    said = notice(adapter, configure(adapter, 1, TINY))
    assert "201 nodes" in said and "GiB" in said and "3 steps" in said
    small = Graphs().fit(Dataset([nx.path_graph(200)]))
    assert notice(small, configure(small, 1, TINY)) == ""
    pfgm.fit(Graphs(), [nx.path_graph(201)], **(TINY | {"steps": 1, "batch_size": 1}))
    assert "201 nodes" in caplog.text


def test_edges_of_every_kind_of_attribute_survive_an_edgeless_graph() -> None:
    bare = simple(3, np.zeros((0, 2)), edge_attributes={"bond": torch.zeros(0, dtype=torch.long)})
    joined = simple(3, [[0, 2]], edge_attributes={"bond": torch.tensor([2])})
    adapter = Graphs().fit(Dataset([joined, bare]))
    back = adapter.decode(adapter.encode([bare, joined]))
    assert back[0].edge_index.shape == (2, 0) and back[1].bond.tolist() == [2, 2]
    assert adjacency(back[1])[0, 2] and not adjacency(back[0]).any()


def test_features_see_shape_and_attributes_but_no_order_of_nodes() -> None:
    def coloured(graph: nx.Graph, colour: int) -> nx.Graph:
        nx.set_node_attributes(graph, {node: colour if node == 0 else 0 for node in graph}, "colour")
        return graph

    path, other, star = coloured(nx.path_graph(4), 1), coloured(nx.path_graph(4), 0), coloured(nx.star_graph(3), 1)
    turned = nx.Graph()
    turned.add_nodes_from((node, path.nodes[node]) for node in (2, 0, 3, 1))
    turned.add_edges_from(path.edges)
    adapter = Graphs().fit(Dataset([path, other, star]))
    features = adapter.features([path, turned, other, star])
    np.testing.assert_allclose(features[0], features[1], rtol=1e-6, atol=1e-9)
    assert np.abs(features[0] - features[2]).max() > 0.01 and np.abs(features[0] - features[3]).max() > 0.01
    assert np.abs(features).max() < 100


def test_a_part_with_too_few_evaluations_for_its_takes_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    graphs = [nx.path_graph(5)] * 4
    model = pfgm.fit(Graphs(), graphs, **TINY)
    part = Part(nx.path_graph(2), sizes=5)
    model.sample(2, keep=part, evaluations=60)
    (said,) = [record.getMessage() for record in caplog.records]
    wanted = int(said.split("allow ")[1].split()[0])
    assert said.startswith("60 evaluations are ") and "steps of 10 takes" in said
    caplog.clear()
    model.sample(2, keep=part, evaluations=wanted)
    model.sample(2, keep=part)
    assert not caplog.records


def weighed(graph: nx.Graph) -> nx.Graph:
    """With real attributes that do not survive being standardised in 32 bits."""
    for node in graph:
        graph.nodes[node]["mass"] = 0.1 * node**2
    for u, v in graph.edges:
        graph.edges[u, v]["length"] = 0.3 * u + v / 7
    return graph


def test_real_attributes_of_a_part_are_kept_to_the_last_bit() -> None:
    graphs, part = [weighed(nx.path_graph(5)) for _ in range(4)], weighed(nx.path_graph(3))
    model = pfgm.fit(Graphs(), graphs, **TINY)
    wanted = [float(np.float32(row["length"])) for *_, row in part.edges(data=True)]
    for sample in model.sample(3, keep=Part(part, sizes=5, repeats=1), evaluations=4):
        kept = sample.subgraph(range(3))
        assert [np.float32(row["mass"]) for _, row in kept.nodes(data=True)] == [np.float32(0.1 * n**2) for n in part]
        assert [float(np.float32(row["length"])) for *_, row in kept.edges(data=True)] == wanted
    (first,), _ = from_networkx([part])
    pyg = pfgm.fit(Graphs(), from_networkx(graphs)[0], **TINY)
    for sample in pyg.sample(3, keep=Part(first, sizes=5, repeats=1), evaluations=4):
        inside = (sample.edge_index < 3).all(0)
        assert torch.equal(sample.edge_index[:, inside], first.edge_index)
        assert torch.equal(sample.mass[:3], first.mass) and torch.equal(sample.length[inside], first.length)


def test_a_part_with_attributes_that_the_model_cannot_keep_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match="'mass'.*it knows none"):
        model.sample(2, keep=Part(weighed(nx.path_graph(3))))
    coloured = pfgm.fit(Graphs(), [weighed(nx.path_graph(4))] * 4, **TINY)
    with pytest.raises(DataError, match="graph 0 lacks the node attribute 'mass'"):
        coloured.sample(2, keep=Part(nx.path_graph(3)))


def test_molecules_without_charges_are_neutral_where_charges_are_known() -> None:
    def molecule(*charge: int) -> Data:
        chain = simple(2, [[0, 1]], {"z": torch.tensor([6, 7])}, {"edge_attr": torch.tensor([1])})
        if charge:
            chain.charge = torch.tensor(charge)
        return chain

    adapter = Graphs().fit(Dataset([molecule(0, 1), molecule(0, 0)]))
    assert torch.equal(adapter.encode([molecule()]).values, adapter.encode([molecule(0, 0)]).values)
    neutral = [molecule()] * 40
    assert adapter.features(neutral).shape[0] == 40
    assert adapter.sections(neutral, [molecule(0, 1)] * 4, None, None)
    model = pfgm.fit(Graphs(), [molecule(0, 1), molecule(0, 0)] * 2, **TINY)
    for sample in model.sample(3, keep=Part(molecule()), evaluations=4):
        assert sample.z.tolist() == [6, 7] and sample.charge.tolist() == [0, 0]
    plain = pfgm.fit(Graphs(), [molecule()] * 4, **TINY)
    assert "charge" not in plain.sample(1, keep=Part(molecule(0, 0)), evaluations=4)[0]
    with pytest.raises(DataError, match="'charge'"):
        plain.sample(1, keep=Part(molecule(0, 1)))


def test_as_many_nodes_as_directions_of_edges_confuse_nobody() -> None:
    bond = nx.path_graph(2)
    nx.set_edge_attributes(bond, {(0, 1): {"kind": 3}})
    nx.set_node_attributes(bond, {0: {"hue": 1}, 1: {"hue": 2}})
    chain = nx.path_graph(3)
    nx.set_edge_attributes(chain, 4, "kind")
    nx.set_node_attributes(chain, 1, "hue")
    adapter = Graphs().fit(Dataset([bond, chain]))
    (back,) = adapter.decode(adapter.encode([bond]))
    assert dict(back.nodes(data=True)) == {0: {"hue": 1}, 1: {"hue": 2}}
    assert list(back.edges(data=True)) == [(0, 1, {"kind": 3})]
    model = pfgm.fit(Graphs(), [bond, chain] * 2, **TINY)
    (sample,) = model.sample(1, keep=Part(bond, sizes=2), evaluations=4)
    assert nx.utils.graphs_equal(sample, bond)
    apart = nx.Graph(bond)
    apart.remove_edge(0, 1)
    (sample,) = model.sample(1, keep=Part(apart, sizes=2), evaluations=4)
    assert nx.utils.graphs_equal(sample, apart)
