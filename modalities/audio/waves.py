"""What a judge hears: one channel, at the rate it wants, at one loudness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from modalities.audio.objects import Clip, checked

Array = np.ndarray[Any, Any]

SILENCE = 1e-6  # RMS below which a sound has no loudness that could be changed: -120 dBFS


def waves(clips: Sequence[Clip], rate: int, level: float | None = None) -> list[Array]:
    """The mean of the channels of each clip at `rate` Hz: float32 [samples], at least one sample.

    level: RMS in dBFS (full scale is 1) that each is brought to; None leaves it. Silence stays silence. Raises
    DataError that names a clip which cannot be used.
    """
    heard = [_resampled(clip, rate) for clip in checked(clips)]
    return heard if level is None else [_levelled(wave, level) for wave in heard]


def rms(wave: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def decibels(amplitude: float) -> float:
    """20 log10, -120 dB at the least."""
    return 20 * math.log10(max(amplitude, 1e-6))


def _resampled(clip: Clip, rate: int) -> Array:
    wave = clip.waveform.detach().to("cpu", torch.float32).mean(0, keepdim=True)
    if clip.rate != rate:
        wave = _resampler(clip.rate, rate)(wave)
    found: Array = wave[0].numpy()
    return found if len(found) else np.zeros(1, dtype=np.float32)


@lru_cache(maxsize=32)
def _resampler(given: int, wanted: int) -> Any:
    from modalities.audio.torch_audio import torchaudio

    return torchaudio.transforms.Resample(given, wanted)


def _levelled(wave: Array, level: float) -> Array:
    size = rms(wave)
    return wave if size < SILENCE else (wave * (10 ** (level / 20) / size)).astype(np.float32)
