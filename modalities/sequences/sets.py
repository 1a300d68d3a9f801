"""What the loaders of sets by name have in common: provenance, and what is wrong with a draw."""

from __future__ import annotations

from typing import Any

from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError

MOST_SEED = 2**32 - 1


def described(info: DatasetInfo, objects: list[Any], **rest: Any) -> Dataset:
    """The objects with the provenance of their set. rest: other fields of the Dataset."""
    return Dataset(objects, name=info.name, licence=info.licence, source=info.source, citation=info.citation, **rest)


def check_draw(count: int, seed: int) -> None:
    """ConfigError for a number of samples or a seed that nothing can be drawn with."""
    if count < 1 or not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"count is {count} and seed {seed}: count must be at least 1, seed from 0 to {MOST_SEED}")
