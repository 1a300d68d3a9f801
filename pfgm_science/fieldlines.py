"""Field lines of a toy: the way of charges from the prior, far from the plane r = 0, down to the data in it.

The data are a handful of points, so the field is exact (exact.FiniteSet) and nothing is learned. N numbers x and the
distance r = sigma sqrt(D) make the space that PFGM++ moves in (Xu et al., arXiv 2302.04265, section 3); its field
lines obey dx/dr = (x - E[y|x]) / r, which is the flow of docs/physics.md, section 2. For D = inf, r is infinite too
and sigma takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, smoothed_log_density
from pfgm_science.sampling import sample
from pfgm_science.schedule import karras

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

LINE_POINTS = ((-1.6,), (-0.9,), (0.25,), (1.7,))
COLOURS = ("#0f766e", "#c2410c", "#4f46e5", "#be185d", "#a16207", "#0369a1", "#65a30d", "#7c3aed")

SIGMA_MAX = 80.0


def trajectories(
    points: Tensor, x: Tensor, D: float, *, sigma_max: float = SIGMA_MAX, steps: int = 240
) -> tuple[Array, Array]:
    """Field lines through x [n, N] at sigma_max down to r = 0, by Heun's method on the exact field of points [k, N].

    Returns the noise levels [steps + 1] and the positions [steps + 1, n, N], float64.
    """
    grid = karras(steps, 1e-3, sigma_max)
    states = list(sample(FiniteSet(points.double(), D), x.double(), grid))
    return grid.numpy(), np.stack([state.x.numpy() for state in states])


def spread_evenly(count: int, D: float, N: int, sigma: float) -> Tensor:
    """Starts [count, N] that share the prior at sigma evenly: its quantiles (N = 1) or a sunflower of them (N = 2)."""
    from scipy import stats

    share = (np.arange(count) + 0.5) / count
    if N == 1:
        law = stats.norm if math.isinf(D) else stats.t(D)
        return torch.from_numpy(sigma * law.ppf(share)[:, None])
    if N == 2:
        # |x|^2 / (2 sigma^2) follows Fisher's F with (2, D) degrees of freedom, half a chi-square for D = inf.
        squared = -2 * np.log1p(-share) if math.isinf(D) else D * ((1 - share) ** (-2 / D) - 1)
        angle = np.arange(count) * math.pi * (3 - math.sqrt(5))
        radius = sigma * np.sqrt(squared)
        return torch.from_numpy(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
    raise ConfigError(f"field lines can be drawn of points with 1 or 2 coordinates, not {N}")


def draw(
    D_values: Sequence[float] = (1.0, 8.0, math.inf), points: Array | None = None, *, lines: int = 48, top: float = 3.2
) -> Figure:
    """One panel for each D: field lines from the prior at sigma = 80 to the data, seen up to sigma = top.

    points: the data, [k, 1] or [k, 2] with about unit size (default: four points on a line). With one coordinate the
    panel is the plane (x, r), its shade the density at each r; with two it is the space (x, y, r) inside a dome.
    lines: field lines, which share the prior evenly, so that their closeness is probability; each has the colour of the
    point it ends in. Raises ConfigError for other shapes and for D <= 0.
    """
    data = torch.as_tensor(np.asarray(LINE_POINTS if points is None else points, dtype=np.float64))
    if data.ndim != 2 or data.shape[1] not in (1, 2) or len(data) == 0 or not D_values:
        raise ConfigError(
            f"points have shape {tuple(data.shape)} for {len(D_values)} values of D: give [k, 1] or [k, 2]"
        )
    for D in D_values:
        if not D > 0:
            raise ConfigError(f"D is {D}: the number of extra dimensions must be > 0 (inf is diffusion)")
    return _in_the_plane(D_values, data, lines, top) if data.shape[1] == 1 else _in_space(D_values, data, lines, top)


def _in_the_plane(D_values: Sequence[float], data: Tensor, lines: int, top: float) -> Figure:
    from pfgm_science.figures import label, new_figure

    figure, axes = new_figure(3.15 * len(D_values), 3.6, 1, len(D_values))
    reach = 2.2 * max(float(data.abs().max()), 0.5)
    for ax, D in zip(axes, D_values, strict=True):
        height = _height(D)
        _shade(ax, data, D, reach, top, height)
        levels, paths = trajectories(data, spread_evenly(lines, D, 1, SIGMA_MAX), D)
        r = levels * height
        nearest = np.abs(paths[-1] - data.numpy()[:, 0]).argmin(axis=1)
        for path, end in zip(paths[:, :, 0].T, nearest, strict=True):
            colour = COLOURS[end % len(COLOURS)]
            ax.plot(path, r, color=colour, linewidth=0.9, alpha=0.85, solid_capstyle="round")
            _arrow(ax, path, r, 0.55 * top * height, reach, colour)
        for k, (x,) in enumerate(data.numpy()):
            ax.plot(
                x,
                0,
                "o",
                color=COLOURS[k % len(COLOURS)],
                markersize=7,
                clip_on=False,
                zorder=5,
                markeredgecolor="white",
                markeredgewidth=1.2,
            )
        ax.set_xlim(-reach, reach)
        ax.set_ylim(0, top * height)
        label(ax, _name(D), "x", "σ" if math.isinf(D) else "r = σ√D")
    return figure


def _in_space(D_values: Sequence[float], data: Tensor, lines: int, top: float) -> Figure:
    from matplotlib.figure import Figure

    from pfgm_science.figures import INK, LINE, PAPER

    figure = Figure(figsize=(3.15 * len(D_values), 2.7), facecolor=PAPER)
    reach = 1.9 * max(float(data.abs().max()), 0.5)
    for k, D in enumerate(D_values):
        ax: Any = figure.add_axes((k / len(D_values), 0, 1 / len(D_values), 1), projection="3d", computed_zorder=False)
        height = _height(D)
        levels, paths = trajectories(data, spread_evenly(lines, D, 2, SIGMA_MAX), D)
        distance = ((paths[-1][:, None] - data.numpy()[None]) ** 2).sum(-1)
        circle = np.linspace(0, 2 * np.pi, 100)
        ax.plot(reach * np.cos(circle), reach * np.sin(circle), 0 * circle, color=LINE, linewidth=1)
        for path, end in zip(paths.transpose(1, 0, 2), distance.argmin(axis=1), strict=True):
            inside = (levels / top) ** 2 + (path**2).sum(1) / reach**2 <= 1
            ax.plot(
                *path[inside].T, levels[inside] * height, color=COLOURS[end % len(COLOURS)], linewidth=0.9, alpha=0.8
            )
        shades = [COLOURS[i % len(COLOURS)] for i in range(len(data))]
        ax.scatter(*data.numpy().T, 0, c=shades, s=26, edgecolors="white", linewidths=0.8, depthshade=False, zorder=5)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(0, top * height))
        ax.view_init(elev=24, azim=-60)
        ax.set_box_aspect((1, 1, 0.72), zoom=1.3)
        ax.set_axis_off()
        figure.text((k + 0.04) / len(D_values), 0.98, _name(D), va="top", fontsize=9.5, color=INK)
    return figure


def _height(D: float) -> float:
    """Length of r for sigma = 1."""
    return 1.0 if math.isinf(D) else math.sqrt(D)


def _name(D: float) -> str:
    if math.isinf(D):
        return "D = ∞ (diffusion)"
    return f"D = {D:g} (PFGM)" if D == 1 else f"D = {D:g}"


def _shade(ax: Axes, data: Tensor, D: float, reach: float, top: float, height: float) -> None:
    """The density of x at each level, relative to its largest value there."""
    from matplotlib.colors import LinearSegmentedColormap

    x = torch.linspace(-reach, reach, 241, dtype=torch.float64)
    levels = torch.linspace(0, top, 161, dtype=torch.float64)[1:]
    each = levels.clamp(min=0.02).repeat_interleave(len(x))
    log_p = smoothed_log_density(data, x.repeat(len(levels))[:, None], each, D).reshape(len(levels), len(x))
    rows = torch.exp(log_p - log_p.amax(1, keepdim=True)).numpy()
    shades = LinearSegmentedColormap.from_list("paper", ["#ffffff", "#e8ebf3", "#c9d1e4"])
    extent = (-reach, reach, float(levels[0]) * height, top * height)
    ax.imshow(rows, origin="lower", extent=extent, aspect="auto", cmap=shades, interpolation="bilinear", zorder=0)


def _arrow(ax: Axes, path: Array, r: Array, at: float, reach: float, colour: str) -> None:
    """The direction of the flow, where a line crosses the height `at`."""
    k = int(np.searchsorted(-r, -at))
    if 0 < k < len(r) and abs(path[k]) < reach:
        ax.annotate(
            "",
            xy=(path[k], r[k]),
            xytext=(path[k - 1], r[k - 1]),
            zorder=3,
            arrowprops={"arrowstyle": "-|>,head_width=0.16,head_length=0.32", "color": colour, "linewidth": 0},
        )
