"""What the commands of `pfgm` do: each takes the parsed words and returns the exit code. Results go to stdout."""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from pfgm_science import adapters, checkpoint, shipped
from pfgm_science.adapters import Adapter
from pfgm_science.cli import LEFT_OUT, nearest, rank
from pfgm_science.condition import ConditionSpec
from pfgm_science.config import parse_value, read_toml
from pfgm_science.constraints import Around, Keeps, Known
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.files import write_bytes
from pfgm_science.measurement import Measurement
from pfgm_science.memory import keep_freed
from pfgm_science.model import MODEL_FILE, Drawing, Guidance, Model, configure, fit, load
from pfgm_science.progress import progress, silent
from pfgm_science.solvers import DormandPrince, Solver, StochasticHeun, solver_named
from pfgm_science.training import LOG_FILE, STATE_FILE, Launcher, read_log

BENCHMARKS = "pfgm_science.benchmarks"  # entry points: objects with name, description and main(argv) -> exit code
COUNT = 100  # samples when none are asked for
VERSIONS = 4  # of a sound that is mended
STANDARD_INPUT = "-"  # as the name of a file, for readers that take it
SHOWN = 20  # records that are named when some are left out


def prepare(threads: int | None) -> None:
    """What holds for every command."""
    keep_freed()
    if threads is not None:
        torch.set_num_threads(threads)


def demo(args: argparse.Namespace) -> int:
    from pfgm_science.demo import demo as run

    page = run(out=Path(args.out), seed=args.seed, on_message=say)
    print(f"Open {page} in a browser.")
    return 0


def train(args: argparse.Namespace) -> int:
    device = device_named(args.device)
    settings = settings_of(args)
    adapter = adapters.find(args.modality)()
    data = open_data(adapter, args.data, read_options(args))
    if args.licence is not None:
        data = replace(data, licence=args.licence)
    name = data.name if data.name != "unnamed" else Path(args.data).resolve().stem
    out = Path(args.out or Path("runs") / name)
    _check_run_folder(out)
    start = None if args.start is None else load(args.start)
    config = configure(adapter.fit(data), len(data), settings, start)
    left_out = report_rejected(data)
    with _launched(args.devices, device) as launcher:
        chief = launcher is None or launcher.global_rank == 0
        if chief:
            say(_plan(data, config.dimension, config.training.steps, out, launcher.device if launcher else device))
        with (progress if chief else silent)("training") as update:
            model = fit(
                adapter,
                data,
                config=config,
                start=start,
                folder=out,
                device=launcher.device if launcher else device,
                launcher=launcher,
                on_step=lambda at: update(at.step, at.steps),
            )
        if chief:
            print(f"{out / MODEL_FILE}: {model.history['parameters']:,} parameters, {config.training.steps:,} steps")
            print(f"Next: pfgm sample {out} --count 100")
    return LEFT_OUT if left_out else 0


def sample(args: argparse.Namespace) -> int:
    args.run = args.run or _designer(args)
    model, how = _drawing(args)
    if args.template is not None:
        return _designed(model, args, how)
    alone = [name for name in ("redesign", "length", "allow", "deny") if getattr(args, name)]
    if alone or args.temperature is not None:
        raise ConfigError(f"--{(alone or ['temperature'])[0]} needs --template: the object whose parts are redesigned")
    if args.gap or args.declip or (args.band, args.ceiling, args.seconds) != (None, None, None):
        return _mended(model, args, how)
    count, keep = _known(model, args)
    how["keep"], how["measurement"] = keep, _measurement(args)
    if args.sizes is not None and args.keep is not None:
        raise ConfigError("--sizes: what is kept by a mask has its size already; leave one of the two out")
    how["sizes"] = None if keep is not None else sizes_of(args.sizes, count, args.seed)
    how["around"] = _fold(model, args)
    if keep is None and how["measurement"] is None and (args.repeats, args.repeats_interval) != (None, None):
        raise ConfigError("--repeats and --repeats-interval are for what is known: they need --keep or --measure")
    out = _drawn(model, args, how, "samples", lambda: model.sample(count, **how))
    calls = model.calls(args.dimension, how["guidance"])
    print(f"{out}: {count:,} samples{_in_calls(calls)}")
    return 0


