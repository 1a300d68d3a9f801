"""Samples that agree with what is known of them, against the exact conditional law, with exact fields.

Infilling: 8 coordinates, of which 4 are known, of a mixture of Gaussians and of a finite set in which each known half
goes with four unknown ones. Measurement: z = A y + noise of the mixture. Known values and measurements are those of
fresh data, so that samples together with them should have the law of the data: a classifier compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from benchmarks import tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser
from pfgm_science.constraints import Kept, Knowing
from pfgm_science.denoiser import Denoiser
from pfgm_science.exact import FiniteSet, Mixture
from pfgm_science.measurement import Measured, selection
from pfgm_science.metrics import two_sample_test
from pfgm_science.noise import StudentT
from pfgm_science.progress import progress
from pfgm_science.sampling import sample
from pfgm_science.schedule import karras
from pfgm_science.solvers import Heun, Solver
from pfgm_science.stochastic import Renewal, Repeated

DIMENSIONS = (2.0, 16.0, 128.0, math.inf)
N, KNOWN, STEPS, NOISE = 8, 4, 32, 0.3
HALVES, EACH = 6, 4  # of the finite set: known halves, and unknown ones that go with each
LOW, HIGH = 0.1, 1.0  # noise levels between which steps with a measured denoiser are repeated
COUNT = 1000
F64 = torch.float64

EXAMPLES = """  pfgm benchmark constraints                       every task, method and D
  pfgm benchmark constraints --tasks infilling --methods "kept, 20 takes" --dimensions 16"""

METHODS = {
    "infilling": ("kept", "kept, 5 takes", "kept, 20 takes", "measured", "measured, 50 takes", "measured, 100 takes"),
    "finite set": ("kept", "kept, 5 takes", "kept, 20 takes", "measured", "measured, 50 takes"),
    "measurement": ("measured", "measured, 50 takes", "measured, 100 takes"),
}


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark constraints`."""
    built = parser("constraints", "Kept coordinates and measurements against the exact conditional law.", EXAMPLES)
    names = list(dict.fromkeys(name for group in METHODS.values() for name in group))
    built.add_argument("--tasks", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME")
    built.add_argument("--methods", nargs="+", choices=names, default=names, metavar="NAME", help="; ".join(names))
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0])
    built.add_argument("--count", type=int, default=COUNT, help="samples a cell (default: %(default)s)")
    arguments = built.parse_args(argv)
    table = Table("constraints", arguments.results)
    table.describe(
        {"coordinates": N, "known": KNOWN, "steps": STEPS, "noise": NOISE, "count": arguments.count},
        again=arguments.again,
        command="pfgm benchmark constraints",
        machine=machine(),
    )
    for task in arguments.tasks:
        for seed in arguments.seeds:
            table.cell({"task": task, "floor": True, "seed": seed}, partial(floor, task, arguments.count, seed))
            for D in arguments.dimensions:
                for method in METHODS[task]:
                    if method in arguments.methods:
                        key = {"task": task, "method": method, "D": D, "seed": seed}
                        table.cell(key, partial(measure, task, method, D, arguments.count, seed))
    print(tables.render("constraints", arguments.results))
    return 0


@dataclass(frozen=True)
class Data:
    """A law with its exact field at D, and the exact law of what is not known.

    field: at D. posterior(z, generator): draws of y given its measurement z, [count, N]. points: of a finite set.
    """

    field: Callable[[float], Mixture | FiniteSet]
    draw: Callable[[int, torch.Generator], Tensor]
    posterior: Callable[[Tensor, torch.Generator], Tensor]
    A: Tensor
    noise: float
    points: Tensor | None = None


@cache
def data_of(task: str) -> Data:
    """The data of a task; the same in every process."""
    g = torch.Generator().manual_seed(7)
    if task == "finite set":
        halves = torch.randn(HALVES, 1, KNOWN, generator=g, dtype=F64).expand(HALVES, EACH, KNOWN)
        points = torch.cat([halves, torch.randn(HALVES, EACH, N - KNOWN, generator=g, dtype=F64)], 2).flatten(0, 1)

        def chosen(z: Tensor, generator: torch.Generator) -> Tensor:
            half = torch.cdist(z, points[::EACH, :KNOWN]).argmin(1)
            return points[EACH * half + torch.randint(0, EACH, (len(z),), generator=generator)]

        return Data(
            partial(FiniteSet, points),
            lambda count, generator: points[torch.randint(0, len(points), (count,), generator=generator)],
            chosen,
            selection(range(KNOWN), N),
            0.0,
            points,
        )
    means = 1.5 * torch.randn(6, N, generator=g, dtype=F64)
    std = torch.linspace(0.3, 0.8, 6, dtype=F64)
    mixture = Mixture(means, std, nodes=32)
    A = torch.randn(3, N, generator=g, dtype=F64) if task == "measurement" else selection(range(KNOWN), N)
    noise = NOISE if task == "measurement" else 0.0

    def drawn(count: int, generator: torch.Generator) -> Tensor:
        component = torch.randint(0, len(means), (count,), generator=generator)
        return means[component] + std[component, None] * torch.randn(count, N, generator=generator, dtype=F64)

    return Data(lambda D: replace(mixture, D=D), drawn, partial(given_measurement, means, std, A, noise), A, noise)


