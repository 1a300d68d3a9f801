"""Troubles do what they say, and nothing where their strength is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Pfgm

from modalities.vectors.adapter import Vectors
from modalities.vectors.datasets import moons
from pfgm_science.cells import Cells
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.exact import FiniteSet
from pfgm_science.model import Model, fit
from pfgm_science.robustness import (
    TROUBLES,
    Disturbed,
    distance_under,
    measure,
    perturbed,
    quantised,
    rounded,
    step_errors,
)
from pfgm_science.sampling import last, sample
from pfgm_science.solvers import Heun
from pfgm_science.spread import mean_and_spread, written


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    data = moons(count=200, seed=0)
    folder = tmp_path_factory.mktemp("run")
    return fit(Vectors(), data, folder=folder, steps=400, batch_size=64, dimension_range=(8, 64), network={"width": 16})


def test_errors_are_of_their_size_and_stay_within_the_mask() -> None:
    x = torch.ones(4000, 4, dtype=torch.float64)
    x[:, 3] = 0
    moved = step_errors(0.2, torch.Generator().manual_seed(0))(x, 5.0) - x
    assert moved[:, 3].abs().max() == 0
    assert moved[:, :3].std().item() == pytest.approx(1.0, abs=5 / math.sqrt(2 * 12000))  # five standard errors


def test_no_errors_are_no_change() -> None:
    denoiser = FiniteSet(torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64), 8.0)
    x = 10 * torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    grid = [10.0, 3.0, 1.0, 0.0]
    plain = last(sample(denoiser, x, grid, solver=Heun())).x
    nothing = Disturbed(Heun(), step_errors(0.0, torch.Generator().manual_seed(0)))
    assert torch.equal(last(sample(denoiser, x, grid, solver=nothing)).x, plain)
    coarse = last(sample(denoiser, x, grid, solver=Disturbed(Heun(), rounded(torch.bfloat16)))).x
    assert 0 < (coarse - plain).abs().max() < 0.2


@pytest.mark.parametrize("bits", [4, 9])
def test_weights_lie_on_a_grid_and_near_what_they_were(model: Model, bits: int) -> None:
    coarse = quantised(model, bits)
    for before, after in zip(model.denoiser.network.parameters(), coarse.denoiser.network.parameters(), strict=True):
        if before.ndim < 2:
            assert torch.equal(before, after)
            continue
        step = before.abs().max() / (2 ** (bits - 1) - 1)
        assert torch.allclose(after / step, torch.round(after / step), atol=1e-3)
        assert (after - before).abs().max() <= step * 0.501


def test_noise_on_weights_is_of_its_size_and_leaves_the_model_alone(model: Model) -> None:
    before = [parameter.clone() for parameter in model.denoiser.network.parameters()]
    noisy = perturbed(model, 0.1, seed=0)
    pairs = list(zip(before, noisy.denoiser.network.parameters(), strict=True))
    relative = torch.cat([((b - a) / a.square().mean().sqrt()).flatten() for a, b in pairs if a.ndim > 1])
    assert relative.std().item() == pytest.approx(0.1, rel=5 / math.sqrt(2 * len(relative)))
    assert all(torch.equal(a, b) for a, b in zip(before, model.denoiser.network.parameters(), strict=True))


def test_every_trouble_makes_samples_worse_when_it_is_large(model: Model) -> None:
    distance = Distance(moons(count=300, seed=1))
    calm = distance_under(None, 0, model, distance, 300, {"dimension": math.inf})
    worst = {"step-errors": 3.0, "weight-bits": 2, "weight-noise": 3.0}
    for name, strength in worst.items():
        found = distance_under(TROUBLES[name], strength, model, distance, 300, {"dimension": math.inf})
        assert found > calm, name
    same = distance_under(TROUBLES["state-bits"], 24, model, distance, 300, {"dimension": math.inf})
    assert same == pytest.approx(calm, rel=1e-3)


def test_cells_are_filled_once(model: Model, tmp_path: Path) -> None:
    distance, cells = Distance(moons(count=60, seed=1)), Cells(tmp_path / "cells.json")
    how: dict[str, Any] = {"troubles": [TROUBLES["weight-bits"]], "seeds": [0], "count": 20, "evaluations": 5}
    measure({8.0: model, math.inf: model}, distance, cells, **how)
    assert len(cells.cells) == 2 * 7
    before = cells.path.read_bytes()
    measure({8.0: model, math.inf: model}, distance, cells, **how)
    assert cells.path.read_bytes() == before
    (tmp_path / "cells.json").write_text("{")
    with pytest.raises(PfgmError, match="no file of measurements"):
        Cells(tmp_path / "cells.json")


def test_means_and_how_they_are_written() -> None:
    assert mean_and_spread([1.0, 3.0]) == pytest.approx((2.0, math.sqrt(2)))
    assert math.isnan(mean_and_spread([1.0])[1])
    assert mean_and_spread([1.0, math.inf])[0] == math.inf
    assert written(1.234, 0.056) == "1.23 ± 0.06"
    assert written(123.4, math.nan) == "123"
    assert written(math.inf, math.nan) == "inf"


def test_distance_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ConfigError, match="frechet, kernel, sliced-wasserstein"):
        Distance(moons(count=50, seed=0), "fid")
    with pytest.raises(DataError, match="at least 20"):
        Distance(moons(count=19, seed=0))


def test_command_makes_table_and_page(pfgm: Pfgm, model: Model, tmp_path: Path) -> None:
    run = tmp_path / "model.safetensors"
    model.save(run)
    words = ["robustness", run, "--data", "moons", "--dimensions", "8,inf", "--count", 20, "--seeds", 2]
    answer = pfgm(*words, "--troubles", "steps,weight-bits", "--evaluations", 4, "--out", tmp_path / "page")
    assert answer.code == 0
    assert "weight-bits" in answer.out and "D = ∞" in answer.out
    fewer = pfgm(
        *words, "--troubles", "state-bits", "--evaluations", 4, "--dimensions", "inf", "--out", tmp_path / "page"
    )
    lines = [line.split() for line in fewer.out.splitlines() if line.split()[:2] == ["state-bits", "24"]]
    assert fewer.code == 0 and lines[0][2] == "-"  # of D = 8, which was asked for before
    assert "Distance against strength" in (tmp_path / "page" / "report.html").read_text()
    again = pfgm(*words, "--evaluations", 5, "--out", tmp_path / "page")
    assert again.code == 2 and "another protocol" in again.err
    assert pfgm(*words, "--troubles", "rain").code == 2
    twice = pfgm("robustness", run, run, "--data", "moons")
    assert twice.code == 2 and "same D" in twice.err
