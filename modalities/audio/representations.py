"""What a network sees of a sound: waveform, MDCT, complex STFT or log-mel spectrogram, and the way back.

Each is a value with `shape(channels, samples)`, `forward(waveform) -> values` and `inverse(values) -> waveform`, where
waveform is [clips, channels, samples]. All but log-mel, which has no phase, give the waveform back exactly. Magnitudes
are compressed by a power: the quiet parts of a sound are heard as well as the loud ones, and an error of the same size
in both is then heard alike (EDMSound, arXiv 2311.08667).
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

import torch
from einops import rearrange
from torch import Tensor

from modalities.audio.spectra import mel_edges, mel_means
from pfgm_science.errors import ConfigError

WINDOW_SECONDS = 0.008  # of one step in time, from which the number of bins follows
QUIET = 1e-4  # what is added to a mel band before its logarithm: -80 dB


class Representation(Protocol):
    """A way to see sounds. hop: samples of a step in time, of which a clip has a whole number. zero_mean: whether its
    values are as often negative as positive, so that only their spread is made even. exact: whether inverse gives back
    what forward was given."""

    name: ClassVar[str]
    zero_mean: ClassVar[bool]
    exact: ClassVar[bool]

    @property
    def hop(self) -> int: ...

    def shape(self, channels: int, samples: int) -> tuple[int, ...]:
        """Of the values of one clip: (planes, frequencies, steps), or (channels, samples) of a waveform."""
        ...

    def forward(self, waveform: Tensor) -> Tensor:
        """[clips, channels, samples] to [clips, *shape]."""
        ...

    def inverse(self, values: Tensor) -> Tensor:
        """[clips, *shape] to [clips, channels, samples]."""
        ...

    def hertz(self, rate: int) -> Tensor:
        """The frequency that each row of values stands for, [frequencies]; ConfigError where there are none."""
        ...


@dataclass(frozen=True)
class Waveform:
    """The samples themselves."""

    bins: int = 1
    power: float = 1.0
    name: ClassVar[str] = "waveform"
    zero_mean: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    @property
    def hop(self) -> int:
        return 1

    def shape(self, channels: int, samples: int) -> tuple[int, ...]:
        return channels, samples

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform

    def inverse(self, values: Tensor) -> Tensor:
        return values

    def hertz(self, rate: int) -> Tensor:
        raise ConfigError("a waveform has no frequencies of its own: take a model of mdct, stft or log-mel")


@dataclass(frozen=True)
class Mdct:
    """Modified discrete cosine transform with a sine window of two steps, its values compressed by a power.

    As many numbers as samples: each block of `bins` samples is lapped over half of the blocks beside it, but for both
    ends of the clip, and goes through a DCT-IV. The map is orthonormal before compression (Princen, Johnson and
    Bradley, ICASSP 1987; lapped orthogonal transforms, Malvar 1992).
    """

    bins: int = 64
    power: float = 0.5
    name: ClassVar[str] = "mdct"
    zero_mean: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    @property
    def hop(self) -> int:
        return self.bins

    def shape(self, channels: int, samples: int) -> tuple[int, ...]:
        return channels, self.bins, samples // self.bins

    def forward(self, waveform: Tensor) -> Tensor:
        blocks = _lapped(rearrange(waveform, "n c (t b) -> n c t b", b=self.bins), 1)
        coefficients = blocks @ _cosines(self.bins).to(waveform)
        return compress(rearrange(coefficients, "n c t k -> n c k t"), self.power)

    def inverse(self, values: Tensor) -> Tensor:
        coefficients = rearrange(compress(values, 1 / self.power), "n c k t -> n c t k")
        blocks = _lapped(coefficients @ _cosines(self.bins).to(values), -1)
        return rearrange(blocks, "n c t b -> n c (t b)")

    def hertz(self, rate: int) -> Tensor:
        return (torch.arange(self.bins) + 0.5) * rate / (2 * self.bins)


@dataclass(frozen=True)
class Stft:
    """Short-time Fourier transform with a Hann window of two steps: real and imaginary parts, magnitudes compressed.

    Twice as many numbers as samples. Planes: the real parts of all channels, then the imaginary ones.
    """

    bins: int = 64
    power: float = 0.5
    name: ClassVar[str] = "stft"
    zero_mean: ClassVar[bool] = True
    exact: ClassVar[bool] = True

    @property
    def hop(self) -> int:
        return self.bins

    def shape(self, channels: int, samples: int) -> tuple[int, ...]:
        return 2 * channels, self.bins, samples // self.bins + 1

    def forward(self, waveform: Tensor) -> Tensor:
        from modalities.audio.torch_audio import torchaudio

        transform = torchaudio.transforms.Spectrogram(
            2 * self.bins - 2, hop_length=self.hop, power=None, pad_mode="constant", normalized="window"
        )
        spectrum = transform.to(waveform.device, waveform.dtype)(waveform)
        spectrum = spectrum * spectrum.abs().clamp(min=_tiny(waveform)) ** (self.power - 1)
        return torch.cat([spectrum.real, spectrum.imag], dim=1)

    def inverse(self, values: Tensor) -> Tensor:
        from modalities.audio.torch_audio import torchaudio

        spectrum = torch.complex(*values.chunk(2, dim=1))
        spectrum = spectrum * spectrum.abs() ** (1 / self.power - 1)
        transform = torchaudio.transforms.InverseSpectrogram(
            2 * self.bins - 2, hop_length=self.hop, pad_mode="constant", normalized="window"
        )
        samples = (values.shape[-1] - 1) * self.hop
        waveform: Tensor = transform.to(values.device, values.dtype)(spectrum, samples)
        return waveform

    def hertz(self, rate: int) -> Tensor:
        return torch.arange(self.bins) * rate / (2 * self.bins - 2)


@dataclass(frozen=True)
class LogMel:
    """Logarithm of the magnitudes of mel bands, a window of four steps; the way back guesses phases (Griffin-Lim).

    Griffin and Lim, IEEE Trans. ASSP 32 (1984), with the momentum of Perraudin et al. (2013), from fixed phases: what
    is decoded depends on the values alone. power is of no use here. rate: of the samples, in Hz.
    """

    bins: int = 64
    power: float = 0.5
    rate: int = 8000
    name: ClassVar[str] = "log-mel"
    zero_mean: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    rounds: ClassVar[int] = 32

    @property
    def hop(self) -> int:
        return self.bins

    def shape(self, channels: int, samples: int) -> tuple[int, ...]:
        return channels, self.bins, samples // self.bins + 1

    def forward(self, waveform: Tensor) -> Tensor:
        from modalities.audio.torch_audio import torchaudio

        transform = torchaudio.transforms.Spectrogram(4 * self.hop, hop_length=self.hop, power=1.0, normalized="window")
        magnitudes = transform.to(waveform.device, waveform.dtype)(_long_enough(waveform, 4 * self.hop))
        magnitudes = magnitudes[..., : waveform.shape[-1] // self.hop + 1]
        mel = torch.einsum("n c f t, f m -> n c m t", magnitudes, self._filters().to(waveform))
        return (mel + QUIET).log()

    def inverse(self, values: Tensor) -> Tensor:
        from modalities.audio.torch_audio import torchaudio

        mel = (values.exp() - QUIET).clamp(min=0)
        inverse = torch.linalg.pinv(self._filters().double()).to(values)
        magnitudes = torch.einsum("n c m t, m f -> n c f t", mel, inverse).clamp(min=0)
        size = 4 * self.hop
        window = torch.hann_window(size, dtype=values.dtype, device=values.device)
        samples = (values.shape[-1] - 1) * self.hop
        waveform: Tensor = torchaudio.functional.griffinlim(
            magnitudes * window.square().sum().sqrt(), window, size, self.hop, size, 1.0, self.rounds, 0.99,
            max(samples, size), False,
        )  # fmt: skip
        return waveform[..., :samples]

    def hertz(self, rate: int) -> Tensor:
        return mel_edges(self.bins, rate / 2)[1:-1].float()

    def _filters(self) -> Tensor:
        """The share of each frequency in each band: [2 hop + 1, bins]."""
        return mel_means(self.bins, self.rate / 2, 2 * self.hop + 1, self.rate)


REPRESENTATIONS: dict[str, Any] = {kind.name: kind for kind in (Mdct, Stft, LogMel, Waveform)}


def representation_named(name: str, rate: int, bins: int = 0, power: float = 0.5) -> Representation:
    """The representation of that name; bins: frequencies, 0 for as many as make a step of about 8 ms.

    ConfigError for a name that is not known, with the nearest right one, and for bins or a power out of range.
    """
    if name not in REPRESENTATIONS:
        near = difflib.get_close_matches(str(name), REPRESENTATIONS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"representation is {name!r}: it must be one of {', '.join(REPRESENTATIONS)}.{hint}")
    if bins < 0 or (bins % 4 and name != "waveform"):
        raise ConfigError(f"bins is {bins}: it must be a multiple of 4, or 0 for as many as suit the sample rate")
    if not 0 < power <= 1:
        raise ConfigError(f"power is {power}: it must lie in (0, 1], where 1 compresses nothing")
    chosen = bins or default_bins(rate)
    if name == "log-mel":
        return LogMel(chosen, power, rate)
    found: Representation = REPRESENTATIONS[name](chosen, power)
    return found


def default_bins(rate: int) -> int:
    """The power of two that is nearest to a step of 8 ms."""
    return int(2 ** round(math.log2(max(rate * WINDOW_SECONDS, 4))))


def compress(values: Tensor, power: float) -> Tensor:
    """sign(v) |v|^power; its inverse has the power 1 / power."""
    return values.sign() * values.abs() ** power


def _lapped(blocks: Tensor, turn: int) -> Tensor:
    """Blocks [..., blocks, bins] of which the samples on both sides of a boundary are rotated into each other.

    Each pair at the same distance from it by the angle of the sine window there, and back for turn = -1; a boundary
    is then even for the block behind it and odd for the one before, as the cosines of a DCT-IV are.
    """
    bins = blocks.shape[-1]
    half = bins // 2
    angle = math.pi / (2 * bins) * (half + 0.5 + torch.arange(half, dtype=torch.float64))
    cosine, sine = angle.sin().to(blocks), turn * angle.cos().to(blocks)
    before, behind = blocks[..., :-1, half:].flip(-1), blocks[..., 1:, :half]
    turned = blocks.clone()
    turned[..., :-1, half:] = (cosine * before - sine * behind).flip(-1)
    turned[..., 1:, :half] = sine * before + cosine * behind
    return turned


@cache
def _cosines(bins: int) -> Tensor:
    """The DCT-IV, which is its own inverse: [bins, bins] float64."""
    n = torch.arange(bins, dtype=torch.float64) + 0.5
    return math.sqrt(2 / bins) * torch.cos(math.pi / bins * n[:, None] * n[None, :])


def _tiny(like: Tensor) -> float:
    return math.sqrt(torch.finfo(like.dtype).tiny)


def _long_enough(waveform: Tensor, samples: int) -> Tensor:
    """Silence behind a clip that is shorter than a window."""
    return torch.nn.functional.pad(waveform, (0, max(0, samples - waveform.shape[-1])))
