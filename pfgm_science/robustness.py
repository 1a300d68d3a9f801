"""What a model loses when something goes wrong: errors in each step, few steps, coarse weights, a coarse state.

Small D is said to be robust (PFGM++, arXiv 2302.04265, section 5): a charge far from its shell is still on a field line
that training has seen. Each trouble here has a strength; the figure is the distance of samples to data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, ClassVar

import torch
from torch import Tensor

from pfgm_science.cells import Cells
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, NotFinite
from pfgm_science.figures import MUTED, label, new_figure
from pfgm_science.model import EVALUATIONS, Drawing, Model
from pfgm_science.noise import normal
from pfgm_science.progress import Watch, silent
from pfgm_science.report import Cell, Figure, Report, Section, Table
from pfgm_science.solvers import DEFAULT, FIXED, Denoise, Solver, State, Trig2M, solver_named
from pfgm_science.spread import mean_and_spread, named, written

Disturb = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class _Around:
    """What solvers share that do something beside the steps of another one."""

    solver: Solver

    @property
    def order(self) -> int:
        return self.solver.order

    def steps(self, evaluations: int) -> int:
        return self.solver.steps(evaluations)


@dataclass(frozen=True)
class Disturbed(_Around):
    """A solver, before each of whose steps something is done to the state. disturb(x, sigma) gives another x."""

    disturb: Disturb
    name: ClassVar[str] = "disturbed"

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        return self.solver.step(denoise, replace(state, x=self.disturb(state.x, state.sigma)), sigma)


@dataclass(frozen=True)
class Stored(_Around):
    """A solver whose state is kept in a number format: where it starts, and where each step ends, the last one too.

    What a step computes on its way, and what the solver remembers of answers before, keep all their digits.
    """

    dtype: torch.dtype
    name: ClassVar[str] = "stored"

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        after = self.solver.step(denoise, self._stored(state), sigma)
        return self._stored(after)

    def _stored(self, state: State) -> State:
        return replace(state, x=state.x.to(self.dtype).to(state.x.dtype))


def step_errors(alpha: float, generator: torch.Generator) -> Disturb:
    """Gaussian errors of size alpha sigma, as the authors inject them (arXiv 2302.04265, section 5.2)."""

    def disturb(x: Tensor, sigma: float) -> Tensor:
        error: Tensor = normal(x.shape, generator, x.dtype).to(x.device)
        return x + alpha * sigma * error * (x != 0)  # what is exactly 0 is beside the mask, and stays there

    return disturb


def quantised(model: Model, bits: int) -> Model:
    """The model with the weights of its layers on an even grid of 2^bits - 1 values, from -max to max of each."""
    top = 2 ** (bits - 1) - 1

    def quantise(weight: Tensor) -> Tensor:
        scale: Tensor = weight.abs().max().clamp(min=torch.finfo(weight.dtype).tiny) / top
        return torch.round(weight / scale) * scale

    return _with_weights(model, quantise)


def perturbed(model: Model, strength: float, seed: int) -> Model:
    """The model with noise on the weights of its layers, of `strength` times their root mean square."""
    generator = torch.Generator().manual_seed(seed)

    def perturb(weight: Tensor) -> Tensor:
        noise = torch.randn(weight.shape, generator=generator).to(weight)
        return weight + strength * weight.square().mean().sqrt() * noise

    return _with_weights(model, perturb)


def _with_weights(model: Model, change: Callable[[Tensor], Tensor]) -> Model:
    """A copy of the model whose matrices and kernels, not biases and gains, are changed."""
    denoiser = deepcopy(model.denoiser)
    with torch.no_grad():
        for parameter in denoiser.network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(change(parameter))
    return replace(model, denoiser=denoiser)


Met = tuple[Model, Drawing]


@dataclass(frozen=True)
class Trouble:
    """Something that can go wrong. strengths: how much, from little to much; unit: of a strength, in words.

    met(model, strength, how): the model and the way of drawing that have met it, in place of the model drawn as `how`
    says.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    met: Callable[[Model, float, Drawing], Met]


def _within(model: Model, how: Drawing, around: Callable[[Solver], Solver]) -> Met:
    """The solver that draws within another one, on the grid that it has (see Model.sample)."""
    given = how.get("solver")
    solver = solver_named(DEFAULT if given is None else given)
    if isinstance(solver, Trig2M) and solver is not given:
        solver = Trig2M(model.denoiser.sigma_data)
    grid = "fitted" if given is None and model.bends is not None else "karras"
    return model, {"solver": around(solver), "grid": grid}


