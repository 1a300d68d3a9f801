from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch import Tensor

from pfgm_science.batch import Condition
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.exact import FiniteSet, Gaussian
from pfgm_science.multistep import integrals_of_lagrange
from pfgm_science.noise import StudentT
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras
from pfgm_science.solvers import (
    DETERMINISTIC,
    FIXED,
    SOLVERS,
    DormandPrince,
    DPMSolver2M,
    DPMSolver3M,
    Euler,
    Heun,
    Solver,
    State,
    Trig2M,
    solver_named,
)

F64 = torch.float64
EVERY_SOLVER = pytest.mark.parametrize("solver", DETERMINISTIC.values(), ids=DETERMINISTIC)
FIXED_SOLVER = pytest.mark.parametrize("solver", FIXED.values(), ids=FIXED)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


MIXING = randn(4, 4, seed=9) / 2


def curved(x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None) -> Tensor:
    """Nobody's denoiser: an arbitrary smooth function of x and sigma."""
    s = torch.as_tensor(sigma, dtype=F64).reshape(-1, 1)
    return torch.sin(x @ MIXING) + x / (1 + s) + torch.cos(3 * s)


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        self.calls += 1
        return curved(x, sigma)


def heun_of_edm(x: Tensor, t: list[float]) -> Tensor:
    """Algorithm 1 of Karras et al., arXiv 2206.00364, line by line, with sigma(t) = t and s(t) = 1."""
    for i in range(len(t) - 1):
        d = (x - curved(x, t[i])) / t[i]
        x_next = x + (t[i + 1] - t[i]) * d
        if t[i + 1] != 0:
            d_prime = (x_next - curved(x_next, t[i + 1])) / t[i + 1]
            x_next = x + (t[i + 1] - t[i]) * (d / 2 + d_prime / 2)
        x = x_next
    return x


def dpm_solver_2m(x: Tensor, sigma: list[float]) -> Tensor:
    """Algorithm 2 of Lu et al., arXiv 2211.01095, with alpha = 1; the last step to 0 is first order."""
    lam = [-math.log(s) if s > 0 else math.inf for s in sigma]
    past = curved(x, sigma[0])
    x = sigma[1] / sigma[0] * x - math.expm1(-(lam[1] - lam[0])) * past
    for i in range(2, len(sigma)):
        h = lam[i] - lam[i - 1]
        now = curved(x, sigma[i - 1])
        D = now
        if sigma[i] > 0:
            r = (lam[i - 1] - lam[i - 2]) / h
            D = (1 + 1 / (2 * r)) * now - 1 / (2 * r) * past
        x = sigma[i] / sigma[i - 1] * x - math.expm1(-h) * D
        past = now
    return x


