"""Figures over seeds: their mean and spread, and how those are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def mean_and_spread(values: Sequence[float | str]) -> tuple[float, float]:
    """Mean and standard deviation over seeds; nan for the spread of one; inf where a value is, or there is none."""
    array = np.asarray(values, dtype=np.float64)  # a file has "inf" as a word
    if not len(array) or not np.isfinite(array).all():
        return math.inf, math.nan
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else math.nan


def written(mean: float, spread: float, digits: int = 3) -> str:
    """ "1.23 ± 0.04", or the mean alone where there is no spread; digits: of the mean, and as many decimals of both."""
    text = _significant(mean, digits)
    if math.isnan(spread):
        return text
    decimals = len(text.split(".")[1]) if "." in text else 0
    return f"{text} ± {spread:.{decimals}f}"


def _significant(value: float, digits: int) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def named(D: float) -> str:
    """D as people read it."""
    return "∞" if math.isinf(D) else f"{D:g}"
