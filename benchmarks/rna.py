"""Families of RNAs: what a model of one draws, beside held-out members, simple baselines, the covariance model, and D.

Groups of sequences that are alike are kept on one side of the split. Of the held-out ones half are compared with and
half are the floor, in the place of samples. The ladder: members in another order with as many of every pair of
neighbours, a Markov chain of order 3, and draws of the family's covariance model by Infernal's cmemit. Judges that
other people wrote (Infernal, ARAGORN, ViennaRNA) are asked where they are installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import modalities.sequences
from benchmarks import sequences, sweeps, tables
from benchmarks.runner import Benchmark, Table, machine, parser, shipped, trained
from benchmarks.sequences import COUNT, EVALUATIONS, texts_of
from modalities.sequences import Fold, Sequences, infernal, rna_judges
from modalities.sequences.alphabet import RNA
from modalities.sequences.baselines import Markov, shuffled
from modalities.sequences.frame import Frame, pairs_of
from modalities.sequences.metrics import Reference, evaluate, kmers_apart
from modalities.sequences.objects import records, text_of, without_gaps
from modalities.sequences.rna_sets import FAMILIES
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.model import Model
from pfgm_science.progress import progress
from pfgm_science.shipped import FOLDER

HELD_OUT, SPLIT_SEED = 0.2, 0
SETS = ("trna", "5s-rrna", "rnase-p", "cobalamin")
SHORT: dict[str, Any] = {
    "steps": 5000,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "decay": "cosine",
    "ema_half_life": 60_000,
    "condition_dropout": 0.3,
    "network": {"width": 16, "hidden": 160, "depth": 3},  # and what the adapter's recipe says of so many sequences
}
LONG: dict[str, Any] = SHORT | {"steps": 8000}
HEADLINE_DIMENSION, SEEDS = 512.0, 3
MIXED = ("trna", "5s-rrna")  # whose letters without columns the model of free lengths learns
TARGETS, EACH = 50, 4  # folds of held-out members, and designs to each
STRENGTHS = (0.0, 1.0, 2.0, 4.0)
FREE: dict[str, Any] = {
    "steps": 3000,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "decay": "cosine",
    "ema_half_life": 10_000,
    "dimension": 512.0,
    "network": {"width": 64, "depth": 4, "heads": 4},
}

EXAMPLES = """  pfgm benchmark rna sweep              D, two seeds, one network for every D (goes on where it was cut)
  pfgm benchmark rna headline           the long run and the ladder, of tRNA
  pfgm benchmark rna headline --data 5s-rrna
  pfgm benchmark rna ladder             the ladder alone, into the tables of both
  pfgm benchmark rna structures         designs to the folds of held-out members
  pfgm benchmark rna ship               the long run on tRNA into the package"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark rna`."""
    built = parser("rna", "Families of RNAs against D, held-out members and baselines.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--data", choices=SETS, default=SETS[0], help="default: %(default)s")
    sweeps.arguments(built)
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


def sweep(arguments: argparse.Namespace) -> None:
    """Short runs trained at each D, and one network for every D."""
    table, task = _table("sweep", arguments, SHORT), task_named(arguments.data)
    sweeps.sweep(table, arguments, Sequences(), task.train, SHORT, task.measure, f"{arguments.data}-")
    print(tables.render(table.path.stem, arguments.results))


def headline(arguments: argparse.Namespace) -> None:
    """The long run at three seeds of sampling, and the ladder below it."""
    table, task = _table("headline", arguments, LONG), task_named(arguments.data)
    for key, measure in _rungs(arguments):
        table.cell(key, measure)
    for seed in range(SEEDS):
        key = {"D": HEADLINE_DIMENSION, "seed": seed}
        if table.find(key) is None:
            table.cell(key, partial(task.measure, headline_model(arguments), seed))
    print(tables.render(table.path.stem, arguments.results))


def ladder(arguments: argparse.Namespace) -> None:
    """The ladder alone, each of it measured once, for the tables of the long run and of the sweep; nothing is trained.

    --again: measure the ladder anew and leave the models' figures as they are.
    """
    studies = ("headline", LONG), ("sweep", SHORT)
    both = [_table(study, arguments, training, again=False) for study, training in studies]
    sequences.ladder(both, list(_rungs(arguments)), arguments.again)
    for table in both:
        print(tables.render(table.path.stem, arguments.results))


