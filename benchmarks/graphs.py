"""Graphs: V.U.N. and MMD of generated graphs against D, beside the floor of the true generator and published rows.

planar-20 and tree-20 are of this package (16 to 24 nodes, drawn by recipe); planar, tree and community-small follow the
published protocols: see modalities/graphs/metrics.py.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np

import modalities.graphs
from benchmarks import graph_scores, sweeps, tables
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
from modalities.graphs import Graphs, Part
from modalities.graphs.metrics import Kernel, Suite
from modalities.graphs.recipes import RECIPES
from modalities.graphs.simple import adjacency
from modalities.graphs.statistics import STATISTICS, Statistic
from modalities.graphs.validity import VALIDITY
from pfgm_science.data import Dataset
from pfgm_science.model import Guidance, Model
from pfgm_science.progress import progress

DIMENSIONS = (64.0, 512.0, 2048.0, math.inf)
DIMENSION_RANGE = (32.0, 4096.0)
TRAIN_SEED, TEST_SEED, FLOOR_SEED = 0, 1, 100  # of the recipes; the floor takes five from FLOOR_SEED on

EXAMPLES = """  pfgm benchmark graphs sweep           D, two seeds, one network for every D (goes on where it was cut)
  pfgm benchmark graphs sweep --tasks tree-20 --seeds 0
  pfgm benchmark graphs headline        the long run on each of planar-20 and tree-20
  pfgm benchmark graphs completion      a given part in 1,000 of 1,000 samples
  pfgm benchmark graphs ship            the long run on planar-20 into the package
  pfgm benchmark graphs score new.g6 --test planar-spectre:part=test --train planar-spectre --valid planar \\
      --floor planar                    graphs that any generator wrote, by the published protocol"""


@dataclass(frozen=True)
class Task:
    """One set of graphs: how many are trained on, compared with and generated, and what is measured.

    fold: the test graphs are the first of the same draw, as in GDSS, and not a draw of their own. valid: name of the
    check (None: there is none). sweep, headline: settings of training. seeds: of sampling, in the headline. curve:
    graphs that are judged at each checkpoint of the long run, 0 for none. evaluations: of its samples. patches:
    settings of a run on small parts of the training graphs, from whose weights the long run starts; none where there
    are none.
    """

    recipe: str
    train: int
    test: int
    valid: str | None
    kernel: Kernel = "tv"
    statistics: tuple[Statistic, ...] = STATISTICS
    generated: int = 1000
    fold: bool = False
    sweep: Mapping[str, Any] = field(default_factory=dict)
    headline: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    curve: int = 0
    evaluations: tuple[int, ...] = (35, 79)
    patches: Mapping[str, Any] = field(default_factory=dict)


SMALL: dict[str, Any] = {"batch_size": 32, "learning_rate": 1e-3, "decay": "cosine", "checkpoint_every": 250}
SHORT: dict[str, Any] = SMALL | {"steps": 2000, "ema_half_life": 4_000}
LONG: dict[str, Any] = SMALL | {"learning_rate": 2e-3, "steps": 12_000, "ema_half_life": 20_000}
LARGE: dict[str, Any] = LONG | {  # of 64 nodes, eleven times the pairs of 20: half the cost in bfloat16
    "batch_size": 16,
    "steps": 4500,
    "ema_half_life": 10_000,
    "checkpoint_every": 1000,
    "precision": "bfloat16",
}
PATCHES: dict[str, Any] = LONG | {"steps": 6000, "precision": "bfloat16"}
WHOLE: dict[str, Any] = {  # of 64 nodes, by the published protocol
    "generated": 40,
    "seeds": (0, 1, 2, 3, 4),
    "curve": 40,
    "evaluations": (35, 79, 159),
    "patches": PATCHES,
}
COMMUNITIES: dict[str, Any] = LONG | {"steps": 6000}
PATCH_SIZES = (16, 24)  # nodes of the smallest and of the largest patch
FIVE = (0, 1, 2, 3, 4)
GDSS_STATISTICS: tuple[Statistic, ...] = ("degree", "clustering", "orbit")
TASKS = {
    "planar-20": Task("planar-20", 5000, 1000, "planar", sweep=SHORT, headline=LONG),
    "tree-20": Task("tree-20", 5000, 1000, "tree", sweep=SHORT, headline=LONG),
    "community-small": Task(
        "community-small",
        80,
        20,
        None,
        "emd",
        GDSS_STATISTICS,
        20,
        fold=True,
        headline=COMMUNITIES,
        seeds=FIVE,
    ),
    "planar": Task("planar", 128, 40, "planar", headline=LARGE, **WHOLE),
    "tree": Task("tree", 128, 40, "tree", headline=LARGE, **WHOLE),
}
SWEEPS, LONG_RUNS = ("planar-20", "tree-20"), ("planar-20", "tree-20", "community-small")
SWEEP_COUNT = 500
HEADLINE_DIMENSION = 2048.0
FLOOR_SEEDS = 5
SHIPPED = Path(modalities.graphs.__file__).parent / "models"
CARD = ("valid", "unique", "novel", "ratio")  # figures in a shipped model
EVALUATIONS = 35  # of samples


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark graphs`."""
    built = parser("graphs", "V.U.N. and MMD of generated graphs.", EXAMPLES)
    built.add_argument("study", choices=list(STUDIES), help="what to measure")
    built.add_argument("--tasks", nargs="+", choices=list(TASKS), metavar="NAME", help=f"among {', '.join(TASKS)}")
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of training and sampling, in the sweep")
    built.add_argument("--ways", nargs="+", choices=list(tables.WAYS), default=list(tables.WAYS), help="of the sweep")
    graph_scores.add_options(built)
    built.add_argument(
        "--valid", choices=list(VALIDITY), help="of a score: what makes a graph valid (default: nothing)"
    )
    built.add_argument(
        "--kernel", choices=get_args(Kernel), default="tv", help="of a score: emd is GDSS' (default: tv)"
    )
    arguments = built.parse_args(argv)
    graph_scores.check(arguments)
    return STUDIES[arguments.study](arguments) or 0


