"""Guidance against the exact fields of two classes of points."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pfgm_science.batch import Condition
from pfgm_science.denoiser import at_dimension
from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, smoothed_log_density
from pfgm_science.guidance import EnergyGuided, Guided, Unconditional, autoguidance, classifier_free, score_factor
from pfgm_science.noise import StudentT
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras

F64 = torch.float64
POINTS = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0), dtype=F64)  # two classes of six points


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class ByClass:
    """The exact field of a class, or of all points where the class is -1; counts how often it is asked."""

    def __init__(self, D: float) -> None:
        self.fields = [FiniteSet(POINTS[0], D), FiniteSet(POINTS[1], D), FiniteSet(POINTS.flatten(0, 1), D)]
        self.asked = 0

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        self.asked += 1
        label = (condition or {}).get("label", torch.full((len(x),), -1))
        answers = torch.stack([field(x, sigma, None, mask) for field in self.fields])
        return answers[label, torch.arange(len(x))]


def noisy(D: float, sigma: float, count: int = 400) -> tuple[Tensor, Tensor]:
    y = POINTS[0][torch.randint(6, (count,), generator=gen(1))]
    return StudentT(D).perturb(y, sigma, generator=gen(2)), torch.full((count,), sigma, dtype=F64)


@pytest.mark.parametrize("D", [2.0, math.inf])
def test_classifier_free_guidance_is_linear_in_the_denoiser(D: float) -> None:
    denoiser = ByClass(D)
    x, sigma = noisy(D, 1.5)
    label = {"label": torch.zeros(len(x), dtype=torch.int64)}
    strong, weak = denoiser(x, sigma, label), denoiser(x, sigma, None)
    for weight in (0.0, 1.0, 2.5):
        guided = classifier_free(denoiser, weight)
        torch.testing.assert_close(guided(x, sigma, label), weak + weight * (strong - weak), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(Unconditional(denoiser)(x, sigma, label), weak, rtol=0, atol=0)


def test_outside_its_interval_there_is_no_guidance_and_no_call() -> None:
    strong, weak = ByClass(2.0), ByClass(2.0)
    guided = autoguidance(strong, weak, 3.0, low=0.5, high=2.0)
    x, _ = noisy(2.0, 1.0, 4)
    label = {"label": torch.tensor([0, 1, 0, 1])}
    assert torch.equal(guided(x, torch.full((4,), 5.0, dtype=F64), label), strong(x, torch.full((4,), 5.0), label))
    assert weak.asked == 0
    mixed = torch.tensor([0.1, 1.0, 1.9, 80.0], dtype=F64)
    change = (guided(x, mixed, label) - strong(x, mixed, label)).abs().amax(1)
    assert (change > 0).tolist() == [False, False, False, False], "strong and weak are the same field"
    different = Guided(strong, Unconditional(weak), 3.0, 0.5, 2.0)
    change = (different(x, mixed, label) - strong(x, mixed, label)).abs().amax(1)
    assert (change > 1e-9).tolist() == [False, True, True, False]
    assert (guided.calls, Guided(strong, weak, 1.0).calls) == (2, 1)


@pytest.mark.parametrize("D", [2.0, 16.0, math.inf])
def test_the_factor_of_a_gradient_is_that_of_the_flow(D: float) -> None:
    """x - Den = -S grad log phi_{N+D-2}, phi_k = E_y (||x - y||^2 + r^2)^(-k/2); S with its posterior mean is exact."""
    x, sigma = noisy(D, 1.5)
    points = POINTS.flatten(0, 1)
    field = FiniteSet(points, D)
    leaf = x.clone().requires_grad_()
    squared = torch.cdist(leaf, points).square()
    if math.isinf(D):
        log_phi = torch.logsumexp(-squared / (2 * sigma[:, None] ** 2), 1)
        exact = sigma**2
    else:
        r2 = D * sigma[:, None] ** 2
        log_phi = torch.logsumexp(-(8 + D - 2) / 2 * torch.log(squared + r2), 1)
        weights = torch.softmax(field.log_weights(x, sigma), 1)
        exact = (weights * (squared.detach() + r2)).sum(1) / (8 + D - 2)
    (gradient,) = torch.autograd.grad(log_phi.sum(), leaf)
    torch.testing.assert_close(x - field(x, sigma), -exact[:, None] * gradient, rtol=1e-8, atol=1e-8)
    ours = score_factor(x, field(x, sigma), sigma, D)
    # Without the spread of y around its mean, which a network does not tell; sigma^2 alone is worse.
    ours_off, plain_off = ((a / exact - 1).abs().mean() for a in (ours, sigma**2))
    assert float(ours_off) < (1e-12 if math.isinf(D) else 0.2)
    assert math.isinf(D) or float(ours_off) < float(plain_off)


@pytest.mark.parametrize("D", [3.0, 32.0, math.inf])
def test_an_exact_classifier_leads_to_the_class(D: float) -> None:
    """Den + S grad log p(class | x) against the field of the class; sigma^2 in place of S is farther off.

    At D = infinity it is exact. In few dimensions no factor is: the best one for each x would leave 0.19 of 0.40.
    """
    whole, wanted = FiniteSet(POINTS.flatten(0, 1), D), FiniteSet(POINTS[0], D)

    def log_weight(x: Tensor, sigma: Tensor) -> Tensor:
        each = torch.stack([smoothed_log_density(points, x, float(sigma[0]), D) for points in POINTS])
        return each[0] - torch.logsumexp(each, 0)

    x, sigma = noisy(D, 2.0)
    exact = wanted(x, sigma)

    def off(denoised: Tensor) -> float:
        return float((denoised - exact).square().mean().sqrt())

    guided = off(EnergyGuided(whole, log_weight, D)(x, sigma))
    plain = off(EnergyGuided(whole, log_weight, math.inf)(x, sigma))  # sigma^2 at this D
    assert guided < (0.6 if D == 3 else 0.25) * off(whole(x, sigma))
    assert guided < 1e-9 if math.isinf(D) else guided < plain
    start = StudentT(D).prior((300, 8), 80.0, generator=gen(3), dtype=F64)
    end = last(sample(EnergyGuided(whole, log_weight, D), start, karras(40))).x
    nearest = torch.cdist(end, POINTS.flatten(0, 1)).argmin(1)
    assert float((nearest < 6).double().mean()) > 0.95


def test_guidance_by_a_function_of_clean_data() -> None:
    """Points are drawn to the half space x_0 > 0 by a steep function of the estimate."""
    field = FiniteSet(POINTS.flatten(0, 1), 16.0)
    guided = EnergyGuided(field, lambda y, sigma: -50 * torch.relu(0.1 - y[:, 0]), 16.0, at_estimate=True)
    start = StudentT(16.0).prior((200, 8), 80.0, generator=gen(4), dtype=F64)
    plain, pulled = (last(sample(d, start, karras(30))).x for d in (field, guided))
    assert float((pulled[:, 0] > 0).double().mean()) > float((plain[:, 0] > 0).double().mean()) + 0.2


def test_wrappers_compose_and_count_their_calls() -> None:
    diffusion = ByClass(math.inf)
    at_4 = at_dimension(diffusion, 4.0)
    guided = classifier_free(at_4, 2.0)
    assert (at_4.calls, guided.calls, EnergyGuided(guided, lambda x, s: x.sum(1), 4.0).calls) == (3, 6, 6)
    x, sigma = noisy(4.0, 1.5)
    label = {"label": torch.zeros(len(x), dtype=torch.int64)}
    before = diffusion.asked
    expected = 2 * at_4(x, sigma, label) - at_4(x, sigma, None)
    assert diffusion.asked - before == 6
    torch.testing.assert_close(guided(x, sigma, label), expected, rtol=1e-12, atol=1e-12)


def test_padding_is_left_alone() -> None:
    mask = torch.ones(3, 8, dtype=F64)
    mask[:, 5:] = 0
    field = FiniteSet(POINTS[0], 4.0)
    guided = EnergyGuided(field, lambda x, s: x.sum(1), 4.0)
    x, sigma = noisy(4.0, 1.0, 3)
    y = guided(x * mask, sigma, None, mask)
    assert bool((y[:, 5:] == 0).all() and (y[:, :5] != 0).all())
    short = EnergyGuided(FiniteSet(POINTS[0, :, :5], 4.0), lambda x, s: x.sum(1), 4.0)(x[:, :5], sigma)
    torch.testing.assert_close(y[:, :5], short, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: classifier_free(d, math.nan), "guidance weight is nan"),
        (lambda d: classifier_free(d, 2.0, low=3.0, high=1.0), "0 <= low < high"),
        (lambda d: EnergyGuided(d, lambda x, s: x.sum(1), 0.0), "D is 0"),
        (
            lambda d: EnergyGuided(FiniteSet(torch.zeros(1, 1), 0.5), lambda x, s: x.sum(1), 0.5)(
                torch.ones(2, 1), torch.ones(2)
            ),
            "N \\+ D must be above 2",
        ),
    ],
)
def test_mistakes_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make(ByClass(2.0))
