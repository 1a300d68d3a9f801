"""The graph transformer, its layout of values and its random walks; symmetries are tested by the adapter contract."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.transforms import AddRandomWalkPE
from torch_geometric.utils import from_networkx

from modalities.graphs.layout import Layout, pair_count
from modalities.graphs.network import GraphTransformer, TransformerConfig, random_walks
from pfgm_science.condition import ESTIMATE
from pfgm_science.errors import ConfigError
from pfgm_science.testing import randomised

TINY = TransformerConfig(width=8, pair_width=8, depth=2, heads=2, product=2, walks=4, embedding=8)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 3), st.integers(1, 3))
def test_split_and_join_are_inverse(nodes: int, node_channels: int, pair_channels: int) -> None:
    layout = Layout(nodes, node_channels, pair_channels)
    values = torch.arange(2 * layout.size).float().reshape(2, -1)
    split = layout.split(values)
    assert split[0].shape == (2, nodes, node_channels) and split[1].shape == (2, pair_count(nodes), pair_channels)
    assert torch.equal(layout.join(*split), values)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=5), st.integers(0, 2))
def test_a_mask_says_the_sizes_it_was_made_of(sizes: list[int], node_channels: int) -> None:
    layout = Layout(12, node_channels, 2)
    mask = layout.mask(torch.tensor(sizes))
    assert layout.sizes(mask).tolist() == sizes
    wanted = [size * node_channels + 2 * pair_count(size) for size in sizes]
    assert mask.sum(1).tolist() == wanted


def test_pairs_are_ordered_by_their_higher_node() -> None:
    layout = Layout(4, 0, 1)
    low, high = layout.ends
    pairs = list(zip(low.tolist(), high.tolist(), strict=True))
    assert pairs == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    assert layout.place(torch.tensor(low), torch.tensor(high)).tolist() == list(range(6))


def test_return_probabilities_are_those_of_torch_geometric() -> None:
    graph = nx.convert_node_labels_to_integers(nx.karate_club_graph())
    adjacency = torch.from_numpy(nx.to_numpy_array(graph, weight=None)).float()
    walks = random_walks(adjacency[None], 6)
    bare = from_networkx(nx.from_numpy_array(adjacency.numpy(), edge_attr=None))
    known = AddRandomWalkPE(6, "walks")(bare).walks
    torch.testing.assert_close(walks[0].diagonal(dim1=1, dim2=2).T, known, rtol=1e-4, atol=1e-5)


def test_random_walks_of_a_path_and_of_a_lonely_node() -> None:
    adjacency = torch.zeros(1, 4, 4)
    adjacency[0, 0, 1] = adjacency[0, 1, 0] = adjacency[0, 1, 2] = adjacency[0, 2, 1] = 1
    once, twice = random_walks(adjacency, 2)[0]
    assert float(once[0, 1]) == pytest.approx(0.5**0.5) and float(once[0, 2]) == 0
    assert twice.diagonal().tolist() == pytest.approx([0.5, 1.0, 0.5, 0.0])
    assert float(twice[0, 2]) == pytest.approx(0.5)
    assert torch.equal(random_walks(adjacency, 2)[0, :, 3], torch.zeros(2, 4))


def test_the_network_looks_at_an_estimate() -> None:
    layout = Layout(5, 2, 1)
    network = randomised(GraphTransformer(layout, TINY)).eval()
    x, level = torch.randn(3, layout.size, generator=torch.Generator().manual_seed(0)), torch.zeros(3)
    without = network(x, level)
    for estimate in (torch.zeros_like(x), x):
        assert not torch.allclose(network(x, level, {ESTIMATE: estimate}), without)


def test_a_network_without_self_conditioning_looks_at_none() -> None:
    layout = Layout(5, 0, 1)
    config = TransformerConfig(**{**vars(TINY), "self_conditioning": False})
    network = randomised(GraphTransformer(layout, config)).eval()
    x, level = torch.randn(3, layout.size, generator=torch.Generator().manual_seed(0)), torch.zeros(3)
    assert torch.equal(network(x, level, {ESTIMATE: x}), network(x, level))


def test_the_answer_does_not_depend_on_the_room_for_larger_graphs() -> None:
    """A batch is cut to its largest graph: the same weights serve another layout."""
    small, large = Layout(5, 1, 2), Layout(9, 1, 2)
    network = randomised(GraphTransformer(small, TINY)).eval()
    other = GraphTransformer(large, TINY).eval()
    other.load_state_dict(network.state_dict())
    generator = torch.Generator().manual_seed(0)
    x, level, sizes = torch.randn(2, small.size, generator=generator), torch.zeros(2), torch.tensor([5, 3])
    nodes, pairs = small.split(x)
    wide = large.join(
        torch.nn.functional.pad(nodes, (0, 0, 0, 4)),
        torch.nn.functional.pad(pairs, (0, 0, 0, large.pairs - small.pairs)),
    )
    ours, theirs = network(x, level, None, small.mask(sizes)), other(wide, level, None, large.mask(sizes))
    for mine, yours in zip(small.split(ours), large.split(theirs), strict=True):
        torch.testing.assert_close(mine, yours[:, : mine.shape[1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "value"), [("width", 0), ("heads", 3), ("walks", 0), ("product", 0), ("dropout", 1.0)]
)
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=setting):
        TransformerConfig(**{**vars(TransformerConfig()), setting: value})
