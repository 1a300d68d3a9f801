"""Log-likelihoods of objects, in their own units.

A network that says zero, as all do before training, is in EDM's preconditioning the exact denoiser of Gaussian data of
size sigma_data at D = infinity: a model whose density is known.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from command import Pfgm
from scipy import stats

from modalities.images.adapter import Images
from modalities.vectors.adapter import Vectors
from pfgm_science.config import RunConfig
from pfgm_science.data import Dataset
from pfgm_science.denoiser import Preconditioned
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.likelihood import log_likelihood, mean_and_error
from pfgm_science.model import Model

ROWS = np.random.default_rng(0).normal(size=(40, 3)) * [1.0, 50.0, 0.01] + [0.0, 300.0, 5.0]


def untrained(adapter: Vectors | Images, size: float) -> Model:
    tiny = {"width": 8, "depth": 1} if isinstance(adapter, Vectors) else {"channels": 4, "multipliers": [1]}
    denoiser = Preconditioned(adapter.network(tiny, ()), size).eval()
    return Model(adapter, denoiser, RunConfig(adapter=adapter.name, dimension=math.inf))


def test_rows_have_the_density_of_the_gaussian_in_their_units() -> None:
    adapter = Vectors().fit(Dataset(ROWS))
    model = untrained(adapter, 0.8)
    found = log_likelihood(model, ROWS, batch_size=25, steps=12)
    smoothed = math.hypot(0.8, model.levels.sigma_min)
    expected = stats.norm(adapter.centre, smoothed * np.asarray(adapter.scale)).logpdf(ROWS).sum(axis=1)
    # 80 sigma_data in place of infinity: N (0.5 / 80)^2 / 2 = 6e-5, times the distance of a row
    np.testing.assert_allclose(found.value, expected, atol=3e-4)
    assert found.unit == "the data" and (found.coordinates == 3).all()
    assert (found.probe_error == 0).all() and (found.step_error < 1e-4).all()


def test_pixels_have_a_density_too() -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)
    adapter = Images().fit(Dataset(images))
    found = log_likelihood(untrained(adapter, 0.5), images, steps=12)
    values = adapter.encode(images).values.flatten(1).double().numpy()
    expected = stats.norm(0, 0.5).logpdf(values).sum(axis=1) - 16 * math.log(127.5)
    np.testing.assert_allclose(found.value, expected, atol=3e-3)


def test_a_density_at_another_d_is_refused() -> None:
    """Data smoothed by the lowest level are the same at every D."""
    model = untrained(Vectors().fit(Dataset(ROWS)), 0.8)
    with pytest.raises(ConfigError, match="its density does not change at D = 8"):
        log_likelihood(model, ROWS, dimension=8.0)


def test_progress_mean_and_mistakes() -> None:
    model = untrained(Vectors().fit(Dataset(ROWS)), 0.8)
    seen: list[tuple[int, int]] = []
    log_likelihood(model, ROWS[:5], batch_size=2, steps=2, on_state=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert mean_and_error(np.array([1.0, 3.0])) == (2.0, pytest.approx(1.0))
    assert math.isnan(mean_and_error(np.array([1.0]))[1])
    with pytest.raises(ConfigError, match="batch_size is 0"):
        log_likelihood(model, ROWS, batch_size=0)
    with pytest.raises(ConfigError, match="not one of this model's conditions"):
        log_likelihood(model, ROWS, condition={"label": "x"})
    with pytest.raises(DataError, match="rows of 2 numbers given"):
        log_likelihood(model, ROWS[:, :2])


def test_the_command_writes_a_line_an_object(tmp_path: Path, pfgm: Pfgm) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,kind\n" + "".join(f"{a},{b},{'xy'[i % 2]}\n" for i, (a, b, _) in enumerate(ROWS)))
    tiny = ("--steps", 3, "--batch-size", 8, "--set", "network.width=8", "--set", "network.depth=1")
    assert pfgm("train", "vectors", table, "--label", "kind", *tiny, "--out", tmp_path / "run").code == 0
    out = tmp_path / "likely.csv"
    answer = pfgm("likelihood", tmp_path / "run", "--steps", 4, "--out", out)
    assert answer.code == 0, answer.err
    assert "log p of 40 objects, given label" in answer.out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["object"] for row in rows] == [str(i) for i in range(40)]
    assert all(math.isfinite(float(row["log_likelihood"])) for row in rows)
    assert "given nothing" in pfgm("likelihood", tmp_path / "run", "--steps", 4, "--unconditional").out
    refused = pfgm("likelihood", tmp_path / "run", "--out", out)
    assert refused.code == 2 and "--force" in refused.err
