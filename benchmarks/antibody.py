"""Antibody heavy chains: what a model of a set draws, beside held-out clones, simple baselines and D.

Clones are kept on one side of the split. Of the held-out ones half are compared with and half are the floor, in the
place of samples. The ladder stands below: sites drawn independently of each other, pairs of neighbouring sites
(a Markov chain along the columns), the mixture of human repertoires that AntPack scores with, and IgLM where an
environment has it. Judges that other people wrote (AntPack, OASis, anarcism) are asked where they are installed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np

import modalities.sequences
from benchmarks import iglm_peer, sequences, sweeps, tables
from benchmarks.runner import Benchmark, Table, machine, parser, shipped, trained
from benchmarks.sequences import COUNT, EVALUATIONS, texts_of
from modalities.sequences import Sequences, antibody_judges, germline
from modalities.sequences.alphabet import PROTEIN
from modalities.sequences.frame import Frame
from modalities.sequences.metrics import Reference, evaluate
from modalities.sequences.numbering import framed
from modalities.sequences.objects import without_gaps
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.model import Model, load
from pfgm_science.shipped import FOLDER
from pfgm_science.shipped import models as shipped_models
from pfgm_science.solvers import DEFAULT, Solver
from pfgm_science.stochastic import StochasticHeun

Array = np.ndarray[Any, Any]

HELD_OUT, SPLIT_SEED = 0.2, 0
SOLVER = "stochastic"  # noise that is added anew corrects what earlier steps got wrong: nearer to real by both judges
SETS = ("airrdb", "abnativ-vh")
SHORT: dict[str, Any] = {
    "steps": 12_000,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "decay": "cosine",
    "ema_half_life": 60_000,
    "condition_dropout": 0.3,
    "network": {"width": 16, "hidden": 160, "depth": 3},
}
LONG: dict[str, Any] = SHORT | {"steps": 60_000, "ema_half_life": 200_000}
SHIPPED = "antibody-vh"
HEADLINE_DIMENSION, SEEDS = 512.0, 3
PEER_COUNT, PEER_BATCH, PROMPT = 300, 50, 6  # chains that IgLM draws, so many at a time, and letters of each it is told

CAREFUL: dict[str, Any] = {"solver": StochasticHeun(1.0), "evaluations": 159}
DRAWN: dict[str, dict[str, Any]] = {
    SOLVER: {"solver": SOLVER},
    DEFAULT: {"solver": DEFAULT},
    f"{SOLVER}, churn 1, 159 calls": CAREFUL,
}
TRIED: dict[str, dict[str, Any]] = {
    "79 calls": {"evaluations": 79},
    "159 calls": {"evaluations": 159},
    "churn 1, 79 calls": {"evaluations": 79, "solver": StochasticHeun(1.0)},
    "churn 1, 159 calls": CAREFUL,
    "churn 2, 159 calls": {"evaluations": 159, "solver": StochasticHeun(2.0)},
}

EXAMPLES = """  pfgm benchmark antibody sweep         D, two seeds, one network for every D (goes on where it was cut)
  pfgm benchmark antibody headline      the long run and the ladder
  pfgm benchmark antibody headline --data abnativ-vh
  pfgm benchmark antibody tried --data abnativ-vh
                                        other ways to draw from the long run
  pfgm benchmark antibody ladder --iglm iglm-env/bin/python
                                        the ladder alone into both tables, with IgLM, which is installed there
  pfgm benchmark antibody ship          the long run on airrdb into the package"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark antibody`."""
    built = parser("antibody", "Antibody heavy chains against D, held-out clones and baselines.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--data", choices=SETS, default=SETS[0], help="default: %(default)s")
    sweeps.arguments(built)
    iglm_peer.argument(built)
    arguments = built.parse_args(argv)
    STUDIES[arguments.study](arguments)
    return 0


def sweep(arguments: argparse.Namespace) -> None:
    """Short runs trained at each D, and one network for every D."""
    table, task = _table("sweep", arguments, SHORT), task_named(arguments.data)
    sweeps.sweep(table, arguments, Sequences(), task.train, SHORT, task.measure, _run(arguments))
    print(tables.render(table.path.stem, arguments.results))


def headline(arguments: argparse.Namespace) -> None:
    """The long run at three seeds of sampling, and the ladder below it."""
    table, task = _table("headline", arguments, LONG), task_named(arguments.data)
    for key, measure in _rungs(arguments):
        table.cell(key, measure)
    for (solver, how), seed in product(DRAWN.items(), range(SEEDS)):
        key = {"D": HEADLINE_DIMENSION, "seed": seed, "solver": solver}
        if table.find(key) is None:
            table.cell(key, partial(task.measure, headline_model(arguments), seed, **how))
    print(tables.render(table.path.stem, arguments.results))


