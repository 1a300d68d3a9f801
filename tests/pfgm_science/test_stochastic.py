"""Fresh noise with the exact posterior of kappa keeps the law of the kernel; Gaussian noise does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, Gaussian
from pfgm_science.noise import StudentT, generators
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras, log_uniform
from pfgm_science.solvers import Heun
from pfgm_science.stochastic import Renewal, StochasticHeun

F64 = torch.float64
COUNT = 200_000


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance(a: Tensor, b: Tensor) -> float:
    """Kolmogorov-Smirnov distance of the norms."""
    return float(ks_2samp(a.flatten(1).norm(dim=1).numpy(), b.flatten(1).norm(dim=1).numpy()).statistic)


def plain(denoiser: Any) -> Any:
    """The same denoiser, as one that knows nothing of kappa."""
    return lambda x, sigma, condition=None, mask=None: denoiser(x, sigma, condition, mask)


@pytest.mark.parametrize(("N", "D", "gaussian"), [(64, 8.0, 0.09), (8, 3.0, 0.06)])
def test_churn_by_sqrt_2_keeps_the_law_of_the_norm(N: int, D: float, gaussian: float) -> None:
    """Gaussian data, 200,000 samples against as many exact ones: 0.01 is passed by luck less than once in 1e8 seeds."""
    g, noise, data = gen(), StudentT(D), Gaussian(1.0, D, nodes=96)
    x, target = (
        noise.perturb(torch.randn(COUNT, N, generator=g, dtype=F64), sigma, generator=g)
        for sigma in (1.0, math.sqrt(2))
    )
    parts = x.split(20_000)
    assert distance(torch.cat([p + Renewal(D, data, g)(p, 1.0) for p in parts]), target) < 0.01
    assert distance(x + torch.randn(x.shape, generator=g, dtype=F64), target) > gaussian
    # What a network can do, which knows no posterior. The divergence is exact for N = 8, Hutchinson's for N = 64.
    estimated = [p + Renewal(D, plain(Gaussian(1.0, D, nodes=32)), g)(p, 1.0) for p in x[:40_000].split(20_000)]
    assert distance(torch.cat(estimated), target[:40_000]) < 0.03


def test_forty_stochastic_steps_keep_the_law_at_every_level() -> None:
    """20,000 samples: the distance of two exact sets passes 0.021 once in 3,000 levels, Heun's own error is 0.002."""
    g, D = gen(1), 3.0
    points = 2 * torch.randn(5, 8, generator=g, dtype=F64)
    data, noise, count = FiniteSet(points, D), StudentT(D), 20_000
    grid = log_uniform(41, 0.05, 40.0)[:-1]

    def fresh(sigma: float) -> Tensor:
        return noise.perturb(points[torch.randint(5, (count,), generator=g)], sigma, generator=g)

    solver = StochasticHeun(churn=1.0).bound(Renewal(D, data, g))
    states = list(sample(data, fresh(40.0), grid, solver=solver))
    assert len(states) == 41
    assert max(distance(state.x, fresh(state.sigma)) for state in states) < 0.025
    gaussian = list(sample(data, fresh(40.0), grid, solver=StochasticHeun(churn=1.0).bound(Blind(D, data, g))))
    assert max(distance(state.x, fresh(state.sigma)) for state in gaussian) > 0.1


class Blind(Renewal):
    """EDM's noise: kappa = 1 whatever x is, and no random numbers for it."""

    def log_kappa(self, x: Tensor, sigma: Tensor) -> Tensor:
        return torch.zeros(len(x), dtype=F64)


@pytest.mark.parametrize("steps", [2, 5, 18])
def test_at_infinite_d_it_is_edms_stochastic_sampler(steps: int) -> None:
    """Algorithm 2 of arXiv 2206.00364, written out, with the gamma that adds the same variance."""
    points = torch.randn(4, 3, generator=gen(2), dtype=F64)
    field, t, churn = FiniteSet(points), karras(steps).tolist(), 0.3
    x0 = 80 * torch.randn(6, 3, generator=gen(3), dtype=F64)

    def den(x: Tensor, level: float) -> Tensor:
        return field(x, torch.full((len(x),), level, dtype=F64))

    g, x = gen(4), x0
    for i in range(steps):
        t_hat = t[i]
        if t[i + 1] > 0:
            t_hat = math.sqrt(t[i] ** 2 + churn * (t[i] ** 2 - t[i + 1] ** 2))
            eps = torch.randn(x.shape, generator=g, dtype=F64)
            x = x + math.sqrt(t_hat**2 - t[i] ** 2) * eps
        d = (x - den(x, t_hat)) / t_hat
        x_next = x + (t[i + 1] - t_hat) * d
        if t[i + 1] > 0:
            x_next = x + (t[i + 1] - t_hat) * (d + (x_next - den(x_next, t[i + 1])) / t[i + 1]) / 2
        x = x_next
    assert bool((Renewal(math.inf, field, gen()).log_kappa(x0, torch.ones(6, dtype=F64)) == 0).all())
    solver = StochasticHeun(churn).bound(Blind(math.inf, field, gen(4)))
    torch.testing.assert_close(last(sample(field, x0, karras(steps), solver=solver)).x, x, rtol=1e-12, atol=1e-12)


