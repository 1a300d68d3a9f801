"""Short runs over D that several benchmarks share: trained at each D, one network for all, a diffusion model at D."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any

from benchmarks.runner import Table, dimension_argument, trained
from pfgm_science.adapters import Adapter
from pfgm_science.data import Dataset
from pfgm_science.model import Model

DIMENSIONS = (64.0, 128.0, 512.0, 2048.0, math.inf)
DIMENSION_RANGE = (32.0, 4096.0)
WAYS = ("trained", "one-network", "at-dimension")
ANY = "any"  # the run that is trained for every D


def arguments(built: argparse.ArgumentParser, seeds: tuple[int, ...] = (0, 1)) -> None:
    """What can be asked of a sweep. seeds: those that are run when none are named."""
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument(
        "--seeds", type=int, nargs="+", default=list(seeds), help="of training and sampling, in the sweep"
    )
    built.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)


def sweep(
    table: Table,
    chosen: argparse.Namespace,
    adapter: Adapter,
    train: Dataset,
    settings: Mapping[str, Any],
    measure: Callable[[Model, int, float], Mapping[str, Any]],
    prefix: str,
    bounds: tuple[float, float] = DIMENSION_RANGE,
) -> None:
    """Fill a table with runs in each way, drawn at each D. prefix: of the names of the runs. bounds: of the D
    that one network is trained for.

    The network that was trained at D = inf draws at every D with as many evaluations, each of three calls at finite D.
    What each training took stands in a cell of its own, of the run's name.
    """
    for seed, way, D in product(chosen.seeds, chosen.ways, chosen.dimensions):
        if way == "at-dimension" and math.isinf(D):
            continue
        trained_at = math.inf if way == "at-dimension" else D
        one = {"dimension": math.sqrt(bounds[0] * bounds[1]), "dimension_range": bounds}
        of = one if way == "one-network" else {"dimension": trained_at}
        run = ANY if way == "one-network" else f"d{trained_at:g}"
        key, taken = {"way": way, "D": D, "seed": seed}, {"training": run, "seed": seed}
        if table.find(key) is None or table.find(taken) is None:
            model = trained(chosen, f"{prefix}{run}-seed{seed}", adapter, train, {**settings, **of, "seed": seed})
            note_training(table, run, seed, model)
            table.cell(key, partial(measure, model, seed, D))


def note_training(table: Table, run: str, seed: int, model: Model) -> None:
    """A cell of what the training of a run took. run: "d64" and the like, or ANY."""
    table.cell({"training": run, "seed": seed}, lambda: {"seconds": round(float(model.history["seconds"]), 1)})
