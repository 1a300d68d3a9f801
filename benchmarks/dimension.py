"""The sweet spot: do the cheap ways to D agree with networks that are trained at each D?

`agreement` reads the tables of the sweeps of every domain and measures nothing. `digits` trains networks of two sizes
for two budgets at each D, because the theory says that a worse network wants a smaller D; beside each curve stands the
D that the errors of the diffusion network along its own trajectories suggest. `rule` tests that guess where
all is exact but for errors of a known size. `preconditioning` compares what networks
are told of their noise at small D.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import images, plane, sweeps, tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from modalities.images.adapter import Images
from pfgm_science.batch import Batch, Condition
from pfgm_science.data import Dataset
from pfgm_science.denoiser import PRECONDITIONINGS, Denoiser, Wrapper
from pfgm_science.metrics import frechet_distance
from pfgm_science.model import Model, encoded
from pfgm_science.noise_error import errors_of, noise_errors
from pfgm_science.robustness import step_errors
from pfgm_science.schedule import karras

DIMENSIONS = (4.0, 16.0, 64.0, 256.0, math.inf)
BOUNDS = (2.0, 1024.0)  # of the network for every D
ALPHAS, RULE_SIZES, RULE_COUNT = (0.05, 0.1, 0.2, 0.4), (256, 3072), 1000
RULE_DIMENSIONS = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, math.inf)
PRECONDITIONED = (1.0, 4.0, 16.0, 64.0)
TOLD = (0.8, 0.9, 1.1)  # times the noise level that there is
COUNT, EVALUATIONS, TRAJECTORIES = 1000, 35, 256
NETWORKS: dict[str, dict[str, Any]] = {
    "small": {"kind": "unet", "channels": 4, "multipliers": [1, 2], "blocks": 1, "patch": 1},
    "large": {"kind": "unet", "channels": 24, "multipliers": [1, 2], "blocks": 1, "patch": 1},
}
STEPS = (200, 1500)
TRAINING: dict[str, Any] = {"batch_size": 64, "learning_rate": 2e-3, "ema_half_life": 5_000}

EXAMPLES = """  pfgm benchmark dimension agreement              from the tables of the sweeps; nothing is measured
  pfgm benchmark dimension digits                 two networks, two budgets, every D (goes on where it was cut)
  pfgm benchmark dimension preconditioning        EDM's, the variance's, and what x shows
  pfgm benchmark dimension rule                   the guess from errors along the way, where all else is exact
  pfgm benchmark dimension digits --networks small --steps 200 --seeds 0"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark dimension`."""
    built = parser("dimension", "Which D: cheap ways beside networks that are trained at each.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to show or measure")
    built.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    built.add_argument("--steps", nargs="+", type=int, default=list(STEPS), help="budgets (default: %(default)s)")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    built.add_argument("--ways", nargs="+", choices=sweeps.WAYS, default=sweeps.WAYS)
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


def agreement(arguments: argparse.Namespace) -> None:
    """The table that is made from those of the sweeps."""
    print(tables.render("dimension-agreement", arguments.results))


def digits(arguments: argparse.Namespace) -> None:
    """Digits without classes: a table for each network and budget, as the sweeps of the other domains have it.

    Beside it what errors along the way suggest, and what becomes of samples where the diffusion network is told a level
    that is not there: `at_dimension` tells it another level than sigma as well, and this is what that alone does.
    """
    train = replace(images.data("digits")[0], condition={})
    for network, steps in product(arguments.networks, arguments.steps):
        name = f"digits-{network}-{steps}"
        table = Table(f"dimension-{name}", arguments.results)
        settings = TRAINING | {"steps": steps, "network": NETWORKS[network]}
        table.describe(
            {"data": "digits", "training": settings, "count": COUNT, "evaluations": EVALUATIONS},
            again=arguments.again,
            command=f"pfgm benchmark dimension digits --networks {network} --steps {steps}",
            machine=machine(arguments.device),
        )
        measure = partial(_measured, train)
        sweeps.sweep(table, arguments, Images(), train, settings, measure, f"{name}-", BOUNDS)
        for seed in arguments.seeds:
            run, there = f"{name}-dinf-seed{seed}", settings | {"dimension": math.inf, "seed": seed}
            diffusion = partial(trained, arguments, run, Images(), train, there)
            table.cell({"errors": "along the way", "seed": seed}, partial(_errors, diffusion, train, seed))
            for share in TOLD:
                table.cell({"told": share, "seed": seed}, partial(_told, diffusion, train, seed, share))
    print(tables.render("dimension-digits", arguments.results))


