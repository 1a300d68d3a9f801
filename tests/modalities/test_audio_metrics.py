"""Measures of sounds: exact where they can be, and in the right order where they cannot."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio import Clip, metrics
from modalities.audio.classifier import Classifier
from modalities.audio.metrics import (
    Reference,
    evaluate,
    features,
    inception_scores,
    is_noise,
    levels,
    log_spectral_distance,
    noise_alarm,
    noisy,
    snr_db,
)
from modalities.audio.pitch import Tones
from pfgm_science.errors import ConfigError, DataError


def noise(seed: int, power: float = 0.0, samples: int = 4096, rate: int = 8000, quiet: int = 0) -> Clip:
    """Gaussian noise of a spectrum f^-power, the last `quiet` samples silent."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    wave = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (power / 2), samples)
    wave[samples - quiet :] = 0
    return Clip(torch.tensor(0.3 * wave / np.abs(wave).max(), dtype=torch.float32)[None], rate)


def drum(seed: int, rate: int = 16000, decay: float = 0.05) -> Clip:
    """A snare: noise that dies away, and a short low tone."""
    time = torch.arange(rate // 3) / rate
    hiss = torch.randn(len(time), generator=torch.Generator().manual_seed(seed))
    return Clip((0.2 * (hiss + torch.sin(2 * torch.pi * 180 * time)) * torch.exp(-time / decay))[None], rate)


def voice(seed: int, rate: int = 8000) -> Clip:
    """Harmonics of a gliding pitch that swell, dip and end, as two syllables do."""
    generator = torch.Generator().manual_seed(seed)
    f0 = 120 + 100 * torch.rand(2, generator=generator)
    time = torch.linspace(0, 1, rate // 2)
    phase = 2 * torch.pi * (f0[0] + (f0[1] - f0[0]) * time).cumsum(0) / rate
    wave = sum(torch.sin(k * phase) / k for k in range(1, 9)) * torch.sin(2 * torch.pi * time).abs()
    return Clip((0.1 * wave + 0.001 * torch.randn(len(time), generator=generator))[None], rate)


@cache
def voices(start: int, count: int) -> list[Clip]:
    return [voice(seed) for seed in range(start, start + count)]


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_noise_of_any_colour_is_noise(power: float, rate: int) -> None:
    clips = [noise(seed, power, rate // 2, rate, quiet=rate // 10 * (seed % 2)) for seed in range(6)]
    assert is_noise(clips) == 1.0


def test_voices_drums_tones_and_silence_are_none() -> None:
    time = torch.arange(8000) / 16000
    chord = sum(torch.sin(2 * torch.pi * 310 * k * time) for k in (1, 1.37, 2.11, 2.93))
    others = [Clip(0.1 * chord[None], 16000), Clip(torch.zeros(1, 8000), 8000), Clip(torch.ones(1, 3), 8000)]
    assert not noisy([*voices(0, 5), *map(drum, range(5)), *others]).any()
    assert math.isnan(is_noise([]))


def test_a_click_after_the_last_whole_frame_is_no_noise() -> None:
    click = torch.zeros(1, 1500).index_fill(1, torch.tensor([1480]), 0.5)
    assert not noisy([Clip(click, 16000)]).any()


def test_the_alarm_says_so_unless_real_clips_are_noise_too() -> None:
    bad = [noise(seed) for seed in range(6)] + voices(0, 4)
    assert noise_alarm(bad, voices(10, 5)).startswith("60% of 10 generated clips are noise (0% of the real ones)")
    assert "Train for longer" in noise_alarm(bad)
    assert noise_alarm(voices(0, 5)) == "" == noise_alarm(bad, bad)


def test_features_know_level_and_order() -> None:
    clip = voice(0)
    plain, louder, back = features(
        [clip, Clip(2 * clip.waveform, clip.rate), Clip(clip.waveform.flip(1), clip.rate)]
    ).reshape(3, 4, -1)
    heard = plain[0] > metrics.FLOOR + 40
    assert heard.any() and np.allclose((louder - plain)[0][heard], 20 * np.log10(2), atol=0.3)
    assert np.allclose(back[:2], plain[:2], atol=0.8)
    assert np.allclose(back[2], -plain[2], atol=1.5) and np.abs(plain[2]).max() > 5
    assert features([]).shape == (0, 96)


def test_a_sine_at_full_scale_has_minus_three_decibels() -> None:
    time = torch.arange(16000) / 16000
    level = features([Clip(torch.sin(2 * torch.pi * 1000 * time)[None], 16000)])[0, : metrics.BANDS]
    assert 10 * np.log10((10 ** (level / 10)).sum()) == pytest.approx(-3.0, abs=0.6)


def test_distances_order_what_is_wrong() -> None:
    real, train = voices(0, 40), voices(100, 80)
    reference = Reference(real, train, embeddings=())
    rows = {
        name: reference.evaluate(clips)
        for name, clips in {
            "good": voices(300, 40),
            "noise": [noise(seed) for seed in range(40)],
            "backwards": [
                Clip(clip.waveform[:, : 3 * clip.samples // 4].flip(1), clip.rate) for clip in voices(300, 40)
            ],
            "copies": train[:40],
        }.items()
    }
    good = rows["good"]
    assert good["log-mel clips"] == 40
    assert good["log-mel Frechet ratio"] < 1.5 < rows["backwards"]["log-mel Frechet ratio"]
    assert 10 < rows["noise"]["log-mel Frechet ratio"]
    assert good["log-mel kernel"] < 0.05 < rows["noise"]["log-mel kernel"]
    assert good["noise"] == 0 and rows["noise"]["noise"] == 1
    assert 0.6 < good["log-mel nearest training clip"] < 1.5
    assert rows["copies"]["log-mel nearest training clip"] < 0.01 and rows["copies"]["log-mel near copies"] == 1
    assert (
        rows["good"]
        == reference.evaluate(voices(300, 40))
        == evaluate(voices(300, 40), real, train=train, embeddings=())
    )


def test_classes_and_tones_are_among_the_measures() -> None:
    torch.manual_seed(0)
    classifier = Classifier(["a", "b", "c"])
    real, new = voices(0, 12), voices(50, 12)
    said = np.array(classifier.classes)[classifier.judge(new)[0].argmax(1)]
    tones = Tones.of(real, ["x", "y"] * 6)
    found = evaluate(new, real, classifier=classifier, tones=tones, labels=said, tone=["x"] * 12, embeddings=())
    assert found["class accuracy"] == 1.0
    assert 0 <= found["F0 agreement"] <= 1
    assert {"FID", "FID floor", "IS", "mIS", "AM", "IS real", "missing classes", "level", "clipped"} <= set(found)
    assert all(isinstance(value, float) for value in found.values())
    with pytest.raises(DataError, match="a, b, c"):
        evaluate(new, real, classifier=classifier, labels=["d"] * 12, embeddings=())
    with pytest.raises(ConfigError, match="no embedding 'words'"):
        Reference(real, embeddings=["words"])
    with pytest.raises(DataError, match="2 generated"):
        evaluate(new[:2], real, embeddings=())


def test_scores_of_sure_and_of_unsure_classifiers() -> None:
    sure, flat = np.eye(4)[np.arange(20) % 4], np.full((20, 4), 0.25)
    best = inception_scores(sure, sure)
    assert best["IS"] == pytest.approx(4, abs=1e-6) and best["AM"] == pytest.approx(0, abs=1e-6)
    assert best["mIS"] == pytest.approx(math.exp(0.75 * math.log(1 / metrics.LEAST)), rel=1e-3)
    unsure = inception_scores(flat, sure)
    assert unsure["IS"] == unsure["mIS"] == pytest.approx(1) and unsure["AM"] == pytest.approx(math.log(4))
    one = inception_scores(sure[[0] * 8], sure)
    assert one["IS"] == pytest.approx(1) and one["AM"] > 5
    with pytest.raises(DataError, match="alike"):
        inception_scores(sure[:, :2], sure)


def test_mis_is_the_mean_over_all_pairs() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    pairs = [np.sum(a * np.log(a / b)) for a in p for b in p]
    assert inception_scores(p, p)["mIS"] == pytest.approx(math.exp(np.mean(pairs)))
    alone = [np.sum(a * np.log(a / p.mean(0))) for a in p]
    assert inception_scores(p, p)["IS"] == pytest.approx(math.exp(np.mean(alone)))


def test_levels() -> None:
    square = Clip(torch.tensor([[0.5, -0.5] * 50]), 8000)
    full = Clip(torch.cat([torch.ones(1, 3), torch.zeros(1, 97)], 1), 8000)
    touching = Clip(torch.tensor([[1.0, 0.0] * 50]), 8000)
    silent = Clip(torch.zeros(1, 100), 8000)
    found = levels([square, square, full, touching, silent])
    assert levels([square])["level"] == levels([square])["peak"] == pytest.approx(20 * math.log10(0.5))
    assert found["clipped"] == 0.2 and found["silent"] == 0.2
    assert math.isnan(levels([silent])["level"])
    assert all(math.isnan(value) for value in levels([]).values())


@given(st.floats(-30, 60), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_snr_is_what_was_added(snr: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    wave, error = torch.randn(2, 1, 1000, generator=generator, dtype=torch.float64)
    error *= wave.norm() / error.norm() * 10 ** (-snr / 20)
    assert snr_db(Clip(wave, 8000), Clip(wave + error, 8000)) == pytest.approx(snr, abs=1e-6)


def test_spectral_distance_of_a_gain_is_the_gain() -> None:
    clip = noise(0)
    assert log_spectral_distance(clip, clip) == 0 and snr_db(clip, clip) == math.inf
    assert log_spectral_distance(clip, Clip(2 * clip.waveform, 8000)) == pytest.approx(20 * math.log10(2), abs=0.05)
    assert log_spectral_distance(clip, noise(1)) > 5
    with pytest.raises(DataError, match="one rate, length"):
        snr_db(clip, Clip(clip.waveform, 16000))