def tried(arguments: argparse.Namespace) -> None:
    """Other ways to draw from the long run, one seed each: more calls, and more noise on the way."""
    table, task = _table("tried", arguments, LONG), task_named(arguments.data)
    for way, how in TRIED.items():
        key = {"baseline": way, "seed": 0}
        if table.find(key) is None:
            table.cell(key, partial(task.measure, headline_model(arguments), 0, **how))
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
    """The long run on airrdb into the package, with figures of the rounded weights."""
    if arguments.data != SETS[0]:
        raise ConfigError(f"only the model of {SETS[0]} ships: the licence of {arguments.data} is for no commerce")
    task = task_named(arguments.data)
    names = ("valid", "unique", "copies", "OASis", "W1 OASis", "log likelihood", "W1 log likelihood", "diversity")

    def figures(model: Model) -> dict[str, float]:
        found = task.measure(model, 0, solver=None)  # as samples are drawn where nobody says how
        return {name: found[name] for name in names if name in found}

    path = Path(modalities.sequences.__file__).parent / FOLDER / f"{SHIPPED}.safetensors"
    shipped(headline_model(arguments), path, "pfgm benchmark antibody ship", figures)


def headline_model(arguments: argparse.Namespace) -> Model:
    """The network of the long run."""
    settings = LONG | {"dimension": HEADLINE_DIMENSION, "seed": 0}
    train = task_named(arguments.data).train
    return trained(arguments, f"{_run(arguments)}headline", Sequences(), train, settings)


@dataclass(frozen=True)
class Task:
    """A set of antibodies in three parts that share no clone: to train on, to compare with, and the floor."""

    train: Dataset
    real: Dataset
    floor: Dataset

    @cached_property
    def reference(self) -> Reference:
        frame = Frame.restore(self.train.details["frame"])
        return Reference(texts_of(self.real), texts_of(self.train), PROTEIN, frame)

    @cached_property
    def germline(self) -> germline.Beside:
        genes = self.train.condition.get("v_gene")
        return germline.Beside(self.reference, None if genes is None else [str(gene) for gene in genes])

    def measure(
        self,
        model: Model,
        seed: int,
        dimension: float | None = None,
        solver: str | Solver | None = SOLVER,
        **how: Any,
    ) -> dict[str, Any]:
        """Figures of samples that have the conditions of training sequences drawn at random."""
        found, seconds = sequences.drawn(model, self.train, COUNT, seed, dimension=dimension, solver=solver, **how)
        return self.judged(found) | {"seconds": seconds}

    def judged(self, texts: Sequence[str]) -> dict[str, Any]:
        """Figures that need no judge, and those of the judges where they are installed."""
        figures: dict[str, Any] = evaluate(texts, self.reference) | self.germline.evaluate(texts)
        problems = []
        for judge in (antibody_judges.evaluate, antibody_judges.profile):
            try:
                figures |= judge(_plain(texts), _plain(self.reference.real))
            except PfgmError as error:
                problems.append(str(error))
        return figures | ({"judges": "; ".join(problems)} if problems else {})


@cache
def task_named(name: str) -> Task:
    """The parts of a set by name, the same at every call."""
    train, held_out = Sequences().dataset(name).split(HELD_OUT, SPLIT_SEED)
    return Task(train, *held_out.split(0.5, SPLIT_SEED))


def held_out(task: Task, seed: int) -> list[str]:
    """Real antibodies in the place of samples: the floor."""
    return sequences.some(task.floor, COUNT, seed)


def independent(task: Task, seed: int) -> list[str]:
    """Each column by itself, with the frequencies of the training part."""
    found, rng = task.reference.train_numbers, np.random.default_rng([seed, 2])
    columns = [rng.choice(found[:, column], COUNT) for column in range(found.shape[1])]
    return [PROTEIN.text(row) for row in np.stack(columns, 1)]


def neighbours(task: Task, seed: int) -> list[str]:
    """Each column given the one before it: a Markov chain along the columns."""
    found, rng = task.reference.train_numbers, np.random.default_rng([seed, 3])
    rows = [rng.choice(found[:, 0], COUNT)]
    for column in range(1, found.shape[1]):
        before, here = found[:, column - 1], found[:, column]
        followers = {symbol: here[before == symbol] for symbol in np.unique(before)}
        rows.append(np.array([rng.choice(followers[symbol]) for symbol in rows[-1]]))
    return [PROTEIN.text(row) for row in np.stack(rows, 1)]


