"""What networks of sequences say of places by themselves, and of columns that pair."""

from __future__ import annotations

import math

import torch

from modalities.sequences.network import MLPConfig, SequenceMLP
from pfgm_science.codebook import RMS, Codebook
from pfgm_science.condition import ESTIMATE, GIVEN

BOOK = Codebook(5)
TINY = MLPConfig(width=8, hidden=8, depth=1, embedding=8)


def network(pairs: list[tuple[int, int]], shares: torch.Tensor | None = None) -> SequenceMLP:
    torch.manual_seed(0)
    prior = torch.full((6, 5), 0.2) if shares is None else shares
    return SequenceMLP(6, BOOK, prior.log(), TINY, pairs=pairs)


def test_before_training_each_place_has_the_exact_posterior_of_independent_places() -> None:
    """p(k | x) ~ p(k) exp(-|x - c_k|^2 / (2 sigma^2)), of which the network is given x / sqrt(sigma^2 + RMS^2)."""
    g = torch.Generator().manual_seed(0)
    shares = torch.distributions.Dirichlet(torch.ones(5)).sample((6,))
    shares = shares / shares.sum(-1, keepdim=True)
    for sigma in (0.3, 1.0, 4.0):
        y = BOOK.encode(torch.randint(5, (3, 6), generator=g))
        x = y + sigma * torch.randn(y.shape, generator=g)
        codewords = BOOK.encode(torch.arange(5))
        expected = (shares.log() - ((x[:, :, None] - codewords) ** 2).sum(-1) / (2 * sigma**2)).softmax(-1)
        size = math.sqrt(sigma**2 + RMS**2)
        logits = network([(0, 5)], shares)(x / size, torch.full((3,), math.log(sigma) / 4))
        assert torch.allclose(logits.softmax(-1), expected, atol=1e-4)


def test_columns_hear_of_those_that_they_pair_with_and_no_others_by_the_tables() -> None:
    net = network([(0, 5), (1, 3)])
    assert net.pairing is not None
    torch.nn.init.normal_(net.pairing.tables)
    believed = torch.zeros(1, 6, 10)
    believed[0, 5] = torch.randn(10, generator=torch.Generator().manual_seed(1))
    _, heard = net.pairing(believed)
    assert heard[0, 0].abs().min() > 0
    assert heard[0, 2].abs().max() == heard[0, 4].abs().max() == 0  # they pair with nothing
    assert heard[0, 1].abs().max() == heard[0, 3].abs().max() == heard[0, 5].abs().max() == 0  # nothing is believed


def test_what_is_given_of_a_column_reaches_its_partner() -> None:
    net = network([(0, 5)])
    assert net.pairing is not None
    torch.nn.init.normal_(net.pairing.tables)
    x, level = torch.zeros(1, 6, 5), torch.zeros(1)
    mask = torch.ones_like(x)
    mask[:, 5] = 0
    answers = []
    for letter in (0, 1):
        given = torch.zeros_like(x)
        given[0, 5] = BOOK.encode(torch.tensor(letter))
        answers.append(net(x, level, {GIVEN: given, ESTIMATE: torch.zeros_like(x)}, mask))
    apart = (answers[0] - answers[1]).abs().amax(-1)[0]
    assert apart[0] > 0.1 and apart[5] == 0
