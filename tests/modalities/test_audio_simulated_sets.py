"""Tones made by formula are what their conditions say."""

from __future__ import annotations

import numpy as np
import pytest

from modalities.audio.datasets import load
from modalities.audio.levels import level_db
from pfgm_science.errors import ConfigError


def strongest(wave: np.ndarray, rate: int) -> float:
    """The frequency of the largest peak of the spectrum, in Hz."""
    padded = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 15))
    return float(padded.argmax() * rate / (1 << 15))


def test_pitch_contour_and_loudness_are_those_of_the_conditions() -> None:
    data = load("tones:count=40:seed=3")
    for clip, label, pitch, level in zip(
        data.objects, data.condition["label"], data.condition["pitch"], data.condition["loudness"], strict=True
    ):
        wave = clip.waveform[0].numpy()
        assert level_db(clip.waveform) == pytest.approx(10 * level[0], abs=0.6)  # peaks may have been cut
        third = len(wave) // 3
        start, middle, end = (strongest(wave[i * third : (i + 1) * third], clip.rate) for i in range(3))
        low = {"rising": start < end, "falling": start > end, "dipping": middle < min(start, end), "flat": True}
        assert low[label]
        if label == "flat":
            ratio = middle / (220 * 2 ** pitch[0])
            assert abs(ratio - round(ratio)) < 0.03 and round(ratio) >= 1


def test_the_same_seed_makes_the_same_tones() -> None:
    first, again, other = (load(f"tones:count=5:seed={seed}") for seed in (1, 1, 2))
    assert all(np.array_equal(a.waveform, b.waveform) for a, b in zip(first.objects, again.objects, strict=True))
    assert not np.array_equal(first.objects[0].waveform, other.objects[0].waveform)


def test_a_setting_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="count=2000"):
        load("tones:number=5")


@pytest.mark.parametrize("settings", ["count=0", "count=-3", "seed=-1"])
def test_settings_out_of_range_are_refused(settings: str) -> None:
    with pytest.raises(ConfigError, match="at least 1 clip"):
        load(f"tones:{settings}")