def _designed(model: Model, args: argparse.Namespace, how: Drawing) -> int:
    """Designs: the object of --template with parts of it drawn anew."""
    if not hasattr(model.adapter, "design"):
        raise ConfigError(f"--template: {model.adapter.name} have no regions that could be redesigned")
    if (args.given, args.keep, args.measure, args.sizes, args.structure) != (None, None, None, None, None):
        raise ConfigError("--template goes with neither --from, --keep, --measure, --sizes nor --structure")
    given = model.adapter.read(args.template)
    if given.rejected or len(given) != 1:
        reason = given.rejected[0] if given.rejected else f"there are {len(given)} objects"
        raise DataError(f"{args.template}: {reason}. One good object is needed, the template of all designs.")
    report_rejected(given)
    job = model.adapter.design(
        given.objects[0], redesign=args.redesign, lengths=args.length, allow=args.allow, deny=args.deny,
        temperature=1.0 if args.temperature is None else args.temperature, seed=args.seed,
    )  # fmt: skip
    count = args.count or COUNT
    for path in job.files(str(_samples_file(model, args, "designs"))):
        check_output(Path(path), args.force)
    job.batch(model.adapter, count)  # refuses what cannot be met, before the training data are read
    how_far = {"training": _seen(model, args)}
    out = _drawn(model, args, how, "designs", lambda: job.draw(model, count, **how_far, **how))
    print(f"{out}: {count:,} designs")
    return 0


def _mended(model: Model, args: argparse.Namespace, how: Drawing) -> int:
    """The sound of --from with gaps filled, a band added, peaks restored, or its end continued."""
    if not hasattr(model.adapter, "mend"):
        raise ConfigError(
            f"--gap, --band, --declip, --ceiling and --seconds mend sounds; these are {model.adapter.name}"
        )
    if (args.keep, args.measure, args.sizes, args.structure) != (None, None, None, None):
        raise ConfigError("mending a sound goes with neither --keep, --measure, --sizes nor --structure")
    if args.ceiling is not None and not args.declip:
        raise ConfigError("--ceiling says where peaks were cut: it needs --declip")
    clip = None
    if args.given is not None:
        given = _given(model, args, whole=True)
        if given.rejected or len(given) != 1:
            reason = given.rejected[0] if given.rejected else f"there are {len(given)} objects"
            raise DataError(f"{args.given}: {reason}. One good sound is needed, which is mended.")
        clip = given.objects[0]
    job = model.adapter.mend(
        clip, gaps=args.gap, band=args.band or 0.0, declip=args.declip, ceiling=args.ceiling,
        seconds=args.seconds or 0.0, **_repeats(args),
    )  # fmt: skip
    count = args.count or VERSIONS
    out = _drawn(model, args, how, "mended", lambda: job.draw(model, count, **how))
    print(f"{out}: {count:,} {'versions' if clip else 'sounds'}")
    return 0


def _fold(model: Model, args: argparse.Namespace) -> Around | None:
    """What --structure asks of samples."""
    if args.structure is None:
        return None
    if not hasattr(model.adapter, "fold"):
        raise ConfigError(f"--structure: {model.adapter.name} do not fold")
    if (args.given, args.keep, args.measure, args.sizes) != (None, None, None, None):
        raise ConfigError("--structure goes with neither --from, --keep, --measure nor --sizes")
    around: Around = model.adapter.fold(args.structure)
    return around


def _designer(args: argparse.Namespace) -> str:
    """The shipped model that designs where none is named, which an adapter has for it."""
    if args.template is None:
        raise ConfigError("which model? Name a run, or a shipped model: pfgm sample runs/mine --count 100")
    named = [name for each in adapters.names() if (name := getattr(adapters.find(each), "designer", ""))]
    there = [name for name in named if name in shipped.models()]
    if not there:
        raise ConfigError(
            f"no model is named, and {' or '.join(named) or 'one'} that designs is not part of this installation. Name "
            "a run before the options: pfgm sample runs/mine --template t.fasta"
        )
    say(f"designing with the shipped model {there[0]}")
    return str(there[0])


def _seen(model: Model, args: argparse.Namespace) -> Any:
    """What a model was trained on, to say how far from it designs are; nothing, and why, where it is not to be had."""
    from pfgm_science.evaluation import training_parts

    recorded = model.history.get("data", {})
    name = recorded.get("source") or recorded.get("name") or "data without a name"
    without = "the table has no distances to the training data"
    try:
        data = _recorded_data(model, args)
        if data is None:
            say(f"{without}: {name} is not to be found from here")
            return ()
        parts = training_parts(model, data)
        if parts is not None:
            return parts[0].objects
        if data.read is not None:
            say(f"{without}: {name} is not what it was then")
            return ()
        model.adapter.encode(data.objects[:1])
    except PfgmError as error:
        say(f"{without}: {error}")
        return ()
    say(f"distances to the training data are to all {len(data):,} of {data.name}: {recorded['samples']:,} were used")
    return data.objects


