"""Judges that other people wrote, on sequences that they should tell apart. Skipped where they are not installed."""

from __future__ import annotations

import numpy as np
import pytest

from modalities.sequences import antibody_judges as judges
from pfgm_science.errors import PfgmError

HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKG"
    "RFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)


def shuffled(seed: int) -> str:
    return "".join(np.random.default_rng(seed).permutation(list(HEAVY)))


def test_without_the_packages_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "antpack", None)
    judges._scorer.cache_clear()
    judges.log_likelihood.cache_clear()
    with pytest.raises(PfgmError, match=r"needs antpack .*pfgm-science\[antibody-judges\]"):
        judges.log_likelihood((HEAVY,))


def test_an_antibody_is_told_from_its_letters_in_another_order() -> None:
    pytest.importorskip("antpack")
    pytest.importorskip("promb")
    others = [shuffled(seed) for seed in range(5)]
    assert judges.valid([HEAVY, *others]) == pytest.approx(1 / 6)
    human = judges.humanness((HEAVY, *others))
    assert human[0] > 0.5 and (human[1:] < 0.01).all()
    assert judges.log_likelihood((HEAVY,))[0] > -250
    found = judges.evaluate([HEAVY] * 3, [HEAVY] * 2)
    assert found["W1 OASis"] == found["W1 log likelihood"] == 0 and found["valid"] == 1
