"""Gaussian data on a plane in many dimensions: an exact field whose samplers are disturbed on purpose.

Data on a 64-dimensional subspace of N = 3072, standard deviations log-spaced from 2 to 0.02; Heun with 18 steps; before
each step x += alpha sigma z. Figure: Frechet distance in the plane between samples and fresh data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pfgm_science.batch import Condition
from pfgm_science.denoiser import Denoiser
from pfgm_science.exact import Gaussian
from pfgm_science.metrics import frechet_distance
from pfgm_science.noise import StudentT
from pfgm_science.progress import progress
from pfgm_science.robustness import Disturbed, step_errors
from pfgm_science.sampling import sample
from pfgm_science.schedule import karras
from pfgm_science.solvers import Heun, State

N, PLANE = 3072, 64
STEPS = 18


def floor(count: int, seed: int) -> dict[str, float]:
    """Fresh data in the place of samples."""
    generator = torch.Generator().manual_seed(10_000 + seed)
    return {"frechet": _distance(fresh_data(count, generator), generator)}


def frechet_after(alpha: float, D: float, count: int, seed: int, size: int = N) -> dict[str, float]:
    """In-plane Frechet distance of `count` samples drawn with errors of size alpha; size: N."""
    generator = torch.Generator().manual_seed(seed)
    grid = karras(STEPS)
    x = in_plane_noise(D, count, float(grid[0]), generator, size)
    with progress(f"alpha {alpha:g}, D {D:g}") as update:
        for i, state in enumerate(disturbed(InPlane(D, size), x, grid, alpha, generator)):
            x = state.x
            if i:
                update(i, STEPS)
    return {"frechet": _distance(x[:, :PLANE], generator)}


def disturbed(denoiser: Denoiser, x: Tensor, grid: Tensor, alpha: float, generator: torch.Generator) -> Iterator[State]:
    """Heun's trajectory with Gaussian errors of size alpha sigma added to x before each step."""
    return sample(denoiser, x, grid, solver=Disturbed(Heun(), step_errors(alpha, generator)))


def deviations() -> Tensor:
    """Standard deviation of the data along each direction of the plane: [64], from 2 to 0.02."""
    return torch.logspace(math.log10(2), math.log10(0.02), PLANE, dtype=torch.float64)


class InPlane:
    """The exact denoiser of the data set: Gaussian in the plane, zero in the other N - 64 coordinates."""

    def __init__(self, D: float, size: int = N) -> None:
        std = torch.cat([deviations(), torch.zeros(size - PLANE, dtype=torch.float64)])
        self.denoiser = Gaussian(std, D, nodes=24)

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        parts = max(1, len(x) // 500)
        return torch.cat([self.denoiser(part, s) for part, s in zip(x.chunk(parts), sigma.chunk(parts), strict=True)])


def in_plane_noise(D: float, count: int, sigma: float, generator: torch.Generator, size: int = N) -> Tensor:
    """The prior in all N coordinates: [count, N] float64."""
    return StudentT(D).prior((count, size), sigma, generator=generator, dtype=torch.float64)


def fresh_data(count: int, generator: torch.Generator) -> Tensor:
    """Data in the plane: [count, 64]."""
    return torch.randn((count, PLANE), generator=generator, dtype=torch.float64) * deviations()


def _distance(plane: Tensor, generator: torch.Generator) -> float:
    other = fresh_data(len(plane), generator)
    return frechet_distance(np.asarray(plane), np.asarray(other))