@pytest.mark.parametrize("steps", [1, 2, 3, 18])
def test_heun_at_infinite_d_is_edms_published_algorithm_on_shared_noise(steps: int) -> None:
    high, low, rho = 80.0, 0.002, 7.0
    t = [
        (high ** (1 / rho) + i / max(steps - 1, 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
        for i in range(steps)
    ] + [0.0]
    published = heun_of_edm(randn(8, 4, seed=3) * high, t)
    start = StudentT(math.inf).prior((8, 4), high, generator=torch.Generator().manual_seed(3), dtype=F64)
    ours = last(sample(curved, start, karras(steps), solver=Heun())).x
    torch.testing.assert_close(ours, published, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 18])
@pytest.mark.parametrize("to_zero", [True, False])
def test_dpm2m_is_the_published_algorithm(steps: int, to_zero: bool) -> None:
    grid = karras(steps + 1)
    grid = grid[1:] if to_zero else grid[:-1]
    x = randn(8, 4, seed=3) * 80
    ours = last(sample(curved, x, grid, solver=DPMSolver2M())).x
    torch.testing.assert_close(ours, dpm_solver_2m(x, grid.tolist()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", [s for s in FIXED.values() if not isinstance(s, Trig2M)], ids=lambda s: s.name)
@settings(deadline=None, derandomize=True, max_examples=20)
@given(steps=st.integers(1, 12), low=st.floats(1e-4, 1), ratio=st.floats(2, 1e5), seed=st.integers(0, 99))
def test_a_single_point_is_reached_along_a_straight_line(
    solver: Solver, steps: int, low: float, ratio: float, seed: int
) -> None:
    y, x0 = randn(1, 3, seed=seed), 5 * randn(4, 3, seed=seed + 1)
    grid = karras(steps, low, low * ratio)
    for state in sample(FiniteSet(y, 2.0), x0, grid, solver=solver):
        torch.testing.assert_close(state.x, y + state.sigma / float(grid[0]) * (x0 - y), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(state.x, y.expand(4, 3), rtol=1e-12, atol=1e-12)


HIGH, LOW = 40.0, 0.4
START = HIGH * randn(6, 2, seed=1)


@cache
def exact_end(D: float) -> tuple[FiniteSet, Tensor]:
    """Four points, and where the flow of their exact field takes six others from sigma = 40 to 0.4: error 1e-10."""
    denoiser = FiniteSet(randn(4, 2), D)

    def flow(log_sigma: float, flat: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(flat).reshape(START.shape)
        return (state - denoiser(state, state.new_full((len(START),), math.exp(log_sigma)))).flatten().numpy()

    span = (math.log(HIGH), math.log(LOW))
    found = solve_ivp(flow, span, START.flatten().numpy(), method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    return denoiser, torch.from_numpy(found).reshape(START.shape)


def error_after(solver: Solver, D: float, steps: int) -> float:
    denoiser, exact = exact_end(D)
    end = last(sample(denoiser, START, karras(steps + 1, LOW, HIGH)[:-1], solver=solver)).x
    return float((end - exact).abs().max())


@pytest.mark.parametrize("solver", [*FIXED.values(), DPMSolver3M(second=1.0)], ids=[*FIXED, "dpm3m as programmed"])
@pytest.mark.parametrize("D", [1.0, 8.0, 128.0, math.inf])
def test_the_error_falls_with_the_order_of_the_solver(solver: Solver, D: float) -> None:
    """DPM-Solver++(3M) as other programs have it lacks a factor of two, and with it the third order."""
    order = 2 if solver == DPMSolver3M(second=1.0) else solver.order
    slope = math.log2(error_after(solver, D, 256) / error_after(solver, D, 512))
    assert slope == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("D", [1.0, 8.0, 128.0, math.inf])
def test_the_error_of_the_adaptive_solver_follows_its_tolerance(D: float) -> None:
    denoiser, exact = exact_end(D)
    errors, costs = [], []
    for tolerance in (1e-3, 1e-5, 1e-7):
        state = last(sample(denoiser, START, [HIGH, LOW], solver=DormandPrince(tolerance)))
        errors.append(float((state.x - exact).abs().max()) / tolerance)
        costs.append(state.evaluations)
    assert max(errors) < 20
    assert costs == sorted(costs) and costs[0] < 80 and costs[-1] < 400


def test_the_steps_of_a_sample_do_not_depend_on_its_neighbours() -> None:
    denoiser, _ = exact_end(8.0)
    solver = DormandPrince(1e-4)
    together = last(sample(denoiser, START, karras(2, LOW, HIGH), solver=solver)).x
    alone = torch.cat(
        [last(sample(denoiser, START[i : i + 1], karras(2, LOW, HIGH), solver=solver)).x for i in range(6)]
    )
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


def test_the_adaptive_solver_counts_and_refuses() -> None:
    counter = Counter()
    for state in sample(counter, randn(3, 4), karras(3), solver=DormandPrince()):
        assert state.evaluations == counter.calls
    with pytest.raises(ConfigError, match="dopri5 chooses its own number of evaluations, so 35 cannot be kept"):
        DormandPrince().steps(35)
    for tolerance in (0.0, -1.0, 1.0, math.nan):
        with pytest.raises(ConfigError, match="it must lie between 0 and 1"):
            DormandPrince(tolerance)
    with pytest.raises(PfgmError, match="needs more than 10000 evaluations"):
        last(sample(lambda x, s, c=None, m=None: torch.sin(1e6 * x), randn(3, 4), karras(3), solver=DormandPrince()))


def test_the_weights_of_an_even_grid_are_those_of_adams_and_bashforth() -> None:
    nodes = [5.0, 6.0, 7.0, 8.0]
    found = integrals_of_lagrange(nodes, 5.0, 4.0)
    np.testing.assert_allclose(found, [-55 / 24, 59 / 24, -37 / 24, 9 / 24], rtol=1e-12)
    uneven = [3.0, 3.7, 5.1]
    for power in range(3):  # exact for polynomials that the nodes determine
        exact = (1.2 ** (power + 1) - 3.0 ** (power + 1)) / (power + 1)
        weights = integrals_of_lagrange(uneven, 3.0, 1.2)
        assert sum(w * n**power for w, n in zip(weights, uneven, strict=True)) == pytest.approx(exact, rel=1e-12)


@FIXED_SOLVER
@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_evaluations_are_counted(solver: Solver, steps: int) -> None:
    counter = Counter()
    seen = [(state.evaluations, counter.calls) for state in sample(counter, randn(2, 4), karras(steps), solver=solver)]
    assert all(a == b for a, b in seen) and seen[0] == (0, 0)
    # Heun's last step to 0 costs one evaluation, so 18 steps cost EDM's 35.
    assert counter.calls == (2 * steps - 1 if solver.name == "heun" else steps)


@FIXED_SOLVER
def test_steps_use_the_evaluations_and_no_more(solver: Solver) -> None:
    def cost(steps: int) -> int:
        return last(sample(curved, randn(1, 4), karras(steps), solver=solver)).evaluations

    for evaluations in (1, 2, 3, 5, 9, 19, 35):
        steps = solver.steps(evaluations)
        assert cost(steps) <= evaluations < cost(steps + 1)
    with pytest.raises(ConfigError, match="at least 1"):
        solver.steps(0)


@EVERY_SOLVER
@pytest.mark.parametrize("D", [1.0, math.inf])
def test_one_step_is_the_denoiser_at_sigma_max(solver: Solver, D: float) -> None:
    denoiser, x = FiniteSet(randn(4, 3), D), 80 * randn(5, 3, seed=1)
    end = last(sample(denoiser, x, karras(1), solver=solver))
    expected = denoiser(x, x.new_full((5,), 80.0))
    assert end.sigma == 0 and end.evaluations == 1
    torch.testing.assert_close(end.x, expected, rtol=1e-12, atol=1e-12)
    assert end.denoised is not None and torch.equal(end.denoised, expected)


@EVERY_SOLVER
def test_the_last_step_ends_on_the_estimate_at_the_level_before(solver: Solver) -> None:
    *_, before, end = sample(curved, randn(5, 4), [4.0, 1.0, 0.3, 0.0], solver=solver)
    assert (before.sigma, end.sigma, end.past[0].sigma) == (0.3, 0.0, 0.3)
    torch.testing.assert_close(end.x, curved(before.x, 0.3), rtol=1e-12, atol=1e-12)


@EVERY_SOLVER
def test_a_step_leaves_the_state_before_it_as_it_was(solver: Solver) -> None:
    x = randn(5, 4)
    state = State(x.clone(), 2.0)
    after = solver.step(curved, state, 1.0)
    assert torch.equal(state.x, x) and state.denoised is None and after.x is not state.x
    assert (after.sigma, after.past[0].sigma) == (1.0, 2.0)
    assert after.denoised is not None and torch.equal(after.denoised, curved(x, 2.0))


@EVERY_SOLVER
def test_heavy_tails_of_d_1_end_on_the_data(solver: Solver) -> None:
    points = randn(4, 3)
    x = StudentT(1.0).prior((500, 3), 80.0, generator=torch.Generator().manual_seed(0), dtype=F64)
    x = torch.cat([x, torch.tensor([[1e9, -1e9, 0.0], [1e-9, 0.0, 1e14]], dtype=F64)])
    assert float(x.abs().max()) > 1e4
    end = last(sample(FiniteSet(points, 1.0), x, karras(60), solver=solver)).x
    assert bool(torch.isfinite(end).all())
    # The tail of D = 1 keeps a weight of (sigma / distance)^4 on the points farther away.
    assert float(torch.cdist(end, points).amin(1).median()) < 1e-6
    assert float((torch.cdist(end, points).amin(1) < 1e-3).double().mean()) > 0.97


def test_solvers_are_found_by_name() -> None:
    assert isinstance(solver_named("euler"), Euler) and isinstance(solver_named("heun"), Heun)
    assert all(solver_named(name).name == name for name in SOLVERS)
    with pytest.raises(ConfigError, match="'rk4' is not known; there are euler, heun, dpm2m, .*dopri5"):
        solver_named("rk4")


def test_gaussian_data_stand_still_in_the_angle() -> None:
    """At D = inf every step is exact, however long; Heun's, on the same grid, is far off."""
    x = 80 * randn(5, 4)
    grid = [80.0, 10.0, 0.9, 0.2]
    exact = x * math.hypot(0.2, 0.7) / math.hypot(80, 0.7)
    end = last(sample(Gaussian(0.7), x, grid, solver=Trig2M(0.7))).x
    torch.testing.assert_close(end, exact, rtol=1e-10, atol=1e-10)
    assert float((last(sample(Gaussian(0.7), x, grid, solver=Heun())).x - exact).abs().max()) > 0.1