def _step_errors(model: Model, alpha: float, how: Drawing) -> Met:
    disturb = step_errors(alpha, torch.Generator().manual_seed(how.get("seed", 0)))
    return _within(model, how, lambda solver: Disturbed(solver, disturb))


def _few_steps(model: Model, evaluations: float, how: Drawing) -> Met:
    return model, {"evaluations": round(evaluations)}


def _coarse_state(model: Model, digits: float, how: Drawing) -> Met:
    return _within(model, how, lambda solver: Stored(solver, SIGNIFICANDS[round(digits)]))


def _coarse_weights(model: Model, bits: float, how: Drawing) -> Met:
    return quantised(model, round(bits)), {}


def _noisy_weights(model: Model, strength: float, how: Drawing) -> Met:
    return perturbed(model, strength, how.get("seed", 0)), {}


SIGNIFICANDS = {24: torch.float32, 11: torch.float16, 8: torch.bfloat16}  # bits of each, the implied one included
TROUBLES = {
    trouble.name: trouble
    for trouble in (
        Trouble("step-errors", "size of the error before each step, in sigma", (0.05, 0.1, 0.2, 0.4), _step_errors),
        Trouble("steps", "evaluations of the denoiser", (100, 50, 20, 10, 7, 5), _few_steps),
        Trouble("weight-bits", "bits of a weight", (9, 8, 7, 6, 5, 4), _coarse_weights),
        Trouble("state-bits", "bits of the significand of the state", tuple(SIGNIFICANDS), _coarse_state),
        Trouble("weight-noise", "noise on the weights, in their size", (0.02, 0.05, 0.1, 0.2), _noisy_weights),
    )
}
NONE = "none"  # the trouble of samples that meet none


def distance_under(
    trouble: Trouble | None, strength: float, model: Model, distance: Distance, count: int, how: Drawing
) -> float:
    """The distance to data of `count` samples that met a trouble; inf where some are not finite. None: no trouble."""
    changed, way = (model, Drawing()) if trouble is None else trouble.met(model, strength, how)
    try:
        return distance(changed, count, how | way)
    except NotFinite:
        return math.inf


def measure(
    subjects: Mapping[float, Model],
    distance: Distance,
    cells: Cells,
    *,
    troubles: Sequence[Trouble] = tuple(TROUBLES.values()),
    seeds: Sequence[int] = (0, 1, 2),
    count: int = 500,
    evaluations: int | None = None,
    solver: str | None = None,
    watch: Watch = silent,
) -> None:
    """Fill cells (trouble, strength, D, seed) with the distance to data; what is there is not measured again.

    subjects: D -> the model that is drawn at it; one model may stand at several. The same seed draws the same noise at
    every D and strength. solver: one of FIXED by name, the one that draws where none is named if None; errors come
    before each of its steps: 18 of "heun" in 35 evaluations, as the authors have it, 35 of the other. Raises
    ConfigError for other solvers, which draw noise of their own or choose their steps by what they meet.
    """
    drawn_by(solver, evaluations)
    met: list[tuple[Trouble | None, float]] = [(None, 0.0), *((t, s) for t in troubles for s in t.strengths)]
    for seed, (trouble, strength), (D, model) in product(seeds, met, subjects.items()):
        name = NONE if trouble is None else trouble.name
        key = {"trouble": name, "strength": strength, "D": D, "seed": seed}
        with watch(f"{name} {strength:g}, D = {D:g}, seed {seed}") as update:
            how = Drawing(seed=seed, dimension=D, evaluations=evaluations, solver=solver, on_state=update)
            figures = partial(_figures, trouble, strength, model, distance, count, how)
            cells.cell(key, figures)


def drawn_by(solver: str | None, evaluations: int | None) -> str:
    """The solver in words, with its steps; ConfigError for one that no trouble can meet."""
    name = DEFAULT if solver is None else solver
    if name not in FIXED:
        raise ConfigError(f"solver {name!r} meets no troubles; there are {', '.join(FIXED)}")
    asked = EVALUATIONS if evaluations is None else evaluations
    return f"{name}, {FIXED[name].steps(asked)} steps in {asked} evaluations"


