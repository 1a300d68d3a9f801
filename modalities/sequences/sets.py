"""What the loaders of sets by name have in common: provenance, columns worth keeping, and what is wrong with a draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from modalities.sequences.alphabet import GAP
from modalities.sequences.frame import Frame
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError

RARE = 0.001  # columns that fewer sequences have a letter in are left out, with those sequences
MOST_SEED = 2**32 - 1


def described(info: DatasetInfo, objects: list[Any], **rest: Any) -> Dataset:
    """The objects with the provenance of their set. rest: other fields of the Dataset."""
    return Dataset(objects, name=info.name, licence=info.licence, source=info.source, citation=info.citation, **rest)


def common_columns(frame: Frame, texts: list[str], rare: float = RARE) -> tuple[Frame, list[str], list[bool]]:
    """The columns that are not rare, the sequences without letters in others, and which those are."""
    letters = np.array([list(text) for text in texts]) != GAP
    often = letters.mean(0) >= rare
    kept = ~letters[:, ~often].any(1)
    columns = np.flatnonzero(often).tolist()
    shown = ["".join(text[column] for column in columns) for text, keep in zip(texts, kept, strict=True) if keep]
    return frame.take(columns), shown, kept.tolist()


def check_draw(count: int, seed: int) -> None:
    """ConfigError for a number of samples or a seed that nothing can be drawn with."""
    if count < 1 or not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"count is {count} and seed {seed}: count must be at least 1, seed from 0 to {MOST_SEED}")
