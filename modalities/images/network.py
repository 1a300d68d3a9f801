"""Networks of images: a small U-Net for 8 x 8 to 64 x 64, a diffusion transformer (DiT) for larger ones.

Both answer `network(x, noise_level, condition=None, mask=None)`: x [batch, channels, height, width] of about unit
variance, noise_level [batch] = ln(sigma)/4, and return a tensor like x, all zero before training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import ConfigError
from pfgm_science.layers import AdaptiveLayerNorm, zeroed
from pfgm_science.unet import (
    Shape,
    UNetConfig,
    checked_shape,
    divisible,
    finished,
    require_dropout,
    require_positive,
)


@dataclass(frozen=True)
class DiTConfig:
    """A diffusion transformer: patch x patch pixels a token of the given width, depth blocks with heads heads each.

    Width must be a multiple of 4 and of heads. Raises ConfigError for a value out of range.
    """

    patch: int = 8
    width: int = 384
    depth: int = 12
    heads: int = 6
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "patch", "width", "depth", "heads")
        require_dropout(self.dropout)
        if self.width % 4 or self.width % self.heads:
            raise ConfigError(f"width = {self.width}: it must be a multiple of 4 and of heads = {self.heads}")


def default_config(shape: Shape) -> UNetConfig | DiTConfig:
    """The default network for images of this (channels, height, width).

    The U-Net for 28 x 28 was chosen by held-out EDM loss after 90 s on one CPU core (4,500 MNIST digits): 0.155,
    against 0.188 with 32 channels on patches of 2, 0.232 for a DiT and 0.268 for a U-Net on patches of 4, although it
    saw the fewest images. Patches lose at sigma < 0.3. A full-resolution level of 8 channels (0.184) is too thin.
    """
    _, height, width = checked_shape(shape)
    side = max(height, width)
    if side <= 12:
        return UNetConfig(channels=32, multipliers=(1, 2), embedding=128)
    if side <= 32:
        return UNetConfig()
    if side <= 64:
        return UNetConfig(multipliers=(1, 2, 4, 8), embedding=128)
    return DiTConfig(patch=max(4, 2 ** math.ceil(math.log2(side / 16))))


class DiT(nn.Module):
    """Diffusion transformer with adaLN-Zero blocks (Peebles and Xie, arXiv 2212.09748).

    A side that does not divide by the patch is padded with zeros inside and cropped at the end. Where mask is 0, x is
    not looked at and the output is 0.
    """

    position: Tensor

    def __init__(self, shape: Shape, config: DiTConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        self.shape, self.config = checked_shape(shape), config
        channels, height, width = self.shape
        pixels = channels * config.patch**2
        self.rows, self.columns = math.ceil(height / config.patch), math.ceil(width / config.patch)
        self.embedding = NoiseEmbedding(config.width, specs)
        self.entry = nn.Linear(pixels, config.width)
        self.register_buffer("position", _positions(self.rows, self.columns, config.width), persistent=False)
        self.blocks = nn.ModuleList(
            _TransformerBlock(config.width, config.heads, config.dropout) for _ in range(config.depth)
        )
        self.norm = AdaptiveLayerNorm(config.width, config.width)
        self.exit = zeroed(nn.Linear(config.width, pixels))

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        embedding = self.embedding(noise_level, condition)
        patch = self.config.patch
        whole = divisible(x if mask is None else x * mask, patch)
        tokens = rearrange(whole, "b c (row p) (column q) -> b (row column) (c p q)", p=patch, q=patch)
        h = self.entry(tokens) + self.position
        for block in self.blocks:
            h = block(h, embedding)
        h = self.exit(self.norm(h, embedding))
        shape = {"row": self.rows, "p": patch, "q": patch}
        return finished(rearrange(h, "b (row column) (c p q) -> b c (row p) (column q)", **shape), x, mask)


class _TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.first = AdaptiveLayerNorm(width, width)
        self.project = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.second = AdaptiveLayerNorm(width, width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)
        self.gates = zeroed(nn.Linear(width, 2 * width))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        attention_gate, network_gate = self.gates(embedding)[:, None].chunk(2, dim=2)
        pattern = "b n (three head c) -> three b head n c"
        query, key, value = rearrange(self.project(self.first(h, embedding)), pattern, three=3, head=self.heads)
        mixed = rearrange(F.scaled_dot_product_attention(query, key, value), "b head n c -> b n (head c)")
        h = h + attention_gate * self.dropout(self.mix(mixed))
        inner = F.gelu(self.widen(self.second(h, embedding)), approximate="tanh")
        updated: Tensor = h + network_gate * self.dropout(self.narrow(inner))
        return updated


def _positions(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of row and of column, a half of the width each: [rows * columns, width]."""
    frequency = 10_000.0 ** -(torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [side.flatten()[:, None] * frequency for side in (row, column)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
