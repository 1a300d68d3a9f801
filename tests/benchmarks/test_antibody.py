from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import antibody, tables
from benchmarks.runner import Table
from modalities.sequences import imgt
from modalities.sequences.objects import records
from pfgm_science.data import Dataset
from pfgm_science.errors import DataError, PfgmError
from pfgm_science.stochastic import StochasticHeun


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
    monkeypatch.setattr(antibody, "shipped_models", dict)
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
    assert len(table.cells) == 3 * len(antibody.DRAWN) + 3 * len(antibody.LADDER)
    floor = table.find({"baseline": "held-out clones (floor)", "seed": 0})
    sites = table.find({"baseline": "independent sites", "seed": 0})
    assert floor is not None and sites is not None
    assert floor["unique"] == 1 and floor["judges"] == "antpack is not there" and floor["bits"] == 12
    assert floor["mutations"] == 0 == floor["W1 mutations"]
    assert sites["count"] == 12
    shown = tables.render("antibody-headline", tmp_path)
    assert "| D = 512, stochastic |" in shown and "| pairs of neighbours |" in shown


def test_the_sweep_has_every_way(tmp_path: Path) -> None:
    words = ["sweep", "--dimensions", "64", "inf", "--seeds", "0"]
    assert antibody.main([*words, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]) == 0
    assert len(Table("antibody-sweep", tmp_path).cells) == 5 + 3  # and what three trainings took
    shown = tables.render("antibody-sweep", tmp_path)
    assert "one network for every D, D = inf" in shown


def words(tmp_path: Path, *more: str) -> list[str]:
    return [*more, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]


def test_the_ladder_stands_in_both_tables_and_trains_nothing(tmp_path: Path) -> None:
    assert antibody.main(words(tmp_path, "ladder")) == 0
    assert not (tmp_path / "runs").exists()
    first, second = (Table(f"antibody-{study}", tmp_path) for study in ("headline", "sweep"))
    assert first.cells == second.cells and len(first.cells) == 3 * len(antibody.LADDER)
    # rows of models join it, under the same protocol
    assert antibody.main(words(tmp_path, "sweep", "--dimensions", "64", "--seeds", "0")) == 0
    assert len(Table("antibody-sweep", tmp_path).cells) == 3 + 3 + len(first.cells)
    shown = tables.render("antibody-sweep", tmp_path)
    assert shown.index("| trained at D, D = 64 |") < shown.index("| independent sites |")


def test_the_model_that_ships_stands_on_the_ladder_of_its_own_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert antibody.main(words(tmp_path, "headline")) == 0
    path = tmp_path / "runs" / "headline" / "model.safetensors"
    monkeypatch.setattr(antibody, "shipped_models", lambda: {antibody.SHIPPED: path})
    assert antibody.main(words(tmp_path, "ladder")) == 0
    table = Table("antibody-headline", tmp_path)
    model = table.find({"D": 512.0, "seed": 1, "solver": antibody.SOLVER})
    ships = table.find({"baseline": "antibody-vh, as it ships", "seed": 1})
    assert model is not None and ships is not None
    assert {k: v for k, v in ships.items() if k != "seconds"} == {k: v for k, v in model.items() if k != "seconds"}


def test_the_ladder_is_copied_where_one_table_has_it(tmp_path: Path) -> None:
    assert antibody.main(words(tmp_path, "ladder")) == 0
    (tmp_path / "antibody-sweep.json").unlink()
    key = {"baseline": "independent sites", "seed": 0}
    Table("antibody-headline", tmp_path).discard(**key)
    Table("antibody-headline", tmp_path).cell(key, lambda: {"unique": 0.5})
    assert antibody.main(words(tmp_path, "ladder")) == 0
    assert Table("antibody-sweep", tmp_path).find(key) == {"unique": 0.5}


def test_the_ladder_is_measured_again_without_the_models(tmp_path: Path) -> None:
    key, model = {"baseline": "independent sites", "seed": 0}, {"D": 512.0, "seed": 0, "solver": "stochastic"}
    assert antibody.main(words(tmp_path, "ladder")) == 0
    table = Table("antibody-headline", tmp_path)
    table.discard(**key)
    table.cell(key, lambda: {"unique": 0.5})
    table.cell(model, lambda: {"unique": 0.25})
    assert antibody.main(words(tmp_path, "ladder", "--again")) == 0
    table = Table("antibody-headline", tmp_path)
    assert table.find(model) == {"unique": 0.25}
    assert (table.find(key) or {})["unique"] == 1


def test_iglm_begins_as_training_sequences_do_and_what_does_not_fit_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: antibody.Task
) -> None:
    monkeypatch.setattr(antibody, "PEER_COUNT", 10)
    jobs: list[Any] = []

    def ask(python: str, given: list[dict[str, Any]], seed: int) -> dict[str, Any]:
        jobs.append((python, given, seed))
        return {"sequences": [["A"], ["C", "D"]]}

    def placed(text: str, frame: object) -> str:
        if text == "C":
            raise DataError("it is no variable domain")
        return task.reference.train[0]

    monkeypatch.setattr(antibody.iglm_peer, "ask", ask)
    monkeypatch.setattr(antibody, "framed", placed)
    assert antibody.main(words(tmp_path, "ladder", "--iglm", "a-python")) == 0
    assert [seed for _, _, seed in jobs] == [0, 1, 2]
    assert jobs[0][:2] == ("a-python", [{"count": 10, "prompt": "EVQLVQ", "batch": 10}])
    found = Table("antibody-sweep", tmp_path).find({"baseline": "IgLM", "seed": 2})
    assert found is not None and found["asked"] == 10 and found["count"] == 2 and found["copies"] == 1
    assert "| IgLM |" in tables.render("antibody-headline", tmp_path)


def test_germlines_are_those_of_the_calls(task: antibody.Task) -> None:
    assert len(task.germline.germlines.rows) == 2  # of one consensus each, here the same
    bare = replace(task, train=replace(task.train, condition={}))
    assert len(bare.germline.germlines.rows) == 1  # found: all are the same up to CDR-H3


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


def test_other_ways_to_draw_are_told_to_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    measure = antibody.Task.measure

    def remember(task: antibody.Task, model: Any, seed: int, **how: Any) -> dict[str, Any]:
        asked.append(how)
        return measure(task, model, seed, **how)

    monkeypatch.setattr(antibody.Task, "measure", remember)
    ways: dict[str, dict[str, Any]] = {"churn 1": {"solver": StochasticHeun(1.0)}, "9 calls": {"evaluations": 9}}
    monkeypatch.setattr(antibody, "TRIED", ways)
    assert antibody.main(words(tmp_path, "tried")) == 0
    assert asked == list(ways.values())
    shown = tables.render("antibody-tried", tmp_path)
    assert "| churn 1 |" in shown and "| 9 calls |" in shown