def ship(arguments: argparse.Namespace) -> None:
    """The long run on tRNA into the package, with figures of the rounded weights."""
    if arguments.data != SETS[0]:
        raise ConfigError(f"only the model of {SETS[0]} ships, and not that of {arguments.data}")
    task = task_named(arguments.data)
    names = ("bits", "W1 bits", "members", "genes", "covariation kept", "unique", "copies", "distance")

    def figures(model: Model) -> dict[str, float]:
        found = task.measure(model, 0)
        return {name: found[name] for name in names if name in found}

    path = Path(modalities.sequences.__file__).parent / FOLDER / "trna.safetensors"
    shipped(headline_model(arguments), path, "pfgm benchmark rna ship", figures)


def structures(arguments: argparse.Namespace) -> None:
    """Designs to the folds of held-out members, beside free samples of the same lengths."""
    table = Table("rna-structures", arguments.results)
    table.describe(
        {
            "data": {"names": MIXED, "held out": HELD_OUT, "split": "by groups that are alike", "letters": "alone"},
            "targets": TARGETS,
            "each": EACH,
            "evaluations": EVALUATIONS,
            "training": FREE,
        },
        again=arguments.again,
        command="pfgm benchmark rna structures",
        machine=machine(arguments.device),
    )
    for seed in range(3):
        for strength in (None, *STRENGTHS):
            table.cell({"strength": strength, "seed": seed}, partial(_folded, arguments, strength, seed))
    print(tables.render("rna-structures", arguments.results))


def _folded(arguments: argparse.Namespace, strength: float | None, seed: int) -> dict[str, float]:
    """How often the fold of lowest energy is the target. strength: of `Fold`, None for samples that are not told it."""
    train = [without_gaps(text) for name in MIXED for text in texts_of(task_named(name).train)]
    model = trained(arguments, "structures", Sequences(), Dataset(records(train), details={"alphabet": "rna"}), FREE)
    real = [without_gaps(text) for name in MIXED for text in texts_of(task_named(name).real)]
    order = np.random.default_rng([seed, 7]).permutation(len(real))[:TARGETS]
    same, apart, texts = [], [], []
    with progress("drawing to structures") as update:
        for number, target in enumerate(rna_judges.fold(real[i])[0] for i in order):
            how = {"sizes": len(target)} if strength is None else {"around": Fold(target, strength)}
            drawn = model.sample(EACH, seed=seed * TARGETS + number, evaluations=EVALUATIONS, **how)
            for text in map(text_of, drawn):
                found = set(pairs_of(rna_judges.fold(text)[0]))
                wanted = set(pairs_of(target))
                same.append(found == wanted)
                apart.append(len(found ^ wanted) / (2 * len(wanted)))
                texts.append(text)
            update(number + 1, TARGETS)
    return {
        "designs": float(len(texts)),
        "as the target": float(np.mean(same)),
        "pairs apart": float(np.mean(apart)),
        "unique": len(set(texts)) / len(texts),
        "GC": float(np.mean([(text.count("G") + text.count("C")) / len(text) for text in texts])),
    }


def headline_model(arguments: argparse.Namespace) -> Model:
    """The network of the long run."""
    task = task_named(arguments.data)
    settings = LONG | {"dimension": HEADLINE_DIMENSION, "seed": 0}
    return trained(arguments, f"{arguments.data}-headline", Sequences(), task.train, settings)


