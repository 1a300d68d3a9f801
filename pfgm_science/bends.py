"""Where the trajectories of a model bend, and a grid that puts its steps there.

With u = ln(sigma) and c^2 = sigma^2 + sigma_data^2, w = x / c would follow a straight line for Gaussian data at D =
infinity. A step of length h errs by about h^2 |w''| / 2, so a given number of steps err least in sum when each covers
the same share of the integral of |w''|^(1/2) (equidistribution; de Boor, Springer Lecture Notes in Mathematics 363).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pfgm_science.batch import Condition
from pfgm_science.denoiser import Denoiser
from pfgm_science.errors import ConfigError
from pfgm_science.onestep import Heun
from pfgm_science.sampling import sample
from pfgm_science.schedule import Levels, log_uniform

SAMPLES, STEPS = 16, 32  # that are measured, and the steps each takes
LEAST = 1e-3  # of the largest density of steps, and of that of a bend of 1, so that no stretch goes without


@dataclass(frozen=True)
class Bends:
    """How much trajectories bend. levels: falling; share: of all bending what lies above each, from 0 to 1."""

    levels: tuple[float, ...]
    share: tuple[float, ...]

    def __post_init__(self) -> None:
        falling = all(math.inf > a > b > 0 for a, b in zip(self.levels, self.levels[1:], strict=False))
        rising = all(a < b for a, b in zip(self.share, self.share[1:], strict=False))
        if len(self.levels) < 2 or len(self.levels) != len(self.share) or not (falling and rising):
            raise ConfigError("bends need levels that fall and shares that rise, two or more and as many of each")

    def grid(self, steps: int, high: float | None = None) -> Tensor:
        """The sampling grid with this many steps, each as bent as the others, then 0: [steps + 1] float64.

        high: the level to start from, within those that were measured; None is the highest.
        """
        if steps < 1:
            raise ConfigError(f"{steps} steps: at least 1 is needed")
        u, share = np.log(self.levels), np.array(self.share)
        start = share[0] if high is None else np.interp(-math.log(high), -u, share)
        wanted = np.linspace(start, share[-1], steps)
        levels = np.exp(np.interp(wanted, share, u))
        levels[0] = self.levels[0] if high is None else high  # exact where exp(log) is not
        return torch.from_numpy(np.append(levels, 0.0))


@torch.no_grad()
def measure_bends(
    denoiser: Denoiser,
    x: Tensor,
    levels: Levels,
    size: float,
    condition: Condition | None = None,
    mask: Tensor | None = None,
) -> Bends | None:
    """The bends of the trajectories that start at x, a draw of the prior at levels.sigma_max: [batch, *shape].

    size: of the data in each coordinate. Takes 65 evaluations of the denoiser. The median over the batch is kept,
    since for small D single samples lie far out. None when the trajectories are not finite.
    """
    slopes = []
    grid = log_uniform(STEPS + 1, levels.sigma_min, levels.sigma_max)
    states = sample(denoiser, x, grid, solver=Heun(), condition=condition, mask=mask)
    next(states)  # the start, before which nothing was estimated
    for state in states:
        (at,) = state.past
        c = math.hypot(at.sigma, size)
        slopes.append(at.x * size**2 / c**3 - at.denoised / c)
    rates = torch.stack(slopes).double().flatten(2)
    width = math.log(levels.sigma_max / levels.sigma_min) / STEPS
    bending = ((rates[1:] - rates[:-1]) / width).square().mean(2).sqrt().median(dim=1).values
    density = bending.sqrt().cpu().numpy()
    if not np.isfinite(density).all():
        return None
    density = density + LEAST * max(density.max(), 1.0)
    share = np.concatenate([[0.0], np.cumsum(density)]) / density.sum()
    share[-1] = 1.0
    return Bends(tuple(grid[:-1].tolist()), tuple(share.tolist()))
