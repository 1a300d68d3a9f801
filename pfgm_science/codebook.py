"""Categories as points: each symbol has a codeword, and a network that knows them answers with their probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pfgm_science.errors import ConfigError

RMS = 0.5  # of every coordinate of a codeword, what EDM's settings suppose


@dataclass(frozen=True)
class Codebook:
    """Centred one-hot codewords of K >= 2 symbols, all equally far from each other; ConfigError for fewer.

    Symbol k is scale (e_k - 1/K): coordinates have root mean square 0.5, and two symbols are `distance` apart.
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ConfigError(f"a codebook of {self.size} symbols says nothing: it needs at least 2")

    @property
    def scale(self) -> float:
        """How far apart the one-hot vectors are drawn."""
        return float(RMS * self.size / (self.size - 1) ** 0.5)

    @property
    def distance(self) -> float:
        """Of two codewords."""
        return float(2**0.5 * self.scale)

    def encode(self, symbols: Tensor) -> Tensor:
        """Numbers of symbols [...] to codewords [..., size], float32."""
        return self.scale * (torch.nn.functional.one_hot(symbols.long(), self.size).float() - 1 / self.size)

    def symbols(self, values: Tensor) -> Tensor:
        """The symbols whose codewords are nearest to values [..., size]: int64 [...]."""
        return values.argmax(-1)

    def mean(self, logits: Tensor) -> Tensor:
        """The mean of the codewords under softmax(logits): like logits, [..., size]."""
        return self.scale * (torch.softmax(logits, -1) - 1 / self.size)

    def probabilities(self, values: Tensor) -> Tensor:
        """The weights of the codewords of which values are the mean; the inverse of `mean`, clipped to [0, 1]."""
        return (values / self.scale + 1 / self.size).clamp(0, 1)
