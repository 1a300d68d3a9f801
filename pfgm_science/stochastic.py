"""Steps that add noise, and stay in the family of the kernel.

x = y + sigma z / sqrt(kappa) has one kappa for all its noise. Fresh noise must be scaled by the same kappa, which is
not known but has a posterior given x: eps / sqrt(kappa), kappa ~ p(kappa | x), is exact (docs/physics.md, section 8).
Gaussian noise, as EDM adds, is that of D = infinity and leaves the family of any other D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from pfgm_science.batch import Condition, expand, free_coordinates
from pfgm_science.denoiser import Denoiser
from pfgm_science.divergence import with_divergence
from pfgm_science.errors import ConfigError
from pfgm_science.noise import Generators, StudentT, normal
from pfgm_science.onestep import Heun
from pfgm_science.state import Denoise, Solver, State, at_least, fewest, most_steps


@runtime_checkable
class KnowsKappa(Protocol):
    """A denoiser that can draw kappa exactly: those in closed form."""

    def draw_log_kappa(self, x: Tensor, sigma: Tensor, mask: Tensor | None, generator: Generators) -> Tensor:
        """log kappa ~ p(log kappa | x): [batch], float64."""
        ...


@dataclass(frozen=True)
class Renewal:
    """Noise eps / sqrt(kappa), kappa ~ p(kappa | x), for trajectories at D.

    The posterior is exact where the denoiser knows it (`draw_log_kappa`). Else it is estimated from Den and its
    divergence, which is the number of coordinates that are data rather than noise and tell nothing of kappa:
    kappa ~ Gamma((N - div + D)/2, rate (D + ||x - Den||^2 / sigma^2)/2), for one evaluation and a gradient.
    generator: one, or one a sample.
    """

    D: float
    denoiser: Denoiser
    generator: Generators
    condition: Condition | None = None
    mask: Tensor | None = None

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser that a draw takes."""
        return 0 if math.isinf(self.D) or isinstance(self.denoiser, KnowsKappa) else 1

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """Fresh noise like x, of the size it has at sigma = 1."""
        noise = normal(x.shape, self.generator, x.dtype).to(x.device)
        noise = noise if self.mask is None else noise * self.mask.to(noise)
        kappa = self.log_kappa(x, x.new_full((len(x),), sigma)).to(noise)
        return noise * expand(torch.exp(-kappa / 2), noise)

    def log_kappa(self, x: Tensor, sigma: Tensor) -> Tensor:
        """log kappa ~ p(log kappa | x): [batch], float64; 0 at D = infinity, where nothing need be asked."""
        if math.isinf(self.D):
            return torch.zeros(len(x), dtype=torch.float64, device=x.device)
        if isinstance(self.denoiser, KnowsKappa):
            return self.denoiser.draw_log_kappa(x, sigma, self.mask, self.generator)
        denoised, divergence = with_divergence(self.denoiser, x, sigma, self.condition, self.mask)
        error = x - denoised if self.mask is None else (x - denoised) * self.mask
        squared, N = error.flatten(1).square().sum(1), free_coordinates(x, self.mask)
        # An estimate may leave the range in which a divergence of an expectation lies.
        noisy = (N - divergence).clamp(min=torch.zeros_like(N), max=N)
        return StudentT(self.D).posterior_log_kappa(squared, sigma, noisy, generator=self.generator)


@dataclass(frozen=True)
class StochasticHeun:
    """Heun's step after some noise was added (EDM, arXiv 2206.00364, algorithm 2), with noise of the right family.

    churn: variance added before a step, as a share of what the step removes: 0 is Heun's method, 1 about what ancestral
    sampling adds. Noise is added between the levels low and high only, and not before the last step, to sigma = 0.
    renew: where noise comes from; `bound` gives it.
    """

    churn: float = 0.5
    low: float = 0.0
    high: float = float("inf")
    renew: Renewal | None = None
    name: ClassVar[str] = "stochastic"
    order: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 <= self.churn < float("inf"):
            raise ConfigError(f"churn is {self.churn}: it must be >= 0 and finite; 0 adds no noise")
        if not 0 <= self.low <= self.high:
            raise ConfigError(f"noise is to be added between sigma = {self.low} and {self.high}: 0 <= low <= high")

    def bound(self, renew: Renewal) -> StochasticHeun:
        """The same solver with its source of noise."""
        return StochasticHeun(self.churn, self.low, self.high, renew)

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        if self.renew is None:
            raise ConfigError("a stochastic solver needs a source of noise: StochasticHeun().bound(Renewal(...))")
        if not (self.churn and sigma > 0 and self.low <= state.sigma <= self.high):
            return Heun().step(denoise, state, sigma)
        added = self.churn * (state.sigma**2 - sigma**2)
        raised = (state.sigma**2 + added) ** 0.5
        x = state.x + added**0.5 * self.renew(state.x, state.sigma)
        return Heun().step(denoise, State(x, raised, (), state.evaluations + self.renew.evaluations), sigma)

    def steps(self, evaluations: int) -> int:
        a_step = 2 + (1 if self.renew is None else self.renew.evaluations)
        return (at_least(evaluations, 1) - 1) // a_step + 1


@dataclass(frozen=True)
class Repeated:
    """A solver each of whose steps is taken several times, with noise added in between to go back up.

    So what is known of a sample reaches all of it (RePaint, Lugmayr et al., arXiv 2201.09865): down by the flow and up
    by noise is a step of Langevin's, which brings samples to the law that the denoiser, or what is put back before each
    step, has at each level. Steps are repeated between the levels low and high only, and not the last one, to
    sigma = 0. Noise is of the sample's own kappa (`Renewal`). Solvers that remember the step before begin anew.
    """

    solver: Solver
    renew: Renewal
    repeats: int
    low: float = 0.0
    high: float = math.inf
    name: ClassVar[str] = "repeated"

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError(f"repeats is {self.repeats}: each step must be taken at least once")
        if not 0 <= self.low <= self.high:
            raise ConfigError(f"steps are to be repeated between sigma = {self.low} and {self.high}: 0 <= low <= high")

    @property
    def order(self) -> int:
        return self.solver.order

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        after = self.solver.step(denoise, state, sigma)
        if sigma == 0 or not self.low <= state.sigma <= self.high:
            return after
        added = (state.sigma**2 - sigma**2) ** 0.5
        for _ in range(self.repeats - 1):
            x = after.x + added * self.renew(after.x, sigma)
            raised = State(x, state.sigma, (), after.evaluations + self.renew.evaluations)
            after = self.solver.step(denoise, raised, sigma)
        return after

    def steps(self, evaluations: int) -> int:
        return most_steps(self._cost, evaluations)

    def _cost(self, steps: int) -> int:
        """Evaluations of so many steps, if all but the last are repeated."""
        last = fewest(self.solver, 1)
        again = (steps - 1) * (self.repeats - 1) * self.renew.evaluations
        return self.repeats * (fewest(self.solver, steps) - last) + last + again
