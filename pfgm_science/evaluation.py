"""How good is a model? Samples beside real data, by measures that know no domain, each with its real-real floor."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pfgm_science import metrics
from pfgm_science.adapters import prepared
from pfgm_science.checkpoint import versions
from pfgm_science.config import to_json
from pfgm_science.data import Dataset
from pfgm_science.errors import DataError, PfgmError
from pfgm_science.figures import GENERATED, MUTED, REAL, label, new_figure
from pfgm_science.files import replacing
from pfgm_science.model import EVALUATIONS, Model, batch_fingerprint, encoded
from pfgm_science.progress import duration
from pfgm_science.report import Figure, Report, Section, Table, number, write
from pfgm_science.solvers import DEFAULT, Solver, is_fixed, solver_named
from pfgm_science.training import LOG_FILE, read_log
from pfgm_science.walk import milestones, walk

Array = npt.NDArray[np.float64]

PAGE, RESULTS = "report.html", "evaluation.json"
LEAST = 20  # objects that the two-sample test needs on each side
CLASSIFIERS = 3  # of these pairs also train a classifier, which takes as long as all the rest
REPEATS = 10  # random pairs of sets over which a measure and its floor are averaged


@dataclass(frozen=True)
class Row:
    """One measure: mean and standard deviation over pairs of random sets, and the same between two sets of real data.

    better: "lower", "higher", or "floor" where the floor itself is what to wish for. interval: the 95% confidence
    interval, for measures that have one. A floor of NaN means that there is none.
    """

    name: str
    value: float
    std: float
    floor: float
    floor_std: float
    better: str
    meaning: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    rows: the measures; size: objects on each side of every comparison; provenance: model, data, sampling and machine,
    as JSON values. real, generated: as many objects of each as are worth showing; nearest, distances: the training
    objects nearest to generated, and how far, and training, held_out: the data of the run, None when the training data
    are not known. page: the report, if written. alarm: what the adapter finds plainly wrong with the samples, "" for
    nothing.
    """

    rows: tuple[Row, ...]
    size: int
    provenance: Mapping[str, Any]
    real: Any = field(repr=False)
    generated: Any = field(repr=False)
    nearest: Any = field(default=None, repr=False)
    distances: Array | None = field(default=None, repr=False)
    training: Any = field(default=None, repr=False)
    held_out: Any = field(default=None, repr=False)
    page: Path | None = None
    alarm: str = ""

    def to_json(self) -> dict[str, Any]:
        """Measures and provenance as JSON values; NaN becomes null."""
        rows = [{name: _plain(value) for name, value in vars(row).items()} for row in self.rows]
        return {"size": self.size, "measures": rows, "alarm": self.alarm, "provenance": to_json(self.provenance)}


