"""Sequences that are alike, so that a split keeps them on one side: single linkage within a share of differing letters.

Antibodies of one clone share V gene and CDR3 but for mutations; a random split would put copies of what a model was
trained on among what it is judged by (see also SCOPer and Change-O, which cluster junctions in this way).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pfgm_science.errors import ConfigError

Array = np.ndarray[Any, Any]

_ROWS = 512  # that are compared with all others at a time


def clusters(texts: Sequence[str], share: float, within: Sequence[Hashable] | None = None) -> Array:
    """The number of each text's cluster: int64 [n], from 0 on.

    Two texts of one length are linked where at most `share` of their letters differ; within: only those with the same
    entry. ConfigError for a share outside of [0, 1).
    """
    if not 0 <= share < 1:
        raise ConfigError(f"share is {share}: it must be in [0, 1)")
    kinds: Sequence[Hashable] = [None] * len(texts) if within is None else within
    boxes: dict[Hashable, list[int]] = defaultdict(list)
    for i, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
        boxes[kind, len(text)].append(i)
    low, high = [], []
    for members in boxes.values():
        index = np.array(members)
        codes = np.array([list(texts[i].encode("ascii")) for i in members], dtype=np.uint8)
        for first, second in _links(codes, share):
            low.append(index[first])
            high.append(index[second])
    ends = (np.concatenate(low), np.concatenate(high)) if low else (np.zeros(0, int), np.zeros(0, int))
    graph = coo_matrix((np.ones(len(ends[0]), bool), ends), shape=(len(texts), len(texts)))
    numbers: Array = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def nearest_difference(texts: Sequence[str], others: Sequence[str]) -> Array:
    """The share of letters in which each text differs from the nearest other of its length, inf where there is none."""
    boxes: dict[int, list[str]] = defaultdict(list)
    for text in others:
        boxes[len(text)].append(text)
    tables = {size: np.array([list(text.encode()) for text in box], np.uint8) for size, box in boxes.items() if size}
    found = np.full(len(texts), np.inf)
    for i, text in enumerate(texts):
        if (table := tables.get(len(text))) is not None:
            found[i] = (table != np.frombuffer(text.encode(), np.uint8)).mean(1).min()
    return found


def _links(codes: Array, share: float) -> list[tuple[Array, Array]]:
    """Pairs of rows, the first before the second, that differ in at most that share of their entries, in blocks."""
    columns = codes.shape[1]
    least = columns - share * columns - 1e-9
    # One column for each letter that occurs in each place: a product counts the places that are alike, exactly.
    shown = np.concatenate([codes[:, [c]] == np.unique(codes[:, c]) for c in range(columns)] or [codes], 1)
    shown = shown.astype(np.float32)
    found = []
    for start in range(0, len(codes), _ROWS):
        first, second = np.nonzero(shown[start : start + _ROWS] @ shown[start:].T >= least)
        later = first < second
        found.append((first[later] + start, second[later] + start))
    return found
