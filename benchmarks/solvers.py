"""Solvers: Frechet distance against evaluations, for every solver, grid and D, on the networks of a domain's benchmark.

Every cell of a network starts from the same draws of the prior, so that cells differ by the way down alone.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import images, tables
from benchmarks.runner import Benchmark, Table, dimension_argument, machine, parser
from pfgm_science.model import GRIDS, Model
from pfgm_science.progress import progress
from pfgm_science.sampling import last
from pfgm_science.solvers import SOLVERS, DormandPrince, Solver, solver_named

EVALUATIONS = (10, 35, 5, 6, 8, 15, 20, 79)  # in the order in which they are measured
TOLERANCES = (0.1, 0.03, 0.01, 0.003)  # of the solver that chooses its own steps
COUNT = 500
COUNTED = 25  # samples on which the evaluations of that solver are counted

EXAMPLES = """  pfgm benchmark solvers mnist5k                   the whole table (resumes where it was cut)
  pfgm benchmark solvers mnist5k --solvers unipc dpm2m --dimensions 64 --evaluations 10 35"""


@dataclass(frozen=True)
class Task:
    """What a domain brings: its network at each D, trained if need be, conditions, and the figures of samples."""

    model: Callable[[argparse.Namespace, float], Model]
    figures: Callable[[Any], dict[str, Any]]
    dimensions: tuple[float, ...] = (64.0, 2048.0, math.inf)
    condition: Callable[[int], dict[str, Any] | None] = lambda count: None


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark solvers`."""
    built = parser("solvers", "Frechet distance against evaluations for every solver.", EXAMPLES)
    built.add_argument("task", choices=list(TASKS))
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", metavar="D")
    built.add_argument("--solvers", nargs="+", choices=list(SOLVERS), default=list(SOLVERS), metavar="NAME")
    built.add_argument("--grids", nargs="+", choices=GRIDS, default=["karras", "fitted"], metavar="NAME")
    built.add_argument("--evaluations", type=int, nargs="+", default=list(EVALUATIONS), metavar="N")
    built.add_argument("--count", type=int, default=COUNT, help="samples a cell (default: %(default)s)")
    built.add_argument("--compile", action="store_true", help="compile the networks; needs a C++ compiler")
    built.set_defaults(runs=Path("runs/benchmarks/images"))  # whose networks they are
    run(built.parse_args(argv))
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Fill the table of a task: one cell a D, solver, grid and number of evaluations."""
    task = TASKS[arguments.task]
    table = Table(f"solvers-{arguments.task}", arguments.results)
    table.describe(
        {"task": arguments.task, "count": arguments.count, "seed": 0},
        again=arguments.again,
        command=f"pfgm benchmark solvers {arguments.task}",
        machine=machine(arguments.device),
    )
    for D in arguments.dimensions or task.dimensions:
        cells = [
            ({"D": D, "grid": grid, "solver": name, "evaluations": evaluations}, solver_named(name), evaluations)
            for evaluations in arguments.evaluations
            for grid in arguments.grids
            for name in arguments.solvers
            if name != DormandPrince.name
        ]
        if DormandPrince.name in arguments.solvers:
            key = {"D": D, "grid": "its own", "solver": DormandPrince.name}
            cells += [({**key, "tolerance": tolerance}, DormandPrince(tolerance), None) for tolerance in TOLERANCES]
        if all(table.find(key) for key, *_ in cells):
            continue
        model = task.model(arguments, D)
        model = model.with_bends()
        if arguments.compile:
            model = model.compiled()
        for key, solver, evaluations in cells:
            table.cell(key, partial(measure, task, model, solver, evaluations, str(key["grid"]), arguments.count))
    print(tables.render(f"solvers-{arguments.task}", arguments.results))


def measure(task: Task, model: Model, solver: Solver, evaluations: int | None, grid: str, count: int) -> dict[str, Any]:
    """Figures of the samples of a cell."""
    how: dict[str, Any] = {"solver": solver, "evaluations": evaluations}
    if grid in GRIDS:
        how["grid"] = grid
    started = time.monotonic()
    with progress(f"{solver.name} at {evaluations or 'its own'} evaluations") as update:
        objects = model.sample(count, seed=1000, on_state=update, condition=task.condition(count), **how)
    figures = {"seconds": round(time.monotonic() - started, 2)} | task.figures(objects)
    if evaluations is None:
        few = model.adapter.template(COUNTED, 0)
        figures["evaluations"] = last(model.trajectory(few, range(COUNTED), seed=1000, **how)).evaluations
    return figures


TASKS = {
    "mnist5k": Task(images.unconditional, images.frechet),
    "mnist5k-headline": Task(
        lambda arguments, D: images.headline_model(arguments),
        images.frechet,
        (images.HEADLINE_DIMENSION,),
        images.every_class,
    ),
}
BENCHMARK = Benchmark("solvers", "Frechet distance against evaluations, for every solver and grid", main)
