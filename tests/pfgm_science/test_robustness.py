"""Troubles do what they say, and nothing where their strength is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Pfgm

from modalities.vectors.adapter import Vectors
from modalities.vectors.datasets import moons
from pfgm_science import cli
from pfgm_science.cells import Cells
from pfgm_science.dimension_commands import robustness
from pfgm_science.distance import Distance
from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.exact import FiniteSet
from pfgm_science.model import Drawing, Model, fit
from pfgm_science.robustness import (
    TROUBLES,
    Disturbed,
    Stored,
    distance_under,
    measure,
    perturbed,
    quantised,
    step_errors,
)
from pfgm_science.sampling import last, sample
from pfgm_science.solvers import Euler, Heun, Trig2M
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


def test_every_state_is_one_that_the_number_format_has() -> None:
    """Where it starts, as far as the network sees it, and the last one too."""
    seen: list[torch.Tensor] = []
    exact = FiniteSet(torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64), 8.0)

    def denoiser(x: torch.Tensor, sigma: torch.Tensor, condition: Any = None, mask: Any = None) -> torch.Tensor:
        seen.append(x)
        return exact(x, sigma)

    x = 10 * torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    grid = [10.0, 3.0, 1.0, 0.0]
    plain = last(sample(exact, x, grid, solver=Euler())).x
    coarse = last(sample(denoiser, x, grid, solver=Stored(Euler(), torch.bfloat16))).x
    assert 0 < (coarse - plain).abs().max() < 0.2
    for state in (*seen, coarse):
        assert torch.equal(state.bfloat16().double(), state)


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


def test_errors_come_before_each_step_of_the_solver_that_is_asked_for(model: Model) -> None:
    met, way = TROUBLES["step-errors"].met(model, 0.2, {"solver": "heun", "seed": 0})
    solver = way["solver"]
    assert isinstance(solver, Disturbed) and solver.solver == Heun()
    assert (way["grid"], len(met.grid(solver, 35)) - 1) == ("karras", 18)  # as arXiv 2302.04265 has it
    met, way = TROUBLES["step-errors"].met(model, 0.2, {})
    solver = way["solver"]
    assert isinstance(solver, Disturbed) and solver.solver == Trig2M(model.denoiser.sigma_data)
    assert (way["grid"], len(met.grid(solver, 35)) - 1) == ("fitted", 35)


@pytest.mark.parametrize("solver", [None, "heun", "trig2m"])
def test_troubles_of_no_strength_leave_the_solver_as_it_is(model: Model, solver: str | None) -> None:
    distance, how = Distance(moons(count=60, seed=1)), Drawing(solver=solver, evaluations=7, dimension=64.0)
    calm = distance_under(None, 0, model, distance, 40, how)
    assert distance_under(TROUBLES["step-errors"], 0.0, model, distance, 40, how) == pytest.approx(calm, rel=1e-6)
    assert distance_under(TROUBLES["state-bits"], 24, model, distance, 40, how) == pytest.approx(calm, rel=1e-3)


def test_solvers_that_draw_noise_or_choose_their_steps_meet_no_troubles(model: Model, tmp_path: Path) -> None:
    distance, cells = Distance(moons(count=60, seed=1)), Cells(tmp_path / "cells.json")
    for name in ("stochastic", "dopri5"):
        with pytest.raises(ConfigError, match="meets no troubles; there are .*heun"):
            measure({8.0: model}, distance, cells, solver=name)


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


def test_command_names_the_solver(pfgm: Pfgm, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.save(tmp_path / "model.safetensors")
    _, commands = cli._parsers()
    words = [tmp_path / "model.safetensors", "--data", "moons", "--dimensions", "8,inf", "--count", 20, "--seeds", 1]
    words += ["--troubles", "step-errors", "--evaluations", 5, "--out", tmp_path / "page"]
    args = commands["robustness"].parse_args([str(word) for word in words])
    args.command, args.solver = "robustness", "heun"
    assert robustness(args) == 0
    said = "heun, 3 steps in 5 evaluations"
    assert said in capsys.readouterr().out and said in (tmp_path / "page" / "report.html").read_text()
    other = pfgm("robustness", *words)
    assert other.code == 2 and "solver ('heun', not 'trig2m')" in other.err


def test_runs_that_held_out_other_data_are_not_compared(pfgm: Pfgm, tmp_path: Path) -> None:
    data = Vectors().dataset("moons")
    how: dict[str, Any] = {"steps": 2, "batch_size": 8, "network": {"width": 8}}
    runs: dict[str, dict[str, Any]] = {
        "one": {"dimension": 8, "seed": 1},
        "same": {"dimension": 64, "seed": 1},
        "seed": {"dimension": 32, "seed": 2},
        "share": {"dimension": 16, "seed": 1, "validation": 0.2},
        "all": {"dimension": 128, "validation": 0.0},
        "all too": {"dimension": 256, "validation": 0.0, "seed": 3},
    }
    for name, others in runs.items():
        fit(Vectors(), data, **how, **others).save(tmp_path / name)
    words = ["--data", "moons", "--count", 20, "--seeds", 1, "--evaluations", 2, "--troubles", "state-bits"]
    for pair in (("one", "same"), ("all", "all too")):
        answer = pfgm("robustness", *(tmp_path / name for name in pair), *words, "--out", tmp_path / f"to {pair[1]}")
        assert answer.code == 0, answer.err
    for other in ("seed", "share", "all"):
        answer = pfgm("robustness", tmp_path / "one", tmp_path / other, *words)
        assert answer.code == 2 and "different parts of moons" in answer.err and "one --seed" in answer.err
    Vectors().write(str(tmp_path / "new.csv"), np.random.default_rng(0).random((40, 2)))
    new = ["--data", tmp_path / "new.csv", *words[2:], "--out", tmp_path / "to new"]
    assert pfgm("robustness", tmp_path / "one", tmp_path / "seed", *new).code == 0  # neither saw any of it
