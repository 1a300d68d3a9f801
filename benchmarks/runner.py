"""What every benchmark shares: results that are kept cell by cell, resumed, and summarised over seeds.

A table is a file of cells under benchmarks/results/: a key (what was run: D, seed, evaluations, ...) and its figures.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfgm_science import spread
from pfgm_science.adapters import Adapter
from pfgm_science.cells import Cells
from pfgm_science.cli import Parser
from pfgm_science.data import Dataset
from pfgm_science.model import Guidance, Model, fit, load
from pfgm_science.progress import progress
from pfgm_science.shipped import ship
from pfgm_science.spread import mean_and_spread

REPOSITORY = Path(__file__).parent.parent
# Beside the caller where the package is installed without its repository.
RESULTS = REPOSITORY / "benchmarks" / "results" if (REPOSITORY / "pyproject.toml").exists() else Path("results")
PUBLISHED = Path(__file__).parent / "published"
EARLY, WEIGHT = 1000, 2.0  # steps of the copy of a network that guides it (autoguidance), and the weight


@dataclass(frozen=True)
class Benchmark:
    """One domain's benchmark: `pfgm benchmark NAME ...` calls main with the arguments after the name."""

    name: str
    description: str
    main: Callable[[Sequence[str]], int]


class Table(Cells):
    """The cells of one JSON file. path: benchmarks/results/<name>.json unless another folder is given."""

    _elsewhere = "Give --results FOLDER for a table of its own"

    def __init__(self, name: str, folder: Path | None = None) -> None:
        super().__init__((folder or RESULTS) / f"{name}.json")


def trained(
    arguments: argparse.Namespace,
    run: str,
    adapter: Adapter,
    data: Dataset,
    settings: Mapping[str, Any],
    follow: Callable[[Model, int], None] | None = None,
    early: int = 0,
) -> Model:
    """The model of this run: loaded when finished, resumed when cut, trained otherwise.

    follow: told of every checkpoint. early: the checkpoint of which a copy is kept, for `by_early`; 0 for none.
    """

    def keep(model: Model, step: int) -> None:
        if step == early:
            model.save(_early(arguments, run))
        if follow is not None:
            follow(model, step)

    with progress(f"training {run}") as update:
        return fit(
            adapter,
            data,
            folder=arguments.runs / run,
            device=arguments.device,
            validation=0.0,
            on_step=lambda p: update(p.step, p.steps),
            on_checkpoint=keep,
            **settings,
        )


def by_early(arguments: argparse.Namespace, run: str, weight: float) -> Guidance | None:
    """Autoguidance of a run by its own early copy (arXiv 2406.02507); None for weight 1, which is none."""
    return None if weight == 1 else Guidance(weight, by=load(_early(arguments, run)))


def _early(arguments: argparse.Namespace, run: str) -> Path:
    return Path(arguments.runs) / f"{run}-early.safetensors"


def shipped(model: Model, path: Path, recipe: str, measure: Callable[[Model], Mapping[str, float]]) -> None:
    """Ship a model with figures of what is shipped: of the weights as they are after rounding."""
    with tempfile.TemporaryDirectory() as folder:
        rounded = Path(folder) / path.name
        ship(model, rounded, {}, recipe)
        figures = measure(load(rounded))
    path.parent.mkdir(parents=True, exist_ok=True)
    ship(model, path, figures, recipe)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {', '.join(f'{k} {v:.4g}' for k, v in figures.items())}")


def written(values: Sequence[float], digits: int = 3) -> str:
    """Mean and spread for a table: "1.23 ± 0.04", the value alone when there is one seed, "-" for none."""
    return spread.written(*mean_and_spread(values), digits) if len(values) else "-"


def published(name: str) -> dict[str, Any]:
    """Published figures with their sources: benchmarks/published/<name>.json."""
    document: dict[str, Any] = json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))
    return document


def parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The argument parser of a benchmark, with what all share."""
    built = Parser(
        prog=f"pfgm benchmark {name}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    built.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the result files (default: %(default)s)"
    )
    built.add_argument("--runs", type=Path, default=Path("runs/benchmarks") / name, help="folder of the trained models")
    built.add_argument("--again", action="store_true", help="forget all figures of the table and measure anew")
    built.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    return built


def dimension_argument(text: str) -> float:
    """D as it is typed: a number > 0 or inf."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: D must be > 0")
    return value


def machine(device: str = "cpu") -> dict[str, Any]:
    """Where figures were measured."""
    import torch

    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def dimension_text(D: float | str) -> str:
    """D as a table shows it."""
    return "inf" if str(D) == "inf" or math.inf == D else f"{float(D):g}"
