from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.sequences.clusters import clusters, nearest_difference
from pfgm_science.errors import ConfigError


def test_texts_are_linked_through_others_of_their_length_and_kind() -> None:
    texts = ["AAAAA", "AAAAC", "AAACC", "CCCCC", "AAAA", "AAAAA"]
    found = clusters(texts, 0.2).tolist()
    assert found[0] == found[1] == found[2] == found[5]
    assert len({found[0], found[3], found[4]}) == 3
    kinds = ["v1", "v1", "v2", "v2", "v1", "v2"]
    apart = clusters(texts, 0.2, kinds).tolist()
    assert apart[0] == apart[1] and len({apart[0], apart[2], apart[3], apart[4], apart[5]}) == 5


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.text("AC", min_size=1, max_size=6), min_size=1, max_size=25), st.sampled_from([0.0, 0.2, 0.4]))
def test_across_clusters_nothing_is_alike(texts: list[str], share: float) -> None:
    """The leak test: what is in one cluster is farther than the share from all that is in another."""
    found = clusters(texts, share)
    inside = found == found[0]
    here, there = np.array(texts)[inside].tolist(), np.array(texts)[~inside].tolist()
    assert bool((nearest_difference(here, there) > share).all())
    assert len(np.unique(found)) == found.max() + 1


def test_the_nearest_difference_is_a_share_of_letters() -> None:
    assert nearest_difference(["AAAA", "CC"], ["AACC", "AAAC", "C"]).tolist() == [0.25, np.inf]


def test_a_share_of_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[0, 1\)"):
        clusters(["A"], 1.0)


def test_many_texts_of_one_length_are_compared_in_blocks() -> None:
    """Beyond one block, against comparison letter by letter."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACDE-"), 12)) for _ in range(700)]
    found = clusters(texts, 0.25)
    codes = np.array([list(text) for text in texts])
    near = (codes[:, None] != codes[None]).sum(-1) <= 3
    assert bool((found[:, None] == found[None])[near].all())
    for number in range(found.max() + 1):
        members = np.flatnonzero(found == number)
        assert len(members) == 1 or bool(near[np.ix_(members, members)].sum(1).min() > 1)
