"""Vectors: 2-D toys, heavy tails, a mixture with an exact density, and real tables, against D.

Figures per set: sliced Wasserstein distance to held-out data (heavy tails: the errors of tail quantiles and of tail
dependence instead, since a Cauchy law has no mean), accuracy of a two-sample classifier (0.5 is perfect), and where the
density is known the mean log-likelihood of samples. Beside them the floor: fresh or held-out data in the place of
samples.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from modalities.vectors import datasets
from modalities.vectors.adapter import Vectors
from pfgm_science.data import Dataset
from pfgm_science.metrics import sliced_wasserstein, two_sample_test
from pfgm_science.model import Model

DIMENSIONS = (1.0, 8.0, 128.0, math.inf)
TAIL_LEVELS = (0.99, 0.999, 0.9999)
DEPENDENCE = (0.05, 0.01)  # shares of a column that count as its lower tail
TRAINING = {"steps": 2500, "batch_size": 256, "network": {"width": 128}, "preconditioning": "edm"}  # the same at all D
COUNT = 10_000

EXAMPLES = """  pfgm benchmark vectors                           every set, D and seed (resumes where it was cut)
  pfgm benchmark vectors --sets cauchy-mixture --dimensions 1 inf"""


@dataclass(frozen=True)
class Study:
    """One set: how training and fresh data are drawn, and which figures suit it."""

    draw: Callable[[int], tuple[Dataset, np.ndarray]]
    heavy: bool = False
    log_prob: Callable[[np.ndarray], np.ndarray] | None = None


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark vectors`."""
    built = parser("vectors", "Toys, heavy tails and tables against D.", EXAMPLES)
    built.add_argument(
        "--sets",
        nargs="+",
        choices=list(STUDIES),
        default=list(STUDIES),
        metavar="NAME",
        help=f"among {', '.join(STUDIES)}",
    )
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    built.add_argument("--steps", type=int, default=TRAINING["steps"], help="training steps a run")
    run(built.parse_args(argv))
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Fill the table `vectors`: one cell a set, D and seed, and one floor a set and seed."""
    table = Table("vectors", arguments.results)
    training = TRAINING | {"steps": arguments.steps}
    table.describe(
        {"training": training, "count": COUNT},
        again=arguments.again,
        command="pfgm benchmark vectors",
        machine=machine(arguments.device),
    )
    for name in arguments.sets:
        study = STUDIES[name]
        for seed in arguments.seeds:
            train, fresh = study.draw(seed)
            other = study.draw(1000 + seed)[1]
            table.cell({"set": name, "floor": True, "seed": seed}, partial(figures, study, other, fresh))
            for D in arguments.dimensions:
                key = {"set": name, "D": D, "seed": seed}
                settings = training | {"dimension": D, "seed": seed}
                fitted = partial(trained, arguments, f"{name}-d{D:g}-seed{seed}", Vectors(), train, settings)
                table.cell(key, partial(_sampled, study, fitted, fresh))
    print(tables.render("vectors", arguments.results), tables.render("tails", arguments.results), sep="\n\n")


def figures(study: Study, samples: np.ndarray, fresh: np.ndarray) -> dict[str, Any]:
    """Distances of samples to fresh data of the same law."""
    found: dict[str, Any] = {"two_sample_accuracy": two_sample_test(samples, fresh, classifier="boosting").accuracy}
    if study.heavy:
        found |= {f"tail_{level}": error for level, error in tail_errors(samples, fresh).items()}
        found |= {f"dependence_{q}": tail_dependence(samples, q) - tail_dependence(fresh, q) for q in DEPENDENCE}
    else:
        scale = fresh.std(axis=0)
        found["sliced_wasserstein"] = sliced_wasserstein(samples / scale, fresh / scale, directions=256)
    if study.log_prob is not None:
        found["log_likelihood"] = float(study.log_prob(samples).mean())
    return found


def tail_errors(samples: np.ndarray, fresh: np.ndarray) -> dict[float, float]:
    """log of the ratio of the quantiles of |x| (all coordinates pooled), samples over fresh data: 0 is perfect."""
    ours, theirs = np.abs(samples).ravel(), np.abs(fresh).ravel()
    return {q: float(np.log(np.quantile(ours, q) / np.quantile(theirs, q))) for q in TAIL_LEVELS}


def tail_dependence(values: np.ndarray, q: float) -> float:
    """How often both of the first two columns are among their own q smallest, over how often one is: 1 is always.

    Independent columns have q. The lower tail dependence of extreme value theory is the limit at q = 0.
    """
    low = values[:, :2] <= np.quantile(values[:, :2], q, axis=0)
    return float(low.all(axis=1).mean() / q)


def _sampled(study: Study, fitted: Callable[[], Model], fresh: np.ndarray) -> dict[str, Any]:
    started = time.monotonic()
    model = fitted()
    samples = model.sample(len(fresh), seed=7, batch_size=2500)
    return figures(study, samples, fresh) | {"seconds": round(time.monotonic() - started, 1)}


def _synthetic(make: Callable[..., Dataset]) -> Callable[[int], tuple[Dataset, np.ndarray]]:
    def draw(seed: int) -> tuple[Dataset, np.ndarray]:
        return make(count=COUNT, seed=seed), np.asarray(make(count=COUNT, seed=500 + seed).objects)

    return draw


def _table(name: str) -> Callable[[int], tuple[Dataset, np.ndarray]]:
    """Half a table to train on and half to compare with; the floor is the training half itself."""

    def draw(seed: int) -> tuple[Dataset, np.ndarray]:
        train, held_out = datasets.load(name).split(0.5, seed % 1000)
        return Dataset(train.objects, {}, train.name, train.licence, train.source), (
            np.asarray(train.objects) if seed >= 1000 else np.asarray(held_out.objects)
        )

    return draw


STUDIES = {
    "eight-gaussians": Study(_synthetic(datasets.eight_gaussians)),
    "moons": Study(_synthetic(datasets.moons)),
    "spirals": Study(_synthetic(datasets.spirals)),
    "student-mixture": Study(_synthetic(datasets.student_mixture), heavy=True),
    "cauchy-mixture": Study(_synthetic(datasets.cauchy_mixture), heavy=True),
    "returns": Study(_table("returns"), heavy=True),
    "cytometry": Study(_synthetic(datasets.cytometry), log_prob=datasets.cytometry_log_prob),
    "wine": Study(_table("wine")),
    "breast-cancer": Study(_table("breast-cancer")),
}

BENCHMARK = Benchmark("vectors", "2-D toys, heavy tails, an exact density and real tables, against D", main)
