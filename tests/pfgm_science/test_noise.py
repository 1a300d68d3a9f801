from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import gammaln, polygamma, psi
from torch import Tensor

from pfgm_science.errors import ConfigError
from pfgm_science.noise import StudentT, generators, normal

F64 = torch.float64
DIMENSIONS = [0.5, 1, 2, 64, 2048, 3072000, math.inf]

# Statistical tests have fixed seeds. Their thresholds are those that a correct kernel passes with the stated chance:
# p > 1e-6 in a Kolmogorov-Smirnov test fails by luck once in 1e6 seeds, 5 standard errors about once in 2e6.
LUCK = 1e-6
ERRORS = 5.0


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares(x: Tensor) -> Tensor:
    return x.double().flatten(1).square().sum(1)


def log_radius_moments(N: int, D: float) -> tuple[float, float, float]:
    """Mean, variance and fourth cumulant of log(R^2 / sigma^2), which is D chi2_N / chi2_D, and chi2_N at D = inf."""
    mean, variance, fourth = psi(N / 2) + math.log(2), polygamma(1, N / 2), polygamma(3, N / 2)
    if math.isfinite(D):
        mean += math.log(D / 2) - psi(D / 2)
        variance += polygamma(1, D / 2)
        fourth += polygamma(3, D / 2)
    return float(mean), float(variance), float(fourth)


def check_log_radius(log_q: Tensor, N: int, D: float) -> None:
    mean, variance, fourth = log_radius_moments(N, D)
    count = len(log_q)
    assert abs(float(log_q.mean()) - mean) < ERRORS * math.sqrt(variance / count)
    assert abs(float(log_q.var()) - variance) < ERRORS * math.sqrt((fourth + 2 * variance**2) / count)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("D", DIMENSIONS)
