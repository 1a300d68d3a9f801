"""Antibodies beside their germline: where they are mutated, and how, with what all of a family share left out.

Most letters of a variable domain stand in its V gene already, and a model that knows the genes by heart looks good by
any figure over all columns. Here the letter of the gene is one symbol in every column, so that only mutations and
CDR3, which no V gene holds, can agree or differ. The genes are not given but found: the consensus of the training
sequences with the same call, or of those that are alike where a set has no calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from modalities.sequences.metrics import Reference, columns_apart, correlations_alike, nearest, numbers, shares
from modalities.sequences.novelty import nearest_rows
from pfgm_science.errors import DataError

Array = np.ndarray[Any, Any]

LEAST = 20  # sequences that a consensus is taken of
MODES, ROUNDS, MOST = 64, 12, 10_000  # groups looked for where there are no calls, in that many of the sequences


class Germlines:
    """V genes by their letters, int64 [genes, columns]: the numbers of symbols."""

    def __init__(self, rows: Array) -> None:
        if rows.ndim != 2 or not len(rows):
            raise DataError(f"germlines have shape {rows.shape}: give a row a gene, and one at least")
        self.rows = rows

    @classmethod
    def called(cls, found: Array, genes: Sequence[str]) -> Germlines:
        """The consensus of the sequences of each gene; genes that few have are left out (all are one, if all are rare).

        found: int64 [n, columns]; genes: of each.
        """
        _, member, counts = np.unique(np.asarray(genes), return_inverse=True, return_counts=True)
        often = np.flatnonzero(counts >= LEAST)
        if not len(often):
            return cls(_consensus(found)[None])
        return cls(np.stack([_consensus(found[member == gene]) for gene in often]))

    @classmethod
    def found(cls, found: Array, seed: int = 0) -> Germlines:
        """The consensus of each group of sequences that are alike, by k-modes (Z. Huang, 1998), small groups left out.

        The first modes are drawn as k-means++ does, of sequences far from those before them.
        """
        rng = np.random.default_rng(seed)
        rows = found[rng.permutation(len(found))[:MOST]]
        modes = _settled(rows, _far_apart(rows, min(MODES, max(len(rows) // LEAST, 1)), rng))
        counts = np.bincount(nearest_rows(rows, modes)[1], minlength=len(modes))
        return cls(_settled(rows, modes[counts >= min(LEAST, counts.max())]))

    def of(self, found: Array) -> Array:
        """The gene that each sequence is nearest to: its letters, int64 [n, columns]."""
        letters: Array = self.rows[nearest_rows(found, self.rows)[1]]
        return letters

    def mutated(self, found: Array) -> Array:
        """Where each sequence differs from its gene: bool [n, columns]."""
        where: Array = found != self.of(found)
        return where

    def hidden(self, found: Array, symbol: int) -> Array:
        """The sequences with every letter of their gene replaced by one symbol: int64 [n, columns]."""
        return np.where(self.mutated(found), found, symbol)


class Beside:
    """Sequences in the columns of a reference, beside the germline of its training part.

    genes: the call of each training sequence, None where there are none. loop: the region behind the V gene.
    """

    def __init__(self, reference: Reference, genes: Sequence[str] | None = None, loop: str = "CDR-H3") -> None:
        columns = reference.frame.region(loop)
        self.reference, self.loop = reference, slice(columns.start, columns.stop)
        self.gene = slice(0, columns.start)
        known = reference.train_numbers[:, self.gene]
        self.germlines = Germlines.found(known) if genes is None else Germlines.called(known, genes)
        self.unchanged = len(reference.alphabet.symbols)  # a symbol more

    @cached_property
    def real(self) -> Array:
        return self._shown(self.reference.numbers)

    @cached_property
    def train(self) -> Array:
        return self._shown(self.reference.train_numbers)

    def evaluate(self, generated: Sequence[str]) -> dict[str, float]:
        """Name -> figure, each to be read beside that of held-out sequences; DataError for none.

        mutations: columns before CDR3 that differ from the germline, the mean; W1 to that of real ones. mutated
        columns, mutation correlations: total variation and correlation (see metrics) of mutations alone, before CDR3.
        CDR3 columns: total variation in CDR3 alone. non-germline distance: columns of mutations and of CDR3 that differ
        from those of the nearest training sequence, the median.
        """
        if not generated:
            raise DataError("there is no generated sequence to judge")
        found = self._shown(numbers(generated, self.reference.alphabet))
        ours, theirs = ((table[:, self.gene] != self.unchanged).sum(1) for table in (found, self.real))
        symbols = self.unchanged + 1
        mutations = found[:, self.gene], self.real[:, self.gene], symbols
        return {
            "mutations": float(ours.mean()),
            "W1 mutations": float(wasserstein_distance(ours, theirs)),
            "mutated columns": columns_apart(*mutations),
            "mutation correlations": correlations_alike(*mutations),
            "CDR3 columns": columns_apart(found[:, self.loop], self.real[:, self.loop], symbols),
            "non-germline distance": float(np.median(nearest(found, self.train))),
        }

    def _shown(self, found: Array) -> Array:
        """Mutations and CDR3: int64 [n, columns up to the end of CDR3]."""
        return np.concatenate([self.germlines.hidden(found[:, self.gene], self.unchanged), found[:, self.loop]], 1)


def _consensus(found: Array) -> Array:
    """The symbol that most have in each column, the first of equals: [columns]."""
    most: Array = shares(found, int(found.max()) + 1).argmax(1)
    return most


def _settled(rows: Array, modes: Array) -> Array:
    """Modes after rounds in which each becomes the consensus of the rows that are nearest to it: [<= n, columns]."""
    for _ in range(ROUNDS):
        place = nearest_rows(rows, modes)[1]
        new = np.unique([_consensus(rows[place == mode]) for mode in np.unique(place)], axis=0)
        if np.array_equal(new, modes):
            break
        modes = new
    return modes


def _far_apart(rows: Array, count: int, rng: np.random.Generator) -> Array:
    """Distinct rows, each drawn with the square of its distance to the nearest of those before: [<= count, columns]."""
    chosen = [int(rng.integers(len(rows)))]
    apart = cdist(rows, rows[chosen], "hamming")[:, 0]
    while len(chosen) < count and apart.any():
        weights = apart**2
        chosen.append(int(rng.choice(len(rows), p=weights / weights.sum())))
        apart = np.minimum(apart, cdist(rows, rows[chosen[-1:]], "hamming")[:, 0])
    return rows[chosen]