def vary(args: argparse.Namespace) -> int:
    from pfgm_science.editing import vary as varied

    model, how = _drawing(args)
    given = _given(model, args)
    left_out = report_rejected(given)
    draw = partial(varied, model, given.objects, args.level, each=args.each)
    out = _drawn(model, args, how, "variations", lambda: draw(**how))
    print(f"{out}: {args.each:,} variations of each of {len(given):,} objects")
    return LEFT_OUT if left_out else 0


def interpolate(args: argparse.Namespace) -> int:
    from pfgm_science.editing import interpolate as between

    model, how = _drawing(args)
    given = _given(model, args)
    left_out = report_rejected(given)
    if len(given) < 2:
        raise DataError(f"{args.given}: {len(given)} objects; at least 2 are needed for something between them")
    first, second = (given.take(np.arange(len(given) - 1) + i).objects for i in (0, 1))
    out = _drawn(model, args, how, "between", lambda: between(model, first, second, args.points, **how))
    print(f"{out}: {args.points:,} points on each of {len(given) - 1:,} ways")
    return LEFT_OUT if left_out else 0


def evaluate(args: argparse.Namespace) -> int:
    from pfgm_science.evaluation import evaluate as compare

    solver = solver_of(args)
    model = load(args.run).to(device_named(args.device))
    data = open_data(model.adapter, args.data, read_options(args)) if args.data else training_data(model, args)
    left_out = report_rejected(data)
    out = Path(args.out or folder_of(args.run) / "evaluation")
    with progress("evaluating") as update:
        report = compare(
            model,
            data,
            count=args.count,
            seed=args.seed,
            evaluations=args.evaluations,
            solver=solver,
            grid=args.grid,
            dimension=args.dimension,
            out=out,
            run=folder_of(args.run),
            on_state=update,
        )
    show_table(("metric", "value", "floor", "what it is"), [(r.name, r.value, r.floor, r.meaning) for r in report.rows])
    print(f"Open {report.page} in a browser.")
    if report.alarm:
        raise DataError(f"these samples are no good: {report.alarm}")
    return LEFT_OUT if left_out else 0


def find_d(args: argparse.Namespace) -> int:
    from pfgm_science.dimension_commands import find_d as run

    return run(args)


def robustness(args: argparse.Namespace) -> int:
    from pfgm_science.dimension_commands import robustness as run

    return run(args)


def likelihood(args: argparse.Namespace) -> int:
    from pfgm_science.likelihood import log_likelihood as measure
    from pfgm_science.likelihood import mean_and_error

    model = load(args.run).to(device_named(args.device))
    data = open_data(model.adapter, args.data, read_options(args)) if args.data else training_data(model, args)
    out = Path(args.out) if args.out else None
    if out is not None:
        check_output(out, args.force)
    left_out = report_rejected(data)
    known = {spec.name for spec in model.specs}
    condition = {} if args.unconditional else {name: v for name, v in data.condition.items() if name in known}
    with progress("likelihood") as update:
        found = measure(
            model,
            data.objects,
            condition=condition,
            dimension=args.dimension,
            steps=args.steps,
            probes=args.probes,
            seed=args.seed,
            on_state=update,
        )
    if out is not None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("object", "log_likelihood", "coordinates", "step_error", "probe_error"))
        columns = (found.value, found.coordinates, found.step_error, found.probe_error)
        writer.writerows((i, *map(float, row)) for i, row in enumerate(zip(*columns, strict=True)))
        write_bytes(out, text.getvalue().encode())
    mean, error = mean_and_error(found.value)
    each, each_error = mean_and_error(found.value / found.coordinates)
    given = ", ".join(condition) or "nothing"
    show_table(
        (f"nats, over {found.unit}", "mean", "standard error"),
        [
            (f"log p of {len(found.value):,} objects, given {given}", mean, error),
            ("a coordinate", each, each_error),
            ("error of the steps, at most", float(found.step_error.max()), ""),
            ("error of the probes", float(found.probe_error.mean()), ""),
        ],
    )
    return LEFT_OUT if left_out else 0


