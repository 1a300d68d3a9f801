"""What judges hear of a clip: one channel at their rate and loudness, whatever the clip is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modalities.audio import Clip
from modalities.audio.hearing import waves
from modalities.audio.levels import level_db
from pfgm_science.errors import DataError


def test_waves_are_one_channel_at_one_rate_and_loudness() -> None:
    stereo = Clip(torch.stack([torch.ones(800), torch.zeros(800)]) * torch.sin(torch.arange(800.0)), 8000)
    (heard,) = waves([stereo], 16000, -23)
    assert heard.shape == (1600,) and heard.dtype == np.float32
    assert level_db(torch.from_numpy(heard)[None]) == pytest.approx(-23, abs=1e-3)
    (silent,) = waves([Clip(torch.zeros(1, 10), 8000)], 8000, -23)
    assert not silent.any()
    with pytest.raises(DataError, match="sound 1"):
        waves([stereo, None], 8000)  # type: ignore[list-item]


def test_odd_clips_are_heard_too() -> None:
    tone = 0.1 * torch.sin(torch.arange(900.0))
    odd = [
        Clip(tone[None].double().requires_grad_(), 44101),
        Clip(tone[None, :1], 44100),
        Clip(torch.stack([tone, -tone]), 8000),
    ]
    heard = waves(odd, 16000, -23)
    assert [len(wave) for wave in heard] == [327, 1, 1800]
    assert all(wave.dtype == np.float32 and np.isfinite(wave).all() for wave in heard)
    assert not heard[2].any()  # channels that cancel each other
    assert waves([], 16000) == []


def test_peaks_may_pass_full_scale() -> None:
    click = torch.zeros(1, 8000).index_fill(1, torch.tensor([100]), 0.5)
    assert np.abs(waves([Clip(click, 8000)], 8000, -23)[0]).max() > 1
