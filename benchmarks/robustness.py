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

from benchmarks import antibody, audio, rna, tables
from benchmarks.agreement import LARGE
from benchmarks.plane import PLANE, STEPS, N, floor, frechet_after
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from benchmarks.subjects import SUBJECTS, OfDigits
from modalities.audio.adapter import Audio
from modalities.images.adapter import Images
from modalities.sequences.adapter import Sequences
from pfgm_science.adapters import Adapter
from pfgm_science.data import Dataset
from pfgm_science.distance import Distance
from pfgm_science.model import Model
from pfgm_science.progress import progress
from pfgm_science.robustness import measure

DIMENSIONS = (64.0, 2048.0, math.inf)

EXAMPLES = """  pfgm benchmark robustness                        the exact field (about ten minutes on two cores)
  pfgm benchmark robustness --alphas 0.2 --dimensions 64 inf
  pfgm benchmark robustness digits                 networks of `pfgm benchmark dimension digits`
  pfgm benchmark robustness airrdb                 networks of `pfgm benchmark antibody sweep`"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark robustness`."""
    built = parser(
        "robustness", "Errors injected into sampling, with the exact field or with trained networks.", EXAMPLES
    )
    built.add_argument("of", nargs="?", choices=("field", *NETWORKS), default="field", help="default: the exact field")
    built.add_argument("--alphas", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.4], help="of the exact field")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    built.add_argument("--count", type=int, help="samples a cell (default: 4000; of networks 500)")
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

    benchmark: whose runs they are; prefix: of the names of the runs.
    """

    benchmark: str
    prefix: str
    adapter: Adapter
    settings: Mapping[str, Any]
    train: Callable[[], Dataset]
    distance: Callable[[Dataset], Distance] = Distance
    dimensions: tuple[float, ...] = (64.0, 512.0, math.inf)

    def model(self, arguments: argparse.Namespace, D: float) -> Model:
        """The network that was trained at D with seed 0, as the sweep trains it."""
        arguments.runs = arguments.runs or Path("runs/benchmarks") / self.benchmark
        settings = {**self.settings, "dimension": D, "seed": 0}
        return trained(arguments, f"{self.prefix}d{D:g}-seed0", self.adapter, self.train(), settings)


def networks(arguments: argparse.Namespace) -> None:
    """Every trouble of `pfgm robustness` at each D, on the networks of a sweep."""
    of, count = NETWORKS[arguments.of], arguments.count or 500
    table = Table(f"robustness-{arguments.of}", arguments.results)
    table.describe(
        {"data": arguments.of, "training": dict(of.settings), "count": count},
        again=arguments.again,
        command=f"pfgm benchmark robustness {arguments.of}",
        machine=machine(arguments.device),
    )
    subjects = {D: of.model(arguments, D) for D in arguments.dimensions or of.dimensions}
    measure(subjects, of.distance(of.train()), table, seeds=arguments.seeds, count=count, watch=progress)
    print(tables.render(f"robustness-{arguments.of}", arguments.results))


NETWORKS = {
    "digits": Networks(
        "dimension",
        "digits-large-1500-",
        Images(),
        SUBJECTS["digits"].settings(LARGE, 1500),
        SUBJECTS["digits"].train,
        OfDigits,
        (4.0, 64.0, math.inf),
    ),
    "airrdb": Networks("antibody", "", Sequences(), antibody.SHORT, lambda: antibody.task_named("airrdb").train),
    "5s-rrna": Networks("rna", "5s-rrna-", Sequences(), rna.SHORT, lambda: rna.task_named("5s-rrna").train),
    "syllables": Networks(
        "audio", "syllables-", Audio(), audio.SHORT["syllables"], lambda: audio.task_named("syllables").train
    ),
}
BENCHMARK = Benchmark(
    "robustness", "errors and other troubles against D, with the exact field and with trained networks", main
)