def benchmark(args: argparse.Namespace) -> int:
    points = {point.name: point for point in sorted(entry_points(group=BENCHMARKS), key=lambda point: point.name)}
    if args.name is None:
        show_table(("benchmark", "what it measures"), [(name, _describe(point)) for name, point in points.items()])
        return 0
    if args.name not in points:
        known = list(points)
        raise ConfigError(
            f"there is no benchmark {args.name!r}; there are {', '.join(known) or 'none'}.{nearest(args.name, known)}"
        )
    return int(_loaded(points[args.name]).main(list(args.rest)))


def info(args: argparse.Namespace) -> int:
    if args.run is None:
        facts = installation()
    else:
        path = shipped.resolved(args.run)
        header = checkpoint.read_header(path / MODEL_FILE if path.is_dir() else path)
        facts = header | {"log": last_losses(folder_of(args.run) / LOG_FILE)}
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        summary = facts if args.run is None else summary_of(facts)
        show_table(("", ""), list(_flat(summary)), header=False)
    return 0


def data(args: argparse.Namespace) -> int:
    if args.what == "check":
        return _check_data(args)
    if args.name is not None:
        return _export_data(args)
    if args.out is not None:
        raise ConfigError("--out needs the name of a data set: pfgm data images digits --out digits.npz")
    chosen = [args.what] if args.what else adapters.names()
    known = {name: adapters.find(name)().datasets() for name in chosen}
    if args.json:
        print(json.dumps({name: [asdict(each) for each in infos] for name, infos in known.items()}, indent=2))
    else:
        rows = [(name, i.name, i.description, i.size, i.licence, i.how) for name, infos in known.items() for i in infos]
        show_table(("modality", "name", "what", "size", "licence", "how to get it"), rows)
    return 0


