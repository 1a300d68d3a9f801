"""Clips made alike: channels, offsets and lengths, and all steps in their order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio.levels import sounding_db
from modalities.audio.objects import Clip
from modalities.audio.preparation import Preparation, centred, checked_settings, mixed, padded
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


@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_floats_and_gradients_change_nothing(rate):
    wave = noise(2, 4000)
    prepare = Preparation(8000, 500, 1, -23.0, -50.0)
    made = prepare(Clip(wave.double().requires_grad_(), rate))
    assert not made.requires_grad and made.dtype == torch.float32
    torch.testing.assert_close(made, prepare(Clip(wave, rate)))


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