def test_without_churn_it_is_heun() -> None:
    field, x = FiniteSet(torch.randn(4, 3, generator=gen(2), dtype=F64), 2.0), 80 * torch.randn(6, 3, dtype=F64)
    silent = StochasticHeun(churn=0.0).bound(Renewal(2.0, field, gen()))
    assert torch.equal(
        last(sample(field, x, karras(9), solver=silent)).x, last(sample(field, x, karras(9), solver=Heun())).x
    )
    outside = StochasticHeun(low=100.0).bound(Renewal(2.0, field, gen()))
    assert torch.equal(
        last(sample(field, x, karras(9), solver=outside)).x, last(sample(field, x, karras(9), solver=Heun())).x
    )


def test_noise_leaves_padding_alone_and_belongs_to_its_sample() -> None:
    field = FiniteSet(torch.randn(4, 3, generator=gen(2), dtype=F64), 2.0)
    x, mask = torch.randn(5, 3, generator=gen(3), dtype=F64), torch.tensor([1.0, 1.0, 0.0], dtype=F64).expand(5, 3)
    assert bool((Renewal(2.0, field, gen(), mask=mask)(x, 1.0)[:, 2] == 0).all())
    for denoiser in (field, plain(field)):
        together = Renewal(2.0, denoiser, generators(range(5)))(x, 1.0)
        alone = [Renewal(2.0, denoiser, generators([i]))(x[i : i + 1], 1.0) for i in range(5)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


def test_evaluations_are_counted() -> None:
    field, calls = FiniteSet(torch.randn(4, 3, dtype=F64), 2.0), []

    def counted(x: Tensor, sigma: Tensor, condition: Any = None, mask: Any = None) -> Tensor:
        calls.append(1)
        return field(x, sigma)

    for steps in (1, 2, 7):
        calls.clear()
        solver = StochasticHeun().bound(Renewal(2.0, counted, gen()))
        state = last(sample(counted, torch.randn(2, 3, dtype=F64), karras(steps), solver=solver))
        assert state.evaluations == len(calls) == 3 * (steps - 1) + 1
        assert solver.steps(len(calls)) == solver.steps(len(calls) + 2) == steps
    assert StochasticHeun().bound(Renewal(2.0, field, gen())).steps(35) == 18


def test_mistakes_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs a source of noise"):
        last(sample(FiniteSet(torch.zeros(1, 2)), torch.ones(1, 2), [1.0, 0.5, 0.0], solver=StochasticHeun()))
    for churn in (-0.1, math.inf, math.nan):
        with pytest.raises(ConfigError, match="churn is"):
            StochasticHeun(churn)
    with pytest.raises(ConfigError, match="0 <= low <= high"):
        StochasticHeun(low=2.0, high=1.0)


@pytest.mark.parametrize("data", [FiniteSet(torch.tensor([[-1.0], [2.0]], dtype=F64), 1.5), Gaussian(0.7, 1.5)])
def test_kappa_is_drawn_from_its_posterior(data: Any) -> None:
    """Against rejection: prior draws (y, kappa) whose x falls next to the one that is given. 1 in 1e6 seeds fails."""
    g, noise = gen(5), StudentT(1.5)
    count = 4_000_000
    log_kappa = noise.log_kappa(count, generator=g)
    y = (
        data.points[torch.randint(2, (count,), generator=g), 0]
        if isinstance(data, FiniteSet)
        else 0.7 * torch.randn(count, generator=g, dtype=F64)
    )
    x = y + 0.5 * torch.randn(count, generator=g, dtype=F64) * torch.exp(-log_kappa / 2)
    expected = log_kappa[(x - 1.3).abs() < 0.01]
    at = torch.full((len(expected), 1), 1.3, dtype=F64)
    drawn = data.draw_log_kappa(at, torch.full((len(at),), 0.5, dtype=F64), None, g)
    assert len(expected) > 5000
    assert ks_2samp(drawn.numpy(), expected.numpy()).pvalue > 1e-6
    assert np.isfinite(drawn.numpy()).all()
