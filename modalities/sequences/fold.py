"""Samples that fit a structure: `model.sample(count, around=Fold("((((....))))"))`, whatever the model was trained on.

A denoiser says what each letter is by itself, given x; here they are taken to be independent of each other. That two
places pair is then a table of the letters that bond, by which the product of their beliefs is weighed, and each has the
sums of that table in place of its own belief: the posterior under the condition. Nothing is trained for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modalities.sequences.alphabet import BONDS
from modalities.sequences.frame import pairs_of
from pfgm_science.batch import Batch, Condition
from pfgm_science.codebook import Codebook
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.errors import ConfigError

LEAST = 3  # places of the smallest loop


@dataclass(frozen=True)
class Fold:
    """A target structure. structure: dot-bracket, a character a letter, or a column of an aligned model.

    strength: what a hydrogen bond more is worth, in nats: 0 takes pairs as they come, 1 has G-C before A-U before G-U,
    as what is to fold has to. ConfigError for a structure without pairs, with loops of fewer than three letters, or
    that no model of this kind can make.
    """

    structure: str
    strength: float = 1.0

    def __post_init__(self) -> None:
        pairs = pairs_of(self.structure)
        strange = set(self.structure) - set("().[]{}<>")
        if strange:
            raise ConfigError(f"a structure is written with dots and brackets: {''.join(sorted(strange))!r} is neither")
        if not pairs:
            raise ConfigError(f"the structure {self.structure!r} has no pairs: there is nothing to fit")
        low, high = min(pairs, key=lambda pair: pair[1] - pair[0])
        if high - low <= LEAST:
            raise ConfigError(f"places {low + 1} and {high + 1} cannot pair: {LEAST} letters at least lie between two")
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise ConfigError(f"strength is {self.strength}: it must be a number from 0 on")

    def batch(self, adapter: Any, count: int) -> Batch:
        """Samples of the length of the structure, all of it free."""
        if adapter.alphabet not in ("rna", "dna"):
            raise ConfigError(
                f"a structure is asked of a model of {adapter.alphabet}: only nucleic acids pair by letters"
            )
        length = len(self.structure)
        if adapter.aligned and length != adapter.length:
            raise ConfigError(f"the structure has {length} characters, this model's sequences {adapter.length} columns")
        batch: Batch = adapter.template(count, 0) if adapter.aligned else adapter.sized([length] * count)
        return batch

    def steer(self, adapter: Any, denoiser: Denoiser) -> Denoiser:
        return Paired(denoiser, adapter.codebook, pairs_of(self.structure), self.weights(adapter))

    def weights(self, adapter: Any) -> Tensor:
        """What two letters are worth as a pair, 0 where they do not bond: [symbols, symbols]."""
        symbols = adapter.letters.symbols[: adapter.codebook.size]
        strongest = max(BONDS.values())
        table = torch.zeros(len(symbols), len(symbols), dtype=torch.float64)
        for bond, number in BONDS.items():
            if set(bond) <= set(symbols):
                first, second = map(symbols.index, bond)
                table[first, second] = table[second, first] = math.exp(self.strength * (number - strongest))
        return table


class Paired(Wrapper):
    """A denoiser whose letters at two places pair.

    weights: of two symbols as a pair, [symbols, symbols]. Where the denoiser rules all pairs out they are as likely as
    their weights.
    """

    def __init__(
        self, denoiser: Denoiser, codebook: Codebook, pairs: tuple[tuple[int, int], ...], weights: Tensor
    ) -> None:
        self.denoiser, self.codebook = denoiser, codebook
        self.low, self.high = map(list, zip(*pairs, strict=True))
        self.weights = weights

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        shares = self.codebook.probabilities(self.denoiser(x, sigma, condition, mask)).clone()
        weights = self.weights.to(shares)
        both = shares[:, self.low, :, None] * shares[:, self.high, None, :] * weights
        total = both.sum((-2, -1), keepdim=True)
        both = torch.where(total > 1e-12, both / total.clamp(min=1e-12), weights / weights.sum())
        shares[:, self.low], shares[:, self.high] = both.sum(-1), both.sum(-2)
        answer = self.codebook.scale * (shares - 1 / self.codebook.size)
        return answer if mask is None else answer * mask.to(answer)
