"""An adapter of ragged objects, as small as they come: sets of one to four points in the plane, in no order.

It is here so that the parts of the contract on masks and symmetries are tried by an adapter that has both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from pfgm_science.batch import Batch, Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.config import update
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import BadRecord, DataError, PfgmError

MOST = 4


@dataclass(frozen=True)
class SetNetworkConfig:
    width: int = 16


class SetNetwork(nn.Module):
    """Each point sees itself, the mean of its set, the noise level and the condition (arXiv 1703.06114)."""

    def __init__(self, config: SetNetworkConfig, specs: Sequence[ConditionSpec]) -> None:
        super().__init__()
        self.embedding = NoiseEmbedding(config.width, specs)
        self.entry = nn.Linear(4, config.width)
        self.exit = nn.Linear(config.width, 2)

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        mask = torch.ones_like(x) if mask is None else mask
        x = x * mask
        mean = x.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        hidden = self.entry(torch.cat([x, mean.expand_as(x)], 2)) + self.embedding(noise_level, condition)[:, None]
        answer: Tensor = self.exit(torch.tanh(hidden)) * mask
        return answer


@dataclass(frozen=True)
class PointSets:
    """objects: a list of arrays [points, 2]."""

    name: ClassVar[str] = "point-sets"
    suffix: ClassVar[str] = ".json"
    sizes: tuple[int, ...] = (1,)

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> PointSets:
        return cls(tuple(settings["sizes"]))

    def settings(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes)}

    def fit(self, data: Dataset) -> PointSets:
        if len(data) == 0:
            raise DataError("there are no sets to learn from")
        for i, points in enumerate(data.objects):
            if reason := _fault(points):
                raise DataError(f"set {i}: {reason}")
        return PointSets(tuple(len(points) for points in data.objects))

    def encode(self, objects: Any) -> Batch:
        values, mask = torch.zeros(len(objects), MOST, 2), torch.zeros(len(objects), MOST, 2)
        for i, points in enumerate(objects):
            values[i, : len(points)] = torch.from_numpy(np.asarray(points)).float()
            mask[i, : len(points)] = 1
        return Batch(values, mask)

    def decode(self, batch: Batch) -> list[np.ndarray]:
        assert batch.mask is not None
        pairs = zip(batch.values.double().cpu().numpy(), batch.mask[..., 0].cpu().numpy(), strict=True)
        return [points[free > 0] for points, free in pairs]

    def template(self, count: int, seed: int) -> Batch:
        sizes = np.random.default_rng(seed).choice(self.sizes, count)
        return self.encode([np.zeros((size, 2)) for size in sizes])

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        return SetNetwork(update(SetNetworkConfig(), settings, "network."), specs)

    def recipe(self, count: int) -> dict[str, Any]:
        return {"dimension": 16.0, "training": {"steps": 100, "batch_size": 16}}

    def read(self, path: str, **options: Any) -> Dataset:
        try:
            sets = [np.asarray(points, dtype=np.float64) for points in json.loads(Path(path).read_text())]
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a JSON list of sets of points ({error})") from None
        faults = [_fault(points) for points in sets]
        rejected = [BadRecord(path, f"set {i}", fault) for i, fault in enumerate(faults) if fault]
        return Dataset([s for s, fault in zip(sets, faults, strict=True) if not fault], rejected=rejected)

    def write(self, path: str, objects: Any, **options: Any) -> None:
        try:
            Path(path).write_text(json.dumps([points.tolist() for points in objects]))
        except OSError as error:
            raise PfgmError(f"{path}: {error.strerror}") from None

    def datasets(self) -> list[DatasetInfo]:
        return [DatasetInfo("pairs", "two points", "CC0-1.0", "made here", "30 sets")]

    def dataset(self, name: str) -> Dataset:
        info = DatasetInfo.find(self.datasets(), name)
        rows = np.random.default_rng(0).normal(size=(30, 2, 2))
        return Dataset(list(rows), name=info.name, licence=info.licence, source=info.source)

    def features(self, objects: Any) -> np.ndarray:
        return np.array([[len(points), *np.mean(points, axis=0)] for points in objects], dtype=np.float64)

    def picture(self, objects: Any, title: str = "") -> Figure:
        figure = Figure()
        axes = figure.subplots()
        for points in objects:
            axes.plot(*np.asarray(points).T, "o")
        axes.set_title(title)
        return figure


def _fault(points: Any) -> str:
    shape = np.shape(points)
    if len(shape) != 2 or shape[1] != 2 or not 1 <= shape[0] <= MOST:
        return f"an array of shape {shape} where [1 to {MOST}, 2] is wanted"
    return "" if np.isfinite(points).all() else "a coordinate is not finite"
