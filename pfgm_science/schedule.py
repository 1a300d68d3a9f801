"""Noise levels: how often training visits each, and the grid that sampling walks down.

Levels are in the units of the data. EDM's constants belong to data with sigma_data = 0.5, so they are scaled by
sigma_data / 0.5: data times 1000 then gives samples times 1000. Because r = sigma sqrt(D) aligns the levels of all D
(PFGM++, arXiv 2302.04265, section 4), one set of constants serves every D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pfgm_science.batch import Batch, free_coordinates
from pfgm_science.errors import ConfigError

EDM_SIGMA_DATA = 0.5


@dataclass(frozen=True)
class Levels:
    """EDM's distribution of training levels and its sampling range (Karras et al., arXiv 2206.00364, table 1).

    ln(sigma) ~ N(mean, std^2) in training; sampling goes from sigma_max to sigma_min with spacing rho, then to 0.
    """

    mean: float = -1.2
    std: float = 1.2
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise ConfigError(
                f"sigma_min {self.sigma_min} and sigma_max {self.sigma_max}: need 0 < sigma_min < sigma_max"
            )
        if not (self.std > 0 and self.rho > 0):
            raise ConfigError(f"std {self.std} and rho {self.rho} must be > 0")

    def scaled(self, sigma_data: float) -> Levels:
        """The same levels for data of another sigma_data."""
        scale = sigma_data / EDM_SIGMA_DATA
        return Levels(self.mean + math.log(scale), self.std, self.sigma_min * scale, self.sigma_max * scale, self.rho)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Training levels, [count] float32 on the generator's device."""
        z = torch.randn(count, generator=generator, device=generator.device)
        return torch.exp(self.mean + self.std * z)

    def grid(self, steps: int) -> Tensor:
        """The sampling grid with this many steps: [steps + 1], see karras."""
        return karras(steps, self.sigma_min, self.sigma_max, self.rho)


def karras(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Tensor:
    """EDM's grid: levels evenly spaced in sigma^(1/rho), then 0: [steps + 1] float64 (arXiv 2206.00364, eq. 5)."""
    _check_steps(steps)
    ramp = torch.arange(steps, dtype=torch.float64) / max(steps - 1, 1)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    levels = (high + ramp * (low - high)) ** rho
    return torch.cat([levels, levels.new_zeros(1)])


def log_uniform(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Tensor:
    """Levels evenly spaced in log sigma, then 0: [steps + 1] float64."""
    _check_steps(steps)
    ramp = torch.arange(steps, dtype=torch.float64) / max(steps - 1, 1)
    levels = sigma_max * torch.exp(ramp * math.log(sigma_min / sigma_max))
    return torch.cat([levels, levels.new_zeros(1)])


def measure_sigma_data(batch: Batch) -> float:
    """Root mean square of the free coordinates: what makes the network's input of unit size at every level."""
    squares, free = _squares(batch)
    return float((squares.sum() / free.sum()).sqrt())


def measure_radius(batch: Batch) -> float:
    """The same of the farthest sample: no data lie further out, what does is noise."""
    squares, free = _squares(batch)
    return float((squares / free.clamp(min=1)).max().sqrt())


def _squares(batch: Batch) -> tuple[Tensor, Tensor]:
    """Sum of squares and number of the free coordinates of each sample: two [batch] float64."""
    values = batch.values.double()
    if batch.mask is not None:
        values = values * batch.mask
    return values.square().flatten(1).sum(1), free_coordinates(values, batch.mask)


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ConfigError(f"{steps} steps: at least 1 is needed")
