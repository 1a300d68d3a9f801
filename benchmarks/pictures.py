"""The pictures of docs/sampling.md, one a way of sampling, of exact fields and of the headline network of mnist5k."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from benchmarks import images
from benchmarks.runner import REPOSITORY, Benchmark, parser
from pfgm_science.bends import Bends, measure_bends
from pfgm_science.constraints import Known
from pfgm_science.editing import interpolate, vary
from pfgm_science.errors import PfgmError
from pfgm_science.exact import FiniteSet, Mixture
from pfgm_science.figures import GENERATED, INK, MUTED, REAL, label, new_figure, png
from pfgm_science.files import write_bytes
from pfgm_science.flow import log_density
from pfgm_science.guidance import classifier_free
from pfgm_science.measurement import Measured
from pfgm_science.noise import StudentT
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import Levels, karras, log_uniform
from pfgm_science.solvers import FIXED, DormandPrince, Heun, Solver, Trig2M
from pfgm_science.stochastic import Renewal, Repeated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

F64 = torch.float64
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#b45309", "#0e7490", "#4b5563", "#be185d")
PICTURES = REPOSITORY / "docs" / "pictures"

EXAMPLES = """  pfgm benchmark pictures                          all of them
  pfgm benchmark pictures --only solvers grids"""


def main(argv: Sequence[str]) -> int:
    """Entry of `pfgm benchmark pictures`."""
    built = parser("pictures", "The pictures of docs/sampling.md.", EXAMPLES)
    built.add_argument("--only", nargs="+", choices=list(DRAWN), default=list(DRAWN), metavar="NAME")
    built.add_argument("--out", type=Path, default=PICTURES, help="folder of the pictures (default: %(default)s)")
    built.set_defaults(runs=Path("runs/benchmarks/images"))  # whose network is used
    arguments = built.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        path = arguments.out / f"{name}.png"
        write_bytes(path, png(DRAWN[name](arguments), scale=1.5))
        print(path)
    return 0


def solvers(arguments: argparse.Namespace) -> Figure:
    """Error of every solver with an even number of steps against evaluations, on an exact field."""
    points = torch.randn(20, 8, generator=_seed(0), dtype=F64)
    figure, axes = new_figure(8, 3.4, 1, 2, sharey=True)
    for ax, D in zip(axes, (8.0, math.inf), strict=True):
        field = Mixture(points, torch.full((20,), 0.3, dtype=F64), D, nodes=48)
        x = StudentT(D).prior((64, 8), 80.0, generator=_seed(1), dtype=F64)
        end = last(sample(field, x, karras(400), solver=FIXED["dpm3m"])).x
        size = math.sqrt(float(points.square().mean()) + 0.3**2)
        bends = _found(measure_bends(field, x[:16], Levels(), size))
        rows: list[tuple[str, Solver, Callable[[int], Tensor]]] = [
            (name, solver if name != "trig2m" else Trig2M(size), karras) for name, solver in FIXED.items()
        ]
        rows.append(("trig2m, fitted", Trig2M(size), bends.grid))
        counts = (5, 8, 12, 18, 27, 41, 61, 91)
        for colour, (name, solver, grid) in zip((*COLOURS, INK), rows, strict=True):
            ends = [last(sample(field, x, grid(solver.steps(count)), solver=solver)).x for count in counts]
            errors = [float((found - end).norm(dim=1).mean()) for found in ends]
            width = 2.2 if name.startswith("trig2m") else 1.1
            ax.loglog(counts, errors, color=colour, label=name, linewidth=width, marker="o", markersize=2.5)
        label(ax, f"D = {_text(D)}", "evaluations", "error of the samples" if ax is axes[0] else "")
    axes[1].legend(fontsize=7.5, frameon=False, labelcolor=INK)
    return figure


def grids(arguments: argparse.Namespace) -> Figure:
    """Where the network's trajectories bend, and where three grids of 12 steps put their levels."""
    model = images.headline_model(arguments)
    bends, levels = _found(model.with_bends().bends), model.levels
    middle = np.sqrt(np.multiply(bends.levels[1:], bends.levels[:-1]))
    figure, (top, bottom) = new_figure(8, 3.2, 2, 1, sharex=True, height_ratios=(2, 1))
    top.fill_between(middle, np.diff(bends.share) / np.diff(bends.share).max(), color=REAL, alpha=0.4, linewidth=0)
    label(top, "how much trajectories bend", "", "")
    top.set_yticks([])
    rows = {
        "fitted": bends.grid(12),
        "karras": karras(12, levels.sigma_min, levels.sigma_max, levels.rho),
        "log-uniform": log_uniform(12, levels.sigma_min, levels.sigma_max),
    }
    for i, grid in enumerate(rows.values()):
        bottom.plot(grid[:-1], [i] * 12, marker="|", markersize=10, color=COLOURS[i], linewidth=0.6)
    bottom.set_yticks(range(3), list(rows))
    bottom.set_ylim(-0.6, 2.6)
    bottom.set_xscale("log")
    label(bottom, "", "noise level", "")
    return figure


