"""Mutations in cases that can be counted by hand: two genes of six columns and a loop of three behind them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.sequences.alphabet import PROTEIN
from modalities.sequences.frame import Frame
from modalities.sequences.germline import Beside, Germlines
from modalities.sequences.metrics import Reference, correlations_alike, numbers
from pfgm_science.errors import ConfigError, DataError

FRAME = Frame(tuple("abcdefghij"), (("FR-H1", 0, 6), ("CDR-H3", 6, 9), ("FR-H4", 9, 10)))
FIRST, SECOND = "EVQLVQ", "QKTSWE"
TRAIN = [FIRST + "AAAW"] * 24 + [SECOND + "CCCW"] * 21 + ["EVQAVQAAAW", "QKTSWEDDDW"]
GENES = ["V1"] * 24 + ["V2"] * 21 + ["V1", "V3"]
REAL = ["EVQLVQAACW", "EVQAVQAAAW", "QKTSWECCCW", "QKTSDECCCW"]


def beside(genes: list[str] | None = None) -> Beside:
    return Beside(Reference(REAL, TRAIN, PROTEIN, FRAME), genes)


def test_a_gene_is_the_consensus_of_its_sequences_and_rare_ones_are_left_out() -> None:
    expected = numbers([FIRST, SECOND], PROTEIN)
    assert np.array_equal(beside(GENES).germlines.rows, expected)
    few = Germlines.called(expected, ["V1", "V2"])  # all are rare: one consensus of all
    assert few.rows.shape == (1, 6)


def test_genes_are_found_where_none_is_called() -> None:
    found = {tuple(row) for row in beside().germlines.rows.tolist()}
    assert found == {tuple(row) for row in numbers([FIRST, SECOND], PROTEIN).tolist()}


def test_mutations_are_counted_beside_the_nearest_gene() -> None:
    genes = Germlines(numbers([FIRST, SECOND], PROTEIN))
    found = numbers(["EVQLVQ", "EVQLWE", "QKTSW-"], PROTEIN)
    assert genes.mutated(found).sum(1).tolist() == [0, 2, 1]
    assert np.array_equal(genes.of(found), numbers([FIRST, FIRST, SECOND], PROTEIN))
    hidden = genes.hidden(found, 99)
    assert (hidden == 99).sum(1).tolist() == [6, 4, 5]
    assert hidden[2, 5] == PROTEIN.numbers("-")[0]


def test_a_report_leaves_the_germline_out() -> None:
    found = beside(GENES).evaluate(["EVQAVQAAAW", "EVQLVQAACW", "QKTADECCCW", "QKTSWEFFFW"])
    # mutations 1, 0, 2, 0 beside 0, 1, 0, 1
    assert found["mutations"] == 0.75 and found["W1 mutations"] == 0.25
    # in the fourth column two of four are A beside one; in no other is a difference
    assert math.isclose(found["mutated columns"], 0.25 / 6)
    # F in the place of C in one of four, in two columns; C, F beside C, C in the third
    assert math.isclose(found["CDR3 columns"], (0.25 + 0.25 + 0.25) / 3)
    # nearest of training: the same; one letter of the loop; two mutations; the whole loop
    assert found["non-germline distance"] == 1.5


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a single sequence has no covariance
def test_another_gene_is_no_difference_by_itself() -> None:
    """The two genes share no letter, and a model that drew only one would show it elsewhere."""
    first, second = beside(GENES).evaluate(["EVQLVQAAAW"]), beside(GENES).evaluate(["QKTSWEAAAW"])
    assert first == pytest.approx(second, nan_ok=True)
    assert first["non-germline distance"] == 0


def test_real_sequences_are_no_way_from_themselves() -> None:
    found = beside(GENES).evaluate(REAL)
    assert found["W1 mutations"] == found["mutated columns"] == found["CDR3 columns"] == 0
    assert math.isclose(found["mutation correlations"], 1)


def test_mutations_that_come_together_are_told_from_shuffled_ones() -> None:
    rng = np.random.default_rng(0)
    gene = Germlines(np.zeros((1, 8), int))
    both = np.repeat(rng.random((4000, 4)) < 0.3, 2, axis=1).astype(int)  # columns 0 and 1, 2 and 3, ...
    again, apart = both[::-1].copy(), np.stack([rng.permutation(column) for column in both.T], 1)
    paired, same, shuffled = (gene.hidden(table, 21) for table in (both, again, apart))
    assert correlations_alike(same, paired, 22) == pytest.approx(1)
    # r of 28 pairs of independent columns is under .67 in size but once in 10,000 draws
    assert abs(correlations_alike(shuffled, paired, 22)) < 0.7


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 2))
def test_genes_are_found_behind_mutations(seed: int, genes: int, mutations: int) -> None:
    """Genes that differ in all columns, 60 sequences of each with at most 2 of 20 columns mutated.

    Of 2,400 such draws none failed: with 95% confidence 25 fail less than once in 30 times.
    """
    assert genes_come_back(seed, genes, mutations)


def genes_come_back(seed: int, genes: int, mutations: int) -> bool:
    rng = np.random.default_rng(seed)
    rows = (np.arange(20)[None] + 5 * np.arange(genes)[:, None]) % 20
    found = np.repeat(rows, 60, 0)
    for row in found:
        row[rng.choice(20, mutations, replace=False)] = rng.integers(20, 24, mutations)
    kept = Germlines.found(found, seed % 1000).rows
    return {tuple(row) for row in rows.tolist()} == {tuple(row) for row in kept.tolist()}


def test_the_same_seed_finds_the_same_genes() -> None:
    found = np.random.default_rng(0).integers(0, 4, (300, 12))
    assert np.array_equal(Germlines.found(found, 1).rows, Germlines.found(found, 1).rows)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DataError, match="no generated sequence"):
        beside(GENES).evaluate([])
    with pytest.raises(DataError, match="one at least"):
        Germlines(np.zeros((0, 6), int))
    with pytest.raises(ConfigError, match="no region 'CDR-L3'"):
        Beside(Reference(REAL, TRAIN, PROTEIN, FRAME), GENES, loop="CDR-L3")