def mixture(task: Task, seed: int) -> list[str]:
    """Draws of AntPack's mixture of human repertoires, in the columns of the set; without those that do not fit."""
    drawn = Sequences().dataset(f"antpack-mixture:count={3 * COUNT}:seed={seed}")
    found: list[str] = []
    for text in _plain(texts_of(drawn)):
        with suppress(DataError):
            found.append(framed(text, task.reference.frame))
        if len(found) == COUNT:
            break
    return found


LADDER: dict[str, Callable[[Task, int], list[str]]] = {
    "held-out clones (floor)": held_out,
    "independent sites": independent,
    "pairs of neighbours": neighbours,
    "AntPack's mixture": mixture,
}


def language_model(task: Task, python: str, seed: int) -> dict[str, Any]:
    """Figures of whole human heavy chains by IgLM (--iglm PYTHON), in the columns of the set.

    It is told the first PROMPT letters of training sequences drawn at random, which give the V family away as the
    genes that a model is told do. asked: how many it drew, all distinct for one beginning; count: those that fit into
    the columns and were judged.
    """
    known = [without_gaps(text) for text in task.reference.train]
    order = np.random.default_rng([seed, 5]).integers(len(known), size=PEER_COUNT)
    beginnings = Counter(known[i][:PROMPT] for i in order)
    jobs = [
        {"count": count, "prompt": prompt, "batch": min(count, PEER_BATCH)}
        for prompt, count in sorted(beginnings.items())
    ]
    fitting = []
    for text in chain.from_iterable(iglm_peer.ask(python, jobs, seed)["sequences"]):
        with suppress(DataError):
            fitting.append(framed(text, task.reference.frame))
    return task.judged(fitting) | {"asked": PEER_COUNT}


def _rungs(arguments: argparse.Namespace) -> Iterator[sequences.Rung]:
    """Key and measurement of each seed of the ladder; IgLM's where an environment is named."""
    for (name, draw), seed in product(LADDER.items(), range(SEEDS)):
        yield {"baseline": name, "seed": seed}, partial(_baseline, arguments.data, draw, seed)
    if arguments.data == SETS[0] and (path := shipped_models().get(SHIPPED)) is not None:
        for seed in range(SEEDS):
            for more, how in {"": {}, ", churn 1, 159 calls": CAREFUL}.items():
                key = {"baseline": f"{SHIPPED}, as it ships{more}", "seed": seed}
                yield key, partial(_as_shipped, arguments.data, path, seed, how)
    if arguments.iglm is not None:
        for seed in range(SEEDS):
            yield {"baseline": "IgLM", "seed": seed}, partial(_peer, arguments, seed)


def _baseline(data: str, draw: Callable[[Task, int], list[str]], seed: int) -> dict[str, Any]:
    task = task_named(data)
    try:
        return task.judged(draw(task, seed))
    except PfgmError as error:  # what draws is not installed
        return {"missing": str(error)}


def _as_shipped(data: str, path: Path, seed: int, how: dict[str, Any]) -> dict[str, Any]:
    """Figures of the long run's weights as the package has them, rounded to bfloat16. how: it is drawn from."""
    return task_named(data).measure(load(path), seed, **how)


def _peer(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    return language_model(task_named(arguments.data), arguments.iglm, seed)


def _plain(found: Sequence[str]) -> list[str]:
    return [without_gaps(text) for text in found]


def _run(arguments: argparse.Namespace) -> str:
    """How the names of the runs on a set begin: nothing for the first of the sets."""
    return "" if arguments.data == SETS[0] else f"{arguments.data}-"


def _table(study: str, arguments: argparse.Namespace, training: dict[str, Any], again: bool | None = None) -> Table:
    """again: of `describe`, as it was typed if None."""
    name = f"antibody-{study}" + ("" if arguments.data == SETS[0] else f"-{arguments.data}")
    table = Table(name, arguments.results)
    table.describe(
        {
            "data": {"name": arguments.data, "held out": HELD_OUT, "split": "by clones"},
            "count": COUNT,
            "evaluations": EVALUATIONS,
            "solver": SOLVER,
            "conditions": "those of random training sequences",
            "training": training,
        },
        again=arguments.again if again is None else again,
        command=f"pfgm benchmark antibody {study} --data {arguments.data}",
        machine=machine(arguments.device),
    )
    return table


STUDIES: dict[str, Callable[[argparse.Namespace], None]] = {
    "sweep": sweep,
    "headline": headline,
    "ladder": ladder,
    "tried": tried,
    "ship": ship,
}
BENCHMARK = Benchmark("antibody", "antibody heavy chains against D, held-out clones and baselines", main)
