"""Samples of which a linear measurement is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pfgm_science.adapters import Adapter
from pfgm_science.batch import Condition, free_coordinates
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.divergence import probes, with_divergence
from pfgm_science.errors import ConfigError
from pfgm_science.guidance import score_factor

FULL_UP_TO = 64  # coordinates whose whole posterior covariance is taken
RIDGE = 1e-10
MEASURED_UP_TO = 4096  # numbers of an object, as a matrix of as many squared is inverted


@dataclass(frozen=True)
class Measured(Wrapper):
    """E[y | x, z = A y + e], e ~ N(0, noise^2 I): the denoiser of what a linear measurement leaves open.

    With C the covariance of y given x,

        Den + C A^T (A C A^T + noise^2 I)^-1 (z - A Den),   C = S grad Den,

    which is exact for Gaussian data at D = infinity (Tweedie's covariance; Boys et al., arXiv 2310.06721). At finite D
    the factor S stands in place of sigma^2, and grad Den is freed of what kappa adds to it (`_at_one_kappa`). A
    diffusion denoiser can be measured first and run at D then, at_dimension(Measured(denoiser, A, z, inf), D): the
    mixture identity holds for the data that agree with z as well.
    Where the data have several modes C is but their covariance: `Repeated` lets them come to their right shares.
    Up to 64 coordinates C is the whole matrix, for as many gradients; above, it is taken as a multiple of the unit
    matrix with the right trace, for one gradient. A: [measurements, N], of the flattened coordinates; z: [batch,
    measurements]; D: of the denoiser; noise: standard deviation.
    """

    denoiser: Denoiser
    A: Tensor
    z: Tensor
    D: float
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.A.ndim != 2 or self.z.ndim != 2 or self.A.shape[0] != self.z.shape[1]:
            raise ConfigError(
                f"A has shape {tuple(self.A.shape)} and z {tuple(self.z.shape)}: they must be "
                "[measurements, coordinates] and [samples, measurements]"
            )
        if not self.noise >= 0:
            raise ConfigError(f"the noise of the measurement is {self.noise}: it must be >= 0")

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        size = x[0].numel()
        if size != self.A.shape[1] or len(x) != len(self.z):
            raise ConfigError(
                f"{len(x)} samples of {size} coordinates, but A measures {self.A.shape[1]} and z has {len(self.z)} rows"
            )
        A = self.A.to(x)
        if size <= FULL_UP_TO:
            denoised, jacobian, change = _with_jacobian(self.denoiser, x, sigma, condition, mask)
            factor = score_factor(x, denoised, sigma, self.D, mask)
            if not math.isinf(self.D):
                jacobian = _at_one_kappa(jacobian, change, x, denoised, factor, self.D, mask)
            AC = factor[:, None, None] * (A @ (jacobian + jacobian.transpose(1, 2)) / 2)
        else:
            denoised, slope = _with_mean_slope(self.denoiser, x, sigma, condition, mask)
            factor = score_factor(x, denoised, sigma, self.D, mask)
            AC = (factor * slope)[:, None, None] * A  # a multiple of the unit matrix, which is not written out
        flat = denoised.flatten(1)
        spread = AC @ A.T
        scale = spread.diagonal(dim1=1, dim2=2).mean(1) + self.noise**2
        certain = scale < torch.finfo(x.dtype).tiny / RIDGE
        scale = torch.where(certain, 1.0, scale)[:, None, None]
        # A little is added to what is to be inverted: what is measured twice, or known already, leaves nothing.
        unit = torch.eye(len(A), dtype=x.dtype, device=x.device)
        gain = torch.linalg.solve(spread / scale + (self.noise**2 / scale + RIDGE) * unit, AC / scale).transpose(1, 2)
        gain = torch.where(certain[:, None, None], 0.0, gain)
        corrected = flat + (gain @ (self.z.to(x) - flat @ A.T)[..., None])[..., 0]
        answer: Tensor = corrected.reshape(x.shape)
        return answer if mask is None else answer * mask.to(x)


def _with_jacobian(
    denoiser: Denoiser, x: Tensor, sigma: Tensor, condition: Condition | None, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Den(x), its Jacobian [batch, N, N], and its derivative by ln sigma [batch, N]."""
    nested = x.requires_grad and torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = x if nested else x.detach().requires_grad_()
        scale = torch.zeros(len(x), dtype=x.dtype, device=x.device, requires_grad=True)
        denoised = denoiser(leaf, sigma * scale.exp(), condition, mask)
        rows, changes = [], []
        for axis in torch.eye(x[0].numel(), dtype=x.dtype, device=x.device):
            row, change = torch.autograd.grad(
                (denoised.flatten(1) @ axis).sum(),
                (leaf, scale),
                retain_graph=True,
                create_graph=nested,
                materialize_grads=True,
            )
            rows.append(row.flatten(1))
            changes.append(change)
    return denoised if nested else denoised.detach(), torch.stack(rows, dim=1), torch.stack(changes, dim=1)


def _with_mean_slope(
    denoiser: Denoiser, x: Tensor, sigma: Tensor, condition: Condition | None, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Den(x), and Hutchinson's estimate, with one fixed probe, of the mean of the diagonal of its Jacobian [batch]."""
    directions = probes(x, 1)
    denoised, divergence = with_divergence(denoiser, x, sigma, condition, mask, directions)
    return denoised, divergence / free_coordinates(x, mask).clamp(min=1)


def _at_one_kappa(
    jacobian: Tensor, change: Tensor, x: Tensor, denoised: Tensor, factor: Tensor, D: float, mask: Tensor | None
) -> Tensor:
    """What the Jacobian of Den at D would be if kappa were known: about E[grad Den_kappa | x].

    Den at D is a mean over p(kappa | x), which moves with x: farther out kappa is smaller, and Den what it is at more
    noise. That adds Cov(Den_kappa, grad log p(x | kappa)), where grad log p(x | kappa) = -kappa (x - Den_kappa) /
    sigma^2; to first order in the spread of ln kappa, and with Den' = dDen_kappa / dln s at s^2 = sigma^2 / kappa,
    Var(ln kappa) / (2 S) Den' (x - Den + Den' / 2)^T. It makes what is uncertain along x - Den look certain
    (docs/physics.md, section 11). change: of Den at D by ln sigma, of which the posterior follows D / (N + D), N noisy
    coordinates.
    """
    error = x - denoised if mask is None else (x - denoised) * mask.to(x)
    N = free_coordinates(x, mask)
    noisy = (N - jacobian.diagonal(dim1=1, dim2=2).sum(1)).clamp(min=torch.zeros_like(N), max=N)
    slope = ((noisy + D) / D)[:, None] * change
    weight = torch.polygamma(1, (noisy + D) / 2) / (2 * factor)
    freed = jacobian - weight[:, None, None] * slope[:, :, None] * (error.flatten(1) + slope / 2)[:, None, :]
    # A covariance has no negative eigenvalues, but what is true to first order may.
    values, vectors = torch.linalg.eigh((freed + freed.transpose(1, 2)) / 2)
    possible: Tensor = (vectors * values.clamp(min=0)[:, None]) @ vectors.transpose(1, 2)
    return possible


@dataclass(frozen=True)
class Measurement:
    """What was measured of objects to be drawn: z = A y + noise, of all entries of an object in their own units.

    A: [measurements, entries], the entries in the order in which numpy flattens an object; z: [measurements], or one
    row a sample; noise: standard deviation; repeats, low, high: see Repeated, the levels for data with sigma_data 0.5.
    """

    A: Any
    z: Any
    noise: float = 0.0
    repeats: int = 1
    low: float = 0.0
    high: float = math.inf

    def encoded(self, adapter: Adapter, count: int) -> EncodedMeasurement:
        """The same of encoded values, of `count` samples.

        Raises ConfigError for objects that are not arrays, for an encoding that is not affine, and for shapes that do
        not go together.
        """
        A, z = np.asarray(self.A, dtype=np.float64), np.asarray(self.z, dtype=np.float64)
        zero = adapter.decode(adapter.template(1, 0))
        if not isinstance(zero, np.ndarray) or zero.dtype.kind not in "iuf":
            raise ConfigError(f"a measurement is of arrays of numbers; objects of {adapter.name} are no such arrays")
        if A.ndim != 2 or A.shape[1] != zero.size or z.shape not in ((len(A),), (count, len(A))):
            raise ConfigError(
                f"A has shape {A.shape} and z {z.shape}: for {count} objects of {zero.size} numbers they must be "
                f"[measurements, {zero.size}] and [measurements], or [{count}, measurements]"
            )
        if zero.size > MEASURED_UP_TO:
            raise ConfigError(f"objects of {zero.size} numbers: measurements are taken of at most {MEASURED_UP_TO}")
        slopes, offset = _affine(adapter, zero)
        inverse = np.linalg.inv(slopes)
        moved = np.broadcast_to(z, (count, len(A))) + A @ inverse @ offset
        return EncodedMeasurement(
            torch.from_numpy(A @ inverse), torch.from_numpy(moved), self.noise, self.repeats, self.low, self.high
        )


@dataclass(frozen=True)
class EncodedMeasurement:
    """A [measurements, N] of flattened values, z [count, measurements], both float64; the rest as in Measurement."""

    A: Tensor
    z: Tensor
    noise: float
    repeats: int
    low: float
    high: float

    def __getitem__(self, rows: slice) -> EncodedMeasurement:
        return replace(self, z=self.z[rows])

    def of(self, denoiser: Denoiser, D: float) -> Measured:
        """A denoiser at D of what the measurement leaves open."""
        return Measured(denoiser, self.A, self.z, D, self.noise)


def _affine(adapter: Adapter, example: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M [N, N] and b [N] with encode(object) = M object + b, of flattened arrays; float64."""
    size, top = example.size, 1.0 if example.dtype.kind == "f" else float(np.iinfo(example.dtype).max)
    corners = np.concatenate([np.zeros((1, size)), top * np.eye(size), np.full((1, size), top)])
    shaped = corners.reshape(-1, *example.shape[1:]).astype(example.dtype)
    values = adapter.encode(shaped).values.double().flatten(1).numpy()
    offset, slopes = values[0], (values[1:-1] - values[0]).T / top
    if slopes.shape != (size, size) or not np.allclose(slopes.sum(1) * top + offset, values[-1], rtol=1e-4, atol=1e-4):
        raise ConfigError(f"{adapter.name} does not encode objects by an affine map, which a measurement of them needs")
    return slopes, offset


def selection(known: Sequence[int], size: int) -> Tensor:
    """The matrix that picks coordinates: [len(known), size] float64, for Measured."""
    return torch.eye(size, dtype=torch.float64)[list(known)]