def rule(arguments: argparse.Namespace) -> None:
    """Does the D that errors along the way suggest hold where all is exact but for errors of a known size?

    For each size of the errors: the second moment of the noise error that is measured along disturbed trajectories of
    diffusion, and the distance to data of disturbed trajectories at every D.
    """
    table = Table("dimension-rule", arguments.results)
    table.describe(
        {"plane": plane.PLANE, "steps": plane.STEPS, "count": RULE_COUNT},
        again=arguments.again,
        command="pfgm benchmark dimension rule",
        machine=machine(arguments.device),
    )
    for seed in arguments.seeds:
        table.cell({"floor": True, "seed": seed}, partial(plane.floor, RULE_COUNT, seed))
    for seed, N, alpha in product(arguments.seeds, RULE_SIZES, ALPHAS):
        of = {"N": N, "alpha": alpha, "seed": seed}
        told = table.cell({**of, "errors": "along the way"}, partial(_disturbed_errors, N, alpha, seed))
        at = {"D": float(told["D"]), "first guess": float(told["first guess"])}
        for rule, D in at.items():
            table.cell({**of, "at": rule}, partial(plane.frechet_after, alpha, D, RULE_COUNT, seed, N))
        for D in RULE_DIMENSIONS:
            table.cell({**of, "D": D}, partial(plane.frechet_after, alpha, D, RULE_COUNT, seed, N))
    print(tables.render("dimension-rule", arguments.results))


def _disturbed_errors(N: int, alpha: float, seed: int) -> dict[str, float]:
    """Errors of the noise along trajectories of diffusion that are disturbed before each step."""
    generator = torch.Generator().manual_seed(seed)
    grid, field = karras(plane.STEPS), plane.InPlane(math.inf, N)
    data = torch.zeros(TRAJECTORIES, N, dtype=torch.float64)
    data[:, : plane.PLANE] = plane.fresh_data(TRAJECTORIES, generator)
    x = plane.in_plane_noise(math.inf, TRAJECTORIES, float(grid[0]), generator, N)
    seen = step_errors(alpha, generator)  # as the next step meets them
    states = [replace(s, x=seen(s.x, s.sigma)) for s in plane.disturbed(field, x, grid, alpha, generator) if s.sigma]
    found = errors_of(states, field, Batch(data), generator)
    return {"second moment": found.second_moment, "D": found.dimension, "first guess": found.first_guess}


def preconditioning(arguments: argparse.Namespace) -> None:
    """What the network is told of the noise, at small D: the small network of digits, the longer budget."""
    train = replace(images.data("digits")[0], condition={})
    settings = TRAINING | {"steps": STEPS[-1], "network": NETWORKS["small"]}
    table = Table("dimension-preconditioning", arguments.results)
    table.describe(
        {"data": "digits", "training": settings, "count": COUNT, "evaluations": EVALUATIONS},
        again=arguments.again,
        command="pfgm benchmark dimension preconditioning",
        machine=machine(arguments.device),
    )
    for seed, name, D in product(arguments.seeds, PRECONDITIONINGS, PRECONDITIONED):
        if name == "matched" and D <= 2:  # the noise has no variance
            continue
        key = {"preconditioning": name, "D": D, "seed": seed}
        if table.find(key) is None:
            of = {"dimension": D, "preconditioning": name, "seed": seed}
            # The runs of the study on digits, where it has them.
            run = f"digits-small-{STEPS[-1]}-d{D:g}-seed{seed}" + ("" if name == "edm" else f"-{name}")
            table.cell(key, partial(_measured, train, trained(arguments, run, Images(), train, settings | of), seed, D))
    print(tables.render("dimension-preconditioning", arguments.results))


class Told(Wrapper):
    """A denoiser that is told a share of the noise level that there is."""

    def __init__(self, denoiser: Denoiser, share: float) -> None:
        self.denoiser, self.share = denoiser, share

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        return self.denoiser(x, self.share * sigma, condition, mask)


def _measured(
    train: Dataset, model: Model, seed: int, D: float, steer: Callable[[Denoiser], Denoiser] | None = None
) -> dict[str, float]:
    """Frechet distance to the training digits, in the features of the frozen classifier of digits."""
    started = time.monotonic()
    drawn = model.sample(COUNT, seed=1000 + seed, dimension=D, evaluations=EVALUATIONS, batch_size=COUNT, steer=steer)
    seconds = time.monotonic() - started
    judge = images.judge("digits")
    real, found = (judge.judge(np.asarray(each))[0] for each in (train.objects, drawn))
    return {"frechet": frechet_distance(real, found), "seconds": round(seconds, 2)}


def _told(diffusion: Callable[[], Model], train: Dataset, seed: int, share: float) -> dict[str, float]:
    """Frechet distance of what a diffusion network draws that is told a share of the noise level."""
    return _measured(train, diffusion(), seed, math.inf, partial(Told, share=share))


def _errors(diffusion: Callable[[], Model], train: Dataset, seed: int) -> dict[str, Any]:
    model = diffusion()
    rows = np.random.default_rng(seed).permutation(len(train))[:TRAJECTORIES]
    batch = encoded(model.adapter, train.take(rows), model.specs)
    found = noise_errors(model, batch, evaluations=EVALUATIONS, seed=seed)
    return {
        "second moment": found.second_moment,
        "D": found.dimension,
        "first guess": found.first_guess,
        "levels": list(found.levels),
        "bias": list(found.bias),
        "excess": list(found.excess),
    }


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {
    "agreement": agreement,
    "digits": digits,
    "rule": rule,
    "preconditioning": preconditioning,
}
BENCHMARK = Benchmark("dimension", "which D: cheap ways beside networks that are trained at each", main)