def noise(arguments: argparse.Namespace) -> Figure:
    """Norms after 40 steps up in noise, with noise of the sample's kappa and with Gaussian noise; N = 64, D = 8."""
    N, D, count, steps = 64, 8.0, 20_000, 40
    field = FiniteSet(torch.zeros(1, N, dtype=F64), D)
    figure, axes = new_figure(8, 2.8, 1, 2, sharey=True)
    for ax, gaussian in zip(axes, (False, True), strict=True):
        generator = _seed(0)
        x, sigma = StudentT(D).draw((count, N), 1.0, generator=generator, dtype=F64), 1.0
        renew = Renewal(D, field, generator)
        for _ in range(steps):
            added = sigma * math.sqrt(2 ** (2 / steps) - 1)
            fresh = torch.randn(x.shape, generator=generator, dtype=F64) if gaussian else renew(x, sigma)
            x, sigma = x + added * fresh, math.hypot(sigma, added)
        squared = x.square().sum(1).numpy() / sigma**2 / N
        bins = np.linspace(0, 4, 90)
        ax.hist(squared, bins.tolist(), density=True, color=GENERATED if gaussian else COLOURS[1], alpha=0.45)
        ax.plot(bins, stats.f(N, D).pdf(bins), color=INK, linewidth=1)
        distance = stats.kstest(squared, stats.f(N, D).cdf).statistic
        words = "Gaussian noise" if gaussian else "noise of the sample's own kappa"
        label(ax, f"{words}: KS distance {distance:.3f}", "squared norm over N sigma^2")
    return figure


def guidance(arguments: argparse.Namespace) -> Figure:
    """Two classes in the plane that overlap, D = 8: one of them drawn with weights 1, 2 and 4, and 4 in an interval."""
    means, std = torch.tensor([[-0.35, 0.0], [0.35, 0.0]], dtype=F64), torch.full((2,), 0.35, dtype=F64)
    one, both = Mixture(means[:1], std[:1], 8.0), Mixture(means, std, 8.0)

    def field(x: Tensor, sigma: Tensor, condition: Any = None, mask: Any = None) -> Tensor:
        told = condition is not None and bool((condition["label"] >= 0).all())  # -1 is "not given"
        return (one if told else both)(x, sigma)

    figure, axes = new_figure(8, 2.5, 1, 4, sharex=True, sharey=True)
    settings: Sequence[tuple[float, dict[str, float]]] = (
        (1.0, {}),
        (2.0, {}),
        (4.0, {}),
        (4.0, {"low": 0.3, "high": 2.0}),
    )
    everyone = _fresh(both, 1500, 5)
    for ax, (weight, levels) in zip(axes, settings, strict=True):
        guided = classifier_free(field, weight, **levels)
        x = StudentT(8.0).prior((700, 2), 80.0, generator=_seed(2), dtype=F64)
        end = last(sample(guided, x, karras(24), condition={"label": torch.zeros(700, dtype=torch.long)})).x
        _dots(ax, everyone, 1.5, REAL)
        _dots(ax, end, 2.5, GENERATED)
        _square(ax, 1.7)
        label(ax, f"weight {weight:g}" + (", sigma in 0.3 to 2" if levels else ""))
    return figure


