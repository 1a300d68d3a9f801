"""Data on which the ways to D are compared, with a bad and a good network: how they are trained, who judges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from benchmarks import images, rna, sweeps
from benchmarks.agreement import LARGE, SIZED, SMALL, Sized
from benchmarks.sequences import texts_of
from modalities.images.adapter import Images
from modalities.sequences import Sequences, infernal
from modalities.sequences.objects import text_of
from modalities.vectors import datasets
from modalities.vectors.adapter import Vectors
from pfgm_science.adapters import Adapter
from pfgm_science.data import Dataset
from pfgm_science.distance import Distance
from pfgm_science.metrics import frechet_distance
from pfgm_science.model import Model

FRESH = 500  # added to the seed of what vectors are compared with


@dataclass(frozen=True)
class Subject:
    """Data with a bad and a good network.

    of: how the tables know it; training: what all its networks share, a preconditioning among it, so that D alone
    differs; networks: by their size; bounds: of the D that one network is trained for.
    """

    of: Sized
    adapter: Adapter
    train: Callable[[], Dataset]
    distance: Callable[[], Distance]
    training: Mapping[str, Any]
    networks: Mapping[str, Mapping[str, Any]]
    dimensions: tuple[float, ...] = (4.0, 16.0, 64.0, 256.0, math.inf)
    bounds: tuple[float, float] = (2.0, 1024.0)

    def settings(self, size: str, steps: int) -> dict[str, Any]:
        """Of a training, beside D and the seed."""
        return {**self.training, "steps": steps, "network": dict(self.networks[size])}


class OfImages(Distance):
    """Frechet distance in the features of the frozen classifier of a named set."""

    def __init__(self, name: str, data: Dataset) -> None:
        super().__init__(data)
        self.judge = images.judge(name)

    def between(self, model: Model, objects: Any) -> float:
        return frechet_distance(self._real, self.judge.judge(np.asarray(objects))[0])

    @cached_property
    def _real(self) -> np.ndarray:
        return self.judge.judge(np.asarray(self.data.objects))[0]


class OfFamily(Distance):
    """Wasserstein distance between the bits that the covariance model of 5S rRNA gives samples and held-out members."""

    def between(self, model: Model, objects: Any) -> float:
        found = infernal.bits([text_of(each) for each in objects], self._task.model)
        return float(wasserstein_distance(found, self._members))

    @cached_property
    def _task(self) -> rna.Task:
        return rna.task_named("5s-rrna")

    @cached_property
    def _members(self) -> np.ndarray:
        return infernal.bits(texts_of(self._task.real), self._task.model)


def unlabelled(name: str) -> Dataset:
    """The images that networks are trained on, without classes."""
    return replace(images.data(name)[0], condition={})


UNET = {"kind": "unet", "multipliers": [1, 2], "blocks": 1, "patch": 1}
SUBJECTS: dict[str, Subject] = {
    "digits": Subject(
        SIZED["digits"],
        Images(),
        partial(unlabelled, "digits"),
        lambda: OfImages("digits", unlabelled("digits")),
        {"batch_size": 64, "learning_rate": 2e-3, "ema_half_life": 5_000, "preconditioning": "edm"},
        {SMALL: UNET | {"channels": 4}, LARGE: UNET | {"channels": 24}},
    ),
    "cytometry": Subject(
        SIZED["cytometry"],
        Vectors(),
        datasets.cytometry,
        lambda: Distance(datasets.cytometry(seed=FRESH), "sliced-wasserstein"),
        {"batch_size": 256, "learning_rate": 2e-3, "ema_half_life": 20_000, "preconditioning": "edm"},
        {SMALL: {"width": 16, "depth": 2}, LARGE: {"width": 128}},
    ),
    "5s-rrna": Subject(
        SIZED["5s-rrna"],
        Sequences(),
        lambda: rna.task_named("5s-rrna").train,
        lambda: OfFamily(rna.task_named("5s-rrna").train),
        {name: value for name, value in rna.SHORT.items() if name not in ("steps", "network")},
        {SMALL: {"width": 16, "hidden": 32, "depth": 1}, LARGE: rna.SHORT["network"]},
        sweeps.DIMENSIONS,
        sweeps.DIMENSION_RANGE,
    ),
}
