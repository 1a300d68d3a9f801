"""Which D for these data, this network, this measure? A curve of the distance to data against D, and what it says.

Three ways to the curve, from cheap to thorough: a diffusion model run at each D by the mixture identity (`analysis`),
one network trained for every D (`one network`), and a network trained at each D (`search`, in search.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from pfgm_science.cells import Cells
from pfgm_science.distance import Distance, mean_and_spread, named, written
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.figures import GENERATED, LINE, MUTED, REAL, label, new_figure
from pfgm_science.model import Drawing, Model
from pfgm_science.noise_error import NoiseErrors
from pfgm_science.progress import Update, duration, silent
from pfgm_science.report import Figure, Item, Report, Section, Table

DIMENSIONS = (2.0, 8.0, 32.0, 128.0, 512.0, 2048.0, math.inf)
ANALYSIS, ONE_NETWORK, SEARCH = "analysis", "one-network", "search"
WAYS = (ANALYSIS, ONE_NETWORK, SEARCH)
Watch = Callable[[str], AbstractContextManager[Update]]


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
        if not self.values:
            raise ConfigError("there is no D with a distance: nothing to choose from")

    def mean(self, D: float) -> float:
        return mean_and_spread(list(self.values[D].values()))[0]

    @property
    def best(self) -> float:
        """The D of the least mean distance."""
        return min(self.values, key=self.mean)

    @property
    def alike(self) -> list[float]:
        """The D whose distance cannot be told from that of the best, at 95%, rising.

        By the differences at the same seeds, of which the standard deviation is pooled over all D (one-sided t test).
        With a single seed nothing can be told apart.
        """
        from scipy.stats import t

        best = self.values[self.best]
        paired = {
            D: [found[s] - best[s] for s in found if s in best and math.isfinite(found[s])]
            for D, found in self.values.items()
        }
        free = sum(len(d) - 1 for D, d in paired.items() if D != self.best and d)
        if free < 1:
            return sorted(self.values)
        squares = sum(
            float(np.var(d, ddof=1)) * (len(d) - 1) for D, d in paired.items() if D != self.best and len(d) > 1
        )
        deviation, far = math.sqrt(squares / free), float(t.ppf(0.95, free))
        near = {D for D, d in paired.items() if d and np.mean(d) <= far * deviation / math.sqrt(len(d))}
        return sorted(near | {self.best})

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the largest of `alike`."""
        return self.alike[0], self.alike[-1]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        low, high = self.interval
        return {
            "way": self.way,
            "best": _plain(self.best),
            "interval": [_plain(low), _plain(high)],
            "values": {named_plainly(D): {str(s): v for s, v in found.items()} for D, found in self.values.items()},
            "stopped": {named_plainly(D): value for D, value in self.stopped.items()},
            "seconds": round(self.seconds, 1),
            "predicted": None if self.errors is None else _plain(self.errors.dimension),
        }

    def __str__(self) -> str:
        low, high = (named(D) for D in self.interval)
        found = written(*mean_and_spread(list(self.values[self.best].values())))
        told = f"D from {low} to {high} cannot be told from it" if low != high else "told from every other D"
        return f"best D = {named(self.best)}: distance {found}; {told}"


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
    for seed, D in product(seeds, dimensions):
        with watch(f"D = {D:g}, seed {seed}") as update:
            how = Drawing(seed=seed, dimension=D, evaluations=evaluations, on_state=update)
            cells.cell({"way": way, "D": D, "seed": seed}, partial(_figures, model, distance, count, how))
    return curve_of(cells, way)


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


def curve_of(cells: Cells, way: str, errors: NoiseErrors | None = None, more: float = 0.0) -> Curve:
    """What cells of this way say. more: seconds beside those of the cells, such as of training."""
    found = cells.select(way=way)
    values: dict[float, dict[int, float]] = {}
    for cell in sorted(found, key=lambda cell: float(cell["key"]["D"])):
        values.setdefault(float(cell["key"]["D"]), {})[cell["key"]["seed"]] = float(cell["figures"]["distance"])
    return Curve(way, values, more + sum(cell["figures"]["seconds"] for cell in found), errors=errors)


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
    nearest = min(truth.values, key=lambda D: abs(_place(D) - _place(chosen)))
    return truth.mean(nearest) - truth.mean(truth.best)


def page(curve: Curve, title: str, facts: Mapping[str, Any]) -> Report:
    """The curve as picture and table, and what the analysis saw along the trajectories."""
    rows = [
        (named(D), written(*mean_and_spread(list(found.values()))), len(found), "alike" if D in curve.alike else "")
        for D, found in curve.values.items()
    ] + [(named(D), f"{value:.3g}", 0, "stopped early") for D, value in curve.stopped.items() if D not in curve.values]
    text = (
        f"{curve}. Found by {curve.way.replace('-', ' ')} in {duration(curve.seconds)}.\n\n"
        "Points are means over seeds, bars their standard deviation; the shaded D cannot be told from the best at 95%, "
        "by the differences at the same seeds."
    )
    table = Table(("D", "distance to data", "seeds", "beside the best"), rows)
    items: list[Item] = [Figure(drawn(curve), alt="Distance to data against D, with the spread over seeds"), table]
    sections = [Section("Distance against D", text, items)]
    if curve.errors is not None:
        told = (
            "How much the noise that is in x differs from the level that the network is told, on its own way from "
            f"noise to data. Their root mean square e is {math.sqrt(curve.errors.second_moment):.2g}, and the field at "
            "D leaves D / (N + D) of them. What is left does no harm up to "
            f"D = {named(rounded(curve.errors.dimension))}: a suggestion, and no measurement of D."
        )
        figure = Figure(errors_drawn(curve.errors), alt="Relative error of the noise variance against the noise level")
        sections.append(Section("Errors along the way", told, [figure]))
    return Report(title, str(curve) + ".", facts, sections)


def drawn(curve: Curve) -> Any:
    """The plot of a curve: D on an axis of its own, with infinity at the end."""
    figure, (ax,) = new_figure(5.2, 3.4)
    every = sorted({*curve.values, *curve.stopped})
    where = {D: k for k, D in enumerate(every)}
    low, high = (where[D] for D in curve.interval)
    ax.axvspan(low - 0.3, high + 0.3, color=LINE, alpha=0.5, linewidth=0)
    finite = [D for D in curve.values if math.isfinite(curve.mean(D))]
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


def _place(D: float) -> float:
    """Where D stands on a line that has an end: 2/D is the relative variance of the noise, its root the deviation."""
    return -math.log1p(math.sqrt(2 / D)) if math.isfinite(D) else 0.0


def rounded(D: float) -> float:
    """D to two digits, as a suggestion is told."""
    return float(f"{D:.2g}")


def named_plainly(D: float) -> str:
    """D in a file: a number, or inf."""
    return f"{D:g}"


def _plain(D: float) -> float | str:
    return "inf" if math.isinf(D) else D
