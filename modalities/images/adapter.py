"""The adapter of images: uint8 arrays [n, height, width, channels] to values around 0 and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from modalities.images.formats import IMAGE_SUFFIXES
from modalities.images.pixels import from_unit, to_unit
from pfgm_science.batch import Batch
from pfgm_science.condition import ConditionSpec
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from pfgm_science.report import Section


@dataclass(frozen=True)
class Images:
    """Images of one size. height, width, channels and the mean value are learned from data by `fit`."""

    height: int = 0
    width: int = 0
    channels: int = 0
    mean: float = 0.0

    name: ClassVar[str] = "images"
    suffix: ClassVar[str] = ".png"
    endings: ClassVar[tuple[str, ...]] = IMAGE_SUFFIXES

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Images:
        return cls(**settings)

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def fit(self, data: Dataset) -> Images:
        images = _checked(data.objects)
        _, height, width, channels = images.shape
        mean = float(images.mean(dtype=np.float64)) / 127.5 - 1
        return replace(self, height=height, width=width, channels=channels, mean=mean)

    def encode(self, objects: Any) -> Batch:
        """Pixels 0..255 to [-1, 1] less the mean of the training data: [n, channels, height, width] float32."""
        images = _checked(objects, empty=True)
        if images.shape[1:] != (self.height, self.width, self.channels):
            raise DataError(
                f"images of {images.shape[1:]} (height, width, channels) given; this adapter knows "
                f"{(self.height, self.width, self.channels)}. Resize them (--size) or fit another adapter."
            )
        return Batch((to_unit(images) - self.mean).contiguous())

    def decode(self, batch: Batch) -> np.ndarray:
        """Values to uint8 [n, height, width, channels], clipped to what a pixel can hold."""
        return from_unit(batch.values + self.mean)

    def log_volume(self) -> float:
        """log of what a volume of pixels, 0 to 255 each, becomes when they are encoded."""
        return -self.height * self.width * self.channels * math.log(127.5)

    def template(self, count: int, seed: int) -> Batch:
        return Batch(torch.zeros(count, self.channels, self.height, self.width))

    def network(self, settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
        """settings: fields of network.UNetConfig or network.DiTConfig, with "kind": "unet" or "dit"."""
        from modalities.images.network import DiT, DiTConfig, default_config
        from pfgm_science.config import update
        from pfgm_science.unet import UNet, UNetConfig

        shape = (self.channels, self.height, self.width)
        default = default_config(shape)
        chosen = dict(settings)
        kind = chosen.pop("kind", "unet" if isinstance(default, UNetConfig) else "dit")
        if kind == "unet":
            unet = default if isinstance(default, UNetConfig) else UNetConfig()
            return UNet(shape, update(unet, chosen, "network."), specs)
        if kind == "dit":
            dit = default if isinstance(default, DiTConfig) else DiTConfig()
            return DiT(shape, update(dit, chosen, "network."), specs)
        raise ConfigError(f"network.kind is {kind!r}: it must be 'unet' or 'dit'")

    def recipe(self, count: int) -> dict[str, Any]:
        """Small sets of small images: enough passes for good samples within minutes on two cores."""
        # Short runs are limited by their steps: at equal time batches of 16 to 32 reach a lower loss than of 128.
        steps = 2000 if self.height * self.width <= 256 else 6000
        return {
            "dimension": 128.0,
            "training": {
                "steps": steps,
                "batch_size": 32,
                "learning_rate": 2e-3,
                "ema_half_life": 10_000,
                "validate_every": 500,
            },
        }

    def read(self, path: str, **options: Any) -> Dataset:
        from modalities.images.formats import read

        return read(path, **options)

    def write(self, path: str, objects: Any, **options: Any) -> None:
        from modalities.images.formats import write

        write(path, objects, **options)

    def datasets(self) -> list[DatasetInfo]:
        from modalities.images.datasets import names

        return names()

    def dataset(self, name: str) -> Dataset:
        from modalities.images.datasets import load

        return load(name)

    def features(self, objects: Any) -> np.ndarray:
        from modalities.images.metrics import pixel_features

        return pixel_features(objects)

    def picture(self, objects: Any, title: str = "") -> Figure:
        from modalities.images.views import grid

        return grid(objects, title)

    def sections(self, real: Any, generated: Any, nearest: Any | None, distances: np.ndarray | None) -> list[Section]:
        """Parts of a report: real beside generated objects, and the nearest training ones where they are known."""
        from modalities.images.views import sections

        return sections(real, generated, nearest, distances)


def _checked(objects: Any, empty: bool = False) -> np.ndarray:
    try:
        images = np.asarray(objects)
    except ValueError:
        raise DataError(
            "images must be all of one size: [n, height, width, channels]. Resize them (--size, or "
            "modalities.images.formats.read(path, size=...))."
        ) from None
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(
            f"images have type {images.dtype} and shape {images.shape}; give uint8 [n, height, width, channels] with "
            "1 or 3 channels, all of one size. modalities.images.formats.read makes them from files."
        )
    if 0 in images.shape[1:] or (len(images) == 0 and not empty):
        raise DataError(f"images have shape {images.shape}: there is nothing to learn from")
    return images
