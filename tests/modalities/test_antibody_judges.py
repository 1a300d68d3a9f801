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


def test_recombination_makes_a_usual_loop_more_often_than_one_of_other_letters() -> None:
    pytest.importorskip("olga")
    usual, mouse, odd = judges.log10_pgen(["CARDYYYYGMDVW", "CSRWGGDGFYAMDYW", "CWWWWWWWWWWWWWW"])
    assert usual == pytest.approx(np.log10(1.41306e-07), abs=1e-3)  # as `olga-compute_pgen --humanIGH` gives
    assert usual > mouse > odd


def test_what_recombination_never_makes_is_minus_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "_pgen", {"CAW": 0.0, "CARW": 0.01}.__getitem__)
    assert judges.log10_pgen(["CAW", "CARW"]).tolist() == [-np.inf, -2.0]


def test_without_olga_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "olga.load_model", None)
    judges._recombination.cache_clear()
    with pytest.raises(PfgmError, match=r"needs olga .*pfgm-science\[antibody-judges\]"):
        judges.log10_pgen(["CARDYW"])
