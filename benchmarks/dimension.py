"""The sweet spot: do the cheap ways to D agree with networks that are trained at each D?

`agreement` reads the tables of the sweeps of every domain and measures nothing. `digits`, `cytometry` and `5s-rrna`
train networks of two sizes at each D, because the theory says that a worse network wants a smaller D; beside each curve
stand a search that stops the hopeless early, and the D that the errors of the diffusion network along its own
trajectories suggest. `rule` tests that guess where all is exact but for errors of a known size. `preconditioning`
compares what networks are told of their noise at small D, `noise` solvers with noise on the way and without.
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

from benchmarks import plane, sweeps, tables
from benchmarks.agreement import ALONG, LARGE, SMALL
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from benchmarks.subjects import SUBJECTS, Subject
from pfgm_science.batch import Batch, Condition
from pfgm_science.data import Dataset
from pfgm_science.denoiser import PRECONDITIONINGS, Denoiser, Wrapper
from pfgm_science.distance import Distance
from pfgm_science.model import Drawing, Model, encoded
from pfgm_science.noise_error import errors_of, noise_errors
from pfgm_science.progress import progress
from pfgm_science.robustness import step_errors
from pfgm_science.schedule import karras
from pfgm_science.search import Search
from pfgm_science.solvers import DEFAULT

ALPHAS, RULE_SIZES, RULE_COUNT = (0.05, 0.1, 0.2, 0.4), (256, 3072), 1000
RULE_DIMENSIONS = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, math.inf)
PRECONDITIONED = (1.0, 4.0, 16.0, 64.0)
TOLD = (0.8, 0.9, 1.1)  # times the noise level that there is
COUNT, EVALUATIONS, TRAJECTORIES = 1000, 35, 256
ON_THE_WAY, SOLVERS_BESIDE = (35, 20), (DEFAULT, "heun", "stochastic")
SEARCHED = (2, 3)  # seeds of the search, which is judged by networks of other seeds

EXAMPLES = """  pfgm benchmark dimension agreement              from the tables of the sweeps; nothing is measured
  pfgm benchmark dimension digits                 two networks, two budgets, every D (goes on where it was cut)
  pfgm benchmark dimension cytometry              as much of numbers; 5s-rrna of sequences
  pfgm benchmark dimension preconditioning        EDM's, the variance's, and what x shows
  pfgm benchmark dimension noise                  solvers with noise on the way and without
  pfgm benchmark dimension rule                   the guess from errors along the way, where all else is exact
  pfgm benchmark dimension digits --networks small --steps 200 --seeds 0"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark dimension`."""
    built = parser("dimension", "Which D: cheap ways beside networks that are trained at each.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to show or measure")
    built.add_argument("--networks", nargs="+", choices=(SMALL, LARGE), default=[SMALL, LARGE])
    built.add_argument("--steps", nargs="+", type=int, help="budgets (default: those of the data)")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", metavar="D", help="default: as the data say")
    built.add_argument(
        "--data", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS), help="of preconditioning and of noise"
    )
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    built.add_argument("--ways", nargs="+", choices=sweeps.WAYS, default=sweeps.WAYS)
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


def agreement(arguments: argparse.Namespace) -> None:
    """The table that is made from those of the sweeps."""
    print(tables.render("dimension-agreement", arguments.results))


def sizes(arguments: argparse.Namespace) -> None:
    """A table for each network and budget, as the sweeps of the other domains have it, and beside it the search.

    Besides what errors along the way suggest, and what becomes of samples where the diffusion network is told a level
    that is not there: `at_dimension` tells it another level than sigma as well, and this is what that alone does.
    """
    data, subject = arguments.study, SUBJECTS[arguments.study]
    train, distance = subject.train(), subject.distance()
    arguments.dimensions = arguments.dimensions or list(subject.dimensions)
    for size, steps in product(arguments.networks, arguments.steps or subject.of.steps):
        name, settings = f"{data}-{size}-{steps}", subject.settings(size, steps)
        table = Table(f"dimension-{name}", arguments.results)
        table.describe(
            {"data": data, "training": settings, "count": COUNT, "evaluations": EVALUATIONS},
            again=arguments.again,
            command=f"pfgm benchmark dimension {data} --networks {size} --steps {steps}",
            machine=machine(arguments.device),
        )
        measure = partial(_measured, subject, distance)
        sweeps.sweep(table, arguments, subject.adapter, train, settings, measure, f"{name}-", subject.bounds)
        for seed in arguments.seeds:
            run, there = f"{name}-dinf-seed{seed}", settings | {"dimension": math.inf, "seed": seed}
            diffusion = partial(trained, arguments, run, subject.adapter, train, there)
            table.cell({"errors": ALONG, "seed": seed}, partial(_errors, diffusion, train, seed))
            for share in TOLD:
                table.cell({"told": share, "seed": seed}, partial(_told, subject, distance, diffusion, seed, share))
        search = Search(
            subject.adapter, train, distance, arguments.runs / f"{name}-search", {**settings, "validation": 0.0}, COUNT,
            EVALUATIONS, arguments.device, progress,
        )  # fmt: skip
        key = {"search": list(SEARCHED), "dimensions": arguments.dimensions}
        table.cell(key, partial(_searched, search, arguments.dimensions))
    print(tables.render(f"dimension-{data}", arguments.results))


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
        told = table.cell({**of, "errors": ALONG}, partial(_disturbed_errors, N, alpha, seed))
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
    """What the network is told of the noise, at small D, with the longer budget."""
    table = Table("dimension-preconditioning", arguments.results)
    settings = {
        (data, size): SUBJECTS[data].settings(size, SUBJECTS[data].of.steps[-1])
        for data, size in product(SUBJECTS, (SMALL, LARGE))
    }
    table.describe(
        {
            "training": {f"{data}, {size}": training for (data, size), training in settings.items()},
            "count": COUNT,
            "evaluations": EVALUATIONS,
        },
        again=arguments.again,
        command="pfgm benchmark dimension preconditioning",
        machine=machine(arguments.device),
    )
    for (data, size), training in settings.items():
        if size not in arguments.networks or data not in arguments.data:
            continue
        subject = SUBJECTS[data]
        train, distance = subject.train(), subject.distance()
        for seed, name, D in product(arguments.seeds, PRECONDITIONINGS, arguments.dimensions or PRECONDITIONED):
            if name == "matched" and D <= 2:  # the noise has no variance
                continue
            key = {"data": data, "network": size, "preconditioning": name, "D": D, "seed": seed}
            if table.find(key) is None:
                of = {"dimension": D, "preconditioning": name, "seed": seed}
                # The runs of the study on sizes, where it has them.
                run = f"{data}-{size}-{training['steps']}-d{D:g}-seed{seed}" + ("" if name == "edm" else f"-{name}")
                model = trained(arguments, run, subject.adapter, train, training | of)
                table.cell(key, partial(_measured, subject, distance, model, seed, D))
    print(tables.render("dimension-preconditioning", arguments.results))


