from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import antibody, tables
from benchmarks.runner import Table
from modalities.sequences import imgt
from modalities.sequences.objects import records
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError


def few(seed: int, count: int) -> Dataset:
    """Domains whose loops are drawn at random, in IMGT's columns."""
    rng = np.random.default_rng(seed)
    start, end = "EVQLVQSGA-EVKKPGASVKVSCKASGYTF----TSYYMHWVRQ", "WGQGTLVTVSS"
    start = (start + "APGQGLEWMGIINPS--GGSTSYAQKFQ-GRVTMTRDTSTSTVYMELSSLRSEDTAVYYC")[:104].ljust(104, "A")
    loops = ["".join(rng.choice(list("ADGRSYW"), rng.integers(5, 14))) for _ in range(count)]
    genes = rng.choice(["IGHV1-2", "IGHV1-8"], count)
    return Dataset(
        records([start + imgt.loop(loop, 0) + end for loop in loops]),
        {"v_gene": genes, "j_gene": rng.choice(["IGHJ4", "IGHJ6"], count)},
        details={"alphabet": "protein", "frame": imgt.frame(0).settings()},
    )


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> antibody.Task:
    tiny: dict[str, Any] = {"steps": 3, "batch_size": 8, "network": {"width": 4, "hidden": 8, "depth": 1}}
    task = antibody.Task(few(0, 60), few(1, 20), few(2, 20))
    monkeypatch.setattr(antibody, "task_named", lambda name: task)
    monkeypatch.setattr(antibody, "COUNT", 12)
    monkeypatch.setattr(antibody, "SHORT", antibody.SHORT | tiny)
    monkeypatch.setattr(antibody, "LONG", antibody.LONG | tiny)

    def absent(generated: object, real: object) -> dict[str, float]:
        raise PfgmError("antpack is not there")

    monkeypatch.setattr(antibody.antibody_judges, "evaluate", absent)
    monkeypatch.setattr(antibody.antibody_judges, "profile", lambda generated, real: {"bits": float(len(generated))})
    monkeypatch.setattr(
        antibody, "LADDER", {name: draw for name, draw in antibody.LADDER.items() if "AntPack" not in name}
    )
    return task


def test_the_long_run_stands_above_its_ladder(tmp_path: Path) -> None:
    words = ["headline", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    assert antibody.main(words) == 0
    table = Table("antibody-headline", tmp_path)
    assert len(table.cells) == 6 + 3 * len(antibody.LADDER)
    floor = table.find({"baseline": "held-out clones (floor)", "seed": 0})
    sites = table.find({"baseline": "independent sites", "seed": 0})
    assert floor is not None and sites is not None
    assert floor["unique"] == 1 and floor["judges"] == "antpack is not there" and floor["bits"] == 12
    assert floor["mutations"] == 0 == floor["W1 mutations"]
    assert sites["count"] == 12
    shown = tables.render("antibody-headline", tmp_path)
    assert "| D = 512, stochastic |" in shown and "| pairs of neighbours |" in shown


def test_the_sweep_has_both_ways(tmp_path: Path) -> None:
    words = ["sweep", "--dimensions", "64", "inf", "--seeds", "0"]
    assert antibody.main([*words, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]) == 0
    assert len(Table("antibody-sweep", tmp_path).cells) == 4
    shown = tables.render("antibody-sweep", tmp_path)
    assert "one network for every D, D = inf" in shown


def test_baselines_have_the_frequencies_of_the_training_part(task: antibody.Task) -> None:
    found = antibody.independent(task, 0)
    assert len(found) == 12 and {len(text) for text in found} == {128}
    assert {text[:9] for text in found} == {"EVQLVQSGA"}
    chained = antibody.neighbours(task, 0)
    assert {text[-11:] for text in chained} == {"WGQGTLVTVSS"}
    assert antibody.neighbours(task, 0) == chained != antibody.neighbours(task, 1)


def test_only_the_model_of_the_free_set_ships() -> None:
    with pytest.raises(PfgmError, match="only the model of airrdb ships: the licence of abnativ-vh"):
        antibody.main(["ship", "--data", "abnativ-vh"])


def test_draws_of_the_mixture_stand_in_the_columns_of_the_set() -> None:
    pytest.importorskip("antpack")
    pytest.importorskip("immunum")
    frame = imgt.frame(6)
    known = Dataset(records(["A" * len(frame)] * 3), details={"alphabet": "protein", "frame": frame.settings()})
    found = antibody.mixture(antibody.Task(known, known, known), 0)
    assert len(found) == 12 and {len(text) for text in found} == {len(frame)}
