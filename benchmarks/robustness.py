"""Robustness of the exact field to errors in the state: the table of docs/physics.md, section 7.

Gaussian data on a 64-dimensional subspace of N = 3072, standard deviations log-spaced from 2 to 0.02; Heun with 18
steps; before each step x += alpha sigma z. Figure: Frechet distance in the plane between samples and fresh data.
The effect is the paper's (PFGM++, arXiv 2302.04265, section 5); that it belongs to the field itself, and needs no
network, is what this shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks import tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser
from pfgm_science.batch import Condition
from pfgm_science.denoiser import Denoiser
from pfgm_science.exact import Gaussian
from pfgm_science.metrics import frechet_distance
from pfgm_science.noise import StudentT
from pfgm_science.progress import progress
from pfgm_science.schedule import karras
from pfgm_science.solvers import Heun, State

N, PLANE = 3072, 64
STEPS = 18
DIMENSIONS = (64.0, 2048.0, math.inf)

EXAMPLES = """  pfgm benchmark robustness                        the table (about ten minutes on two cores)
  pfgm benchmark robustness --alphas 0.2 --dimensions 64 inf"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark robustness`."""
    built = parser("robustness", "Errors injected into sampling with the exact field.", EXAMPLES)
    built.add_argument("--alphas", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.4])
    built.add_argument(
        "--dimensions", type=dimension_argument, nargs="+", default=[64.0, 2048.0, math.inf], metavar="D"
    )
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    built.add_argument("--count", type=int, default=4000, help="samples a cell (default: %(default)s)")
    arguments = built.parse_args(argv)
    table = Table("robustness", arguments.results)
    table.describe(
        {"N": N, "plane": PLANE, "steps": STEPS, "count": arguments.count},
        again=arguments.again,
        command="pfgm benchmark robustness",
        machine=machine(),
    )
    for seed in arguments.seeds:
        table.cell({"floor": True, "seed": seed}, partial(floor, arguments.count, seed))
        for alpha in arguments.alphas:
            for D in arguments.dimensions:
                key = {"alpha": alpha, "D": D, "seed": seed}
                table.cell(key, partial(frechet_after, alpha, D, arguments.count, seed))
    print(tables.render("robustness", arguments.results))
    return 0


def floor(count: int, seed: int) -> dict[str, float]:
    """Fresh data in the place of samples."""
    generator = torch.Generator().manual_seed(10_000 + seed)
    return {"frechet": _distance(fresh_data(count, generator), generator)}


def frechet_after(alpha: float, D: float, count: int, seed: int) -> dict[str, float]:
    """In-plane Frechet distance of `count` samples drawn with errors of size alpha."""
    generator = torch.Generator().manual_seed(seed)
    grid = karras(STEPS)
    x = in_plane_noise(D, count, float(grid[0]), generator)
    with progress(f"alpha {alpha:g}, D {D:g}") as update:
        for i, state in enumerate(disturbed(InPlane(D), x, grid, alpha, generator)):
            x = state.x
            if i:
                update(i, STEPS)
    return {"frechet": _distance(x[:, :PLANE], generator)}


def disturbed(denoiser: Denoiser, x: Tensor, grid: Tensor, alpha: float, generator: torch.Generator) -> Iterator[State]:
    """Heun's trajectory with Gaussian errors of size alpha sigma added to x before each step."""

    def denoise(x: Tensor, sigma: float | Tensor) -> Tensor:
        return denoiser(x, torch.as_tensor(sigma).to(x).expand(len(x)))

    solver = Heun()
    state = State(x, float(grid[0]))
    yield state
    for level in grid[1:].tolist():
        error = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        state = solver.step(denoise, State(state.x + alpha * state.sigma * error, state.sigma), level)
        yield state


def deviations() -> Tensor:
    """Standard deviation of the data along each direction of the plane: [64], from 2 to 0.02."""
    return torch.logspace(math.log10(2), math.log10(0.02), PLANE, dtype=torch.float64)


class InPlane:
    """The exact denoiser of the data set: Gaussian in the plane, zero in the other N - 64 coordinates."""

    def __init__(self, D: float) -> None:
        std = torch.cat([deviations(), torch.zeros(N - PLANE, dtype=torch.float64)])
        self.denoiser = Gaussian(std, D, nodes=24)

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        parts = max(1, len(x) // 500)
        return torch.cat([self.denoiser(part, s) for part, s in zip(x.chunk(parts), sigma.chunk(parts), strict=True)])


def in_plane_noise(D: float, count: int, sigma: float, generator: torch.Generator) -> Tensor:
    """The prior in all N coordinates: [count, N] float64."""
    return StudentT(D).prior((count, N), sigma, generator=generator, dtype=torch.float64)


def fresh_data(count: int, generator: torch.Generator) -> Tensor:
    """Data in the plane: [count, 64]."""
    return torch.randn((count, PLANE), generator=generator, dtype=torch.float64) * deviations()


def _distance(plane: Tensor, generator: torch.Generator) -> float:
    other = fresh_data(len(plane), generator)
    return frechet_distance(np.asarray(plane), np.asarray(other))


BENCHMARK = Benchmark("robustness", "errors injected into sampling with the exact field, against D", main)
