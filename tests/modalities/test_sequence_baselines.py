"""Baselines keep what they say, and nothing else."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.sequences.baselines import Markov, shuffled


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text("ACGU", min_size=1, max_size=60), st.integers(0, 99))
def test_a_shuffle_keeps_every_pair_of_neighbours(text: str, seed: int) -> None:
    other = shuffled(text, np.random.default_rng(seed))
    assert Counter(itertools.pairwise(other)) == Counter(itertools.pairwise(text))
    assert len(other) == len(text) and other[0] == text[0] and other[-1] == text[-1]


def test_every_order_with_the_same_pairs_is_as_likely() -> None:
    """AABAB... : the Eulerian paths of A->A, A->B, B->A, A->B are AABAB and ABAAB."""
    rng = np.random.default_rng(0)
    found = Counter(shuffled("AABAB", rng) for _ in range(4000))
    assert set(found) == {"AABAB", "ABAAB"}
    # a fair coin's share of 4,000 is .042 off by luck once in ten million times
    assert abs(found["AABAB"] / 4000 - 0.5) < 0.042


def test_a_chain_of_high_order_knows_its_sequences_and_one_of_order_zero_their_letters() -> None:
    rng = np.random.default_rng(0)
    texts = ["ACGU", "GGCA"]
    assert {Markov(texts, 3).draw(rng, 10) for _ in range(50)} == set(texts)
    drawn = "".join(Markov(["AAAC"] * 3, 0).draw(rng, 30) for _ in range(2000))
    # A's share is .75 with a standard deviation below .007
    assert abs(drawn.count("A") / len(drawn) - 0.75) < 0.04


def test_nothing_is_longer_than_the_longest() -> None:
    rng = np.random.default_rng(0)
    chain = Markov(["AAAAAAAA", "AC"], 1)
    assert max(len(chain.draw(rng, 5)) for _ in range(200)) <= 5
