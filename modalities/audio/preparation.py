"""Clips made alike: one sample rate, one number of channels, silence trimmed, one loudness, one length.

Levels are in dB of full scale: the root mean square (RMS), where a constant 1 is 0 dB and a full sine -3 dB. Silence
and sound are told apart in frames of 10 ms, relative to the loudest frame of the clip, so that a quiet recording is
trimmed as a loud one is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from modalities.audio.objects import MOST_CHANNELS, Clip
from pfgm_science.errors import ConfigError

LEAST_RATE, MOST_RATE = 1000, 768_000  # Hz
FRAME = 0.010  # seconds
FADE = 0.005  # seconds
SOUNDING = -30.0  # dB of the loudest frame; what is quieter does not count for loudness
SILENT = -60.0  # dB of full scale; a clip below it is silence, and is not made louder
OFFSET = 0.01  # of full scale; the mean of a channel beyond which it is a fault of the recording
FLOOR = -120.0  # dB of full scale; the level of digital silence
_KERNEL = 1 << 21  # numbers in a kernel of torchaudio


@dataclass(frozen=True)
class Preparation:
    """What makes any clip a tensor of one shape.

    rate: Hz. samples: at that rate. channels: 1 or 2. loudness: the level of the sounding part, in dB of full scale,
    or None to leave it. trim: silence at both ends is taken away, which is all that lies so many dB (a negative number,
    such as -50) below the loudest frame of the clip; None to leave it. ConfigError for what is out of range.
    """

    rate: int
    samples: int
    channels: int = 1
    loudness: float | None = None
    trim: float | None = None

    def __post_init__(self) -> None:
        checked_settings(rate=self.rate, channels=self.channels, loudness=self.loudness, trim=self.trim)
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 1:
            raise ConfigError(f"samples is {self.samples!r}: it must be a whole number of at least 1")

    def __call__(self, clip: Clip) -> Tensor:
        """The clip as float32 [channels, samples]: mixed, resampled, trimmed, levelled, then cut or padded.

        An offset is taken away first: silence would not be silent, and the end of a clip that is padded would click.
        """
        wave = resampled(mixed(centred(clip.waveform.float()), self.channels), clip.rate, self.rate)
        if self.trim is not None:
            wave = trimmed(wave, self.rate, self.trim)
        if self.loudness is not None:
            wave = levelled(wave, self.rate, self.loudness)
        return padded(wave, self.samples, self.rate)


def checked_settings(
    *,
    rate: int | None = None,
    seconds: float | None = None,
    channels: int | None = None,
    loudness: float | None = None,
    trim: float | None = None,
    representation: str | None = None,
) -> dict[str, Any]:
    """Those of the settings that are given, by name; ConfigError for one that is out of range."""
    _check("rate", rate, LEAST_RATE, MOST_RATE, "Hz, such as 8000, 16000 or 44100", whole=True)
    _check("seconds", seconds, FRAME, 3600, "the length of a sample, such as 0.5")
    _check("channels", channels, 1, MOST_CHANNELS, "1 for mono, 2 for stereo", whole=True)
    _check("loudness", loudness, SILENT, 0, "dB of full scale, such as -23")
    _check("trim", trim, FLOOR, -1, "dB of the loudest part, such as -50")
    if representation is not None and (not isinstance(representation, str) or not representation):
        raise ConfigError(f"representation is {representation!r}: it must be the name of one")
    given = {
        "rate": rate,
        "seconds": seconds,
        "channels": channels,
        "loudness": loudness,
        "trim": trim,
        "representation": representation,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check(name: str, value: Any, least: float, most: float, what: str, whole: bool = False) -> None:
    if value is None:
        return
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        number = "whole number" if whole else "number"
        raise ConfigError(f"{name} is {value!r}: it must be a {number} from {least:g} to {most:g} ({what})")


def centred(waveform: Tensor) -> Tensor:
    """The waveform without a DC offset of more than 1% of full scale; short sounds may well have a smaller mean."""
    means = waveform.mean(dim=1, keepdim=True)
    return waveform - means * (means.abs() > OFFSET)


def mixed(waveform: Tensor, channels: int) -> Tensor:
    """[any, samples] as [channels, samples]: stereo to mono by the mean, mono to stereo by saying it twice."""
    if waveform.shape[0] == channels:
        return waveform
    return waveform.mean(dim=0, keepdim=True).repeat(channels, 1)


def resampled(waveform: Tensor, rate: int, to: int) -> Tensor:
    """[channels, samples] at another rate, [channels, ceil(samples * to / rate)], what is above its half filtered away.

    By torchaudio, with a Kaiser window over 64 zero crossings (more than 100 dB down at 10% above half the rate).
    Rates with next to no common divisor, such as 44101 and 8000, would need gigabytes there: by SciPy.
    """
    if rate == to:
        return waveform
    divisor = math.gcd(rate, to)
    old, new = rate // divisor, to // divisor
    if new * (old + 128 * max(1.0, old / new)) <= _KERNEL:
        made: Tensor = _resampler(old, new)(waveform)
        return made
    from scipy.signal import resample_poly

    return torch.from_numpy(resample_poly(waveform.numpy(), new, old, axis=1)).to(waveform.dtype)


@lru_cache(maxsize=16)
def _resampler(old: int, new: int) -> Any:
    from modalities.audio.torch_audio import torchaudio

    return torchaudio.transforms.Resample(
        old,
        new,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        # "kaiser_best" of resampy (McFee 2016), as torchaudio's tutorial gives it
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )


def level_db(waveform: Tensor) -> float:
    """RMS of all samples and channels in dB of full scale, -120 at least."""
    return _db(float(waveform.double().square().mean())) if waveform.numel() else FLOOR


def sounding_db(waveform: Tensor, rate: int) -> float:
    """RMS of the frames within 30 dB of the loudest, in dB of full scale: silence around a sound does not count."""
    powers, sizes = _frames(waveform, rate)
    loud = powers >= powers.max() * 10 ** (SOUNDING / 10)
    return _db(float((powers * sizes)[loud].sum() / sizes[loud].sum()))


def sounding_part(waveform: Tensor, rate: int, below: float) -> tuple[int, int]:
    """First sample and the one after the last of what is not silence at the ends: (0, samples) of digital silence.

    Silence are frames `below` dB, a negative number, or more under the loudest frame.
    """
    powers, sizes = _frames(waveform, rate)
    loud = torch.nonzero(powers > powers.max() * 10 ** (below / 10)).flatten()
    if not len(loud):
        return 0, waveform.shape[1]
    start = int(loud[0]) * int(sizes[0])
    return start, start + int(sizes[int(loud[0]) : int(loud[-1]) + 1].sum())


def trimmed(waveform: Tensor, rate: int, below: float) -> Tensor:
    """The waveform without silence at its ends; see `sounding_part`."""
    start, stop = sounding_part(waveform, rate, below)
    return waveform[:, start:stop]


def levelled(waveform: Tensor, rate: int, loudness: float) -> Tensor:
    """The waveform with a gain that brings its sounding part to `loudness` dB; with less where a peak would be clipped.

    Silence, which is below -60 dB, is left as it is: a gain would make noise of it.
    """
    level = sounding_db(waveform, rate)
    if level < SILENT:
        return waveform
    gain = min(10 ** ((loudness - level) / 20), 1 / float(waveform.abs().max()))
    return (waveform * gain).clamp(-1, 1)  # rounding can pass full scale


def padded(waveform: Tensor, samples: int, rate: int) -> Tensor:
    """[channels, samples]: what is shorter is followed by silence, what is longer is cut, after a fade of 5 ms."""
    if waveform.shape[1] <= samples:
        return pad(waveform, (0, samples - waveform.shape[1]))
    cut = waveform[:, :samples].clone()
    fade = min(samples, max(1, round(FADE * rate)))
    cut[:, samples - fade :] *= torch.linspace(1, 0, fade + 1, dtype=cut.dtype)[1:]
    return cut


def _frames(waveform: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Mean square of each frame of 10 ms, and the samples in it, both float64 [frames]; the last may be shorter."""
    size = max(1, round(FRAME * rate))
    squares = waveform.double().square().mean(dim=0)
    sizes = torch.full((-(-len(squares) // size),), size, dtype=torch.float64)
    sizes[-1] = len(squares) - size * (len(sizes) - 1)
    return pad(squares, (0, -len(squares) % size)).reshape(-1, size).sum(dim=1) / sizes, sizes


def _db(power: float) -> float:
    return max(FLOOR, 10 * math.log10(power)) if power > 0 else FLOOR
