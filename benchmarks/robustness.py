"""Robustness: of the exact field to errors in the state, and of the trained networks of several domains to troubles.

The exact field is the table of docs/physics.md, section 7: Gaussian data on a 64-dimensional subspace of N = 3072,
standard deviations log-spaced from 2 to 0.02; Heun with 18 steps; before each step x += alpha sigma z. Figure: Frechet
distance in the plane between samples and fresh data. The effect is the paper's (PFGM++, arXiv 2302.04265, section 5);
that it belongs to the field itself, and needs no network, is what this shows. The trained networks are those of the
sweeps of their domains, one trained at each D; the troubles those of `pfgm robustness`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import antibody, audio, graphs, images, rna, tables
from benchmarks.agreement import LARGE
from benchmarks.plane import PLANE, STEPS, N, floor, frechet_after
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from benchmarks.subjects import SUBJECTS, OfImages, unlabelled
from modalities.audio.adapter import Audio
from modalities.graphs import Graphs
from modalities.images.adapter import Images
from modalities.sequences.adapter import Sequences
from pfgm_science.adapters import Adapter
from pfgm_science.data import Dataset
from pfgm_science.distance import Distance
from pfgm_science.model import Model
from pfgm_science.progress import progress
from pfgm_science.robustness import TROUBLES, measure

DIMENSIONS = (64.0, 2048.0, math.inf)
SOLVER = "heun"  # of the networks: errors before each of 18 steps in 35 evaluations, as the authors inject them

EXAMPLES = """  pfgm benchmark robustness                        the exact field (about ten minutes on two cores)
  pfgm benchmark robustness --alphas 0.2 --dimensions 64 inf
  pfgm benchmark robustness digits --seeds 0 1     networks of `pfgm benchmark dimension digits`
  pfgm benchmark robustness airrdb --seeds 0 1     networks of `pfgm benchmark antibody sweep`"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark robustness`."""
    built = parser(
        "robustness", "Errors injected into sampling, with the exact field or with trained networks.", EXAMPLES
    )
    built.add_argument("of", nargs="?", choices=("field", *NETWORKS), default="field", help="default: the exact field")
    built.add_argument("--alphas", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.4], help="of the exact field")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    built.add_argument(
        "--count", type=int, help="samples a cell (default: 4000; of networks 500; of syllables and planar-20 200)"
    )
    built.add_argument("--troubles", nargs="+", choices=list(TROUBLES), default=list(TROUBLES), help="of the networks")
    built.set_defaults(runs=None)
    arguments = built.parse_args(argv)
    if arguments.of == "field":
        field(arguments)
    else:
        networks(arguments)
    return 0


def field(arguments: argparse.Namespace) -> None:
    """Errors of each size at each D, with the exact field."""
    count = arguments.count or 4000
    table = Table("robustness", arguments.results)
    table.describe(
        {"N": N, "plane": PLANE, "steps": STEPS, "count": count},
        again=arguments.again,
        command="pfgm benchmark robustness",
        machine=machine(),
    )
    for seed in arguments.seeds:
        table.cell({"floor": True, "seed": seed}, partial(floor, count, seed))
        for alpha in arguments.alphas:
            for D in arguments.dimensions or DIMENSIONS:
                table.cell({"alpha": alpha, "D": D, "seed": seed}, partial(frechet_after, alpha, D, count, seed))
    print(tables.render("robustness", arguments.results))


@dataclass(frozen=True)
class Networks:
    """The networks of a sweep, one trained at each D, and what their samples are compared with.

    benchmark: whose runs they are; prefix: of the names of the runs; count: of samples a cell; once: whether the one
    training of seed 0 is drawn from with every seed, where others have a training for each.
    """

    benchmark: str
    prefix: str
    adapter: Adapter
    settings: Mapping[str, Any]
    train: Callable[[], Dataset]
    distance: Callable[[Dataset], Distance] = Distance
    dimensions: tuple[float, ...] = (64.0, 512.0, math.inf)
    count: int = 500
    once: bool = False

    def model(self, arguments: argparse.Namespace, D: float, seed: int) -> Model:
        """The network that was trained at D with this seed, as the sweep trains it."""
        arguments.runs = arguments.runs or Path("runs/benchmarks") / self.benchmark
        seed = 0 if self.once else seed
        settings = {**self.settings, "dimension": D, "seed": seed}
        return trained(arguments, f"{self.prefix}d{D:g}-seed{seed}", self.adapter, self.train(), settings)


def networks(arguments: argparse.Namespace) -> None:
    """Every trouble of `pfgm robustness` at each D, on the networks of a sweep."""
    of = NETWORKS[arguments.of]
    count = arguments.count or of.count
    table = Table(f"robustness-{arguments.of}", arguments.results)
    table.describe(
        {"data": arguments.of, "training": dict(of.settings), "once": of.once, "count": count, "solver": SOLVER},
        again=arguments.again,
        command=f"pfgm benchmark robustness {arguments.of}",
        machine=machine(arguments.device),
    )
    distance, troubles = of.distance(of.train()), [TROUBLES[name] for name in arguments.troubles]
    for seed in arguments.seeds:
        subjects = {D: of.model(arguments, D, seed) for D in arguments.dimensions or of.dimensions}
        measure(subjects, distance, table, troubles=troubles, seeds=[seed], count=count, solver=SOLVER, watch=progress)
    print(tables.render(f"robustness-{arguments.of}", arguments.results))


def _large(data: str, steps: int) -> Networks:
    """The large networks of `pfgm benchmark dimension`."""
    of = SUBJECTS[data]
    prefix, settings = f"{data}-{LARGE}-{steps}-", of.settings(LARGE, steps)
    return Networks(
        "dimension", prefix, of.adapter, settings, of.train, lambda train: of.distance(), (4.0, 64.0, math.inf)
    )


NETWORKS = {
    "digits": _large("digits", 1500),
    "mnist5k": Networks(
        "images",
        "",
        Images(),
        images.SWEEP_TRAINING,
        partial(unlabelled, "mnist5k"),
        partial(OfImages, "mnist5k"),
        (16.0, 128.0, math.inf),
        once=True,
    ),
    "planar-20": Networks(
        "graphs",
        "planar-20-",
        Graphs(),
        graphs.TASKS["planar-20"].sweep,
        lambda: graphs.data("planar-20")[0],
        dimensions=(64.0, math.inf),
        count=200,
        once=True,
    ),
    "cytometry": _large("cytometry", 1500),
    "airrdb": Networks("antibody", "", Sequences(), antibody.SHORT, lambda: antibody.task_named("airrdb").train),
    "5s-rrna": Networks("rna", "5s-rrna-", Sequences(), rna.SHORT, lambda: rna.task_named("5s-rrna").train),
    "syllables": Networks(
        "audio",
        "syllables-",
        Audio(),
        audio.SHORT["syllables"],
        lambda: audio.task_named("syllables").train,
        count=200,
        once=True,
    ),
}
BENCHMARK = Benchmark(
    "robustness", "errors and other troubles against D, with the exact field and with trained networks", main
)
