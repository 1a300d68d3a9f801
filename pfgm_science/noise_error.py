"""How much noise is left in a trajectory beside how much should be: the error that decides which D a network wants.

A sampler tells its network the nominal level sigma. The noise that is really in x differs from it, because the steps
before were not exact. The field at D weighs both: its level is s^2 = (D sigma^2 + N v) / (N + D), v the variance of the
noise that x shows (docs/physics.md, section 4), so that of a relative error e of the variance D / (N + D) is left. D is
small enough where that share of e does no harm. That holds where N is large and the steps alone err; what a network
errs in its answers is measured with it, and is not mended by a smaller D.

The noise in x cannot be seen, but measured: the network itself is the instrument. What it removes, ||x - Den(x,
sigma)||^2, is calibrated on real data to which noise of known variance was added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pfgm_science.batch import Batch, free_coordinates
from pfgm_science.denoiser import Denoiser
from pfgm_science.errors import DataError, NotFinite
from pfgm_science.model import EVALUATIONS, Model
from pfgm_science.noise import StudentT
from pfgm_science.solvers import FIXED, State

# Variances of the noise, in those of the nominal level, at which the network is calibrated.
RESPONSES = (0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.4, 2.0, 4.0)
LEAST = 8  # objects and trajectories
HARMLESS = 0.015  # relative error of the variance that is left to a sampler: measured, `pfgm benchmark dimension rule`


@dataclass(frozen=True, eq=False)
class NoiseErrors:
    """Errors of the variance of the noise along trajectories: the log of what it is over sigma^2.

    N: coordinates; levels: sigma, falling. [levels, trajectories]: seen: the error as the instrument reads it; known:
    what it reads where the noise has exactly the nominal level.
    """

    N: float
    levels: tuple[float, ...]
    seen: np.ndarray
    known: np.ndarray

    @property
    def bias(self) -> np.ndarray:
        """The mean error, a value a level: -0.1 where a tenth is missing."""
        return np.asarray(self.seen.mean(1) - self.known.mean(1))

    @property
    def excess(self) -> np.ndarray:
        """Variance of the error beyond that of the instrument, a value a level; below 0 by luck alone."""
        return np.asarray(self.seen.var(1, ddof=1) - self.known.var(1, ddof=1))

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of the instrument, a value a level."""
        return np.asarray(self.known.std(1, ddof=1))

    @property
    def second_moment(self) -> float:
        """Mean of e^2 over the levels, each counted by how well it is known; without what chance adds to a square."""
        return max(0.0, self._second_moment)

    @property
    def _second_moment(self) -> float:
        """The same, below 0 by luck."""
        variance = np.square(self.noise)
        squares = np.square(self.bias) - 2 * variance / self.known.shape[1] + self.excess
        return float(np.average(squares, weights=1 / (variance + 1e-6)))

    @property
    def resolution(self) -> float:
        """The least second moment that is told from none: chance alone is beyond it once in 40 times.

        From its values without each trajectory in turn (jackknife), because the errors at the levels of one trajectory
        are no independent draws.
        """
        from scipy.special import stdtrit

        count = self.known.shape[1]
        without = [
            replace(self, seen=np.delete(self.seen, i, 1), known=np.delete(self.known, i, 1))._second_moment
            for i in range(count)
        ]
        return float(stdtrit(count - 1, 0.975) * np.std(without) * math.sqrt(count - 1))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of the error beyond that of the instrument, a value a level."""
        return np.asarray(np.sqrt(self.excess.clip(min=0)))

    @property
    def dimension(self) -> float:
        """The largest D that leaves no more than HARMLESS of e: e D / (N + D) = HARMLESS.

        inf if e is less, or cannot be told from none with so many trajectories; below 1 where no D leaves so little.
        """
        e = math.sqrt(self.second_moment)
        if e <= HARMLESS or self.second_moment < self.resolution:
            return math.inf
        return self.N * HARMLESS / (e - HARMLESS)

    @property
    def first_guess(self) -> float:
        """The D at which noise of exactly the nominal level varies as much as these errors: 2 / e^2.

        Too small where errors are large, because it forgets that the field corrects them: see `dimension`.
        """
        return 2 / self.second_moment if self.second_moment > 0 else math.inf


def noise_errors(
    model: Model,
    batch: Batch,
    *,
    dimension: float = math.inf,
    evaluations: int | None = None,
    seed: int = 0,
    on_state: Callable[[int, int], None] | None = None,
) -> NoiseErrors:
    """Measure the errors of a model's own trajectories at D; batch: real encoded data, as many as trajectories.

    on_state(level, levels) is called after each level.

    The network is the instrument, so one that cannot tell noise from data at a level says little of it: see `noise`.
    Raises DataError for less than LEAST objects, NotFinite where trajectories are not.
    """
    if len(batch) < LEAST:
        raise DataError(f"{len(batch)} objects to measure noise with: at least {LEAST} are needed")
    device = next(model.denoiser.parameters()).device
    denoiser, batch = model.at(dimension), batch.to(device)
    way = {"dimension": dimension, "evaluations": evaluations, "solver": "heun", "grid": "karras"}
    states = model.trajectory(batch, range(len(batch)), seed=seed, **way)  # type: ignore[arg-type]
    levels = FIXED["heun"].steps(EVALUATIONS if evaluations is None else evaluations)
    seen = states if on_state is None else _watched(states, levels, on_state)
    return errors_of(seen, denoiser, batch, torch.Generator().manual_seed(seed))


def _watched(states: Iterable[State], levels: int, on_state: Callable[[int, int], None]) -> Iterator[State]:
    for level, state in enumerate(states):
        on_state(min(level, levels), levels)
        yield state


def errors_of(states: Iterable[State], denoiser: Denoiser, batch: Batch, generator: torch.Generator) -> NoiseErrors:
    """The errors at states of trajectories, sigma > 0, seen by a denoiser that real data of the batch calibrate."""
    found = [
        (state.sigma, *_read(denoiser, state.x, state.sigma, batch, generator)) for state in states if state.sigma > 0
    ]
    levels, seen, known = zip(*found, strict=True)
    if not np.isfinite([seen, known]).all():
        raise NotFinite("the trajectories of this model are not finite: train longer, or use a larger --dimension")
    N = float(free_coordinates(batch.values, batch.mask).double().mean())
    return NoiseErrors(N, levels, np.stack(seen), np.stack(known))


@torch.no_grad()
def _read(
    denoiser: Denoiser, x: Tensor, sigma: float, batch: Batch, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """log of the variance of the noise over sigma^2 as the instrument reads it: in x, and in noise of that variance."""
    real = batch.values.to(x)
    curve, exact = [], np.zeros(0)
    for response in RESPONSES:
        level = sigma * math.sqrt(response)
        noisy = StudentT(math.inf).perturb(real, level, mask=batch.mask, generator=generator)
        removed = _removed(denoiser, noisy, sigma, batch)
        curve.append(removed.mean())
        exact = removed if response == 1 else exact
    rising = np.maximum.accumulate(curve) + 1e-9 * np.arange(len(curve))

    def noise_in(removed: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(removed, rising, np.log(RESPONSES)))

    return noise_in(_removed(denoiser, x, sigma, batch)), noise_in(exact)


def _removed(denoiser: Denoiser, x: Tensor, sigma: float, batch: Batch) -> np.ndarray:
    """log of ||x - Den||^2 / (N sigma^2): [batch]."""
    error = x - denoiser(x, x.new_full((len(x),), sigma), batch.condition, batch.mask)
    error = error if batch.mask is None else error * batch.mask.to(error)
    squared = error.flatten(1).square().sum(1) / (free_coordinates(x, batch.mask) * sigma**2)
    return np.asarray(squared.clamp(min=1e-12).log().double().cpu())
