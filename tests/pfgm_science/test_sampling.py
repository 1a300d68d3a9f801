from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from pfgm_science.batch import Condition
from pfgm_science.denoiser import Preconditioned, at_dimension
from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, Gaussian
from pfgm_science.noise import StudentT, generators
from pfgm_science.sampling import last, sample, state_dtype
from pfgm_science.schedule import Levels, karras, log_uniform
from pfgm_science.solvers import DETERMINISTIC, SOLVERS, Solver, Trig2M

F64 = torch.float64
POINTS = torch.tensor([[-1.0], [0.3], [2.0]], dtype=F64)
WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=F64)


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=gen(seed), dtype=F64)


def quantile(x: Tensor, sigma: float, D: float) -> np.ndarray:
    """F_sigma(x) of the weighted POINTS under the kernel."""
    law = stats.norm() if math.isinf(D) else stats.t(D)
    return law.cdf((x - POINTS.T).numpy() / sigma) @ WEIGHTS.numpy()


@pytest.mark.parametrize("D", [0.5, 1.0, 3.0, 30.0])
def test_many_heun_steps_converge_to_the_exact_flow_and_its_quantiles(D: float) -> None:
    denoiser, high, low = FiniteSet(POINTS, D, WEIGHTS), 20.0, 0.1
    start = torch.from_numpy(stats.t(D, scale=high).ppf([0.001, 0.03, 0.2, 0.45, 0.6, 0.9, 0.999]))[:, None]

    def flow(log_sigma: float, x: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(x)[:, None]
        return (state - denoiser(state, state.new_full((len(x),), math.exp(log_sigma))))[:, 0].numpy()

    span = (math.log(high), math.log(low))
    exact = solve_ivp(flow, span, start[:, 0].numpy(), method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    end = last(sample(denoiser, start, log_uniform(500, low, high)[:-1])).x
    np.testing.assert_allclose(end[:, 0].numpy(), exact, rtol=1e-4, atol=1e-4)
    assert np.abs(quantile(end, low, D) - quantile(start, high, D)).max() < 1e-4


@pytest.mark.parametrize("D", [0.5, 1.0, 3.0, 30.0, math.inf])
def test_samples_have_the_law_of_the_data_at_every_level(D: float) -> None:
    # Kolmogorov-Smirnov and chi-square at p > 1e-6: each fails by luck once in 1e6 seeds.
    count = 4000
    y = POINTS[torch.multinomial(WEIGHTS, count, replacement=True, generator=gen(1))]
    x = StudentT(D).perturb(y, 20.0, generator=gen(2))
    grid = karras(40, 0.002, 20.0)
    for state in sample(FiniteSet(POINTS, D, WEIGHTS), x, grid):
        if state.sigma in (20.0, float(grid[20]), float(grid[30])):
            assert stats.kstest(quantile(state.x, state.sigma, D), "uniform").pvalue > 1e-6
    nearest = (state.x - POINTS.T).abs().argmin(1)
    found = torch.bincount(nearest, minlength=3).numpy()
    assert stats.chisquare(found, count * WEIGHTS.numpy()).pvalue > 1e-6
    # At the last level the other points still have a weight of about (sigma / distance)^(1 + D), most for D = 0.5.
    assert float((state.x - POINTS[nearest]).abs().median()) < 1e-3


@pytest.mark.parametrize("D", [1.0, 8.0, math.inf])
def test_samples_of_gaussian_data_are_gaussian(D: float) -> None:
    # Each p > 1e-6 fails by luck once in 1e6 seeds.
    count, std = 1000, torch.tensor([2.0, 0.5, 0.5], dtype=F64)
    x = StudentT(D).perturb(randn(count, 3) * std, 20.0, generator=gen(1))
    end = last(sample(Gaussian(std, D, nodes=64), x, karras(24, 0.01, 20.0))).x / std
    assert stats.kstest(end[:, 0].numpy(), "norm").pvalue > 1e-6
    assert stats.kstest(end.square().sum(1).numpy(), stats.chi2(3).cdf).pvalue > 1e-6


def test_a_diffusion_denoiser_samples_at_another_dimension() -> None:
    # Chi-square at p > 1e-6.
    D, count = 1.0, 1000
    y = POINTS[torch.multinomial(WEIGHTS, count, replacement=True, generator=gen(1))]
    x = StudentT(D).perturb(y, 20.0, generator=gen(2))
    denoiser = at_dimension(FiniteSet(POINTS, weights=WEIGHTS), D, nodes=16)
    end = last(sample(denoiser, x, karras(12, 0.01, 20.0))).x
    found = torch.bincount((end - POINTS.T).abs().argmin(1), minlength=3).numpy()
    assert stats.chisquare(found, count * WEIGHTS.numpy()).pvalue > 1e-6


@pytest.mark.parametrize("solver", DETERMINISTIC.values(), ids=DETERMINISTIC)
@pytest.mark.parametrize("D", [0.5, 8.0, math.inf])
def test_data_times_1000_give_samples_times_1000(solver: Solver, D: float) -> None:
    points, levels = randn(6, 3) / 2, Levels()
    ends = []
    for scale in (1.0, 1000.0):
        scaled = levels.scaled(0.5 * scale)
        x = StudentT(D).prior((20, 3), scaled.sigma_max, generator=gen(1), dtype=F64)
        own = Trig2M(0.5 * scale) if isinstance(solver, Trig2M) else solver
        ends.append(last(sample(FiniteSet(scale * points, D), x, scaled.grid(12), solver=own)).x / scale)
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-9, atol=1e-9)


def test_the_start_and_every_state_are_yielded() -> None:
    x, grid = randn(3, 2), karras(4)
    states = list(sample(FiniteSet(randn(5, 2), 2.0), x, grid))
    assert [state.sigma for state in states] == grid.tolist()
    assert torch.equal(states[0].x, x) and states[0].denoised is None
    assert all(state.denoised is not None for state in states[1:])
    assert torch.equal(last(sample(FiniteSet(randn(5, 2), 2.0), x, grid)).x, states[-1].x)


def test_heun_is_the_default_and_a_list_is_a_grid() -> None:
    x, denoiser = randn(3, 2), FiniteSet(randn(5, 2), 2.0)
    one = last(sample(denoiser, x, [5.0, 1.0, 0.0]))
    assert one.evaluations == 3
    assert torch.equal(one.x, last(sample(denoiser, x, torch.tensor([5.0, 1.0, 0.0]), solver=SOLVERS["heun"])).x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(2) / 2)
            self.layer.bias.zero_()
        self.dtypes: set[torch.dtype] = set()

    def forward(
        self, x: Tensor, level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        self.dtypes |= {x.dtype, level.dtype}
        return torch.tanh(self.layer(x))


@pytest.mark.parametrize("enabled", [True, False])
def test_no_gradient_is_recorded_and_the_callers_mode_is_untouched(enabled: bool) -> None:
    with torch.set_grad_enabled(enabled):
        for state in sample(Preconditioned(Net(), 0.5), randn(3, 2), karras(3)):
            assert torch.is_grad_enabled() is enabled
            assert not state.x.requires_grad
        assert torch.is_grad_enabled() is enabled


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_state_keeps_its_dtype_through_a_float32_network(dtype: torch.dtype) -> None:
    network = Net()
    end = last(sample(Preconditioned(network, 0.5), 80 * randn(3, 2).to(dtype), karras(5)))
    assert end.x.dtype == dtype and end.denoised is not None and end.denoised.dtype == dtype
    assert network.dtypes == {torch.float32} and bool(torch.isfinite(end.x).all())


def test_condition_and_mask_reach_the_denoiser_with_one_level_per_sample() -> None:
    condition, mask, seen = {"label": torch.arange(3)}, torch.ones(3, 2), []

    def denoiser(x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None) -> Tensor:
        seen.append((sigma, condition, mask))
        return x / 2

    last(sample(denoiser, randn(3, 2), [2.0, 1.0, 0.0], condition=condition, mask=mask))
    assert [s.tolist() for s, _, _ in seen] == [[2.0] * 3, [1.0] * 3, [1.0] * 3]
    assert all(s.dtype == F64 and c is condition and m is mask for s, c, m in seen)


@pytest.mark.parametrize("D", [1.0, math.inf])
def test_padding_does_not_change_a_sample(D: float) -> None:
    points, x = randn(5, 2), 20 * randn(4, 2, seed=1)

    def pad(t: Tensor) -> Tensor:
        return nn.functional.pad(t, (0, 3))

    alone = last(sample(FiniteSet(points, D), x, karras(8))).x
    padded = last(sample(FiniteSet(pad(points), D), pad(x), karras(8), mask=pad(torch.ones_like(x)))).x
    torch.testing.assert_close(padded, pad(alone), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("D", [1.0, math.inf])
def test_a_sample_depends_on_its_seed_and_not_on_its_batch(D: float) -> None:
    denoiser, grid = FiniteSet(randn(5, 3), D), karras(8)
    prior = StudentT(D).prior
    together = last(sample(denoiser, prior((4, 3), 80.0, generator=generators(range(4)), dtype=F64), grid)).x
    alone = last(sample(denoiser, prior((1, 3), 80.0, generator=generators([2]), dtype=F64), grid)).x
    torch.testing.assert_close(together[2:3], alone, rtol=1e-11, atol=1e-11)


def test_an_empty_batch_stays_empty() -> None:
    assert last(sample(FiniteSet(randn(5, 3), 2.0), torch.empty(0, 3, dtype=F64), karras(3))).x.shape == (0, 3)


@pytest.mark.parametrize(
    "grid",
    [
        [], [1.0], [0.0], [1.0, 1.0, 0.0], [1.0, 2.0], [1.0, 0.0, -0.1], [1.0, 0.0, 0.0], [1.0, math.nan, 0.0],
        [math.nan, 0.0], [1.0, math.nan], [math.inf, 1.0, 0.0],
    ],
)  # fmt: skip
def test_impossible_grids_are_refused(grid: list[float]) -> None:
    with pytest.raises(ConfigError, match="at least two levels"):
        next(sample(FiniteSet(randn(2, 2)), randn(1, 2), grid))


def test_the_state_is_float64_where_the_device_has_it() -> None:
    assert state_dtype("cpu") == state_dtype("cuda") == torch.float64
    assert state_dtype("mps") == torch.float32
