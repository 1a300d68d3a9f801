"""Antibody heavy chains: what a model of airrdb draws, beside held-out clones, simple baselines and D.

Clones are kept on one side of the split. Of the held-out ones half are compared with and half are the floor, in the
place of samples. The ladder stands below: sites drawn independently of each other, and pairs of neighbouring sites
(a Markov chain along the columns). Judges that other people wrote (AntPack, OASis) are asked where they are installed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser, trained
from modalities.sequences import Sequences, antibody_judges
from modalities.sequences.alphabet import PROTEIN
from modalities.sequences.frame import Frame
from modalities.sequences.metrics import Reference, evaluate
from modalities.sequences.objects import text_of, without_gaps
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError
from pfgm_science.model import Model
from pfgm_science.progress import progress

Array = np.ndarray[Any, Any]

HELD_OUT, SPLIT_SEED = 0.2, 0
COUNT, EVALUATIONS = 1000, 35
DIMENSIONS = (64.0, 128.0, 512.0, 2048.0, math.inf)
DIMENSION_RANGE = (32.0, 4096.0)
SHORT: dict[str, Any] = {
    "steps": 5000,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "ema_half_life": 30_000,
    "condition_dropout": 0.3,
    "network": {"width": 16, "hidden": 160, "depth": 3},
}
LONG: dict[str, Any] = SHORT | {"steps": 40_000, "ema_half_life": 200_000}
HEADLINE_DIMENSION = 512.0

EXAMPLES = """  pfgm benchmark antibody sweep         D, two seeds, one network for every D (goes on where it was cut)
  pfgm benchmark antibody headline      the long run and the ladder"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark antibody`."""
    built = parser("antibody", "Antibody heavy chains against D, held-out clones and baselines.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of training and sampling, in the sweep")
    built.add_argument("--ways", nargs="+", choices=("trained", "one-network"), default=("trained", "one-network"))
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


def sweep(arguments: argparse.Namespace) -> None:
    """Short runs trained at each D, and one network for every D."""
    table = _table("sweep", arguments, SHORT)
    for seed, way, D in product(arguments.seeds, arguments.ways, arguments.dimensions):
        key = {"way": way, "D": D, "seed": seed}
        if table.find(key) is None:
            of = {"dimension": D} if way == "trained" else {"dimension": 512.0, "dimension_range": DIMENSION_RANGE}
            run = f"d{D:g}" if way == "trained" else "any"
            model = trained(arguments, f"{run}-seed{seed}", Sequences(), parts()[0], SHORT | of | {"seed": seed})
            table.cell(key, partial(measure, model, seed, D))
    print(tables.render("antibody-sweep", arguments.results))


def headline(arguments: argparse.Namespace) -> None:
    """The long run at three seeds of sampling, and the ladder below it."""
    table = _table("headline", arguments, LONG)
    for (name, draw), seed in product(LADDER.items(), range(3)):
        table.cell({"baseline": name, "seed": seed}, partial(_baseline, draw, seed))
    for seed in range(3):
        key = {"D": HEADLINE_DIMENSION, "seed": seed}
        if table.find(key) is None:
            settings = LONG | {"dimension": HEADLINE_DIMENSION, "seed": 0}
            model = trained(arguments, "headline", Sequences(), parts()[0], settings)
            table.cell(key, partial(measure, model, seed))
    print(tables.render("antibody-headline", arguments.results))


def headline_model(arguments: argparse.Namespace) -> Model:
    """The network of the long run."""
    settings = LONG | {"dimension": HEADLINE_DIMENSION, "seed": 0}
    return trained(arguments, "headline", Sequences(), parts()[0], settings)


