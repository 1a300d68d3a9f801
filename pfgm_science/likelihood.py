"""How likely a model finds objects: the density of its flow, at any D."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pfgm_science.batch import Batch, free_coordinates
from pfgm_science.condition import encode
from pfgm_science.denoiser import AtDimension
from pfgm_science.errors import ConfigError
from pfgm_science.flow import log_density
from pfgm_science.model import Model
from pfgm_science.sampling import state_dtype


@dataclass(frozen=True)
class Likelihood:
    """log p of objects in nats, [n] float64 each.

    value: of each object as a whole; coordinates: how many it has, to divide by; step_error and probe_error: see
    flow.LogDensity. unit: of the coordinates that the density is over.
    """

    value: np.ndarray
    coordinates: np.ndarray
    step_error: np.ndarray
    probe_error: np.ndarray
    unit: str


def log_likelihood(
    model: Model,
    objects: Any,
    *,
    condition: Mapping[str, Any] | None = None,
    dimension: float | None = None,
    steps: int = 32,
    probes: int = 0,
    seed: int = 0,
    batch_size: int = 250,
    on_state: Callable[[int, int], None] | None = None,
) -> Likelihood:
    """The log-likelihood of objects under a model, smoothed by its lowest noise level.

    condition: name -> one value for all, or one each. steps: of the flow, six evaluations and as many gradients each.
    probes: of Hutchinson's estimate of the divergence; 0 is exact up to 16 coordinates, and one probe above, which
    states no error. on_state: told of progress in objects. An adapter with `log_volume` gives the density in the units
    of its objects; else it is in those of the encoded values. Raises DataError for objects the model does not know,
    ConfigError for what it cannot do.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}: at least 1 object at a time")
    batch = model.adapter.encode(objects)
    count = len(batch)
    batch = Batch(batch.values, batch.mask, encode(model.specs, condition or {}, count) or None)
    device = next(model.denoiser.parameters()).device
    levels, denoiser = model.levels, model.at(dimension)
    if isinstance(denoiser, AtDimension):
        raise ConfigError(
            f"this model was trained at D = inf, and its density does not change at D = {dimension:g}: leave "
            "--dimension out"
        )
    parts = []
    for start in range(0, count, batch_size):
        part = batch[start : start + batch_size].to(device, state_dtype(device))
        parts.append(
            log_density(
                denoiser,
                model.dimension if dimension is None else dimension,
                part.values,
                levels.sigma_min,
                levels.sigma_max,
                steps=steps,
                count=probes,
                seed=seed,
                size=model.denoiser.sigma_data,
                condition=part.condition,
                mask=part.mask,
            )
        )
        if on_state is not None:
            on_state(min(start + batch_size, count), count)

    def joined(name: str) -> np.ndarray:
        found: np.ndarray = torch.cat([getattr(part, name) for part in parts]).double().cpu().numpy()
        return found

    volume = getattr(model.adapter, "log_volume", None)
    value = joined("value") + (0.0 if volume is None else volume())
    coordinates = free_coordinates(batch.values, batch.mask).double().numpy()
    unit = "encoded values" if volume is None else "the data"
    return Likelihood(value, coordinates, joined("step_error"), joined("probe_error"), unit)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over objects and its standard error (nan for a single one)."""
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.nan