def sweep(arguments: argparse.Namespace) -> None:
    """Short runs: trained at each D, one network for every D, and the network of D = inf run at each D."""
    for name in arguments.tasks or SWEEPS:
        table = _table("sweep", name, arguments, SWEEP_COUNT, training=TASKS[name].sweep)
        _floors(table, name, SWEEP_COUNT)
        for seed, way, D in product(arguments.seeds, arguments.ways, arguments.dimensions):
            if way == "at-dimension" and math.isinf(D):
                continue  # the same cell as trained at inf
            if way == "one-network" and seed != arguments.seeds[0]:
                continue
            key = {"way": way, "D": D, "seed": seed}
            if table.find(key) is None:
                run, settings = _run_of(way, D)
                settings = settings | {"seed": seed} | dict(TASKS[name].sweep)
                model = trained(arguments, f"{name}-{run}-seed{seed}", Graphs(), data(name)[0], settings)
                sweeps.note_training(table, run, seed, model)
                table.cell(key, partial(measure, model, name, SWEEP_COUNT, seed, D))
    for name in arguments.tasks or SWEEPS:
        _show(arguments, f"graphs-sweep-{name}")


def headline(arguments: argparse.Namespace) -> None:
    """One long run a task at the best D of the sweep, judged at several seeds of sampling."""
    for name in arguments.tasks or LONG_RUNS:
        task = TASKS[name]
        table = _table("headline", name, arguments, task.generated, **_long(task))
        _floors(table, name, task.generated)
        for seed, evaluations, weight in product(task.seeds, task.evaluations, (1.0, WEIGHT)):
            key = {"seed": seed, "evaluations": evaluations, "guidance": weight}
            if table.find(key) is None:
                model = headline_model(arguments, name)
                guidance = by_early(arguments, f"{name}-headline", weight)
                table.cell(key, partial(measure, model, name, task.generated, seed, None, evaluations, guidance))
    _show(arguments, "graphs-headline")
    print(f"\nPublished:\n\n{tables.render('graphs-published', arguments.results)}")


