"""Laws that are known exactly: against sums over everything, and against AntPack's own score."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from modalities.sequences import datasets
from modalities.sequences.alphabet import PROTEIN
from modalities.sequences.frame import Frame
from modalities.sequences.teachers import Mixture, antpack_heavy
from pfgm_science.errors import DataError, PfgmError

HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRY"
    "ADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)


@pytest.fixture
def small() -> Mixture:
    rng = np.random.default_rng(0)
    return Mixture(np.array([0.2, 0.5, 0.3]), rng.dirichlet(np.ones(3), (3, 4)).astype(np.float32))


def test_the_likelihoods_of_all_sequences_make_one(small: Mixture) -> None:
    everything = np.array(list(itertools.product(range(3), repeat=4)))
    found = small.log_likelihood(everything)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-6)
    row = everything[17]
    by_hand = sum(
        weight * np.prod([table[column, symbol] for column, symbol in enumerate(row)])
        for weight, table in zip(small.weights, small.tables, strict=True)
    )
    assert found[17] == pytest.approx(np.log(by_hand), abs=1e-6)
    with pytest.raises(DataError, match=r"\(81, 3\).*one of 4 columns"):
        small.log_likelihood(everything[:, :3])


def test_samples_are_as_likely_as_the_law_says(small: Mixture) -> None:
    count = 40_000
    found = small.sample(count, seed=1)
    assert found.shape == (count, 4) and np.array_equal(found, small.sample(count, seed=1))
    everything = np.array(list(itertools.product(range(3), repeat=4)))
    expected = count * np.exp(small.log_likelihood(everything))
    seen = np.bincount(found @ 3 ** np.arange(3, -1, -1), minlength=81)
    # Pearson's statistic has mean 80 and deviation 12.6: beyond 150 once in a million
    assert float(((seen - expected) ** 2 / expected).sum()) < 150


def test_what_a_cluster_cannot_have_is_never_drawn() -> None:
    law = Mixture(np.array([1.0]), np.array([[[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]]))
    found = law.sample(500, seed=0)
    assert set(found[:, 0].tolist()) == {1} and set(found[:, 1].tolist()) == {0, 2}


def test_the_mixture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "antpack", None)
    antpack_heavy.cache_clear()
    with pytest.raises(PfgmError, match=r"needs antpack 0.3.8 .*pfgm-science\[antibody-judges\]"):
        datasets.load("antpack-mixture:count=2")


def test_the_likelihood_is_antpacks_own_score() -> None:
    antpack = pytest.importorskip("antpack")
    antpack_heavy.cache_clear()
    tool = antpack.SequenceScoringTool(offer_classifier_option=False, normalization="none")
    _, law = antpack_heavy()
    texts = [HEAVY, HEAVY.replace("SRWGGDGFYAMDY", "ARDLGYCSSTSCLYYYYYMDV"), HEAVY.replace("GGSLRLS", "KKSWWWS")]
    rows = np.concatenate([tool.convert_sequence_to_array(text)[1] for text in texts])
    assert law.log_likelihood(rows) == pytest.approx(np.array(tool.score_seqs(texts)), abs=1e-6)
    drawn = law.sample(5, seed=0)
    assert law.log_likelihood(drawn) == pytest.approx(tool.models["human"]["H"].score(drawn.astype(np.uint8)), abs=1e-6)


def test_sets_of_the_mixture_stand_in_its_imgt_columns() -> None:
    pytest.importorskip("antpack")
    antpack_heavy.cache_clear()
    data = datasets.load("antpack-mixture:count=20:seed=4")
    frame = Frame.restore(data.details["frame"])
    rows = np.array([PROTEIN.numbers(str(record.seq)) for record in data.objects])
    _, law = antpack_heavy()
    assert np.array_equal(rows, law.sample(20, seed=4)) and rows.shape == (20, 173)
    assert frame.scheme == "imgt" and [frame.columns[c] for c in frame.region("H1")][5:12] == [
        "H32", "H32A", "H32B", "H32C", "H33C", "H33B", "H33A",
    ]  # fmt: skip
    assert law.log_likelihood(rows).mean() > -120
