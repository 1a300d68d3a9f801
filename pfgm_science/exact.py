"""Denoisers in closed form: of a finite set of points, of Gaussian data and of mixtures. The oracles of the tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pfgm_science.batch import Condition, expand, free_coordinates
from pfgm_science.errors import ConfigError
from pfgm_science.noise import Generators, StudentT, uniform


@dataclass(frozen=True)
class FiniteSet:
    """E[y | x] when the data are exactly these points (PFGM++, arXiv 2302.04265, eq. 3; docs/physics.md, section 3).

    points: [n, *shape]; D: extra dimensions; weights: probabilities [n], equal when not given.
    A model that equals this one has memorised its training set.
    """

    points: Tensor
    D: float = math.inf
    weights: Tensor | None = None

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        w = torch.softmax(self.log_weights(x, sigma, mask), dim=1)
        y = (w @ self.points.to(x).flatten(1)).reshape(x.shape)
        return y if mask is None else y * mask

    def draw_log_kappa(self, x: Tensor, sigma: Tensor, mask: Tensor | None, generator: Generators) -> Tensor:
        """log kappa ~ p(log kappa | x), by way of a point drawn from p(y | x): [batch], float64."""
        w = torch.softmax(self.log_weights(x, sigma, mask).double(), dim=1)
        chosen = (w.cumsum(1) < uniform(len(x), generator).to(w.device)[:, None] * w.sum(1, keepdim=True)).sum(1)
        error = x - self.points.to(x)[chosen.clamp(max=w.shape[1] - 1)].reshape(x.shape)
        if mask is not None:
            error = error * mask
        squared, N = error.flatten(1).square().sum(1), free_coordinates(x, mask)
        return StudentT(self.D).posterior_log_kappa(squared, sigma, N, generator=generator)

    def log_weights(self, x: Tensor, sigma: Tensor, mask: Tensor | None = None) -> Tensor:
        """Log posterior weight of each point up to a constant a sample: [batch, n]."""
        flat, points = x.flatten(1), self.points.to(x).flatten(1)
        if mask is None:
            squared = torch.cdist(flat, points, compute_mode="donot_use_mm_for_euclid_dist").square()
        else:
            free = mask.to(x).flatten(1)
            squared = ((flat[:, None] - points[None]).square() * free[:, None]).sum(2)
        variance = expand(torch.as_tensor(sigma).to(x), squared) ** 2
        if math.isinf(self.D):
            log_w = -squared / (2 * variance)
        else:
            N = expand(free_coordinates(x, mask), squared)
            log_w = -(N + self.D) / 2 * torch.log1p(squared / (self.D * variance))
        return log_w if self.weights is None else log_w + self.weights.to(x).log()


@dataclass(frozen=True)
class Gaussian:
    """E[y | x] for y ~ N(0, diag(std^2)), by one-dimensional quadrature over kappa (docs/physics.md, section 6).

    std: a number, or one per coordinate ([*shape]; zeros make a subspace). D: extra dimensions.
    nodes: of the quadrature; its error is far below 1e-10 with the default.
    """

    std: float | Tensor
    D: float = math.inf
    nodes: int = 256

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        flat = x.double().flatten(1)
        free = torch.ones_like(flat) if mask is None else mask.double().flatten(1)
        levels, group = self._groups(x)
        squared, count = self._sums(x, mask, levels, group)
        sigma = torch.as_tensor(sigma, dtype=torch.float64, device=x.device).expand(len(x))
        log_kappa, weight = self._posterior(levels, squared, count, sigma)
        shrink = levels / (levels + (sigma[:, None] ** 2 * torch.exp(-log_kappa))[..., None])
        mean = (weight[..., None] * shrink).sum(1)
        denoised: Tensor = (flat * free * mean[:, group]).reshape(x.shape).to(x.dtype)
        return denoised

    def _groups(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The different variances [levels], and which of them each coordinate has [N]."""
        variance = torch.as_tensor(self.std, dtype=torch.float64, device=x.device).square()
        levels, group = torch.unique(variance.expand(x.shape[1:]).flatten(), return_inverse=True)
        return levels, group

    @staticmethod
    def _sums(x: Tensor, mask: Tensor | None, levels: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """Squares and number of the free coordinates of each variance: two [batch, levels]."""
        flat = x.double().flatten(1)
        free = torch.ones_like(flat) if mask is None else mask.double().flatten(1)
        squared = flat.new_zeros(len(x), len(levels)).index_add_(1, group, flat.square() * free)
        count = flat.new_zeros(len(x), len(levels)).index_add_(1, group, free)
        return squared, count

    def draw_log_kappa(self, x: Tensor, sigma: Tensor, mask: Tensor | None, generator: Generators) -> Tensor:
        """log kappa ~ p(log kappa | x), evenly between the nodes of the quadrature: [batch], float64."""
        levels, group = self._groups(x)
        sums = self._sums(x, mask, levels, group)
        log_kappa, weight = self._posterior(levels, *sums, torch.as_tensor(sigma).double().expand(len(x)))
        return _between_nodes(log_kappa, weight, generator)

    def _posterior(self, levels: Tensor, squared: Tensor, count: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes in log kappa and their posterior weights: two [batch, nodes]."""
        if math.isinf(self.D):
            one = sigma.new_ones(len(sigma), 1)
            return one.log(), one

        def log_density(u: Tensor) -> Tensor:
            v = levels + (sigma[:, None] ** 2 * torch.exp(-u))[..., None]
            data = -0.5 * (count[:, None] * torch.log(v) + squared[:, None] / v).sum(2)
            return data + self.D / 2 * (u - torch.exp(u))

        return _nodes(log_density, len(sigma), self.nodes, sigma.device)


@dataclass(frozen=True)
class Mixture:
    """E[y | x] for y of a mixture of N(mean_k, std_k^2 I), by quadrature over kappa as for Gaussian data.

    means: [components, N]; std: [components]; weights: probabilities [components], equal when not given; D: extra
    dimensions; nodes: of the quadrature. x is [batch, N]; a mask is refused with ConfigError.
    """

    means: Tensor
    std: Tensor
    D: float = math.inf
    weights: Tensor | None = None
    nodes: int = 64

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if mask is not None:
            raise ConfigError("a mixture of Gaussians is in closed form here for samples of one size: no mask")
        x64, sigma = x.double(), torch.as_tensor(sigma, dtype=torch.float64, device=x.device).expand(len(x))
        log_kappa, weight = self._posterior(x64, sigma)
        log, variance = self._terms(x64, sigma, log_kappa)
        share = weight[..., None] * torch.softmax(log, dim=2)
        kept = share * self.std.to(variance).square() / variance
        pull = (share - kept).sum(1)
        denoised: Tensor = pull @ self.means.to(x64) + kept.sum((1, 2))[:, None] * x64
        return denoised.to(x.dtype)

    def draw_log_kappa(self, x: Tensor, sigma: Tensor, mask: Tensor | None, generator: Generators) -> Tensor:
        """log kappa ~ p(log kappa | x), evenly between the nodes of the quadrature: [batch], float64."""
        sigma = torch.as_tensor(sigma, dtype=torch.float64, device=x.device).expand(len(x))
        return _between_nodes(*self._posterior(x.double(), sigma), generator)

    def _posterior(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes in log kappa and their posterior weights: two [batch, nodes]."""
        if math.isinf(self.D):
            one = sigma.new_ones(len(sigma), 1)
            return one.log(), one

        def log_density(u: Tensor) -> Tensor:
            return self._terms(x, sigma, u)[0].logsumexp(2) + self.D / 2 * (u - torch.exp(u))

        return _nodes(log_density, len(x), self.nodes, x.device)

    def _terms(self, x: Tensor, sigma: Tensor, log_kappa: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x, component | kappa) up to a constant, and the variance of x there: two [batch, nodes, components]."""
        means, std = self.means.to(x), self.std.to(x)
        squared = (x[:, None] - means).square().sum(2)  # cdist has no second derivative, which Measured at D asks for
        variance = std.square() + (sigma[:, None] ** 2 * torch.exp(-log_kappa))[..., None]
        log = -0.5 * (x.shape[1] * variance.log() + squared[:, None] / variance)
        return log if self.weights is None else log + self.weights.to(x).log(), variance


def _nodes(
    log_density: Callable[[Tensor], Tensor], count: int, nodes: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Even nodes in log kappa where a density carries weight, and their weights: two [count, nodes] float64.

    log_density: of log kappa, [count, nodes] to the same. The peak may be as narrow as sqrt(2 / (N + D)) and lie far
    out: the range is narrowed down to what carries weight.
    """
    low = torch.full((count, 1), -120.0, dtype=torch.float64, device=device)
    high = torch.full_like(low, 12.0)
    ramp = torch.linspace(0, 1, nodes, dtype=torch.float64, device=device)
    for _ in range(4):
        u = low + (high - low) * ramp
        heavy = (log := log_density(u)) > log.amax(1, keepdim=True) - 40
        step = (high - low) / (nodes - 1)
        low = torch.where(heavy, u, math.inf).amin(1, keepdim=True) - step
        high = torch.where(heavy, u, -math.inf).amax(1, keepdim=True) + step
    return u, torch.softmax(log, dim=1)


def _between_nodes(log_kappa: Tensor, weight: Tensor, generator: Generators) -> Tensor:
    """A draw from a density given at even nodes: [count]."""
    if log_kappa.shape[1] == 1:
        return log_kappa[:, 0]
    u = uniform(len(log_kappa), generator).to(weight.device)[:, None]
    total = weight.cumsum(1) / weight.sum(1, keepdim=True)
    chosen = (total < u).sum(1, keepdim=True).clamp(max=weight.shape[1] - 1)
    share = (u - (total - weight).gather(1, chosen)) / weight.gather(1, chosen).clamp(min=1e-300)
    step = log_kappa[:, 1:2] - log_kappa[:, :1]
    return (log_kappa.gather(1, chosen) + (share.clamp(0, 1) - 0.5) * step)[:, 0]


def radius_moments(N: int, D: float) -> tuple[float, float]:
    """Mean and variance of log(R^2 / r^2) of the kernel, Q ~ chi2_N / chi2_D (docs/physics.md, section 6); D finite."""
    a, b = torch.tensor([N / 2, D / 2], dtype=torch.float64)
    mean = torch.digamma(a) - torch.digamma(b)
    variance = torch.polygamma(1, a) + torch.polygamma(1, b)
    return float(mean), float(variance)


def smoothed_log_density(points: Tensor, x: Tensor, sigma: float | Tensor, D: float) -> Tensor:
    """log p_sigma(x) of a finite set of equally likely points under the kernel, in nats: [batch] float64."""
    noise = StudentT(D)
    terms = torch.stack([noise.log_prob(x, sigma, center=y[None]) for y in points], dim=1)
    return torch.logsumexp(terms, dim=1) - math.log(len(points))
