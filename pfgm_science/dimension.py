"""Which D for these data, this network, this measure? A curve of the distance to data against D, and what it says.

Three ways to the curve, from cheap to thorough: a diffusion model run at each D by the mixture identity (`analysis`),
one network trained for every D (`one network`), and a network trained at each D (`search`, in search.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from pfgm_science.cells import Cells
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.figures import GENERATED, LINE, MUTED, REAL, label, new_figure
from pfgm_science.model import Drawing, Model
from pfgm_science.noise_error import NoiseErrors
from pfgm_science.progress import Watch, duration, silent
from pfgm_science.report import Figure, Item, Report, Section, Table
from pfgm_science.spread import mean_and_spread, named, written

DIMENSIONS = (2.0, 8.0, 32.0, 128.0, 512.0, 2048.0, math.inf)
ANALYSIS, ONE_NETWORK, SEARCH = "analysis", "one-network", "search"
WAYS = (ANALYSIS, ONE_NETWORK, SEARCH)


@dataclass(frozen=True)
class Curve:
    """Distance to data against D.

    way: of WAYS; values: D -> the distance at each seed, rising in D; seconds: what it cost, training included.
    stopped: D -> the distance at which its training was stopped early. errors: of the analysis, along trajectories.
    """

    way: str
    values: Mapping[float, Mapping[int, float]]
    seconds: float
    stopped: Mapping[float, float] = field(default_factory=dict)
    errors: NoiseErrors | None = None

    def __post_init__(self) -> None:
        if not self.finite:
            raise NotFinite("no D gives samples that are finite: train longer, or check the data")

    @property
    def finite(self) -> list[float]:
        """The D whose distance is finite at every seed, rising."""
        return [D for D in sorted(self.values) if self.values[D] and math.isfinite(self.mean(D))]

    def mean(self, D: float) -> float:
        """Mean distance over the seeds; inf where one of them is."""
        return mean_and_spread(list(self.values[D].values()))[0]

    @property
    def best(self) -> float:
        """The D of the least mean distance."""
        return min(self.finite, key=self.mean)

    @property
    def alike(self) -> list[float]:
        """The D whose distance cannot be told from that of the best, at 95%, rising.

        By the differences at the seeds that all share; one-sided t test, corrected for the number of D (Bonferroni),
        because the best is itself chosen among them. With fewer than two such seeds nothing can be told apart.

        The deviation is what is left when each seed and each D has its own mean, of the D that is tested and the nearer
        majority, so that a wild one far off hides nothing; it is pooled, because two or three seeds of one pair tell
        nothing apart. Where all are positive these are logs of distances, which spread in proportion to their size.
        """
        from scipy.stats import t

        finite = self.finite
        seeds = sorted(set.intersection(*(set(self.values[D]) for D in finite)))
        if len(finite) < 2 or len(seeds) < 2:
            return finite
        x = np.array([[self.values[D][seed] for seed in seeds] for D in finite])
        x = np.log(x) if (x > 0).all() else x
        best = finite.index(self.best)
        beyond = x.mean(1) - x.mean(1)[best]
        near = {best, *np.argsort(beyond)[: len(finite) // 2 + 1].tolist()}

        def far(k: int) -> float:
            rows = sorted(near | {k})
            quantile = t.ppf(1 - 0.05 / (len(finite) - 1), (len(rows) - 1) * (len(seeds) - 1))
            return float(quantile) * pooled(x[rows]) * math.sqrt(2 / len(seeds))

        return [D for k, D in enumerate(finite) if beyond[k] <= far(k)]

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the largest of `alike`, between which some D may have been told apart."""
        return self.alike[0], self.alike[-1]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        low, high = self.interval
        return {
            "way": self.way,
            "best": _plain(self.best),
            "interval": [_plain(low), _plain(high)],
            "alike": [_plain(D) for D in self.alike],
            "values": {named_plainly(D): {str(s): _plain(v) for s, v in d.items()} for D, d in self.values.items()},
            "stopped": {named_plainly(D): _plain(value) for D, value in self.stopped.items()},
            "seconds": round(self.seconds, 1),
            "errors along the way": None if self.errors is None else _errors_plainly(self.errors),
        }

    def __str__(self) -> str:
        found = written(*mean_and_spread(list(self.values[self.best].values())))
        others = ", ".join(named(D) for D in self.alike if D != self.best)
        told = f"D = {others} cannot be told from it" if others else "told from every other D"
        gone = ", ".join(named(D) for D in sorted(self.stopped) if D not in self.values)
        return (
            f"best D = {named(self.best)}: distance {found}"
            + (f"; {told}" if len(self.values) > 1 else "")
            + (f"; D = {gone} stopped early, and not compared" if gone else "")
        )


