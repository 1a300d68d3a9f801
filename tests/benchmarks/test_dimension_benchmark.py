"""What the tables of the sweeps say of the ways to D, and the study on digits with tiny networks."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks import agreement, dimension, rna, tables
from benchmarks.agreement import SIZED, Source
from benchmarks.runner import Table
from benchmarks.sequences import texts_of
from benchmarks.subjects import SUBJECTS
from modalities.sequences.baselines import shuffled
from pfgm_science.model import Model

STEP, DRAWING = 3 * 10, 5 * 4  # calls of a step of 10, and of drawing 5 samples in 4 evaluations
RNG = np.random.default_rng(0)
SOURCE = Source("sounds", "sweep-of-sounds", "error")


def fill(tmp_path: Path, way: str, values: dict[float, list[float]], figure: str = "error", **key: object) -> None:
    table = Table(SOURCE.table, tmp_path)
    table.describe({"training": {"steps": 10, "batch_size": 10}, "count": 5, "evaluations": 4})
    for D, found in values.items():
        for seed, value in enumerate(found):
            table.cell({"way": way, "D": D, "seed": seed, **key}, lambda value=value: {figure: value})  # type: ignore[misc]


def test_a_row_says_what_is_picked_and_what_that_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SOURCES", (SOURCE,))
    fill(tmp_path, "trained", {8: [3.0, 3.2], 64: [1.0, 1.1], math.inf: [2.0, 2.1]})
    fill(tmp_path, "one-network", {8: [30.0], 64: [20.0], math.inf: [10.0]})
    ((data, figure, best, way, pick, correlation, lost, any_lost, spread, own, *cost),) = agreement.rows(tmp_path)
    assert (data, figure, way, pick, correlation) == ("sounds", "error", "one network", "inf", "0.50")
    assert best == "64 (64)" and own == "+8.95" and cost == ["-", "0.19", "-"]
    assert float(any_lost) == pytest.approx((2.05 + 0 + 1) / 3, abs=0.01)
    assert float(lost) == pytest.approx(1.0) and float(spread) == pytest.approx(0.041, abs=0.001)
    assert "| sounds |" in tables.render("dimension-agreement", tmp_path)


def test_a_way_costs_its_trainings_and_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SOURCES", (SOURCE,))
    table = Table(SOURCE.table, tmp_path)
    table.describe({"training": {"steps": 10, "batch_size": 10}, "count": 5, "evaluations": 4})
    drawn = [*product(("trained", "one-network"), (8, 64, math.inf)), ("at-dimension", 8), ("at-dimension", 64)]
    for (way, D), seed in product(drawn, (0, 1)):
        table.cell({"way": way, "D": D, "seed": seed}, partial(dict, error=1 / D + seed + 1, seconds=1.0))
    for run, seconds in (("d8", 100), ("dinf", 200), ("any", 300)):  # of D = 64 nobody noted it: as the others
        table.cell({"training": run, "seed": 0}, partial(dict, seconds=seconds))
    table.cell({"search": [2, 3]}, partial(dict, best=64.0, seconds=606.0, steps=25, judged=4))
    assert agreement.seconds(SOURCE, "trained", tmp_path) == 3 * 150 + 3
    assert agreement.seconds(SOURCE, "one-network", tmp_path) == 300 + 3
    assert agreement.seconds(SOURCE, "at-dimension", tmp_path) == 200 + 3
    assert agreement.work(SOURCE, "trained", tmp_path) == 6 * (STEP * 10 + DRAWING)
    assert agreement.work(SOURCE, "one-network", tmp_path) == STEP * 10 + 3 * DRAWING
    assert agreement.work(SOURCE, "at-dimension", tmp_path) == STEP * 10 + (1 + 3 * 2) * DRAWING
    assert agreement.work(replace(SOURCE, joined=False), "at-dimension", tmp_path) == STEP * 10 + 2 * DRAWING
    assert agreement.work(SOURCE, "search", tmp_path) == STEP * 25 + 4 * DRAWING
    for seed, D, told in ((0, 30.0, 0.1), (1, 90.0, 0.3)):
        figures = {"D": D, "seconds": 2.0, "second moment": 0.2, "told from none": told}
        table.cell({"errors": "along the way", "seed": seed}, partial(dict, figures))
    one, analysis, errors, search = agreement.rows(tmp_path)
    assert one[-3:] == ["303", "0.19", "0.43"] and analysis[-3:] == ["203", "0.23", "0.53"]
    assert errors[3:5] == ["errors along the way", "64, none"] and errors[-3] == "202"
    assert search[3:5] == ["search", "64"] and search[-3:] == ["606", "0.43", "1"]


def test_each_training_picks_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SOURCES", (SOURCE,))
    fill(tmp_path, "trained", {8: [3.0, 3.2], 64: [1.0, 1.1], math.inf: [2.0, 2.1]})
    fill(tmp_path, "one-network", {8: [1.0, 9.0], 64: [2.0, 8.0], math.inf: [3.0, 7.0]})
    ((*_, pick, _, lost, _, _, own, _, _, _),) = agreement.rows(tmp_path)
    assert pick == "8, inf" and float(lost) == pytest.approx((2.05 + 1.0) / 2, abs=0.01)
    assert own == "+2.95"  # 1 and 7 at what it picks, 1.05 at the best


def test_a_diffusion_network_is_at_infinity_what_it_was_trained_as(tmp_path: Path) -> None:
    fill(tmp_path, "trained", {8: [3.0], 64: [1.0], math.inf: [2.0]})
    fill(tmp_path, "at-dimension", {8: [5.0], 64: [4.0]})
    found = agreement.curves(SOURCE, tmp_path)
    assert list(found["at-dimension"].values) == [8, 64, math.inf]
    assert found["at-dimension"].best == math.inf
    assert "one-network" not in found


def test_shares_count_upside_down_and_keys_are_told_apart(tmp_path: Path) -> None:
    source = Source("graphs", SOURCE.table, "valid", share=True, key={"n": 19})
    for n, better in ((19, 0.9), (35, 0.5)):
        fill(tmp_path, "trained", {8: [0.2], 64: [0.3], math.inf: [better]}, "valid", n=n)
        fill(tmp_path, "at-dimension", {8: [better - 0.1], 64: [better]}, "valid", n=n)
    found = agreement.curves(source, tmp_path)
    assert found["trained"].mean(math.inf) == pytest.approx(0.1)
    assert [found["at-dimension"].mean(D) for D in (8, 64, math.inf)] == pytest.approx([0.2, 0.1, 0.1])


def test_draws_in_fewer_evaluations_do_not_stand_beside_those_in_more(tmp_path: Path) -> None:
    fill(tmp_path, "trained", {8: [3.0], 64: [1.0], math.inf: [2.0]})
    fill(tmp_path, "at-dimension", {4: [6.0], 8: [5.0], 64: [4.0]})
    found = agreement.curves(replace(SOURCE, joined=False), tmp_path)
    assert list(found["at-dimension"].values) == [4, 8, 64]


def test_ranks_that_are_clear_have_a_narrow_interval(tmp_path: Path) -> None:
    fill(tmp_path, "trained", {8: [3.0, 3.001], 64: [1.0, 1.001], 512: [1.5, 1.501], math.inf: [2.0, 2.001]})
    first = agreement.curves(SOURCE, tmp_path)["trained"]
    fill(tmp_path, "one-network", {8: [2.0, 2.3], 64: [1.0, 1.2], 512: [1.5, 1.3], math.inf: [2.0, 2.6]})
    second = agreement.curves(SOURCE, tmp_path)["one-network"]
    assert agreement.redrawn(first, first) == pytest.approx((1, 1))
    low, high = agreement.redrawn(first, second)
    assert low < agreement.agreement(first, second) <= high


@pytest.mark.parametrize("data", ["digits", "cytometry"])
def test_sizes_fill_a_table_of_the_same_kind(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimension, "COUNT", 60)
    monkeypatch.setattr(dimension, "EVALUATIONS", 3)
    monkeypatch.setattr(dimension, "TRAJECTORIES", 16)
    words = [data, "--networks", "small", "--steps", "4", "--seeds", "0", "--dimensions", "4", "64", "inf"]
    folders = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    assert dimension.main([*words, *folders]) == 0
    name = f"dimension-{data}-small-4"
    table = Table(name, tmp_path)
    trainings = {(cell["key"]["training"], cell["key"]["seed"]) for cell in table.cells if "training" in cell["key"]}
    assert trainings == {("d4", 0), ("d64", 0), ("dinf", 0), ("any", 0)}
    assert len(table.cells) == 3 + 3 + 2 + 4 + 1 + len(dimension.TOLD) + 1
    rows = tables.render(f"dimension-{data}", tmp_path).splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows[:2]] == ["trained at D", "one network for every D"]
    assert len(rows) == 3 + len(dimension.TOLD) and "told 0.8 sigma" in rows[3]
    (errors,) = table.select(errors="along the way")
    assert len(errors["figures"]["levels"]) == len(errors["figures"]["bias"])
    (search,) = table.select(search=list(dimension.SEARCHED))
    # Nothing is stopped in the warm-up: three D at two seeds.
    assert search["figures"]["steps"] == 4 * 3 * 2 and search["figures"]["judged"] == 3 * 2
    assert search["figures"]["seconds"] > 0
    monkeypatch.setattr(agreement, "SOURCES", (Source(data, name, SIZED[data].figure),))
    ways = agreement.rows(tmp_path)
    assert [row[3] for row in ways] == ["one network", "analysis", "errors along the way", "search"]
    assert all(float(row[-3]) >= 0 and float(row[-1]) > 0 for row in ways)


def test_preconditionings_stand_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimension, "COUNT", 60)
    monkeypatch.setattr(dimension, "EVALUATIONS", 3)
    chosen = ["digits", "cytometry"]
    for data in chosen:
        few = replace(SUBJECTS[data], of=replace(SIZED[data], steps=(2,)))
        monkeypatch.setitem(dimension.SUBJECTS, data, few)
    words = ["preconditioning", "--data", *chosen, "--networks", "small", "--dimensions", "1", "16", "--seeds", "0"]
    assert dimension.main([*words, "--runs", str(tmp_path), "--results", str(tmp_path)]) == 0
    table = Table("dimension-preconditioning", tmp_path)
    assert len(table.cells) == 2 * 5  # the noise of D = 1 has no variance to be matched
    assert "| digits, small | matched | - |" in tables.render("dimension-preconditioning", tmp_path)


def test_solvers_with_noise_stand_beside_those_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimension, "COUNT", 60)
    monkeypatch.setattr(dimension, "ON_THE_WAY", (9,))
    few = replace(SUBJECTS["cytometry"], of=replace(SIZED["cytometry"], steps=(2,)))
    monkeypatch.setitem(dimension.SUBJECTS, "cytometry", few)
    words = ["noise", "--data", "cytometry", "--dimensions", "4", "inf", "--seeds", "0"]
    assert dimension.main([*words, "--runs", str(tmp_path), "--results", str(tmp_path)]) == 0
    found = [c["figures"][few.of.figure] for c in Table("dimension-noise", tmp_path).select(D=4.0)]
    assert len(set(found)) == len(dimension.SOLVERS_BESIDE)
    assert "| cytometry | 9 | stochastic |" in tables.render("dimension-noise", tmp_path)


@pytest.mark.skipif(shutil.which("cmbuild") is None, reason="Infernal is not installed")
def test_rna_of_the_family_is_nearer_than_rna_in_another_order() -> None:
    task, distance = rna.task_named("5s-rrna"), SUBJECTS["5s-rrna"].distance()
    members = texts_of(task.floor)[:40]
    model = Model.__new__(Model)  # of which nothing is asked
    near, far = (distance.between(model, texts) for texts in (members, [shuffled(text, RNG) for text in members]))
    assert near < 0.2 * far


def test_errors_of_a_known_size_suggest_a_smaller_dimension_the_larger_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimension, "ALPHAS", (0.05, 0.3))
    monkeypatch.setattr(dimension, "RULE_DIMENSIONS", (64.0, math.inf))
    monkeypatch.setattr(dimension, "RULE_COUNT", 70)
    monkeypatch.setattr(dimension, "RULE_SIZES", (256,))
    monkeypatch.setattr(dimension, "TRAJECTORIES", 16)
    assert dimension.main(["rule", "--seeds", "0", "--results", str(tmp_path)]) == 0
    table = Table("dimension-rule", tmp_path)
    key = {"N": 256, "errors": "along the way", "seed": 0}
    small, large = (table.find({**key, "alpha": alpha}) for alpha in (0.05, 0.3))
    assert small is not None and large is not None
    assert float(large["D"]) < 0.1 * float(small["D"])
    shown = tables.render("dimension-rule", tmp_path)
    assert "| 256 | 0.3 |" in shown and "| fresh data (floor) |" in shown
