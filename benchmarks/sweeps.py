"""Short runs over D that several benchmarks share: trained at each D, and one network for every D."""

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


def arguments(built: argparse.ArgumentParser, seeds: tuple[int, ...] = (0, 1)) -> None:
    """What can be asked of a sweep. seeds: those that are run when none are named."""
    built.add_argument("--dimensions", type=dimension_argument, nargs="+", default=list(DIMENSIONS), metavar="D")
    built.add_argument(
        "--seeds", type=int, nargs="+", default=list(seeds), help="of training and sampling, in the sweep"
    )
    built.add_argument("--ways", nargs="+", choices=("trained", "one-network"), default=("trained", "one-network"))


def sweep(
    table: Table,
    chosen: argparse.Namespace,
    adapter: Adapter,
    train: Dataset,
    settings: Mapping[str, Any],
    measure: Callable[[Model, int, float], Mapping[str, Any]],
    prefix: str,
) -> None:
    """Fill a table with runs trained at each D, and one network for every D. prefix: of the names of the runs."""
    for seed, way, D in product(chosen.seeds, chosen.ways, chosen.dimensions):
        key = {"way": way, "D": D, "seed": seed}
        if table.find(key) is None:
            of = {"dimension": D} if way == "trained" else {"dimension": 512.0, "dimension_range": DIMENSION_RANGE}
            run = f"{prefix}{f'd{D:g}' if way == 'trained' else 'any'}-seed{seed}"
            model = trained(chosen, run, adapter, train, {**settings, **of, "seed": seed})
            table.cell(key, partial(measure, model, seed, D))
