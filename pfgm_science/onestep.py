"""Solvers that remember nothing: Euler and Heun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pfgm_science.state import Denoise, Estimate, OneEvaluation, State, at_least, estimated


@dataclass(frozen=True)
class Euler(OneEvaluation):
    """First order: DDIM in another guise (Song et al., arXiv 2010.02502)."""

    name: ClassVar[str] = "euler"
    order: ClassVar[int] = 1

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        now = estimated(denoise, state)
        x = now.denoised + (sigma / state.sigma) * (state.x - now.denoised)
        return State(x, sigma, (now,), state.evaluations + 1)


@dataclass(frozen=True)
class Heun:
    """Second order, two evaluations a step and one for the last step to 0 (EDM, arXiv 2206.00364, algorithm 1)."""

    name: ClassVar[str] = "heun"
    order: ClassVar[int] = 2

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        now = estimated(denoise, state)
        x = state.x + (sigma - state.sigma) * now.slope
        if sigma == 0:
            return State(x, sigma, (now,), state.evaluations + 1)
        corrected = Estimate(x, sigma, denoise(x, sigma))
        x = state.x + (sigma - state.sigma) * (now.slope + corrected.slope) / 2
        return State(x, sigma, (now,), state.evaluations + 2)

    def steps(self, evaluations: int) -> int:
        return (at_least(evaluations, 1) + 1) // 2
