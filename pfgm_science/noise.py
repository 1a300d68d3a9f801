"""The noise of PFGM++: a multivariate Student-t with D degrees of freedom. Prior, training and steps all draw here.

Source: Xu et al., PFGM++, arXiv 2302.04265, in the form kappa ~ Gamma(D/2, rate D/2), x = y + sigma z / sqrt(kappa)
(docs/physics.md, section 1). D = 1 is PFGM, D = inf is diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from pfgm_science.batch import expand, free_coordinates
from pfgm_science.errors import ConfigError

Generators = torch.Generator | Sequence[torch.Generator]

# From this many times N on, kappa differs from 1 by less than one part in a thousand of what N coordinates can tell.
GAUSSIAN_FROM = 1e6


def generators(seeds: Iterable[int], device: torch.device | str = "cpu") -> list[torch.Generator]:
    """One generator a seed, so that a sample depends on its own seed and not on the batch it is drawn in."""
    return [torch.Generator(device).manual_seed(int(seed)) for seed in seeds]


class StudentT:
    """The noise kernel p(x | y, sigma), a Student-t of D degrees of freedom and scale sigma around y.

    D: one number > 0 (inf allowed), or a tensor [batch] with one value a sample. Raises ConfigError otherwise.
    """

    def __init__(self, D: float | Tensor = math.inf) -> None:
        self.D: Tensor = torch.as_tensor(D, dtype=torch.float64)
        if self.D.ndim > 1 or not bool((self.D > 0).all()):
            raise ConfigError(
                f"D is {D}: the number of extra dimensions must be > 0 (1 is PFGM, inf is diffusion), "
                "one number or one value per sample"
            )

    def __repr__(self) -> str:
        return f"StudentT({self.D.tolist()})"

    def draw(
        self,
        shape: Sequence[int],
        sigma: float | Tensor,
        *,
        mask: Tensor | None = None,
        generator: Generators,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Noise sigma z / sqrt(kappa), one kappa per sample, zero where mask is zero.

        shape: [batch, *shape]; sigma: a number or [batch]; generator: one for the batch or one a sample.
        z is drawn before kappa, so that the same generator gives the same z for every D. A scale beyond 2e15
        in float32 (1e123 in float64), which D < 0.3 can reach, is held there.
        """
        z = normal(shape, generator, dtype)
        device = device or z.device
        N = free_coordinates(z, mask.to(z.device) if mask is not None else None).double()
        scale = torch.as_tensor(sigma, dtype=torch.float64, device=z.device).expand(len(z))
        if len(z) and not bool(torch.isinf(self.D).all()):
            log_kappa = self.log_kappa(len(z), N=N, generator=generator)
            # For D well below 1 the tail leaves the range of floats; its squares should stay inside.
            scale = (scale * torch.exp(-0.5 * log_kappa.to(z.device))).clamp(max=torch.finfo(dtype).max ** 0.4)
        noise = z.mul_(expand(scale.to(dtype), z)).to(device)
        return noise if mask is None else noise * mask.to(noise)

    def perturb(self, y: Tensor, sigma: float | Tensor, *, mask: Tensor | None = None, generator: Generators) -> Tensor:
        """x ~ p(x | y, sigma): [batch, *shape] like y."""
        return y + self.draw(y.shape, sigma, mask=mask, generator=generator, dtype=y.dtype, device=y.device)

    def prior(
        self,
        shape: Sequence[int],
        sigma_max: float | Tensor,
        *,
        mask: Tensor | None = None,
        generator: Generators,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Where sampling starts: the kernel at sigma_max around y = 0."""
        return self.draw(shape, sigma_max, mask=mask, generator=generator, dtype=dtype, device=device)

    def log_kappa(self, batch: int, *, N: Tensor | float = math.inf, generator: Generators) -> Tensor:
        """log kappa, kappa ~ Gamma(D/2, rate D/2): [batch], float64; 0 where D is as good as infinite for N.

        From log G(a) = log G(a + 1) + log(U) / a, which stays finite for every real D > 0.
        """
        first = generator if isinstance(generator, torch.Generator) else generator[0]
        D = self._D(first.device).expand(batch)
        gaussian = D >= GAUSSIAN_FROM * torch.as_tensor(N, device=D.device)
        gaussian |= torch.isinf(D)
        a = torch.where(gaussian, 1.0, D / 2)
        log_kappa = _log_gamma_variate(a, generator) - torch.log(a)
        return torch.where(gaussian, 0.0, log_kappa)

    def kappa_posterior(
        self, squared_distance: Tensor, sigma: float | Tensor, N: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Shape and rate of kappa | x, y ~ Gamma((N + D)/2, rate (D + ||x - y||^2 / sigma^2)/2): two [batch], float64.

        squared_distance: ||x - y||^2 over the free coordinates, [batch]. D must be finite.
        """
        D = self._D(squared_distance.device)
        if bool(torch.isinf(D).any()):
            raise ConfigError("D = inf has no posterior of kappa: kappa is 1 (use posterior_log_kappa, which knows it)")
        sigma = torch.as_tensor(sigma, dtype=torch.float64, device=squared_distance.device)
        shape = (torch.as_tensor(N, dtype=torch.float64, device=D.device) + D) / 2
        rate = (D + squared_distance.double() / sigma**2) / 2
        return shape.expand_as(rate), rate

    def posterior_log_kappa(
        self, squared_distance: Tensor, sigma: float | Tensor, N: Tensor | float, *, generator: Generators
    ) -> Tensor:
        """A draw of log kappa | x, y: [batch], float64; 0 where D is infinite."""
        D = self._D(squared_distance.device)
        finite = StudentT(torch.where(torch.isinf(D), 1.0, D))
        shape, rate = finite.kappa_posterior(squared_distance, sigma, N)
        log_kappa = _log_gamma_variate(shape, generator).to(rate.device) - torch.log(rate)
        return torch.where(torch.isinf(D), 0.0, log_kappa)

    def log_prob(
        self, x: Tensor, sigma: float | Tensor, *, center: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """log p(x | center, sigma) over the free coordinates, in nats: [batch], float64. center is 0 when not given.

        lgamma((D+N)/2) - lgamma(D/2) - N/2 log(D pi) - N log sigma - (D+N)/2 log1p(||x||^2 / (D sigma^2)).
        """
        difference = (x if center is None else x - center).double()
        if mask is not None:
            difference = difference * mask
        squared = difference.flatten(1).square().sum(1)
        N = free_coordinates(x, mask).double()
        sigma = torch.as_tensor(sigma, dtype=torch.float64, device=x.device)
        D = self._D(x.device).expand_as(N)
        infinite = torch.isinf(D)
        safe = torch.where(infinite, 1.0, D)
        student = (
            _log_gamma_ratio(safe / 2, N / 2)
            - N / 2 * torch.log(safe * math.pi)
            - (safe + N) / 2 * torch.log1p(squared / (safe * sigma**2))
        )
        gaussian = -N / 2 * math.log(2 * math.pi) - squared / (2 * sigma**2)
        return torch.where(infinite, gaussian, student) - N * torch.log(sigma)

    def _D(self, device: torch.device) -> Tensor:
        return self.D.to(device)


def normal(shape: Sequence[int], generator: Generators, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal values on the device of the generator; with one generator a sample, each fills its own row."""
    if isinstance(generator, torch.Generator):
        return torch.randn(tuple(shape), generator=generator, dtype=dtype, device=generator.device)
    _check_count(generator, shape[0])
    rows = [torch.randn(tuple(shape[1:]), generator=g, dtype=dtype, device=g.device) for g in generator]
    return torch.stack(rows) if rows else torch.empty(tuple(shape), dtype=dtype)


def uniform(count: int, generator: Generators) -> Tensor:
    """Uniform values in [0, 1): [count] float64; with one generator a sample, each gives one."""
    if isinstance(generator, torch.Generator):
        return torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
    _check_count(generator, count)
    rows = [torch.rand((), generator=g, dtype=torch.float64, device=g.device) for g in generator]
    return torch.stack(rows) if rows else torch.empty(0, dtype=torch.float64)


def _log_gamma_variate(shape: Tensor, generator: Generators) -> Tensor:
    """log of a Gamma(shape, 1) variate, [batch] float64, without underflow for small shapes."""
    if isinstance(generator, torch.Generator):
        shape = shape.to(generator.device)
        boosted = torch._standard_gamma(shape + 1, generator=generator)
        uniform = 1 - torch.rand(shape.shape, generator=generator, dtype=shape.dtype, device=shape.device)
    else:
        _check_count(generator, len(shape))
        pairs = [
            (
                torch._standard_gamma(a.to(g.device) + 1, generator=g),
                1 - torch.rand((), generator=g, dtype=shape.dtype, device=g.device),
            )
            for a, g in zip(shape, generator, strict=True)
        ]
        boosted, uniform = (torch.stack(column) for column in zip(*pairs, strict=True))
        shape = shape.to(boosted.device)
    return torch.log(boosted) + torch.log(uniform) / shape


def _log_gamma_ratio(a: Tensor, b: Tensor) -> Tensor:
    """log Gamma(a + b) - log Gamma(a), by Stirling's series where a is large and the difference would cancel."""
    direct = torch.lgamma(a + b) - torch.lgamma(a)
    total = a + b
    series = b * torch.log(a) + (total - 0.5) * torch.log1p(b / a) - b + (1 / total - 1 / a) / 12
    return torch.where(a > 1e3, series, direct)


def _check_count(generator: Sequence[torch.Generator], count: int) -> None:
    if len(generator) != count:
        raise ValueError(f"{len(generator)} generators for {count} samples: give one, or one per sample")
