"""Densities and inversion by the flow, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, Gaussian, smoothed_log_density
from pfgm_science.flow import log_density, transport
from pfgm_science.noise import StudentT

F64 = torch.float64


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian_log_prob(x: Tensor, size: float, sigma: float, D: float) -> Tensor:
    """log E_kappa N(x; 0, size^2 + sigma^2 / kappa), by quadrature."""
    N, squared = x.shape[1], x.square().sum(1).numpy()

    def given(variance: float | np.ndarray, q: float) -> float | np.ndarray:
        return -N / 2 * np.log(2 * math.pi * variance) - q / (2 * variance)

    if math.isinf(D):
        return torch.from_numpy(np.array([given(size**2 + sigma**2, q) for q in squared]))
    kappa = stats.gamma(D / 2, scale=2 / D)
    result = []
    for q in squared:
        shift = float(np.max(given(size**2 + sigma**2 / np.geomspace(1e-3, 50, 2000), q)))
        total, _ = integrate.quad(
            lambda u, q=q, m=shift: (
                np.exp(given(size**2 + sigma**2 * np.exp(-u), q) - m) * kappa.pdf(np.exp(u)) * np.exp(u)
            ),
            -12,
            6,
            epsabs=0,
            epsrel=1e-10,
            limit=400,
        )
        result.append(shift + math.log(total))
    return torch.tensor(result, dtype=F64)


@pytest.mark.parametrize("D", [1.0, 3.0, 64.0, math.inf])
@pytest.mark.parametrize("N", [1, 8, 64])
def test_one_point_has_the_density_of_the_kernel(N: int, D: float) -> None:
    """The flow is a straight line, and log p falls by N ln(sigma): 1e-4 nats a dimension are asked, 1e-10 found."""
    noise = StudentT(D)
    x = noise.prior((5, N), 0.1, generator=gen(), dtype=F64)
    found = log_density(FiniteSet(torch.zeros(1, N, dtype=F64), D), D, x, 0.1, 80.0, size=0.0)
    torch.testing.assert_close(found.value, noise.log_prob(x, 0.1), rtol=0, atol=1e-9 * N)
    assert float(found.step_error.max()) < 1e-4 * N


@pytest.mark.parametrize("D", [3.0, 64.0, math.inf])
@pytest.mark.parametrize("N", [1, 8, 64])
def test_gaussian_data_have_their_density(N: int, D: float) -> None:
    x = StudentT(D).perturb(torch.randn(2, N, generator=gen(1), dtype=F64), 0.3, generator=gen(2))
    found = log_density(Gaussian(1.0, D, nodes=64), D, x, 0.3, 1000.0, count=N, steps=64, size=1.0)
    error = (found.value - gaussian_log_prob(x, 1.0, 0.3, D)).abs()
    assert float(error.max()) < 1e-4 * N
    assert bool((error <= found.step_error + 1e-5 * N).all()), "the stated error holds"
    assert bool((found.probe_error == 0).all())


@pytest.mark.parametrize("D", [2.0, math.inf])
def test_points_have_the_density_of_their_mixture(D: float) -> None:
    points = torch.randn(5, 3, generator=gen(3), dtype=F64)
    x = StudentT(D).perturb(points, 0.4, generator=gen(4))
    points = points - points.mean(0)  # the prior is around 0
    found = log_density(FiniteSet(points, D), D, x, 0.4, 2000.0, steps=150, size=1.0)
    expected = smoothed_log_density(points, x, 0.4, D)
    torch.testing.assert_close(found.value, expected, rtol=0, atol=3e-4)


def test_hutchinsons_estimate_states_its_error() -> None:
    """Gaussian data with two deviations, so that v . J v differs; 40 probes, 5 standard errors."""
    data = Gaussian(torch.cat([torch.full((12,), 2.0), torch.full((12,), 0.2)]).double(), 8.0)
    mixing, _ = torch.linalg.qr(torch.randn(24, 24, generator=gen(5), dtype=F64))

    def turned(x: Tensor, sigma: Tensor, condition: object = None, mask: object = None) -> Tensor:
        return data(x @ mixing, sigma) @ mixing.T

    x = StudentT(8.0).prior((3, 24), 1.0, generator=gen(6), dtype=F64)
    exact = log_density(turned, 8.0, x, 0.1, 300.0, steps=24, count=24)
    estimated = log_density(turned, 8.0, x, 0.1, 300.0, steps=24, count=20)
    assert bool((estimated.probe_error > 0).all())
    assert bool(((estimated.value - exact.value).abs() < 5 * estimated.probe_error).all())
    one = log_density(turned, 8.0, x, 0.1, 300.0, steps=4, count=1)
    assert bool(one.probe_error.isnan().all()), "one probe cannot tell its error"


@pytest.mark.parametrize("D", [1.0, 8.0, math.inf])
def test_to_the_prior_and_back(D: float) -> None:
    points = torch.randn(6, 4, generator=gen(7), dtype=F64)
    field = FiniteSet(points, D)
    x = StudentT(D).perturb(points, 0.1, generator=gen(8))
    up = transport(field, x, 0.1, 80.0, 400)
    assert float((up - x).abs().mean()) > 10
    torch.testing.assert_close(transport(field, up, 80.0, 0.1, 400), x, rtol=0, atol=1e-4)


def test_padding_has_no_density() -> None:
    mask = torch.tensor([1.0, 1.0, 0.0], dtype=F64).expand(4, 3)
    x = torch.randn(4, 3, generator=gen(9), dtype=F64) * mask
    points = torch.randn(5, 3, generator=gen(10), dtype=F64)
    padded = log_density(FiniteSet(points, 3.0), 3.0, x, 0.5, 80.0, mask=mask)
    short = log_density(FiniteSet(points[:, :2], 3.0), 3.0, x[:, :2], 0.5, 80.0)
    torch.testing.assert_close(padded.value, short.value, rtol=1e-10, atol=1e-10)


def test_levels_and_steps_must_make_sense() -> None:
    field, x = FiniteSet(torch.zeros(1, 2, dtype=F64)), torch.zeros(1, 2, dtype=F64)
    for start, end in ((0.0, 1.0), (1.0, 0.0), (1.0, math.inf)):
        with pytest.raises(ConfigError, match="must be > 0 and finite"):
            transport(field, x, start, end)
    with pytest.raises(ConfigError, match="at least 1"):
        transport(field, x, 1.0, 2.0, 0)
    with pytest.raises(ConfigError, match="at least 2"):
        log_density(field, 2.0, x, 1.0, 2.0, steps=1)
