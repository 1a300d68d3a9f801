"""Samples of which some coordinates are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from pfgm_science.adapters import Adapter
from pfgm_science.batch import Batch, Condition, expand
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.errors import ConfigError
from pfgm_science.noise import normal
from pfgm_science.state import Denoise, Solver, State, fewest, most_steps
from pfgm_science.stochastic import Renewal


@dataclass(frozen=True)
class Kept:
    """A solver that keeps some coordinates at known values, with the noise that belongs to each level (infilling).

    Before each step the known coordinates are set to values + sigma n, where n is noise of the sample's own kappa,
    drawn from its posterior given x: known and unknown coordinates share one (docs/physics.md, section 11). At
    sigma = 0 the known values are exact. The unknown coordinates come to agree with them where steps are `Repeated`.
    values, known: [batch, *shape], known 1 where values are known and 0 where they are not.
    """

    solver: Solver
    values: Tensor
    known: Tensor
    renew: Renewal
    name: ClassVar[str] = "kept"

    def __post_init__(self) -> None:
        if self.values.shape != self.known.shape:
            raise ConfigError(
                f"known values have shape {tuple(self.values.shape)}, and what is known {tuple(self.known.shape)}"
            )

    @property
    def order(self) -> int:
        return self.solver.order

    def step(self, denoise: Denoise, state: State, sigma: float) -> State:
        after = self.solver.step(denoise, self._with_known(state), sigma)
        if sigma > 0:
            return after
        return replace(after, x=torch.where(self.known.to(after.x) > 0, self.values.to(after.x), after.x))

    def steps(self, evaluations: int) -> int:
        return most_steps(lambda steps: fewest(self.solver, steps) + steps * self.renew.evaluations, evaluations)

    def _with_known(self, state: State) -> State:
        """The state with the known coordinates at their values, noisy as its level is."""
        known, values = self.known.to(state.x), self.values.to(state.x)
        noise = normal(values.shape, self.renew.generator, state.x.dtype).to(state.x)
        log_kappa = self.renew.log_kappa(state.x, state.x.new_full((len(state.x),), state.sigma)).to(state.x)
        values = values + state.sigma * expand(torch.exp(-log_kappa / 2), noise) * noise
        x = torch.where(known > 0, values, state.x)
        return State(x, state.sigma, state.past, state.evaluations + self.renew.evaluations)


class Knowing(Wrapper):
    """A denoiser that is told some coordinates: its answer there is what they are, and not what it makes of the noise.

    A step of the flow then keeps their noise as it is and scales it alone, and a network that is shown its last answer
    is shown what is known. values, known: as in `Kept`.
    """

    def __init__(self, denoiser: Denoiser, values: Tensor, known: Tensor) -> None:
        self.denoiser, self.values, self.known = denoiser, values, known

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        answer = self.denoiser(x, sigma, condition, mask)
        return torch.where(self.known > 0, self.values.to(answer), answer)


class Keeps(Protocol):
    """What says what is known of samples: `Known`, or an adapter's own way, such as a part of a graph.

    It may have restored(adapter, objects), which puts what is kept back into decoded samples where encoding rounds.
    """

    def encoded(self, adapter: Any, count: int) -> EncodedKnown:
        """The known values of so many samples in the adapter's tensors."""
        ...


class Around(Protocol):
    """What samples are filled in around by a network that was trained to do so: a loop of a protein, for example.

    Unlike what a solver keeps, what is given is no coordinate of the flow: the network is told it as the condition
    GIVEN, and the rest is drawn as a sample of fewer coordinates.
    """

    def batch(self, adapter: Any, count: int) -> Batch:
        """Zeros, a mask of what is to be filled in, and the condition GIVEN with what is given, zero elsewhere."""
        ...

    def steer(self, adapter: Any, denoiser: Denoiser) -> Denoiser:
        """The denoiser, or a wrapper of it that holds samples to what else is asked in the condition of the batch."""
        ...


@dataclass(frozen=True)
class Known:
    """What is known of samples to be drawn. objects: of the adapter's kind, one for all samples or one each.

    mask: true where they are known, false where they are to be filled in; of the shape of the objects, or one that
    numpy broadcasts to it (an image's [height, width] too); where objects are a list of arrays, a list of one mask
    each. repeats, low, high: see Repeated, the levels for data with sigma_data 0.5.
    """

    objects: Any
    mask: Any
    repeats: int = 1
    low: float = 0.0
    high: float = math.inf

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
        return EncodedKnown(Batch(values, free), known.expand(values.shape), self.repeats, self.low, self.high)


@dataclass(frozen=True)
class EncodedKnown:
    """Values [count, *shape] with the mask of their sizes; known: 1 where they are; the rest as in Known."""

    batch: Batch
    known: Tensor
    repeats: int
    low: float
    high: float

    def __getitem__(self, rows: slice) -> EncodedKnown:
        return replace(self, batch=self.batch[rows], known=self.known[rows])


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
