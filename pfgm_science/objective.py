"""What training minimises, per sample, so that masks and weights stay the caller's."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from pfgm_science.batch import Batch, free_coordinates
from pfgm_science.denoiser import Denoiser


class Objective(Protocol):
    """Loss of a denoiser on noisy values x of a batch at levels sigma, with the weight of each sample: [batch]."""

    def __call__(self, denoiser: Denoiser, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor: ...


def denoising_loss(denoiser: Denoiser, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
    """Weighted squared error, the mean over the free coordinates of each sample: [batch].

    Its minimiser is E[y | x] for every D and every weight that depends on x and sigma alone, without the large batch
    that PFGM needed (PFGM++, arXiv 2302.04265, eq. 8). weight: [batch], see Preconditioned.loss_weight.
    """
    error = denoiser(x, sigma, batch.condition, batch.mask) - batch.values
    if batch.mask is not None:
        error = error * batch.mask
    squared = error.square().flatten(1).sum(1) / free_coordinates(batch.values, batch.mask).clamp(min=1)
    return squared * weight