def pooled(x: np.ndarray) -> float:
    """Standard deviation of values [D, seed] that is left when each D and each seed has its own mean."""
    rest = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    return math.sqrt(float(np.square(rest).sum()) / ((x.shape[0] - 1) * (x.shape[1] - 1)))


def sweep(
    model: Model,
    distance: Distance,
    cells: Cells,
    *,
    dimensions: Sequence[float] = DIMENSIONS,
    seeds: Sequence[int] = (0, 1, 2),
    count: int = 500,
    evaluations: int | None = None,
    watch: Watch = silent,
) -> Curve:
    """The curve of one model that runs at every D: a diffusion model, or one that was trained on a range of D.

    Fills cells (way, D, seed); the same seed draws the same noise at every D, with as many evaluations of the denoiser:
    a diffusion model asks its network more often for each at finite D (see Model.calls). Raises ConfigError for a model
    that runs at one D alone.
    """
    way = way_of(model)
    for D in dimensions:
        model.at(D)  # refuses what the model cannot do before anything is measured
    for seed, D in product(seeds, dimensions):
        with watch(f"D = {D:g}, seed {seed}") as update:
            how = Drawing(seed=seed, dimension=D, evaluations=evaluations, on_state=update)
            cells.cell({"way": way, "D": D, "seed": seed}, partial(_figures, model, distance, count, how))
    return curve_of(cells, way, dimensions, seeds)


def way_of(model: Model) -> str:
    """Which way to the curve a trained model allows."""
    if model.config.dimension_range is not None:
        return ONE_NETWORK
    if math.isinf(model.config.dimension):
        return ANALYSIS
    raise ConfigError(
        f"this model was trained at D = {model.config.dimension:g} alone and says nothing of other D. Train with "
        "--dimension inf or with a --dimension-range, or give modality and data instead of a run."
    )


def curve_of(cells: Cells, way: str, dimensions: Sequence[float], seeds: Sequence[int]) -> Curve:
    """What cells of this way say of these D and seeds, others that are there left alone."""
    found = [
        cell for cell in cells.select(way=way) if float(cell["key"]["D"]) in dimensions and cell["key"]["seed"] in seeds
    ]
    values: dict[float, dict[int, float]] = {}
    for cell in sorted(found, key=lambda cell: float(cell["key"]["D"])):
        values.setdefault(float(cell["key"]["D"]), {})[cell["key"]["seed"]] = float(cell["figures"]["distance"])
    return Curve(way, values, sum(cell["figures"]["seconds"] for cell in found))


def _figures(model: Model, distance: Distance, count: int, how: Drawing) -> dict[str, float]:
    started = time.monotonic()
    try:
        found = distance(model, count, how)
    except NotFinite:
        found = math.inf
    return {"distance": found, "seconds": round(time.monotonic() - started, 2)}


def agreement(first: Curve, second: Curve) -> float:
    """Spearman's rank correlation of two curves over the D that both have; nan for less than three."""
    from scipy.stats import spearmanr

    shared = [D for D in first.values if D in second.values]
    if len(shared) < 3:
        return math.nan
    return float(spearmanr([first.mean(D) for D in shared], [second.mean(D) for D in shared]).statistic)


def regret(chosen: float, truth: Curve) -> float:
    """How much farther from data the chosen D is than the best one, by the curve that is believed."""
    nearest = min(truth.values, key=lambda D: abs(place(D) - place(chosen)))
    return truth.mean(nearest) - truth.mean(truth.best)


def page(curve: Curve, title: str, facts: Mapping[str, Any]) -> Report:
    """The curve as picture and table, and what the analysis saw along the trajectories."""
    rows = [
        (named(D), written(*mean_and_spread(list(found.values()))), len(found), "alike" if D in curve.alike else "")
        for D, found in curve.values.items()
    ] + [(named(D), f"{value:.3g}", 0, "stopped early") for D, value in curve.stopped.items() if D not in curve.values]
    text = (
        f"{curve}. Found by {curve.way.replace('-', ' ')} in {duration(curve.seconds)}.\n\n"
        "Points are means over seeds, bars their standard deviation; the shaded D cannot be told from the best: by the "
        "differences at the same seeds, one-sided t test at 95%, corrected for the number of D."
    )
    table = Table(("D", "distance to data", "seeds", "beside the best"), rows)
    items: list[Item] = [Figure(drawn(curve), alt="Distance to data against D, with the spread over seeds"), table]
    sections = [Section("Distance against D", text, items)]
    if curve.errors is not None:
        text = (
            "How much the noise that is in x differs from the level that the network is told, on its own way from "
            f"noise to data: {told(curve.errors)}.\n\nThe field at D leaves D / (N + D) of such an error. That was "
            "tested where N is large and the steps alone err; a trained network errs in its answers too, and what this "
            "says of D is then wrong by far as often as not. The curve above decides."
        )
        figure = Figure(errors_drawn(curve.errors), alt="Relative error of the noise variance against the noise level")
        sections.append(Section("Errors along the way", text, [figure]))
    return Report(title, str(curve) + ".", facts, sections)


