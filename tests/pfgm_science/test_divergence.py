"""Divergences, also of denoisers that use gradients themselves, against central differences."""

from __future__ import annotations

import math

import pytest
import torch

from pfgm_science.denoiser import Denoiser, at_dimension
from pfgm_science.divergence import probes, with_curvatures, with_divergence
from pfgm_science.exact import FiniteSet, Gaussian
from pfgm_science.guidance import EnergyGuided, classifier_free

F64 = torch.float64
POINTS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
X = 1.5 * torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=F64)
SIGMA = torch.tensor([0.3, 0.7, 1.5, 4.0], dtype=F64)


def smooth(x: torch.Tensor, sigma: torch.Tensor, condition: object = None, mask: object = None) -> torch.Tensor:
    """Nobody's denoiser, with derivatives of every order."""
    return torch.sin(x.roll(1, 1)) + x / (1 + sigma[:, None] ** 2)


DENOISERS: dict[str, Denoiser] = {
    "points": FiniteSet(POINTS, 3.0),
    "fixed point": at_dimension(FiniteSet(POINTS), 3.0),
    "quadrature": at_dimension(smooth, 3.0, nodes=8),
    "guided": classifier_free(at_dimension(FiniteSet(POINTS), 3.0), 2.0),
    "energy": EnergyGuided(FiniteSet(POINTS, 3.0), lambda x, s: -x.square().sum(1).sqrt(), 3.0),
    "energy of the estimate": EnergyGuided(smooth, lambda y, s: torch.sin(y).sum(1), 3.0, at_estimate=True),
}


@pytest.mark.parametrize("name", DENOISERS)
def test_the_divergence_is_the_trace_of_the_jacobian(name: str) -> None:
    denoiser, h = DENOISERS[name], 1e-4
    denoised, found = with_divergence(denoiser, X, SIGMA)
    torch.testing.assert_close(denoised, denoiser(X, SIGMA), rtol=1e-12, atol=1e-12)
    expected = torch.zeros(4, dtype=F64)
    for i in range(3):
        step = torch.zeros(3, dtype=F64)
        step[i] = h
        expected += (denoiser(X + step, SIGMA) - denoiser(X - step, SIGMA))[:, i] / (2 * h)
    # The nodes of the quadrature move with x, by which its answer changes a little and its divergence does not.
    torch.testing.assert_close(found, expected, rtol=1e-2 if name == "quadrature" else 1e-5, atol=1e-6)
    assert not denoised.requires_grad and not found.requires_grad


def test_probes_are_exact_for_few_coordinates_and_random_signs_for_many() -> None:
    few, many = torch.zeros(1, 16, dtype=F64), torch.zeros(1, 17, dtype=F64)
    assert len(probes(few)) == 16 and len(probes(many)) == 1 and len(probes(many, 17)) == 17
    torch.testing.assert_close((probes(few)[:, :, None] * probes(few)[:, None]).mean(0), torch.eye(16, dtype=F64))
    signs = probes(many, 5, seed=3)
    assert signs.shape == (5, 17) and set(signs.flatten().tolist()) == {-1.0, 1.0}
    assert torch.equal(signs, probes(many, 5, seed=3)) and not torch.equal(signs, probes(many, 5, seed=4))


def test_the_spread_of_the_probes_surrounds_the_exact_divergence() -> None:
    """19 probes, of which 5 standard errors fail by luck once in 10,000 seeds and samples."""
    mixing, _ = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(2), dtype=F64))
    data = Gaussian(torch.linspace(0.1, 3, 20, dtype=F64))

    def turned(x: torch.Tensor, sigma: torch.Tensor, condition: object = None, mask: object = None) -> torch.Tensor:
        return data(x @ mixing, sigma) @ mixing.T

    x, sigma = torch.randn(3, 20, generator=torch.Generator().manual_seed(3), dtype=F64), torch.ones(3, dtype=F64)
    each = with_curvatures(turned, x, sigma, directions=probes(x, 19))[1]
    exact = with_divergence(turned, x, sigma, directions=probes(x, 20))[1]
    variance = data.std.square() if isinstance(data.std, torch.Tensor) else torch.tensor(data.std)
    torch.testing.assert_close(exact, (variance / (variance + 1)).sum().expand(3))
    error = each.std(0) / math.sqrt(len(each))
    assert bool(((each.mean(0) - exact).abs() < 5 * error).all())


def test_padding_does_not_count() -> None:
    mask = torch.tensor([1.0, 1.0, 0.0], dtype=F64).expand(4, 3)
    padded = with_divergence(FiniteSet(POINTS, 3.0), X * mask, SIGMA, mask=mask)[1]
    short = with_divergence(FiniteSet(POINTS[:, :2], 3.0), X[:, :2], SIGMA)[1]
    torch.testing.assert_close(padded, short)
