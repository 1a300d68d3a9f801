"""Solvers of the flow dx/dsigma = (x - Den(x, sigma)) / sigma: one `step` each, from one noise level to the next.

The flow is EDM's for every D (PFGM++, arXiv 2302.04265, section 4), so every deterministic solver works unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from pfgm_science.errors import ConfigError

Denoise = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class State:
    """A point of a trajectory.

    x: [batch, *shape] at noise level sigma; denoised: E[y | x] as estimated at the level before, None at the start;
    previous: the noise level at which denoised was estimated; evaluations: calls of the denoiser so far.
    """

    x: Tensor
    sigma: float
    denoised: Tensor | None = None
    previous: float = math.nan
    evaluations: int = 0


class Solver(Protocol):
    """One step down in noise. order: the power of the step size with which the error at the end falls."""

    name: ClassVar[str]
    order: ClassVar[int]

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        """The state at the next level sigma < state.sigma."""
        ...

    def steps(self, evaluations: int) -> int:
        """The largest number of steps, ending at sigma = 0, that stays within so many evaluations."""
        ...


@dataclass(frozen=True)
class Euler:
    """First order: DDIM in another guise (Song et al., arXiv 2010.02502)."""

    name: ClassVar[str] = "euler"
    order: ClassVar[int] = 1

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        denoised = denoise(state.x, state.sigma)
        x = denoised + (sigma / state.sigma) * (state.x - denoised)
        return State(x, sigma, denoised, state.sigma, state.evaluations + 1)

    def steps(self, evaluations: int) -> int:
        return _at_least(evaluations, 1)


@dataclass(frozen=True)
class Heun:
    """Second order, two evaluations a step and one for the last step to 0 (EDM, arXiv 2206.00364, algorithm 1)."""

    name: ClassVar[str] = "heun"
    order: ClassVar[int] = 2

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        denoised = denoise(state.x, state.sigma)
        slope = (state.x - denoised) / state.sigma
        x = state.x + (sigma - state.sigma) * slope
        if sigma == 0:
            return State(x, sigma, denoised, state.sigma, state.evaluations + 1)
        corrected = (x - denoise(x, sigma)) / sigma
        x = state.x + (sigma - state.sigma) * (slope + corrected) / 2
        return State(x, sigma, denoised, state.sigma, state.evaluations + 2)

    def steps(self, evaluations: int) -> int:
        return (_at_least(evaluations, 1) + 1) // 2


@dataclass(frozen=True)
class DPMSolver2M:
    """Second order with one evaluation a step: DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2).

    The first step has no past and the last, to sigma = 0, no finite size in log sigma: both are Euler's.
    """

    name: ClassVar[str] = "dpm2m"
    order: ClassVar[int] = 2

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        denoised = denoise(state.x, state.sigma)
        target = denoised
        if state.denoised is not None and sigma > 0:
            ratio = math.log(state.previous / state.sigma) / math.log(state.sigma / sigma)
            target = denoised + (denoised - state.denoised) / (2 * ratio)
        x = target + (sigma / state.sigma) * (state.x - target)
        return State(x, sigma, denoised, state.sigma, state.evaluations + 1)

    def steps(self, evaluations: int) -> int:
        return _at_least(evaluations, 1)


SOLVERS: dict[str, Solver] = {solver.name: solver for solver in (Euler(), Heun(), DPMSolver2M())}


def solver_named(name: str) -> Solver:
    """The solver of this name; ConfigError lists the names when there is none."""
    if name not in SOLVERS:
        raise ConfigError(f"solver {name!r} is not known; there are {', '.join(SOLVERS)}")
    return SOLVERS[name]


def _at_least(evaluations: int, least: int) -> int:
    if evaluations < least:
        raise ConfigError(f"{evaluations} evaluations: at least {least} is needed")
    return evaluations
