"""What the benchmarks of antibodies and of RNAs share: ladders, and samples with the conditions of a set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.runner import Table
from modalities.sequences.objects import text_of
from pfgm_science.data import Dataset
from pfgm_science.model import Model
from pfgm_science.progress import progress

COUNT, EVALUATIONS = 1000, 35

Rung = tuple[dict[str, Any], Callable[[], Mapping[str, Any]]]  # of a ladder: the key of a baseline, and its figures


def ladder(found: Sequence[Table], rungs: Sequence[Rung], again: bool) -> None:
    """The same rows of baselines in every table, each measured once and nowhere where a table has it.

    again: measure these rows anew; other rows stay as they are.
    """
    if again:
        for table, (key, _) in product(found, rungs):
            table.discard(**key)
    for key, measure in rungs:
        known = [figures for table in found if (figures := table.find(key)) is not None]
        kept = known[0] if known else measure()
        for table in found:
            table.cell(key, lambda kept=kept: kept)  # type: ignore[misc]


def drawn(model: Model, train: Dataset, count: int, seed: int, **how: Any) -> tuple[list[str], float]:
    """Samples with the conditions of training sequences drawn at random, as text, and the seconds that they took.

    how: as in Model.sample; EVALUATIONS calls of the network where it does not say how many.
    """
    rows = np.random.default_rng([seed, 1]).integers(len(train), size=count)
    condition = {name: np.asarray(value)[rows] for name, value in train.condition.items()}
    started = time.monotonic()
    with progress("sampling") as update:
        samples = model.sample(
            count,
            seed=1000 + seed,
            condition=condition or None,
            on_state=update,
            **{"evaluations": EVALUATIONS, **how},
        )
    return [text_of(sample) for sample in samples], round(time.monotonic() - started, 1)


def some(data: Dataset, count: int, seed: int) -> list[str]:
    """So many of the sequences, drawn at random, or all where there are fewer."""
    found = texts_of(data)
    order = np.random.default_rng([seed, 4]).permutation(len(found))[:count]
    return [found[i] for i in order]


def texts_of(data: Dataset) -> list[str]:
    return [text_of(record) for record in data.objects]
