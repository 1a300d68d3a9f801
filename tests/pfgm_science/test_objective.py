from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pfgm_science.batch import Batch, Condition
from pfgm_science.exact import FiniteSet
from pfgm_science.noise import StudentT
from pfgm_science.objective import denoising_loss

F64 = torch.float64


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def zero(x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None) -> Tensor:
    return torch.zeros_like(x)


def test_the_loss_is_the_weighted_mean_square_per_sample() -> None:
    y, sigma = torch.randn(4, 3, 2, generator=gen(), dtype=F64), torch.ones(4, dtype=F64)
    weight = torch.tensor([0.1, 1, 5, 80], dtype=F64)
    loss = denoising_loss(zero, Batch(y), y, sigma, weight)
    torch.testing.assert_close(loss, weight * y.square().mean((1, 2)), rtol=1e-14, atol=0)


@pytest.mark.parametrize("D", [0.5, 3.0, math.inf])
def test_the_exact_denoiser_is_the_minimum(D: float) -> None:
    points = torch.tensor([[-1.0, 0.5], [1.0, 0.0], [0.5, 2.0]], dtype=F64)
    count, exact = 40000, FiniteSet(points, D)
    y = points[torch.randint(3, (count,), generator=gen(1))]
    sigma = torch.full((count,), 0.8, dtype=F64)
    x = StudentT(D).perturb(y, sigma, generator=gen(2))

    # The derivative of the mean loss vanishes in every direction; each fails by luck once in 2e6 seeds.
    directions = (torch.ones_like(x), torch.tanh(x), torch.sin(3 * x).flip(1), exact(x, sigma))
    for direction in directions:
        slope = ((exact(x, sigma) - y) * direction).sum(1)
        assert abs(float(slope.mean())) < 5 * float(slope.std()) / math.sqrt(count)

    best = float(denoising_loss(exact, Batch(y), x, sigma, torch.ones_like(sigma)).mean())
    for other in (zero, FiniteSet(points * 1.2, D), FiniteSet(points, 64.0)):
        assert best < float(denoising_loss(other, Batch(y), x, sigma, torch.ones_like(sigma)).mean())


def test_padding_does_not_change_the_loss() -> None:
    y, points = (torch.randn(n, 3, generator=gen(n), dtype=F64) for n in (5, 4))
    x, sigma = StudentT(2.0).perturb(y, 0.7, generator=gen()), torch.full((5,), 0.7, dtype=F64)
    plain = denoising_loss(FiniteSet(points, 2.0), Batch(y), x, sigma, torch.full_like(sigma, 0.5))

    def pad(t: Tensor, value: float) -> Tensor:
        return torch.nn.functional.pad(t, (0, 4), value=value)

    batch = Batch(pad(y, 9.0), pad(torch.ones_like(y), 0.0))
    padded = denoising_loss(FiniteSet(pad(points, 0.0), 2.0), batch, pad(x, 0.0), sigma, torch.full_like(sigma, 0.5))
    torch.testing.assert_close(padded, plain, rtol=1e-12, atol=0)


def test_the_condition_reaches_the_denoiser() -> None:
    label = torch.tensor([0.0, 1.0])

    def by_label(x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None) -> Tensor:
        assert condition is not None
        return condition["label"][:, None].to(x).expand_as(x)

    batch = Batch(torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=F64), condition={"label": label})
    assert bool((denoising_loss(by_label, batch, batch.values, torch.ones(2, dtype=F64), torch.ones(2)) == 0).all())
