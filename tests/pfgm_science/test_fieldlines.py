"""Field lines end in the data, and keep the order and the share of the prior that they start with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pfgm_science.errors import ConfigError
from pfgm_science.fieldlines import LINE_POINTS, draw, spread_evenly, trajectories
from pfgm_science.figures import png

DIMENSIONS = (1.0, 8.0, math.inf)


@pytest.mark.parametrize("D", DIMENSIONS)
def test_lines_end_in_the_data_in_equal_shares_and_never_cross(D):
    points = torch.tensor(LINE_POINTS, dtype=torch.float64)
    levels, paths = trajectories(points, spread_evenly(40, D, 1, 80.0), D)
    assert levels[0] == 80.0 and levels[-1] == 0.0
    ends = paths[-1, :, 0]
    nearest = np.abs(ends[:, None] - points[:, 0].numpy()).argmin(axis=1)
    assert np.abs(ends - points[nearest, 0].numpy()).max() < 1e-3
    # Four equally likely points: a quarter of the lines each, but for the one whose start lies on the border.
    assert np.abs(np.bincount(nearest, minlength=4) - 10).max() <= 1
    above = paths[levels > 0.01, :, 0]
    assert (np.diff(above, axis=1) > 0).all()


def test_a_single_charge_has_straight_lines():
    levels, paths = trajectories(torch.tensor([[0.5]]), torch.tensor([[40.0], [-8.0]]), 3.0, steps=20)
    expected = 0.5 + levels[:, None] / 80.0 * (np.array([40.0, -8.0]) - 0.5)
    assert np.abs(paths[:, :, 0] - expected).max() < 1e-12


@pytest.mark.parametrize("D", DIMENSIONS)
def test_starts_share_the_prior_evenly(D):
    share = (np.arange(50) + 0.5) / 50
    law = stats.norm if math.isinf(D) else stats.t(D)
    line = spread_evenly(50, D, 1, 2.0).numpy()[:, 0]
    assert np.abs(law.cdf(line / 2.0) - share).max() < 1e-12
    radii = np.linalg.norm(spread_evenly(50, D, 2, 2.0).numpy(), axis=1) / 2.0
    inside = stats.chi2(2).cdf(radii**2) if math.isinf(D) else stats.f(2, D).cdf(radii**2 / 2)
    assert np.abs(inside - share).max() < 1e-12


@pytest.mark.parametrize("points", [None, [[1.0, 0.0], [-1.0, 0.5]]])
def test_draw(points):
    figure = draw((1.0, math.inf), points, lines=6)
    assert len(figure.axes) == 2
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0.0,),), "D is 0.0"),
        (((),), "0 values of D"),
        (((1.0,), np.zeros((2, 3))), r"\[k, 1\]"),
        (((1.0,), [1.0]), "shape"),
    ],
)
def test_what_cannot_be_drawn_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        draw(*arguments)