def kept(arguments: argparse.Namespace) -> Figure:
    """The upper half of held-out images kept, the lower drawn: one take of each step, and ten."""
    model, given = images.headline_model(arguments), _held_out(10)
    mask = np.zeros((28, 28), dtype=bool)
    mask[:14] = True
    rows = {"known": np.where(mask[..., None], given, 90).astype(np.uint8)}
    for takes in (1, 10):
        rows[f"{takes} take{'s' * (takes > 1)}"] = model.sample(
            10, seed=2, keep=Known(given, mask, takes), evaluations=100 * takes
        )
    rows["the image"] = given
    return _rows(rows)


def measured(arguments: argparse.Namespace) -> Figure:
    """A mixture in the plane, of which the sum of the coordinates is measured with noise: D = 8."""
    means = torch.tensor([[-1.0, 0.5], [0.6, 0.8], [0.4, -0.9]], dtype=F64)
    law = Mixture(means, torch.tensor([0.3, 0.2, 0.35]).double(), 8.0)
    A, z = torch.ones(1, 2, dtype=F64), torch.full((800, 1), 0.3, dtype=F64)
    measured = Measured(law, A, z, 8.0, 0.2)
    x = StudentT(8.0).prior((800, 2), 80.0, generator=_seed(3), dtype=F64)
    once = last(sample(measured, x, karras(24))).x
    repeated = Repeated(Heun(), Renewal(8.0, law, _seed(6)), 20)
    often = last(sample(measured, x, karras(24), solver=repeated)).x
    everyone = _fresh(law, 60_000, 5)
    near = everyone[torch.rand(60_000, generator=_seed(4)) < torch.exp(-((everyone.sum(1) - 0.3) ** 2) / 0.08)][:800]
    figure, axes = new_figure(9, 3, 1, 3, sharex=True, sharey=True)
    panels = {"exact, by rejection": near, "one take of each step": once, "20 takes": often}
    for ax, (words, points), colour in zip(axes, panels.items(), (COLOURS[1], GENERATED, GENERATED), strict=True):
        _dots(ax, everyone[:3000], 1.5, REAL)
        _dots(ax, points, 3, colour)
        ax.axline((0, 0.3), slope=-1, color=MUTED, linewidth=0.8)
        _square(ax, 2)
        label(ax, words)
    return figure


def varied(arguments: argparse.Namespace) -> Figure:
    """Held-out images, and a variation of each at rising levels."""
    model, given = images.headline_model(arguments), _held_out(10)
    rows = {"the image": given}
    for level in (0.2, 0.5, 1.0, 3.0, 20.0):
        rows[f"level {level:g}"] = vary(model, given, level, seed=1)
    return _rows(rows)


def between(arguments: argparse.Namespace) -> Figure:
    """Three ways between held-out images."""
    model, given = images.headline_model(arguments), _held_out(10)
    ways = np.array([[1, 4], [3, 5], [7, 9]])
    drawn = interpolate(model, given[ways[:, 0]], given[ways[:, 1]], 11, steps=32)
    return _rows({f"way {i + 1}": drawn[11 * i : 11 * (i + 1)] for i in range(3)})


def likelihood(arguments: argparse.Namespace) -> Figure:
    """log p of two Gaussians on a line by the flow, with the exact density; D = 4."""
    law = Mixture(torch.tensor([[-0.8], [0.8]], dtype=F64), torch.tensor([0.3, 0.5], dtype=F64), 4.0, nodes=128)
    x = torch.linspace(-2, 2.5, 121, dtype=F64)[:, None]
    found = log_density(law, 4.0, x, 0.002, 200.0, steps=64, size=1.0)
    spread = torch.tensor([0.3, 0.5], dtype=F64)
    parts = -0.5 * ((x - law.means[:, 0]) / spread) ** 2 - torch.log(spread * math.sqrt(2 * math.pi)) - math.log(2)
    exact = parts.logsumexp(1)
    figure, axes = new_figure(8, 2.8, 1, 2)
    axes[0].plot(x[:, 0], exact, color=INK, linewidth=3, alpha=0.3, label="exact")
    axes[0].plot(x[:, 0], found.value, color=GENERATED, linewidth=1, label="by the flow")
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "log density", "x", "nats")
    axes[1].semilogy(x[:, 0], (found.value - exact).abs() + 1e-12, color=GENERATED, linewidth=1, label="error")
    axes[1].semilogy(x[:, 0], found.step_error / 16 + 1e-12, color=MUTED, linewidth=1, label="stated, of the steps")
    axes[1].legend(fontsize=8, frameon=False)
    label(axes[1], "its error", "x", "nats")
    return figure


