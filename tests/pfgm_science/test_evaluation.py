"""An evaluation tells a good model from a bad one, copies from new samples, and says where everything comes from."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from modalities.vectors.adapter import Vectors
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.evaluation import compare, evaluate, memory, sections, training_curves, training_parts
from pfgm_science.model import fit
from pfgm_science.report import Section

MEASURES = [
    "Fréchet distance",
    "Kernel distance",
    "Sliced Wasserstein",
    "Precision",
    "Recall",
    "Density",
    "Coverage",
    "Classifier accuracy",
]


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    monkeypatch.setattr("pfgm_science.evaluation.REPEATS", 2)
    monkeypatch.setattr("pfgm_science.evaluation.CLASSIFIERS", 2)


def cloud(count=200, seed=0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((count, 2)) + shift


@pytest.fixture(scope="module")
def data():
    labels = np.repeat(["left", "right"], 50)
    rows = cloud(100) + np.where(labels == "right", 3.0, -3.0)[:, None]
    return Dataset(rows, {"side": labels}, "two clouds", "CC0", "drawn here", "nobody, 2026")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    settings = {"steps": 8, "batch_size": 16, "validate_every": 4, "log_every": 2}
    return fit(Vectors(), data, folder=folder, network={"width": 16, "depth": 1, "embedding": 8}, **settings), folder


def test_equal_laws_lie_at_the_floor_and_others_do_not():
    rows = compare(cloud(seed=0), cloud(seed=1), size=100, repeats=4)
    assert [row.name for row in rows] == MEASURES
    # Five standard deviations of one draw, for the difference of two means of two to four: by luck less than once in a
    # thousand seeds.
    for row in rows:
        assert abs(row.value - row.floor) < 5 * max(row.std, row.floor_std) + 0.02, row
    for row in compare(cloud(seed=0), cloud(seed=1, shift=3.0), size=100, repeats=2):
        worse = row.value - row.floor if row.better == "lower" or "accuracy" in row.name else row.floor - row.value
        assert worse > 0.2 * row.floor, row


def test_the_kernel_distance_has_an_interval():
    row = compare(cloud(seed=0), cloud(seed=1), size=100, repeats=2)[1]
    assert row.interval is not None
    assert row.interval[0] < row.interval[1]


def test_memory_knows_copies():
    training, held_out = cloud(seed=0), cloud(seed=1)
    ratio, near, exact = memory(training[:50], training, held_out)
    assert (ratio.value, near.value, exact.value) == (0.0, 1.0, 1.0)
    ratio, near, exact = memory(cloud(seed=2), training, held_out)
    assert 0.5 < ratio.value < 2
    assert near.value < 0.3
    assert (ratio.floor, exact.value) == (1.0, 0.0)


def test_page_and_json_are_written(tmp_path, run, data):
    model, folder = run
    seen = []
    found = evaluate(
        model, data, count=40, evaluations=3, out=tmp_path / "new", run=folder, on_state=lambda *at: seen.append(at)
    )
    assert found.page == tmp_path / "new" / "report.html"
    assert sorted(path.name for path in found.page.parent.iterdir()) == ["evaluation.json", "report.html"]
    page = found.page.read_text(encoding="utf-8")
    for expected in ("two clouds", "CC0", "nobody, 2026", "Fréchet distance", "Training", "Provenance", "≈\u00a0floor"):
        assert expected in page
    saved = json.loads((tmp_path / "new" / "evaluation.json").read_text(encoding="utf-8"))
    assert saved == found.to_json()
    assert saved["provenance"]["licence"] == "CC0"
    assert saved["measures"][-1]["std"] is None
    assert saved["size"] == 40
    assert seen[-1][0] == seen[-1][1] == 120  # samples times steps


def test_training_data_are_recognised_and_others_are_not(run, data):
    model, _ = run
    training, held_out = training_parts(model, data)
    assert (len(training), len(held_out)) == (90, 10)
    known = evaluate(model, data, count=30, evaluations=1)
    assert [row.name for row in known.rows][len(MEASURES) :] == [
        "Distance to training set",
        "Near copies",
        "Exact copies",
    ]
    assert len(known.nearest) == len(known.distances) == 30
    features = model.adapter.features
    gap = np.linalg.norm(features(known.generated) - features(known.nearest), axis=1)
    assert np.allclose(gap, known.distances)
    other = evaluate(model, Dataset(cloud(seed=9)), count=30, evaluations=1)
    assert other.nearest is None
    assert [row.name for row in other.rows] == MEASURES


def test_same_seed_same_figures(run, data):
    model, _ = run
    first, again = (evaluate(model, data, count=25, evaluations=1, seed=3) for _ in range(2))
    assert first.rows == again.rows
    assert first.rows != evaluate(model, data, count=25, evaluations=1, seed=4).rows


def test_an_adapter_may_bring_its_own_views(tmp_path, run, data, monkeypatch):
    from pfgm_science.report import Html, Section

    def own(self, real, generated, nearest, distances):
        assert len(real) == len(generated) == len(nearest) == len(distances) == 25
        return [Section("Mine", items=[Html("<p>of mine</p>")])]

    monkeypatch.setattr(Vectors, "sections", own, raising=False)
    page = evaluate(run[0], data, count=25, evaluations=1, out=tmp_path).page
    assert "<p>of mine</p>" in page.read_text(encoding="utf-8")


def test_infinite_dimension_is_written_as_such(run, data):
    model, _ = run
    diffusion = replace(model, config=replace(model.config, dimension=math.inf))
    for each, written in ((model, "128"), (diffusion, "∞")):
        found = evaluate(each, data, count=20, evaluations=1)
        assert found.provenance["extra dimensions D"] == written
    assert not any(isinstance(v, float) and not math.isfinite(v) for v in found.to_json()["provenance"].values())


def test_too_little_is_refused(run, data):
    with pytest.raises(DataError, match="39 real objects and 100 samples"):
        evaluate(run[0], Dataset(cloud(39)), count=100)
    with pytest.raises(DataError, match="5 samples"):
        evaluate(run[0], data, count=5)
    with pytest.raises(ConfigError, match="cannot run at D = 3"):
        evaluate(run[0], data, count=20, dimension=3.0)


def test_curves_need_a_log(tmp_path, run):
    assert training_curves(tmp_path) == []
    (tmp_path / "log.jsonl").write_text('{"event": "train", "step": 1', encoding="utf-8")
    assert training_curves(tmp_path) == []
    assert [section.title for section in training_curves(run[1])] == ["Training"]


def test_an_adapter_is_asked_for_novelty_where_the_training_data_are_known(run, data, monkeypatch):
    model, _ = run
    told = {}

    def novelty(self, generated, training, held_out):
        told.update(generated=generated, training=training, held_out=held_out)
        return [Section("How new")]

    monkeypatch.setattr(Vectors, "novelty", novelty, raising=False)
    found = evaluate(model, data, count=30, evaluations=6)
    assert "How new" in [section.title for section in sections(found, model)]
    assert told["generated"] is found.generated
    training, held_out = data.split(model.config.validation, model.config.seed)
    assert np.array_equal(told["training"], training.objects) and np.array_equal(told["held_out"], held_out.objects)
    other = evaluate(model, Dataset(data.objects + 1, data.condition), count=30, evaluations=6)
    assert other.training is None and "How new" not in [section.title for section in sections(other, model)]
