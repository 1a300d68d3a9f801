"""The judges of images and the measures made with them; the benchmark on digits, briefly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import images
from benchmarks.runner import Table
from modalities.images.judges import Classifier, train_classifier
from modalities.images.metrics import pixel_features
from pfgm_science.errors import CheckpointError


def test_the_frozen_classifier_has_the_accuracy_it_states() -> None:
    _, held_out, _ = images.data("digits")
    judge = images.judge("digits")
    _, probabilities = judge.judge(held_out.objects)
    right = probabilities.argmax(1) == np.asarray(held_out.condition["label"]).astype(int)
    assert right.mean() == pytest.approx(judge.accuracy, abs=0.003)
    assert judge.accuracy > 0.95
    assert np.allclose(probabilities.sum(1), 1)


def test_the_split_is_fixed_and_disjoint() -> None:
    """In three: a judge that has seen the images it is asked about would let samples beat the floor."""
    parts = images.data("digits")
    assert [len(part) for part in parts] == [1078, 359, 360]
    assert len({image.tobytes() for part in parts for image in part.objects}) == 1797


def test_distances_tell_real_images_from_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientNet is an extra: pixels stand in for its features here."""
    monkeypatch.setattr(images, "efficientnet_features", pixel_features)
    monkeypatch.setattr(images, "_real_efficientnet", lambda name: pixel_features(images.data(name)[0].objects))
    train, held_out, _ = images.data("digits")
    noise = np.random.default_rng(0).integers(0, 256, held_out.objects.shape, dtype=np.uint8)
    real, bad = images.distances(held_out.objects, train), images.distances(noise, train)
    for name in ("frechet_classifier", "frechet_efficientnet", "kernel_classifier"):
        assert bad[name] > 5 * max(real[name], 0.01)
    assert real["precision"] > 0.7 > bad["precision"]


def test_a_classifier_learns_saves_and_loads(tmp_path: Path) -> None:
    """Two classes that differ in brightness are told apart without an error."""
    rng = np.random.default_rng(0)
    pictures = np.concatenate([rng.integers(0, 100, (64, 8, 8, 1)), rng.integers(150, 256, (64, 8, 8, 1))])
    labels = np.repeat(["dark", "light"], 64)
    pictures = pictures.astype(np.uint8)
    judge = train_classifier(pictures, labels, (pictures, labels), epochs=6, batch_size=32)
    assert judge.accuracy == 1
    judge.save(tmp_path / "judge.safetensors")
    again = Classifier.load(tmp_path / "judge.safetensors")
    assert again.classes == ("dark", "light") and again.accuracy == 1
    assert np.array_equal(again.judge(pictures)[0], judge.judge(pictures)[0])


def test_a_file_that_is_no_classifier_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"not a classifier")
    with pytest.raises(CheckpointError, match="not a classifier"):
        Classifier.load(tmp_path / "bad.safetensors")


def test_the_digits_study_fills_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, held_out, judging = (part.take(np.arange(40)) for part in images.data("digits"))
    monkeypatch.setattr(images, "data", lambda name: (train, held_out, judging))
    monkeypatch.setattr(images, "efficientnet_features", pixel_features)
    monkeypatch.setattr(images, "_real_efficientnet", lambda name: pixel_features(train.objects))
    assert images.main(["digits", "--seeds", "0", "--steps", "2", "--results", str(tmp_path),
                        "--runs", str(tmp_path / "runs")]) == 0  # fmt: skip
    table = Table("images-digits", tmp_path)
    assert {(c["key"]["D"], c["key"]["conditional"]) for c in table.select(seed=0)} == {
        (128.0, False), (128.0, True), ("inf", False), ("inf", True)
    }  # fmt: skip
    assert 0 <= table.select(D=math.inf, conditional=True)[0]["figures"]["class_accuracy"] <= 1


def test_rows_of_the_sweep_share_networks_where_they_should() -> None:
    assert images._run_of("trained", math.inf)[0] == images._run_of("at-dimension", 64.0)[0] == "dinf"
    assert images._run_of("one-network", 16.0) == images._run_of("one-network", 64.0)
    assert images._run_of("trained", 16.0) == ("d16", {"dimension": 16.0})
