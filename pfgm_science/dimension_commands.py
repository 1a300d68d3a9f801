"""What `pfgm find-d` and `pfgm robustness` do: measure cell by cell, print a table, write a page."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pfgm_science import adapters
from pfgm_science.adapters import Adapter
from pfgm_science.cells import Cells
from pfgm_science.commands import (
    device_named,
    folder_of,
    open_data,
    read_options,
    report_rejected,
    say,
    settings_of,
    show_table,
    training_data,
)
from pfgm_science.data import Dataset
from pfgm_science.denoiser import check_preconditioning
from pfgm_science.dimension import ANALYSIS, ONE_NETWORK, SEARCH, Curve, sweep, told, way_of
from pfgm_science.dimension import page as dimension_page
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.evaluation import training_parts
from pfgm_science.files import write_bytes
from pfgm_science.model import Model, batch_fingerprint, configure, encoded, fit, load
from pfgm_science.noise_error import LEAST, noise_errors
from pfgm_science.progress import progress
from pfgm_science.report import Cell, Report, write
from pfgm_science.robustness import TROUBLES, dimensions_of, drawn_by, measure, table_rows
from pfgm_science.robustness import page as robustness_page
from pfgm_science.search import Search
from pfgm_science.solvers import DEFAULT
from pfgm_science.spread import mean_and_spread, named, written

PAGE, CELLS, RESULT = "report.html", "cells.json", "result.json"
HELD_OUT, ENOUGH = 0.2, 100  # share of data to compare with; so many objects, or all are compared with
TRAJECTORIES = 256  # on which the errors of noise are measured


def find_d(args: argparse.Namespace) -> int:
    """A run that was trained for it, or data of which the networks are trained here."""
    if args.data is None and args.target in adapters.names() and not Path(args.target).exists():
        raise ConfigError(f"{args.target} is a modality: which data? By name or path: pfgm find-d {args.target} DATA")
    curve, name, out = (_of_data if args.data is not None and args.target in adapters.names() else _of_run)(args)
    _show(curve)
    write_bytes(out / RESULT, (json.dumps(curve.to_json(), indent=1) + "\n").encode())
    return _written(out, dimension_page(curve, f"Which D for {name}?", _facts(args, name)))


def robustness(args: argparse.Namespace) -> int:
    """A curve for each D: of one model at several D, or of several models at the D each was trained at."""
    models = [load(run).to(device_named(args.device)) for run in args.runs]
    if len({model.adapter.name for model in models}) > 1:
        raise ConfigError("these runs are of several modalities: their samples have no distance to the same data")
    subjects = _subjects(models, args)
    data = _data_of(models[0], args)
    report_rejected(data)
    out = _out(args, folder_of(args.runs[0]) / "robustness")
    _check_held_out(models, data)
    distance = Distance(_compared(models[0], data), args.measure)
    cells, solver = Cells(out / CELLS), args.solver
    said, judged = drawn_by(solver, args.evaluations), _protocol(args, models[0], distance)
    protocol = {"models": [model.history for model in models], **judged, "solver": solver or DEFAULT}
    cells.describe(protocol, again=args.again)
    troubles = [TROUBLES[name] for name in args.troubles or TROUBLES]
    measure(
        subjects,
        distance,
        cells,
        troubles=troubles,
        seeds=range(args.seeds),
        count=args.count,
        evaluations=args.evaluations,
        solver=solver,
        watch=progress,
    )
    show_table(
        ("trouble", "strength", *(f"D = {named(D)}" for D in dimensions_of(cells))),
        [(name, strength, *values) for name, strength, values in table_rows(cells)],
    )
    print(f"Drawn by {said}.")
    name = models[0].history.get("data", {}).get("name", "unnamed")
    return _written(out, robustness_page(cells, f"Robustness: {name}", {**_facts(args, name), "solver": said}))


def _subjects(models: list[Model], args: argparse.Namespace) -> dict[float, Model]:
    if len(models) > 1:
        if args.dimensions is not None:
            raise ConfigError("--dimensions is for one model that runs at several D; several runs stand at their own")
        subjects = {model.dimension: model for model in models}
        if len(subjects) < len(models):
            raise ConfigError("two of these runs have the same D: name each D once")
        return subjects
    model = models[0]
    chosen = args.dimensions or ([model.dimension] if _alone(model) else _grid(model, args))
    for D in chosen:
        model.at(D)  # refuses what the model cannot do before anything is measured
    return dict.fromkeys(chosen, model)


def _check_held_out(models: list[Model], data: Dataset) -> None:
    """Raise ConfigError unless what one model held out was held out by all: those that saw it would be favoured."""
    parts = set()
    for model in models:
        share, seed = model.config.validation, model.config.seed
        seen = f"all but {share:g} of it by seed {seed}" if share else "all of it"
        parts.add(seen if training_parts(model, data) is not None else "none of it as a whole")
    if len(parts) > 1:
        raise ConfigError(
            f"these runs were trained on different parts of {data.name}: {'; '.join(sorted(parts))}. What one held out "
            "favours another that saw it. Train them with one --seed and one --set validation, or give --data that "
            "none of them saw."
        )


def _alone(model: Model) -> bool:
    """Whether a model runs at a single D."""
    return model.config.dimension_range is None and math.isfinite(model.config.dimension)


def _grid(model: Model, args: argparse.Namespace) -> list[float]:
    """The D that are asked for, of those within the range of a model where none were named."""
    if args.dimensions is not None:
        return list(args.dimensions)
    if (bounds := model.config.dimension_range) is None:
        return list(args.default_dimensions)
    within = {D for D in args.default_dimensions if bounds[0] <= D <= bounds[1]}
    return sorted(within | {*bounds, math.inf})


def _of_run(args: argparse.Namespace) -> tuple[Curve, str, Path]:
    """The curve of a trained model, the name of its data, and the folder of the page."""
    if args.way == SEARCH:
        raise ConfigError(f"--way {SEARCH} trains models: give modality and data, as in pfgm find-d images digits")
    given = [name for name in ("steps", "batch_size", "config", "set") if getattr(args, name)]
    if given:
        raise ConfigError(f"--{given[0].replace('_', '-')} is for training, and {args.target} is trained already")
    model = load(args.target).to(device_named(args.device))
    way = way_of(model)
    if args.way not in (None, way):
        raise ConfigError(f"--way {args.way}: this model was trained for the way {way}")
    data = _data_of(model, args)
    report_rejected(data)
    out = _out(args, folder_of(args.target) / "find-d")
    return _swept(args, model, data, out), data.name, out


def _of_data(args: argparse.Namespace) -> tuple[Curve, str, Path]:
    """The curve of models that are trained for it, the name of the data, and the folder of the page."""
    adapter: Adapter = adapters.find(args.target)()
    way, settings = args.way or ONE_NETWORK, settings_of(args)
    dimensions = args.dimensions or args.default_dimensions
    finite = [D for D in dimensions if math.isfinite(D)]
    if way == ONE_NETWORK and len(finite) < 2:
        raise ConfigError("one network for every D needs two finite --dimensions or more, the ends of its range")
    _check_settings(settings, way, dimensions)
    data = open_data(adapter, args.data, read_options(args))
    name = data.name if data.name != "unnamed" else Path(args.data).resolve().stem
    report_rejected(data)
    # A folder a way, so that what one has measured stays beside what another does.
    out, device = _out(args, Path("runs") / "find-d" / name) / way, device_named(args.device)
    if way == SEARCH:
        return _searched(args, adapter, data, settings, out, device), name, out
    of = {"dimension_range": (min(finite), max(finite))} if way == ONE_NETWORK else {"dimension": math.inf}
    settings |= {"validation": HELD_OUT, **of}
    say(f"{way}: training on {name}, {len(data):,} objects of which {HELD_OUT:.0%} are held out")
    with progress("training") as update:
        model = fit(adapter, data, folder=out, device=device, on_step=lambda at: update(at.step, at.steps), **settings)
    curve = _swept(args, model, data, out)
    return replace(curve, seconds=curve.seconds + model.history["seconds"]), name, out


def _check_settings(settings: dict[str, Any], way: str, dimensions: Sequence[float]) -> None:
    """Raise ConfigError for what the networks of a way cannot be trained with, before anything is read or trained."""
    for chosen in ("dimension", "dimension_range", "seed", "validation"):
        if chosen in settings:
            raise ConfigError(f"{chosen} is a setting that find-d chooses itself: leave it out of --set and --config")
    name = str(settings.get("preconditioning", "edm"))
    for D in dimensions if way == SEARCH else (math.inf,):
        check_preconditioning(name, D)
    if way == ONE_NETWORK and name != "edm":
        raise ConfigError(
            f"preconditioning {name!r} is for networks of one D, and find-d trains one network for every D here: leave "
            f"it out, or take --way {SEARCH}, which trains a network at each"
        )


def _searched(
    args: argparse.Namespace, adapter: Adapter, data: Dataset, settings: dict[str, Any], out: Path, device: torch.device
) -> Curve:
    """The curve of networks that are trained at each D."""
    if args.again:
        raise ConfigError("--again: a search keeps its trials. Give --out FOLDER for another one.")
    train, held_out = data.split(HELD_OUT)
    known = _of_known_classes(held_out, train)
    compared = known if len(known) >= ENOUGH else _of_known_classes(data, train)
    say(f"{SEARCH}: training on {len(train):,} objects of {data.name}, compared with {len(compared):,}")
    steps = configure(adapter.fit(train), len(train), settings).training.steps
    training = {"validation": 0.0, **settings.pop("training", {}), "steps": steps}
    search = Search(
        adapter, train, Distance(compared, args.measure), out, {**settings, **training}, args.count, args.evaluations,
        device, progress,
    )  # fmt: skip
    return search.run(args.dimensions or args.default_dimensions, range(args.seeds))


def _of_known_classes(data: Dataset, train: Dataset) -> Dataset:
    """The objects whose classes occur in train."""
    keep = np.ones(len(data), dtype=bool)
    for name, value in data.condition.items():
        if np.asarray(value).ndim == 1 and np.asarray(value).dtype.kind in "iuUSb":
            keep &= np.isin(np.asarray(value), np.asarray(train.condition[name]))
    return data.take(np.flatnonzero(keep))


def _swept(args: argparse.Namespace, model: Model, data: Dataset, out: Path) -> Curve:
    distance, cells = Distance(_compared(model, data), args.measure), Cells(out / CELLS)
    cells.describe({"model": model.history, **_protocol(args, model, distance)}, again=args.again)
    curve = sweep(
        model,
        distance,
        cells,
        dimensions=_grid(model, args),
        seeds=range(args.seeds),
        count=args.count,
        evaluations=args.evaluations,
        watch=progress,
    )
    parts = training_parts(model, data)
    train = data if parts is None else parts[0]
    if curve.way != ANALYSIS or len(train) < LEAST:
        return curve
    rows = np.random.default_rng(0).permutation(len(train))[:TRAJECTORIES]
    batch = encoded(model.adapter, train.take(rows), model.specs)
    started = time.monotonic()
    with suppress(NotFinite), progress("errors along the way") as update:  # not finite: the curve still says something
        errors = noise_errors(model, batch, evaluations=args.evaluations, on_state=update)
        return replace(curve, errors=errors, seconds=curve.seconds + time.monotonic() - started)
    return curve


def _protocol(args: argparse.Namespace, model: Model, distance: Distance) -> dict[str, Any]:
    data = distance.data
    return {
        "compared with": {
            "name": data.name,
            "objects": len(data),
            "of": batch_fingerprint(encoded(model.adapter, data, model.specs)),
        },
        "measure": args.measure,
        "count": args.count,
        "evaluations": args.evaluations,
    }


def _data_of(model: Model, args: argparse.Namespace) -> Dataset:
    return open_data(model.adapter, args.data, read_options(args)) if args.data else training_data(model, args)


def _compared(model: Model, data: Dataset) -> Dataset:
    """What the model has not seen of data, where that is enough to compare with; else all."""
    parts = training_parts(model, data)
    return parts[1] if parts is not None and len(parts[1]) >= ENOUGH else data


def _out(args: argparse.Namespace, default: Path) -> Path:
    return Path(args.out) if args.out else default


def _facts(args: argparse.Namespace, name: str) -> dict[str, Cell]:
    return {"data": name, "measure": args.measure, "samples a point": args.count, "seeds": args.seeds}


def _show(curve: Curve) -> None:
    lines: list[tuple[str, str, str]] = [
        (named(D), written(*mean_and_spread(list(found.values()))), "alike" if D in curve.alike else "")
        for D, found in curve.values.items()
    ]
    lines += [(named(D), f"{v:.3g}", "stopped early") for D, v in curve.stopped.items() if D not in curve.values]
    show_table(("D", "distance", "beside the best"), lines)
    if curve.errors is not None:
        print(f"errors along the way: {told(curve.errors)}")
    print(curve)


def _written(out: Path, report: Report) -> int:
    print(f"Open {write(out / PAGE, report)} in a browser.")
    return 0