def adaptive(arguments: argparse.Namespace) -> Figure:
    """Evaluations and error of the adaptive solver against its tolerance, on an exact field."""
    points = torch.randn(20, 8, generator=_seed(0), dtype=F64)
    figure, axes = new_figure(8, 2.8, 1, 2, sharex=True)
    for colour, D in zip(COLOURS, (1.0, 8.0, math.inf), strict=False):
        field = Mixture(points, torch.full((20,), 0.3, dtype=F64), D, nodes=48)
        x = StudentT(D).prior((64, 8), 80.0, generator=_seed(1), dtype=F64)
        end = last(sample(field, x, karras(400), solver=FIXED["dpm3m"])).x
        tolerances = [10.0**-k for k in range(1, 7)]
        states = [last(sample(field, x, karras(2), solver=DormandPrince(t))) for t in tolerances]
        axes[0].loglog(tolerances, [state.evaluations for state in states], color=colour, marker="o", markersize=2.5)
        errors = [float((state.x - end).norm(dim=1).mean()) for state in states]
        axes[1].loglog(tolerances, errors, color=colour, marker="o", markersize=2.5, label=f"D = {_text(D)}")
    label(axes[0], "evaluations", "tolerance")
    label(axes[1], "error of the samples", "tolerance")
    axes[1].legend(fontsize=8, frameon=False)
    return figure


def _held_out(count: int) -> np.ndarray:
    """Held-out images, one of each class in turn."""
    held_out = images.data("mnist5k")[1]
    labels = np.asarray(held_out.condition["label"]).astype(int)
    chosen = [np.flatnonzero(labels == i % 10)[i // 10 + 3] for i in range(count)]
    found: np.ndarray = held_out.objects[chosen]
    return found


def _rows(rows: dict[str, np.ndarray]) -> Figure:
    """Grey images, a row a name."""
    columns = max(len(row) for row in rows.values())
    figure, axes = new_figure(0.62 * columns + 1, 0.66 * len(rows), len(rows), 1)
    for ax, (name, row) in zip(axes, rows.items(), strict=True):
        ax.imshow(np.concatenate([image[..., 0] for image in row], axis=1), cmap="gray", vmin=0, vmax=255)
        ax.set_xticks([])
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=INK)
    return figure


def _found(bends: Bends | None) -> Bends:
    if bends is None:
        raise PfgmError("the trajectories are not finite, so that there are no bends to draw")
    return bends


def _fresh(law: Mixture, count: int, seed: int) -> Tensor:
    """Draws of a mixture: [count, N]."""
    g = _seed(seed)
    component = torch.randint(0, len(law.means), (count,), generator=g)
    fresh = torch.randn(count, law.means.shape[1], generator=g, dtype=F64)
    drawn: Tensor = law.means[component] + law.std.double()[component, None] * fresh
    return drawn


def _dots(ax: Axes, points: Tensor, size: float, colour: str) -> None:
    ax.scatter(points[:, 0], points[:, 1], s=size, color=colour, alpha=0.5, linewidths=0)


def _square(ax: Axes, half: float) -> None:
    ax.set_xlim(-half, half)
    ax.set_ylim(-half, half)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])


def _seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def _text(D: float) -> str:
    return "∞" if math.isinf(D) else f"{D:g}"


DRAWN: dict[str, Callable[[argparse.Namespace], Figure]] = {
    "solvers": solvers,
    "adaptive": adaptive,
    "grids": grids,
    "noise": noise,
    "guidance": guidance,
    "kept": kept,
    "measured": measured,
    "varied": varied,
    "between": between,
    "likelihood": likelihood,
}
BENCHMARK = Benchmark("pictures", "the pictures of docs/sampling.md", main)
