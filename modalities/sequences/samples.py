"""The table of generated sequences: what a person goes through, sorts and takes along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modalities.sequences.alphabet import PROTEIN, Alphabet
from modalities.sequences.frame import Frame
from modalities.sequences.histograms import CANONICAL, loops
from modalities.sequences.liabilities import LIABILITIES, touching
from modalities.sequences.metrics import pairing
from modalities.sequences.objects import without_gaps
from pfgm_science.report import Table

Array = np.ndarray[Any, Any]

MOST = 500  # sequences of a table
FILE = "generated.tsv"


def table(
    texts: Sequence[str], alphabet: Alphabet, frame: Frame | None, distances: Array | None = None, total: int = 0
) -> Table:
    """A row a sequence: loops, length, liabilities of proteins, GC and pairs of nucleic acids, and all letters.

    distances: of each to the nearest training sequence, the farthest first; None where it is not known. total: of how
    many these are the first, for the names, which are those of files.
    """
    spans = loops(frame)
    novelty = [] if distances is None else ["differing columns" if frame is not None else "edits"]
    paired = frame is not None and bool(frame.structure)
    protein = alphabet is PROTEIN
    kinds = ["liabilities"] if protein else ["GC", *([CANONICAL] if paired else [])]
    header = ["name", *(name for name, _, _ in spans), "length", *novelty, *kinds, "sequence"]
    digits = len(str(max(total, len(texts))))
    order = np.arange(len(texts)) if distances is None else np.argsort(-distances, kind="stable")
    rows = []
    for i in order.tolist():
        text, plain = texts[i], without_gaps(texts[i])
        row: list[Any] = [f"sequence-{i + 1:0{digits}d}"]
        row += [without_gaps(text[first:end]) for _, first, end in spans]
        row.append(len(plain))
        if distances is not None:
            row.append(int(distances[i]))
        if protein:
            row.append("; ".join(liabilities(text, frame)))
        else:
            row.append((plain.count("G") + plain.count("C")) / len(plain))
            if paired and frame is not None:
                row.append(pairing([text], frame))
        rows.append([*row, plain])
    code = ["name", *(name for name, _, _ in spans), "sequence"]
    return Table(header, rows, sortable=True, download=FILE, code=code)


def liabilities(text: str, frame: Frame | None) -> list[str]:
    """Their names: those that have a part in a loop where the frame has loops, else anywhere."""
    spans = loops(frame)
    inside = {column for _, first, end in spans for column in range(first, end)} if spans else set(range(len(text)))
    return [name for name in LIABILITIES if touching(name, text, inside)]