def given_measurement(
    means: Tensor, std: Tensor, A: Tensor, noise: float, z: Tensor, generator: torch.Generator
) -> Tensor:
    """Exact draws of y given z = A y + noise, for a mixture of N(mean_k, std_k^2 I): [count, N]."""
    spread = std[:, None, None] ** 2 * (A @ A.T) + noise**2 * torch.eye(len(A), dtype=F64)
    error = z[:, None] - means @ A.T
    explained = torch.linalg.solve(spread, error[..., None].expand(len(z), -1, -1, 1))[..., 0]
    log = -0.5 * (torch.logdet(spread) + (error * explained).sum(2))
    component = torch.multinomial(torch.softmax(log, 1), 1, generator=generator)[:, 0]
    # Matheron's rule: a draw of the component, corrected by what its own measurement is off.
    y = means[component] + std[component, None] * torch.randn(len(z), N, generator=generator, dtype=F64)
    own = y @ A.T + noise * torch.randn(z.shape, generator=generator, dtype=F64)
    correction = torch.linalg.solve(spread[component], (z - own)[..., None])[..., 0]
    corrected: Tensor = y + std[component, None] ** 2 * (correction @ A)
    return corrected


def floor(task: str, count: int, seed: int) -> dict[str, float]:
    """Exact draws in the place of samples."""
    data, y, z, generator = _known(task, count, seed)
    return figures(task, y, z, data.posterior(z, generator), generator)


def measure(task: str, method: str, D: float, count: int, seed: int) -> dict[str, float]:
    """Figures of samples that a method draws."""
    data, y, z, generator = _known(task, count, seed)
    with progress(f"{task}, {method}, D {D:g}") as update:
        x = conditioned(data, method, D, y, z, generator, update)
    return figures(task, y, z, x, generator)


def conditioned(
    data: Data,
    method: str,
    D: float,
    y: Tensor,
    z: Tensor,
    generator: torch.Generator,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Samples [count, N] given z, the measurement of y."""
    field = data.field(D)
    renew = Renewal(D, field, generator)
    takes = int(method.split(", ")[1].split()[0]) if "," in method else 1
    denoiser: Denoiser = field
    solver: Solver = Heun()
    if method.startswith("measured"):
        denoiser = Measured(field, data.A, z, D, data.noise)
        solver = Repeated(solver, renew, takes, LOW, HIGH)
    else:
        known = (torch.arange(N) < KNOWN).to(y).expand(y.shape)
        denoiser, solver = Knowing(field, y, known), Repeated(Kept(solver, y, known, renew), renew, takes)
    x = StudentT(D).prior(y.shape, 80.0, generator=generator, dtype=F64)
    for step, state in enumerate(sample(denoiser, x, karras(STEPS), solver=solver)):
        x = state.x
        if step:
            on_step(step, STEPS)
    return x


def figures(task: str, y: Tensor, z: Tensor, x: Tensor, generator: torch.Generator) -> dict[str, float]:
    """A two-sample test of samples with what they were given against fresh data with theirs.

    For the finite set instead: share of samples at a point that has the known half, and total variation between how
    often its four points are chosen and 1/4 each, averaged over the halves.
    """
    data = data_of(task)
    if data.points is not None:
        points = data.points
        nearest = torch.cdist(x, points).argmin(1)
        half = torch.cdist(z, points[::EACH, :KNOWN]).argmin(1)
        agree = nearest // EACH == half
        counts = torch.zeros(HALVES, EACH).index_put_((half[agree], nearest[agree] % EACH), torch.ones(1), True)
        share = counts / counts.sum(1, keepdim=True).clamp(min=1)
        variation = (share - 1 / EACH).abs().sum(1) / 2
        return {"agree": float(agree.double().mean()), "variation": float(variation.mean())}
    fresh = data.draw(len(y), generator)
    measured = fresh @ data.A.T + data.noise * torch.randn(z.shape, generator=generator, dtype=F64)
    samples, others = (np.asarray(torch.cat(pair, 1)) for pair in ((x, z), (fresh, measured)))
    test = two_sample_test(samples, others, classifier="boosting", seed=0)
    exact = data.posterior(z, generator)
    return {
        "accuracy": test.accuracy,
        "p_value": test.p_value,
        "off_measurement": float((x @ data.A.T - z).square().mean().sqrt()),
        "spread": float(x.std(0).mean() / exact.std(0).mean()),
    }


def _known(task: str, count: int, seed: int) -> tuple[Data, Tensor, Tensor, torch.Generator]:
    data, generator = data_of(task), torch.Generator().manual_seed(seed)
    y = data.draw(count, generator)
    z = y @ data.A.T + data.noise * torch.randn(count, len(data.A), generator=generator, dtype=F64)
    return data, y, z, generator


BENCHMARK = Benchmark("constraints", "kept coordinates and measurements against the exact conditional law", main)
