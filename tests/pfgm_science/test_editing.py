"""Variations and what lies between: against the closed form of Gaussian data, and the law of the prior."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from modalities.vectors.adapter import Vectors
from pfgm_science.editing import interpolate, mixed, vary
from pfgm_science.errors import ConfigError
from pfgm_science.model import Model, fit
from pfgm_science.noise import StudentT

F64 = torch.float64
TINY: dict[str, Any] = {"steps": 1, "batch_size": 8, "network": {"width": 8, "depth": 1, "embedding": 8}}
ROWS = np.random.default_rng(0).standard_normal((4000, 2)) * [1, 10] + [0, 5]


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def gaussian() -> Model:
    """The exact denoiser of N(0, sigma_data^2) at D = inf: that of a network whose answer is 0."""
    model = fit(Vectors(), ROWS, dimension=math.inf, **TINY)
    with torch.no_grad():
        for parameter in model.denoiser.parameters():
            parameter.zero_()
    return model


def drawn(D: float, count: int, seed: int) -> torch.Tensor:
    return StudentT(D).prior((count, 5), 80.0, generator=gen(seed), dtype=F64)


@pytest.mark.parametrize("N, D", [(4096, 512.0), (64, 3.0), (4096, 64.0)])
@pytest.mark.parametrize("size", [1e-2, 0.3, 0.7, 1.0, 1.4, 3.0, 10.0])
def test_what_lies_far_out_comes_back(N: int, D: float, size: float) -> None:
    """The latent of a real object may be one that no draw of the prior has: far out, or far in."""
    a, b = (
        80 * size * torch.randn(4, N, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in (1, 2)
    )
    torch.testing.assert_close(mixed(a, b, 0.0, D=D, sigma=80.0), a, rtol=1e-5, atol=0)
    assert bool(mixed(a, b, 0.5, D=D, sigma=80.0).isfinite().all())


@pytest.mark.parametrize("D", [0.5, 1.0, 8.0, math.inf])
def test_the_way_between_draws_of_the_prior_starts_and_ends_at_them(D: float) -> None:
    a, b = drawn(D, 50, 1), drawn(D, 50, 2)
    torch.testing.assert_close(mixed(a, b, 0.0, D=D, sigma=80.0), a, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(mixed(a, b, 1.0, D=D, sigma=80.0), b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("D", [1.0, 8.0, math.inf])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_what_lies_between_has_the_law_of_the_prior(D: float, share: float) -> None:
    """Kolmogorov-Smirnov on norms and on a coordinate: fails by luck in one of 5,000 seeds."""
    middle = mixed(drawn(D, 5000, 1), drawn(D, 5000, 2), share, D=D, sigma=80.0) / 80
    squared = middle.square().sum(1).numpy()
    law = stats.chi2(5) if math.isinf(D) else stats.f(5, D, scale=5)
    assert stats.kstest(squared, law.cdf).pvalue > 1e-4
    coordinate = stats.norm() if math.isinf(D) else stats.t(D)
    assert stats.kstest(middle[:, 2].numpy(), coordinate.cdf).pvalue > 1e-4


def test_padding_counts_for_nothing_between() -> None:
    a, b = drawn(3.0, 6, 1), drawn(3.0, 6, 2)
    mask = torch.ones(6, 5, dtype=F64)
    mask[:, 3:] = 0
    padded = mixed(a * mask, b * mask, 0.4, D=3.0, sigma=80.0, mask=mask)
    torch.testing.assert_close(padded[:, :3], mixed(a[:, :3], b[:, :3], 0.4, D=3.0, sigma=80.0))
    assert bool((padded[:, 3:] == 0).all())


def test_between_gaussian_data_is_a_rotation(gaussian: Model) -> None:
    """The flow of Gaussian data scales, so that the way is cos a + sin b."""
    first, second = ROWS[:3], ROWS[3:6]
    found = interpolate(gaussian, first, second, 5, evaluations=199)
    a, b = (gaussian.adapter.encode(each).values.double() for each in (first, second))
    angles = torch.linspace(0, math.pi / 2, 5, dtype=F64)[:, None]
    expected = torch.cat([angles.cos() * one + angles.sin() * other for one, other in zip(a, b, strict=True)])
    torch.testing.assert_close(gaussian.adapter.encode(found).values.double(), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("level", [0.1, 0.5, 10.0])
def test_variations_keep_the_law_and_as_much_of_the_object_as_they_should(gaussian: Model, level: float) -> None:
    """Noise s on data of size d: the variation is d (y + s n) / sqrt(d^2 + s^2); 4,000 rows, off by
    0.06 in one of 1e4 seeds.
    """
    values = gaussian.adapter.encode(ROWS).values.double()
    found = gaussian.adapter.encode(vary(gaussian, ROWS, level, evaluations=79)).values.double()
    correlation = float((values * found).mean() / values.square().mean())
    assert correlation == pytest.approx(0.5 / math.hypot(0.5, level), abs=0.06)
    assert stats.kstest(found[:, 0].numpy() / values[:, 0].std().item(), stats.norm.cdf).pvalue > 1e-4


def test_variations_differ_and_stand_together(gaussian: Model) -> None:
    found = vary(gaussian, ROWS[:2], 0.05, each=3, evaluations=9)
    assert found.shape == (6, 2) and len(np.unique(found[:, 0])) == 6
    assert np.abs((found[:3] - ROWS[0]) / [1, 10]).max() < 0.5
    assert np.abs((found[3:] - ROWS[1]) / [1, 10]).max() < 0.5
    np.testing.assert_array_equal(found, vary(gaussian, ROWS[:2], 0.05, each=3, evaluations=9, batch_size=2))
    assert not np.allclose(found, vary(gaussian, ROWS[:2], 0.05, each=3, evaluations=9, seed=1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: vary(m, ROWS[:2], 0.5, each=0), "at least 1"),
        (lambda m: vary(m, ROWS[:2], 200.0), "can start between the noise levels"),
        (lambda m: vary(m, ROWS[:2], 0.0), "can start between the noise levels"),
        (lambda m: vary(m, ROWS[:2], math.nan), "can start between the noise levels"),
        (lambda m: interpolate(m, ROWS[:2], ROWS[:2], 1), "at least 2"),
        (lambda m: interpolate(m, ROWS[:2], ROWS[:3]), "pairs are needed"),
        (lambda m: interpolate(m, ROWS[:2], ROWS[:2], solver="stochastic"), "the ends would not come back"),
    ],
)
def test_what_cannot_be_done_is_refused(gaussian: Model, call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(gaussian)
