"""One look for all figures, drawn without pyplot: nothing is kept alive, no display is needed.

A figure inch is 96 CSS pixels on a page, and a page is given twice that resolution.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER = "#20242c", "#6b7280", "#d9dce3", "#ffffff"
REAL, GENERATED = "#8a93a3", "#c2410c"
CSS_INCH = 96

# What the tails of a heavy-tailed column may not decide: the limits of its axis.
_INNER = (0.01, 0.99)


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of width x height inches with rows * columns styled axes, in reading order.

    options: as matplotlib's Figure.subplots takes them (sharex, width_ratios, subplot_kw ...).
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06), facecolor=PAPER)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        style(ax)
    return figure, list(axes.flat)


def style(ax: Axes) -> None:
    """Thin grey frame without top and right, small type, no ticks that stick out."""
    for side in ("top", "right"):
        if side in ax.spines:
            ax.spines[side].set_visible(False)
    for spine in ax.spines.values():
        spine.set_color(LINE)
    ax.tick_params(which="both", colors=MUTED, labelsize=8, length=0)
    ax.set_axisbelow(True)


def label(ax: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Title at the left, names of the axes, in the colours of the style."""
    ax.set_title(title, loc="left", fontsize=9.5, color=INK)
    ax.set_xlabel(x, fontsize=8.5, color=MUTED)
    ax.set_ylabel(y, fontsize=8.5, color=MUTED)


def robust_limits(values: npt.ArrayLike, margin: float = 0.15) -> tuple[float, float]:
    """Limits of an axis that show the inner 98% of values and, where the tails are light, all of them."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        return 0.0, 1.0
    low, high = np.quantile(numbers, _INNER)
    reach = max(high - low, 1e-9 * max(abs(low), abs(high), 1.0))
    # Light tails end within half a width of the inner part; then nothing need be cut off.
    low = max(low - 0.5 * reach, float(numbers.min()))
    high = min(high + 0.5 * reach, float(numbers.max()))
    pad = margin * max(high - low, reach) / 2
    return float(low - pad), float(high + pad)


def beyond(columns: Sequence[tuple[npt.ArrayLike, tuple[float, float]]]) -> int:
    """How many samples lie outside the limits of any of their columns; columns: (values [n], limits)."""
    outside = [(np.asarray(values) < limits[0]) | (np.asarray(values) > limits[1]) for values, limits in columns]
    return int(np.any(outside, axis=0).sum())


def png(figure: Figure, scale: float = 2.0) -> bytes:
    """The figure as PNG, scale device pixels a CSS pixel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=CSS_INCH * scale, facecolor=figure.get_facecolor())
    return buffer.getvalue()
