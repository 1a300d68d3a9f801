"""The sampling loop, a generator that yields every state: progress, plots and early stopping are the caller's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pfgm_science.batch import Condition
from pfgm_science.denoiser import Denoiser
from pfgm_science.errors import ConfigError
from pfgm_science.solvers import Heun, Solver, State


def sample(
    denoiser: Denoiser,
    x: Tensor,
    grid: Tensor | Sequence[float],
    *,
    solver: Solver | None = None,
    condition: Condition | None = None,
    mask: Tensor | None = None,
) -> Iterator[State]:
    """Walk x from the first level of grid to the last; yields the start and the state after each step.

    x: [batch, *shape], a draw of StudentT(D).prior at grid[0]; its dtype is that of the whole trajectory.
    grid: decreasing noise levels, the last may be 0. condition, mask: as the denoiser wants them.
    """
    solver = solver or Heun()
    levels = [float(level) for level in grid]
    falling = all(math.inf > a > b >= 0 for a, b in pairwise(levels))
    if len(levels) < 2 or not falling:
        raise ConfigError(f"grid {levels}: at least two levels are needed, each below the one before, none below 0")

    return _walk(denoiser, State(x, levels[0]), levels[1:], solver, condition, mask)


@torch.no_grad()
def _walk(
    denoiser: Denoiser,
    state: State,
    levels: Sequence[float],
    solver: Solver,
    condition: Condition | None,
    mask: Tensor | None,
) -> Iterator[State]:
    def denoise(x: Tensor, sigma: float | Tensor) -> Tensor:
        levels = sigma if isinstance(sigma, Tensor) else x.new_full((len(x),), sigma)
        return denoiser(x, levels, condition, mask)

    yield state
    for level in levels:
        state = solver.step(denoise, state, level)
        yield state


def last(states: Iterator[State]) -> State:
    """The final state of a trajectory."""
    state = next(states)
    for state in states:  # noqa: B007
        pass
    return state


def state_dtype(device: torch.device | str) -> torch.dtype:
    """float64 where the device has it: rounding of the state then stays far below the error of the steps."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64
