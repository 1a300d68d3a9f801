"""Is it only noise? What a generator gives that has learned nothing, told from speech, drums and tones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from modalities.audio import pitch
from modalities.audio.hearing import waves
from modalities.audio.levels import FLOOR, level_db
from modalities.audio.objects import Clip
from modalities.audio.spectra import power

Array = np.ndarray[Any, Any]

STEADY = 4.5  # dB: noise varies by 2 to 4 in time, syllables by 5 and more, drums decay by far more
FLAT = 0.4  # geometric over arithmetic mean of neighbouring bins: noise 0.6, tones below 0.1
VOICED = 0.5  # share of frames with a period, from which it is a held tone rather than noise
ALARM = 0.5  # share of noise among clips from which they are said to be noise

_RATE, _WINDOW, _GROUP = 16000, 512, 8  # Hz, samples, and bins a band
_HEARD = 40.0  # dB below the loudest band or frame that still count


def noisy(clips: Sequence[Clip]) -> Array:
    """Whether each clip is steady noise, white or coloured, and no sound with a course or a pitch: bool [n].

    All of: the level of its bands (250 Hz wide) varies by less than STEADY in time, the median over bands; within bands
    the spectrum is flat, more than FLAT; and no more than VOICED of it has a period. Silence around it does not count.
    A clip that is silent or shorter than 64 ms is not called noise.
    """
    return np.array([_noise(clip, wave) for clip, wave in zip(clips, waves(clips, _RATE), strict=True)], dtype=bool)


def is_noise(clips: Sequence[Clip]) -> float:
    """Share of clips that are noise, see `noisy`; NaN without clips."""
    return float(noisy(clips).mean()) if len(clips) else float("nan")


def noise_alarm(clips: Sequence[Clip], real: Sequence[Clip] | None = None) -> str:
    """What to say when samples are noise, "" when they are not: when half are, and real clips, if given, are not."""
    share = is_noise(clips)
    usual = is_noise(real) if real is not None and len(real) else 0.0
    if not share >= ALARM or share < 3 * usual:
        return ""
    beside = f" ({usual:.0%} of the real ones)" if real is not None else ""
    return (
        f"{share:.0%} of {len(clips)} generated clips are noise{beside}. Train for longer, until the loss has levelled "
        "off; check that the clips have one rate and loudness, and that a saved model is sampled with its own settings"
    )


def _noise(clip: Clip, wave: Array) -> bool:
    sound = torch.from_numpy(wave)
    if len(wave) < 2 * _WINDOW or level_db(sound[None]) <= FLOOR:
        return False
    found = power(sound, _WINDOW, _WINDOW // 2, edges="").double().numpy()[1:]
    frames = found.sum(0)
    if not frames.any():  # all that sounds is what is left over at the end
        return False
    found = found[:, frames > frames.max() * 10 ** (-_HEARD / 10)]
    bands = found.reshape(-1, _GROUP, found.shape[1])
    tiny = 1e-12 * bands.max()
    level = 10 * np.log10(bands.mean(1) + tiny)
    heard = bands.mean((1, 2)) > bands.mean((1, 2)).max() * 10 ** (-_HEARD / 10)
    flat = np.exp(np.log(bands + tiny).mean(1)) / (bands.mean(1) + tiny)
    steady = np.median(level[heard].std(1)) < STEADY
    return bool(steady and np.median(flat[heard]) > FLAT and pitch.voiced_share(clip) <= VOICED)
