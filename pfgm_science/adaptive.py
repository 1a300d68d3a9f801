"""A solver that chooses its own steps: Dormand and Prince's pair of orders 5 and 4, to a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pfgm_science.batch import expand
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.state import Denoise, State, estimated

# Dormand and Prince, J. Comput. Appl. Math. 6 (1980) 19: the stages, and the weights of order 5 less those of order 4.
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
FIRST_STEP = 0.05  # in ln(sigma)
SMALLEST, LARGEST = 0.2, 5.0  # change of a step from one to the next
MOST = 10_000


@dataclass(frozen=True)
class DormandPrince:
    """Fifth order, with steps in ln(sigma) that keep the error of each below tolerance times the size of x.

    Every sample has steps of its own, so that what becomes of it does not depend on its neighbours in the batch; an
    evaluation is counted where any sample needs one. To sigma = 0 it ends on the estimate, as all solvers do.
    """

    tolerance: float = 1e-4
    name: ClassVar[str] = "dopri5"
    order: ClassVar[int] = 5

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise ConfigError(f"tolerance is {self.tolerance}: it must lie between 0 and 1, such as 1e-4")

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        if sigma == 0:
            now = estimated(denoise, state)
            return State(now.denoised, sigma, (now,), state.evaluations + 1)
        x = state.x
        at = x.new_full((len(x),), math.log(state.sigma))
        end = math.log(sigma)
        size = torch.full_like(at, FIRST_STEP).minimum(at - end)
        now = estimated(denoise, state)
        slope = x - now.denoised
        evaluations = 1
        while bool((at > end).any()):
            if evaluations > MOST:
                raise PfgmError(
                    f"{self.name} needs more than {MOST} evaluations to reach sigma = {sigma:g} within tolerance "
                    f"{self.tolerance:g}: give a larger one"
                )
            ended, slopes = self._try(denoise, x, at, size, slope)
            evaluations += len(STAGES) - 1
            error = self._error(x, ended, size, slopes)
            accepted = error <= 1
            x = torch.where(expand(accepted, x), ended, x)
            slope = torch.where(expand(accepted, x), slopes[-1], slope)
            at = torch.where(accepted, at - size, at)
            at = torch.where(at - end < 1e-12, end, at)
            factor = (0.9 * error.clamp(min=1e-10) ** -0.2).clamp(SMALLEST, LARGEST)
            # A finished sample has a step of 0 left, and stays where it is.
            size = torch.minimum(size * factor, at - end)
        return State(x, sigma, (now,), state.evaluations + evaluations)

    def steps(self, evaluations: int) -> int:
        raise ConfigError(
            f"{self.name} chooses its own number of evaluations, so {evaluations} cannot be kept: give it a tolerance "
            "(--tolerance), or take a solver with fixed steps"
        )

    def _try(self, denoise: Denoise, x: Tensor, at: Tensor, size: Tensor, slope: Tensor) -> tuple[Tensor, list[Tensor]]:
        """One step down by size: the end in fifth order, and the slopes dx/dln(sigma) of all stages."""
        nodes = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
        slopes, moved = [slope], x
        for node, weights in list(zip(nodes, STAGES, strict=True))[1:]:
            change = sum((w * k for w, k in zip(weights, slopes, strict=True) if w), torch.zeros_like(x))
            moved = x - expand(size, x) * change
            slopes.append(moved - denoise(moved, (at - node * size).exp()))
        return moved, slopes

    def _error(self, x: Tensor, ended: Tensor, size: Tensor, slopes: list[Tensor]) -> Tensor:
        """Error of each sample over what the tolerance allows: [batch]."""
        error = sum((w * k for w, k in zip(ERROR, slopes, strict=True) if w), torch.zeros_like(x)) * expand(size, x)
        scale = torch.maximum(x.abs(), ended.abs()).flatten(1).square().mean(1).sqrt()
        found: Tensor = error.flatten(1).square().mean(1).sqrt() / (self.tolerance * scale).clamp(min=1e-300)
        return found
