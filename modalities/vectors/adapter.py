"""The adapter of vectors: rows of real numbers to standardised values and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from pfgm_science.batch import Batch
from pfgm_science.condition import ConditionSpec
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from pfgm_science.report import Section


@dataclass(frozen=True)
class Vectors:
    """Rows of real numbers. The centre and scale of each column are learned from data by `fit`.

    Both are quantiles (median; half the width between the 16% and 84% points), so that heavy tails, whose standard
    deviation may not exist, do not decide the scale of the rest. columns: their names, which files of samples then
    have; () where the data had none.
    """

    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    columns: tuple[str, ...] = ()

    name: ClassVar[str] = "vectors"
    suffix: ClassVar[str] = ".csv"

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Vectors:
        return cls(tuple(settings["centre"]), tuple(settings["scale"]), tuple(settings["columns"]))

    def settings(self) -> dict[str, Any]:
        return {name: list(value) for name, value in asdict(self).items()}

    def fit(self, data: Dataset) -> Vectors:
        rows = _checked(data.objects)
        low, middle, high = np.quantile(rows, [0.16, 0.5, 0.84], axis=0)
        scale = (high - low) / 2
        # A column most of whose entries are equal has no such width; a constant one has none at all.
        scale = np.where(scale > 0, scale, rows.std(axis=0))
        scale = np.where(scale > 0, scale, 1.0)
        columns = tuple(data.details.get("columns", ()))
        return replace(self, centre=tuple(middle.tolist()), scale=tuple(scale.tolist()), columns=columns)

    def encode(self, objects: Any) -> Batch:
        """(row - centre) / scale: [n, features] float32."""
        rows = _checked(objects, empty=True)
        if rows.shape[1] != len(self.centre):
            raise DataError(f"rows of {rows.shape[1]} numbers given; this adapter knows {len(self.centre)}")
        values = (rows - np.asarray(self.centre)) / np.asarray(self.scale)
        return Batch(torch.from_numpy(values).float())

    def decode(self, batch: Batch) -> np.ndarray:
        """Values to rows: float64 [n, features]."""
        rows: np.ndarray = batch.values.double().cpu().numpy() * np.asarray(self.scale) + np.asarray(self.centre)
        return rows

    def log_volume(self) -> float:
        """log of what a volume of rows becomes when they are encoded, so that densities are those of rows."""
        return -float(np.log(self.scale).sum())

    def template(self, count: int, seed: int) -> Batch:
        return Batch(torch.zeros(count, len(self.centre)))

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        """settings: fields of network.MLPConfig."""
        from modalities.vectors.network import MLPConfig, ResidualMLP
        from pfgm_science.config import update

        return ResidualMLP(len(self.centre), update(MLPConfig(), settings, "network."), specs)

    def recipe(self, count: int) -> dict[str, Any]:
        """sigma_data is that of the quantile scale: measured, the tails of a heavy-tailed column would set it."""
        return {
            "dimension": 128.0,
            "sigma_data": 1.0,
            "network": {"width": 128},
            "training": {"steps": 3000, "batch_size": 256, "learning_rate": 2e-3, "ema_half_life": 50_000},
        }

    def read(self, path: str, **options: Any) -> Dataset:
        from modalities.vectors.formats import read

        return read(path, **options)

    def write(self, path: str, objects: Any, **options: Any) -> None:
        from modalities.vectors.formats import write

        write(path, objects, **{"columns": self.columns or None} | options)

    def datasets(self) -> list[DatasetInfo]:
        from modalities.vectors.datasets import names

        return names()

    def dataset(self, name: str) -> Dataset:
        from modalities.vectors.datasets import load

        return load(name)

    def features(self, objects: Any) -> np.ndarray:
        """The standardised rows themselves."""
        return self.encode(objects).values.double().numpy()

    def picture(self, objects: Any, title: str = "") -> Figure:
        from modalities.vectors.views import scatter

        return scatter(objects, title)

    def sections(self, real: Any, generated: Any, nearest: Any | None, distances: np.ndarray | None) -> list[Section]:
        """Parts of a report: real beside generated objects, and the nearest training ones where they are known."""
        from modalities.vectors.views import sections

        return sections(real, generated, nearest, distances)


def _checked(objects: Any, empty: bool = False) -> np.ndarray:
    try:
        rows = np.asarray(objects, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("rows must be numbers and all of one length: [n, features]") from None
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.shape[1] == 0 or (len(rows) == 0 and not empty):
        raise DataError(f"rows have shape {rows.shape}: give [n, features] with at least one row and one column")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DataError(f"row {bad[0]} (of {len(bad)} such) holds a value that is not finite: remove or fill them")
    return rows
