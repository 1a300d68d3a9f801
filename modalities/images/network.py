"""Networks of images: a small U-Net for 8 x 8 to 64 x 64, a diffusion transformer (DiT) for larger ones.

Both answer `network(x, noise_level, condition=None, mask=None)`: x [batch, channels, height, width] of about unit
variance, noise_level [batch] = ln(sigma)/4, and return a tensor like x, all zero before training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import ConfigError
from pfgm_science.layers import AdaptiveLayerNorm, zeroed

Shape = tuple[int, int, int]  # channels, height, width
Layer = TypeVar("Layer", bound=nn.Module)


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
        _require_positive(self, "channels", "blocks", "patch")
        _require_dropout(self.dropout)
        if self.channels % 4:
            raise ConfigError(f"channels = {self.channels}: it must be a multiple of 4")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ConfigError(f"multipliers = {self.multipliers}: give one whole number >= 1 a level, such as (1, 2)")
        if self.attention < 0:
            raise ConfigError(f"attention = {self.attention}: give a side in positions, or 0 for no attention")


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
        _require_positive(self, "patch", "width", "depth", "heads")
        _require_dropout(self.dropout)
        if self.width % 4 or self.width % self.heads:
            raise ConfigError(f"width = {self.width}: it must be a multiple of 4 and of heads = {self.heads}")


def default_config(shape: Shape) -> UNetConfig | DiTConfig:
    """The default network for images of this (channels, height, width).

    The U-Net for 28 x 28 was chosen by held-out EDM loss after 90 s on one CPU core (4,500 MNIST digits): 0.155,
    against 0.188 with 32 channels on patches of 2, 0.232 for a DiT and 0.268 for a U-Net on patches of 4, although it
    saw the fewest images. Patches lose at sigma < 0.3. A full-resolution level of 8 channels (0.184) is too thin.
    """
    _, height, width = _checked(shape)
    side = max(height, width)
    if side <= 12:
        return UNetConfig(channels=32, multipliers=(1, 2), embedding=128)
    if side <= 32:
        return UNetConfig()
    if side <= 64:
        return UNetConfig(multipliers=(1, 2, 4, 8), embedding=128)
    return DiTConfig(patch=max(4, 2 ** math.ceil(math.log2(side / 16))))


class UNet(nn.Module):
    """U-Net with residual blocks, adaptive group norm and self-attention at the coarse levels.

    Each level hands one skip to the way up (Ronneberger et al., arXiv 1505.04597; Dhariwal and Nichol, arXiv
    2105.05233, with one skip instead of one a block, which costs a quarter less). A side that does not divide is
    padded with zeros inside and cropped at the end. Where mask is 0, x is not looked at and the output is 0.
    """

    def __init__(self, shape: Shape, config: UNetConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        self.shape, self.config = _checked(shape), config
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
        padded = _pad(x if mask is None else x * mask, self.multiple)
        h = rearrange(padded, "b c (row p) (column q) -> b (c p q) row column", p=patch, q=patch)
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
        return _finish(rearrange(h, "b (c p q) row column -> b c (row p) (column q)", p=patch, q=patch), x, mask)


class DiT(nn.Module):
    """Diffusion transformer with adaLN-Zero blocks (Peebles and Xie, arXiv 2212.09748).

    A side that does not divide by the patch is padded with zeros inside and cropped at the end. Where mask is 0, x is
    not looked at and the output is 0.
    """

    position: Tensor

    def __init__(self, shape: Shape, config: DiTConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        self.shape, self.config = _checked(shape), config
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
        padded = _pad(x if mask is None else x * mask, patch)
        tokens = rearrange(padded, "b c (row p) (column q) -> b (row column) (c p q)", p=patch, q=patch)
        h = self.entry(tokens) + self.position
        for block in self.blocks:
            h = block(h, embedding)
        h = self.exit(self.norm(h, embedding))
        shape = {"row": self.rows, "p": patch, "q": patch}
        return _finish(rearrange(h, "b (row column) (c p q) -> b c (row p) (column q)", **shape), x, mask)


class _Stage(nn.Module):
    """The residual blocks of one level, each followed by attention where the level has it."""

    def __init__(self, entry: int, width: int, blocks: int, embedding: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _ResidualBlock(entry if i == 0 else width, width, embedding, dropout) for i in range(blocks)
        )
        self.attention = nn.ModuleList(_Attention(width) if attends else nn.Identity() for _ in range(blocks))

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


class _Attention(nn.Module):
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


def _pad(x: Tensor, multiple: int) -> Tensor:
    """Zeros at the right and at the bottom, until both sides divide by multiple."""
    right, bottom = -x.shape[3] % multiple, -x.shape[2] % multiple
    return F.pad(x, (0, right, 0, bottom)) if right or bottom else x


def _finish(h: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    h = h[:, :, : x.shape[2], : x.shape[3]].to(x.dtype)
    return h if mask is None else h * mask


def _group_norm(width: int, affine: bool = True) -> nn.GroupNorm:
    """At most 8 groups, of at least 4 channels each."""
    return nn.GroupNorm(math.gcd(8, width // 4), width, affine=affine)


def _checked(shape: Shape) -> Shape:
    if len(shape) != 3 or min(shape) < 1:
        raise ConfigError(f"image shape {tuple(shape)}: it must be (channels, height, width), each at least 1")
    return (int(shape[0]), int(shape[1]), int(shape[2]))


def _require_positive(config: UNetConfig | DiTConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} = {getattr(config, name)}: it must be at least 1")


def _require_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout = {dropout}: it must be in [0, 1)")
