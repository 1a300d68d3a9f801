"""Networks of sounds: a 2-D U-Net that knows its frequencies, a 1-D U-Net and a DiffWave for waveforms.

All answer `network(x, noise_level, condition=None, mask=None)`: x [batch, *shape] of about unit variance, noise_level
[batch] = ln(sigma)/4, and return a tensor like x, all zero before training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.condition import ConditionSpec
from pfgm_science.config import update
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import ConfigError
from pfgm_science.layers import zeroed
from pfgm_science.unet import Attention, UNet, UNetConfig, require_positive

# At equal time on a CPU full resolution with 16 channels has a lower loss at all levels than patches of 2 with 32.
SPECTRAL = UNetConfig(channels=16, multipliers=(1, 2, 4, 8), attention=16, embedding=128)


@dataclass(frozen=True)
class Unet1dConfig:
    """A U-Net of waveforms.

    channels: feature maps at the entry, a multiple of 4; multipliers: times that, one level each; stride: how much
    shorter each level is than the one before; patch: samples that become channels at the entry; blocks: residual blocks
    a level, on the way down and up; attention: self-attention where there are at most this many positions; embedding:
    width of the embedding of noise level and condition. Raises ConfigError for a value out of range.
    """

    channels: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    stride: int = 4
    patch: int = 4
    blocks: int = 1
    attention: int = 64
    embedding: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        require_positive(self, "channels", "stride", "patch", "blocks")
        if self.channels % 4:
            raise ConfigError(f"channels = {self.channels}: it must be a multiple of 4")
        if not self.multipliers or min(self.multipliers) < 1:
            raise ConfigError(f"multipliers = {self.multipliers}: give one whole number >= 1 a level, such as (1, 2)")


@dataclass(frozen=True)
class DiffwaveConfig:
    """A DiffWave: layers of gated dilated convolutions over channels, the dilation doubled up to 2^(cycle - 1), again
    and again. embedding: width of the embedding of noise level and condition. ConfigError for a value out of range.
    """

    channels: int = 32
    layers: int = 20
    cycle: int = 10
    embedding: int = 128

    def __post_init__(self) -> None:
        require_positive(self, "channels", "layers", "cycle")


def build(shape: Sequence[int], settings: Mapping[str, Any], specs: Sequence[ConditionSpec]) -> nn.Module:
    """The network for values of this shape; settings: fields of the configuration, and "kind" where there are several.

    (planes, frequencies, steps) have the kind "unet"; (channels, samples) "unet-1d" or "diffwave". ConfigError else.
    """
    chosen = dict(settings)
    if len(shape) == 3:
        kind = chosen.pop("kind", "unet")
        if kind != "unet":
            raise ConfigError(f"network.kind is {kind!r}: spectra have the kind 'unet'")
        planes, frequencies, steps = shape
        return SpectralUNet((planes, frequencies, steps), update(SPECTRAL, chosen, "network."), specs)
    kind = chosen.pop("kind", "unet-1d")
    if kind == "unet-1d":
        return Unet1d(shape[0], update(Unet1dConfig(), chosen, "network."), specs)
    if kind == "diffwave":
        return Diffwave(shape[0], update(DiffwaveConfig(), chosen, "network."), specs)
    raise ConfigError(f"network.kind is {kind!r}: waveforms have the kind 'unet-1d' or 'diffwave'")


class SpectralUNet(nn.Module):
    """The U-Net of grids with one more plane: the frequency, because a pattern means another thing higher up."""

    frequency: Tensor

    def __init__(self, shape: tuple[int, int, int], config: UNetConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        planes, frequencies, steps = shape
        self.planes = planes
        self.unet = UNet((planes + 1, frequencies, steps), config, specs)
        line = torch.linspace(-1, 1, frequencies)[None, None, :, None]
        self.register_buffer("frequency", line, persistent=False)

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        x = x if mask is None else x * mask
        line = self.frequency.to(x).expand(len(x), -1, -1, x.shape[3])
        answer: Tensor = self.unet(torch.cat([x, line], dim=1), noise_level, condition)[:, : self.planes]
        return answer if mask is None else answer * mask


class Unet1d(nn.Module):
    """Residual blocks on waveforms, each level `stride` times shorter; one skip a level.

    A waveform whose length does not divide is followed by zeros inside and cut at the end.
    """

    def __init__(self, channels: int, config: Unet1dConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * multiplier for multiplier in config.multipliers]
        self.multiple = config.patch * config.stride ** (len(widths) - 1)
        entries = channels * config.patch
        levels = range(len(widths))

        def stage(entry: int, width: int) -> _Stage:
            return _Stage(entry, width, config.blocks, config.embedding)

        self.embedding = NoiseEmbedding(config.embedding, specs)
        self.entry = nn.Conv1d(entries, widths[0], 5, padding=2)
        self.down = nn.ModuleList(stage(width, width) for width in widths)
        self.shrink = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], config.stride, stride=config.stride) for i in levels[:-1]
        )
        self.middle = _Block(widths[-1], widths[-1], config.embedding)
        self.attention = Attention(widths[-1]) if config.attention else None
        self.up = nn.ModuleList(stage(2 * width, width) for width in widths)
        self.grow = nn.ModuleList(
            nn.ConvTranspose1d(widths[i + 1], widths[i], config.stride, stride=config.stride) for i in levels[:-1]
        )
        self.norm = _norm(widths[0])
        self.exit = zeroed(nn.Conv1d(widths[0], entries, 5, padding=2))

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        embedding = self.embedding(noise_level, condition)
        padded = F.pad(x if mask is None else x * mask, (0, -x.shape[2] % self.multiple))
        h = self.entry(rearrange(padded, "b c (t p) -> b (c p) t", p=self.config.patch))
        skips = []
        for level, stage in enumerate(self.down):
            h = stage(h, embedding)
            skips.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
        h = self.middle(h, embedding)
        if self.attention is not None and h.shape[2] <= self.config.attention:
            h = self.attention(h[:, :, None])[:, :, 0]
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, skips[level]], dim=1), embedding)
            if level > 0:
                h = self.grow[level - 1](h)
        h = self.exit(F.silu(self.norm(h)))
        answer: Tensor = rearrange(h, "b (c p) t -> b c (t p)", p=self.config.patch)[..., : x.shape[2]].to(x.dtype)
        return answer if mask is None else answer * mask


class Diffwave(nn.Module):
    """Gated dilated convolutions at the rate of the samples (Kong et al., arXiv 2009.09761), without a vocoder's mel.

    Sums of all layers' skips make the answer; the noise level and the condition are added before each convolution.
    """

    def __init__(self, channels: int, config: DiffwaveConfig, specs: Sequence[ConditionSpec] = ()) -> None:
        super().__init__()
        self.embedding = NoiseEmbedding(config.embedding, specs)
        self.entry = nn.Conv1d(channels, config.channels, 1)
        self.layers = nn.ModuleList(
            _DilatedLayer(config.channels, 2 ** (i % config.cycle), config.embedding) for i in range(config.layers)
        )
        self.mix = nn.Conv1d(config.channels, config.channels, 1)
        self.exit = zeroed(nn.Conv1d(config.channels, channels, 1))

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        embedding = self.embedding(noise_level, condition)
        h = F.relu(self.entry(x if mask is None else x * mask))
        total = torch.zeros_like(h)
        for layer in self.layers:
            h, skip = layer(h, embedding)
            total = total + skip
        answer: Tensor = self.exit(F.relu(self.mix(total / math.sqrt(len(self.layers))))).to(x.dtype)
        return answer if mask is None else answer * mask


class _DilatedLayer(nn.Module):
    def __init__(self, channels: int, dilation: int, embedding: int) -> None:
        super().__init__()
        self.shift = nn.Linear(embedding, channels)
        self.convolution = nn.Conv1d(channels, 2 * channels, 3, padding=dilation, dilation=dilation)
        self.exit = nn.Conv1d(channels, 2 * channels, 1)

    def forward(self, h: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        gate, content = self.convolution(h + self.shift(embedding)[..., None]).chunk(2, dim=1)
        residual, skip = self.exit(gate.sigmoid() * content.tanh()).chunk(2, dim=1)
        return (h + residual) / math.sqrt(2), skip


class _Stage(nn.Module):
    """The residual blocks of one level."""

    def __init__(self, entry: int, width: int, blocks: int, embedding: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(entry if i == 0 else width, width, embedding) for i in range(blocks))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        for block in self.blocks:
            h = block(h, embedding)
        return h


class _Block(nn.Module):
    """Two convolutions; the norm between them is scaled and shifted by the embedding."""

    def __init__(self, entry: int, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = _norm(entry)
        self.first = nn.Conv1d(entry, width, 5, padding=2)
        self.plain = nn.GroupNorm(math.gcd(8, width // 4), width, affine=False)
        self.modulation = zeroed(nn.Linear(embedding, 2 * width))
        self.second = zeroed(nn.Conv1d(width, width, 5, padding=2))
        self.skip = nn.Conv1d(entry, width, 1) if entry != width else nn.Identity()

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        inner = self.first(F.silu(self.norm(h)))
        scale, shift = self.modulation(embedding)[..., None].chunk(2, dim=1)
        updated: Tensor = self.skip(h) + self.second(F.silu(shift + self.plain(inner) * (1 + scale)))
        return updated


def _norm(width: int) -> nn.GroupNorm:
    """At most 8 groups, of at least 4 channels each."""
    return nn.GroupNorm(math.gcd(8, width // 4), width)
