"""The network of vectors: a residual MLP whose layer norms are set by noise level and condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import ConfigError
from pfgm_science.layers import zeroed


@dataclass(frozen=True)
class MLPConfig:
    """A residual MLP: depth blocks of two layers of the given width; dropout inside the blocks.

    embedding: width of the embedding of noise level and condition. Raises ConfigError for a value out of range.
    """

    width: int = 256
    depth: int = 4
    dropout: float = 0.0
    embedding: int = 128

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: it must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout = {self.dropout}: it must be in [0, 1)")


class ResidualMLP(nn.Module):
    """x [batch, features] of about unit variance, noise_level [batch] = ln(sigma)/4 -> [batch, features].

    The output is zero before training. Where mask is 0, x is not looked at and the output is 0. Raises ConfigError for
    less than one feature.
    """

    def __init__(self, features: int, config: MLPConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        if features < 1:
            raise ConfigError(f"{features} features: give at least 1")
        self.features, self.config = features, config
        self.embedding = NoiseEmbedding(config.embedding, specs)
        self.entry = nn.Linear(features, config.width)
        self.blocks = nn.ModuleList(_Block(config.width, config.embedding, config.dropout) for _ in range(config.depth))
        self.exit = zeroed(nn.Linear(config.width, features))

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        embedding = self.embedding(noise_level, condition)
        h = self.entry(x if mask is None else x * mask)
        for block in self.blocks:
            h = block(h, embedding)
        # no norm before the exit: far out in a heavy tail the answer must grow with x
        answer: Tensor = self.exit(h).to(x.dtype)
        return answer if mask is None else answer * mask


class _Block(nn.Module):
    def __init__(self, width: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = zeroed(nn.Linear(embedding, 2 * width))
        self.first = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.second = zeroed(nn.Linear(width, width))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding).chunk(2, dim=1)
        inner = F.silu(self.first(shift + self.norm(h) * (1 + scale)))
        updated: Tensor = h + self.second(self.dropout(inner))
        return updated
