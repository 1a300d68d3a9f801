"""Samples that fit a structure: the letters that pair do, as often as the law has them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

import pfgm_science as pfgm
from modalities.sequences import Fold, Sequences
from modalities.sequences.alphabet import BONDS
from modalities.sequences.fold import Paired
from modalities.sequences.frame import pairs_of
from pfgm_science.cli import main
from pfgm_science.codebook import Codebook
from pfgm_science.errors import ConfigError
from pfgm_science.model import Model

TINY = {"width": 8, "depth": 1, "heads": 2, "embedding": 8}
TARGET = "((((....))))"
BONDED = {first + second for bond in BONDS for first, second in (bond, bond[::-1])}


@pytest.fixture(scope="module")
def model() -> Model:
    """Letters that are drawn by themselves, two thirds of them G and C; a step of training."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGU"), rng.integers(8, 17), p=[1 / 6, 1 / 3, 1 / 3, 1 / 6])) for _ in range(200)]
    return pfgm.fit(Sequences(), texts, steps=1, batch_size=8, network=TINY, learning_rate=1e-9)


def test_every_pair_bonds_and_every_length_is_that_of_the_structure(model: Model) -> None:
    found = model.sample(200, seed=0, around=Fold(TARGET), evaluations=9)
    assert {len(text) for text in found} == {len(TARGET)}
    assert all(text[i] + text[j] in BONDED for text in found for i, j in pairs_of(TARGET))
    free = model.sample(200, seed=0, sizes=12, evaluations=9)
    assert not all(text[i] + text[j] in BONDED for text in free for i, j in pairs_of(TARGET))


def test_pairs_are_as_frequent_as_the_law_has_them(model: Model) -> None:
    """Of independent letters, a pair is as likely as the product of their shares among those that bond."""
    shares = dict(zip("ACGU", model.adapter.frequencies[0], strict=True))
    found = model.sample(1500, seed=0, around=Fold("(...)", strength=0.0), evaluations=35)
    counts = Counter(text[0] + text[4] for text in found)
    bonds = sorted(bond for bond in BONDED if set(bond) <= set("ACGU"))
    expected = np.array([shares[a] * shares[b] for a, b in bonds])
    # true once in 10,000 seeds
    assert chisquare([counts[bond] for bond in bonds], 1500 * expected / expected.sum()).pvalue > 1e-4


def test_the_answer_is_the_posterior_under_the_condition() -> None:
    """Against all 4^3 sequences of three letters, of which the first and the last pair."""
    book = Codebook(4)
    shares = torch.distributions.Dirichlet(torch.ones(4, dtype=torch.float64)).sample((1, 3))
    weights = torch.rand(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    joint = torch.einsum("a,b,c,ac->abc", *shares[0], weights)
    joint /= joint.sum()
    expected = torch.stack([joint.sum((1, 2)), joint.sum((0, 2)), joint.sum((0, 1))])

    def denoiser(x: torch.Tensor, *_: object) -> torch.Tensor:
        return book.scale * (shares - 0.25)

    answer = Paired(denoiser, book, ((0, 2),), weights)(torch.zeros(1, 3, 4), torch.ones(1))
    assert torch.allclose(book.probabilities(answer)[0], expected)


def test_where_no_pair_is_believed_in_they_are_as_likely_as_their_weights() -> None:
    book = Codebook(4)
    certain = book.encode(torch.tensor([[0, 1, 0]])).double()  # A and A
    weights = torch.zeros(4, 4, dtype=torch.float64)
    weights[1, 2], weights[2, 1] = 3, 1
    answer = Paired(lambda x, *_: certain, book, ((0, 2),), weights)(torch.zeros(1, 3, 4), torch.ones(1))
    assert torch.allclose(book.probabilities(answer)[0, 0], torch.tensor([0, 0.75, 0.25, 0], dtype=torch.float64))


def test_stronger_bonds_are_more_frequent_with_more_strength(model: Model) -> None:
    strong, even = (
        Counter(t[0] + t[4] for t in model.sample(300, seed=0, around=Fold("(...)", strength=s), evaluations=9))
        for s in (3.0, 0.0)
    )
    assert strong["GC"] + strong["CG"] > 280 > even["GC"] + even["CG"]


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        ("....", "has no pairs"),
        ("(..)", "places 1 and 4 cannot pair: 3 letters"),
        ("((...)", "opens a pair at 1"),
        ("(xyz)", "dots and brackets: 'xyz' is neither"),
    ],
)
def test_structures_that_cannot_be_are_refused(structure: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Fold(structure)


def test_models_that_cannot_make_it_refuse(model: Model) -> None:
    with pytest.raises(ConfigError, match="this model makes sequences of 1 to 16 letters"):
        model.sample(1, around=Fold("(" + "." * 20 + ")"))
    proteins = pfgm.fit(Sequences(), ["ACDEFGHIK", "ACDEF"] * 8, steps=1, batch_size=4, network=TINY)
    with pytest.raises(ConfigError, match="a model of protein: only nucleic acids"):
        proteins.sample(1, around=Fold(TARGET))
    with pytest.raises(ConfigError, match="strength is -1"):
        Fold(TARGET, strength=-1.0)


def test_the_command_line_draws_to_a_structure(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "model.safetensors", tmp_path / "new.db"
    model.save(run)
    words = ["sample", str(run), "--structure", TARGET, "--count", "5", "--evaluations", "5", "--out", str(out)]
    assert main(words) == 0
    lines = out.read_text().splitlines()
    texts = [line for line in lines if line and line[0] in "ACGU"]
    assert len(texts) == 5 and all(text[i] + text[j] in BONDED for text in texts for i, j in pairs_of(TARGET))
    assert main([*words[:2], "--structure", "....", "--out", str(tmp_path / "b.db")]) == 2
    assert "has no pairs" in capsys.readouterr().err
    assert main([*words, "--sizes", "12", "--force"]) == 2
    assert "--structure goes with neither" in capsys.readouterr().err
    assert main([*words, "--template", str(out), "--redesign", "H3", "--force"]) == 2
    assert "--template goes with neither" in capsys.readouterr().err
