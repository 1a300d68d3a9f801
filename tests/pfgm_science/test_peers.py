"""At D = inf other people's samplers give the same samples, on the same network, levels and noise.

diffusers and azula are peers, not dependencies: `pip install diffusers` and `pip install --no-deps azula` to run these.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras, log_uniform
from pfgm_science.solvers import DEIS, DPMSolver2M, DPMSolver3M, Euler, Heun, Solver, UniPC

STEPS = 16  # from 15 on, diffusers keeps the order up to the last step but one
MIXING = torch.randn(4, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64) / 2


def denoiser(x: Tensor, sigma: Tensor, condition: Any = None, mask: Any = None) -> Tensor:
    """Any smooth function of x and sigma will do."""
    return torch.sin(x @ MIXING.to(x)) + x / (1 + sigma[:, None] ** 2) + torch.cos(sigma.log())[:, None]


def start(sigma: float) -> Tensor:
    return sigma * torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def ours(solver: Solver, grid: Tensor) -> Tensor:
    return last(sample(denoiser, start(float(grid[0])), grid, solver=solver)).x


@pytest.mark.parametrize(
    ("solver", "name", "options"),
    [
        (Euler(), "EDMEulerScheduler", {}),
        (DPMSolver2M(), "EDMDPMSolverMultistepScheduler", {"solver_order": 2}),
        (DPMSolver3M(second=1.0), "EDMDPMSolverMultistepScheduler", {"solver_order": 3}),
    ],
)
def test_diffusers_edm_schedulers(solver: Solver, name: str, options: dict[str, Any]) -> None:
    scheduler = getattr(pytest.importorskip("diffusers"), name)(sigma_data=0.5, **options)
    scheduler.set_timesteps(STEPS)
    x = start(80.0)
    for t, sigma in zip(scheduler.timesteps, scheduler.sigmas.double(), strict=False):
        # The schedulers undo EDM's preconditioning themselves: give them what the network would have said.
        skip, out = 0.25 / (sigma**2 + 0.25), 0.5 * sigma / (sigma**2 + 0.25).sqrt()
        output = (denoiser(x, sigma.expand(len(x))) - skip * x) / out
        scheduler.scale_model_input(x, t)
        x = scheduler.step(output, t, x).prev_sample
    torch.testing.assert_close(ours(solver, scheduler.sigmas.double()), x, rtol=1e-5, atol=1e-5)


def test_diffusers_unipc() -> None:
    """Its x is ours over sqrt(1 + sigma^2). Data prediction leaves the method the same."""
    scheduler = pytest.importorskip("diffusers").UniPCMultistepScheduler(
        prediction_type="sample", solver_order=2, solver_type="bh2", lower_order_final=False, use_karras_sigmas=True,
        final_sigmas_type="sigma_min",
    )  # fmt: skip
    scheduler.set_timesteps(STEPS)
    grid = scheduler.sigmas.double()[:-1]  # it ends twice on its lowest level
    x = start(float(grid[0])) / (1 + grid[0] ** 2).sqrt()
    for t, sigma in zip(scheduler.timesteps[:-1], grid[:-1], strict=True):
        x = scheduler.step(denoiser(x * (1 + sigma**2).sqrt(), sigma.expand(len(x))), t, x).prev_sample
    torch.testing.assert_close(ours(UniPC(), grid), x * (1 + grid[-1] ** 2).sqrt(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("solver", "name", "options"),
    [(Euler(), "DDIMSampler", {}), (Heun(), "HeunSampler", {}), (DEIS(), "zABSampler", {"order": 3})],
)
def test_azula(solver: Solver, name: str, options: dict[str, Any]) -> None:
    azula = pytest.importorskip("azula.sample")
    denoise, noise = pytest.importorskip("azula.denoise"), pytest.importorskip("azula.noise")

    class Wrapped(denoise.Denoiser):  # type: ignore[misc,name-defined]
        schedule = noise.VESchedule(sigma_min=0.02, sigma_max=80.0)

        def forward(self, x_t: Tensor, t: Tensor, **ignored: Any) -> Any:
            return denoise.DiracPosterior(mean=denoiser(x_t, self.schedule(t)[1].to(x_t).expand(len(x_t))))

    sampler = getattr(azula, name)(Wrapped(), steps=STEPS, silent=True, dtype=torch.float64, **options)
    theirs = sampler(start(80.0))
    assert math.isclose(float(Wrapped.schedule(torch.tensor(0.0))[1]), 0.02, rel_tol=1e-6)
    torch.testing.assert_close(ours(solver, log_uniform(STEPS + 1, 0.02)[:-1]), theirs, rtol=1e-5, atol=1e-5)


def test_the_grid_is_diffusers_own() -> None:
    scheduler = pytest.importorskip("diffusers").EDMEulerScheduler()
    scheduler.set_timesteps(STEPS)
    torch.testing.assert_close(scheduler.sigmas.double(), karras(STEPS), rtol=1e-5, atol=1e-9)
