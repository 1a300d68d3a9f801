"""Molecules: QM9, what papers report of 10,000 generated molecules, at finite D and at infinity with equal budget.

Beside it stand the published rows and the floor: molecules of the test part in the place of generated ones.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import modalities.graphs
from benchmarks import graph_scores, tables
from benchmarks.runner import (
    EARLY,
    WEIGHT,
    Benchmark,
    Table,
    by_early,
    dimension_argument,
    machine,
    parser,
    shipped,
    trained,
)
from modalities.graphs import Graphs
from modalities.graphs.molecule_metrics import evaluate, floor
from pfgm_science.data import Dataset
from pfgm_science.model import Guidance, Model
from pfgm_science.progress import progress

COUNT = 10_000  # FCD is biased by fewer
TEST, SPLIT_SEED = 20_000, 0  # half of them to compare with, half for the floor
EVALUATIONS = 35
DIMENSIONS = (512.0, math.inf)
SHORT: dict[str, Any] = {"batch_size": 128, "learning_rate": 1e-3, "checkpoint_every": 250, "steps": 1500}
LONG: dict[str, Any] = SHORT | {"steps": 20_000, "ema_half_life": 200_000}
SHIPPED, SHIPPED_DIMENSION = Path(modalities.graphs.__file__).parent / "models", 512.0
CARD = ("valid_without_correction", "unique", "novel", "fcd")  # figures in the shipped model

EXAMPLES = """  pfgm benchmark molecules sweep                   short runs of QM9 at two D
  pfgm benchmark molecules headline                the long run (goes on where it was cut)
  pfgm benchmark molecules ship                    the long run into the package
  pfgm benchmark molecules score new.smi --test test.smi --train train.smi
                                                   molecules that any generator wrote"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark molecules`."""
    built = parser("molecules", "QM9: validity, uniqueness, novelty, FCD and more.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of training and sampling, in the sweep")
    built.add_argument("--count", type=int, default=COUNT, help="molecules a cell (default: %(default)s)")
    graph_scores.add_options(built)
    arguments = built.parse_args(argv)
    graph_scores.check(arguments)
    return STUDIES[arguments.study](arguments) or 0


def sweep(arguments: argparse.Namespace) -> None:
    """Short runs at each D and seed."""
    table = _table("sweep", arguments, training=SHORT)
    for seed in arguments.seeds:
        for D in arguments.dimensions:
            key = {"D": D, "seed": seed, "guidance": 1.0}
            if table.find(key) is None:
                settings = {"dimension": D, "seed": seed} | SHORT
                model = trained(arguments, f"qm9-d{D:g}-seed{seed}", Graphs(), parts()[0], settings)
                table.cell(key, partial(measure, model, arguments.count, seed))
    _show(arguments, "molecules-sweep")


def headline(arguments: argparse.Namespace) -> None:
    """One long run at each D, judged at three seeds of sampling, with and without autoguidance by its early copy."""
    table = _table("headline", arguments, training=LONG)
    for weight, seed, D in product((1.0, WEIGHT), (0, 1, 2), arguments.dimensions):
        key = {"D": D, "seed": seed, "guidance": weight}
        if table.find(key) is None:
            model = headline_model(arguments, D)
            guidance = by_early(arguments, f"qm9-headline-d{D:g}", weight)
            table.cell(key, partial(measure, model, arguments.count, seed, guidance))
    _show(arguments, "molecules-headline")
    print(f"\nPublished:\n\n{tables.render('molecules-published', arguments.results)}")


def headline_model(arguments: argparse.Namespace, D: float) -> Model:
    """The network of the long run at D."""
    settings = {"dimension": D, "seed": 0} | LONG
    return trained(arguments, f"qm9-headline-d{D:g}", Graphs(), parts()[0], settings, early=EARLY)


def ship(arguments: argparse.Namespace) -> None:
    """The network of the long run into the folder of shipped models, with figures of its molecules."""

    def figures(model: Model) -> dict[str, float]:
        found = measure(model, arguments.count, 0)
        return {key: found[key] for key in CARD} | {"samples": arguments.count, "evaluations": EVALUATIONS}

    model = headline_model(arguments, SHIPPED_DIMENSION)
    shipped(model, SHIPPED / "qm9.safetensors", "pfgm benchmark molecules headline", figures)


def measure(model: Model, count: int, seed: int, guidance: Guidance | None = None) -> dict[str, Any]:
    """Figures of samples, and the seconds that drawing took."""
    started = time.monotonic()
    with progress("sampling molecules") as update:
        samples = model.sample(
            count, seed=1000 + seed, evaluations=EVALUATIONS, guidance=guidance, batch_size=1000, on_state=update
        )
    seconds = time.monotonic() - started
    return evaluate(samples, *references()).rows() | {"seconds": round(seconds, 1)}


@cache
def parts() -> tuple[Dataset, Dataset]:
    """Molecules to train on and those to compare with; the split is the same for every run."""
    data = Graphs().dataset("qm9")
    return data.split(TEST / len(data), SPLIT_SEED)


@cache
def references() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """SMILES of the training part, and of every other molecule of the test part.

    Its molecules stand in the order of the file, the small ones first: halves would not be alike.
    """
    train, test = parts()
    return graph_scores.smiles(train.objects), graph_scores.smiles(test.objects[::2])


def _table(study: str, arguments: argparse.Namespace, **protocol: Any) -> Table:
    """The table of a study with the protocol that its cells share, and the floor."""
    table = Table(f"molecules-{study}", arguments.results)
    table.describe(
        {
            "data": {"name": "qm9", "held out": TEST, "compared with": "every other"},
            "count": arguments.count,
            "evaluations": EVALUATIONS,
            **protocol,
        },
        again=arguments.again,
        command=f"pfgm benchmark molecules {study}",
        machine=machine(arguments.device),
    )
    key = {"floor": True}
    if table.find(key) is None:
        held_out = parts()[1].objects[1::2]
        table.cell(key, lambda: floor(held_out, *references(), count=arguments.count).rows())
    return table


def _show(arguments: argparse.Namespace, name: str) -> None:
    print(f"{arguments.results}: {name}\n\n{tables.render(name, arguments.results)}")


STUDIES: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "sweep": sweep,
    "headline": headline,
    "ship": ship,
    "score": graph_scores.molecules,
}
BENCHMARK = Benchmark("molecules", "QM9: validity, uniqueness, novelty, FCD, NSPDK, at finite D and infinity", main)
