"""The benchmark of solvers: every cell is filled, and the best is found."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import solvers, tables
from benchmarks.runner import Table
from modalities.vectors.adapter import Vectors
from pfgm_science.model import Model, fit

ROWS = np.random.default_rng(0).standard_normal((60, 2))


def model(arguments: object, D: float) -> Model:
    return fit(Vectors(), ROWS, dimension=D, steps=2, batch_size=8, network={"width": 8, "depth": 1})


def test_every_solver_grid_and_number_of_evaluations_is_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def figures(objects: np.ndarray) -> dict[str, float]:
        seen.append(objects)
        return {"frechet": float(len(seen))}

    monkeypatch.setitem(solvers.TASKS, "mnist5k", solvers.Task(model, figures))
    words = ["mnist5k", "--dimensions", "4", "inf", "--count", "5", "--results", str(tmp_path)]
    chosen = ["--solvers", "euler", "unipc", "stochastic", "dopri5", "--evaluations", "5", "8"]
    assert solvers.main(words + chosen) == 0
    table = Table("solvers-mnist5k", tmp_path)
    assert len(table.cells) == 2 * (3 * 2 * 2 + len(solvers.TOLERANCES)) == len(seen)
    assert all(len(objects) == 5 and np.isfinite(objects).all() for objects in seen)
    adaptive = [c["figures"]["evaluations"] for c in table.select(D=math.inf, solver="dopri5")]
    assert len(adaptive) == len(solvers.TOLERANCES) and min(adaptive) > 7
    assert solvers.main(words + chosen) == 0 and len(seen) == len(table.cells), "nothing is measured twice"
    text = tables.render("solvers-mnist5k", tmp_path)
    assert "| 4 | euler | karras | " in text and "| inf | unipc | fitted | " in text
    assert tables.render("adaptive-mnist5k", tmp_path).count("\n") == 1 + 2 * len(solvers.TOLERANCES)
