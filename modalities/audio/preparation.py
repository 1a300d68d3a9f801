"""Clips made alike: one sample rate, one number of channels, silence trimmed, one loudness, one length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from modalities.audio.levels import FLOOR, FRAME, SILENT, levelled, sounding_part
from modalities.audio.objects import MOST_CHANNELS, Clip
from modalities.audio.resampling import resampled
from pfgm_science.errors import ConfigError

LEAST_RATE, MOST_RATE = 1000, 768_000  # Hz
FADE = 0.005  # seconds
OFFSET = 0.01  # of full scale; the mean of a channel beyond which it is a fault of the recording


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
        wave = resampled(mixed(centred(clip.plain), self.channels), clip.rate, self.rate)
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


def trimmed(waveform: Tensor, rate: int, below: float) -> Tensor:
    """The waveform without silence at its ends; see `sounding_part`."""
    start, stop = sounding_part(waveform, rate, below)
    return waveform[:, start:stop]


def padded(waveform: Tensor, samples: int, rate: int) -> Tensor:
    """[channels, samples]: what is shorter is followed by silence, what is longer is cut, after a fade of 5 ms."""
    if waveform.shape[1] <= samples:
        return pad(waveform, (0, samples - waveform.shape[1]))
    cut = waveform[:, :samples].clone()
    fade = min(samples, max(1, round(FADE * rate)))
    cut[:, samples - fade :] *= torch.linspace(1, 0, fade + 1, dtype=cut.dtype)[1:]
    return cut