@pytest.mark.parametrize("N", [1, 2, 64, 3072])
def test_a_coordinate_is_student_t_and_the_radius_has_the_right_log_moments(
    N: int, D: float, dtype: torch.dtype
) -> None:
    sigma, count = 0.7, 1000 if N == 3072 else 10000
    x = StudentT(D).draw((count, N), sigma, generator=gen(N), dtype=dtype)
    assert x.dtype == dtype and bool(torch.isfinite(x).all())
    law = stats.norm(scale=sigma) if math.isinf(D) else stats.t(D, scale=sigma)
    assert stats.kstest(x[:, N // 2].double().numpy(), law.cdf).pvalue > LUCK
    check_log_radius(torch.log(squares(x) / sigma**2), N, D)


@pytest.mark.parametrize("N", [1, 7])
def test_the_mean_squared_radius_is_n_over_d_minus_2(N: int) -> None:
    # D = 12: the square has finite variance, so that 5 standard errors fail by luck about once in 2e6 seeds.
    D, sigma, count = 12.0, 2.0, 50000
    q = squares(StudentT(D).draw((count, N), sigma, generator=gen(3), dtype=F64)) / (sigma**2 * D)
    assert abs(float(q.mean()) - N / (D - 2)) < ERRORS * float(q.std()) / math.sqrt(count)


@pytest.mark.parametrize("D", [0.01, 0.1])
def test_small_d_has_a_finite_log_kappa_with_the_right_moments(D: float) -> None:
    count = 40000
    log_kappa = StudentT(D).log_kappa(count, generator=gen(1))
    assert log_kappa.dtype == F64 and bool(torch.isfinite(log_kappa).all())
    mean, variance, fourth = psi(D / 2) - math.log(D / 2), polygamma(1, D / 2), polygamma(3, D / 2)
    assert abs(float(log_kappa.mean()) - mean) < ERRORS * math.sqrt(variance / count)
    assert abs(float(log_kappa.var()) - variance) < ERRORS * math.sqrt((fourth + 2 * variance**2) / count)


@pytest.mark.parametrize("D", [0.5, 1.0, 64.0])
def test_a_draw_is_sigma_z_over_the_root_of_kappa(D: float) -> None:
    x = StudentT(D).draw((50, 4), 1.5, generator=gen(), dtype=F64)
    stream = gen()
    z = normal((50, 4), stream, F64)
    kappa = StudentT(D).log_kappa(50, generator=stream).exp()
    torch.testing.assert_close(x, 1.5 * z / kappa.sqrt()[:, None], rtol=1e-12, atol=0)


@pytest.mark.parametrize("D", [0.5, 3.0, 64.0])
def test_a_masked_draw_has_one_kappa_a_sample_and_is_zero_elsewhere(D: float) -> None:
    mask = torch.zeros(50, 6, 4)
    mask[:, :2, :3] = 1
    x = StudentT(D).draw(mask.shape, 1.5, mask=mask, generator=gen(), dtype=F64)
    z = normal(mask.shape, gen(), F64) * 1.5
    assert bool((x[mask == 0] == 0).all())
    scale = (x / z)[:, :2, :3].flatten(1)
    assert torch.allclose(scale, scale[:, :1].expand_as(scale), rtol=1e-12, atol=0)
    assert len(torch.unique(scale[:, 0])) == 50


@pytest.mark.parametrize("D", [0.5, 1.0, 3.0, 64.0])
@pytest.mark.parametrize("how", ["masked", "part"])
def test_masked_draws_and_parts_of_a_draw_keep_the_law(how: str, D: float) -> None:
    count, free = 20000, 3
    mask = torch.zeros(count, 20)
    mask[:, 5 : 5 + free] = 1
    x = StudentT(D).draw((count, 20), 2.0, mask=mask if how == "masked" else None, generator=gen(5), dtype=F64)
    part = x[:, 5 : 5 + free]
    q = squares(part) / (4 * free)
    assert stats.kstest(q.numpy(), stats.f(free, D).cdf).pvalue > LUCK
    assert stats.kstest(part[:, 1].numpy(), stats.t(D, scale=2).cdf).pvalue > LUCK
    check_log_radius(torch.log(q * free), free, D)


def test_n_counts_the_free_coordinates_alone() -> None:
    # D is as good as infinite for one free coordinate and not for 100: the same D, another mask.
    mask = torch.zeros(2, 100)
    mask[0, 0] = 1
    mask[1] = 1
    D = 5e6
    x = StudentT(D).draw((2, 100), 1.0, mask=mask, generator=gen(), dtype=F64)
    z = normal((2, 100), gen(), F64)
    assert x[0, 0] == z[0, 0]
    assert bool((x[1] != z[1]).all()) and torch.allclose(x[1], z[1], rtol=5 * math.sqrt(2 / D))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(D=st.floats(0.3, 1e7) | st.just(math.inf), sigma=st.floats(1e-4, 1e3), seed=st.integers(0, 99))
def test_noise_is_proportional_to_sigma(D: float, sigma: float, seed: int) -> None:
    one, thousand, power = (
        StudentT(D).draw((5, 3), sigma * c, generator=gen(seed), dtype=F64) for c in (1, 1000, 1024)
    )
    torch.testing.assert_close(thousand, 1000 * one, rtol=1e-15, atol=0)
    assert torch.equal(power, 1024 * one)


def test_very_large_d_is_infinite_d_on_shared_z() -> None:
    draws = [StudentT(D).draw((100, 8), 3.0, generator=gen(), dtype=F64) for D in (math.inf, 1e12)]
    assert torch.equal(*draws)
    # Below the switch to the Gaussian the difference is kappa's own spread, sqrt(2 / D), here at most 6 of it.
    near = StudentT(7e6).draw((100, 8), 3.0, generator=gen(), dtype=F64)
    assert torch.allclose(near, draws[0], rtol=3 * math.sqrt(2 / 7e6), atol=0) and not torch.equal(near, draws[0])


def test_one_d_per_sample_equals_draws_at_each_d() -> None:
    D = torch.tensor([0.5, math.inf, 1.0, 64.0, 1e12])
    together = StudentT(D).draw((5, 7), 1.0, generator=generators(range(5)), dtype=F64)
    for i, seed in enumerate(range(5)):
        alone = StudentT(float(D[i])).draw((1, 7), 1.0, generator=generators([seed]), dtype=F64)
        assert torch.equal(together[i : i + 1], alone)


def test_sigma_per_sample_equals_draws_at_each_sigma() -> None:
    sigma = torch.tensor([0.1, 1.0, 80.0], dtype=F64)
    together = StudentT(2.0).draw((3, 7), sigma, generator=generators([4, 5, 6]), dtype=F64)
    for i in range(3):
        alone = StudentT(2.0).draw((1, 7), float(sigma[i]), generator=generators([4 + i]), dtype=F64)
        assert torch.equal(together[i : i + 1], alone)


@pytest.mark.parametrize("D", [0.5, 64.0, math.inf])
def test_a_sample_depends_on_its_seed_and_not_on_its_batch(D: float) -> None:
    noise = StudentT(D)
    together = noise.prior((4, 2, 3), 80.0, generator=generators([7, 8, 9, 10]))
    alone = noise.prior((1, 2, 3), 80.0, generator=generators([9]))
    reverse = noise.prior((2, 2, 3), 80.0, generator=generators([10, 9]))
    assert torch.equal(together[2:3], alone) and torch.equal(reverse[1:], alone)


def test_the_number_of_generators_must_fit() -> None:
    with pytest.raises(ValueError, match="2 generators for 3 samples"):
        StudentT(1.0).draw((3, 2), 1.0, generator=generators([1, 2]))


def test_an_empty_batch_is_empty() -> None:
    assert StudentT(1.0).draw((0, 4), 1.0, generator=gen()).shape == (0, 4)
    assert StudentT(1.0).draw((0, 4), 1.0, generator=[]).shape == (0, 4)


@pytest.mark.parametrize("D", [0.5, 64.0, math.inf])
def test_the_prior_is_the_training_kernel_at_sigma_max(D: float) -> None:
    noise, y = StudentT(D), torch.zeros(20000, 5, dtype=F64)
    prior = noise.prior(y.shape, 80.0, generator=gen(2), dtype=F64)
    assert torch.equal(noise.perturb(y, 80.0, generator=gen(2)), prior)
    check_log_radius(torch.log(squares(prior) / 80.0**2), 5, D)


def test_perturb_adds_the_noise_to_the_free_coordinates_of_y() -> None:
    y, mask = torch.randn(6, 4, generator=gen(1)), torch.ones(6, 4)
    mask[:, 2:] = 0
    sigma = torch.full((6,), 3.0)
    x = StudentT(3.0).perturb(y * mask, sigma, mask=mask, generator=gen())
    assert x.dtype == y.dtype and bool((x[:, 2:] == 0).all())
    assert torch.equal(x, y * mask + StudentT(3.0).draw(y.shape, sigma, mask=mask, generator=gen()))


@pytest.mark.parametrize("D", [0.0, -1.0, math.nan, -math.inf, torch.tensor([1.0, 0.0]), torch.ones(2, 2)])
def test_d_must_be_positive(D: float | Tensor) -> None:
    with pytest.raises(ConfigError, match="must be > 0"):
        StudentT(D)


@pytest.mark.parametrize("N", [1, 2, 30])
@pytest.mark.parametrize("D", [0.5, 1.0, 3.0, 999.0, 2001.0, 1e6])
def test_log_prob_is_that_of_scipy(N: int, D: float) -> None:
    x, center = (torch.randn(8, N, generator=gen(s), dtype=F64) * 3 for s in (0, 1))
    expected = stats.multivariate_t(np.zeros(N), 0.7**2 * np.eye(N), df=D).logpdf((x - center).numpy())
    log_p = StudentT(D).log_prob(x, 0.7, center=center)
    assert log_p.shape == (8,) and log_p.dtype == F64
    # scipy takes the difference of two lgamma, which costs it digits in proportion to D.
    np.testing.assert_allclose(log_p.numpy(), np.atleast_1d(expected), rtol=0, atol=1e-14 * max(D, 1e4))


def test_log_prob_at_infinite_and_at_huge_d() -> None:
    N, sigma = 30, 0.7
    x = torch.randn(8, N, generator=gen(0), dtype=F64)
    gaussian = stats.multivariate_normal(np.zeros(N), sigma**2 * np.eye(N)).logpdf(x.numpy())
    np.testing.assert_allclose(StudentT(math.inf).log_prob(x, sigma).numpy(), gaussian, rtol=1e-12)
    for D in (1e12, 1e15, 1e18):
        np.testing.assert_allclose(StudentT(D).log_prob(x, sigma).numpy(), gaussian, rtol=1e-8)
    D = 1e9  # the difference to the Gaussian, to first order in 1/D
    q = squares(x).numpy() / sigma**2
    first = (N * (N - 2) + q**2 - 2 * N * q) / (4 * D)
    np.testing.assert_allclose(StudentT(D).log_prob(x, sigma).numpy() - gaussian, first, atol=1e-11)


def test_log_prob_of_many_coordinates_keeps_its_precision() -> None:
    N, D = 3072, 1.0
    x = torch.full((1, N), 2.0, dtype=F64)
    expected = (
        gammaln((N + D) / 2) - gammaln(D / 2) - N / 2 * math.log(D * math.pi) - (N + D) / 2 * math.log1p(4 * N / D)
    )
    assert float(StudentT(D).log_prob(x, 1.0)) == pytest.approx(expected, rel=1e-13)


def test_log_prob_takes_one_d_and_one_sigma_per_sample() -> None:
    x = torch.randn(3, 4, generator=gen(), dtype=F64)
    D, sigma = torch.tensor([0.5, 7.0, math.inf]), torch.tensor([0.1, 1.0, 9.0])
    together = StudentT(D).log_prob(x, sigma)
    alone = [StudentT(float(D[i])).log_prob(x[i : i + 1], float(sigma[i])) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-14, atol=0)


@pytest.mark.parametrize("D", [0.5, 5.0, math.inf])
def test_log_prob_of_masked_values_is_that_of_the_free_ones(D: float) -> None:
    x = torch.randn(5, 6, generator=gen(), dtype=F64)
    mask = torch.tensor([1, 0, 1, 1, 0, 0]).expand(5, 6)
    free = StudentT(D).log_prob(x[:, [0, 2, 3]], 2.0)
    torch.testing.assert_close(StudentT(D).log_prob(x, 2.0, mask=mask), free, rtol=1e-14, atol=0)


@pytest.mark.parametrize("N", [1, 2, 3])
@pytest.mark.parametrize("D", [1.0, 4.0, math.inf])
def test_the_density_integrates_to_one(N: int, D: float) -> None:
    surface = 2 * math.pi ** (N / 2) / math.gamma(N / 2)

    def shell(log_radius: float) -> float:
        radius = math.exp(log_radius)
        x = torch.zeros(1, N, dtype=F64)
        x[0, 0] = radius
        return surface * radius**N * math.exp(float(StudentT(D).log_prob(x, 0.7)))

    total, _ = quad(shell, -12, 25, limit=200, points=[-1, 0, 2])
    assert total == pytest.approx(1, abs=2e-5)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(D=st.floats(0.1, 1e9) | st.just(math.inf), c=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_log_prob_follows_the_units(D: float, c: float, seed: int) -> None:
    x = torch.randn(2, 5, generator=gen(seed), dtype=F64)
    scaled = StudentT(D).log_prob(c * x, c * 0.3) + 5 * math.log(c)
    torch.testing.assert_close(scaled, StudentT(D).log_prob(x, 0.3), rtol=1e-11, atol=1e-10)


def test_the_posterior_of_kappa_is_the_gamma_of_bayes_rule() -> None:
    N, D, sigma, squared = 3, 2.5, 0.6, torch.tensor([0.0, 0.4, 30.0], dtype=F64)
    shape, rate = StudentT(D).kappa_posterior(squared, sigma, N)
    kappa = np.geomspace(1e-3, 20, 50)
    for i, d2 in enumerate(squared.tolist()):
        log_joint = stats.gamma(D / 2, scale=2 / D).logpdf(kappa) + N / 2 * np.log(kappa) - kappa * d2 / (2 * sigma**2)
        log_gamma = stats.gamma(float(shape[i]), scale=1 / float(rate[i])).logpdf(kappa)
        assert np.ptp(log_joint - log_gamma) < 1e-10
    with pytest.raises(ConfigError, match="no posterior"):
        StudentT(math.inf).kappa_posterior(squared, sigma, N)


@pytest.mark.parametrize("N, D", [(1, 0.5), (3, 3.0), (64, 8.0)])
def test_kappa_and_x_are_consistent_with_the_posterior(N: int, D: float) -> None:
    count, sigma = 20000, 1.3
    x = StudentT(D).draw((count, N), sigma, generator=gen(4), dtype=F64)
    kappa = (sigma * normal((count, N), gen(4), F64)[:, 0] / x[:, 0]).square()
    squared = squares(x)
    shape, rate = StudentT(D).kappa_posterior(squared, sigma, N)
    again = StudentT(D).posterior_log_kappa(squared, sigma, N, generator=gen(8)).exp()
    near = (squared < squared.median()).numpy()
    for draw in (kappa, again):
        integral = stats.gamma(shape.numpy(), scale=1 / rate.numpy()).cdf(draw.numpy())
        for part in (near, ~near):
            assert stats.kstest(integral[part], "uniform").pvalue > LUCK
    # A draw from the posterior given a draw of x is a draw of the prior.
    assert stats.kstest(again.numpy(), stats.gamma(D / 2, scale=2 / D).cdf).pvalue > LUCK


def test_posterior_draws_know_infinite_d() -> None:
    noise = StudentT(torch.tensor([math.inf, 2.0]))
    log_kappa = noise.posterior_log_kappa(torch.tensor([1.0, 1.0]), 1.0, 3, generator=generators([0, 1]))
    assert log_kappa[0] == 0 and log_kappa[1] != 0
