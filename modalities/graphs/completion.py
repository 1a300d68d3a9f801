"""Completion: a given part of a graph is kept exactly, and the rest is generated around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modalities.graphs.parsing import items
from pfgm_science.batch import Batch
from pfgm_science.constraints import EncodedKnown
from pfgm_science.errors import ConfigError, DataError


@dataclass(frozen=True)
class Part:
    """A subgraph to keep: every sample has it as its first nodes, with the same edges and attributes among them.

    graph: as the model's own objects are. sizes: numbers of nodes of the samples, one for all or one each; None draws
    them from those of the data that have room for the part, by `seed`. repeats, low, high: takes of each step, so that
    part and rest agree (see Repeated), and the noise levels of those that are repeated, for data with sigma_data 0.5:
    there a graph's edges are decided. Taken once, a planar graph seldom stays planar.
    """

    graph: Any
    sizes: int | Sequence[int] | None = None
    repeats: int = 10
    low: float = 0.1
    high: float = 3.0
    seed: int = 0

    def encoded(self, adapter: Any, count: int) -> EncodedKnown:
        """Values with the part in them; ConfigError where it has no room, DataError for attributes of another kind."""
        self._check_attributes(adapter)
        part = adapter.encode([self.graph])
        layout = adapter.layout
        own = int(layout.sizes(part.mask))
        template: Batch = adapter.sized(self._sizes(adapter, own, count))
        assert template.mask is not None and part.mask is not None
        if int(layout.sizes(template.mask).min()) < own:
            raise ConfigError(f"the part has {own} nodes: samples cannot have fewer")
        values = part.values.expand(count, -1)
        return EncodedKnown(
            Batch(values, template.mask), part.mask.expand(count, -1), self.repeats, self.low, self.high
        )

    def restored(self, adapter: Any, samples: Sequence[Any]) -> Sequence[Any]:
        """The samples, in place, with the real numbers of the part to the last bit: encoding has rounded them."""
        from modalities.graphs.objects import checked, networks

        (part,), _ = checked([self.graph], adapter.names, adapter.places)
        nodes, edges = ([key for key in keys if key in part] for keys in adapter.keys)
        if adapter.kind == "networkx":
            (given,) = networks([part], adapter.names, (nodes, edges))
            for sample in samples:
                for node, row in given.nodes(data=True):
                    sample.nodes[node].update(row)
                for u, v, row in given.edges(data=True):
                    sample.edges[u, v].update(row)
            return samples
        count = int(part.num_nodes)
        for sample in samples:
            inside = (sample.edge_index < count).all(0)
            for key in nodes:
                sample[key][:count] = part[key]
            for key in edges:
                sample[key][inside] = part[key]
        return samples

    def _check_attributes(self, adapter: Any) -> None:
        from modalities.graphs.objects import checked

        (part,), _ = checked([self.graph], adapter.names, adapter.places)
        known = adapter.places
        for key, value in items(part):
            if key not in known and not (key == "charge" and not value.any()):  # neutral, as all that it knows
                words = ", ".join(map(repr, sorted(known))) or "none"
                raise DataError(f"the part has the attribute {key!r}, which this model cannot keep: it knows {words}")

    def _sizes(self, adapter: Any, own: int, count: int) -> np.ndarray:
        if self.sizes is not None:
            given = np.atleast_1d(np.asarray(self.sizes))
            if len(given) not in (1, count):
                raise ConfigError(f"{len(given)} sizes for {count} samples: give one, or one each")
            return np.broadcast_to(given, (count,))
        sizes, often = np.array([entry for entry in adapter.sizes if entry[0] >= own]).reshape(-1, 2).T
        if not len(sizes):
            raise ConfigError(f"the part has {own} nodes, more than any graph of the data")
        return np.random.default_rng(self.seed).choice(sizes, count, p=often / often.sum())
