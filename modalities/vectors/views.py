"""What a person looks at: the plane of two columns, or the first few columns alone and in pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pfgm_science.figures import GENERATED, MUTED, REAL, beyond, label, new_figure, robust_limits
from pfgm_science.report import Figure as ReportFigure
from pfgm_science.report import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
Limits = tuple[float, float]

MOST = 4000  # points in a panel
COLUMNS = 4  # of a matrix of pairs


def scatter(rows: Array, title: str = "", real: Array | None = None) -> Figure:
    """Vectors [n, d] as points, real ones [m, d] beside them (d = 2) or under them.

    d = 1: a histogram; d = 2: points; d > 2: the first four columns alone (diagonal) and in pairs. Limits come from the
    inner 98% of the real rows (of rows, if none are given), so that a heavy tail does not squeeze the rest; what lies
    beyond is counted under the axes.
    """
    rows = np.asarray(rows, dtype=np.float64)
    reference = rows if real is None else np.asarray(real, dtype=np.float64)
    limits = [robust_limits(column) for column in reference.T]
    if rows.shape[1] == 1:
        return _histogram(rows, title, real, limits[0])
    if rows.shape[1] == 2:
        return _plane(rows, title, real, limits)
    return _pairs(rows, title, real, limits[:COLUMNS])


def sections(real: Array, generated: Array, nearest: Array | None, distances: Array | None) -> list[Section]:
    """What a report shows of vectors: the real and the generated ones in the same axes."""
    alt = f"{len(generated)} generated vectors and {len(real)} real ones, by their columns"
    wide = "" if generated.shape[1] <= COLUMNS else f" The first {COLUMNS} of {generated.shape[1]} columns."
    items = [ReportFigure(scatter(generated, "Generated", real), alt=alt)]
    return [Section("Real and generated", "Grey is real, orange is generated." + wide, items)]


def _histogram(rows: Array, title: str, real: Array | None, limits: Limits) -> Figure:
    figure, (ax,) = new_figure(5, 3)
    _marginal(ax, rows[:, 0], None if real is None else real[:, 0], limits)
    label(ax, title, "x0" + _note(rows, [limits]), "density")
    return figure


def _plane(rows: Array, title: str, real: Array | None, limits: list[Limits]) -> Figure:
    panels = (
        [(rows, title, GENERATED)] if real is None else [(real, "Real", REAL), (rows, title or "Generated", GENERATED)]
    )
    figure, axes = new_figure(4.2 * len(panels), 4.2, 1, len(panels))
    spans = [high - low for low, high in limits]
    for ax, (points, name, colour) in zip(axes, panels, strict=True):
        _points(ax, points[:, 0], points[:, 1], colour)
        ax.set_xlim(limits[0])
        ax.set_ylim(limits[1])
        if max(spans) < 3 * min(spans):
            ax.set_aspect("equal")
        label(ax, name, "x0" + _note(points, limits), "x1")
    return figure


def _pairs(rows: Array, title: str, real: Array | None, limits: list[Limits]) -> Figure:
    size = len(limits)
    figure, axes = new_figure(1.7 * size + 0.4, 1.7 * size + 0.4, size, size)
    for k, ax in enumerate(axes):
        i, j = divmod(k, size)
        if j > i:
            ax.set_axis_off()
            continue
        if i == j:
            _marginal(ax, rows[:, i], None if real is None else real[:, i], limits[i])
            ax.set_yticks([])
        else:
            if real is not None:
                _points(ax, real[:, j], real[:, i], REAL)
            _points(ax, rows[:, j], rows[:, i], GENERATED)
            ax.set_ylim(limits[i])
        ax.set_xlim(limits[j])
        label(ax, "", f"x{j}" if i == size - 1 else "", f"x{i}" if j == 0 and i else "")
        ax.tick_params(labelbottom=i == size - 1, labelleft=j == 0 and i > 0)
    if title:
        label(axes[0], title)
    if note := _note(rows, limits):
        figure.text(0.99, 0.99, note.removeprefix("   "), ha="right", va="top", fontsize=8, color=MUTED)
    return figure


def _points(ax: Axes, x: Array, y: Array, colour: str) -> None:
    count = min(len(x), MOST)
    opacity = float(np.clip(300 / count, 0.2, 0.8))
    ax.scatter(x[:count], y[:count], s=7, color=colour, alpha=opacity, linewidths=0, rasterized=True)


def _marginal(ax: Axes, generated: Array, real: Array | None, limits: Limits) -> None:
    bins = np.linspace(*limits, 41)
    for values, colour, filled in ((real, REAL, True), (generated, GENERATED, False)):
        if values is not None:
            inside = values[(values >= limits[0]) & (values <= limits[1])]
            weights = np.full(len(inside), 1 / max(len(values), 1) / (bins[1] - bins[0]))
            ax.hist(
                inside,
                bins=list(bins),
                weights=weights,
                histtype="stepfilled" if filled else "step",
                color=colour,
                alpha=0.45 if filled else 1.0,
                linewidth=1.3,
            )
    ax.set_xlim(limits)


def _note(rows: Array, limits: list[Limits]) -> str:
    count = beyond(list(zip(rows.T, limits, strict=False)))
    return f"   ({count} of {len(rows)} lie beyond the axes)" if count else ""
