"""Guidance: wrappers of denoisers that pull samples towards a condition, or towards what a function prefers.

What is linear in the denoiser (classifier-free guidance, autoguidance) is the same at every D. What adds the gradient
of a log probability needs the factor between the flow and the score, which is sigma^2 at D = infinity alone
(docs/physics.md, section 9). Wrappers compose: each is a denoiser.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pfgm_science.batch import Condition, expand, free_coordinates
from pfgm_science.condition import without
from pfgm_science.denoiser import Denoiser, Wrapper, calls_of
from pfgm_science.errors import ConfigError

# (x [batch, *shape], sigma [batch]) -> log weight of each sample, [batch]
LogWeight = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Unconditional(Wrapper):
    """A conditional denoiser that is told nothing but D."""

    denoiser: Denoiser

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        return self.denoiser(x, sigma, without(condition), mask)


@dataclass(frozen=True)
class Guided:
    """weak + weight (strong - weak) between two noise levels, strong alone outside of them.

    weight 1 is strong itself, 0 is weak, more than 1 exaggerates what distinguishes them. weak is not called where the
    answer does not depend on it.
    """

    strong: Denoiser
    weak: Denoiser
    weight: float
    low: float = 0.0
    high: float = math.inf

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise ConfigError(
                f"guidance weight is {self.weight}: it must be finite; 1 is no guidance, 2 a common start"
            )
        if not 0 <= self.low < self.high:
            raise ConfigError(f"guidance between sigma = {self.low} and {self.high}: 0 <= low < high is needed")

    @property
    def calls(self) -> int:
        return calls_of(self.strong) + (0 if self.weight == 1 else calls_of(self.weak))

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        inside = (sigma >= self.low) & (sigma <= self.high)
        strong = self.strong(x, sigma, condition, mask)
        if self.weight == 1 or not _perhaps(inside):
            return strong
        weak = self.weak(x, sigma, condition, mask)
        return torch.where(expand(inside, x), weak + self.weight * (strong - weak), strong)


def _perhaps(condition: Tensor) -> bool:
    """Whether a condition holds for any sample; True where the device cannot be asked, while a loop is recorded."""
    recorded = condition.is_cuda and torch.cuda.is_current_stream_capturing()
    return recorded or condition.is_meta or bool(condition.any())


def classifier_free(denoiser: Denoiser, weight: float, *, low: float = 0.0, high: float = math.inf) -> Guided:
    """Guidance by the same network without its condition (Ho and Salimans, arXiv 2207.12598), in an interval of noise
    levels (Kynkaanniemi et al., arXiv 2404.07724). The network must have been trained with condition dropout.
    """
    return Guided(denoiser, Unconditional(denoiser), weight, low, high)


def autoguidance(
    denoiser: Denoiser, weaker: Denoiser, weight: float, *, low: float = 0.0, high: float = math.inf
) -> Guided:
    """Guidance by a weaker model of the same data: smaller, or trained for less (Karras et al., arXiv 2406.02507)."""
    return Guided(denoiser, weaker, weight, low, high)


@dataclass(frozen=True)
class EnergyGuided(Wrapper):
    """Den + scale S(x) grad_x log_weight(x, sigma): classifier guidance (arXiv 2105.05233), or any energy, at any D.

    S(x) = (||x - Den||^2 + D sigma^2) / (N + D - 2), and sigma^2 at D = infinity: what a gradient of a log probability
    of x moves Den by. at_estimate: log_weight is asked about Den(x) rather than x, and its gradient goes through the
    denoiser, so that it may be a function of clean data. log_weight: higher is better, one number a sample.
    """

    denoiser: Denoiser
    log_weight: LogWeight
    D: float
    scale: float = 1.0
    at_estimate: bool = False

    def __post_init__(self) -> None:
        if not self.D > 0:
            raise ConfigError(f"D is {self.D}: the number of extra dimensions must be > 0 (inf is diffusion)")

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        nested = x.requires_grad and torch.is_grad_enabled()  # for the divergence of this denoiser
        with torch.enable_grad():
            leaf = x if nested else x.detach().requires_grad_()
            with torch.set_grad_enabled(nested or self.at_estimate):
                denoised = self.denoiser(leaf, sigma, condition, mask)
            log_weight = self.log_weight(denoised if self.at_estimate else leaf, sigma)
            (gradient,) = torch.autograd.grad(log_weight.sum(), leaf, create_graph=nested)
        denoised = denoised if nested else denoised.detach()
        if mask is not None:
            gradient = gradient * mask.to(gradient)
        return denoised + expand(self.scale * score_factor(x, denoised, sigma, self.D, mask), x) * gradient


def score_factor(x: Tensor, denoised: Tensor, sigma: Tensor, D: float, mask: Tensor | None = None) -> Tensor:
    """S(x) of x - Den = -S grad log phi_{N+D-2}: [batch]. ConfigError for N + D <= 2, where it does not exist."""
    if math.isinf(D):
        return sigma.to(x) ** 2
    error = x - denoised if mask is None else (x - denoised) * mask.to(x)
    N = free_coordinates(x, mask)
    if bool((N + D <= 2).any()):
        raise ConfigError(f"gradients cannot guide {int(N.min())} coordinates at D = {D:g}: N + D must be above 2")
    factor: Tensor = (error.flatten(1).square().sum(1) + D * sigma.to(x) ** 2) / (N + D - 2)
    return factor
