"""Edits between sequences, against the table that defines them."""

from __future__ import annotations

import numpy as np
import pytest

from modalities.sequences.edits import SHORTLIST, distance, nearest


def by_table(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        above, row = row, [i]
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
    return row[-1]


@pytest.mark.parametrize("longest", [4, 20, 150])
def test_edits_are_those_of_the_table(longest: int) -> None:
    rng = np.random.default_rng(longest)
    for _ in range(6000 // longest):
        first, second = ("".join(rng.choice(list("ACD"), rng.integers(0, longest + 1))) for _ in range(2))
        assert distance(first, second) == by_table(first, second) == distance(second, first)


def test_a_shift_is_two_edits() -> None:
    assert distance("ACDEFGH", "CDEFGHI") == 2 and distance("ARDY", "ARDY") == 0 and distance("", "ARD") == 3


def test_the_nearest_is_counted_in_letters_and_not_in_columns() -> None:
    others = ["AC-DEF", "ACCDE-", "WWWWWW"]
    assert nearest(["ACD-EF", "WWWAWW", "ACDE--"], others) == [0, 1, 1]


def test_of_many_the_nearest_is_found() -> None:
    rng = np.random.default_rng(0)
    others = ["".join(rng.choice(list("ACDEFGHIKL"), 12)) for _ in range(20 * SHORTLIST)]
    assert nearest([text[:5] + "W" + text[6:] for text in others[:100]], others) == [1] * 100
