"""How many letters must be put in, taken out or changed to make one sequence of another, or of the nearest of many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from modalities.sequences.objects import without_gaps

SHORTLIST = 20  # sequences that are nearest in columns, among which the one of fewest edits is looked for
_BLOCK = 64  # sequences that are compared with all others at a time


def distance(first: str, second: str) -> int:
    """Levenshtein's distance of two texts.

    The differences down each column of its table are the bits of two numbers, so that a column takes a few operations
    whatever its length (G. Myers, J. ACM 46, 395 (1999); in the form of H. Hyyro, 2001).
    """
    first, second = _unlike(first, second)
    if not first or not second:
        return len(first) + len(second)
    whole, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    places: dict[str, int] = {}
    for place, letter in enumerate(first):
        places[letter] = places.get(letter, 0) | 1 << place
    up, down, edits = whole, 0, len(first)  # one more, or one less, than the row above
    for letter in second:
        equal = places.get(letter, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right = down | (~(diagonal | up) & whole)
        left = up & diagonal
        edits += bool(right & last) - bool(left & last)
        right = (right << 1 | 1) & whole
        left = left << 1 & whole
        up = left | (~(diagonal | right) & whole)
        down = right & diagonal
    return edits


def nearest(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """The fewest edits from each aligned text to any of the others, which are in the same columns.

    Edits are counted between the letters alone, to those of the others that differ in the fewest columns.
    """
    distinct = sorted(set(others))
    plain = [without_gaps(text) for text in distinct]
    ours, theirs = (codes(each) for each in (texts, distinct))
    kept = min(SHORTLIST, len(distinct))
    found = []
    for start in range(0, len(texts), _BLOCK):
        apart = cdist(ours[start : start + _BLOCK], theirs, "hamming")
        for text, row in zip(texts[start : start + _BLOCK], apart, strict=True):
            near = np.argpartition(row, kept - 1)[:kept]
            found.append(min(distance(without_gaps(text), plain[i]) for i in near))
    return found


def _unlike(first: str, second: str) -> tuple[str, str]:
    """Both without the letters that they begin and end with alike, which cost no edit."""
    begin = _alike(first, second)
    first, second = first[begin:], second[begin:]
    end = _alike(first[::-1], second[::-1])
    return first[: len(first) - end], second[: len(second) - end]


def _alike(first: str, second: str) -> int:
    """How many letters both begin with."""
    shorter = min(len(first), len(second))
    return next((i for i in range(shorter) if first[i] != second[i]), shorter)


def codes(texts: Sequence[str]) -> np.ndarray:
    """The letters as numbers: uint8 [n, columns]."""
    return np.array([np.frombuffer(text.encode("ascii"), dtype=np.uint8) for text in texts])