def completion(arguments: argparse.Namespace) -> None:
    """Samples that have a given part in them: how many have it exactly, of the size asked for, and are valid."""
    for name in arguments.tasks or SWEEPS:
        how = {"known": "told to the denoiser", "repeated between": [Part.low, Part.high]}
        table = _table("completion", name, arguments, TASKS[name].generated, training=TASKS[name].headline, **how)
        for share, repeats in product((0.25, 0.5), (1, Part.repeats)):
            key = {"share": share, "repeats": repeats}
            if table.find(key) is None:
                model = headline_model(arguments, name)
                table.cell(key, partial(completed, model, name, share, repeats))
    _show(arguments, "graphs-completion")


def ship(arguments: argparse.Namespace) -> None:
    """The network of the long run into the folder of shipped models, with figures of its samples."""
    for name in arguments.tasks or ("planar-20",):

        def figures(model: Model, name: str = name) -> dict[str, float]:
            count = TASKS[name].generated
            found = measure(model, name, count, 0)
            return {key: found[key] for key in CARD} | {"samples": count, "evaluations": EVALUATIONS}

        model, path = headline_model(arguments, name), SHIPPED / f"{name}.safetensors"
        shipped(model, path, f"pfgm benchmark graphs headline --tasks {name}", figures)


def completed(model: Model, name: str, share: float, repeats: int, count: int = 1000) -> dict[str, Any]:
    """Figures of samples around the first nodes of a test graph, as connected as the graph allows."""
    whole = test_graphs(name)[0]
    part = first_nodes(whole, max(round(share * int(whole.num_nodes)), 2))
    size = int(whole.num_nodes)
    with progress(f"completing {share:.0%}") as update:
        samples = model.sample(count, keep=Part(part, sizes=size, repeats=repeats), on_state=update)
    k = int(part.num_nodes)
    wanted = adjacency(part)
    kept = [np.array_equal(adjacency(sample)[:k, :k], wanted) for sample in samples]
    sized = [int(sample.num_nodes) == size for sample in samples]
    return suite(name)(samples).figures() | {"kept": sum(kept), "sized": sum(sized), "of": count, "part": k}


def first_nodes(graph: Any, count: int, first: int = 0) -> Any:
    """The part of a graph that a breadth-first walk from its node `first` reaches in `count` nodes, in that order."""
    import networkx as nx

    from modalities.graphs.objects import from_networkx, to_networkx

    plain = to_networkx(graph)
    order = [first, *(v for _, v in nx.bfs_edges(plain, first))][:count]
    part = nx.relabel_nodes(plain.subgraph(order), {node: i for i, node in enumerate(order)})
    ordered = nx.Graph()
    ordered.add_nodes_from(range(count))
    ordered.add_edges_from(part.edges)
    return from_networkx([ordered])[0][0]