@dataclass(frozen=True)
class Task:
    """A family in three parts, between which no two are alike: to train on, to compare with, and the floor.

    model: its covariance model. genes: whether ARAGORN is asked.
    """

    train: Dataset
    real: Dataset
    floor: Dataset
    model: bytes
    genes: bool

    @cached_property
    def reference(self) -> Reference:
        return Reference(texts_of(self.real), texts_of(self.train), RNA, Frame.restore(self.train.details["frame"]))

    def measure(self, model: Model, seed: int, dimension: float | None = None) -> dict[str, Any]:
        """Figures of samples that have the conditions of training sequences drawn at random."""
        found, seconds = sequences.drawn(model, self.train, COUNT, seed, dimension=dimension)
        return self.judged(found) | {"seconds": seconds}

    def judged(self, texts: Sequence[str]) -> dict[str, Any]:
        """Figures by column where they have columns, otherwise those of plain letters; and those of the judges."""
        frame = self.reference.frame
        by_column = {len(text) for text in texts} == {len(frame)}
        figures: dict[str, Any] = evaluate(texts, self.reference) if by_column else self._plainly(texts)
        return figures | rna_judges.evaluate(texts, self.reference.real, self.model, self.genes)

    def _plainly(self, texts: Sequence[str]) -> dict[str, Any]:
        return {
            "count": float(len(texts)),
            "unique": len(set(texts)) / len(texts),
            "copies": sum(text in self.reference.known for text in texts) / len(texts),
            **{f"{size}-mers": kmers_apart(texts, self.reference.real, size) for size in (3, 4)},
        }


@cache
def task_named(name: str) -> Task:
    """The parts of a family by name, the same at every call."""
    train, held_out = Sequences().dataset(name).split(HELD_OUT, SPLIT_SEED)
    return Task(train, *held_out.split(0.5, SPLIT_SEED), FAMILIES[name].model(), name == "trna")


def held_out(task: Task, seed: int) -> list[str]:
    """Real members in the place of samples: the floor."""
    return sequences.some(task.floor, COUNT, seed)


def in_another_order(task: Task, seed: int) -> list[str]:
    """Training members drawn at random, the letters of each shuffled with its pairs of neighbours kept."""
    rng = np.random.default_rng([seed, 5])
    texts = [without_gaps(text) for text in task.reference.train]
    return [shuffled(texts[i], rng) for i in rng.integers(len(texts), size=COUNT)]


def chain(task: Task, seed: int) -> list[str]:
    """A Markov chain of order 3 along the letters."""
    rng = np.random.default_rng([seed, 6])
    texts = [without_gaps(text) for text in task.reference.train]
    law, longest = Markov(texts, 3), max(map(len, texts))
    return [law.draw(rng, longest) for _ in range(COUNT)]


def emitted(task: Task, seed: int) -> list[str]:
    """Draws of the family's covariance model, which has seen the held-out members too."""
    return infernal.emitted(task.model, COUNT, seed)


LADDER: dict[str, Callable[[Task, int], list[str]]] = {
    "held-out members (floor)": held_out,
    "neighbours kept, order lost": in_another_order,
    "Markov chain of order 3": chain,
    "covariance model (cmemit)": emitted,
}


def _rungs(arguments: argparse.Namespace) -> Iterator[sequences.Rung]:
    """Key and measurement of each seed of the ladder."""
    for (name, draw), seed in product(LADDER.items(), range(SEEDS)):
        yield {"baseline": name, "seed": seed}, partial(_baseline, arguments.data, draw, seed)


def _baseline(data: str, draw: Callable[[Task, int], list[str]], seed: int) -> dict[str, Any]:
    task = task_named(data)
    try:
        return task.judged(draw(task, seed))
    except PfgmError as error:  # what draws is not installed
        return {"missing": str(error)}


def _table(study: str, arguments: argparse.Namespace, training: dict[str, Any], again: bool | None = None) -> Table:
    """again: of `describe`, as it was typed if None."""
    table = Table(f"rna-{study}-{arguments.data}", arguments.results)
    table.describe(
        {
            "data": {"name": arguments.data, "held out": HELD_OUT, "split": "by groups that are alike"},
            "count": COUNT,
            "evaluations": EVALUATIONS,
            "conditions": "those of random training sequences",
            "training": training,
        },
        again=arguments.again if again is None else again,
        command=f"pfgm benchmark rna {study} --data {arguments.data}",
        machine=machine(arguments.device),
    )
    return table


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {
    "sweep": sweep,
    "headline": headline,
    "ladder": ladder,
    "structures": structures,
    "ship": ship,
}
BENCHMARK = Benchmark("rna", "families of RNAs against D, held-out members and baselines", main)
