"""How good are generated sequences? Figures that need no judge beside the sequences themselves, all against real ones.

`evaluate` gives all of them, and what it gives of held-out real sequences is the floor beside which they are read. A
figure better than the floor is no success: a model whose samples are likelier or more alike than real sequences has
collapsed to their consensus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from modalities.sequences.alphabet import CANONICAL, GAP, Alphabet
from modalities.sequences.frame import Frame
from modalities.sequences.novelty import nearest_rows
from modalities.sequences.objects import without_gaps
from pfgm_science.errors import DataError

Array = np.ndarray[Any, Any]

PAIRS = 400  # sequences of which all pairs are compared, for the diversity
_SEEN = 0.02  # share of sequences from which on a symbol of a column is counted in correlations


class Reference:
    """Real sequences in their columns, and what is computed of them once. train: those that a model has seen."""

    def __init__(self, real: Sequence[str], train: Sequence[str], alphabet: Alphabet, frame: Frame) -> None:
        lengths = {len(text) for text in [*real, *train]}
        if lengths != {len(frame)}:
            raise DataError(f"sequences of {sorted(lengths)} columns cannot be judged in a frame of {len(frame)}")
        self.real, self.train, self.alphabet, self.frame = list(real), list(train), alphabet, frame

    @cached_property
    def numbers(self) -> Array:
        return numbers(self.real, self.alphabet)

    @cached_property
    def train_numbers(self) -> Array:
        return numbers(self.train, self.alphabet)

    @cached_property
    def known(self) -> set[str]:
        return {without_gaps(text) for text in self.train}

    @cached_property
    def properties(self) -> dict[str, Array]:
        return properties(self.real, self.alphabet)


def evaluate(generated: Sequence[str], reference: Reference, seed: int = 0) -> dict[str, float]:
    """Name -> figure of sequences in the columns of the frame; DataError for none.

    unique: share of distinct ones. copies: share that are training sequences. distance, REGION distance: median of the
    differing columns to the nearest training sequence, and in each loop. diversity: mean of the differing columns of
    two. columns: total variation of the symbols, mean over columns. correlations: Pearson's r of the covariances of
    symbols in pairs of columns. W1 of properties in units of their deviation among real sequences; W1 mean is the mean.
    Where the frame has a structure, pair information: see pair_information; pairs: share of its pairs of columns with
    two letters that are G-C, A-U or G-U. Of nucleic acids, 3-mers and 4-mers: see kmers_apart.
    """
    if not generated:
        raise DataError("there is no generated sequence to judge")
    plain = [without_gaps(text) for text in generated]
    found = numbers(generated, reference.alphabet)
    rng = np.random.default_rng(seed)
    loops = [(name, low, high) for name, low, high in reference.frame.regions if name.startswith("CDR")]
    figures = {
        "count": float(len(generated)),
        "unique": len(set(plain)) / len(plain),
        "copies": sum(text in reference.known for text in plain) / len(plain),
        "distance": float(np.median(nearest(found, reference.train_numbers))),
    }
    for name, low, high in loops:
        figures[f"{name} distance"] = float(
            np.median(nearest(found[:, low:high], np.unique(reference.train_numbers[:, low:high], axis=0)))
        )
        lengths = [_letters(table[:, low:high], reference.alphabet) for table in (found, reference.numbers)]
        figures[f"W1 {name} length"] = _w1(*lengths)
    figures |= {
        "diversity": diversity(found, rng),
        "columns": columns_apart(found, reference.numbers, len(reference.alphabet.symbols)),
        "correlations": correlations_alike(found, reference.numbers, len(reference.alphabet.symbols)),
    }
    if reference.frame.pairs:
        figures["pair information"] = pair_information(found, reference.frame.pairs)
        figures["pairs"] = pairing(generated, reference.frame)
    if reference.alphabet.name != "protein":
        figures |= {f"{size}-mers": kmers_apart(generated, reference.real, size) for size in (3, 4)}
    distances = {}
    for name, values in properties(generated, reference.alphabet).items():
        real = reference.properties[name]
        distances[f"W1 {name}"] = _w1(values, real) / max(float(real.std()), 1e-9)
    return figures | distances | {"W1 mean": float(np.mean(list(distances.values())))}


def numbers(texts: Sequence[str], alphabet: Alphabet) -> Array:
    """The number of each symbol: int64 [n, columns]."""
    return np.array([alphabet.numbers(text) for text in texts])


def nearest(found: Array, others: Array) -> Array:
    """Columns in which each row differs from the nearest of the others: [n]."""
    return nearest_rows(found, others)[0]


def diversity(found: Array, rng: np.random.Generator) -> float:
    """Columns in which two rows differ, the mean over the pairs of at most PAIRS rows; nan for one row."""
    rows = found[rng.permutation(len(found))[:PAIRS]]
    if len(rows) < 2:
        return float("nan")
    apart = cdist(rows, rows, "hamming") * found.shape[1]
    return float(apart.sum() / (len(rows) * (len(rows) - 1)))


def shares(found: Array, symbols: int) -> Array:
    """How often each symbol stands in each column: [columns, symbols]."""
    counted: Array = np.stack([(found == symbol).mean(0) for symbol in range(symbols)], 1)
    return counted


def columns_apart(found: Array, real: Array, symbols: int) -> float:
    """Total variation between the symbols of two sets, the mean over columns."""
    return float(np.abs(shares(found, symbols) - shares(real, symbols)).sum(1).mean() / 2)


def correlations_alike(found: Array, real: Array, symbols: int) -> float:
    """Pearson's r between the covariances of symbols in two columns, of all pairs of columns.

    Symbols that few of the real sequences have in a column are left out: their covariances are noise.
    """
    often = shares(real, symbols)
    column, symbol = np.nonzero((often > _SEEN) & (often < 1 - _SEEN))
    if len(column) < 2:
        return float("nan")
    off = column[:, None] < column[None, :]
    ours, theirs = (np.cov((table[:, column] == symbol).astype(np.float64).T)[off] for table in (found, real))
    return float(np.corrcoef(ours, theirs)[0, 1])


def pair_information(found: Array, pairs: Sequence[tuple[int, int]]) -> float:
    """Covariation: mutual information of the symbols of two columns that pair, in bits, the mean over pairs.

    Entropies have Miller's correction for small samples, (symbols - 1) / (2 n) nats each (G. Miller, 1955).
    """
    return float(
        np.mean([_entropy(found[:, i]) + _entropy(found[:, j]) - _entropy(found[:, [i, j]]) for i, j in pairs])
    )


def _entropy(rows: Array) -> float:
    """Of the distinct rows, in bits."""
    counts = np.unique(rows, axis=0, return_counts=True)[1]
    shares = counts / counts.sum()
    return float((-(shares * np.log(shares)).sum() + (len(counts) - 1) / (2 * len(rows))) / np.log(2))


def pairing(texts: Sequence[str], frame: Frame) -> float:
    """Of the pairs of columns of the structure that both have a letter, the share of Watson-Crick and wobble pairs.

    nan where none has both.
    """
    both = [text[i] + text[j] for text in texts for i, j in frame.pairs if GAP not in (text[i], text[j])]
    return sum(pair in CANONICAL for pair in both) / len(both) if both else float("nan")


def properties(texts: Sequence[str], alphabet: Alphabet) -> dict[str, Array]:
    """Properties of sequences without their gaps: name -> [n]."""
    plain = [without_gaps(text) for text in texts]
    of = _PROTEIN if alphabet.name == "protein" else _NUCLEIC
    return {name: np.array([measure(text) for text in plain]) for name, measure in of.items()}


def kmers_apart(generated: Sequence[str], real: Sequence[str], size: int) -> float:
    """Jensen-Shannon divergence of the words of that many letters, in bits: 0 for the same, 1 for none in common."""
    counts = [Counter(_words(texts, size)) for texts in (generated, real)]
    words = sorted(set(counts[0]) | set(counts[1]))
    p, q = (np.array([count[word] for word in words], float) / max(sum(count.values()), 1) for count in counts)
    middle = (p + q) / 2
    terms = [(side * np.log2(np.where(side > 0, side / middle, 1))).sum() for side in (p, q)]
    return float(sum(terms) / 2)


def _words(texts: Sequence[str], size: int) -> list[str]:
    plain = [without_gaps(text) for text in texts]
    return [text[i : i + size] for text in plain for i in range(len(text) - size + 1)]


def _letters(found: Array, alphabet: Alphabet) -> Array:
    """How many letters each row has, gaps left out."""
    counted: Array = (found != alphabet.symbols.index(GAP)).sum(1)
    return counted


def _w1(first: Array, second: Array) -> float:
    return float(wasserstein_distance(first, second))


def _analysis(measure: Callable[[Any], float]) -> Callable[[str], float]:
    def of(text: str) -> float:
        from Bio.SeqUtils.ProtParam import ProteinAnalysis

        return float(measure(ProteinAnalysis(text)))  # type: ignore[no-untyped-call]

    return of


_PROTEIN: dict[str, Callable[[str], float]] = {
    "length": len,
    "weight": _analysis(lambda of: of.molecular_weight()),
    "isoelectric point": _analysis(lambda of: of.isoelectric_point()),
    "hydropathy": _analysis(lambda of: of.gravy()),
    "aromaticity": _analysis(lambda of: of.aromaticity()),
    "instability": _analysis(lambda of: of.instability_index()),
    "charge": _analysis(lambda of: of.charge_at_pH(7.0)),
}
_NUCLEIC: dict[str, Callable[[str], float]] = {
    "length": len,
    "GC": lambda text: (text.count("G") + text.count("C")) / len(text),
}