def measure(
    model: Model,
    name: str,
    count: int,
    seed: int,
    dimension: float | None = None,
    evaluations: int | None = None,
    guidance: Guidance | None = None,
) -> dict[str, Any]:
    """Figures of samples; evaluations: calls of the network, EVALUATIONS if None, with guidance of each of the two."""
    calls = EVALUATIONS if evaluations is None else evaluations
    started = time.monotonic()
    with progress(f"sampling {name}") as update:
        samples = model.sample(
            count,
            seed=1000 + seed,
            dimension=dimension,
            evaluations=max(calls // model.calls(dimension), 1),
            guidance=guidance,
            on_state=update,
        )
    seconds = time.monotonic() - started
    return suite(name)(samples).figures() | {"seconds": round(seconds, 1)}


@cache
def data(name: str) -> tuple[Dataset, list[Any]]:
    """Graphs to train on, under a name by which they are drawn again, and those to compare with."""
    task = TASKS[name]
    if task.fold:
        drawn = Graphs().dataset(f"{task.recipe}:count={task.train + task.test}:seed={TRAIN_SEED}")
        return drawn.take(np.arange(task.test, len(drawn))), list(drawn.objects[: task.test])
    return Graphs().dataset(f"{task.recipe}:count={task.train}:seed={TRAIN_SEED}"), test_graphs(name)


@cache
def test_graphs(name: str) -> list[Any]:
    return RECIPES[TASKS[name].recipe].draw(TASKS[name].test, TEST_SEED)


@cache
def suite(name: str) -> Suite:
    """The measures of a task, with what test and training graphs have to be asked."""
    task = TASKS[name]
    train, test = data(name)
    return Suite(test, train.objects, valid=task.valid, kernel=task.kernel, statistics=task.statistics)


def headline_model(arguments: argparse.Namespace, name: str) -> Model:
    """The network of the long run of a task; where a curve is wanted, V.U.N. is measured at every checkpoint."""
    task = TASKS[name]
    follow = None
    if task.curve:
        table = _table("curve", name, arguments, task.curve, **_long(task))

        def follow(model: Model, step: int) -> None:
            if step % task.headline["checkpoint_every"] == 0:  # and not where a run was cut
                table.cell({"step": step}, partial(measure, model, name, task.curve, 0))

    settings: dict[str, Any] = {"dimension": HEADLINE_DIMENSION, "seed": 0}
    if task.patches:
        first = trained(arguments, f"{name}-patches", Graphs(), patches(name), settings | dict(task.patches))
        settings["start"] = first
    return trained(
        arguments, f"{name}-headline", Graphs(), data(name)[0], settings | dict(task.headline), follow, EARLY
    )


def patches(name: str) -> Dataset:
    """Connected parts of PATCH_SIZES nodes around every node of the training graphs, one each.

    They teach what is local for a tenth of the cost of a step on whole graphs.
    """
    sizes = np.random.default_rng(TRAIN_SEED)
    whole = data(name)[0]
    parts = [
        first_nodes(graph, int(sizes.integers(PATCH_SIZES[0], PATCH_SIZES[1] + 1)), node)
        for graph in whole.objects
        for node in range(int(graph.num_nodes))
    ]
    return Dataset(parts, name=f"patches of {whole.name}", licence=whole.licence)


def _long(task: Task) -> dict[str, Any]:
    """The protocol of the long run."""
    before = {"patches": task.patches} if task.patches else {}
    return {"training": task.headline, "dimension": HEADLINE_DIMENSION, **before}


def _run_of(way: str, D: float) -> tuple[str, dict[str, Any]]:
    """Name and settings of the network that a row of the sweep needs."""
    if way == "one-network":
        return "any", {"dimension": 512.0, "dimension_range": DIMENSION_RANGE}
    at = math.inf if way == "at-dimension" else D
    return f"d{at:g}", {"dimension": at}


def _table(study: str, name: str, arguments: argparse.Namespace, count: int, **protocol: Any) -> Table:
    """The table of a study on one task, with the protocol that all its cells share."""
    task = TASKS[name]
    table = Table(f"graphs-{study}-{name}", arguments.results)
    table.describe(
        {
            "data": {"recipe": task.recipe, "trained on": task.train, "compared with": task.test},
            "count": count,
            "kernel": task.kernel,
            "evaluations": EVALUATIONS,
            **protocol,
        },
        again=arguments.again,
        command=f"pfgm benchmark graphs {study}",
        machine=machine(arguments.device),
    )
    return table


def _floors(table: Table, name: str, count: int) -> None:
    """What the true generator scores, at five seeds."""
    for seed in range(FLOOR_SEEDS):
        draw = partial(RECIPES[TASKS[name].recipe].draw, count, FLOOR_SEED + seed)
        table.cell({"floor": True, "seed": seed}, lambda draw=draw: suite(name)(draw()).figures())  # type: ignore[misc]


def _show(arguments: argparse.Namespace, name: str) -> None:
    print(f"{arguments.results}: {name}\n\n{tables.render(name, arguments.results)}")


STUDIES: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "sweep": sweep,
    "headline": headline,
    "completion": completion,
    "ship": ship,
    "score": graph_scores.graphs,
}
BENCHMARK = Benchmark(
    "graphs", "planar-20, tree-20: V.U.N. and MMD against D, completion; scores of files of graphs", main
)
