from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import simplex
from benchmarks.runner import Table


def test_the_divergence_of_shares_is_that_of_kullback_and_leibler() -> None:
    law = np.array([[0.5, 0.5], [0.25, 0.75]])
    classes = np.array([[0, 0]] * 30_000 + [[1, 1]] * 10_000)
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    expected += 0.25 * math.log(0.25 / 0.75) + 0.75 * math.log(0.75 / 0.25)
    assert simplex.divergence(law, classes) == pytest.approx(expected, rel=1e-3)


def test_fresh_draws_are_at_the_floor_that_counting_has() -> None:
    """KL of shares of n draws is (K - 1) / 2n a place on average, with deviation sqrt((K - 1) / 2) / n."""
    law, n = simplex.law_of(20, 0), 40_000
    found = simplex.divergence(law, simplex.draws(law, n, 3))
    places = simplex.PLACES
    assert abs(found - places * 19 / (2 * n)) < 5 * math.sqrt(places * 19 / 2) / n


def test_a_tiny_run_fills_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplex, "TRAINING", simplex.TRAINING | {"steps": 150, "batch_size": 64, "ema_half_life": 2000})
    monkeypatch.setattr(simplex, "COUNT", 2000)
    monkeypatch.setattr(simplex, "AT_ONCE", 1000)
    words = ["--classes", "4", "--dimensions", "16", "inf", "--seeds", "0", "--results", str(tmp_path)]
    assert simplex.main(words) == 0
    table = Table("simplex", tmp_path)
    assert len(table.cells) == 3
    for D in (16.0, math.inf):
        found = table.find({"K": 4, "D": D, "seed": 0})
        assert found is not None and found["kl"] < 0.1
