"""A U-Net over grids of two dimensions, such as images and spectrograms.

`network(x, noise_level, condition=None, mask=None)`: x [batch, channels, height, width] of about unit variance,
noise_level [batch] = ln(sigma)/4; the answer is like x, all zero before training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import ConfigError
from pfgm_science.layers import zeroed

Shape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class UNetConfig:
    """A U-Net.

    channels: feature maps at the entry, a multiple of 4; multipliers: times that, one level each, each half as large.
    blocks: residual blocks a level, on the way down and again on the way up.
    attention: self-attention where the longer side has at most this many positions (0: nowhere).
    patch: patch x patch pixels become channels at the entry, so that 28 x 28 runs at 14 x 14 with patch 2.
    dropout: inside the residual blocks; embedding: width of the embedding of noise level and condition.
    Raises ConfigError for a value out of range.
    """

    channels: int = 16
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    attention: int = 8
    patch: int = 1
    dropout: float = 0.0
    embedding: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        require_positive(self, "channels", "blocks", "patch")
        require_dropout(self.dropout)
        if self.channels % 4:
            raise ConfigError(f"channels = {self.channels}: it must be a multiple of 4")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ConfigError(f"multipliers = {self.multipliers}: give one whole number >= 1 a level, such as (1, 2)")
        if self.attention < 0:
            raise ConfigError(f"attention = {self.attention}: give a side in positions, or 0 for no attention")


class UNet(nn.Module):
    """U-Net with residual blocks, adaptive group norm and self-attention at the coarse levels.

    Each level hands one skip to the way up (Ronneberger et al., arXiv 1505.04597; Dhariwal and Nichol, arXiv
    2105.05233, with one skip instead of one a block, which costs a quarter less). A side that does not divide is
    padded with zeros inside and cropped at the end. Where mask is 0, x is not looked at and the output is 0.
    """

    def __init__(self, shape: Shape, config: UNetConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        self.shape, self.config = checked_shape(shape), config
        channels, height, width = self.shape
        widths = [config.channels * multiplier for multiplier in config.multipliers]
        self.multiple = config.patch * 2 ** (len(widths) - 1)
        side = math.ceil(max(height, width) / self.multiple) * 2 ** (len(widths) - 1)
        attends = [side // 2**level <= config.attention for level in range(len(widths))]
        pixels = channels * config.patch**2

        def stage(entry: int, level: int, blocks: int) -> _Stage:
            return _Stage(entry, widths[level], blocks, config.embedding, config.dropout, attends[level])

        levels = range(len(widths))
        self.embedding = NoiseEmbedding(config.embedding, specs)
        self.entry = nn.Conv2d(pixels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(stage(widths[i], i, config.blocks) for i in levels)
        self.shrink = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels[:-1])
        self.middle = stage(widths[-1], len(widths) - 1, 1)
        self.up = nn.ModuleList(stage(2 * widths[i], i, config.blocks) for i in levels)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2) for i in levels[:-1])
        self.norm = _group_norm(widths[0])
        self.exit = zeroed(nn.Conv2d(widths[0], pixels, 3, padding=1))

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        embedding = self.embedding(noise_level, condition)
        patch = self.config.patch
        whole = divisible(x if mask is None else x * mask, self.multiple)
        h = rearrange(whole, "b c (row p) (column q) -> b (c p q) row column", p=patch, q=patch)
        # channels last: up to a quarter faster on CPU, in training and in sampling
        h = self.entry(h.contiguous(memory_format=torch.channels_last))
        skips = []
        for level, stage in enumerate(self.down):
            h = stage(h, embedding)
            skips.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
        h = self.middle(h, embedding)
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, skips[level]], dim=1), embedding)
            if level > 0:
                h = self.grow[level - 1](h)
        h = self.exit(F.silu(self.norm(h)))
        return finished(rearrange(h, "b (c p q) row column -> b c (row p) (column q)", p=patch, q=patch), x, mask)


class _Stage(nn.Module):
    """The residual blocks of one level, each followed by attention where the level has it."""

    def __init__(self, entry: int, width: int, blocks: int, embedding: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _ResidualBlock(entry if i == 0 else width, width, embedding, dropout) for i in range(blocks)
        )
        self.attention = nn.ModuleList(Attention(width) if attends else nn.Identity() for _ in range(blocks))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        for block, attention in zip(self.blocks, self.attention, strict=True):
            h = attention(block(h, embedding))
        return h


class _ResidualBlock(nn.Module):
    def __init__(self, entry: int, width: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm = _group_norm(entry)
        self.first = nn.Conv2d(entry, width, 3, padding=1)
        self.adaptive = _AdaptiveGroupNorm(width, embedding)
        self.dropout = nn.Dropout(dropout)
        self.second = zeroed(nn.Conv2d(width, width, 3, padding=1))
        self.skip = nn.Conv2d(entry, width, 1) if entry != width else nn.Identity()

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        inner = self.first(F.silu(self.norm(h)))
        inner = self.second(self.dropout(F.silu(self.adaptive(inner, embedding))))
        updated: Tensor = self.skip(h) + inner
        return updated


class _AdaptiveGroupNorm(nn.Module):
    """Group norm whose scale and shift come from the embedding (arXiv 2105.05233, section 3.1)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = _group_norm(width, affine=False)
        self.modulation = zeroed(nn.Linear(embedding, 2 * width))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        modulated: Tensor = shift + self.norm(h) * (1 + scale)
        return modulated


class Attention(nn.Module):
    """Self-attention over all positions of a feature map, heads of 32 channels where these divide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 32 if width % 32 == 0 else 1
        self.norm = _group_norm(width)
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.exit = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, h: Tensor) -> Tensor:
        pattern = "b (three head c) row column -> three b head (row column) c"
        query, key, value = rearrange(self.project(self.norm(h)), pattern, three=3, head=self.heads)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = rearrange(mixed, "b head (row column) c -> b (head c) row column", row=h.shape[2])
        updated: Tensor = h + self.exit(mixed)
        return updated


def divisible(x: Tensor, multiple: int) -> Tensor:
    """Zeros at the right and at the bottom, until both sides divide by multiple."""
    right, bottom = -x.shape[3] % multiple, -x.shape[2] % multiple
    return F.pad(x, (0, right, 0, bottom)) if right or bottom else x


def finished(h: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    h = h[:, :, : x.shape[2], : x.shape[3]].to(x.dtype)
    return h if mask is None else h * mask


def _group_norm(width: int, affine: bool = True) -> nn.GroupNorm:
    """At most 8 groups, of at least 4 channels each."""
    return nn.GroupNorm(math.gcd(8, width // 4), width, affine=affine)


def checked_shape(shape: Shape) -> Shape:
    if len(shape) != 3 or min(shape) < 1:
        raise ConfigError(f"image shape {tuple(shape)}: it must be (channels, height, width), each at least 1")
    return (int(shape[0]), int(shape[1]), int(shape[2]))


def require_positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} = {getattr(config, name)}: it must be at least 1")


def require_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout = {dropout}: it must be in [0, 1)")
