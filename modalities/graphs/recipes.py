"""Graphs by recipe: the random laws that the field's synthetic data sets were drawn from, at any size and count.

Graph i of a set depends on the seed and on i alone: a longer set begins with the shorter one, and another seed gives a
fresh set for validation or test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from scipy.spatial import Delaunay, QhullError

from modalities.graphs.simple import simple
from pfgm_science.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]
Generator = np.random.Generator
Span = tuple[int, int]

_TRIES = 100_000  # of a law that is drawn by rejection


def planar(nodes: int, rng: Generator) -> Data:
    """The Delaunay triangulation of uniform points in the unit square: connected and planar; nodes >= 3.

    Source: Martinkus et al., SPECTRE, ICML 2022, arXiv 2204.01613.
    """
    return delaunay(rng.random((nodes, 2)))


def delaunay(points: Array) -> Data:
    """The Delaunay triangulation of points [n, 2] in general position: 3 n - 3 - h edges, h points on the hull.

    Raises DataError when the points have none, such as fewer than three or all on a line.
    """
    try:
        corners = Delaunay(points).simplices
    except (QhullError, ValueError) as error:
        raise DataError(f"{len(points)} points have no triangulation: give three or more, not on one line.") from error
    sides = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    return simple(len(points), np.unique(np.sort(sides, axis=1), axis=0))


def tree(nodes: int, rng: Generator) -> Data:
    """A tree, uniform among the n^(n-2) labelled ones, from a uniform Pruefer sequence; nodes >= 1.

    Source: H. Pruefer, Arch. Math. Phys. 27 (1918).
    """
    if nodes == 1:
        return simple(1, _pairs([]))
    return simple(nodes, _pairs(nx.from_prufer_sequence(rng.integers(nodes, size=nodes - 2).tolist()).edges))


def sbm(sizes: Sequence[int], rng: Generator, inside: float = 0.3, between: float = 0.005) -> Data:
    """A stochastic block model: nodes in blocks of those sizes, in order, two joined with chance inside or between."""
    block = np.repeat(np.arange(len(sizes)), sizes)
    first, second = np.triu_indices(len(block), 1)
    chance = np.where(block[first] == block[second], inside, between)
    return simple(len(block), np.stack([first, second], axis=1)[rng.random(len(chance)) < chance])


def lobster(spine: int, rng: Generator, p1: float = 0.7, p2: float = 0.7) -> Data:
    """A path of spine nodes; each has a geometric number of legs (mean p1 / (1 - p1)), each leg one of toes (p2).

    Nodes are numbered spine first, then legs, then toes. Source of the law: `networkx.random_lobster`.
    """
    legs = np.repeat(np.arange(spine), rng.geometric(1 - p1, size=spine) - 1)
    toes = np.repeat(spine + np.arange(len(legs)), rng.geometric(1 - p2, size=len(legs)) - 1)
    parents = np.concatenate([np.arange(spine - 1), legs, toes])
    nodes = spine + len(legs) + len(toes)
    return simple(nodes, np.stack([parents, np.arange(1, nodes)], axis=1) if nodes else _pairs([]))


def grid(rows: int, columns: int) -> Data:
    """A rectangular lattice, nodes numbered row by row: 2 rows columns - rows - columns edges."""
    number = np.arange(rows * columns).reshape(rows, columns)
    across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    down = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)
    return simple(rows * columns, np.concatenate([across, down]))


def communities(size: int, rng: Generator, inside: float = 0.7, bridges: float = 0.05, *, fresh: bool = False) -> Data:
    """Two G(size, inside), joined by edges of chance 2 bridges / size each, so bridges a node; by one at least.

    fresh: draw the two from rng. Without it they are as in the published set, whose generator draws them by networkx
    with seeds 0 and 1 every time: one pair for each size, and only the bridges are random. Where no bridge is drawn the
    first nodes of the two are joined.

    Source: data_generators.py of GDSS (Jo et al., ICML 2022, arXiv 2202.02514) and of Niu et al., AISTATS 2020.
    """
    left, right = (nx.gnp_random_graph(size, inside, seed=rng if fresh else number) for number in (0, 1))
    joined = rng.random((size, size)) < 2 * bridges / size
    joined[0, 0] |= not joined.any()
    edges = [_pairs(left.edges), _pairs(right.edges) + size, np.argwhere(joined) + np.array([0, size])]
    return simple(2 * size, np.concatenate(edges))


def ego_graphs(neighbours: Mapping[int, Sequence[int]], nodes: Span = (4, 18)) -> list[Data]:
    """Every node of the largest connected part with its neighbours and the edges among them, if nodes allows the size.

    neighbours: node -> the nodes it is joined to; the order of its keys is the order of the result. Ego-small is the
    first 200 of Citeseer. Source: data_generators.py of GDSS (Jo et al., ICML 2022, arXiv 2202.02514).
    """
    whole = nx.from_dict_of_lists(dict(neighbours))
    whole.remove_edges_from(list(nx.selfloop_edges(whole)))
    largest: set[int] = max(nx.connected_components(whole), key=len, default=set())
    members = ([centre, *whole[centre]] for centre in whole if centre in largest)
    egos = (nx.convert_node_labels_to_integers(whole.subgraph(ego)) for ego in members if _within(len(ego), nodes))
    return [simple(len(ego), _pairs(ego.edges)) for ego in egos]


@dataclass(frozen=True)
class Recipe(ABC):
    """A law of random graphs. Its fields are its parameters; of a pair (least, most) every whole number is as likely.

    Raises ConfigError for parameters that no graph has.
    """

    @property
    @abstractmethod
    def sizes(self) -> Span:
        """The fewest and the most nodes of a graph."""

    @abstractmethod
    def graph(self, rng: Generator) -> Data:
        """One graph."""

    def draw(self, count: int, seed: int = 0) -> list[Data]:
        """count graphs; graph i depends on the recipe, seed >= 0 and i alone."""
        if count < 1 or seed < 0:
            raise ConfigError(f"count is {count} and seed {seed}: count must be at least 1, seed at least 0.")
        sources = (np.random.SeedSequence(seed, spawn_key=(i,)) for i in range(count))
        return [self.graph(np.random.default_rng(source)) for source in sources]


@dataclass(frozen=True)
class Planar(Recipe):
    """`planar` graphs."""

    nodes: Span = (64, 64)

    def __post_init__(self) -> None:
        _check_span("nodes", self.nodes, 3)

    @property
    def sizes(self) -> Span:
        return self.nodes

    def graph(self, rng: Generator) -> Data:
        return planar(_whole(self.nodes, rng), rng)


@dataclass(frozen=True)
class Tree(Recipe):
    """Uniform labelled trees, see `tree`."""

    nodes: Span = (64, 64)

    def __post_init__(self) -> None:
        _check_span("nodes", self.nodes, 1)

    @property
    def sizes(self) -> Span:
        return self.nodes

    def graph(self, rng: Generator) -> Data:
        return tree(_whole(self.nodes, rng), rng)


@dataclass(frozen=True)
class Sbm(Recipe):
    """Stochastic block models, see `sbm`; block: nodes a block. Source: Martinkus et al., SPECTRE, ICML 2022."""

    blocks: Span = (2, 5)
    block: Span = (20, 40)
    inside: float = 0.3
    between: float = 0.005

    def __post_init__(self) -> None:
        _check_span("blocks", self.blocks, 1)
        _check_span("block", self.block, 1)
        _check_chance("inside", self.inside)
        _check_chance("between", self.between)

    @property
    def sizes(self) -> Span:
        return self.blocks[0] * self.block[0], self.blocks[1] * self.block[1]

    def graph(self, rng: Generator) -> Data:
        sizes = [_whole(self.block, rng) for _ in range(_whole(self.blocks, rng))]
        return sbm(sizes, rng, self.inside, self.between)


@dataclass(frozen=True)
class Lobster(Recipe):
    """`lobster` graphs with a spine of floor(2 u spine + 1/2) nodes, u uniform, drawn until nodes allows the size.

    Source: GRAN (Liao et al., NeurIPS 2019, arXiv 1910.00760).
    """

    spine: int = 80
    p1: float = 0.7
    p2: float = 0.7
    nodes: Span = (10, 100)

    def __post_init__(self) -> None:
        _check_span("nodes", self.nodes, 1)
        _check_chance("p1", self.p1)
        _check_chance("p2", self.p2)
        if self.spine < 1 or max(self.p1, self.p2) > 0.99:
            raise ConfigError(f"lobster: spine is {self.spine}, p1 {self.p1:g}, p2 {self.p2:g}: give >= 1, <= 0.99.")

    @property
    def sizes(self) -> Span:
        return self.nodes

    def graph(self, rng: Generator) -> Data:
        for _ in range(_TRIES):
            spine = int(2 * rng.random() * self.spine + 0.5)
            if spine <= self.nodes[1]:
                drawn = lobster(spine, rng, self.p1, self.p2)
                if _within(drawn.num_nodes or 0, self.nodes):
                    return drawn
        raise ConfigError(f"none of {_TRIES:,} lobsters had {self.nodes[0]} to {self.nodes[1]} nodes: widen nodes.")


@dataclass(frozen=True)
class Grid(Recipe):
    """`grid` graphs, rows and columns each drawn from sides. Source: You et al., GraphRNN, ICML 2018; GDSS draws."""

    sides: Span = (10, 19)

    def __post_init__(self) -> None:
        _check_span("sides", self.sides, 1)

    @property
    def sizes(self) -> Span:
        return self.sides[0] ** 2, self.sides[1] ** 2

    def graph(self, rng: Generator) -> Data:
        return grid(_whole(self.sides, rng), _whole(self.sides, rng))

    def every(self) -> list[Data]:
        """Each pair of rows and columns once, rows before columns: 10 x 10, 10 x 11, ..., 19 x 19."""
        sides = range(self.sides[0], self.sides[1] + 1)
        return [grid(rows, columns) for rows in sides for columns in sides]


@dataclass(frozen=True)
class Communities(Recipe):
    """`communities` of half of nodes each, rounded down; fresh as there."""

    nodes: Span = (12, 20)
    inside: float = 0.7
    bridges: float = 0.05
    fresh: bool = False

    def __post_init__(self) -> None:
        _check_span("nodes", self.nodes, 2)
        _check_chance("inside", self.inside)
        if not self.bridges >= 0:
            raise ConfigError(f"bridges is {self.bridges:g}: the expected number of bridges a node, 0 or more.")

    @property
    def sizes(self) -> Span:
        return self.nodes[0] // 2 * 2, self.nodes[1] // 2 * 2

    def graph(self, rng: Generator) -> Data:
        return communities(_whole(self.nodes, rng) // 2, rng, self.inside, self.bridges, fresh=self.fresh)


def _pairs(edges: Any) -> Array:
    return np.array(list(edges), dtype=np.int64).reshape(-1, 2)


def _whole(span: Span, rng: Generator) -> int:
    return int(rng.integers(span[0], span[1], endpoint=True))


def _within(value: int, span: Span) -> bool:
    return span[0] <= value <= span[1]


def _check_span(name: str, span: Span, least: int) -> None:
    if not least <= span[0] <= span[1]:
        raise ConfigError(f"{name} is {span[0]}-{span[1]}: give one whole number or two, least-most, from {least} on.")


def _check_chance(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value:g}: a probability, from 0 to 1.")


RECIPES: Mapping[str, Recipe] = {
    "planar": Planar(),
    "tree": Tree(),
    "sbm": Sbm(),
    "lobster": Lobster(),
    "grid": Grid(),
    "community-small": Communities(),
    "planar-20": Planar((16, 24)),
    "tree-20": Tree((16, 24)),
}
