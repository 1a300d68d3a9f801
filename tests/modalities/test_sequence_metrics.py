"""Figures of sequences in cases small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modalities.sequences.alphabet import PROTEIN, RNA
from modalities.sequences.frame import Frame
from modalities.sequences.metrics import (
    Reference,
    columns_apart,
    correlations_alike,
    diversity,
    evaluate,
    kmers_apart,
    nearest,
    numbers,
    properties,
)
from pfgm_science.errors import DataError


def test_nearest_counts_differing_columns() -> None:
    found, others = (numbers(texts, RNA) for texts in (["ACGU", "AAAA"], ["ACGA", "CCCC", "ACGU"]))
    assert nearest(found, others).tolist() == [0, 2]


def test_diversity_is_the_mean_over_pairs() -> None:
    rows = numbers(["AAAA", "AAAC", "CCCC"], RNA)
    assert math.isclose(diversity(rows, np.random.default_rng(0)), (1 + 4 + 3) / 3)
    assert math.isnan(diversity(rows[:1], np.random.default_rng(0)))


def test_columns_are_apart_by_total_variation() -> None:
    first, second = (numbers(texts, RNA) for texts in (["AA", "AC"], ["AG", "CG"]))
    assert math.isclose(columns_apart(first, second, 5), (0.5 + 1) / 2)
    assert columns_apart(first, first, 5) == 0


def test_correlations_see_what_columns_do_together() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 4000)
    paired = np.stack([first, 3 - first, rng.integers(0, 4, 4000)], 1)
    again = np.stack([paired[::-1, 0], paired[::-1, 1], rng.integers(0, 4, 4000)], 1)
    apart = np.stack([paired[:, 0], rng.permutation(paired[:, 1]), paired[:, 2]], 1)
    assert correlations_alike(again, paired, 5) > 0.98
    # covariances of independent columns are noise of size 1/250: r is within .45 of 0 but once in 10,000 draws
    assert abs(correlations_alike(apart, paired, 5)) < 0.45


def test_kmers_are_apart_by_jensen_and_shannon() -> None:
    assert kmers_apart(["ACGU"], ["ACGU"], 2) == 0
    assert math.isclose(kmers_apart(["AAAA"], ["CC-CC"], 2), 1)
    # p = (1/2, 1/2), q = (1, 0), middle (3/4, 1/4)
    expected = (0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25) + math.log2(1 / 0.75)) / 2
    assert math.isclose(kmers_apart(["AC"], ["AA"], 1), expected)


def test_properties_are_biopythons_without_gaps() -> None:
    from Bio.SeqUtils.ProtParam import ProteinAnalysis

    found = properties(["EV-QLW"], PROTEIN)
    assert found["length"].tolist() == [5]
    assert math.isclose(found["hydropathy"][0], ProteinAnalysis("EVQLW").gravy())
    assert properties(["GC-AU"], RNA)["GC"].tolist() == [0.5]


FRAME = Frame(tuple("abcdef"), (("FR1", 0, 3), ("CDR-H3", 3, 6)))
TRAIN = ["EVQAAA", "EVQCC-", "QVQDDD"]
REAL = ["EVQAAC", "QVQDD-", "EVQCCC", "EVQAKK"]


def test_a_report_counts_copies_and_distances() -> None:
    reference = Reference(REAL, TRAIN, PROTEIN, FRAME)
    found = evaluate(["EVQAAA", "EVQC-C", "EVQAAA", "KVQDDE"], reference)
    assert found["unique"] == 0.75
    assert found["copies"] == 0.75  # "EVQC-C" is "EVQCC-" without gaps
    assert found["distance"] == 1 and found["CDR-H3 distance"] == 0.5
    assert math.isclose(found["W1 CDR-H3 length"], 0)
    assert found["W1 length"] == 0 and found["W1 weight"] > 0


def test_real_sequences_are_at_no_distance_from_themselves() -> None:
    found = evaluate(REAL, Reference(REAL, TRAIN, PROTEIN, FRAME))
    assert found["columns"] == 0 and math.isclose(found["correlations"], 1)
    assert all(value == 0 for name, value in found.items() if name.startswith("W1"))


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[3, 6\] columns.*frame of 6"):
        Reference(REAL, ["EVQ"], PROTEIN, FRAME)
    with pytest.raises(DataError, match="no generated sequence"):
        evaluate([], Reference(REAL, TRAIN, PROTEIN, FRAME))
