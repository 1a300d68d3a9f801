"""What every benchmark shares: results that are kept cell by cell, resumed, and summarised over seeds.

A cell is one measurement: a key (what was run: D, seed, evaluations, ...) and its figures. A table is a JSON file of
cells under benchmarks/results/, written whole after each cell, so that a run that is cut goes on where it stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfgm_science.adapters import Adapter
from pfgm_science.cli import Parser
from pfgm_science.config import first_difference, to_json
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError
from pfgm_science.files import replacing
from pfgm_science.model import Guidance, Model, fit, load
from pfgm_science.progress import progress
from pfgm_science.shipped import ship

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


class Table:
    """The cells of one JSON file. path: benchmarks/results/<name>.json unless another folder is given."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.path = (folder or RESULTS) / f"{name}.json"
        self.about: dict[str, Any] = {}
        self.cells: list[dict[str, Any]] = []
        if self.path.exists():
            document = json.loads(self.path.read_text(encoding="utf-8"))
            self.about, self.cells = document["about"], document["cells"]

    def describe(self, protocol: Mapping[str, Any], *, again: bool = False, **about: Any) -> None:
        """What holds for the whole table. protocol: what decides the figures beside the key of a cell; about: the rest.

        again: forget the cells that are there. Raises PfgmError when there are cells of another protocol, because
        figures that were not measured alike must not stand in one table.
        """
        with self._alone():
            if self.path.exists():
                document = json.loads(self.path.read_text(encoding="utf-8"))
                self.about, self.cells = document["about"], document["cells"]
            if again:
                self.cells = []
            if self.cells and (other := first_difference(self.about.get("protocol", {}), to_json(protocol))):
                raise PfgmError(
                    f"{self.path} holds figures of another protocol: {other} now. Give --results FOLDER for a table "
                    "of its own, or --again to measure all of this one anew."
                )
            self.about = {**to_json(about), "protocol": to_json(protocol)}
            self._write()

    def find(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """The figures of the cell with exactly this key, or None."""
        wanted = to_json(key)
        return next((cell["figures"] for cell in self.cells if cell["key"] == wanted), None)

    def cell(self, key: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The figures of a cell, measured now unless they are there."""
        found = self.find(key)
        if found is None:
            found = to_json(dict(measure()))
            with self._alone():
                # Another process may have added cells meanwhile: join them.
                if self.path.exists():
                    self.cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
                if (theirs := self.find(key)) is not None:
                    return theirs
                self.cells.append({"key": to_json(key), "figures": found})
                self._write()
        return found

    def select(self, **key: Any) -> list[dict[str, Any]]:
        """Cells whose key holds these entries (and perhaps more)."""
        wanted = to_json(key)
        return [c for c in self.cells if all(c["key"].get(k) == v for k, v in wanted.items())]

    def discard(self, **key: Any) -> None:
        """Forget the cells whose key holds these entries, so that they are measured again."""
        with self._alone():
            gone = self.select(**key)
            self.cells = [cell for cell in self.cells if cell not in gone]
            self._write()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Several processes may fill one table: one at a time rewrites it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self.path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        cells = sorted(self.cells, key=lambda c: json.dumps(c["key"], sort_keys=True))
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps({"about": self.about, "cells": cells}, indent=1) + "\n", encoding="utf-8")


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


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation over seeds (nan for a single seed)."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else math.nan


def written(values: Sequence[float], digits: int = 3) -> str:
    """Mean and spread for a table: "1.23 ± 0.04", or the value alone when there is one seed."""
    if not len(values):
        return "-"
    mean, spread = mean_and_spread(values)
    text = _significant(mean, digits)
    if math.isnan(spread):
        return text
    decimals = len(text.split(".")[1]) if "." in text else 0
    return f"{text} ± {spread:.{decimals}f}"


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


def _significant(value: float, digits: int) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
