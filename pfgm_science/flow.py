"""The flow run in either direction to high accuracy: from data to the prior and back, and the density it transports.

In u = ln(sigma) the flow is dx/du = x - Den(x, sigma), and along it d log p / du = div Den - N, at every D. What
Gaussian data of the given size would do at D = infinity is taken out: with c^2 = sigma^2 + size^2, x / c would stand
still and log p fall by N ln c. The rest is left to the classical Runge-Kutta method with even steps in u.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pfgm_science.batch import Condition, free_coordinates
from pfgm_science.denoiser import Denoiser
from pfgm_science.divergence import probes, with_curvatures
from pfgm_science.errors import ConfigError
from pfgm_science.noise import StudentT


@dataclass(frozen=True)
class LogDensity:
    """log p(x) of a batch, in nats: four tensors [batch], and where the flow took x.

    value: of the data smoothed by the kernel at the lowest level. step_error: how far half the number of steps is off,
    which is sixteen times the error to expect. probe_error: standard error over the probes of Hutchinson's estimate; 0
    where the divergence is exact. prior: x at the highest level, [batch, *shape].
    """

    value: Tensor
    step_error: Tensor
    probe_error: Tensor
    prior: Tensor


@torch.no_grad()
def transport(
    denoiser: Denoiser,
    x: Tensor,
    start: float,
    end: float,
    steps: int = 64,
    *,
    size: float = 0.5,
    condition: Condition | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Where the flow takes x from one noise level to another, up or down; four evaluations a step. Levels are > 0.

    size: of the data, in each coordinate; it decides the accuracy and not the answer.
    """

    def slope(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        return denoiser(x, x.new_full((len(x),), sigma), condition, mask), x.new_zeros(1)

    return _integrated(slope, x, x.new_zeros(1), start, end, steps, size)[0]


def log_density(
    denoiser: Denoiser,
    D: float,
    x: Tensor,
    low: float,
    high: float,
    *,
    steps: int = 64,
    count: int = 0,
    seed: int = 0,
    size: float = 0.5,
    condition: Condition | None = None,
    mask: Tensor | None = None,
) -> LogDensity:
    """log p(x) at the level `low`, by the flow to `high` and the density of the prior there.

    The prior is the kernel around 0, so the data should be centred and high far above their size: what is neglected is
    about N (size / high)^2 / 2 nats, and ||mean|| / high where they are not centred. count: probes of Hutchinson's
    estimate; 0 for the exact divergence up to N = 16 and one probe above. x is [batch, *shape], best in float64. Raises
    ConfigError for levels or steps that make no sense.
    """
    if steps < 2:
        raise ConfigError(f"{steps} steps: at least 2 are needed for a density and its error")
    directions, N = probes(x, count, seed), free_coordinates(x, mask).double()

    def slope(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        levels = x.new_full((len(x),), sigma)
        denoised, curvature = with_curvatures(denoiser, x, levels, condition, mask, directions)
        share = size**2 / (sigma**2 + size**2)
        return denoised, N * share - curvature.double()

    def density(steps: int) -> tuple[Tensor, Tensor]:
        start = N.new_zeros(len(directions), len(x))
        prior, gained = _integrated(slope, x, start, low, high, steps, size)
        known = N * math.log(math.hypot(high, size) / math.hypot(low, size))
        return StudentT(D).log_prob(prior, high, mask=mask) + known + gained, prior

    with torch.no_grad():
        (fine, prior), (coarse, _) = density(steps), density(steps // 2)
    exact = len(directions) >= x[0].numel()
    spread = fine.std(0) / len(fine) ** 0.5 if len(fine) > 1 else torch.full_like(fine[0], math.nan)
    return LogDensity(fine.mean(0), (fine - coarse).mean(0).abs(), torch.zeros_like(spread) if exact else spread, prior)


def _integrated(
    slope: Callable[[Tensor, float], tuple[Tensor, Tensor]],
    x: Tensor,
    total: Tensor,
    start: float,
    end: float,
    steps: int,
    size: float,
) -> tuple[Tensor, Tensor]:
    """x at the end, and total with the integral over u of the second part of slope(x, sigma) -> (denoised, part)."""
    if not (0 < start < math.inf and 0 < end < math.inf):
        raise ConfigError(f"from sigma = {start} to {end}: both levels must be > 0 and finite")
    if steps < 1:
        raise ConfigError(f"{steps} steps: at least 1 is needed")
    u, step = math.log(start), math.log(end / start) / steps

    def rate(w: Tensor, u: float) -> tuple[Tensor, Tensor]:
        sigma = math.exp(u)
        c = math.hypot(sigma, size)
        denoised, part = slope(c * w, sigma)
        return w * (size / c) ** 2 - denoised / c, part

    w = x / math.hypot(start, size)
    for i in range(steps):
        first, part_1 = rate(w, u + i * step)
        second, part_2 = rate(w + step / 2 * first, u + (i + 0.5) * step)
        third, part_3 = rate(w + step / 2 * second, u + (i + 0.5) * step)
        fourth, part_4 = rate(w + step * third, u + (i + 1) * step)
        w = w + step / 6 * (first + 2 * second + 2 * third + fourth)
        total = total + step / 6 * (part_1 + 2 * part_2 + 2 * part_3 + part_4)
    return w * math.hypot(end, size), total
