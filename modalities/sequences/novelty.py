"""How far sequences are from those of a training set, and which of these is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from modalities.sequences.alphabet import PROTEIN, Alphabet

Array = np.ndarray[Any, Any]

LEAST, WORK = 64, 3_000_000  # sequences of free length that one is compared with; pairs of letters it may take
_BLOCK = 64  # sequences that are compared with all others at a time


def nearest_columns(texts: Sequence[str], others: Sequence[str]) -> tuple[Array, Array]:
    """In how many columns each aligned text differs from the nearest of the others, and which one that is: [n], [n]."""
    known = _bytes(others)
    distances, places = [], []
    for start in range(0, len(texts), _BLOCK):
        apart = cdist(_bytes(texts[start : start + _BLOCK]), known, "hamming")
        places.append(apart.argmin(1))
        distances.append(np.round(apart.min(1) * known.shape[1]))
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
        found = edits(text, [others[k] for k in chosen])
        distances[i], places[i] = found.min(), chosen[found.argmin()]
    return distances, places


def candidates(texts: Sequence[str], others: Sequence[str]) -> int:
    """How many of the others each text is compared with letter by letter: all where they are few and short."""
    longest = max(map(len, [*texts, *others]), default=1)
    return min(len(others), max(LEAST, WORK // longest**2))


def edits(text: str, others: Sequence[str]) -> Array:
    """Levenshtein's distance of a text to each of the others: int64 [m]. All prefixes of all of them at a time."""
    lengths = np.array([len(other) for other in others])
    longest = int(lengths.max(initial=0))
    letters = np.zeros((len(others), longest), np.uint8)  # a letter that no text has where one has ended
    for place, other in enumerate(others):
        letters[place, : len(other)] = np.frombuffer(other.encode("ascii"), np.uint8)
    steps = np.arange(longest + 1)
    row: Array = np.repeat(steps[None], len(others), 0)
    for number, letter in enumerate(text.encode("ascii"), 1):
        after = np.empty_like(row)
        after[:, 0] = number
        after[:, 1:] = np.minimum(row[:, 1:] + 1, row[:, :-1] + (letters != letter))
        row = np.minimum.accumulate(after - steps, axis=1) + steps  # letters of the other that are left out
    found: Array = row[np.arange(len(others)), lengths]
    return found


def _bytes(texts: Sequence[str]) -> Array:
    return np.array([np.frombuffer(text.encode("ascii"), np.uint8) for text in texts])


def _words(texts: Sequence[str], alphabet: Alphabet) -> Array:
    """How often each word stands in each text: int16 [n, words]."""
    size, word = len(alphabet.letters), 2 if alphabet is PROTEIN else 3
    found = np.zeros((len(texts), size**word), np.int16)
    for row, text in zip(found, texts, strict=True):
        numbers = alphabet.numbers(text)
        codes = sum(numbers[k : len(numbers) - word + 1 + k] * size**k for k in range(word))
        np.add.at(row, codes, 1)
    return found
