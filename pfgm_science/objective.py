"""What training minimises, per sample, so that masks and weights stay the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional as F

from pfgm_science.batch import Batch, free_coordinates
from pfgm_science.codebook import Codebook
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


@dataclass(frozen=True)
class CrossEntropy:
    """Of the right symbols under a network that gives logits over a codebook, per free place: [batch], in nats.

    Its minimiser is the posterior of each symbol given x, whose mean is E[y | x], at every level: no weight is needed,
    because the loss of what is plain to see is 0. The denoiser is a `Preconditioned`, which gives its logits.
    """

    codebook: Codebook

    def __call__(self, denoiser: Any, batch: Batch, x: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
        logits = denoiser(x, sigma, batch.condition, batch.mask, logits=True).float()
        right = self.codebook.symbols(batch.values)
        loss = F.cross_entropy(logits.flatten(0, -2), right.flatten(), reduction="none").view(right.shape).flatten(1)
        if batch.mask is None:
            return loss.mean(1)
        free = batch.mask[..., 0].to(loss.dtype).flatten(1)
        return (loss * free).sum(1) / free.sum(1).clamp(min=1)
