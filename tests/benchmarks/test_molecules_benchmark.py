"""The molecules benchmark on a set that takes seconds: tables that go on where they were, and the shipped model."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rdkit")
pytest.importorskip("fcd")

from benchmarks import molecules, tables
from benchmarks.runner import Table
from modalities.graphs.molecules import from_smiles
from pfgm_science.data import Dataset
from pfgm_science.model import load

NETWORK = {"width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8}
TRAINING: dict[str, Any] = {"steps": 2, "batch_size": 4, "checkpoint_every": 1, "network": NETWORK}
TRAIN = ("CCO", "CCN", "C=O", "CC#N", "CCCC", "COC", "NC=O", "CC(C)O")
TEST = ("CCCO", "CC=O", "CNC", "C#N")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for results and runs of the test's own, with a dozen molecules in the place of QM9."""

    def set_of(smiles: tuple[str, ...]) -> Dataset:
        return Dataset([from_smiles(one) for one in smiles], name="few", licence="none")

    molecules.references.cache_clear()
    monkeypatch.setattr(molecules, "parts", lambda: (set_of(TRAIN), set_of(TEST)))
    monkeypatch.setattr(molecules, "TEST", len(TEST))
    monkeypatch.setattr(molecules, "SHORT", TRAINING)
    monkeypatch.setattr(molecules, "LONG", TRAINING)
    monkeypatch.setattr(molecules, "EVALUATIONS", 3)
    monkeypatch.setattr(molecules, "EARLY", 1)
    monkeypatch.setattr(molecules, "SHIPPED", tmp_path / "models")
    return ["--count", "6", "--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]


def test_sweep_headline_and_ship(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for study, seeds, weights in (("sweep", (0, 1), (1,)), ("headline", (0, 1, 2), (1, 2))):
        assert molecules.main([study, *words]) == 0
        cells = Table(f"molecules-{study}", tmp_path / "results").cells
        keys = {(c["key"]["D"], c["key"]["seed"], c["key"]["guidance"]) for c in cells if "D" in c["key"]}
        assert keys == set(product((512.0, "inf"), seeds, weights))
        assert [c["figures"]["valid"] for c in cells if "floor" in c["key"]] == [1]
        assert all(0 <= c["figures"]["valid_without_correction"] <= 1 for c in cells)
        shown = tables.render(f"molecules-{study}", tmp_path / "results")
        assert "| 512 | none |" in shown and "real molecules (floor)" in shown
    assert molecules.main(["ship", *words]) == 0
    model = load(tmp_path / "models" / "qm9.safetensors")
    card = model.history["figures"]
    assert set(card) == {*molecules.CARD, "samples", "evaluations"}
    assert card["valid_without_correction"] == molecules.measure(model, 6, 0)["valid_without_correction"]
    monkeypatch.setattr("benchmarks.runner.fit", lambda *_, **__: pytest.fail("it was trained again"))
    assert molecules.main(["headline", *words]) == 0


@pytest.fixture(autouse=True)
def forget_references() -> Any:
    yield
    molecules.references.cache_clear()
