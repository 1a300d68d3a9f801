"""What every network is told beside x: the noise level and the condition, as one vector a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionEmbedding, ConditionSpec
from pfgm_science.errors import ConfigError

# Angular frequencies of ln(sigma)/4, which runs over about [-1.6, 1.1]: from half a wave over the whole range to
# waves of 0.4 in ln(sigma), finer than any denoiser changes.
LOWEST, HIGHEST = 0.5, 64.0


def fourier_features(value: Tensor, size: int) -> Tensor:
    """Cosines and sines of [batch] at size / 2 frequencies in geometric progression: [batch, size]."""
    frequency = torch.linspace(math.log(LOWEST), math.log(HIGHEST), size // 2, device=value.device, dtype=value.dtype)
    angle = value[:, None] * frequency.exp()
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class NoiseEmbedding(nn.Module):
    """Noise level [batch] = ln(sigma)/4 and condition -> [batch, width], activated, ready for linear layers.

    Fourier features of the noise level, plus the sum of the condition embeddings, through a SiLU network
    (Karras et al., arXiv 2206.00364, table 8). Raises ConfigError unless width is even and at least 4.
    """

    def __init__(self, width: int, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        if width < 4 or width % 2:
            raise ConfigError(f"the embedding has width {width}: it must be even and at least 4")
        self.width = width
        self.noise = nn.Linear(width, width)
        self.condition = ConditionEmbedding(specs, width) if specs else None
        self.mix = nn.Linear(width, width)

    def forward(self, noise_level: Tensor, condition: Condition | None = None) -> Tensor:
        embedded: Tensor = self.noise(fourier_features(noise_level, self.width))
        if self.condition is not None:
            embedded = embedded + self.condition(condition, len(noise_level))
        return F.silu(self.mix(F.silu(embedded)))
