"""The runners of graphs and molecules on tiny tasks: every study fills its table, resumes, and renders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from benchmarks import graph_judges, graphs, tables
from benchmarks.runner import Table
from modalities.graphs.joint import node_keys
from modalities.graphs.objects import to_networkx
from modalities.graphs.recipes import RECIPES, Tree
from pfgm_science.data import Dataset
from pfgm_science.model import load

NETWORK = {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8}
TRAINING: dict[str, Any] = {"steps": 4, "batch_size": 4, "checkpoint_every": 2, "network": NETWORK}
TINY = graphs.Task(
    "tiny", 12, 6, "tree", generated=6, sweep=TRAINING, headline=TRAINING, seeds=(0, 1), curve=5, evaluations=(4, 5)
)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for results and runs of the test's own, and tasks that take a second."""
    monkeypatch.setattr(graphs, "TASKS", {"tiny": TINY, "folded": replace(TINY, fold=True, valid=None)})
    monkeypatch.setattr(graphs, "SWEEP_COUNT", 6)
    monkeypatch.setattr(graphs, "EVALUATIONS", 4)
    monkeypatch.setattr(graphs, "EARLY", 2)
    monkeypatch.setattr("modalities.graphs.recipes.RECIPES", {**RECIPES, "tiny": Tree((5, 7))})
    monkeypatch.setattr(graphs, "RECIPES", {**RECIPES, "tiny": Tree((5, 7))})
    monkeypatch.setattr(graphs, "data", data)
    for function in (graphs.suite, graphs.test_graphs):
        function.cache_clear()
    return ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]


def data(name: str) -> tuple[Dataset, list[Any]]:
    drawn = Tree((5, 7)).draw(18, 0)
    return Dataset(drawn[6:], name="tree", licence="none"), drawn[:6]


def cells(path: Path, name: str) -> list[dict[str, Any]]:
    return Table(name, path / "results").cells


def test_a_sweep_has_every_way_and_goes_on_where_it_was(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["sweep", "--tasks", "tiny", "--dimensions", "64", "inf", "--seeds", "0", *words]
    monkeypatch.setitem(tables.TABLES, "graphs-sweep-tiny", tables.graph_sweep("tiny"))
    assert graphs.main(arguments) == 0
    found = cells(tmp_path, "graphs-sweep-tiny")
    keys = {(c["key"]["way"], c["key"]["D"]) for c in found if "way" in c["key"]}
    assert keys == {
        ("trained", 64.0), ("trained", "inf"), ("one-network", 64.0), ("one-network", "inf"), ("at-dimension", 64.0)
    }  # fmt: skip
    assert sum("floor" in c["key"] for c in found) == 5
    assert all(c["figures"]["valid"] == 1 for c in found if "floor" in c["key"])
    assert all(0 <= c["figures"]["vun"] <= 1 for c in found if "training" not in c["key"])
    assert [c["key"]["training"] for c in found if "training" in c["key"]] == ["any", "d64", "dinf"]
    monkeypatch.setattr("benchmarks.runner.fit", lambda *_, **__: pytest.fail("it was trained again"))
    assert graphs.main(arguments) == 0


def test_headline_with_its_curve_and_completion(words: list[str], tmp_path: Path) -> None:
    for study in ("headline", "completion"):
        assert graphs.main([study, "--tasks", "tiny", *words]) == 0
    keys = [c["key"] for c in cells(tmp_path, "graphs-headline-tiny") if "evaluations" in c["key"]]
    found = [(key["evaluations"], key["guidance"], key["seed"]) for key in keys]
    assert found == [(n, weight, seed) for n in (4, 5) for weight in (1, 2) for seed in (0, 1)]
    assert [c["key"]["step"] for c in cells(tmp_path, "graphs-curve-tiny")] == [2, 4]
    results = tmp_path / "results"
    completed = cells(tmp_path, "graphs-completion-tiny")
    assert len(completed) == 4
    assert all(c["figures"]["kept"] == c["figures"]["sized"] == c["figures"]["of"] for c in completed)
    for name in ("graphs-headline", "graphs-completion", "graphs-curve"):
        assert "tiny" in tables.render(name, results)


def test_a_shipped_model_has_the_figures_of_what_is_shipped(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "SHIPPED", tmp_path / "models")
    assert graphs.main(["ship", "--tasks", "tiny", *words]) == 0
    model = load(tmp_path / "models" / "tiny.safetensors")
    card = model.history["figures"]
    assert card["valid"] == graphs.measure(model, "tiny", 6, 0)["valid"]
    assert (card["samples"], card["evaluations"]) == (6, 4)
    assert model.history["recipe"] == "pfgm benchmark graphs headline --tasks tiny"
    trained = load(tmp_path / "runs" / "tiny-headline" / "model.safetensors")
    for rounded, exact in zip(model.denoiser.parameters(), trained.denoiser.parameters(), strict=True):
        torch.testing.assert_close(rounded, exact.bfloat16().float(), rtol=0, atol=0)


def test_without_a_check_of_validity_there_is_none(words: list[str], tmp_path: Path) -> None:
    assert graphs.main(["headline", "--tasks", "folded", *words]) == 0
    assert all("vun" not in c["figures"] for c in cells(tmp_path, "graphs-headline-folded"))
    assert "| - |" in tables.render("graphs-headline", tmp_path / "results")


def test_first_nodes_are_joined_and_keep_their_edges() -> None:
    (graph,) = RECIPES["planar-20"].draw(1, 3)
    part = to_networkx(graphs.first_nodes(graph, 8))
    assert len(part) == 8 and nx.is_connected(part) and not node_keys([graphs.first_nodes(graph, 8)])
    order = [0, *(v for _, v in nx.bfs_edges(to_networkx(graph), 0))][:8]
    assert part.number_of_edges() == to_networkx(graph).subgraph(order).number_of_edges()


def test_judges(tmp_path: Path) -> None:
    pytest.importorskip("synthetic_graph_benchmarks")
    assert graph_judges.main(["--results", str(tmp_path)]) == 0
    for cell in Table("graph-judges", tmp_path).cells:
        assert cell["figures"]["difference"] < 5e-5
        assert cell["figures"]["synthetic seconds"] > 0


def test_a_judge_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "synthetic_graph_benchmarks.spectre_utils", None)
    with pytest.raises(graph_judges.PfgmError, match="pip install"):
        graph_judges._judge("synthetic_graph_benchmarks.spectre_utils")


def test_both_are_timed_alike_on_one_thread() -> None:
    from threadpoolctl import threadpool_info

    seen: list[set[int]] = []

    def measure() -> str:
        seen.append({pool["num_threads"] for pool in threadpool_info()})
        return "said"

    answer, seconds = graph_judges._fastest(measure)
    assert answer == "said" and seconds >= 0
    assert seen == [{1}] * graph_judges.REPEATS
