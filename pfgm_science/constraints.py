"""Samples that agree with what is known of them: linear measurements, and coordinates that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pfgm_science.adapters import Adapter
from pfgm_science.batch import Batch, Condition, expand
from pfgm_science.denoiser import Denoiser, calls_of
from pfgm_science.errors import ConfigError
from pfgm_science.guidance import score_factor
from pfgm_science.noise import normal
from pfgm_science.state import Denoise, Estimate, Solver, State, at_least
from pfgm_science.stochastic import Renewal

FULL_UP_TO = 64  # coordinates whose whole posterior covariance is taken
RIDGE = 1e-10
MEASURED_UP_TO = 4096  # numbers of an object, as a matrix of as many squared is inverted


@dataclass(frozen=True)
class Measured:
    """E[y | x, z = A y + e], e ~ N(0, noise^2 I): the denoiser of what a linear measurement leaves open.

    With C the covariance of y given x,

        Den + C A^T (A C A^T + noise^2 I)^-1 (z - A Den),   C = S grad Den,

    which is exact for Gaussian data at D = infinity (Tweedie's covariance; Boys et al., arXiv 2310.06721) and has the
    factor S in place of sigma^2 at finite D. A diffusion denoiser is better measured first and run at D then,
    at_dimension(Measured(denoiser, A, z, inf), D): the mixture identity holds for the data that agree with z as well.
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

    @property
    def calls(self) -> int:
        return calls_of(self.denoiser)

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        size = x[0].numel()
        if size != self.A.shape[1] or len(x) != len(self.z):
            raise ConfigError(
                f"{len(x)} samples of {size} coordinates, but A measures {self.A.shape[1]} and z has {len(self.z)} rows"
            )
        denoised, jacobian = _with_jacobian(self.denoiser, x, sigma, condition, mask, size <= FULL_UP_TO)
        A, flat = self.A.to(x), denoised.flatten(1)
        factor = score_factor(x, denoised, sigma, self.D, mask)
        # A scalar stands for a multiple of the unit matrix, which is not written out.
        AC = A @ (jacobian + jacobian.transpose(1, 2)) / 2 if jacobian.ndim == 3 else jacobian[:, None, None] * A
        AC = factor[:, None, None] * AC
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
    denoiser: Denoiser, x: Tensor, sigma: Tensor, condition: Condition | None, mask: Tensor | None, full: bool
) -> tuple[Tensor, Tensor]:
    """Den(x), and its Jacobian [batch, N, N] where `full`, else an estimate of the mean of its diagonal [batch]."""
    nested = x.requires_grad and torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = x if nested else x.detach().requires_grad_()
        denoised = denoiser(leaf, sigma, condition, mask)

        def pulled(direction: Tensor) -> Tensor:
            (gradient,) = torch.autograd.grad(
                (denoised * direction).sum(), leaf, retain_graph=True, create_graph=nested, materialize_grads=True
            )
            return gradient

        answer = denoised if nested else denoised.detach()
        if full:
            axes = torch.eye(x[0].numel(), dtype=x.dtype, device=x.device).reshape(-1, *x.shape[1:])
            rows = [pulled(axis).flatten(1) for axis in axes]
            return answer, torch.stack(rows, dim=1)
        signs = (torch.randint(0, 2, x.shape[1:], generator=torch.Generator().manual_seed(0)) * 2 - 1).to(x)
        mean = (pulled(signs) * signs).flatten(1).mean(1)
    return answer, mean


@dataclass(frozen=True)
class Measurement:
    """What was measured of objects to be drawn: z = A y + noise, of all entries of an object in their own units.

    A: [measurements, entries], the entries in the order in which numpy flattens an object; z: [measurements], or one
    row a sample; noise: standard deviation.
    """

    A: Any
    z: Any
    noise: float = 0.0

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
        return EncodedMeasurement(torch.from_numpy(A @ inverse), torch.from_numpy(moved), self.noise)


