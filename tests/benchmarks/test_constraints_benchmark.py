"""The exact conditional laws of the benchmark, and its figures on samples that are right and wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import constraints, tables
from benchmarks.runner import Table

F64 = torch.float64


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_draws_given_a_measurement_are_those_of_bayes(noise: float) -> None:
    """One Gaussian, whose posterior is known: mean and covariance of 20,000 draws, within five standard errors."""
    g = torch.Generator().manual_seed(0)
    mean, std = torch.arange(8.0, dtype=F64)[None], torch.tensor([0.7], dtype=F64)
    A, z = torch.randn(3, 8, generator=g, dtype=F64), torch.tensor([1.0, -2.0, 0.5], dtype=F64)
    y = constraints.given_measurement(mean, std, A, noise, z.expand(20_000, 3), g)
    gain = 0.49 * A.T @ torch.linalg.inv(0.49 * A @ A.T + noise**2 * torch.eye(3, dtype=F64))
    expected = mean[0] + gain @ (z - A @ mean[0])
    covariance = 0.49 * (torch.eye(8, dtype=F64) - gain @ A)
    torch.testing.assert_close(y.mean(0), expected, rtol=0, atol=5 * 0.7 / 20_000**0.5)
    torch.testing.assert_close(torch.cov(y.T), covariance, rtol=0, atol=5 * 0.49 * (2 / 20_000) ** 0.5)
    if not noise:
        torch.testing.assert_close(y @ A.T, z.expand(20_000, 3))


def test_of_a_mixture_the_component_follows_the_measurement() -> None:
    g = torch.Generator().manual_seed(0)
    means = torch.tensor([[-5.0] * 8, [5.0] * 8], dtype=F64)
    A = constraints.selection([0], 8)
    z = torch.tensor([[-5.0], [5.0], [0.0]], dtype=F64).repeat(500, 1)
    y = constraints.given_measurement(means, torch.ones(2, dtype=F64), A, 0.0, z, g)
    above = (y[:, 1] > 0).double().reshape(500, 3).mean(0).tolist()
    assert above[0] == 0 and above[1] == 1 and above[2] == pytest.approx(0.5, abs=0.11)  # five standard errors


@pytest.mark.parametrize("task", ["infilling", "finite set", "measurement"])
def test_exact_draws_are_at_chance_and_others_are_not(task: str) -> None:
    """Seeds are fixed: a p-value under 0.001 by luck is one seed in a thousand."""
    floor = constraints.floor(task, 600, seed=0)
    data, y, z, g = constraints._known(task, 600, 0)
    blind = constraints.figures(task, y, z, data.draw(600, g), g)  # draws that know nothing of z
    if task == "finite set":
        assert floor["agree"] == 1 and floor["variation"] < 0.1
        assert blind["agree"] < 0.3
    else:
        assert floor["p_value"] > 0.001 > blind["p_value"]
        assert floor["spread"] == pytest.approx(1, abs=0.1)


def test_the_table_is_filled_and_rendered(tmp_path: Path) -> None:
    words = ["--dimensions", "16", "inf", "--count", "60", "--results", str(tmp_path)]
    assert constraints.main([*words, "--tasks", "infilling", "finite set", "--methods", "kept"]) == 0
    table = Table("constraints", tmp_path)
    assert len(table.cells) == 2 * (1 + 2)
    assert table.select(task="infilling", D=math.inf)[0]["figures"]["off_measurement"] == 0
    text = tables.render("constraints", tmp_path)
    assert (
        "| infilling | two-sample accuracy | kept |" in text
        and "| finite set | at a point that agrees | kept |" in text
    )
