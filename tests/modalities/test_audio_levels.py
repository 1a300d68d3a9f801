"""How loud sounds are: levels of known waves, silence and sound, gains, and what is clipped."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio.levels import FLOOR, clipped, gain, level_db, levelled, peak_db, sounding_db, sounding_part
from modalities.audio.preparation import trimmed

calm = settings(deadline=None, derandomize=True, max_examples=30)


def tone(frequency=440.0, rate=8000, seconds=0.5, peak=0.5):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (peak * torch.sin(2 * math.pi * frequency * time)).float()[None]


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1


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


def test_silence_gets_no_gain_and_has_the_level_of_the_floor():
    silent = torch.zeros(2, 100)
    assert level_db(silent) == sounding_db(silent, 8000) == peak_db(silent) == FLOOR
    assert gain(silent, 8000, -23.0) == 1.0
    assert torch.equal(levelled(silent, 8000, -23.0), silent)


def test_the_peak_is_that_of_the_loudest_channel():
    assert peak_db(torch.tensor([[0.1, 0.0], [0.0, -0.5]])) == pytest.approx(20 * math.log10(0.5))


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([1.0, 1.0, 1.0], True),
        ([-1.0, -1.0, -1.0], True),
        ([0.0, 0.9991, 1.0, 1.0], True),
        ([1.0, -1.0, 1.0], False),
        ([1.0, 1.0, 0.9, 1.0, 1.0], False),
        ([1.0, 1.0], False),
        ([1.0], False),
    ],
)
def test_three_samples_on_one_side_are_clipped(samples, found):
    wave = torch.tensor([samples])
    assert clipped(wave) is found
    assert clipped(torch.cat([torch.zeros_like(wave), wave]).double()) is found


@pytest.mark.parametrize("count", [1, 79, 80, 81])
def test_clips_of_a_frame_or_less_have_a_level(count):
    wave = torch.full((1, count), 0.1)
    assert sounding_db(wave, 8000) == pytest.approx(-20)
    assert sounding_part(wave, 8000, -50) == (0, count)
