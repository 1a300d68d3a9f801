"""The adapter of graphs: PyG or networkx graphs to channels of nodes and pairs, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from modalities.graphs.attributes import Attribute, channels, decode_all, encode_all, fit_all
from modalities.graphs.layout import Layout
from pfgm_science.batch import Batch
from pfgm_science.condition import ConditionSpec
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from modalities.graphs.completion import Part
    from pfgm_science.config import RunConfig
    from pfgm_science.report import Section
    from pfgm_science.walk import Seen


@dataclass(frozen=True)
class Graphs:
    """Undirected simple graphs of many sizes. All fields are learned from data by `fit`.

    nodes, edges: their attributes. sizes: numbers of nodes that occur, and how often each. density: share of the pairs
    that are edges. names: words for the categories of attributes. kind: what samples are, "pyg" or "networkx".
    """

    nodes: tuple[Attribute, ...] = ()
    edges: tuple[Attribute, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    density: float = 0.5
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kind: str = "pyg"

    name: ClassVar[str] = "graphs"
    suffix: ClassVar[str] = ".pt"

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Graphs:
        def attributes(entries: Sequence[Mapping[str, Any]]) -> tuple[Attribute, ...]:
            return tuple(Attribute.restore(entry) for entry in entries)

        sizes = tuple((int(size), int(count)) for size, count in settings["sizes"])
        rest = {name: settings[name] for name in ("density", "names", "kind")}
        return cls(attributes(settings["nodes"]), attributes(settings["edges"]), sizes, **rest)

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def layout(self) -> Layout:
        """Where nodes and pairs stand in the values."""
        most = max((size for size, _ in self.sizes), default=0)
        return Layout(most, channels(self.nodes), 1 + channels(self.edges))

    @property
    def places(self) -> dict[str, str]:
        """Attribute -> "node" or "edge", whichever it is of."""
        nodes, edges = self.keys
        return dict.fromkeys(nodes, "node") | dict.fromkeys(edges, "edge")

    @property
    def keys(self) -> tuple[list[str], list[str]]:
        """Names of the attributes of nodes, and of edges."""
        return [attribute.name for attribute in self.nodes], [attribute.name for attribute in self.edges]

    @property
    def centre(self) -> float:
        """The mean of a pair that is +1 where there is an edge and -1 where there is none."""
        return 2 * self.density - 1

    def fit(self, data: Dataset) -> Graphs:
        from modalities.graphs.joint import edge_keys, node_keys
        from modalities.graphs.objects import checked, is_networkx

        graphs, names = checked(data.objects)
        if not graphs:
            raise DataError("there are no graphs: at least one is needed")
        nodes, edges = fit_all(graphs, node_keys(graphs)), fit_all(graphs, edge_keys(graphs))
        sizes = Counter(int(graph.num_nodes) for graph in graphs)
        if not nodes and min(sizes) < 2:
            raise DataError("a graph of one node without attributes holds nothing to learn: leave it out")
        pairs = sum(count * size * (size - 1) / 2 for size, count in sizes.items())
        joined = sum(graph.edge_index.shape[1] / 2 for graph in graphs)
        return replace(
            self,
            nodes=nodes,
            edges=edges,
            sizes=tuple(sorted(sizes.items())),
            density=float(np.clip(joined / max(pairs, 1), 0.01, 0.99)),
            names={**data.details.get("names", {}), **names},
            kind="networkx" if is_networkx(data.objects) else "pyg",
        )

    def encode(self, objects: Any) -> Batch:
        """A pair is +1 with an edge and -1 without, less their mean; then the channels of its attributes, 0 without."""
        from modalities.graphs.objects import checked

        graphs, _ = checked(objects, self.names, self.places)
        graphs = self._settled(graphs)
        layout = self.layout
        sizes = torch.tensor([int(graph.num_nodes) for graph in graphs], dtype=torch.long)
        if len(sizes) and int(sizes.max()) > layout.nodes:
            raise DataError(
                f"graph {int(sizes.argmax())} has {int(sizes.max())} nodes; this adapter knows graphs of at most "
                f"{layout.nodes}"
            )
        mask = layout.mask(sizes)
        nodes = torch.zeros(len(graphs), layout.nodes, layout.node_channels)
        pairs = torch.zeros(len(graphs), layout.pairs, layout.pair_channels)
        pairs[:, :, 0] = -1 - self.centre
        for i, graph in enumerate(graphs):
            self._check_attributes(graph, i)
            low, high = graph.edge_index
            upper = low < high
            place = layout.place(low[upper], high[upper])
            pairs[i, place, 0] = 1 - self.centre
            if self.nodes:
                nodes[i, : sizes[i]] = encode_all(self.nodes, graph)
            if self.edges and len(place):  # a set without edges has lost the names of their attributes
                pairs[i, place, 1:] = encode_all(self.edges, graph, upper)
        return Batch(layout.join(nodes, pairs) * mask, mask)

    def decode(self, batch: Batch) -> list[Any]:
        """Graphs of the kind that `fit` was given; a pair is an edge where it is nearer to one than to none."""
        from modalities.graphs.objects import networks
        from modalities.graphs.simple import simple

        layout = self.layout
        mask = layout.mask(torch.full((len(batch),), layout.nodes)) if batch.mask is None else batch.mask
        sizes = layout.sizes(mask.cpu()).tolist()
        all_nodes, all_pairs = layout.split(batch.values.cpu())
        low, high = (torch.from_numpy(end) for end in layout.ends)
        graphs = []
        for size, nodes, pairs in zip(sizes, all_nodes, all_pairs, strict=True):
            present = (pairs[:, 0] + self.centre > 0) & (high < size)
            ends = torch.stack([low[present], high[present]], 1)
            graph = simple(size, ends, decode_all(self.nodes, nodes[:size]), decode_all(self.edges, pairs[present, 1:]))
            graphs.append(graph)
        return networks(graphs, self.names, self.keys) if self.kind == "networkx" else graphs

    def template(self, count: int, seed: int) -> Batch:
        """Sizes as often as they occur among the data."""
        sizes, often = np.array(self.sizes).T
        drawn = np.random.default_rng(seed).choice(sizes, count, p=often / often.sum())
        return self.sized(drawn)

    def sized(self, sizes: Any) -> Batch:
        """The template of graphs with these numbers of nodes; ConfigError for more than the data have."""
        numbers = np.asarray(sizes)
        most, least = self.layout.nodes, 1 if self.nodes else 2
        if numbers.dtype.kind not in "iu" or numbers.ndim != 1 or not ((numbers >= least) & (numbers <= most)).all():
            raise ConfigError(f"sizes are {sizes}: this model makes graphs of {least} to {most} nodes")
        mask = self.layout.mask(torch.from_numpy(numbers.astype(np.int64)))
        return Batch(torch.zeros_like(mask), mask)

    def part(self, graph: Any, **how: Any) -> Part:
        """What the command line makes of `--from` a graph that samples are to have in them."""
        from modalities.graphs.completion import Part

        return Part(graph, **how)

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        """settings: fields of network.TransformerConfig."""
        from modalities.graphs.network import GraphTransformer, TransformerConfig
        from pfgm_science.config import update

        return GraphTransformer(self.layout, update(TransformerConfig(), settings, "network."), specs, self.centre)

    def notice(self, config: RunConfig) -> str:
        """What a run on large graphs costs, told before it starts; "" for graphs of usual size."""
        from modalities.graphs.cost import notice

        return notice(self, config)

    def recipe(self, count: int) -> dict[str, Any]:
        """Noise levels where edges are decided: below 0.3 of them every one is plain to see, above 3 none is."""
        return {
            "dimension": 512.0,
            "levels": {"mean": -0.7, "std": 0.9},
            "training": {
                "steps": 10_000,
                "batch_size": 32,
                "learning_rate": 1e-3,
                "ema_half_life": 20_000,
                "validate_every": 1000,
            },
        }

    def read(self, path: str, **options: Any) -> Dataset:
        from modalities.graphs.formats import read

        return read(path, **options)

    def write(self, path: str, objects: Any, **options: Any) -> None:
        from modalities.graphs.formats import write

        write(path, objects, **{"names": self.names} | options)

    def datasets(self) -> list[DatasetInfo]:
        from modalities.graphs.datasets import names

        return names()

    def dataset(self, name: str) -> Dataset:
        from modalities.graphs.datasets import load

        return load(name)

    def features(self, objects: Any) -> np.ndarray:
        """A random GIN's view of each graph, on a logarithmic scale, and the means of its encoded attributes."""
        from modalities.graphs.gin import features

        shapes: np.ndarray = np.arcsinh(features(objects))
        if not (self.nodes or self.edges):
            return shapes
        nodes, pairs = self.layout.split(self.encode(objects).values.double())
        means = [nodes.mean(1), pairs[..., 1:].mean(1)]
        return np.concatenate([shapes, torch.cat(means, 1).numpy()], axis=1)

    def picture(self, objects: Any, title: str = "") -> Figure:
        from modalities.graphs.views import grid

        figure: Figure = grid(objects, title, self.names)
        return figure

    def sections(self, real: Any, generated: Any, nearest: Any | None, distances: np.ndarray | None) -> list[Section]:
        """Parts of a report: real beside generated objects, and the nearest training ones where they are known."""
        from modalities.graphs.views import sections

        real, generated = self._settled(real), self._settled(generated)
        nearest = None if nearest is None else self._settled(nearest)
        parts: list[Section] = sections(real, generated, nearest, distances, self.names)
        return parts

    def emergence(self, seen: Sequence[Seen]) -> Section:
        """The part of a report that shows one graph on its way from the prior."""
        from modalities.graphs.views import on_its_way

        mask = seen[0].state.mask
        size = self.layout.nodes if mask is None else int(self.layout.sizes(mask.cpu())[0])
        panels = []
        for at in seen:
            state, chance = (self._presence(batch, size) for batch in (at.state, at.estimate))
            panels.append((at.sigma, state, (chance + 1).clip(0, 2) / 2))
        return on_its_way(panels)

    def _settled(self, graphs: Any) -> Any:
        """Molecules with their charges where this adapter knows charges: files leave out those that are all 0."""
        from torch_geometric.data import Data

        known = any(attribute.name == "charge" for attribute in self.nodes)
        if not known or not all(isinstance(graph, Data) and "z" in graph for graph in graphs):
            return graphs
        from modalities.graphs.molecules import settle_charges

        return graphs if all("charge" in graph for graph in graphs) else settle_charges(graphs, needed=True)

    def _check_attributes(self, graph: Any, index: int) -> None:
        """DataError where a graph lacks an attribute that this adapter knows."""
        edges = self.edges if graph.edge_index.shape[1] else ()
        for place, attributes in (("node", self.nodes), ("edge", edges)):
            for attribute in attributes:
                if attribute.name not in graph:
                    raise DataError(
                        f"graph {index} lacks the {place} attribute {attribute.name!r}, which all must have"
                    )

    def _presence(self, batch: Batch, size: int) -> np.ndarray:
        """+1 where the first graph of a batch has an edge and -1 where it has none, noisy as it is: [size, size]."""
        pairs = self.layout.split(batch.values.cpu())[1][0, :, 0].numpy() + self.centre
        low, high = self.layout.ends
        inside = high < size
        square = np.full((size, size), -1.0)
        square[low[inside], high[inside]] = square[high[inside], low[inside]] = pairs[inside]
        return square
