"""Clips made alike: rates, channels, silence, levels and lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio.objects import Clip
from modalities.audio.preparation import (
    Preparation,
    centred,
    checked_settings,
    level_db,
    levelled,
    mixed,
    padded,
    resampled,
    sounding_db,
    sounding_part,
    trimmed,
)
from pfgm_science.errors import ConfigError

calm = settings(deadline=None, derandomize=True, max_examples=30)


def tone(frequency=440.0, rate=8000, seconds=0.5, peak=0.5):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (peak * torch.sin(2 * math.pi * frequency * time)).float()[None]


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_what_fits_is_left_as_it_is():
    wave = noise(1, 4096)
    assert torch.equal(Preparation(8000, 4096)(Clip(wave, 8000)), wave)


@calm
@given(
    rate=st.sampled_from([8000, 22050, 44100]),
    to=st.sampled_from([8000, 44100]),
    count=st.integers(1, 3000),
    given=st.integers(1, 2),
    channels=st.integers(1, 2),
    loudness=st.sampled_from([None, -23.0, 0.0]),
    trim=st.sampled_from([None, -50.0]),
    samples=st.sampled_from([1, 100, 4096]),
)
def test_any_clip_gets_the_shape_that_is_asked_for(rate, to, count, given, channels, loudness, trim, samples):
    wave = noise(given, count, seed=count)
    made = Preparation(to, samples, channels, loudness, trim)(Clip(wave.clone(), rate))
    assert made.shape == (channels, samples)
    assert made.dtype == torch.float32
    assert bool(made.isfinite().all())
    if loudness is not None:
        assert float(made.abs().max()) <= 1


def test_silence_stays_silence():
    made = Preparation(8000, 100, 2, -23.0, -50.0)(Clip(torch.zeros(1, 50), 44100))
    assert torch.equal(made, torch.zeros(2, 100))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rate": 999}, "from 1000 to 768000"),
        ({"rate": 8000.5}, "whole number"),
        ({"rate": True}, "whole number"),
        ({"samples": 0}, "samples is 0"),
        ({"channels": 3}, "1 for mono, 2 for stereo"),
        ({"loudness": 3.0}, "from -60 to 0"),
        ({"loudness": math.nan}, "loudness is nan"),
        ({"trim": 50.0}, "trim is 50.0"),
        ({"trim": "loud"}, "trim is 'loud'"),
    ],
)
def test_what_is_out_of_range_is_said(values, said):
    with pytest.raises(ConfigError, match=said):
        Preparation(**{"rate": 8000, "samples": 4096, **values})


def test_settings_are_those_that_are_given():
    assert checked_settings() == {}
    assert checked_settings(rate=8000, trim=-50, representation="mdct") == {
        "rate": 8000,
        "trim": -50,
        "representation": "mdct",
    }
    for wrong in ({"seconds": 0}, {"seconds": math.inf}, {"representation": ""}, {"representation": 3}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            checked_settings(**wrong)


def test_stereo_is_mixed_by_the_mean_and_mono_said_twice():
    left, right = noise(1, 50), noise(1, 50, seed=1)
    torch.testing.assert_close(mixed(torch.cat([left, right]), 1), (left + right) / 2)
    assert torch.equal(mixed(left, 2), torch.cat([left, left]))


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


def test_levels_of_known_waves():
    assert level_db(torch.ones(1, 100)) == 0
    assert level_db(tone(peak=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level_db(tone(peak=0.1)) == pytest.approx(-23.01, abs=0.01)
    assert level_db(torch.zeros(1, 100)) == -120
    quiet = torch.cat([torch.zeros(1, 8000), tone(peak=0.1), torch.zeros(1, 7993)], dim=1)
    assert sounding_db(quiet, 8000) == pytest.approx(-23.01, abs=0.01)
    assert level_db(quiet) < -29.9


def test_silence_around_a_sound_is_trimmed_to_the_frame():
    wave = torch.cat([torch.zeros(1, 800), tone(), torch.zeros(1, 1234)], dim=1)
    assert sounding_part(wave, 8000, -50) == (800, 4800)
    assert torch.equal(trimmed(wave, 8000, -50), tone())
    hiss = wave + 1e-4 * noise(*wave.shape)  # 70 dB below
    assert sounding_part(hiss, 8000, -50) == (800, 4800)
    assert sounding_part(hiss, 8000, -100) == (0, wave.shape[1])
    assert sounding_part(hiss * 0.01, 8000, -50) == (800, 4800)
    assert sounding_part(torch.zeros(2, 37), 8000, -50) == (0, 37)


def test_a_sound_to_the_last_odd_sample_is_whole():
    wave = noise(2, 8037)
    assert sounding_part(wave, 44100, -50) == (0, 8037)


@calm
@given(gain=st.floats(-30, 6), target=st.floats(-40, -10), before=st.integers(0, 5), after=st.integers(0, 5))
def test_loudness_is_reached_whatever_the_gain_and_the_silence(gain, target, before, after):
    wave = torch.cat([torch.zeros(1, 80 * before), tone(), torch.zeros(1, 80 * after)], dim=1) * 10 ** (gain / 20)
    assert sounding_db(levelled(wave, 8000, target), 8000) == pytest.approx(target, abs=1e-3)


def test_a_peak_limits_the_gain():
    wave = tone(peak=0.1)
    wave[0, 1000] = 0.5
    loud = levelled(wave, 8000, -3.0)
    assert float(loud.abs().max()) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(loud, wave * 2)


def test_what_is_all_but_silent_is_not_made_loud():
    hiss = noise(1, 4000) * 1e-3
    assert torch.equal(levelled(hiss, 8000, -23.0), hiss)


def test_a_short_clip_is_followed_by_silence():
    wave = noise(2, 10)
    assert torch.equal(padded(wave, 13, 8000), torch.cat([wave, torch.zeros(2, 3)], dim=1))
    assert torch.equal(padded(wave, 10, 8000), wave)


def test_a_long_clip_is_cut_with_a_fade_of_five_milliseconds():
    wave = torch.ones(1, 1000)
    cut = padded(wave, 500, 8000)
    assert cut.shape == (1, 500)
    assert torch.equal(cut[:, :460], wave[:, :460])
    np.testing.assert_allclose(cut[0, 460:], np.linspace(1, 0, 41)[1:], atol=1e-6)
    assert torch.equal(wave, torch.ones(1, 1000))
    assert padded(wave, 1, 8000).tolist() == [[0.0]]


def test_an_offset_is_taken_away_and_a_small_mean_is_left():
    wave = torch.cat([tone() + 0.1, tone() + 0.001])
    torch.testing.assert_close(centred(wave), torch.cat([tone(), tone() + 0.001]), rtol=0, atol=1e-6)
    clip = Clip(torch.cat([torch.full((1, 800), -0.1), tone() - 0.1], dim=1), 8000)
    made = Preparation(8000, 4000, trim=-50.0)(clip)
    torch.testing.assert_close(made, tone(), rtol=0, atol=1e-5)


def test_the_steps_come_in_their_order():
    wave = torch.cat([torch.zeros(2, 44100), tone(440, 44100, 1.0).repeat(2, 1)], dim=1)
    made = Preparation(8000, 4096, 1, -20.0, -50.0)(Clip(wave, 44100))
    assert sounding_db(made[:, :4000], 8000) == pytest.approx(-20, abs=0.1)
    assert float(made[0, :80].abs().max()) > 0.05  # silence at the start is gone
    assert float(made[0, -1]) == 0  # and the end is faded
