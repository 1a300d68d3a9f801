"""F0 of tones that are known exactly, of what has none, and tones of contours that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio import Clip
from modalities.audio.pitch import RATE, Tones, agreement, contour, tone_contour, voiced_share
from pfgm_science.errors import ConfigError, DataError

CONTOURS = {"1": (200, 200, 200), "2": (150, 170, 220), "3": (150, 110, 120), "4": (230, 180, 120)}


def harmonic(f0: np.ndarray, rate: int, count: int = 8) -> np.ndarray:
    """Harmonics of an F0 a sample, below half the rate, at 1/k of the first."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    parts = [np.sin(k * phase) / k for k in range(1, count + 1) if k * f0.max() < rate / 2]
    return np.asarray(0.1 * np.sum(parts, axis=0))


def spoken(name: str, shift: float = 0.0, seed: int = 0) -> Clip:
    """0.3 s of a tone, `shift` octaves up, with a little noise."""
    f0 = np.interp(np.linspace(0, 2, 2400), [0, 1, 2], CONTOURS[name]) * 2**shift
    noise = np.random.default_rng(seed).standard_normal(2400)
    return Clip(torch.tensor(harmonic(f0, 8000) + 0.002 * noise, dtype=torch.float32)[None], 8000)


@given(st.floats(80, 590), st.sampled_from([8000, 16000, 44100]))
@settings(max_examples=30, deadline=None)
def test_a_harmonic_tone_has_its_f0_within_half_a_percent(f0: float, rate: int) -> None:
    found, voiced = contour(harmonic(np.full(rate // 4, f0), rate), rate)
    assert voiced.all() and np.abs(found / f0 - 1).max() < 0.005


def test_a_waveform_with_a_gradient_is_heard() -> None:
    wave = torch.from_numpy(harmonic(np.full(2000, 150.0), 8000))
    assert np.allclose(contour(wave.requires_grad_(), 8000)[0], contour(wave.detach().numpy(), 8000)[0])
    assert np.isfinite(tone_contour(Clip(wave[None], 8000))).all()


def test_a_glide_is_followed() -> None:
    f0 = np.geomspace(120, 240, RATE // 2)
    found, voiced = contour(harmonic(f0, RATE), RATE)
    middle = f0[np.arange(len(found)) * 160 + 200]  # a frame compares its 25 ms with those one period on
    assert voiced.all() and np.abs(found / middle - 1).max() < 0.03


def test_loudness_and_a_second_channel_change_nothing() -> None:
    wave = harmonic(np.full(4000, 150.0), 8000)
    plain, both = contour(wave, 8000), contour(np.stack([wave, wave]), 8000)
    louder = contour(5 * wave, 8000)
    for other in (both, louder):
        assert np.allclose(plain[0], other[0], rtol=1e-3) and (plain[1] == other[1]).all()


@pytest.mark.parametrize("power", [0, 1, 2])
def test_noise_of_any_colour_and_silence_have_no_voice(power: int) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(power).standard_normal(16000))
    wave = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (power / 2))
    clip = Clip(torch.tensor(0.5 * wave / np.abs(wave).max(), dtype=torch.float32)[None], 16000)
    assert voiced_share(clip) < 0.05
    assert not contour(np.zeros(4000), 16000)[1].any()


def test_librosa_finds_the_same_f0() -> None:
    librosa = pytest.importorskip("librosa")
    wave = harmonic(np.geomspace(120, 240, RATE // 2), RATE)
    ours = contour(wave, RATE)[0]
    theirs = librosa.yin(wave, fmin=70, fmax=600, sr=RATE, frame_length=1024, hop_length=160, center=False)
    count = min(len(ours), len(theirs)) - 5
    assert np.median(np.abs(ours[:count] / theirs[:count] - 1)) < 0.02


def test_start_middle_and_end() -> None:
    start, middle, end = tone_contour(spoken("4"))
    assert 200 < start < 230 and 160 < middle < 200 and 120 < end < 155
    assert np.isnan(tone_contour(Clip(torch.zeros(1, 4000), 8000))).all()


def test_tones_are_heard_for_each_speaker_and_silence_is_none() -> None:
    names, speakers, shifts = [], [], []
    for speaker, shift in (("low", -0.5), ("high", 0.7)):
        for name in CONTOURS:
            for step in (-0.05, 0.0, 0.05):
                names.append(name)
                speakers.append(speaker)
                shifts.append(shift + step)
    clips = [spoken(name, shift, seed) for seed, (name, shift) in enumerate(zip(names, shifts, strict=True))]
    reference = Tones.of(clips, names, speakers)
    assert agreement(clips, names, reference, speakers) == 1.0
    new = [spoken("2", -0.48, 90), spoken("3", 0.72, 91), Clip(torch.zeros(1, 3000), 8000)]
    assert reference.heard(new, ["low", "high", "low"]).tolist() == ["2", "3", ""]
    assert agreement(new, ["2", "1", "1"], reference, ["low", "high", "low"]) == pytest.approx(1 / 3)


def test_what_cannot_be_judged_is_refused() -> None:
    clips = [spoken(name) for name in CONTOURS]
    with pytest.raises(ConfigError, match="between 40 and 2000"):
        contour(np.zeros(100), 8000, lowest=20)
    with pytest.raises(DataError, match="one a clip"):
        Tones.of(clips, ["1"])
    with pytest.raises(DataError, match="of tone 4"):
        Tones.of([*clips[:3], Clip(torch.zeros(1, 3000), 8000)], list(CONTOURS))
    with pytest.raises(DataError, match="'other' are not known"):
        Tones.of(clips, list(CONTOURS)).heard(clips[:1], ["other"])