def noise(arguments: argparse.Namespace) -> None:
    """Solvers with noise on the way and without, at equal evaluations: the large networks, the longer budget."""
    table = Table("dimension-noise", arguments.results)
    settings = {data: SUBJECTS[data].settings(LARGE, SUBJECTS[data].of.steps[-1]) for data in SUBJECTS}
    table.describe(
        {"training": settings, "count": COUNT},
        again=arguments.again,
        command="pfgm benchmark dimension noise",
        machine=machine(arguments.device),
    )
    for data in arguments.data:
        subject, distance = SUBJECTS[data], SUBJECTS[data].distance()
        for seed, D in product(arguments.seeds, arguments.dimensions or subject.dimensions):
            run = f"{data}-{LARGE}-{settings[data]['steps']}-d{D:g}-seed{seed}"
            of = settings[data] | {"dimension": D, "seed": seed}
            model = trained(arguments, run, subject.adapter, subject.train(), of)
            for evaluations, solver in product(ON_THE_WAY, SOLVERS_BESIDE):
                key = {"data": data, "D": D, "seed": seed, "evaluations": evaluations, "solver": solver}
                how = Drawing(evaluations=evaluations, solver=solver)
                table.cell(key, partial(_measured, subject, distance, model, seed, D, how))
    print(tables.render("dimension-noise", arguments.results))


class Told(Wrapper):
    """A denoiser that is told a share of the noise level that there is."""

    def __init__(self, denoiser: Denoiser, share: float) -> None:
        self.denoiser, self.share = denoiser, share

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        return self.denoiser(x, self.share * sigma, condition, mask)


def _measured(
    subject: Subject, distance: Distance, model: Model, seed: int, D: float, how: Drawing | None = None
) -> dict[str, float]:
    """Distance of samples to data, and the seconds of both. how: of drawing, where it is not as elsewhere."""
    started = time.monotonic()
    usual = Drawing(seed=1000 + seed, dimension=D, evaluations=EVALUATIONS, batch_size=COUNT)
    found = distance(model, COUNT, usual | (how or Drawing()))
    return {subject.of.figure: found, "seconds": round(time.monotonic() - started, 2)}


def _told(
    subject: Subject, distance: Distance, diffusion: Callable[[], Model], seed: int, share: float
) -> dict[str, float]:
    """Distance of what a diffusion network draws that is told a share of the noise level."""
    return _measured(subject, distance, diffusion(), seed, math.inf, Drawing(steer=partial(Told, share=share)))


def _searched(search: Search, dimensions: Sequence[float]) -> dict[str, Any]:
    """What a search finds: the best D, those like it, distances over the seeds, and those stopped early."""
    found = search.run(dimensions, SEARCHED).to_json()
    steps, judged = search.work()
    return found | {"steps": steps, "judged": judged}


def _errors(diffusion: Callable[[], Model], train: Dataset, seed: int) -> dict[str, Any]:
    model, started = diffusion(), time.monotonic()
    rows = np.random.default_rng(seed).permutation(len(train))[:TRAJECTORIES]
    batch = encoded(model.adapter, train.take(rows), model.specs)
    found = noise_errors(model, batch, evaluations=EVALUATIONS, seed=seed)
    return {
        "second moment": found.second_moment,
        "told from none": found.resolution,
        "D": found.dimension,
        "first guess": found.first_guess,
        "levels": list(found.levels),
        "bias": list(found.bias),
        "excess": list(found.excess),
        "seconds": round(time.monotonic() - started, 2),
    }


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {
    "agreement": agreement,
    **dict.fromkeys(SUBJECTS, sizes),
    "rule": rule,
    "preconditioning": preconditioning,
    "noise": noise,
}
BENCHMARK = Benchmark("dimension", "which D: cheap ways beside networks that are trained at each", main)
