"""Sequences by name: sets that ship in other people's packages, read where they are, and sets that are drawn.

A name can be followed by settings, where a set has any: `olga-h3:count=5000:seed=1`. What a set allows is said when a
setting is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from modalities.sequences import antibody_sets, rna_sets, simulated_sets, trna_sets
from modalities.sequences.alphabet import RNA
from modalities.sequences.objects import records
from modalities.sequences.sets import described
from pfgm_science.data import Dataset, DatasetInfo, settings_in

HAIRPINS = DatasetInfo(
    name="hairpins",
    description="toy RNA: hairpins whose two sides pair, of free length",
    licence="none needed: drawn on this machine",
    source="drawn by modalities.sequences.datasets",
    size="2,000 sequences of 18 to 40 letters",
)


def names() -> list[DatasetInfo]:
    return [info for info, _ in _LOADERS.values()]


def load(name: str) -> Dataset:
    """A set by name, with any settings in it; PfgmError for a name that is not there, or what cannot be fetched."""
    base, *given = name.split(":")
    info = DatasetInfo.find(names(), base)
    settings = settings_in(name, given, _SETTINGS.get(info.name, {}))
    return replace(_LOADERS[info.name][1](info, **settings), name=name)


def _hairpins(info: DatasetInfo, count: int = 2000, seed: int = 0) -> Dataset:
    """Stems of 6 to 14 pairs, of which one in ten wobbles, around loops of 4 to 12."""
    rng = np.random.default_rng(seed)
    partner = {"A": "U", "C": "G", "G": "C", "U": "A"}
    texts = []
    for _ in range(count):
        stem = rng.choice(list("ACGU"), rng.integers(6, 15))
        other = [partner[letter] for letter in stem[::-1]]
        wobble = [("U" if letter == "C" and rng.random() < 0.1 else letter) for letter in other]
        loop = rng.choice(list("ACGU"), rng.integers(4, 13), p=[0.4, 0.15, 0.15, 0.3])
        texts.append("".join([*stem, *loop, *wobble]))
    return described(info, records(texts), details={"alphabet": RNA.name})


_LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {
    **antibody_sets.LOADERS,
    **simulated_sets.LOADERS,
    **rna_sets.LOADERS,
    **trna_sets.LOADERS,
    HAIRPINS.name: (HAIRPINS, _hairpins),
}
_SETTINGS: dict[str, dict[str, Any]] = {
    HAIRPINS.name: {"count": 2000, "seed": 0},
    **simulated_sets.SETTINGS,
    **rna_sets.SETTINGS,
}
