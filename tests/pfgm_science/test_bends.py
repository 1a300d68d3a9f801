"""The grid that is fitted to a model: where trajectories do not bend it is even, and elsewhere it errs less."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pfgm_science.bends import Bends, measure_bends
from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, Gaussian
from pfgm_science.noise import StudentT
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import Levels, karras, log_uniform
from pfgm_science.solvers import FIXED

F64 = torch.float64
LEVELS = Levels()


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prior(D: float, N: int, count: int = 16, scale: float = 1.0) -> torch.Tensor:
    return scale * StudentT(D).prior((count, N), LEVELS.sigma_max, generator=gen(1), dtype=F64)


def test_gaussian_data_bend_nothing_and_get_an_even_grid() -> None:
    bends = measure_bends(Gaussian(torch.full((4,), 0.5, dtype=F64)), prior(math.inf, 4), LEVELS, 0.5)
    assert bends is not None
    torch.testing.assert_close(bends.grid(9), log_uniform(9), rtol=1e-3, atol=0)


@pytest.mark.parametrize("D", [8.0, 128.0, math.inf])
@pytest.mark.parametrize("solver", ["euler", "unipc"])
def test_a_fitted_grid_errs_less_than_karras(solver: str, D: float) -> None:
    """On points it was not measured on; the mean over 200 trajectories, three quarters of Karras' at most.

    Not so for Heun and DPM-Solver++(3M), which extrapolate over long steps: docs/benchmarks.md.
    """
    denoiser = FiniteSet(0.5 * torch.randn(20, 8, generator=gen(), dtype=F64), D)
    bends = measure_bends(denoiser, prior(D, 8), LEVELS, 0.5)
    assert bends is not None
    x = StudentT(D).prior((200, 8), LEVELS.sigma_max, generator=gen(2), dtype=F64)
    exact = last(sample(denoiser, x, karras(300))).x

    def error(grid: torch.Tensor) -> float:
        end = last(sample(denoiser, x, grid, solver=FIXED[solver])).x
        return float((end - exact).norm(dim=1).mean())

    assert error(bends.grid(12)) < 0.75 * error(karras(12))


def test_every_step_covers_as_much_bending_as_the_others() -> None:
    bends = Bends((80.0, 10.0, 1.0, 0.002), (0.0, 0.1, 0.9, 1.0))
    grid = bends.grid(11)
    share = np.interp(-np.log(grid[:-1].numpy()), -np.log(bends.levels), bends.share)
    np.testing.assert_allclose(np.diff(share), 0.1, rtol=1e-9)
    assert float(grid[0]) == 80.0 and float(grid[-1]) == 0
    assert math.isclose(float(grid[-2]), 0.002, rel_tol=1e-12)


def test_a_grid_may_start_lower() -> None:
    grid = Bends((80.0, 10.0, 1.0, 0.002), (0.0, 0.1, 0.9, 1.0)).grid(6, high=3.0)
    assert float(grid[0]) == 3.0 and len(grid) == 7 and bool((grid.diff() < 0).all())
    assert Bends((2.0, 1.0), (0.0, 1.0)).grid(1).tolist() == [2.0, 0.0]


def test_the_grid_follows_the_units_of_the_data() -> None:
    """Data times 1000: levels times 1000, and the same shares."""
    points = 0.5 * torch.randn(5, 3, generator=gen(), dtype=F64)
    one = measure_bends(FiniteSet(points, 8.0), prior(8.0, 3), LEVELS, 0.5)
    scaled = measure_bends(FiniteSet(1e3 * points, 8.0), prior(8.0, 3, scale=1e3), LEVELS.scaled(500.0), 500.0)
    assert one is not None and scaled is not None
    np.testing.assert_allclose(scaled.levels, 1e3 * np.array(one.levels), rtol=1e-9)
    np.testing.assert_allclose(scaled.share, one.share, rtol=1e-6, atol=1e-9)


def test_trajectories_that_are_not_finite_have_no_bends() -> None:
    assert measure_bends(lambda x, sigma, condition, mask: x * math.nan, prior(8.0, 3), LEVELS, 0.5) is None


@pytest.mark.parametrize(
    ("levels", "share"),
    [((1.0,), (0.0,)), ((1.0, 2.0), (0.0, 1.0)), ((2.0, 1.0), (0.0, 0.0)), ((2.0, 1.0), (0.0, 0.5, 1.0))],
)
def test_what_is_no_bends_is_refused(levels: tuple[float, ...], share: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="levels that fall and shares that rise"):
        Bends(levels, share)


def test_a_grid_has_at_least_one_step() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Bends((2.0, 1.0), (0.0, 1.0)).grid(0)