def _figures(
    trouble: Trouble | None, strength: float, model: Model, distance: Distance, count: int, how: Drawing
) -> dict[str, float]:
    started = time.monotonic()
    found = distance_under(trouble, strength, model, distance, count, how)
    return {"distance": found, "seconds": round(time.monotonic() - started, 2)}


def dimensions_of(cells: Cells) -> list[float]:
    """Every D that was measured, rising."""
    return sorted({float(cell["key"]["D"]) for cell in cells.cells})


def distances(cells: Cells, trouble: str, strength: float, D: float) -> list[float]:
    """The distance at each seed."""
    return [float(c["figures"]["distance"]) for c in cells.select(trouble=trouble, strength=strength, D=D)]


def rows(cells: Cells) -> list[tuple[str, float, list[tuple[float, float]]]]:
    """Trouble, strength, and mean and spread over seeds at each D of `dimensions_of`, in the order of TROUBLES."""
    found = [(NONE, 0.0), *((t.name, s) for t in TROUBLES.values() for s in t.strengths)]
    present = {(c["key"]["trouble"], float(c["key"]["strength"])) for c in cells.cells}
    return [
        (name, strength, [mean_and_spread(distances(cells, name, strength, D)) for D in dimensions_of(cells)])
        for name, strength in found
        if (name, strength) in present
    ]


def table_rows(cells: Cells) -> list[tuple[str, float, list[str]]]:
    """`rows` as text, "-" for what was not measured."""
    written_out = []
    for name, strength, values in rows(cells):
        there = [distances(cells, name, strength, D) for D in dimensions_of(cells)]
        texts = [written(*value) if found else "-" for value, found in zip(values, there, strict=True)]
        written_out.append((name, strength, texts))
    return written_out


def page(cells: Cells, title: str, facts: Mapping[str, Any]) -> Report:
    """A curve per D for each trouble, and the table."""
    header = ("trouble", "strength", *(f"D = {named(D)}" for D in dimensions_of(cells)))
    table: list[Sequence[Cell]] = [(name, strength, *values) for name, strength, values in table_rows(cells)]
    present = [trouble for trouble in TROUBLES.values() if cells.select(trouble=trouble.name)]
    figures = [
        Figure(_curves(cells, trouble), alt=f"Distance to data against {trouble.unit}, a curve for each D")
        for trouble in present
    ]
    text = (
        "Each curve is one D: the distance of samples to data as the trouble grows, with the standard deviation over "
        "seeds of sampling. The dashed lines are the same samples without trouble. A curve that stays flat is robust."
    )
    lead = "What the samples of a model lose when something goes wrong on the way from noise to data."
    return Report(title, lead, facts, [Section("Distance against strength", text, [*figures, Table(header, table)])])


def _curves(cells: Cells, trouble: Trouble) -> Any:
    from matplotlib import colormaps

    figure, (ax,) = new_figure(4.4, 3.2)
    dimensions = dimensions_of(cells)
    every: list[float] = []
    for k, D in enumerate(dimensions):
        colour = colormaps["viridis"](0.9 * k / max(len(dimensions) - 1, 1))
        beside = 0.12 * (k - (len(dimensions) - 1) / 2)  # so that bars do not hide each other
        found = [(i, *mean_and_spread(distances(cells, trouble.name, s, D))) for i, s in enumerate(trouble.strengths)]
        points = [
            (i + beside, mean, 0.0 if math.isnan(spread) else spread) for i, mean, spread in found if mean < math.inf
        ]
        if points:
            at, means, spreads = zip(*points, strict=True)
            every += means
            name = f"D = {named(D)}"
            ax.errorbar(at, means, spreads, fmt="o-", color=colour, ms=3, lw=1.2, elinewidth=0.8, capsize=2, label=name)
        if calm := distances(cells, NONE, 0.0, D):
            ax.axhline(mean_and_spread(calm)[0], color=colour, linewidth=0.8, linestyle="--")
    ax.set_xticks(range(len(trouble.strengths)), [f"{strength:g}" for strength in trouble.strengths])
    if every and 0 < 20 * min(every) < max(every):
        ax.set_yscale("log")
    ax.legend(frameon=False, fontsize=8, labelcolor=MUTED)
    label(ax, trouble.name, trouble.unit, "distance to data")
    return figure
