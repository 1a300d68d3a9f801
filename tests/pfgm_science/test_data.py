from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfgm_science.data import Dataset, settings_in
from pfgm_science.errors import ConfigError, DataError


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.floats(0, 1), st.integers(0, 9))
def test_a_split_parts_no_group(groups: list[int], fraction: float, seed: int) -> None:
    data = Dataset(np.arange(len(groups)), {"group": np.array(groups)}, groups=np.array(groups))
    first, second = data.split(fraction, seed)
    assert sorted([*first.objects, *second.objects]) == list(range(len(groups)))
    assert len(first) >= 1 and len(second) <= max(round(fraction * len(groups)), 0)
    assert not set(first.condition["group"]) & set(second.condition["group"])
    assert first.groups is not None and first.groups.tolist() == first.condition["group"].tolist()


def test_without_groups_a_split_is_of_the_size_asked_for() -> None:
    first, second = Dataset(np.arange(100)).split(0.2, 1)
    assert (len(first), len(second)) == (80, 20) and not set(first.objects) & set(second.objects)
    first, second = Dataset(np.arange(3)).split(1.0)
    assert (len(first), len(second)) == (1, 2)


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(2,\) for 3 samples"):
        Dataset(np.arange(3), groups=np.array([0, 1]))


def test_settings_in_a_name_have_the_kinds_of_their_defaults() -> None:
    defaults = {"nodes": (16, 24), "count": 200, "share": 0.5, "fresh": False, "part": "train"}
    words = ["nodes=3-9", "count=5", "share=.25", "fresh=yes", "part=test"]
    expected = {"nodes": (3, 9), "count": 5, "share": 0.25, "fresh": True, "part": "test"}
    assert settings_in("some", words, defaults) == expected
    assert settings_in("some", ["nodes=7"], defaults) == {"nodes": (7, 7)}
    shown = "nodes=16-24, count=200, share=0.5, fresh=no, part=train"
    for word in ("size=3", "count=many", "fresh=1", "nodes=a-b", ""):
        with pytest.raises(ConfigError, match=f"'some': '{word}'.*{shown}"):
            settings_in("some", [word], defaults)
    with pytest.raises(ConfigError, match="there twice"):
        settings_in("some", ["count=1", "count=2"], defaults)
