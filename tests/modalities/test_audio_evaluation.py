"""Sounds evaluated: real clips are put beside samples as the model hears them, and noise is called noise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modalities.audio.adapter import Audio
from modalities.audio.levels import sounding_db
from modalities.audio.mending import Part
from modalities.audio.objects import Clip
from pfgm_science.cli import main
from pfgm_science.data import Dataset
from pfgm_science.distance import Distance
from pfgm_science.evaluation import evaluate
from pfgm_science.model import Model, fit


def tone(seed: int) -> Clip:
    """A decaying tone at another rate and loudness than the model's, with silence around it."""
    generator = np.random.default_rng(seed)
    n = torch.arange(6000)
    wave = float(generator.uniform(0.05, 0.5)) * torch.sin(2 * math.pi * generator.uniform(200, 900) * n / 22050)
    wave = torch.nn.functional.pad(wave * torch.exp(-3 * n / 6000), (1000, 1000))
    return Clip(wave.float()[None], 22050)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset([tone(seed) for seed in range(80)], name="tones")


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    folder = tmp_path_factory.mktemp("run")
    adapter = Audio(rate=8000, seconds=0.25, loudness=-23.0, trim=-40.0)
    network = {"channels": 8, "multipliers": [1, 2], "embedding": 16}
    return fit(adapter, data, folder=folder, steps=2, batch_size=4, network=network), folder


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfgm_science.evaluation.REPEATS", 2)
    monkeypatch.setattr("pfgm_science.evaluation.CLASSIFIERS", 1)


def test_what_is_real_lies_at_the_floor(
    run: tuple[Model, Path], data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real clips as the model hears them, in place of samples: no farther from the data than these from themselves."""
    model, _ = run
    heard = model.adapter.prepared(data.objects)  # type: ignore[attr-defined]
    monkeypatch.setattr(Model, "sample", lambda self, count, **how: heard[:count])
    found = {row.name: row for row in evaluate(model, data, count=40).rows}
    assert found["Fréchet distance"].value < 2 * found["Fréchet distance"].floor
    assert found["Distance to training set"].value < 1
    raw = model.adapter.features(data.objects)
    assert np.abs(raw - model.adapter.features(heard)).max() > 1  # so that it matters which are compared
    distance = Distance(data)
    assert distance.between(model, heard) < 1e-6 < distance.between(model, data.objects)


def test_the_page_plays_what_was_compared(run: tuple[Model, Path], data: Dataset) -> None:
    model, _ = run
    found = evaluate(model, data, count=20, evaluations=3)
    assert {(clip.rate, clip.samples) for clip in found.real} == {(8000, model.adapter.samples)}  # type: ignore[attr-defined]
    assert {clip.rate for clip in found.nearest} == {8000}


def test_noise_fails_an_evaluation(
    run: tuple[Model, Path], data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Samples of two steps of training, by the command that a user types: figures, a page, and a failure."""
    model, folder = run
    assert "are noise" in evaluate(model, data, count=20, evaluations=3).alarm
    monkeypatch.setattr("pfgm_science.commands.training_data", lambda model, args: data)
    out = tmp_path / "page"
    assert main(["evaluate", str(folder), "--count", "20", "--evaluations", "3", "--out", str(out)]) == 2
    assert "are noise" in capsys.readouterr().err
    assert "are noise" in (out / "report.html").read_text(encoding="utf-8")


def test_new_sounds_have_the_loudness_of_training(run: tuple[Model, Path]) -> None:
    """Of which nothing was given: what is kept of a given sound is not made louder or quieter."""
    model, _ = run
    adapter: Any = model.adapter
    for clip in model.sample(4, evaluations=3):
        assert sounding_db(clip.waveform, clip.rate) == pytest.approx(-23.0, abs=0.1)
    heard = adapter.prepared([tone(0)])[0].waveform[None] / 2
    free = torch.arange(adapter.samples) > adapter.samples // 2
    (kept,) = model.sample(1, keep=Part(heard, free, repeats=1), evaluations=3)
    start = adapter.samples // 4
    torch.testing.assert_close(kept.waveform[:, :start], heard[0, :, :start], atol=1e-3, rtol=0)
