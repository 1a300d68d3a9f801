"""What a judge hears: one channel, at the rate it wants, at one loudness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from modalities.audio.levels import FLOOR, level_db
from modalities.audio.objects import Clip, checked
from modalities.audio.preparation import mixed
from modalities.audio.resampling import resampled

Array = np.ndarray[Any, Any]


def waves(clips: Sequence[Clip], rate: int, level: float | None = None) -> list[Array]:
    """The mean of the channels of each clip at `rate` Hz: float32 [samples].

    level: RMS of the whole clip in dB of full scale that each is brought to, peaks beyond it or not, since nobody plays
    it; None leaves it. Digital silence stays silence. Raises DataError that names a clip which cannot be used.
    """
    return [_heard(clip, rate, level).numpy() for clip in checked(clips)]


def _heard(clip: Clip, rate: int, level: float | None) -> Tensor:
    wave = resampled(mixed(clip.plain, 1), clip.rate, rate, plain=True)
    if level is not None and (own := level_db(wave)) > FLOOR:
        wave = wave * 10 ** ((level - own) / 20)
    return wave[0]
