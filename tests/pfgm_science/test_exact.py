from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad, solve_ivp
from scipy.special import gammaln, polygamma, psi
from torch import Tensor

from pfgm_science.exact import FiniteSet, Gaussian, Mixture, radius_moments, smoothed_log_density
from pfgm_science.noise import StudentT

F64 = torch.float64


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=gen(seed), dtype=F64)


def full(x: Tensor, sigma: float) -> Tensor:
    return torch.full((len(x),), sigma, dtype=F64)


def by_posterior_of_kappa(points: Tensor, x: Tensor, sigma: float, D: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of kappa and the exact p(kappa | x) at them times their width, from Bayes' rule alone."""
    N = points.shape[1]
    log_kappa = np.linspace(-90, 8, 8000)
    kappa = np.exp(log_kappa)
    squared = (x - points).square().sum(1).numpy()
    log_prior = D / 2 * log_kappa - D / 2 * kappa  # of log kappa
    log_terms = N / 2 * log_kappa - kappa * squared[:, None] / (2 * sigma**2)
    log_p = log_prior + np.logaddexp.reduce(log_terms, axis=0)
    weight = np.exp(log_p - log_p.max())
    return kappa, weight / weight.sum()


@pytest.mark.parametrize("N, D", [(1, 0.5), (1, 3.0), (2, 1.0), (8, 30.0), (20, 2.0)])
def test_the_mixture_identity(N: int, D: float) -> None:
    points, sigma = randn(4, N), 0.8
    for x in points + StudentT(D).draw((4, N), sigma, generator=gen(1), dtype=F64):
        kappa, weight = by_posterior_of_kappa(points, x, sigma, D)
        levels = torch.from_numpy(sigma / np.sqrt(kappa))
        diffusion = FiniteSet(points)(x.expand(len(levels), N), levels)
        mixed = torch.from_numpy(weight) @ diffusion
        exact = FiniteSet(points, D)(x[None], full(x[None], sigma))[0]
        torch.testing.assert_close(mixed, exact, rtol=0, atol=1e-10)


def test_kappa_given_x_is_a_mixture_of_the_gamma_posteriors() -> None:
    N, D, sigma = 3, 2.0, 0.8
    points, x = randn(4, N), randn(1, N, seed=1)
    kappa, weight = by_posterior_of_kappa(points, x[0], sigma, D)
    shape, rate = StudentT(D).kappa_posterior((x - points).square().sum(1), sigma, N)
    w = torch.softmax(FiniteSet(points, D).log_weights(x, full(x, sigma)), dim=1)[0].numpy()
    density = sum(w[j] * stats.gamma(float(shape[j]), scale=1 / float(rate[j])).pdf(kappa) for j in range(4)) * kappa
    np.testing.assert_allclose(weight, density / density.sum(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("D", [0.5, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("points, weights", [([-1.0, 1.5], None), ([-1.0, 0.2, 3.0], [0.5, 0.2, 0.3])])
def test_the_flow_in_one_dimension_preserves_quantiles(
    D: float, points: list[float], weights: list[float] | None
) -> None:
    y = torch.tensor(points, dtype=F64)
    p = np.asarray(weights or [1 / len(points)] * len(points))
    denoiser = FiniteSet(y[:, None], D, None if weights is None else torch.tensor(weights, dtype=F64))
    high, low = 20.0, 0.05

    def quantile(x: np.ndarray, sigma: float) -> np.ndarray:
        return stats.t(D).cdf((x[:, None] - y.numpy()) / sigma) @ p

    def flow(log_sigma: float, x: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(x)[:, None]
        return (state - denoiser(state, full(state, math.exp(log_sigma))))[:, 0].numpy()

    start = stats.t(D, scale=high).ppf([0.001, 0.03, 0.2, 0.45, 0.6, 0.9, 0.999])
    end = solve_ivp(flow, (math.log(high), math.log(low)), start, method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    assert np.abs(quantile(end, low) - quantile(start, high)).max() < 1e-8


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    D=st.floats(0.1, 1e6) | st.just(math.inf), N=st.integers(1, 6), log_sigma=st.floats(-1, 3), seed=st.integers(0, 99)
)
def test_a_finite_set_follows_units_shifts_and_order_and_stays_in_the_hull(
    D: float, N: int, log_sigma: float, seed: int
) -> None:
    points, x, shift = randn(5, N, seed=seed), 3 * randn(4, N, seed=seed + 1), randn(N, seed=seed + 2)
    sigma = full(x, math.exp(log_sigma))
    y = FiniteSet(points, D)(x, sigma)
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(FiniteSet(1000 * points, D)(1000 * x, 1000 * sigma) / 1000, y, **close)
    torch.testing.assert_close(FiniteSet(points + shift, D)(x + shift, sigma) - shift, y, **close)
    torch.testing.assert_close(FiniteSet(points.flip(0), D)(x, sigma), y, **close)
    assert bool((y <= points.amax(0) + 1e-12).all() and (y >= points.amin(0) - 1e-12).all())


@pytest.mark.parametrize("D", [0.5, 3.0, math.inf])
def test_weights_count_points(D: float) -> None:
    points, x = randn(3, 2), randn(6, 2, seed=1)
    repeated = FiniteSet(points[[0, 0, 0, 1, 2, 2]], D)(x, full(x, 1.0))
    weighted = FiniteSet(points, D, torch.tensor([3.0, 1.0, 2.0]) / 6)(x, full(x, 1.0))
    torch.testing.assert_close(weighted, repeated, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("D", [0.5, 3.0, math.inf])
def test_n_is_the_number_of_free_coordinates(D: float) -> None:
    points, x = randn(5, 2, 3), randn(4, 2, 3, seed=1)
    mask = torch.zeros_like(x)
    mask[:, 0] = 1
    masked = FiniteSet(points, D)(x * mask, full(x, 0.9), mask=mask)
    alone = FiniteSet(points[:, 0], D)(x[:, 0], full(x, 0.9))
    assert bool((masked[:, 1] == 0).all())
    torch.testing.assert_close(masked[:, 0], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("N, k, D", [(5, 2, 1.0), (40, 3, 0.5), (3, 1, 64.0)])
def test_the_subspace_rule(N: int, k: int, D: float) -> None:
    points, x, sigma = randn(6, k), randn(5, N, seed=1), 0.7
    basis = torch.linalg.qr(randn(N, N, seed=2))[0]
    y = FiniteSet(points @ basis[:k], D)(x @ basis, full(x, sigma)) @ basis.T
    assert float(y[:, k:].abs().max()) < 1e-12
    D2 = D + N - k
    level = ((D * sigma**2 + x[:, k:].square().sum(1)) / D2).sqrt()
    torch.testing.assert_close(y[:, :k], FiniteSet(points, D2)(x[:, :k], level), rtol=0, atol=1e-12)


def test_the_softmax_is_the_limit_of_large_d_with_an_error_of_1_over_d() -> None:
    points, x = randn(5, 4), randn(6, 4, seed=1)
    dimensions = [1e3, 1e4, 1e5, 1e6]
    limit = FiniteSet(points)(x, full(x, 0.8))
    errors = [float((FiniteSet(points, D)(x, full(x, 0.8)) - limit).norm()) for D in dimensions]
    slopes = np.diff(np.log(errors)) / np.diff(np.log(dimensions))
    np.testing.assert_allclose(slopes, -1, atol=0.02)
    w = torch.softmax(-torch.cdist(x, points).square() / (2 * 0.8**2), dim=1)
    torch.testing.assert_close(limit, w @ points, rtol=1e-12, atol=1e-12)


def test_the_check_value_of_gaussian_data() -> None:
    x = torch.tensor([[0.5, -1.0, 2.0]], dtype=F64)
    y = Gaussian(1.0, 2.0)(x, full(x, 0.6))
    torch.testing.assert_close(y, torch.tensor([[0.31822, -0.63645, 1.27289]], dtype=F64), rtol=0, atol=1e-5)


def gaussian_by_quad(std: np.ndarray, x: np.ndarray, sigma: float, D: float) -> np.ndarray:
    """E[y | x] with scipy's adaptive quadrature over kappa itself, cut at the mode."""

    def log_density(kappa: float) -> float:
        v = std**2 + sigma**2 / kappa
        return (D / 2 - 1) * math.log(kappa) - D * kappa / 2 - 0.5 * float(np.sum(np.log(v) + x**2 / v))

    grid = np.geomspace(1e-12, 1e2, 4000)
    logs = np.array([log_density(k) for k in grid])
    top, carry = logs.max(), grid[logs + np.log(grid) > (logs + np.log(grid)).max() - 60]
    mode = grid[(logs + np.log(grid)).argmax()]

    def integral(weight: np.ndarray) -> np.ndarray:
        def integrand(kappa: float, i: int) -> float:
            s2 = std[i] ** 2
            return math.exp(log_density(kappa) - top) * (s2 / (s2 + sigma**2 / kappa) if weight[i] else 1.0)

        cuts = (carry[0], mode, carry[-1])
        return np.array([
            sum(
                quad(integrand, a, b, args=(i,), epsabs=0, epsrel=1e-11, limit=500)[0]
                for a, b in pairwise(cuts)
            )
            for i in range(len(std))
        ])  # fmt: skip

    return x * integral(np.ones(len(std))) / integral(np.zeros(len(std)))


@pytest.mark.parametrize("std", [[1.0, 1.0, 1.0], [2.0, 0.1, 0.7], [1.0, 1.0, 0.0]])
@pytest.mark.parametrize("D, sigma", [(1.5, 0.6), (3.0, 4.0), (64.0, 0.05)])
def test_gaussian_data_agree_with_scipys_quadrature(std: list[float], D: float, sigma: float) -> None:
    x = torch.tensor([[0.5, -1.0, 2.0]], dtype=F64)
    expected = gaussian_by_quad(np.array(std), x[0].numpy(), sigma, D)
    y = Gaussian(torch.tensor(std, dtype=F64), D)(x, full(x, sigma))[0].numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("D", [0.1, 1.0, 2048.0, 1e7])
def test_the_quadrature_has_converged(D: float) -> None:
    N = 64
    std = torch.logspace(0.3, -1.7, N, dtype=F64)
    x = StudentT(max(D, 0.5)).perturb(randn(5, N) * std, 1.0, generator=gen(1))
    coarse, fine = (Gaussian(std, D, nodes=n)(x, full(x, 1.0)) for n in (256, 2048))
    assert float((coarse - fine).abs().max()) < 1e-10


def test_gaussian_data_at_infinite_d_are_shrunk_linearly() -> None:
    std, x = torch.tensor([2.0, 0.5], dtype=F64), randn(4, 2)
    expected = x * std**2 / (std**2 + 0.49)
    torch.testing.assert_close(Gaussian(std)(x, full(x, 0.7)), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(Gaussian(std, 1e9)(x, full(x, 0.7)), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("D", [1.0, 5.0])
def test_gaussian_data_on_a_subspace_follow_the_subspace_rule(D: float) -> None:
    x, sigma = randn(4, 6), 0.8
    y = Gaussian(torch.tensor([1.3, 1.3, 0, 0, 0, 0], dtype=F64), D)(x, full(x, sigma))
    assert bool((y[:, 2:] == 0).all())
    level = ((D * sigma**2 + x[:, 2:].square().sum(1)) / (D + 4)).sqrt()
    torch.testing.assert_close(y[:, :2], Gaussian(1.3, D + 4)(x[:, :2], level), rtol=1e-11, atol=0)


@pytest.mark.parametrize("D", [1.0, 5.0, math.inf])
def test_gaussian_data_with_a_mask_are_those_of_the_free_coordinates(D: float) -> None:
    std = torch.tensor([[1.0, 2.0, 0.3], [0.5, 1.0, 1.0]], dtype=F64)
    x, mask = randn(4, 2, 3), torch.tensor([[1.0, 1, 0], [0, 1, 0]]).expand(4, 2, 3)
    y = Gaussian(std, D)(x * mask, full(x, 0.8), mask=mask)
    free = mask[0].bool()
    assert bool((y[:, ~free] == 0).all())
    torch.testing.assert_close(y[:, free], Gaussian(std[free], D)(x[:, free], full(x, 0.8)), rtol=1e-11, atol=0)


@pytest.mark.parametrize("D", [3.0, 30.0])
def test_many_points_of_a_gaussian_tend_to_it(D: float) -> None:
    points, x = randn(20000, 2), randn(6, 2, seed=1)
    sampled, exact = FiniteSet(points, D)(x, full(x, 1.0)), Gaussian(1.0, D)(x, full(x, 1.0))
    # A weighted mean of 20000 points has a standard error below 0.01; 5 of them fail by luck once in 1e5 seeds.
    assert float((sampled - exact).abs().max()) < 0.05


@pytest.mark.parametrize("denoiser", [FiniteSet(randn(3, 2), 2.0), Gaussian(1.0, 2.0)])
def test_the_dtype_is_that_of_x(denoiser: FiniteSet | Gaussian) -> None:
    x = randn(4, 2).float()
    y = denoiser(x, torch.full((4,), 0.5))
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), denoiser(x.double(), full(x, 0.5)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("N, D", [(3, 0.5), (64, 128.0)])
def test_radius_moments_agree_with_scipy(N: int, D: float) -> None:
    mean, variance = radius_moments(N, D)
    assert mean == pytest.approx(psi(N / 2) - psi(D / 2), rel=1e-9)
    assert variance == pytest.approx(polygamma(1, N / 2) + polygamma(1, D / 2), rel=1e-9)


@pytest.mark.parametrize("D", [0.5, 3.0])
def test_the_smoothed_density_is_the_derivative_of_the_quantile_function(D: float) -> None:
    points, x, sigma = (
        torch.tensor([[-1.0], [0.3], [2.0]], dtype=F64),
        torch.linspace(-4, 4, 9, dtype=F64)[:, None],
        0.7,
    )
    density = stats.t(D).pdf((x - points.T).numpy() / sigma).mean(1) / sigma
    np.testing.assert_allclose(smoothed_log_density(points, x, sigma, D).exp().numpy(), density, rtol=1e-9)


@pytest.mark.parametrize("N, D", [(2, math.inf), (3, 1.0), (20, 0.5)])
def test_the_denoiser_follows_from_the_gradient_of_the_density(N: int, D: float) -> None:
    points, x, sigma = randn(5, N), randn(4, N, seed=1).requires_grad_(), 0.9
    if math.isinf(D):
        log_phi, S = smoothed_log_density(points, x, sigma, D), torch.full((4,), sigma**2, dtype=F64)
    else:  # x - Den = -S grad log phi_{N+D-2}, derived from the kernel of docs/physics.md, section 1
        r2, k = D * sigma**2, N + D - 2
        squared = (x[:, None] - points).square().sum(2) + r2
        log_phi = torch.logsumexp(-k / 2 * squared.log(), dim=1)
        w = torch.softmax(FiniteSet(points, D).log_weights(x, full(x, sigma)), dim=1)
        S = (w * squared).sum(1).detach() / k
    (gradient,) = torch.autograd.grad(log_phi.sum(), x)
    x = x.detach()
    torch.testing.assert_close(FiniteSet(points, D)(x, full(x, sigma)), x + S[:, None] * gradient, rtol=0, atol=1e-11)


def test_the_kernel_of_one_point_is_the_density_of_physics() -> None:
    N, D, sigma = 4, 3.0, 0.6
    x = randn(5, N)
    expected = (
        gammaln((D + N) / 2) - gammaln(D / 2) - N / 2 * math.log(D * math.pi) - N * math.log(sigma)
        - (D + N) / 2 * np.log1p(x.square().sum(1).numpy() / (D * sigma**2))
    )  # fmt: skip
    np.testing.assert_allclose(
        smoothed_log_density(torch.zeros(1, N, dtype=F64), x, sigma, D).numpy(), expected, rtol=1e-12
    )


@pytest.mark.parametrize("D", [0.5, 3.0, 30.0, math.inf])
def test_a_mixture_of_one_is_gaussian(D: float) -> None:
    x, shift = 2 * randn(6, 4), torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=F64)
    sigma = torch.logspace(-1, 1, 6, dtype=F64)
    one = Mixture(shift[None], torch.tensor([0.7], dtype=F64), D, nodes=256)(x + shift, sigma)
    torch.testing.assert_close(one, Gaussian(0.7, D)(x, sigma) + shift, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("D", [0.5, 3.0, 30.0, math.inf])
def test_a_mixture_of_points_is_a_finite_set(D: float) -> None:
    points, weights = randn(5, 3), torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=F64)
    x, sigma = 2 * randn(6, 3, seed=1), torch.logspace(-1, 1, 6, dtype=F64)
    found = Mixture(points, torch.zeros(5, dtype=F64), D, weights, nodes=256)(x, sigma)
    torch.testing.assert_close(found, FiniteSet(points, D, weights)(x, sigma), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("D", [2.0, 16.0, 128.0])
def test_few_nodes_are_enough_for_a_mixture(D: float) -> None:
    means, std = 2 * randn(5, 8), torch.tensor([0.1, 0.3, 0.5, 1.0, 0.2], dtype=F64)
    x, sigma = 3 * randn(20, 8, seed=1), torch.logspace(-2, 2, 20, dtype=F64)
    few, many = (Mixture(means, std, D, nodes=nodes)(x, sigma) for nodes in (64, 1024))
    torch.testing.assert_close(few, many, rtol=1e-4, atol=1e-5)


def test_kappa_drawn_from_a_mixture_is_that_of_its_points() -> None:
    """Kolmogorov-Smirnov against draws by another way; fails by luck in one of 10,000 seeds."""
    points, x = randn(4, 3), randn(1, 3, seed=1).expand(4000, 3)
    sigma = full(x, 0.8)
    ours = Mixture(points, torch.zeros(4, dtype=F64), 2.0, nodes=256).draw_log_kappa(x, sigma, None, gen(2))
    theirs = FiniteSet(points, 2.0).draw_log_kappa(x, sigma, None, gen(3))
    assert stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 1e-4
