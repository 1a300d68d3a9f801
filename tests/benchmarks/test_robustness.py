"""The data set and the injection of the robustness table, and networks in trouble."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import robustness, tables
from benchmarks.agreement import SMALL
from benchmarks.plane import PLANE, STEPS, InPlane, N, deviations, disturbed, fresh_data
from benchmarks.runner import Table
from benchmarks.subjects import SUBJECTS
from pfgm_science.robustness import TROUBLES
from pfgm_science.sampling import sample
from pfgm_science.schedule import karras
from pfgm_science.solvers import Heun


def test_deviations_are_log_spaced() -> None:
    std = deviations()
    assert std[0] == pytest.approx(2) and std[-1] == pytest.approx(0.02)
    assert torch.allclose(std[1:] / std[:-1], (std[1] / std[0]).expand(PLANE - 1))


def test_without_errors_the_loop_is_the_sampler() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 80 * torch.randn(4, N, generator=generator, dtype=torch.float64)
    grid = karras(STEPS)
    ours = list(disturbed(InPlane(64.0), x, grid, 0.0, generator))
    plain = list(sample(InPlane(64.0), x, grid, solver=Heun()))
    assert len(ours) == STEPS + 1
    assert torch.allclose(ours[-1].x, plain[-1].x, atol=1e-12)


def test_samples_lie_in_the_plane_and_have_its_spread() -> None:
    """D = inf without errors: the widest direction has deviation 2 (5 sigma of the mean of 400 squares: 35%)."""
    generator = torch.Generator().manual_seed(1)
    x = 80 * torch.randn(400, N, generator=generator, dtype=torch.float64)
    *_, state = disturbed(InPlane(math.inf), x, karras(STEPS), 0.0, generator)
    assert float(state.x[:, PLANE:].abs().max()) < 1e-9
    assert float(state.x[:, 0].square().mean()) == pytest.approx(4, rel=0.35)


def test_fresh_data_follow_the_generator() -> None:
    first, second = (fresh_data(5, torch.Generator().manual_seed(s)) for s in (0, 0))
    assert torch.equal(first, second)
    assert first.shape == (5, PLANE)


def test_networks_of_a_sweep_meet_every_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"steps": 2, "batch_size": 8, "network": SUBJECTS["digits"].networks[SMALL]}
    tiny = replace(robustness.NETWORKS["digits"], settings=small, dimensions=(64.0, math.inf))
    monkeypatch.setitem(robustness.NETWORKS, "digits", tiny)
    words = ["digits", "--seeds", "0", "--count", "40", "--runs", str(tmp_path), "--results", str(tmp_path)]
    assert robustness.main(words) == 0
    met = 1 + sum(len(trouble.strengths) for trouble in TROUBLES.values())
    assert len(Table("robustness-digits", tmp_path).cells) == 2 * met
    shown = tables.render("robustness-digits", tmp_path)
    calm, coarse = (
        Table("robustness-digits", tmp_path).find({"trouble": name, "strength": strength, "D": "inf", "seed": 0})
        for name, strength in (("none", 0.0), ("weight-bits", 4))
    )
    assert calm is not None and coarse is not None
    assert "| none |" in shown and f"({coarse['distance'] / calm['distance']:.2f})" in shown
    said = tables.render("robustness-claims", tmp_path).splitlines()[2:]
    assert len(said) == len(tables.CLAIMED) and all(row.startswith("| digits | ") for row in said)
    assert "| D = 64: " in said[0] and "|  | D = inf: " in said[0]
    gone = {"trouble": "step-errors", "strength": 0.2, "D": "inf", "seed": 0}
    table = Table("robustness-digits", tmp_path)
    table.discard(**gone)
    assert "| - |" in tables.render("robustness-digits", tmp_path)
    table.cell(gone, lambda: {"distance": math.inf})
    assert "D = inf: inf |" in tables.render("robustness-claims", tmp_path)