def evaluate(
    model: Model,
    data: Dataset,
    *,
    count: int = 1000,
    seed: int = 0,
    evaluations: int | None = None,
    solver: str | Solver | None = None,
    grid: str | None = None,
    dimension: float | None = None,
    out: str | Path | None = None,
    run: str | Path | None = None,
    on_state: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Draw `count` samples and compare them with data, on the features of the model's adapter.

    At most as many are drawn as there are data. A conditional model is asked for the conditions of so many real objects
    drawn at random. Every measure compares sets of min(count, half of the data) objects, so that value and floor are of
    one size. When data are what the model was trained on, the nearest training objects are found and compared with
    those of the held-out part. out: a folder for report.html and evaluation.json, made if need be. run: the folder of
    the training run, for its loss curves. on_state: told of sampling progress. Raises DataError for less than 40
    objects or samples of another kind, ConfigError for what the model cannot do.
    """
    if len(data) < 2 * LEAST or count < LEAST:
        raise DataError(
            f"{len(data)} real objects and {count} samples: an evaluation needs at least {2 * LEAST} and {LEAST}"
        )
    started = time.monotonic()
    generator = np.random.default_rng(seed)
    count = min(count, len(data))
    chosen = generator.choice(len(data), count, replace=False)
    wanted = {spec.name for spec in model.specs}
    condition = {name: value for name, value in data.take(chosen).condition.items() if name in wanted}
    objects = model.sample(
        count,
        seed=seed,
        condition=condition,
        dimension=dimension,
        evaluations=evaluations,
        solver=solver,
        grid=grid,
        on_state=on_state,
    )
    sampling_seconds = time.monotonic() - started
    adapter = model.adapter
    seen = replace(data, objects=prepared(adapter, data.objects))
    real, generated = adapter.features(seen.objects), adapter.features(objects)
    size = min(count, len(data) // 2)
    rows = compare(real, generated, size=size, repeats=REPEATS, seed=seed)

    nearest = distances = None
    parts = training_parts(model, data)
    if parts is not None:
        training, held_out = parts
        reference = adapter.features(prepared(adapter, training.objects))
        found, where = metrics.nearest_neighbours(generated, reference)
        distances, nearest = found[:, 0], prepared(adapter, training.take(where[:, 0]).objects)
        if len(held_out) >= 2:
            rows += memory(generated, reference, adapter.features(prepared(adapter, held_out.objects)))
    result = Evaluation(
        rows=rows,
        size=size,
        provenance=_provenance(
            model, data, count, seed, evaluations, solver, grid, dimension, sampling_seconds, started
        ),
        real=seen.take(generator.permutation(len(data))[:count]).objects,
        generated=objects,
        nearest=nearest,
        distances=distances,
        training=None if parts is None else parts[0].objects,
        held_out=None if parts is None else parts[1].objects,
        page=None if out is None else Path(out) / PAGE,
        alarm=adapter.alarm(objects, seen.objects) if hasattr(adapter, "alarm") else "",
    )
    if out is not None:
        _write(result, model, Path(out), None if run is None else Path(run))
    return result


def training_parts(model: Model, data: Dataset) -> tuple[Dataset, Dataset] | None:
    """The training and the held-out part of data, when data are what the model was trained on; None otherwise."""
    recorded = model.history.get("data", {}).get("fingerprint")
    if recorded is None or len(data) < 2:
        return None
    training, held_out = data.split(model.config.validation, model.config.seed)
    try:
        found = batch_fingerprint(encoded(model.adapter, training, model.specs))
    except PfgmError:  # shapes or labels that the model does not know: other data
        return None
    return (training, held_out) if found == recorded else None


def compare(real: Array, generated: Array, *, size: int, repeats: int = REPEATS, seed: int = 0) -> tuple[Row, ...]:
    """The measures of generated [m, d] against real features [n, d], each beside its floor.

    Each value is a mean over `repeats` random draws of `size` rows from either set without replacement, each floor the
    same of two disjoint sets of real rows: 2 size <= n, size <= m. The classifier is fitted to the first three alone.
    """
    generator = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in _MEASURES}
    floors: dict[str, list[float]] = {name: [] for name in _MEASURES}
    for k in range(repeats):
        order = generator.permutation(len(real))
        a, b = real[order[:size]], real[order[size : 2 * size]]
        samples = generated[generator.permutation(len(generated))[:size]]
        for found, other in ((values, samples), (floors, b)):
            for name, value in _measure(a, other, seed, classifier=k < CLASSIFIERS).items():
                found[name].append(value)
    interval = metrics.kernel_distance(real, generated, seed=seed)
    return tuple(
        Row(
            name,
            *_mean_and_std(values[name]),
            *_mean_and_std(floors[name]),
            better,
            meaning,
            (interval.low, interval.high) if name == _KERNEL else None,
        )
        for name, (better, meaning) in _MEASURES.items()
    )


def memory(generated: Array, training: Array, held_out: Array) -> tuple[Row, ...]:
    """Does the model copy? The distance of samples to the training set against that of held-out real data."""
    found = metrics.memorisation(generated, training, held_out)
    none = math.nan
    return (
        Row(
            "Distance to training set",
            found.distance_ratio,
            none,
            1.0,
            none,
            "floor",
            "median over that of held-out real objects; near 0: copies",
        ),
        Row(
            "Near copies",
            found.near_copies,
            none,
            found.near_copies_held_out,
            none,
            "floor",
            "share nearer to the training set than 95% of held-out real objects are",
        ),
        Row("Exact copies", found.copies, none, 0.0, none, "lower", "share that are a training object up to rounding"),
    )


def sections(evaluation: Evaluation, model: Model, run: Path | None = None) -> list[Section]:
    """What the page shows: what a person would look at, the measures, the training, and where all of it comes from.

    An adapter may bring its own views: sections(real, generated, nearest, distances) -> list[Section], where nearest
    and distances are None when the training data are not known, novelty(generated, training, held_out) ->
    list[Section], asked when they are, and emergence(seen) -> Section, of one sample on its way (see walk). Without
    them, its picture of either is shown.
    """
    return [
        *_views(evaluation, model),
        measures(evaluation),
        *([] if run is None else training_curves(run)),
        provenance(evaluation.provenance),
    ]


def measures(evaluation: Evaluation, note: str = "") -> Section:
    """The table of measures with their floors; note: what else a reader should know, a paragraph of its own."""
    size = f"{evaluation.size:,}"
    text = (
        f"Each figure compares {size} generated with {size} real objects. The floor is the same measure between two "
        f"sets of {size} real objects: what a perfect model would show. Both are means over random draws, with the "
        "standard deviation of one draw."
    )
    rows = [
        (row.name, _with_std(row.value, row.std), _with_std(row.floor, row.floor_std), _WISH[row.better], row.meaning)
        for row in evaluation.rows
    ]
    notes = [
        f"{row.name}: 95% confidence interval {number(row.interval[0])} to {number(row.interval[1])}."
        for row in evaluation.rows
        if row.interval is not None
    ]
    table = Table(("measure", "generated", "floor", "wish", "what it is"), rows, " ".join(notes))
    return Section("Measures", f"{text}\n\n{note}", [table])


def training_curves(run: Path) -> list[Section]:
    """Loss over training by noise level, from the log in a run folder; nothing if there is none."""
    try:
        entries = read_log(run / LOG_FILE)
    except (OSError, ValueError):
        return []
    train = [(e["step"], e["loss"]) for e in entries if e.get("event") == "train"]
    held_out = [(e["step"], e["levels"]) for e in entries if e.get("event") == "validation"]
    if not train and not held_out:
        return []
    items = [Figure(_loss(train, held_out), alt="Loss of training and of held-out data against training steps")]
    if held_out:
        items.append(Figure(_loss_by_level(held_out), alt="Loss of held-out data at each noise level against steps"))
    text = (
        "The loss is the squared error of the denoiser, weighted so that every noise level counts alike: about 1 "
        "before training. A level whose held-out loss rises while the training loss falls is being memorised."
    )
    return [Section("Training", text, items)]


def provenance(facts: Mapping[str, Any]) -> Section:
    """Where model, data and samples come from, as a table."""
    rows = [(name, value if isinstance(value, (str, int, float)) else str(value)) for name, value in facts.items()]
    return Section("Provenance", "", [Table(("", ""), [(name, _text(value)) for name, value in rows if value != ""])])


_KERNEL = "Kernel distance"
_MEASURES = {
    "Fréchet distance": ("lower", "distance of the Gaussians fitted to both sets: mean and covariance"),
    _KERNEL: ("lower", "squared MMD with the cubic kernel of KID; unbiased, so 0 for equal laws"),
    "Sliced Wasserstein": ("lower", "mean transport distance of one-dimensional projections, in units of the features"),
    "Precision": ("higher", "share of samples that lie among the real ones"),
    "Recall": ("higher", "share of real objects that lie among the samples"),
    "Density": ("floor", "how many real neighbourhoods hold a sample; 1 when the laws agree"),
    "Coverage": ("higher", "share of real neighbourhoods that hold a sample"),
    "Classifier accuracy": (
        "floor",
        "a linear classifier that tells real from generated, on held-out halves; 0.5: it cannot",
    ),
}
_WISH = {"lower": "low", "higher": "high", "floor": "≈\u00a0floor"}


def _views(evaluation: Evaluation, model: Model) -> list[Section]:
    own, novelty, emergence = (getattr(model.adapter, name, None) for name in ("sections", "novelty", "emergence"))
    if own is not None:
        found: list[Section] = list(
            own(evaluation.real, evaluation.generated, evaluation.nearest, evaluation.distances)
        )
        if novelty is not None and evaluation.training is not None:
            found += novelty(evaluation.generated, evaluation.training, evaluation.held_out)
        if emergence is not None:
            found.append(emergence(milestones(walk(model), model.denoiser.sigma_data)))
        return found
    items = [
        Figure(model.adapter.picture(evaluation.real, "Real"), alt="Real data"),
        Figure(model.adapter.picture(evaluation.generated, "Generated"), alt="Samples of the model"),
    ]
    return [Section("Real and generated", "", items)]


def _write(evaluation: Evaluation, model: Model, out: Path, run: Path | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    facts = evaluation.provenance
    page = Report(
        title=f"{facts['data']}: generated with PFGM++",
        lead=f"{facts['samples']} samples of a model of {model.adapter.name}, beside the real data."
        + (f" These samples are no good: {evaluation.alarm}." if evaluation.alarm else ""),
        facts=brief(facts),
        sections=sections(evaluation, model, run),
        foot=f"pfgm-science {facts['pfgm-science']}",
    )
    write(out / PAGE, page)
    with replacing(out / RESULTS) as temporary:
        temporary.write_text(json.dumps(evaluation.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def brief(facts: Mapping[str, Any]) -> dict[str, str]:
    """The few facts that stand at the top of a page."""
    names = ("data", "extra dimensions D", "evaluations a sample", "parameters", "training steps", "training time")
    return {name: _text(facts[name]) for name in names if name in facts}


def _provenance(
    model: Model,
    data: Dataset,
    count: int,
    seed: int,
    evaluations: int | None,
    solver: str | Solver | None,
    grid: str | None,
    dimension: float | None,
    sampling_seconds: float,
    started: float,
) -> dict[str, Any]:
    history, D = model.history, model.dimension if dimension is None else dimension
    seconds = history.get("seconds")
    chosen = solver_named(DEFAULT if solver is None else solver)
    taken = (evaluations or EVALUATIONS) if is_fixed(chosen) else "as many as its tolerance needs"
    return {
        "data": data.name,
        "objects": len(data),
        "licence": data.licence,
        "source": data.source,
        "citation": data.citation,
        "extra dimensions D": "∞" if math.isinf(D) else f"{D:g}",
        "solver": chosen.name,
        "grid": grid or ("fitted" if solver is None and model.bends is not None else "karras"),
        "evaluations a sample": taken,
        "network calls a sample": taken if isinstance(taken, str) else taken * model.calls(dimension),
        "samples": count,
        "seed": seed,
        "conditions": ", ".join(spec.name for spec in model.specs) or "none",
        "parameters": history.get("parameters", sum(p.numel() for p in model.denoiser.parameters())),
        "training data": history.get("data", {}).get("name", "unknown"),
        "training steps": history.get("steps", model.config.training.steps),
        "batch size": model.config.training.batch_size,
        "training time": "not recorded" if seconds is None else duration(seconds),
        "sampling time": f"{duration(sampling_seconds)}, {count / max(sampling_seconds, 1e-9):,.0f} samples a second",
        "evaluation time": duration(time.monotonic() - started),
        "device": _device(model),
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} CPUs",
        "pfgm-science": versions().get("pfgm-science", ""),
        "torch": torch.__version__,
        "Python": platform.python_version(),
    }


def _device(model: Model) -> str:
    device = next(model.denoiser.parameters()).device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _measure(a: Array, b: Array, seed: int, classifier: bool) -> dict[str, float]:
    found = {
        "Fréchet distance": metrics.frechet_distance(a, b),
        _KERNEL: metrics.kernel_distance(a, b, seed=seed).value,
        "Sliced Wasserstein": metrics.sliced_wasserstein(a, b, seed=seed),
    }
    found |= {name.capitalize(): value for name, value in vars(metrics.precision_recall(a, b)).items()}
    if classifier:
        found["Classifier accuracy"] = metrics.two_sample_test(a, b, seed=seed).accuracy
    return found


def _mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _loss(train: Sequence[tuple[int, float]], held_out: Sequence[tuple[int, Mapping[str, float]]]) -> Any:
    figure, (ax,) = new_figure(4.2, 3.2)
    if train:
        steps, losses = zip(*train, strict=True)
        ax.plot(steps, losses, color=REAL, linewidth=0.6, alpha=0.5)
        window = max(1, len(losses) // 25)
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        ax.plot(steps[window - 1 :], smooth, color=MUTED, linewidth=1.6, label="training")
    if held_out:
        means = [float(np.mean(list(levels.values()))) for _, levels in held_out]
        ax.plot([step for step, _ in held_out], means, "o-", color=GENERATED, markersize=3, label="held out")
    ax.legend(frameon=False, fontsize=8, labelcolor=MUTED)
    _loss_axis(ax, [loss for _, loss in train])
    label(ax, "All noise levels", "training step", "loss")
    return figure


def _loss_by_level(held_out: Sequence[tuple[int, Mapping[str, float]]]) -> Any:
    from matplotlib import colormaps

    figure, (ax,) = new_figure(5.0, 3.2)
    last = held_out[-1][1]
    names = sorted(last, key=float)
    for k, name in enumerate(names):
        points = [(step, levels[name]) for step, levels in held_out if name in levels]
        colour = colormaps["viridis"](0.92 * k / max(len(names) - 1, 1))
        ax.plot(*zip(*points, strict=True), "o-", color=colour, markersize=2.5, label=f"σ = {float(name):.2g}")
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda k: -last[names[k]])  # from above as the lines end
    ax.legend(
        [handles[k] for k in order],
        [labels[k] for k in order],
        frameon=False,
        fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        labelcolor=MUTED,
    )
    _loss_axis(ax, [loss for _, levels in held_out for loss in levels.values()])
    label(ax, "Held out, by noise level", "training step", "loss")
    return figure


def _loss_axis(ax: Any, losses: Sequence[float]) -> None:
    """From step 0; logarithmic, with plain numbers, where the losses span more than half a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xlim(left=0)
    ax.tick_params(which="minor", length=0)
    positive = [loss for loss in losses if loss > 0]
    if not positive or max(positive) < 3 * min(positive):
        return
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _with_std(value: float, std: float) -> str:
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    if not std > 0:
        return number(value)
    digits = max(0, -math.floor(math.log10(std)))
    if digits > 6 or abs(value) >= 1e6:
        return f"{value:.2e} ± {std:.0e}"
    return f"{round(value, digits) + 0.0:.{digits}f} ± {std:.{digits}f}"  # + 0.0: no minus before a zero


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