def say(*words: object) -> None:
    """A line on stderr, where progress goes, so that stdout holds results alone."""
    print(*words, file=sys.stderr, flush=True)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], header: bool = True) -> None:
    """A table on stdout, as wide as the terminal, or 160 characters in a file."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if header else None, show_header=header, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else _short(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:  # printed by rich itself, a closed pipe would end the process with code 1
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines()))


def report_rejected(data: Dataset) -> int:
    """Name on stderr what a reader left out, and count what it made normal; returns how many were left out."""
    if rank() == 0:
        for what, count in data.details.get("changed", {}).items():
            say(f"{what}: {count:,} records")
    rejected = data.rejected if rank() == 0 else ()
    for record in rejected[:SHOWN]:
        say(f"left out: {record}")
    if len(rejected) > SHOWN:
        say(f"... and {len(rejected) - SHOWN:,} more (`pfgm data check` lists all)")
    if rejected:
        say(f"{len(rejected):,} records left out, {len(data):,} used")
    return len(data.rejected)


def device_named(name: str) -> torch.device:
    """The device for --device; ConfigError when CUDA is asked for and is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(
                f"--device {name}: torch {torch.__version__} finds no CUDA device here. Use --device cpu or auto, or "
                "install a torch built for CUDA (see https://pytorch.org)."
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return device


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Settings of a training run: the file of --config, then --set, then the options with names of their own."""
    settings = read_toml(args.config) if args.config else {}
    for name, text in args.set:
        *tables, last = name.split(".")
        table = settings
        for key in tables:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(f"--set {name}: {key} is a value and no table of settings")
        table[last] = parse_value(text)
    for name in ("dimension", "dimension_range", "seed"):
        if getattr(args, name) is not None:
            settings[name] = getattr(args, name)
    for name in ("steps", "batch_size"):
        if getattr(args, name) is not None:
            settings.pop(name, None)
            settings["training"] = {**settings.get("training", {}), name: getattr(args, name)}
    return settings


def read_options(args: argparse.Namespace) -> dict[str, Any]:
    """Options of the adapter's reader, from --read and from the options that are short for it."""
    options = {name: parse_value(text) for name, text in args.read}
    for name in ("size", "label"):
        if (value := getattr(args, name, None)) is not None and args.command not in ("sample", "vary", "interpolate"):
            options[name] = value
    return options


def open_data(adapter: Adapter, data: str, options: Mapping[str, Any]) -> Dataset:
    """Data by name, or read from a path; a name goes before a path (write ./digits for a folder of that name)."""
    known = [each.name for each in adapter.datasets()]
    if _by_name(adapter, data):
        if options:
            raise ConfigError(f"{', '.join(options)}: options of reading files, but {data!r} is a data set by name")
        return adapter.dataset(data)
    if data != STANDARD_INPUT and not Path(data).exists():
        raise DataError(
            f"{data!r} is neither a file or folder nor a data set of {adapter.name} ({', '.join(known)})."
            f"{nearest(data, known)}"
        )
    read: Dataset = _with_options(adapter, "read", options, adapter.read, data)
    return replace(read, source=data, read=options)


def _by_name(adapter: Adapter, data: str) -> bool:
    """Whether this names a data set, perhaps with settings after a colon: digits, planar:nodes=32."""
    return data.partition(":")[0] in [each.name for each in adapter.datasets()]


def solver_of(args: argparse.Namespace) -> Solver | None:
    """The solver that --solver and --tolerance name; ConfigError where they do not go with --evaluations."""
    if args.solver is None:
        for name, owner in (("tolerance", DormandPrince), ("churn", StochasticHeun)):
            if getattr(args, name) is not None:
                raise ConfigError(f"--{name} needs --solver {owner.name}: no other solver has one")
        return None
    solver = solver_named(args.solver)
    for name, owner in (("tolerance", DormandPrince), ("churn", StochasticHeun)):
        value = getattr(args, name)
        if value is None:
            continue
        if not isinstance(solver, owner):
            raise ConfigError(f"--{name} {value:g}: {solver.name} has none; only {owner.name} does")
        solver = replace(solver, **{name: value})
    if args.evaluations is not None:
        solver.steps(args.evaluations)
    return solver


def _drawing(args: argparse.Namespace) -> tuple[Model, Drawing]:
    """The model, and what the options of sampling say together of how it is to draw."""
    solver, guidance = solver_of(args), guidance_of(args)
    model = load(args.run).to(device_named(args.device))
    model = model if args.precision is None else model.at_precision(args.precision)
    model = model.compiled() if args.compile else model
    pairs = list(args.condition) + ([("label", args.label)] if args.label is not None else [])
    how: Drawing = {
        "seed": args.seed,
        "condition": conditions_of(model.specs, pairs),
        "dimension": args.dimension,
        "guidance": guidance,
        "evaluations": args.evaluations,
        "solver": solver,
        "grid": args.grid,
        "batch_size": args.batch_size,
        "graph": args.graph,
    }
    return model, how


def _drawn(model: Model, args: argparse.Namespace, how: Drawing, name: str, draw: Callable[[], Any]) -> Path:
    """Draw with progress, which is put into how, and write; returns where to."""
    out = _samples_file(model, args, name)
    with progress("sampling") as update:
        how["on_state"] = update
        objects = draw()
    _write_samples(model, out, objects, (how["condition"] or {}).get("label"))
    return out


def sizes_of(text: str | None, count: int, seed: int) -> list[int] | None:
    """What --sizes says: N is the size of all, LOW-HIGH is drawn evenly between, both included."""
    if text is None:
        return None
    low, dash, high = text.partition("-")
    try:
        bounds = (int(low), int(high if dash else low))
    except ValueError:
        raise ConfigError(f"--sizes {text}: it must be a whole number, or LOW-HIGH") from None
    if not 0 < bounds[0] <= bounds[1]:
        raise ConfigError(f"--sizes {text}: 0 < LOW <= HIGH is needed")
    drawn: list[int] = np.random.default_rng(seed).integers(bounds[0], bounds[1] + 1, count).tolist()
    return drawn


def _known(model: Model, args: argparse.Namespace) -> tuple[int, Keeps | None]:
    """How many samples are to be drawn, and what --keep and --from say is known of them."""
    if args.keep is None:
        if args.given is None:
            return args.count or COUNT, None
        if not hasattr(model.adapter, "part"):
            others = ", or one of --gap, --band, --declip and --seconds" if hasattr(model.adapter, "mend") else ""
            raise ConfigError(f"--from needs --keep, a mask that says what of the given objects is kept{others}")
        return args.count or COUNT, _part(model, args)
    if args.given is None:
        raise ConfigError("--keep needs --from: the objects whose parts are kept")
    mask = _array(args.keep)
    given = _given(model, args)
    if given.rejected:
        raise DataError(f"{args.given}: {given.rejected[0]}. All objects to keep parts of must be good.")
    count = args.count or (len(given) if len(given) > 1 else COUNT)
    return count, Known(given.objects, mask, **_repeats(args))


def _part(model: Model, args: argparse.Namespace) -> Keeps:
    """The object of --from, which every sample is to have in it."""
    given = _given(model, args)
    if given.rejected or len(given) != 1:
        reason = given.rejected[0] if given.rejected else f"there are {len(given)} objects"
        raise DataError(f"{args.given}: {reason}. One good object is needed, which every sample is to have in it.")
    sizes = sizes_of(args.sizes, args.count or COUNT, args.seed)
    kept: Keeps = model.adapter.part(  # type: ignore[attr-defined]
        given.objects[0], sizes=sizes, seed=args.seed, **_repeats(args)
    )
    return kept


def _given(model: Model, args: argparse.Namespace, whole: bool = False) -> Dataset:
    """The objects of --from, read as the training data were, but for their labels.

    whole: of what was recorded then, all that the adapter itself sees to (a length, a rate) is left out too, so that
    nothing of a file is lost before the adapter has it.
    """
    recorded = model.history.get("data", {}).get("read") or {}
    left_out = {"label", *(model.adapter.settings() if whole else ())}
    options = read_options(args)
    if not _by_name(model.adapter, args.given):
        options = {name: value for name, value in recorded.items() if name not in left_out} | options
    return open_data(model.adapter, args.given, options)


def _measurement(args: argparse.Namespace) -> Measurement | None:
    """What --measure, --result and --measure-noise say together."""
    if args.measure is None or args.result is None:
        if (args.measure, args.result, args.measure_noise) != (None, None, None):
            raise ConfigError("a measurement needs both --measure, its matrix A, and --result, what came out of it")
        return None
    return Measurement(_array(args.measure), _array(args.result), args.measure_noise or 0.0, **_repeats(args))


def _repeats(args: argparse.Namespace) -> dict[str, Any]:
    """What --repeats and --repeats-interval say of what is known; what they do not say is left to its own defaults."""
    said: dict[str, Any] = {} if args.repeats is None else {"repeats": args.repeats}
    if args.repeats_interval is not None:
        said["low"], said["high"] = args.repeats_interval
    return said


def _array(path: str) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read: it must be an .npy file ({error})") from None
    return array


def _samples_file(model: Model, args: argparse.Namespace, name: str) -> Path:
    """Where samples are to go, found fit before any work is done for them."""
    ending = getattr(model.adapter, "suffix", ".npz")
    owner = "" if Path(args.run).exists() else f"{args.run}-"  # of a shipped model, which has no folder
    out = Path(args.out or folder_of(args.run) / f"{owner}{name}-seed{args.seed}{ending}")
    check_output(out, args.force)
    _check_ending(model.adapter, out)
    return out


def guidance_of(args: argparse.Namespace) -> Guidance | None:
    """What --guidance, --guidance-interval and --guide say together."""
    if args.guidance is None:
        if args.guide is not None or args.guidance_interval != (0.0, math.inf):
            raise ConfigError("--guide and --guidance-interval need a weight: --guidance 2")
        return None
    weaker = None if args.guide is None else load(args.guide).to(device_named(args.device))
    low, high = args.guidance_interval
    return Guidance(args.guidance, low, high, weaker)


def conditions_of(specs: Sequence[ConditionSpec], pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Conditions from NAME=VALUE: text for a class, numbers with commas between for a vector."""
    vectors = {spec.name for spec in specs if spec.kind == "vector"}
    condition: dict[str, Any] = {}
    for name, text in pairs:
        if name in condition:
            raise ConfigError(f"condition {name!r} is given twice")
        try:
            condition[name] = [float(number) for number in text.split(",")] if name in vectors else text
        except ValueError:
            raise ConfigError(f"condition {name!r} is {text!r}: it must be numbers with commas between") from None
    return condition


def check_output(path: Path, force: bool) -> None:
    """Refuse a place that cannot or should not be written, before any work is done for it."""
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"cannot write {path}: there is no folder {path.parent}. Make it first (mkdir -p).")
    if path.is_dir() and any(path.iterdir()):
        raise ConfigError(f"cannot write {path}: it is a folder that is not empty. Give another name, or empty it.")
    if path.is_file() and not force:
        raise ConfigError(f"{path} exists. Give another --out, or --force to replace it.")


def installation() -> dict[str, Any]:
    """What this installation has: versions, devices, adapters, benchmarks."""
    optional = ("lightning-fabric", "tensorboard", "optuna", "pyarrow", "rdkit")
    packages = ("numpy", "safetensors", "torch-geometric", *optional)
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "versions": checkpoint.versions() | {name: _version(name) for name in packages},
        "device": str(device_named("auto")),
        "cuda devices": devices,
        "threads": torch.get_num_threads(),
        "adapters": {point.name: point.value for point in sorted(entry_points(group=adapters.GROUP))},
        "benchmarks": sorted(point.name for point in entry_points(group=BENCHMARKS)),
    }


def last_losses(path: Path) -> dict[str, Any]:
    """The last entry of each kind in a training log; empty when there is none that can be read."""
    try:
        return {entry.pop("event"): entry for entry in read_log(path)}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def summary_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a person asks first of a checkpoint, from its header and the end of its log."""
    config, history, log = facts["config"], facts["history"], facts["log"]
    conditions = {spec["name"]: spec["classes"] or f"{spec['size']} numbers" for spec in facts["conditions"]}
    return {
        "adapter": facts["adapter"]["name"] + _in_words(facts["adapter"]["settings"]),
        "D": config["dimension_range"] or config["dimension"],
        "data": history["data"],
        "conditions": conditions,
        "network": {"parameters": history["parameters"]} | config["network"],
        "training": {"steps": config["training"]["steps"], "seconds": history.get("seconds", "not finished")},
        "loss": {
            **{f"step {entry['step']:,}": entry["loss"] for event, entry in log.items() if event == "train"},
            **{f"held out, sigma {level}": loss for level, loss in log.get("validation", {}).get("levels", {}).items()},
        },
        **{name: history[name] for name in ("figures", "recipe") if name in history},  # of a shipped model
        "written by": facts["versions"],
    }


def _in_words(settings: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} {_short(value)}" for name, value in settings.items())
    return f" ({shown[:200]})" if shown else ""


def _plan(data: Dataset, dimension: float, steps: int, out: Path, device: torch.device) -> str:
    state = out / STATE_FILE
    begun = checkpoint.read_header(state, "state")["step"] if state.exists() else 0
    resumed = f", from step {begun:,}" if begun else ""
    return f"{data.name}: {len(data):,} objects, D = {dimension:g}, {steps:,} steps on {device}{resumed}, into {out}"


def _check_run_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file of that name exists, and a run needs a folder. Give another name.")
    if (out / MODEL_FILE).exists() and not (out / STATE_FILE).exists():
        raise ConfigError(f"--out {out} holds a model but no state to go on from. Give another name, to keep it.")


def _in_calls(calls: int) -> str:
    return f"; each evaluation called the network {calls} times" if calls > 1 else ""


def _write_samples(model: Model, out: Path, objects: Any, label: str | None) -> None:
    """With the class that was asked for, where the format has a place for it."""
    if label is not None:
        with suppress(DataError):
            model.adapter.write(str(out), objects, labels=[label] * len(objects))
            return
    model.adapter.write(str(out), objects)


def _check_ending(adapter: Adapter, out: Path) -> None:
    """Learn that the format is not known before sampling rather than after."""
    # Zeros need not be an object of the domain: it is enough that the ending was accepted.
    with tempfile.TemporaryDirectory() as folder, suppress(DataError):
        adapter.write(str(Path(folder) / f"probe{out.suffix}"), adapter.decode(adapter.template(1, 0)))


def training_data(model: Model, args: argparse.Namespace) -> Dataset:
    """What the model was trained on; ConfigError where it is not to be found."""
    found = _recorded_data(model, args)
    if found is not None:
        return found
    recorded = model.history.get("data", {})
    name = recorded.get("source") or recorded.get("name") or "data without a name"
    where = "after the run" if args.command == "find-d" else "with --data PATH"
    raise ConfigError(
        f"this model was trained on {name}, which is not to be found from here. "
        f"Give the data {where}, and with --read the options they are read with."
    )


def _recorded_data(model: Model, args: argparse.Namespace) -> Dataset | None:
    """What the model was trained on: a set by name, or files that are still where they were; else None."""
    recorded = model.history.get("data", {})
    name, source, read = recorded.get("name", ""), recorded.get("source", ""), recorded.get("read")
    if read is not None and Path(source).exists():
        return open_data(model.adapter, source, read | read_options(args))
    if read is None and _by_name(model.adapter, name):
        return open_data(model.adapter, name, read_options(args))
    return None


def _export_data(args: argparse.Namespace) -> int:
    adapter = adapters.find(args.what)()
    if args.out is None:
        raise ConfigError(f"--out is missing: pfgm data {args.what} {args.name} --out {_file_for(adapter, args.name)}")
    out = Path(args.out)
    check_output(out, args.force)
    data = open_data(adapter, args.name, read_options(args))
    adapter = adapter.fit(data)  # how objects are written can depend on the data
    left_out = report_rejected(data)
    options = {"labels": data.condition["label"]} if "label" in data.condition else {}
    _with_options(adapter, "write", options, adapter.write, str(out), data.objects)
    print(f"{out}: {len(data):,} objects, licence {data.licence}")
    return LEFT_OUT if left_out else 0


def _file_for(adapter: Adapter, name: str) -> str:
    """A file that holds all objects of a set by name, and their labels."""
    ending = getattr(adapter, "suffix", ".npz")
    # One picture or one sound shows many objects but holds no labels: in an archive there is a file for each.
    return name.partition(":")[0] + (".zip" if ending in (".png", ".wav") else ending)


def _check_data(args: argparse.Namespace) -> int:
    kind = args.adapter or (adapters.guessed(args.name) if args.name is not None else "")
    if args.name is None or not kind:
        raise ConfigError("what to check, and as what? For example: pfgm data check photos/ --adapter images")
    if args.adapter is None:
        say(f"checked as {kind}, by the endings of files (--adapter for another modality)")
    adapter = adapters.find(kind)()
    data = open_data(adapter, args.name, read_options(args))
    for record in data.rejected:
        print(f"left out: {record}")
    fitted = adapter.fit(data)
    rows: list[tuple[str, object]] = [("used", len(data)), ("left out", len(data.rejected))]
    rows += [("shape as tensors", list(fitted.encode(data.objects[:1]).values.shape[1:]))]
    if hasattr(fitted, "inspect"):
        rows += fitted.inspect(data)
    told = {name for name, _ in rows}
    for name, values in data.condition.items():
        if name in told:
            continue
        values = np.asarray(values)
        if values.ndim == 1 and values.dtype.kind != "f":
            counts = zip(*np.unique(values, return_counts=True), strict=True)
            rows.append((name, ", ".join(f"{value}: {count:,}" for value, count in counts)))
        else:
            rows.append((name, f"vectors of {values[0].size}"))
    show_table(("", ""), rows, header=False)
    return LEFT_OUT if data.rejected else 0


def _with_options(
    adapter: Adapter, verb: str, options: Mapping[str, Any], function: Callable[..., Any], *arguments: Any
) -> Any:
    """Call an adapter's reader or writer with the user's options; one that it does not know is the user's mistake."""
    try:
        return function(*arguments, **options)
    except TypeError as error:
        if not options:
            raise
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        why = f"it does not know {unknown[1]!r}" if unknown else str(error)
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise ConfigError(f"{adapter.name} cannot {verb} with {given[:200]}: {why}") from error


@contextmanager
def _launched(devices: int, device: torch.device) -> Iterator[Launcher | None]:
    """Lightning Fabric for --devices N or under torchrun, which has started the processes already; else nothing."""
    world = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else devices
    if world == 1:
        yield None
        return
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError:
        raise ConfigError(
            f"{world} devices need Lightning Fabric: pip install 'pfgm-science[scale]', or leave --devices out"
        ) from None
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if device.type == "cuda" and "TORCHELASTIC_RUN_ID" not in os.environ and devices > torch.cuda.device_count():
        raise ConfigError(f"--devices {devices}: there are {torch.cuda.device_count()} CUDA devices")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    fabric = Fabric(accelerator=device.type, devices=local, num_nodes=world // local, strategy="ddp")
    fabric.launch()
    try:
        yield cast(Launcher, fabric)
    finally:
        torch.distributed.destroy_process_group()


def _describe(point: EntryPoint) -> str:
    try:
        return str(_loaded(point).description)
    except ConfigError as error:
        return str(error)


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the benchmark {point.name!r} ({point.value}) cannot be loaded: {error}") from error


def folder_of(run: str) -> Path:
    """Where a run keeps its files; the working folder for a shipped model."""
    path = Path(run)
    if not path.exists() and run in shipped.models():
        return Path()
    return path if path.is_dir() else path.parent


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _flat(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Nested tables as rows, the name of a table on its first row alone."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            for i, (inner, each) in enumerate(_flat(value)):
                yield (f"{key}: {inner}" if i == 0 else f"{' ' * len(key)}  {inner}"), each
        else:
            yield key, value


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_short(item) for item in value[:10])
        return shown + (", ..." if len(value) > 10 else "")
    return "" if value is None else str(value)


__all__ = ["benchmark", "data", "demo", "evaluate", "info", "likelihood", "sample", "train"]
