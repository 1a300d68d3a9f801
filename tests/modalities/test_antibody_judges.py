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


def test_bits_fall_from_an_antibody_to_its_mutant_to_its_letters_in_another_order() -> None:
    pytest.importorskip("anarcism")
    rng = np.random.default_rng(0)
    mutant = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY")) if rng.random() < 0.2 else letter for letter in HEAVY)
    bits = judges.bits([HEAVY, mutant, shuffled(0)])
    assert bits[0] > 150 > bits[1] > 60 > 20 > bits[2] >= 0
    assert judges.profiles((HEAVY,))[0][1] == "human"


def test_profiles_are_asked_of_some_that_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "PROFILED", 3)
    scores = {"A": (10.0, "human"), "C": (30.0, "human"), "D": (0.0, ""), "E": (20.0, "mouse")}
    asked: list[tuple[str, ...]] = []

    def profiles(texts: tuple[str, ...]) -> list[tuple[float, str]]:
        asked.append(texts)
        return [scores[text] for text in texts]

    monkeypatch.setattr(judges, "profiles", profiles)
    assert judges.profile("ACD", "E") == {
        "bits": 40 / 3,
        "W1 bits": pytest.approx(40 / 3),
        "human": 2 / 3,
        "bits count": 3,
    }
    judges.profile("ACDEACDEACDE", "E")
    judges.profile("ACDEACDEACDE", "E")
    assert len(asked[2]) == 3 and asked[2] == asked[4]


def test_without_anarcism_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anarcism", None)
    judges.profiles.cache_clear()
    with pytest.raises(PfgmError, match=r"needs anarcism .*pfgm-science\[antibody-judges\]"):
        judges.bits([HEAVY])


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
