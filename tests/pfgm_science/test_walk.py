"""The way of one sample, as a picture shows it."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch

import pfgm_science as pfgm
from modalities.graphs import Graphs
from modalities.vectors import Vectors
from pfgm_science.evaluation import evaluate
from pfgm_science.model import Model
from pfgm_science.walk import milestones, walk

TINY = {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8}


@pytest.fixture(scope="module")
def model() -> Model:
    return pfgm.fit(Graphs(), [nx.path_graph(3 + i % 3) for i in range(12)], steps=2, batch_size=4, network=TINY)


def test_a_walk_ends_at_the_sample_of_that_seed(model: Model) -> None:
    seen = walk(model, seed=4)
    sample = model.draw(1, seed=4)
    assert torch.allclose(seen[-1].state.values, sample.values, atol=1e-5) and seen[-1].sigma == 0
    levels = [at.sigma for at in seen]
    assert levels == sorted(levels, reverse=True) and levels[0] == pytest.approx(model.levels.sigma_max)
    assert len(seen) == 36  # 35 evaluations and the end


def test_the_estimate_is_the_denoisers_answer() -> None:
    vectors = pfgm.fit(Vectors(), np.random.default_rng(0).normal(size=(30, 2)), steps=2, batch_size=4)
    for at in walk(vectors)[:-1:7]:
        answer = vectors.at()(at.state.values, torch.full((1,), at.sigma))
        torch.testing.assert_close(answer, at.estimate.values, rtol=1e-4, atol=1e-4)


def test_milestones_are_even_and_hold_the_end(model: Model) -> None:
    seen = walk(model)
    chosen = milestones(seen, 0.9, count=5)
    assert len(chosen) == 5 and chosen[-1] is seen[-1]
    levels = [at.sigma for at in chosen]
    assert levels == sorted(levels, reverse=True)
    assert 2 < levels[0] < 10 and 0.04 < levels[3] < 0.2


def test_a_report_of_graphs_shows_statistics_and_how_one_emerges(
    model: Model, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pfgm_science.evaluation.REPEATS", 2)
    from pathlib import Path

    from pfgm_science.data import Dataset

    assert isinstance(tmp_path, Path)
    graphs = [nx.gnp_random_graph(3 + i % 3, 0.5, seed=i) for i in range(40)]
    report = evaluate(model, Dataset(graphs), count=20, out=tmp_path)
    assert report.page is not None
    text = Path(report.page).read_text()
    for words in ("How a graph emerges", "Statistics of graphs", "MMD, orbit", "Distributions of graphs"):
        assert words in text