def drawn(curve: Curve) -> Any:
    """The plot of a curve: D on an axis of its own, with infinity at the end."""
    figure, (ax,) = new_figure(5.2, 3.4)
    every = sorted({*curve.values, *curve.stopped})
    where = {D: k for k, D in enumerate(every)}
    for D in curve.alike:
        ax.axvspan(where[D] - 0.5, where[D] + 0.5, color=LINE, alpha=0.5, linewidth=0)
    finite = curve.finite
    means, spreads = zip(*(mean_and_spread(list(curve.values[D].values())) for D in finite), strict=True)
    bars = [0.0 if math.isnan(spread) else spread for spread in spreads]
    ax.errorbar([where[D] for D in finite], means, yerr=bars, fmt="o-", color=REAL, markersize=4, capsize=3)
    ax.plot([where[curve.best]], [curve.mean(curve.best)], "o", color=GENERATED, markersize=7, label="best")
    if stopped := {D: v for D, v in curve.stopped.items() if D not in curve.values}:
        ax.plot([where[D] for D in stopped], list(stopped.values()), "x", color=MUTED, label="stopped early")
    ax.set_xticks(range(len(every)), [named(D) for D in every])
    ax.legend(frameon=False, fontsize=8, labelcolor=MUTED)
    label(ax, curve.way.replace("-", " "), "D", "distance to data")
    return figure


def errors_drawn(errors: NoiseErrors) -> Any:
    """Bias and spread of the noise in x against the nominal level."""
    figure, (ax,) = new_figure(6.4, 3.2)
    levels, bias = np.array(errors.levels), np.array(errors.bias)
    ax.fill_between(levels, bias - errors.spread, bias + errors.spread, color=LINE, linewidth=0, label="spread")
    ax.plot(levels, bias, "o-", color=GENERATED, markersize=3, label="bias")
    ax.plot(levels, errors.noise, color=MUTED, linewidth=0.9, linestyle="--", label="error of the instrument")
    ax.axhline(0, color=MUTED, linewidth=0.6)
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.legend(frameon=False, fontsize=8, labelcolor=MUTED, loc="center left", bbox_to_anchor=(1.0, 0.5))
    label(ax, "Noise in x, beside what it should be", "σ", "relative error of its variance")
    return figure


def told(errors: NoiseErrors) -> str:
    """What was measured along the way, and what it would mean for D if the steps alone erred."""
    size, least = (f"{100 * math.sqrt(value):.2g}%" for value in (errors.second_moment, errors.resolution))
    if errors.second_moment < errors.resolution:
        return f"the variance of the noise is off by less than {least}, which cannot be told from none"
    if math.isinf(errors.dimension):
        return f"the variance of the noise is off by {size}, which needs no correction"
    corrected = f"D up to {rounded(errors.dimension):g}" if errors.dimension >= 1 else "no D"
    return (
        f"the variance of the noise is off by {size}, where {least} can be told from none; were it the steps alone "
        f"that err, {corrected} would correct that at N = {errors.N:.0f}"
    )


def place(D: float) -> float:
    """Where D stands on a line that has an end: 2/D is the relative variance of the noise, its root the deviation."""
    return -math.log1p(math.sqrt(2 / D)) if math.isfinite(D) else 0.0


def rounded(D: float) -> float:
    """D to two digits."""
    return float(f"{D:.2g}")


def named_plainly(D: float) -> str:
    """D in a file, all digits of it."""
    return f"{D:g}" if float(f"{D:g}") == D else repr(float(D))


def _errors_plainly(errors: NoiseErrors) -> dict[str, Any]:
    """corrected up to: a D, null where there is none."""
    D = _plain(errors.dimension) if errors.dimension >= 1 else None
    return {"mean square": errors.second_moment, "told from none": errors.resolution, "corrected up to": D}


def _plain(value: float) -> float | str:
    return "inf" if math.isinf(value) else value
