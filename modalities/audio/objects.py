"""Sounds: a waveform with its sample rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pfgm_science.errors import DataError

MOST_CHANNELS = 2


@dataclass(frozen=True, eq=False)
class Clip:
    """A sound. waveform: float32 [channels, samples], where full scale is 1; rate: samples a second, in Hz."""

    waveform: Tensor
    rate: int

    @property
    def channels(self) -> int:
        return int(self.waveform.shape[0])

    @property
    def samples(self) -> int:
        return int(self.waveform.shape[1])

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def plain(self) -> Tensor:
        """The waveform as float32 on the CPU, without a gradient."""
        return self.waveform.detach().to("cpu", torch.float32)


def checked(objects: Any) -> list[Clip]:
    """The clips of a list, or DataError that names the first that is none, and why."""
    if isinstance(objects, (Clip, Tensor)) or not isinstance(objects, Sequence):
        raise DataError(
            f"sounds are a list of clips, and this is {type(objects).__name__}: make them with Clip(waveform, rate) of "
            "modalities.audio, or read files with modalities.audio.formats.read"
        )
    for number, clip in enumerate(objects):
        if reason := problem(clip):
            raise DataError(f"sound {number}: {reason}")
    return list(objects)


def problem(clip: Any) -> str:
    """Why this is no clip that can be used; "" where it is one."""
    if not isinstance(clip, Clip):
        return f"it is {type(clip).__name__} and no Clip(waveform, rate)"
    wave = clip.waveform
    if not isinstance(wave, Tensor) or wave.ndim != 2 or not wave.is_floating_point():
        what = f"{wave.dtype} {list(wave.shape)}" if isinstance(wave, Tensor) else type(wave).__name__
        return f"its waveform is {what}: it must be floats of shape [channels, samples]"
    if isinstance(clip.rate, bool) or not isinstance(clip.rate, int) or clip.rate < 1:
        return f"its sample rate is {clip.rate!r} ({type(clip.rate).__name__}): it must be an int above 0, in Hz"
    if not wave.shape[1]:
        return "it has no samples"
    if not 1 <= clip.channels <= MOST_CHANNELS:
        return f"it has {clip.channels} channels: one (mono) or two (stereo) can be used"
    if not bool(torch.isfinite(wave).all()):
        return "it has samples that are not finite (NaN or infinite)"
    return ""
