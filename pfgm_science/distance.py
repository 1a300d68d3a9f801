"""How far samples are from data, in one figure: a measure of pfgm_science.metrics on the features of an adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pfgm_science import metrics
from pfgm_science.adapters import prepared
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError, NotFinite
from pfgm_science.model import Drawing, Model

MEASURES: dict[str, Callable[[Any, Any], float]] = {
    "frechet": metrics.frechet_distance,
    "kernel": lambda a, b: metrics.kernel_distance(a, b, seed=0).value,
    "sliced-wasserstein": lambda a, b: metrics.sliced_wasserstein(a, b, seed=0),
}
LEAST = 20  # objects that samples can be compared with
LARGEST = 1e15  # of a feature


class Distance:
    """The distance of a model's samples to data: smaller is better.

    data: what samples are compared with, and whose conditions they are asked for. measure: one of MEASURES.
    Raises ConfigError for other measures, DataError for too few data.
    """

    def __init__(self, data: Dataset, measure: str = "frechet") -> None:
        if measure not in MEASURES:
            raise ConfigError(f"measure {measure!r} is not known; there are {', '.join(MEASURES)}")
        if len(data) < LEAST:
            raise DataError(f"{len(data)} objects to compare with: at least {LEAST} are needed")
        self.data, self.measure = data, measure

    def __call__(self, model: Model, count: int, how: Drawing) -> float:
        """Of `count` samples, drawn in this way (see Model.sample), with the conditions of real objects at random."""
        chosen = np.random.default_rng(how.get("seed", 0)).integers(len(self.data), size=count)
        wanted = {spec.name for spec in model.specs}
        condition = {name: np.asarray(value)[chosen] for name, value in self.data.condition.items() if name in wanted}
        asked = Drawing(condition=condition) | how
        return self.between(model, model.sample(count, **asked))

    def between(self, model: Model, objects: Any) -> float:
        """Of these objects, by the features of the model's adapter; NotFinite where those are beyond all measure."""
        if self._features is None or self._features[0] != model.adapter:
            real = prepared(model.adapter, self.data.objects)
            self._features = model.adapter, model.adapter.features(real)
        found = np.asarray(model.adapter.features(objects))
        if not (np.abs(found) <= LARGEST).all():
            raise NotFinite("samples lie beyond all measure: the network has not learned this D")
        return float(MEASURES[self.measure](self._features[1], found))

    _features: tuple[Any, Any] | None = None
