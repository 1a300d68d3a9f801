"""The divergence of a denoiser, exactly, by Hutchinson's estimate, or by a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pfgm_science.batch import Condition, expand

if TYPE_CHECKING:
    from pfgm_science.denoiser import Denoiser

EXACT_UP_TO = 16  # coordinates
STEP = 0.05  # of sigma: long enough for a network in bfloat16, and 0.3% more noise than there is


def probes(x: Tensor, count: int = 0, seed: int = 0) -> Tensor:
    """Directions v with mean of v v^T = 1, the same for every sample: [count, *shape], or [N, *shape], which is exact.

    count: of random signs (Hutchinson's estimate); 0 for one where N > 16, and else for the exact divergence.
    """
    size = x[0].numel()
    if (count == 0 and size <= EXACT_UP_TO) or count >= size:
        axes: Tensor = torch.eye(size, dtype=x.dtype, device=x.device) * size**0.5
        return axes.reshape(size, *x.shape[1:])
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 2, (max(count, 1), *x.shape[1:]), generator=generator) * 2 - 1).to(x)


def with_divergence(
    denoiser: Denoiser,
    x: Tensor,
    sigma: Tensor,
    condition: Condition | None = None,
    mask: Tensor | None = None,
    directions: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Den(x, sigma), and its divergence over the free coordinates: [batch, *shape] and [batch].

    directions: see `probes`; v . J v is averaged over them.
    """
    denoised, each = with_curvatures(denoiser, x, sigma, condition, mask, directions)
    return denoised, each.mean(0)


def difference_divergence(
    denoiser: Denoiser,
    x: Tensor,
    denoised: Tensor,
    sigma: Tensor,
    condition: Condition | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The divergence over the free coordinates from one more evaluation, where Den(x, sigma) is known: [batch].

    A step of STEP sigma along one fixed direction of signs that look random: an estimate, without the memory of a
    gradient.
    """
    # From squares modulo a prime, made where x is: a loop that is being recorded can copy nothing there.
    square = torch.arange(x[0].numel(), device=x.device).square() * 40503
    direction = (square % 65521 % 2 * 2 - 1).to(x).reshape(x.shape[1:]).expand_as(x)
    direction = direction if mask is None else direction * mask.to(x)
    step = STEP * sigma
    moved = denoiser(x + expand(step, x) * direction, sigma, condition, mask)
    return ((moved - denoised) * direction).flatten(1).sum(1) / step


def with_curvatures(
    denoiser: Denoiser,
    x: Tensor,
    sigma: Tensor,
    condition: Condition | None = None,
    mask: Tensor | None = None,
    directions: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The same with v . J v of each direction: [directions, batch], from whose spread an error can be told.

    Where x requires a gradient, both answers have one: a denoiser that uses a divergence has a divergence itself.
    """
    directions = probes(x) if directions is None else directions
    found = []
    nested = x.requires_grad and torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = x if nested else x.detach().requires_grad_()
        denoised = denoiser(leaf, sigma, condition, mask)
        for direction in directions:
            free = direction.expand_as(x) if mask is None else direction * mask.to(x)
            (gradient,) = torch.autograd.grad((denoised * free).sum(), leaf, retain_graph=True, create_graph=nested)
            found.append((gradient * free).flatten(1).sum(1))
    return denoised if nested else denoised.detach(), torch.stack(found)
