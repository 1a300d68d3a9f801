"""The figures of the vectors benchmark on data whose answers are known, and a small run that resumes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import vectors
from benchmarks.runner import Table


def test_tail_errors_are_log_ratios_of_quantiles() -> None:
    fresh = np.random.default_rng(0).standard_cauchy((5000, 2))
    assert all(error == 0 for error in vectors.tail_errors(fresh, fresh).values())
    assert vectors.tail_errors(3 * fresh, fresh)[0.999] == pytest.approx(math.log(3))


def test_the_floor_of_a_table_never_compares_a_part_with_itself() -> None:
    train, fresh = vectors.STUDIES["wine"].draw(0)
    _, floor = vectors.STUDIES["wine"].draw(1000)
    assert len(train) + len(fresh) == 178
    assert np.array_equal(floor, train.objects)
    assert not set(map(tuple, floor)) & set(map(tuple, fresh))


def test_synthetic_sets_differ_between_training_fresh_and_floor() -> None:
    train, fresh = vectors.STUDIES["moons"].draw(0)
    _, other = vectors.STUDIES["moons"].draw(1000)
    assert not np.array_equal(train.objects, fresh)
    assert not np.array_equal(fresh, other)


def test_a_run_fills_its_cells_and_resumes(tmp_path: Path) -> None:
    arguments = [
        "--sets",
        "wine",
        "--dimensions",
        "8",
        "--seeds",
        "0",
        "--steps",
        "20",
        "--results",
        str(tmp_path),
        "--runs",
        str(tmp_path / "runs"),
    ]
    assert vectors.main(arguments) == 0
    before = (tmp_path / "vectors.json").read_bytes()
    table = Table("vectors", tmp_path)
    floor = table.select(set="wine", floor=True)[0]["figures"]["sliced_wasserstein"]
    ours = table.select(set="wine", D=8.0)[0]["figures"]["sliced_wasserstein"]
    assert 0 < floor < ours, "twenty steps of training must be worse than real data"
    assert vectors.main(arguments) == 0
    assert (tmp_path / "vectors.json").read_bytes() == before


def test_tails_that_come_together_are_told_from_tails_that_do_not() -> None:
    rng = np.random.default_rng(0)
    apart = rng.standard_normal((20_000, 2))
    together = apart[:, :1].repeat(2, axis=1)
    assert vectors.tail_dependence(together, 0.05) == pytest.approx(1)
    assert vectors.tail_dependence(apart, 0.05) == pytest.approx(0.05, abs=0.03)  # 1,000 rows: four standard errors
    assert vectors.tail_dependence(-together, 0.01) == pytest.approx(1)
