from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import rna, tables
from benchmarks.runner import Table
from modalities.sequences import infernal
from modalities.sequences.objects import records, without_gaps
from pfgm_science.data import Dataset
from pfgm_science.errors import PfgmError

STRUCTURE = "((((....))))"


def few(seed: int, count: int) -> Dataset:
    """Hairpins whose sides pair."""
    rng = np.random.default_rng(seed)
    other = {"A": "U", "C": "G", "G": "C", "U": "A"}
    texts = []
    for _ in range(count):
        side = rng.choice(list("ACGU"), 4)
        loop = "".join(rng.choice(list("ACGU"), 3)) + rng.choice(list("A-"))
        texts.append("".join(side) + loop + "".join(other[x] for x in side[::-1]))
    frame = {"columns": [str(i) for i in range(12)], "regions": [], "structure": STRUCTURE, "scheme": ""}
    return Dataset(
        records(texts), {"isotype": rng.choice(["A", "B"], count)}, details={"alphabet": "rna", "frame": frame}
    )


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> rna.Task:
    tiny: dict[str, Any] = {"steps": 3, "batch_size": 8}
    task = rna.Task(few(0, 60), few(1, 20), few(2, 20), b"a model", False)
    monkeypatch.setattr(rna, "task_named", lambda name: task)
    monkeypatch.setattr(rna, "COUNT", 12)
    monkeypatch.setattr(rna, "SHORT", rna.SHORT | tiny)
    monkeypatch.setattr(rna, "LONG", rna.LONG | tiny)

    def absent(*_: object) -> list[str]:
        raise PfgmError("cmemit is not there")

    monkeypatch.setattr(infernal, "emitted", absent)
    monkeypatch.setattr(rna.rna_judges, "evaluate", lambda texts, *_: {"bits": float(len(texts))})
    return task


def test_the_long_run_stands_above_its_ladder(tmp_path: Path) -> None:
    words = ["headline", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    assert rna.main(words) == 0
    table = Table("rna-headline-trna", tmp_path)
    assert len(table.cells) == 3 + 3 * len(rna.LADDER)
    floor = table.find({"baseline": "held-out members (floor)", "seed": 0})
    assert floor is not None and floor["pairs"] == 1 and floor["bits"] == 12
    chain = table.find({"baseline": "Markov chain of order 3", "seed": 1})
    assert chain is not None and chain["count"] == 12 and "pairs" not in chain
    emitted = table.find({"baseline": "covariance model (cmemit)", "seed": 0})
    assert emitted == {"missing": "cmemit is not there"}
    assert "| D = 512 |" in tables.render("rna-headline-trna", tmp_path)


def test_the_sweep_has_every_way(tmp_path: Path) -> None:
    words = ["sweep", "--dimensions", "64", "inf", "--seeds", "0"]
    assert rna.main([*words, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]) == 0
    assert len(Table("rna-sweep-trna", tmp_path).cells) == 5 + 3  # and what three trainings took
    assert "one network for every D, D = inf" in tables.render("rna-sweep-trna", tmp_path)


def test_the_ladder_stands_in_both_tables_and_trains_nothing(tmp_path: Path) -> None:
    assert rna.main(["ladder", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]) == 0
    first, second = (Table(f"rna-{study}-trna", tmp_path) for study in ("headline", "sweep"))
    assert first.cells == second.cells and len(first.cells) == 3 * len(rna.LADDER)
    assert not (tmp_path / "runs").exists()
    assert "| held-out members (floor) |" in tables.render("rna-sweep-trna", tmp_path)


def test_letters_in_another_order_are_those_of_training_members(task: rna.Task) -> None:
    known = {"".join(sorted(without_gaps(text))) for text in task.reference.train}
    found = rna.in_another_order(task, 0)
    assert len(found) == 12 and {"".join(sorted(text)) for text in found} <= known
    assert found == rna.in_another_order(task, 0) != rna.in_another_order(task, 1)


def test_only_trna_ships() -> None:
    with pytest.raises(PfgmError, match="only the model of trna ships"):
        rna.main(["ship", "--data", "cobalamin"])


def test_designs_to_a_structure_stand_beside_samples_that_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = {"width": 8, "depth": 1, "heads": 2}
    monkeypatch.setattr(rna, "FREE", rna.FREE | {"steps": 3, "batch_size": 8, "network": network})
    monkeypatch.setattr(rna, "TARGETS", 3)
    monkeypatch.setattr(rna, "EVALUATIONS", 5)
    # a stand-in of the folding: the target where all of its pairs bond
    bonds = {"GC", "CG", "AU", "UA", "GU", "UG"}

    def fold(text: str) -> tuple[str, float]:
        paired = 4 if all(text[i] + text[-1 - i] in bonds for i in range(4)) else 1
        return "(" * paired + "." * (len(text) - 2 * paired) + ")" * paired, 0.0

    monkeypatch.setattr(rna.rna_judges, "fold", fold)
    assert rna.main(["structures", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]) == 0
    table = Table("rna-structures", tmp_path)
    assert len(table.cells) == 3 * 5
    told, free = (table.select(strength=s)[0]["figures"] for s in (0.0, None))
    assert told["as the target"] == 1 and told["pairs apart"] == 0 and told["designs"] == 12
    assert free["as the target"] < 0.5
    assert "| not told the target |" in tables.render("rna-structures", tmp_path)
