"""How far sequences are from those of a training set, and which of these is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from modalities.sequences.alphabet import PROTEIN, Alphabet
from modalities.sequences.edits import codes, distance

Array = np.ndarray[Any, Any]

LEAST, WORK = 64, 3_000_000  # sequences of free length that one is compared with; pairs of letters it may take
_BLOCK = 64  # sequences that are compared with all others at a time


def nearest_columns(texts: Sequence[str], others: Sequence[str]) -> tuple[Array, Array]:
    """In how many columns each aligned text differs from the nearest of the others, and which one that is: [n], [n]."""
    return nearest_rows(codes(texts), codes(others))


def nearest_rows(found: Array, others: Array) -> tuple[Array, Array]:
    """The same of rows of numbers, [n, columns] and [m, columns]."""
    distances, places = [], []
    for start in range(0, len(found), _BLOCK):
        apart = cdist(found[start : start + _BLOCK], others, "hamming")
        places.append(apart.argmin(1))
        distances.append(np.round(apart.min(1) * others.shape[1]))
    return np.concatenate(distances), np.concatenate(places)


def nearest_edits(texts: Sequence[str], others: Sequence[str], alphabet: Alphabet) -> tuple[Array, Array]:
    """The fewest edits from each text without gaps to one of the others, and which one that is: [n], [n].

    An edit puts in, takes out or changes a letter (V. Levenshtein, 1966). Of more others than `candidates` those are
    compared whose words of three bases or two amino acids are most alike: a nearer one may be missed, and the distance
    is an upper bound.
    """
    most = candidates(texts, others)
    known = _words(others, alphabet)
    distances, places = np.zeros(len(texts)), np.zeros(len(texts), np.int64)
    for i, (text, words) in enumerate(zip(texts, _words(texts, alphabet), strict=True)):
        apart = np.abs(known - words).sum(1)
        chosen = np.argsort(apart, kind="stable")[:most]
        found = np.array([distance(text, others[k]) for k in chosen])
        distances[i], places[i] = found.min(), chosen[found.argmin()]
    return distances, places


def candidates(texts: Sequence[str], others: Sequence[str]) -> int:
    """How many of the others each text is compared with letter by letter: all where they are few and short."""
    longest = max(map(len, [*texts, *others]), default=1)
    return min(len(others), max(LEAST, WORK // longest**2))


def _words(texts: Sequence[str], alphabet: Alphabet) -> Array:
    """How often each word stands in each text: int16 [n, words]."""
    size, word = len(alphabet.letters), 2 if alphabet is PROTEIN else 3
    found = np.zeros((len(texts), size**word), np.int16)
    for row, text in zip(found, texts, strict=True):
        numbers = alphabet.numbers(text)
        codes = sum(numbers[k : len(numbers) - word + 1 + k] * size**k for k in range(word))
        np.add.at(row, codes, 1)
    return found
