"""What solvers are made of: a point of a trajectory, what was estimated on the way, and the step that all share."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from pfgm_science.errors import ConfigError

# E[y | x] for x [batch, *shape] at a noise level: one for all, or [batch].
Denoise = Callable[[Tensor, float | Tensor], Tensor]


@dataclass(frozen=True)
class Estimate:
    """A call of the denoiser: at x, at noise level sigma, with this answer."""

    x: Tensor
    sigma: float
    denoised: Tensor

    @property
    def slope(self) -> Tensor:
        """dx/dsigma of the flow."""
        return (self.x - self.denoised) / self.sigma


@dataclass(frozen=True)
class State:
    """A point of a trajectory.

    x: [batch, *shape] at noise level sigma; past: estimates of the steps before, the newest first, as many as the
    solver wants to remember; evaluations: calls of the denoiser so far.
    """

    x: Tensor
    sigma: float
    past: tuple[Estimate, ...] = ()
    evaluations: int = 0

    @property
    def denoised(self) -> Tensor | None:
        """E[y | x] as estimated at the level before; None at the start."""
        return self.past[0].denoised if self.past else None


def estimated(denoise: Denoise, state: State) -> Estimate:
    """The estimate at a state: one evaluation."""
    return Estimate(state.x, state.sigma, denoise(state.x, state.sigma))


class Solver(Protocol):
    """One step down in noise. order: the power of the step size with which the error at the end falls."""

    name: ClassVar[str]

    @property
    def order(self) -> int: ...

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        """The state at the next level sigma < state.sigma."""
        ...

    def steps(self, evaluations: int) -> int:
        """The largest number of steps, ending at sigma = 0, that stays within so many evaluations."""
        ...


class OneEvaluation:
    """What solvers share that take one evaluation a step, the last one included."""

    def steps(self, evaluations: int) -> int:
        """As many steps as evaluations."""
        return at_least(evaluations, 1)


def at_least(evaluations: int, least: int) -> int:
    """evaluations, or ConfigError when there are less than `least`."""
    if evaluations < least:
        raise ConfigError(f"{evaluations} evaluations: at least {least} is needed")
    return evaluations


def fewest(solver: Solver, steps: int) -> int:
    """The fewest evaluations for which a solver takes so many steps."""

    def taken(evaluations: int) -> int:
        try:
            return solver.steps(evaluations)
        except ConfigError:  # too few for a single step
            return 0

    enough = steps
    while taken(enough) < steps:
        enough *= 2
    return bisect_left(range(enough), steps, key=taken)


def most_steps(cost: Callable[[int], int], evaluations: int) -> int:
    """The largest number of steps whose cost stays within so many evaluations; ConfigError if none does."""
    at_least(evaluations, cost(1))
    return bisect_right(range(evaluations + 1), evaluations, lo=1, key=cost) - 1