def measure(model: Model, seed: int, dimension: float | None = None) -> dict[str, Any]:
    """Figures of samples that have the V and J genes of training sequences drawn at random."""
    train = parts()[0]
    rows = np.random.default_rng([seed, 1]).integers(len(train), size=COUNT)
    condition = {name: np.asarray(value)[rows] for name, value in train.condition.items()}
    started = time.monotonic()
    with progress("sampling antibodies") as update:
        samples = model.sample(
            COUNT,
            seed=1000 + seed,
            condition=condition,
            dimension=dimension,
            evaluations=EVALUATIONS,
            on_state=update,
        )
    seconds = time.monotonic() - started
    return judged([text_of(sample) for sample in samples]) | {"seconds": round(seconds, 1)}


def _baseline(draw: Callable[[int], list[str]], seed: int) -> dict[str, Any]:
    return judged(draw(seed))


def judged(texts: Sequence[str]) -> dict[str, Any]:
    """Figures that need no judge, and those of the judges where they are installed."""
    figures: dict[str, Any] = evaluate(texts, reference())
    try:
        figures |= antibody_judges.evaluate(_plain(texts), _plain(reference().real))
    except PfgmError as error:
        figures["judges"] = str(error)
    return figures


@cache
def parts() -> tuple[Dataset, Dataset, Dataset]:
    """To train on, to compare with, and the floor; no clone is in two of them."""
    train, held_out = Sequences().dataset("airrdb").split(HELD_OUT, SPLIT_SEED)
    return train, *held_out.split(0.5, SPLIT_SEED)


@cache
def reference() -> Reference:
    train, real, _ = parts()
    return Reference(_texts(real), _texts(train), PROTEIN, Frame.restore(train.details["frame"]))


def held_out(seed: int) -> list[str]:
    """Real antibodies in the place of samples: the floor."""
    return _drawn(_texts(parts()[2]), seed)


def independent(seed: int) -> list[str]:
    """Each column by itself, with the frequencies of the training part."""
    found, rng = reference().train_numbers, np.random.default_rng([seed, 2])
    columns = [rng.choice(found[:, column], COUNT) for column in range(found.shape[1])]
    return [PROTEIN.text(row) for row in np.stack(columns, 1)]


def neighbours(seed: int) -> list[str]:
    """Each column given the one before it: a Markov chain along the columns."""
    found, rng = reference().train_numbers, np.random.default_rng([seed, 3])
    rows = [rng.choice(found[:, 0], COUNT)]
    for column in range(1, found.shape[1]):
        before, here = found[:, column - 1], found[:, column]
        followers = {symbol: here[before == symbol] for symbol in np.unique(before)}
        rows.append(np.array([rng.choice(followers[symbol]) for symbol in rows[-1]]))
    return [PROTEIN.text(row) for row in np.stack(rows, 1)]


LADDER: dict[str, Callable[[int], list[str]]] = {
    "held-out clones (floor)": held_out,
    "independent sites": independent,
    "pairs of neighbours": neighbours,
}


def _drawn(texts: Sequence[str], seed: int) -> list[str]:
    order = np.random.default_rng([seed, 4]).permutation(len(texts))[:COUNT]
    return [texts[i] for i in order]


def _texts(data: Dataset) -> list[str]:
    return [text_of(record) for record in data.objects]


def _plain(texts: Sequence[str]) -> list[str]:
    return [without_gaps(text) for text in texts]


def _table(study: str, arguments: argparse.Namespace, training: dict[str, Any]) -> Table:
    table = Table(f"antibody-{study}", arguments.results)
    table.describe(
        {
            "data": {"name": "airrdb", "held out": HELD_OUT, "split": "by clones"},
            "count": COUNT,
            "evaluations": EVALUATIONS,
            "conditions": "V and J gene of random training sequences",
            "training": training,
        },
        again=arguments.again,
        command=f"pfgm benchmark antibody {study}",
        machine=machine(arguments.device),
    )
    return table


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {"sweep": sweep, "headline": headline}
BENCHMARK = Benchmark("antibody", "airrdb: antibody heavy chains against D, held-out clones and baselines", main)
