"""Sounds at another rate: tones stay, what the rate cannot hold goes, and no rate is out of reach."""

from __future__ import annotations

import math

import pytest
import torch

from modalities.audio.levels import level_db
from modalities.audio.resampling import resampled


def tone(frequency=440.0, rate=8000, seconds=0.5, peak=0.5):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (peak * torch.sin(2 * math.pi * frequency * time)).float()[None]


@pytest.mark.parametrize("rate", [44100, 48000, 22050, 11025, 192_000, 44101])
def test_a_tone_is_the_same_at_another_rate(rate):
    got = resampled(tone(1000, rate), rate, 8000)
    wanted = tone(1000)
    assert got.shape == wanted.shape
    inner = slice(500, -500)
    tolerance = 1e-4 if rate != 44101 else 2e-3  # by SciPy, whose filter is shorter
    torch.testing.assert_close(got[:, inner], wanted[:, inner], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("rate", "below"), [(44100, -100), (44101, -60)])
def test_what_the_lower_rate_cannot_hold_is_gone(rate, below):
    got = resampled(tone(4400 if rate == 44100 else 5000, rate, peak=1.0), rate, 8000)
    assert level_db(got[:, 500:-500]) < below


def test_both_channels_are_resampled_alike():
    wave = torch.cat([tone(300, 44100), tone(500, 44100)])
    both = resampled(wave, 44100, 8000)
    for channel in range(2):
        torch.testing.assert_close(both[channel], resampled(wave[channel : channel + 1], 44100, 8000)[0])


@pytest.mark.parametrize("plain", [False, True])
def test_rates_without_a_common_divisor_need_no_gigabytes(plain):
    got = resampled(tone(1000, 44101), 44101, 16000, plain=plain)
    torch.testing.assert_close(got[:, 500:-500], tone(1000, 16000)[:, 500:-500], rtol=0, atol=2e-3)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("rate", [44100, 44101, 16000])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_shortest_clips_have_a_sample_left(rate, count, plain):
    got = resampled(torch.ones(2, count), rate, 16000, plain=plain)
    assert got.shape == (2, math.ceil(count * 16000 / rate)) and bool(got.isfinite().all())


@pytest.mark.parametrize("rate", [44100, 44101])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_the_kind_of_floats_stays_and_gradients_do_no_harm(rate, dtype):
    wave = tone(1000, rate).to(dtype).requires_grad_()
    got = resampled(wave, rate, 8000).detach()
    assert got.dtype == dtype
    torch.testing.assert_close(got[:, 500:-500].float(), tone(1000)[:, 500:-500], rtol=0, atol=2e-3)
