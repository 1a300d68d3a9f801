"""The benchmark of sounds, on tones and with tiny runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import audio, tables
from benchmarks.runner import Table
from modalities.audio import judges
from modalities.audio.adapter import Audio
from modalities.audio.classifier import Classifier, train_classifier
from modalities.audio.datasets import load
from pfgm_science.data import Dataset

NETWORK: dict[str, Any] = {"channels": 4, "multipliers": [1, 2], "embedding": 8, "attention": 0}


@pytest.fixture(scope="module")
def tones() -> Dataset:
    data = load("tones:count=80")
    return Dataset(data.objects, {"label": data.condition["label"]}, name="tones", details=data.details)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tones: Dataset) -> audio.Task:
    train, held_out = tones.split(0.5, 0)
    task = audio.Task(train, held_out)
    classifier = train_classifier(train, 0, held_out=held_out, epochs=1, seconds=0.256)
    small: dict[str, Any] = {"steps": 2, "batch_size": 4, "network": NETWORK}
    monkeypatch.setattr(audio, "task_named", lambda name: task)
    monkeypatch.setattr(audio, "shipped_classifiers", lambda: ["tones"])
    monkeypatch.setattr(audio, "shipped_classifier", lambda name: classifier)
    monkeypatch.setattr(audio, "JUDGES", {"tones": ()})
    monkeypatch.setattr(judges, "voice_available", lambda: False)
    monkeypatch.setattr(audio, "COUNT", 12)
    monkeypatch.setattr(audio, "FEWER", 8)
    monkeypatch.setattr(audio, "EVALUATIONS", 5)
    monkeypatch.setattr(audio, "FILLED", 6)
    monkeypatch.setattr(audio, "GAP_EVALUATIONS", 20)
    for budget in (audio.SHORT, audio.LONG):
        for name in audio.SETS:
            monkeypatch.setitem(budget, name, budget[name] | small)
    monkeypatch.setattr(audio, "PEERS", {})
    return task


def run(study: str, tmp_path: Path, *words: str) -> Table:
    assert audio.main([study, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path), *words]) == 0
    return Table(f"audio-{study}", tmp_path)


def test_the_long_run_stands_beside_what_is_real(tmp_path: Path) -> None:
    table = run("headline", tmp_path)
    assert len(table.cells) == 3 * 3 + 3 + 1
    model = table.find({"D": 512.0, "guidance": 1.0, "seed": 0})
    floor = table.find({"real": "training clips in place of samples", "seed": 0})
    assert model is not None and floor is not None
    assert floor["log-mel Frechet"] < model["log-mel Frechet"]
    assert 0 <= model["class accuracy"] <= 1 and "near copies" not in str(floor)
    shown = tables.render("audio-headline", tmp_path)
    assert "| D = 512, guidance 1.5 |" in shown and "| training clips in place of samples |" in shown


def test_representations_get_as_many_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "REPRESENTATIONS", {"mdct": NETWORK, "waveform": {"channels": 4, "multipliers": [1, 2]}})
    asked: dict[str, int] = {}

    def remember(arguments: Any, run: str, adapter: Audio, data: Dataset, settings: dict[str, Any]) -> Any:
        asked[adapter.representation] = settings["steps"]
        raise KeyboardInterrupt if len(asked) == 2 else LookupError

    monkeypatch.setattr(audio, "trained", remember)
    monkeypatch.setattr(audio, "operations", lambda adapter, data, network: 4.0 if not network else 2.0)
    with pytest.raises(LookupError):
        run("representations", tmp_path)
    assert asked == {"mdct": 2 * 1500}


def test_operations_are_those_of_the_layers(tones: Dataset) -> None:
    """Of one layer of a DiffWave, by hand: convolutions over 2,048 samples, and what the embedding takes."""
    network = {"kind": "diffwave", "channels": 4, "layers": 1, "cycle": 1, "embedding": 16}
    counted = audio.operations(Audio(representation="waveform"), tones, network)
    assert counted == 2048 * (1 * 4 + 4 * 8 * 3 + 4 * 8 + 4 * 4 + 4 * 1) + 2 * 16 * 16 + 16 * 4


def test_what_is_asked_for_is_what_fresh_tones_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "TOLD", audio.TOLD | {"steps": 2, "batch_size": 4, "network": NETWORK})
    table = run("control", tmp_path)
    fresh = table.find({"drawn": "fresh tones", "seed": 0})
    model = table.find({"drawn": "the model", "seed": 0})
    assert fresh is not None and model is not None
    assert fresh["semitones"] < 0.1 and fresh["dB"] < 0.1 and fresh["within half a semitone"] > 0.9
    assert model["semitones"] > 1  # of two steps of training
    assert "| fresh tones |" in tables.render("audio-control", tmp_path)


def test_gaps_are_filled_and_the_rest_is_kept(tmp_path: Path) -> None:
    table = run("gaps", tmp_path)
    assert len(table.cells) == 9
    line = table.find({"way": "a straight line", "seed": 0})
    silence = table.find({"way": "silence", "seed": 0})
    model = table.find({"way": "the model", "seed": 0})
    assert line is not None and silence is not None and model is not None
    assert line["kept"] == silence["kept"] == audio.BEST
    assert 10 < model["kept"] < audio.BEST  # but for a step beside the gap, where both are blended
    assert silence["log-spectral distance"] > 10
    assert "| silence |" in tables.render("audio-gaps", tmp_path)


def test_a_straight_line_joins_both_sides() -> None:
    waves = torch.arange(10.0).reshape(1, 1, 10)
    free = torch.zeros(10, dtype=torch.bool)
    free[4:7] = True
    filled = audio._by_line(Any, waves * ~free, free, np.array([]), 0)  # type: ignore[arg-type]
    torch.testing.assert_close(filled, waves)


def test_speed_is_counted_with_its_quality(tmp_path: Path) -> None:
    run("headline", tmp_path)
    table = run("speed", tmp_path)
    for evaluations in (35, 18, 10):
        figures = table.find({"evaluations": evaluations, "seed": 1})
        assert figures is not None and figures["real time"] == pytest.approx(0.256 * figures["a second"], rel=0.05)


def test_the_sweep_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--dimensions", "64", "inf", "--seeds", "0")
    first = run("sweep", tmp_path, *words)
    assert len(first.cells) == 5 + 4 + 3
    monkeypatch.setattr(audio, "trained", None)  # nothing is trained or measured again
    again = run("sweep", tmp_path, *words)
    assert again.cells == first.cells


def test_a_set_without_a_frozen_classifier_has_no_figures_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: audio.Task
) -> None:
    monkeypatch.setattr(audio, "task_named", lambda name: audio.Task(tiny.train, tiny.held_out))
    monkeypatch.setattr(audio, "shipped_classifiers", list)
    words = ["gaps", "--data", "drums", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    assert audio.main(words) == 0
    assert "| silence |" in tables.render("audio-gaps-drums", tmp_path)
    figures = audio.Task(tiny.train, tiny.held_out).real(0)
    assert "class accuracy" not in figures and figures["log-mel Frechet"] > 0


def test_the_page_has_players_per_class_dimension_and_number_of_steps(tmp_path: Path) -> None:
    runs = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    assert audio.main(["sweep", *runs, "--seeds", "0", "--ways", "one-network", "--dimensions", "64"]) == 0
    assert audio.main(["listen", *runs]) == 0
    page = (tmp_path / "runs" / "syllables.html").read_text()
    classes = len(set(audio.task_named("tones").held_out.condition["label"]))
    columns = len(sorted(range(classes))[:: max(1, classes // 4)][:4])
    assert page.count("<audio ") == 3 * classes + (5 + 4) * columns
    assert "A row per D" in page and "5 evaluations" in page


def test_tones_and_speakers_of_a_label() -> None:
    labels = np.array(["speaker-3-tone-1", "tone-4"])
    assert audio.tone_of(labels).tolist() == ["tone-1", "tone-4"]
    assert audio.speaker_of(labels).tolist() == ["3", "5"]


def test_the_frozen_judge_is_trained_on_the_training_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audio, "WEIGHTS", tmp_path)
    monkeypatch.setitem(audio.CLASSIFIERS, "drums", {"epochs": 1, "seconds": 0.256})
    assert audio.main(["classifier", "--data", "drums"]) == 0
    made = Classifier.load(tmp_path / "drums.safetensors")
    assert made.recipe["clips"] == len(audio.task_named("tones").train)
    assert "held-out clips" in capsys.readouterr().out
