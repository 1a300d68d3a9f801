"""Categories alone: random categorical laws over four places, where the divergence of samples from the law is known.

The toy of Dirichlet flow matching (Stark et al., arXiv 2402.05841): each place has a table of K probabilities,
drawn evenly from all such tables. A network of sequences learns it from draws; KL(law || samples) is summed over the
places. The floor is fresh draws of the law in the place of samples.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from benchmarks import tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser
from modalities.sequences.network import MLPConfig, SequenceMLP
from pfgm_science.batch import Batch
from pfgm_science.codebook import Codebook
from pfgm_science.config import RunConfig, update
from pfgm_science.denoiser import Preconditioned, Remembering
from pfgm_science.noise import StudentT, generators
from pfgm_science.objective import CrossEntropy
from pfgm_science.progress import progress
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import Levels, karras
from pfgm_science.solvers import Trig2M
from pfgm_science.training import train

Array = np.ndarray[Any, Any]

PLACES = 4
CLASSES = (4, 20, 40, 160)
DIMENSIONS = (16.0, 128.0, 2048.0, math.inf)
DATA, COUNT, AT_ONCE = 50_000, 50_000, 5_000  # draws to learn from; samples, and how many at a time
EVALUATIONS = 35
NETWORK = MLPConfig(width=32, hidden=128, depth=2)
TRAINING: dict[str, Any] = {"steps": 2000, "batch_size": 256, "learning_rate": 1e-3, "ema_half_life": 50_000}
LEVELS: dict[str, Any] = {"std": 1.0, "sigma_min": 0.05, "sigma_max": 20.0}

EXAMPLES = """  pfgm benchmark simplex                           every K, D and seed (resumes where it was cut)
  pfgm benchmark simplex --classes 4 --dimensions inf"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark simplex`."""
    built = parser("simplex", "KL(law || samples) of random categorical laws against K and D.", EXAMPLES)
    built.add_argument("--classes", type=int, nargs="+", default=list(CLASSES), metavar="K")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    run(built.parse_args(argv))
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Fill the table `simplex`: a cell for each K, D and seed, and a floor for each K and seed."""
    table = Table("simplex", arguments.results)
    table.describe(
        {"training": TRAINING, "data": DATA, "count": COUNT, "evaluations": EVALUATIONS},
        again=arguments.again,
        command="pfgm benchmark simplex",
        machine=machine(arguments.device),
    )
    for K, seed in product(arguments.classes, arguments.seeds):
        law = law_of(K, seed)
        table.cell({"K": K, "seed": seed, "floor": True}, partial(floor, law, seed))
        for D in arguments.dimensions:
            table.cell({"K": K, "D": D, "seed": seed}, partial(learnt, law, D, seed, arguments.device))
    print(tables.render("simplex", arguments.results))


def floor(law: Array, seed: int) -> dict[str, float]:
    """Fresh draws in the place of samples."""
    return {"kl": divergence(law, draws(law, COUNT, seed + 100))}


def law_of(K: int, seed: int) -> Array:
    """The probabilities of K classes at each place: [places, K]."""
    table: Array = np.random.default_rng([K, seed]).dirichlet(np.ones(K), PLACES)
    return table


def draws(law: Array, count: int, seed: int) -> Array:
    """Classes of so many samples of the law: int64 [count, places]."""
    rng = np.random.default_rng([len(law[0]), seed, 1])
    return np.stack([rng.choice(len(row), count, p=row) for row in law], 1)


def divergence(law: Array, classes: Array) -> float:
    """KL(law || shares of the classes) in nats, summed over places; half a draw is added to every class."""
    total = 0.0
    for place, row in enumerate(law):
        counts = np.bincount(classes[:, place], minlength=len(row)) + 0.5
        total += float((row * np.log(row / (counts / counts.sum()))).sum())
    return total


def learnt(law: Array, D: float, seed: int, device: str) -> dict[str, Any]:
    """Figures of samples of a network that was trained at D."""
    started = time.monotonic()
    book = Codebook(len(law[0]))
    seen = draws(law, DATA, seed)
    mean = {"mean": round(math.log(0.35 * book.distance), 3)}
    config = update(RunConfig(dimension=D, seed=seed), {"training": TRAINING, "levels": LEVELS | mean})
    torch.manual_seed(seed)
    shares = np.stack([np.bincount(seen[:, place], minlength=book.size) + 0.5 for place in range(PLACES)])
    prior = torch.from_numpy(shares / shares.sum(1, keepdims=True)).float().log()
    network = SequenceMLP(PLACES, book, prior, NETWORK)
    denoiser = Preconditioned(network, 0.5).to(device)
    with progress(f"training K = {book.size}, D = {D:g}") as say:
        trained = train(
            denoiser,
            Batch(book.encode(torch.from_numpy(seen))),
            config,
            objective=CrossEntropy(book),
            on_step=lambda at: say(at.step, at.steps),
        )
    levels = Levels(**vars(config.levels))
    grid = karras(EVALUATIONS, levels.sigma_min, levels.sigma_max)
    found = []
    for first in range(0, COUNT, AT_ONCE):
        source = generators(range(seed * COUNT + first, seed * COUNT + first + AT_ONCE))
        shape = (AT_ONCE, PLACES, book.size)
        x = StudentT(D).prior(shape, levels.sigma_max, generator=source, dtype=torch.float64, device=device)
        with torch.no_grad():
            end = last(sample(Remembering(trained), x, grid, solver=Trig2M(0.5))).x
        found.append(book.symbols(end.cpu()))
    kl = divergence(law, torch.cat(found).numpy())
    return {"kl": kl, "seconds": round(time.monotonic() - started, 1)}


BENCHMARK = Benchmark("simplex", "random categorical laws: KL(law || samples) against K and D", main)