@dataclass(frozen=True)
class EncodedMeasurement:
    """A [measurements, N] of flattened values, z [count, measurements], both float64; noise: standard deviation."""

    A: Tensor
    z: Tensor
    noise: float

    def __getitem__(self, rows: slice) -> EncodedMeasurement:
        return EncodedMeasurement(self.A, self.z[rows], self.noise)

    def of(self, denoiser: Denoiser, D: float) -> Measured:
        """A denoiser at D of what the measurement leaves open."""
        return Measured(denoiser, self.A, self.z, D, self.noise)


def _affine(adapter: Adapter, example: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M [N, N] and b [N] with encode(object) = M object + b, of flattened arrays; float64."""
    size, top = example.size, 1.0 if example.dtype.kind == "f" else float(np.iinfo(example.dtype).max)
    probes = np.concatenate([np.zeros((1, size)), top * np.eye(size), np.full((1, size), top)])
    shaped = probes.reshape(-1, *example.shape[1:]).astype(example.dtype)
    values = adapter.encode(shaped).values.double().flatten(1).numpy()
    offset, slopes = values[0], (values[1:-1] - values[0]).T / top
    if slopes.shape != (size, size) or not np.allclose(slopes.sum(1) * top + offset, values[-1], rtol=1e-4, atol=1e-4):
        raise ConfigError(f"{adapter.name} does not encode objects by an affine map, which a measurement of them needs")
    return slopes, offset


@dataclass(frozen=True)
class Kept:
    """A solver that keeps some coordinates at known values, with the noise that belongs to each level (infilling).

    After each step the known coordinates are set to values + sigma n, where n is noise of the sample's own kappa, drawn
    from its posterior given x: known and unknown coordinates share one (docs/physics.md, section 11). repeats > 1: each
    step is taken that often, with noise added in between to go back up (RePaint, arXiv 2201.09865), which lets the
    unknown coordinates come to agree with the known ones. At sigma = 0 the known values are exact.
    values, known: [batch, *shape], known 1 where values are known and 0 where they are not.
    """

    solver: Solver
    values: Tensor
    known: Tensor
    renew: Renewal
    repeats: int = 1
    name: ClassVar[str] = "kept"

    def __post_init__(self) -> None:
        if self.values.shape != self.known.shape:
            raise ConfigError(
                f"known values have shape {tuple(self.values.shape)}, and what is known {tuple(self.known.shape)}"
            )
        if self.repeats < 1:
            raise ConfigError(f"repeats is {self.repeats}: each step must be taken at least once")

    @property
    def order(self) -> int:
        return self.solver.order

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        for repeat in range(self.repeats):
            after = self.solver.step(denoise, self._with_known(state), sigma)
            if sigma == 0:
                return State(torch.where(self.known.to(after.x) > 0, self.values.to(after.x), after.x), *_rest(after))
            if repeat < self.repeats - 1:
                added = (state.sigma**2 - sigma**2) ** 0.5
                x = after.x + added * self.renew(after.x, sigma)
                state = State(x, state.sigma, (), after.evaluations + self.renew.evaluations)
        return after

    def steps(self, evaluations: int) -> int:
        steps = 1
        at_least(evaluations, self._cost(1))
        while self._cost(steps + 1) <= evaluations:
            steps += 1
        return steps

    def _cost(self, steps: int) -> int:
        """Evaluations of so many steps, the last of them to sigma = 0 and not repeated."""
        plain = 1
        while self.solver.steps(plain) < steps:
            plain += 1
        last = 1 + self.renew.evaluations
        return (plain - 1) * self.repeats + (steps - 1) * (2 * self.repeats - 1) * self.renew.evaluations + last

    def _with_known(self, state: State) -> State:
        """The state with the known coordinates at their values, noisy as its level is."""
        known, values = self.known.to(state.x), self.values.to(state.x)
        noise = normal(values.shape, self.renew.generator, state.x.dtype).to(state.x)
        log_kappa = self.renew.log_kappa(state.x, state.x.new_full((len(state.x),), state.sigma)).to(state.x)
        values = values + state.sigma * expand(torch.exp(-log_kappa / 2), noise) * noise
        x = torch.where(known > 0, values, state.x)
        return State(x, state.sigma, state.past, state.evaluations + self.renew.evaluations)


@dataclass(frozen=True)
class Known:
    """What is known of samples to be drawn. objects: of the adapter's kind, one for all samples or one each.

    mask: true where they are known, false where they are to be filled in; of the shape of the objects, or one that
    numpy broadcasts to it (an image's [height, width] too); where objects are a list of arrays, a list of one mask
    each. repeats: see Kept.
    """

    objects: Any
    mask: Any
    repeats: int = 1

    def encoded(self, adapter: Adapter, count: int) -> EncodedKnown:
        """The encoded values, and which of them are known; one row a sample.

        A coordinate is known when it stays what it is whatever stands in the unknown parts. Raises ConfigError for
        objects that are not arrays, and where objects, mask and count do not go together.
        """
        if len(self.objects) not in (1, count):
            raise ConfigError(
                f"{len(self.objects)} objects to keep for {count} samples: there must be one, or one a sample"
            )
        if isinstance(self.objects, np.ndarray):
            changed: Any = _changed(self.objects, self.mask)
        else:
            if len(self.mask) != len(self.objects):
                raise ConfigError(f"{len(self.mask)} masks for {len(self.objects)} objects: there must be one each")
            changed = [_changed(item, mask) for item, mask in zip(self.objects, self.mask, strict=True)]
        held = adapter.encode(self.objects)
        known = (adapter.encode(changed).values == held.values).to(held.values)
        if held.mask is not None:
            known = known * held.mask
        values = held.values.expand(count, *held.values.shape[1:])
        free = None if held.mask is None else held.mask.expand(count, *held.mask.shape[1:])
        return EncodedKnown(Batch(values, free), known.expand(values.shape), self.repeats)


@dataclass(frozen=True)
class EncodedKnown:
    """Values [count, *shape] with the mask of their sizes; known: 1 where they are; repeats: see Kept."""

    batch: Batch
    known: Tensor
    repeats: int

    def __getitem__(self, rows: slice) -> EncodedKnown:
        return EncodedKnown(self.batch[rows], self.known[rows], self.repeats)


def _changed(objects: Any, mask: Any) -> np.ndarray:
    """An array that is the same where the mask is true, and differs in every entry where it is false."""
    objects, mask = np.asarray(objects), np.asarray(mask)
    if objects.dtype.kind not in "biuf":
        raise ConfigError(
            "what is kept is said by a mask over arrays of numbers; these objects are no such arrays "
            f"({objects.dtype.name})"
        )
    if not set(np.unique(mask).tolist()) <= {0, 1}:
        raise ConfigError("the mask must hold true and false, or 1 and 0: 1 where a value is known")
    for candidate in (mask, mask[..., None]):
        try:
            kept = np.broadcast_to(candidate.astype(bool), objects.shape)
        except ValueError:
            continue
        return np.where(kept, objects, _other(objects))
    raise ConfigError(f"the mask has shape {mask.shape}, and the objects {objects.shape}: they do not go together")


def _other(objects: np.ndarray) -> np.ndarray:
    """An array that differs from the objects in every entry, and holds nothing that they do not hold if it can."""
    low, high = objects.min(), objects.max()
    if low == high:
        low = high - 1 if high >= 1 else high + 1
    other: np.ndarray = np.where(objects == low, high, low).astype(objects.dtype)
    return other


def _rest(state: State) -> tuple[float, tuple[Estimate, ...], int]:
    return state.sigma, state.past, state.evaluations


def selection(known: Sequence[int], size: int) -> Tensor:
    """The matrix that picks coordinates: [len(known), size] float64, for Measured."""
    return torch.eye(size, dtype=torch.float64)[list(known)]
