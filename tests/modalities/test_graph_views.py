"""What a person looks at: planar graphs do not cross, equal graphs look equal, nothing fails on odd graphs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.graphs import recipes, views
from modalities.graphs.positions import crossings, positions
from modalities.graphs.simple import adjacency, simple
from pfgm_science.errors import DataError
from pfgm_science.figures import png
from pfgm_science.report import Figure, Section, Table

Array = np.ndarray[Any, Any]


def pixels(figure: Any) -> Array:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png(figure, 1.0))).convert("RGB"))


def edges(graph: Any) -> Array:
    return np.argwhere(np.triu(adjacency(graph), 1))


def words(figure: Any) -> list[str]:
    return [text.get_text() for text in (*figure.texts, *(text for ax in figure.axes for text in ax.texts))]


def dots(figure: Any) -> list[Array]:
    """Centres of discs, an array for each colour."""
    from matplotlib.collections import PathCollection

    found = [item for item in figure.axes[0].collections if isinstance(item, PathCollection)]
    return [np.asarray(item.get_offsets()) for item in found]


def lines(figure: Any) -> list[Any]:
    from matplotlib.collections import LineCollection

    return [item for item in figure.axes[0].collections if isinstance(item, LineCollection)]


def coloured(count: int = 3) -> list[nx.Graph]:
    """Triangles of a red, a blue and a blue node, with a thick edge and two thin ones."""
    graph = nx.Graph()
    for node, colour in enumerate(("red", "blue", "blue")):
        graph.add_node(node, colour=colour)
    graph.add_edge(0, 1, bond="thick")
    graph.add_edge(1, 2, bond="thin")
    graph.add_edge(0, 2, bond="thin")
    return [graph] * count


def molecules(count: int = 2) -> list[Any]:
    """Ethanol and acetonitrile, in turn."""
    bonds = [[0, 1], [1, 2]]
    ethanol = simple(3, bonds, {"z": torch.tensor([6, 6, 8])}, {"edge_attr": torch.tensor([1, 1])})
    nitrile = simple(3, bonds, {"z": torch.tensor([6, 6, 7])}, {"edge_attr": torch.tensor([1, 3])})
    return [ethanol if i % 2 == 0 else nitrile for i in range(count)]


# Crossings


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(0, 0), (1, 1), (0, 1), (1, 0)], 1),  # the diagonals of a square
        ([(0, 0), (1, 0), (0, 1), (1, 1)], 0),  # two sides of it
        ([(0, 0), (1, 0), (2, 0), (3, 0)], 0),  # on one line, apart
        ([(0, 0), (2, 0), (1, 0), (3, 0)], 1),  # on one line, overlapping
        ([(0, 0), (2, 0), (1, 0), (1, 1)], 1),  # one ends on the other
        ([(0, 0), (2, 0), (1, 0.5), (1, 1)], 0),
    ],
)
def test_crossings_of_two_lines(places: list[tuple[float, float]], expected: int) -> None:
    found = crossings(np.array(places, float), np.array([[0, 1], [2, 3]]))
    assert found.tolist() == [[0, 1]] * expected


def test_crossings_of_lines_with_a_common_end() -> None:
    joined = np.array([[0, 1], [0, 2]])
    assert len(crossings(np.array([(0, 0), (1, 0), (1, 1.0)]), joined)) == 0
    assert len(crossings(np.array([(0, 0), (1, 0), (-1, 0.0)]), joined)) == 0
    assert len(crossings(np.array([(0, 0), (1, 0), (2, 0.0)]), joined)) == 1, "one lies on the other"


# Positions


def planar_graphs() -> list[Any]:
    generator = np.random.default_rng(0)
    return [
        recipes.planar(20, generator),
        recipes.planar(40, generator),
        recipes.tree(20, generator),
        recipes.tree(64, generator),
        recipes.lobster(20, generator),
        recipes.grid(6, 9),
        nx.complete_bipartite_graph(2, 8),
        nx.dodecahedral_graph(),
        nx.star_graph(20),
        nx.barbell_graph(4, 3),
    ]


@pytest.mark.parametrize("graph", planar_graphs())
def test_planar_graphs_are_drawn_without_crossings(graph: Any) -> None:
    places = positions(graph)
    assert places.shape == (len(adjacency(graph)), 2)
    assert np.isfinite(places).all()
    assert len(crossings(places, edges(graph))) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 14), st.integers(0, 16), st.integers(0, 10**6))
def test_positions_of_any_graph(nodes: int, count: int, seed: int) -> None:
    graph = nx.gnm_random_graph(nodes, count, seed=seed)
    places = positions(graph)
    assert np.isfinite(places).all()
    gaps = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1)) + np.eye(nodes)
    assert gaps.min() > 1e-3, "no two nodes coincide"
    crossed = len(crossings(places, edges(graph)))
    assert (crossed == 0) == nx.check_planarity(graph)[0]


def test_positions_are_the_same_every_time() -> None:
    graph = recipes.Communities().draw(1)[0]
    assert np.array_equal(positions(graph), positions(graph.clone()))
    assert np.array_equal(positions(graph), positions(adjacency(graph)))


def test_distances_on_paper_follow_the_graph() -> None:
    places = positions(nx.path_graph(5))
    ends = np.linalg.norm(places[0] - places[-1])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert np.allclose(steps, 1, atol=0.15)
    assert ends == pytest.approx(4, rel=0.1)


def test_parts_stand_apart() -> None:
    graph = nx.disjoint_union_all([nx.cycle_graph(5), nx.complete_graph(4), nx.empty_graph(2)])
    places = positions(graph)
    boxes = [(part.min(0), part.max(0)) for part in np.split(places, [5, 9, 10])]
    for i, (low, high) in enumerate(boxes):
        for below, above in boxes[:i]:
            assert (low > above + 0.9).any() or (below > high + 0.9).any()


def test_positions_without_nodes() -> None:
    assert positions(np.zeros((0, 0), bool)).shape == (0, 2)


# Sheets


def test_grid_draws_every_node_and_edge_inside_the_figure() -> None:
    graphs = [nx.path_graph(3), nx.cycle_graph(4), nx.complete_graph(5)]
    figure = views.grid(graphs, "Three")
    assert [len(found) for found in dots(figure)] == [3, 4, 5]
    assert [len(found.get_segments()) for found in lines(figure)] == [2, 4, 10]
    width, height = figure.get_size_inches() * 96
    every = np.concatenate(dots(figure))
    assert (every > 0).all()
    assert (every < [width, height]).all()
    assert "Three" in words(figure)


def test_lines_end_at_their_nodes() -> None:
    (nodes,), (drawn,) = (found(views.grid([nx.path_graph(3)])) for found in (dots, lines))
    for (start, end), (u, v) in zip(drawn.get_segments(), [(0, 1), (1, 2)], strict=True):
        assert np.allclose([start, end], [nodes[u], nodes[v]])


@pytest.mark.parametrize(("count", "nodes", "shown"), [(1, 4, 1), (36, 4, 36), (50, 4, 36), (30, 20, 25), (20, 40, 16)])
def test_grid_says_how_many_are_not_drawn(count: int, nodes: int, shown: int) -> None:
    figure = views.grid([nx.path_graph(nodes)] * count)
    assert len(dots(figure)) == shown
    assert (f"{count - shown} more are not drawn" in words(figure)) == (count > shown)
    width, height = figure.get_size_inches() * 96
    assert 0 < width <= views.SHEET
    assert height > 0


def test_same_graphs_make_the_same_picture() -> None:
    graphs = recipes.Communities().draw(2)
    assert np.array_equal(pixels(views.grid(graphs)), pixels(views.grid([graph.clone() for graph in graphs])))


@pytest.mark.parametrize(
    "graph",
    [
        nx.path_graph(2),
        nx.empty_graph(2),
        nx.empty_graph(12),
        nx.complete_graph(12),
        nx.disjoint_union(nx.cycle_graph(5), nx.path_graph(2)),
        recipes.lobster(12, np.random.default_rng(0)),
        nx.grid_2d_graph(24, 24),
        nx.balanced_tree(2, 8),
    ],
)
def test_grid_of_odd_graphs(graph: Any) -> None:
    assert pixels(views.grid([graph])).std() > 0


def test_grid_of_nothing() -> None:
    with pytest.raises(DataError, match="no graphs to draw"):
        views.grid([])


def test_categories_have_colours_and_styles_and_a_legend() -> None:
    figure = views.grid(coloured())
    assert {"colour", "red", "blue", "bond", "thick", "thin"} <= set(words(figure))
    drawn, legend = dots(figure)[:6], dots(figure)[6:]
    assert [len(found) for found in drawn] == [2, 1] * 3, "blue before red, each in its own colour"
    assert [len(found) for found in legend] == [1, 1]
    thick, thin = lines(figure)[:2]
    assert (len(thick.get_segments()), len(thin.get_segments())) == (1, 2)
    assert thick.get_linestyles() != thin.get_linestyles()
    marks = [item for item in figure.axes[0].collections if len(item.get_facecolor())]
    assert (marks[0].get_facecolor() != marks[1].get_facecolor()).any()


def test_words_of_categories_of_data() -> None:
    graph = simple(2, [[0, 1]], {"kind": torch.tensor([0, 1])})
    assert words(views.grid([graph], names={"kind": ["cat", "dog"]})) == ["kind", "cat", "dog"]
    assert {"kind", "0", "1"} <= set(words(views.grid([graph])))


def test_rare_categories_are_others() -> None:
    kinds = torch.tensor([*range(12), *range(8)])
    figure = views.grid([simple(20, [], {"kind": kinds})])
    assert [word for word in words(figure) if word != "kind"] == [*map(str, range(8)), "other"]
    assert [len(found) for found in dots(figure)[:9]] == [2] * 8 + [4]


def test_a_plain_graph_has_no_legend() -> None:
    assert words(views.grid([nx.path_graph(3)])) == []


def test_given_positions_are_kept() -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    graph = simple(4, [[0, 1], [2, 3]], {"pos": corners})
    (found,) = dots(views.grid([graph]))
    assert np.allclose(found[0] - found[3], [0, found[1, 0] - found[0, 0]]), "up is up"
    assert found[1, 0] > found[0, 0]


# Molecules


def test_molecules_without_rdkit_are_coloured_by_element(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views._Look, "formulas", False)
    figure = views.grid(molecules())
    assert {"atoms", "C", "N", "O", "bonds", "single", "triple"} <= set(words(figure))
    assert [len(found) for found in dots(figure)[:4]] == [2, 1, 2, 1]
    assert not figure.axes[0].images


def test_molecules_are_formulas() -> None:
    pytest.importorskip("rdkit")
    figure = views.grid(molecules(7), "Seven")
    assert len(figure.axes[0].images) == 7
    assert not dots(figure)
    assert words(figure) == ["Seven"]
    first, second, third = (np.asarray(image.get_array()) for image in figure.axes[0].images[:3])
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)
    assert (pixels(figure) < 128).any()


def test_sections_of_molecules() -> None:
    pytest.importorskip("rdkit")
    found = views.sections(molecules(4), molecules(3), molecules(3), np.arange(3.0))
    assert [section.title for section in found] == [
        "Real and generated molecules",
        "Distributions of molecules",
        "Statistics of graphs",
        "Nearest training molecules",
    ]
    assert titles(found[1]) == ["atoms", "rings", "elements", "bonds"]


# Sections


def figures(section: Section) -> list[Any]:
    return [item.figure for item in section.items if isinstance(item, Figure)]


def titles(section: Section) -> list[str]:
    return [ax.get_title(loc="left") for ax in figures(section)[0].axes if ax.get_title(loc="left")]


def shares(graphs: Sequence[Any], others: Sequence[Any]) -> dict[str, tuple[Array, Array, Array]]:
    from modalities.graphs.objects import checked

    found, names = checked([*graphs, *others])
    look = views._Look.of(found, names)
    panels = views._shares(found[: len(graphs)], found[len(graphs) :], look)
    return {name: (bins, real, generated) for name, bins, real, generated, _ in panels}


def test_sections_of_graphs() -> None:
    real, generated = [nx.path_graph(4)] * 7, [nx.cycle_graph(5)] * 6
    sheets, distributions, statistics = views.sections(real, generated, None, None)
    (table,) = statistics.items
    assert isinstance(table, Table)
    found = {str(row[0]): row[1:] for row in table.rows}
    assert found["unique"] == (1 / 6, 1 / 7) and found["not among the real graphs shown"][0] == 1.0
    assert found["MMD, degree"][1] == 0.0 and float(found["MMD, degree"][0]) > 0.1
    assert len(views.sections(real[:3], generated, None, None)) == 2, "too few for a floor"
    assert sheets.title == "Real and generated graphs"
    assert "the first 6 of 7 real and of 6 generated graphs" in sheets.text
    assert [len(dots(figure)) for figure in figures(sheets)] == [6, 6]
    assert titles(distributions) == ["nodes", "edges per node", "degree of nodes", "clustering of nodes"]
    nearest = views.sections(real, generated, real[:6], np.arange(6) / 3)[-1]
    (pairs,) = figures(nearest)
    assert {"generated", "nearest in\ntraining set", "1.67"} <= set(words(pairs))
    assert [len(found) for found in dots(pairs)] == [5] * 6 + [4] * 6
    for section in (sheets, distributions, nearest):
        assert section.text
        assert all(isinstance(item, Figure) and item.alt for item in section.items)
        assert all(png(figure, 1.0).startswith(b"\x89PNG") for figure in figures(section))


def test_nearest_stand_under_their_generated_ones() -> None:
    figure = views.neighbours([nx.path_graph(3)] * 14, [nx.star_graph(3)] * 14, np.arange(14.0))
    found = dots(figure)
    assert len(found) == 24, "twelve pairs"
    for above, below in zip(found[:12], found[12:], strict=True):
        assert above[:, 1].max() < below[:, 1].min()
        assert abs(above[:, 0].mean() - below[:, 0].mean()) < 60
    assert "11.00" in words(figure)
    assert "12.00" not in words(figure)


def test_colours_agree_between_real_and_generated() -> None:
    red, blue = coloured(1)[0].copy(), coloured(1)[0].copy()
    nx.set_node_attributes(red, "red", "colour")
    nx.set_node_attributes(blue, "blue", "colour")
    sheets = views.sections([red], [blue], None, None)[0]
    colours = [figure.axes[0].collections for figure in figures(sheets)]
    first, second = (next(c.get_facecolor() for c in found if len(c.get_facecolor())) for found in colours)
    assert (first != second).any()


def test_empty_sets() -> None:
    with pytest.raises(DataError, match="0 real and 1 generated"):
        views.sections([], [nx.path_graph(2)], None, None)
    with pytest.raises(DataError, match="1 real and 0 generated"):
        views.sections([nx.path_graph(2)], [], None, None)


def test_shares_of_graphs() -> None:
    found = shares([nx.path_graph(3), nx.path_graph(4)], [nx.complete_graph(3)])
    bins, real, generated = found["nodes"]
    assert bins.tolist() == [2.5, 3.5, 4.5]
    assert (real.tolist(), generated.tolist()) == ([0.5, 0.5], [1, 0])
    bins, real, generated = found["degree of nodes"]
    assert np.allclose(real, [0, (2 / 3 + 1 / 2) / 2, (1 / 3 + 1 / 2) / 2])
    assert generated.tolist() == [0, 0, 1]
    bins, real, generated = found["clustering of nodes"]
    assert (real[0], generated[-1]) == (1, 1)
    bins, real, generated = found["edges per node"]
    assert (bins[0], bins[-1]) == (pytest.approx(2 / 3), 1)
    assert (real[0], real.sum(), generated[-1]) == (0.5, 1, 1)


def test_shares_of_categories() -> None:
    found = shares(coloured(), coloured())
    assert np.allclose(found["colour"][1], [2 / 3, 1 / 3])
    assert np.allclose(found["bond"][2], [1 / 3, 2 / 3])


def test_shares_of_molecules() -> None:
    ring = simple(3, [[0, 1], [1, 2], [0, 2]], {"z": torch.tensor([6, 6, 6])}, {"edge_attr": torch.tensor([1, 1, 1])})
    found = shares(molecules(2), [ring])
    assert found["rings"][0].tolist() == [-0.5, 0.5, 1.5]
    assert found["rings"][1].tolist() == [1, 0]
    assert found["rings"][2].tolist() == [0, 1]
    assert np.allclose(found["elements"][1], [4 / 6, 1 / 6, 1 / 6])
    assert np.allclose(found["bonds"][1], [3 / 4, 1 / 4])


def test_a_wide_range_is_put_into_few_bars() -> None:
    bins, real, generated = views._by_number(np.arange(1, 501), np.array([500]))
    assert len(real) <= views.BARS
    assert len(bins) == len(real) + 1
    assert (real.sum(), generated.sum(), generated[-1]) == (pytest.approx(1), 1, 1)


# Emergence


def flow(graph: nx.Graph) -> list[tuple[float, Array, Array]]:
    matrix = adjacency(graph).astype(float)
    flat = np.full_like(matrix, 0.25)
    return [(2.0, 3 * (2 * matrix - 1), flat), (0.0, 2 * matrix - 1, matrix)]


def test_emergence() -> None:
    graph = nx.path_graph(4)
    figure = views.emergence(flow(graph), "A path", ["not yet", "path"])
    assert {"A path", "σ = 2", "σ = 0", "not yet", "path", "state", "estimate"} <= set(words(figure))
    first, last = dots(figure)
    assert np.allclose(last - first, (last - first)[0]), "the same places in every panel"
    wrong, right, final = lines(figure)
    assert [len(item.get_segments()) for item in (wrong, right, final)] == [3, 3, 3]
    assert np.allclose(wrong.get_alpha(), 0.25)
    assert np.allclose(final.get_alpha(), 1)
    assert (wrong.get_colors() != right.get_colors()).any()
    states = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    assert np.array_equal(states[0], 3 * states[1])
    assert states[1].sum() == flow(graph)[1][1].sum()


def test_emergence_brings_neighbours_together() -> None:
    graph = nx.empty_graph(8)
    graph.add_edges_from((3 * node % 8, 3 * (node + 1) % 8) for node in range(7))
    image = np.asarray(views.emergence(flow(graph)).axes[0].images[-1].get_array())
    assert (np.diag(image, 1) == 1).all(), "a path lies beside the diagonal"


@pytest.mark.parametrize("count", [1, 3, 9])
def test_emergence_fits_the_page(count: int) -> None:
    panels = [flow(nx.cycle_graph(6))[0]] * (count - 1) + [flow(nx.cycle_graph(6))[1]]
    figure = views.emergence(panels)
    assert figure.get_size_inches()[0] * 96 <= 1000
    assert len(figure.axes[0].images) == count
    assert pixels(figure).std() > 0


@pytest.mark.parametrize(
    ("panels", "match"),
    [
        ([], "no panels"),
        (flow(nx.path_graph(3))[:1], "at sigma 2"),
        ([*flow(nx.path_graph(3)), *flow(nx.path_graph(4))], "shapes"),
        ([(0, np.zeros((2, 2)), np.full((2, 2), 1.5))], "between 0 and 1"),
        ([(0, np.full((2, 2), np.nan), np.zeros((2, 2)))], "not finite"),
    ],
)
def test_emergence_of_what_cannot_be_drawn(panels: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        views.emergence(panels)


def test_emergence_with_a_caption_too_few() -> None:
    with pytest.raises(DataError, match="1 captions for 2 panels"):
        views.emergence(flow(nx.path_graph(3)), validity=["path"])
