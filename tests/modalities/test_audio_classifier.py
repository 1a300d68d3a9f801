"""The classifier of sounds: what it hears, that it learns, and that the one that ships is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from modalities.audio import Clip
from modalities.audio.classifier import FEATURES, Classifier, shipped, train_classifier
from pfgm_science.data import Dataset
from pfgm_science.errors import CheckpointError, ConfigError, DataError, PfgmError


def glide(start: float, end: float, seed: int, rate: int = 8000) -> Clip:
    """A third of a second from one pitch to another, with harmonics and noise."""
    generator = torch.Generator().manual_seed(seed)
    f0 = torch.linspace(start, end, rate // 3) * (0.9 + 0.2 * torch.rand(1, generator=generator))
    phase = 2 * torch.pi * f0.cumsum(0) / rate
    wave = sum(torch.sin(k * phase) / k for k in range(1, 5)) + 0.05 * torch.randn(len(f0), generator=generator)
    return Clip(0.1 * wave[None], rate)


def glides(count: int) -> Dataset:
    """Rising and falling ones: the same frequencies in another order."""
    clips = [glide(*((150, 300) if seed % 2 else (300, 150)), seed) for seed in range(count)]
    return Dataset(clips, {"label": np.array(["down", "up"] * (count // 2))}, name="glides", licence="CC0-1.0")


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return train_classifier(glides(50), 0, epochs=10, batch_size=16)


def test_it_tells_the_order_of_time(trained: Classifier) -> None:
    assert trained.accuracy >= 0.9 and trained.classes == ("down", "up")
    new = [glide(140, 320, 1000), glide(320, 140, 1001), glide(140, 320, 1002, rate=22050)]
    probabilities, features = trained.judge(new)
    assert probabilities.argmax(1).tolist() == [1, 0, 1]
    assert features.shape == (3, FEATURES) and probabilities.dtype == features.dtype == np.float64
    assert np.allclose(probabilities.sum(1), 1)


def test_loudness_batch_and_number_of_channels_change_nothing(trained: Classifier) -> None:
    clips = [glide(150, 300, seed) for seed in range(5)]
    probabilities, features = trained.judge(clips)
    again = trained.judge(clips, batch_size=2)
    other = trained.judge([Clip(3 * torch.cat([clip.waveform] * 2), clip.rate) for clip in clips])
    for found in (again, other):
        assert np.allclose(found[0], probabilities, atol=1e-4) and np.allclose(found[1], features, atol=1e-3)
    assert trained.judge([])[0].shape == (0, 2)
    longest = Clip(torch.cat([clips[0].waveform, torch.zeros(1, 30000)], 1), 8000)
    assert trained.judge([longest, Clip(torch.zeros(1, 100), 8000)])[0].shape == (2, 2)


def test_it_is_the_same_from_the_same_seed() -> None:
    first, second, other = (train_classifier(glides(20), seed, epochs=1, batch_size=8) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


def test_a_file_holds_all_of_it(trained: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "glides.safetensors"
    trained.save(path)
    loaded = Classifier.load(path)
    clips = [glide(150, 300, 3)]
    assert np.array_equal(loaded.judge(clips)[1], trained.judge(clips)[1])
    assert (loaded.classes, loaded.accuracy, loaded.recipe) == (trained.classes, trained.accuracy, trained.recipe)
    assert loaded.recipe["data"] == "glides" and loaded.recipe["clips"] == 40
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="not a classifier of sounds"):
        Classifier.load(path)


def test_what_cannot_be_learned_is_refused() -> None:
    data = glides(20)
    with pytest.raises(DataError, match="no condition 'tone'"):
        train_classifier(data, label="tone")
    with pytest.raises(DataError, match="on both sides"):
        train_classifier(data.take(np.arange(0, 20, 2)), held_out=data.take(np.arange(1, 20, 2)))
    with pytest.raises(ConfigError, match="two classes"):
        Classifier(["one"])
    with pytest.raises(ConfigError, match="0.16 s or more"):
        Classifier(["one", "two"], seconds=0.15)
    for rate in (2000, 8000, 44100):
        shortest = Classifier(["one", "two"], rate=rate, seconds=0.16)
        assert shortest.judge([glide(150, 300, 0)])[0].shape == (1, 2)


def test_one_ships_with_its_recipe() -> None:
    drums = shipped("drums")
    assert len(drums.classes) == 7 and 0.6 < drums.accuracy < 1 and drums.recipe["clips"] > 500
    classifier = shipped()
    assert len(classifier.classes) == 8 and classifier.accuracy > 0.97
    assert classifier.recipe["data"] == "syllables" and classifier.recipe["licence"]
    probabilities, features = classifier.judge([glide(150, 300, 0)])
    assert probabilities.shape == (1, 8) and features.shape == (1, FEATURES)
    with pytest.raises(PfgmError, match="syllables"):
        shipped("spoken-words")
