"""How loud a sound is, where it sounds, and the gain that brings it to a level.

Levels are in dB of full scale: the root mean square (RMS), where a constant 1 is 0 dB and a full sine -3 dB. Silence
and sound are told apart in frames of 10 ms, relative to the loudest frame of the clip, so that a quiet recording is
trimmed as a loud one is. Waveforms are [channels, samples], of any floats and on any device.

There are three loudnesses, on purpose. What a network learns has its sounding part at one level (`levelled`). What a
judge hears has one RMS over the whole clip, as when the frozen classifier was trained (hearing). What a person plays
is made even by longer moments, as ears take loudness in, and with room for peaks (players).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

FRAME = 0.010  # seconds
SOUNDING = -30.0  # dB of the loudest frame; what is quieter does not count for loudness
SILENT = -60.0  # dB of full scale; a clip below it is silence, and is not made louder
FLOOR = -120.0  # dB of full scale; the level of digital silence
FULL_SCALE = 0.999  # what reaches it stands at full scale
RUN = 3  # samples in a row at full scale that are clipped rather than loud


def decibels(power: float) -> float:
    """10 log10 of a power, FLOOR at least."""
    return max(FLOOR, 10 * math.log10(power)) if power > 0 else FLOOR


def level_db(waveform: Tensor) -> float:
    """RMS of all samples and channels in dB of full scale, FLOOR at least."""
    return decibels(float(waveform.double().square().mean())) if waveform.numel() else FLOOR


def peak_db(waveform: Tensor) -> float:
    """The loudest sample in dB of full scale, FLOOR at least."""
    return decibels(float(waveform.double().abs().max()) ** 2) if waveform.numel() else FLOOR


def sounding_db(waveform: Tensor, rate: int, frame: float = FRAME, within: float = SOUNDING) -> float:
    """RMS of the frames within 30 dB of the loudest, in dB of full scale: silence around a sound does not count.

    frame: seconds; within: dB of the loudest frame, a negative number.
    """
    powers, sizes = _frames(waveform, rate, frame)
    loud = powers >= powers.max() * 10 ** (within / 10)
    return decibels(float((powers * sizes)[loud].sum() / sizes[loud].sum()))


def sounding_part(waveform: Tensor, rate: int, below: float) -> tuple[int, int]:
    """First sample and the one after the last of what is not silence at the ends: (0, samples) of digital silence.

    Silence are frames `below` dB, a negative number, or more under the loudest frame.
    """
    powers, sizes = _frames(waveform, rate, FRAME)
    loud = torch.nonzero(powers > powers.max() * 10 ** (below / 10)).flatten()
    if not len(loud):
        return 0, waveform.shape[1]
    start = int(loud[0]) * int(sizes[0])
    return start, start + int(sizes[int(loud[0]) : int(loud[-1]) + 1].sum())


def gain(waveform: Tensor, rate: int, loudness: float) -> float:
    """What brings the sounding part to `loudness` dB, or less where a peak would pass full scale.

    1 for silence, which is below SILENT: a gain would make noise of it.
    """
    level = sounding_db(waveform, rate)
    if level < SILENT:
        return 1.0
    return min(10 ** ((loudness - level) / 20), 1 / float(waveform.abs().max()))


def levelled(waveform: Tensor, rate: int, loudness: float) -> Tensor:
    """The waveform at a loudness, see `gain`; silence is left as it is."""
    factor = gain(waveform, rate, loudness)
    return waveform if factor == 1 else (waveform * factor).clamp(-1, 1)  # rounding can pass full scale


def clipped(waveform: Tensor) -> bool:
    """Whether any channel stays at full scale, on one side, for RUN samples in a row."""
    for full in (waveform >= FULL_SCALE, waveform <= -FULL_SCALE):
        if full.shape[1] >= RUN and bool(full.unfold(1, RUN, 1).all(-1).any()):
            return True
    return False


def _frames(waveform: Tensor, rate: int, seconds: float) -> tuple[Tensor, Tensor]:
    """Mean square of each frame, and the samples in it, both float64 [frames]; the last may be shorter."""
    size = max(1, round(seconds * rate))
    squares = waveform.double().square().mean(dim=0)
    sizes = torch.full((-(-len(squares) // size),), size, dtype=torch.float64, device=squares.device)
    sizes[-1] = len(squares) - size * (len(sizes) - 1)
    return pad(squares, (0, -len(squares) % size)).reshape(-1, size).sum(dim=1) / sizes, sizes
