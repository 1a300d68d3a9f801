"""New objects from given ones: variations of each, and what lies between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from pfgm_science.batch import Batch, expand, free_coordinates
from pfgm_science.condition import encode
from pfgm_science.errors import ConfigError
from pfgm_science.flow import transport
from pfgm_science.model import Drawing, Model, Start, sample_seeds
from pfgm_science.noise import StudentT, generators
from pfgm_science.sampling import state_dtype
from pfgm_science.schedule import EDM_SIGMA_DATA
from pfgm_science.solvers import solver_named
from pfgm_science.stochastic import StochasticHeun

TINY = 1e-100  # the least share of a law in a tail whose quantile is asked for; scipy has none for less


def vary(model: Model, objects: Any, level: float, *, each: int = 1, **how: Unpack[Drawing]) -> Any:
    """Variations of objects: noise up to a level is added, and the model takes it away again (partial inversion).

    level: of the noise, for data with sigma_data = 0.5; about 0.1 changes details, 1 much, 10 nearly all (SDEdit,
    arXiv 2108.01073, with the noise of D). What is drawn from data this way has the law of the data at every level.
    each: variations of each object, which stand together in the answer. how: as in Model.sample; conditions hold one
    value for all, or one a variation.
    """
    if each < 1:
        raise ConfigError(f"{each} variations of each object: at least 1")
    held = _repeated(model.adapter.encode(objects), each)
    D = _dimension(model, how)
    sigma = level * model.denoiser.sigma_data / EDM_SIGMA_DATA
    # Other seeds than those of samples, so that noise on the way is no copy of this.
    sources = generators(sample_seeds(how.get("seed", 0) + 1, range(len(held))))
    levels = torch.full((len(held),), sigma, dtype=torch.float64)
    noise = StudentT(D).draw(held.values.shape, levels, mask=held.mask, generator=sources, dtype=torch.float64)
    return _drawn(model, Batch(held.values.double() + noise, held.mask), sigma, how)


def interpolate(
    model: Model, first: Any, second: Any, points: int = 9, *, steps: int = 64, **how: Unpack[Drawing]
) -> Any:
    """What lies between objects, both ends included: `points` for each pair of first and second, standing together.

    Both are taken up to the prior by the flow (4 evaluations for each of `steps`), mixed there by `mixed`, and taken
    down again; the ends come back but for the error of the solver. how: as in Model.sample, without a solver that adds
    noise; conditions hold one value for all.
    """
    if points < 2:
        raise ConfigError(f"{points} points: at least 2, the ends")
    solver = how.get("solver")
    if solver is not None and isinstance(solver_named(solver), StochasticHeun):
        raise ConfigError("stochastic adds noise, and the ends would not come back: take another solver")
    ends = [model.adapter.encode(objects) for objects in (first, second)]
    if len(ends[0]) != len(ends[1]) or ends[0].values.shape != ends[1].values.shape:
        raise ConfigError(f"{len(ends[0])} objects and {len(ends[1])}: pairs are needed, of one shape")
    masks = [end.mask for end in ends]
    if masks[0] is not None and masks[1] is not None and not torch.equal(masks[0], masks[1]):
        raise ConfigError("the objects of a pair must be of one size: there is nothing between sizes")
    D, top = _dimension(model, how), model.levels.sigma_max
    a, b = (_to_prior(model, end, steps, how) for end in ends)
    shares = torch.linspace(0, 1, points, dtype=torch.float64)
    between = torch.stack([mixed(a, b, float(t), D=D, sigma=top, mask=masks[0]) for t in shares], dim=1)
    return _drawn(model, Batch(between.flatten(0, 1), _repeated(ends[0], points).mask), top, how)


def mixed(a: Tensor, b: Tensor, share: float, *, D: float, sigma: float, mask: Tensor | None = None) -> Tensor:
    """A point between two draws of the prior at sigma: a at share 0, b at 1; [batch, *shape] float64.

    Each is turned into the normal vector of the same direction whose norm has the same quantile; the vectors are mixed
    with weights cos and sin of a quarter turn, and turned back. For independent draws each point of the way is again a
    draw of the prior.
    """
    angle = share * np.pi / 2
    N = free_coordinates(a, mask).double().cpu().numpy()
    normal_a, normal_b = (_radially(x.double().cpu() / sigma, N, D, to_normal=True) for x in (a, b))
    middle = np.cos(angle) * normal_a + np.sin(angle) * normal_b
    return sigma * _radially(middle, N, D, to_normal=False)


def _radially(x: Tensor, N: np.ndarray, D: float, *, to_normal: bool) -> Tensor:
    """Vectors scaled so that a norm of the t law gets that of the normal law at the same quantile, or the other way.

    ||x||^2 / N has the law F(N, D) for the one and chi^2_N / N for the other.
    """
    if np.isinf(D):
        return x
    squared = x.flatten(1).square().sum(1).numpy()
    student, normal = _SquaredNorm(N, D), stats.chi2(N)
    here, there = (student, normal) if to_normal else (normal, student)
    inside = np.clip(squared, here.ppf(TINY), here.isf(TINY))
    below, above = here.cdf(inside), here.sf(inside)
    # From whichever tail is the thinner: its share of the law keeps its digits.
    lower, upper = (np.clip(share, TINY, 0.5) for share in (below, above))
    wanted = np.where(below < above, there.ppf(lower), there.isf(upper))
    wanted = wanted * squared / inside  # beyond all quantiles norms are scaled as at the last
    scale = np.sqrt(wanted / np.maximum(squared, np.finfo(float).tiny))
    return x * expand(torch.from_numpy(scale), x)


@dataclass(frozen=True)
class _SquaredNorm:
    """The law of ||x||^2 of a t vector in N dimensions, N F(N, D): by the incomplete beta function, because scipy's
    F(N, D) has no quantiles beyond a share of 1e-16, and real sounds lie there.
    """

    N: np.ndarray
    D: float

    def cdf(self, squared: np.ndarray) -> Any:
        return special.betainc(self.N / 2, self.D / 2, squared / (self.D + squared))

    def sf(self, squared: np.ndarray) -> Any:
        return special.betainc(self.D / 2, self.N / 2, self.D / (self.D + squared))

    def ppf(self, share: Any) -> Any:
        b = special.betaincinv(self.N / 2, self.D / 2, share)
        return self.D * b / (1 - b)

    def isf(self, share: Any) -> Any:
        b = special.betaincinv(self.D / 2, self.N / 2, share)
        return self.D * (1 - b) / b


def _to_prior(model: Model, end: Batch, steps: int, how: Mapping[str, Any]) -> Tensor:
    """Where the flow takes encoded objects at the highest noise level: [batch, *shape] float64, on the CPU."""
    device = next(model.denoiser.parameters()).device
    batch = Batch(end.values, end.mask, encode(model.specs, how.get("condition") or {}, len(end)) or None)
    batch = batch.to(device, state_dtype(device))
    levels = model.levels
    denoiser = model.guided(how.get("dimension"), how.get("guidance"))
    x = transport(
        denoiser,
        batch.values,
        levels.sigma_min,
        levels.sigma_max,
        steps,
        size=model.denoiser.sigma_data,
        condition=batch.condition,
        mask=batch.mask,
    )
    return x.double().cpu()


def _repeated(batch: Batch, times: int) -> Batch:
    """Each sample so many times, standing together; without conditions."""
    mask = None if batch.mask is None else batch.mask.repeat_interleave(times, 0)
    return Batch(batch.values.repeat_interleave(times, 0), mask)


def _drawn(model: Model, noisy: Batch, sigma: float, how: Drawing) -> Any:
    how = how.copy()
    how["start"] = Start(noisy, sigma)
    return model.sample(len(noisy), **how)


def _dimension(model: Model, how: Drawing) -> float:
    D = how.get("dimension")
    return model.dimension if D is None else D
