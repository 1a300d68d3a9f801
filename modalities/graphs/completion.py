"""Completion: a given part of a graph is kept exactly, and the rest is generated around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pfgm_science.batch import Batch
from pfgm_science.constraints import EncodedKnown
from pfgm_science.errors import ConfigError


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
        """Values with the part in them; ConfigError where it has no room."""
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
