from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pfgm_science.batch import Batch, Condition
from pfgm_science.codebook import Codebook
from pfgm_science.denoiser import Preconditioned
from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet
from pfgm_science.objective import CrossEntropy

F64 = torch.float64
sizes = st.integers(2, 40)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(sizes)
def test_codewords_are_centred_of_rms_half_and_equally_far_apart(size: int) -> None:
    code = Codebook(size).encode(torch.arange(size)).double()
    torch.testing.assert_close(code.sum(1), torch.zeros(size, dtype=F64), atol=1e-5, rtol=0)
    torch.testing.assert_close(code.square().mean().sqrt(), torch.tensor(0.5, dtype=F64))
    apart = torch.cdist(code, code)[~torch.eye(size, dtype=torch.bool)]
    torch.testing.assert_close(apart, torch.full_like(apart, Codebook(size).distance), rtol=1e-5, atol=1e-5)


def test_distance_of_21_symbols_is_the_published_one() -> None:
    assert round(Codebook(21).distance, 2) == 3.32


@settings(deadline=None, derandomize=True, max_examples=40)
@given(sizes, st.integers(0, 2**16))
def test_symbols_and_probabilities_come_back(size: int, seed: int) -> None:
    book, generator = Codebook(size), torch.Generator().manual_seed(seed)
    symbols = torch.randint(size, (3, 5), generator=generator)
    assert torch.equal(book.symbols(book.encode(symbols)), symbols)
    logits = torch.randn(3, 5, size, generator=generator, dtype=F64)
    torch.testing.assert_close(book.probabilities(book.mean(logits)), logits.softmax(-1), rtol=1e-10, atol=1e-12)


def test_a_codebook_of_one_symbol_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        Codebook(1)


class Bayes(nn.Module):
    """The exact logits of one symbol for the t kernel, with N = K free coordinates."""

    def __init__(self, book: Codebook, prior: Tensor, D: float) -> None:
        super().__init__()
        self.codebook, self.prior, self.D = book, prior, D

    def forward(
        self, x: Tensor, level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        sigma = (4 * level.double()).exp()[:, None, None]
        x = x.double() * (sigma**2 + 0.25).sqrt()
        code = self.codebook.encode(torch.arange(self.codebook.size)).double()
        squared = (x[..., None, :] - code).square().sum(-1)
        if math.isinf(self.D):
            return self.prior.log() - squared / (2 * sigma**2)
        return self.prior.log() - (self.codebook.size + self.D) / 2 * torch.log1p(squared / (self.D * sigma**2))


@pytest.mark.parametrize("D", [3.0, 64.0, math.inf])
def test_a_network_that_gives_the_posterior_is_the_exact_denoiser(D: float) -> None:
    book = Codebook(4)
    often = torch.tensor([4, 3, 2, 1])
    points = book.encode(torch.repeat_interleave(torch.arange(4), often))[:, None].double()
    x = torch.randn(50, 1, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
    sigma = torch.linspace(0.3, 3, 50, dtype=F64)
    denoiser = Preconditioned(Bayes(book, often.double() / 10, D), 0.5)
    torch.testing.assert_close(denoiser(x, sigma), FiniteSet(points, D=D)(x, sigma), rtol=1e-5, atol=1e-5)


class Fixed(nn.Module):
    def __init__(self, book: Codebook, logits: Tensor) -> None:
        super().__init__()
        self.codebook, self.logits = book, nn.Parameter(logits)

    def forward(
        self, x: Tensor, level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        return self.logits.expand(len(x), -1, -1)


def test_cross_entropy_is_that_of_the_right_symbols_at_free_places() -> None:
    book = Codebook(3)
    logits = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    denoiser = Preconditioned(Fixed(book, logits), 0.5)
    values = book.encode(torch.tensor([[2, 0], [1, 2]]))
    right = -logits.log_softmax(-1)
    x, sigma, weight = torch.zeros(2, 2, 3), torch.ones(2), torch.full((2,), 7.0)
    expected = torch.stack([(right[0, 2] + right[1, 0]) / 2, (right[0, 1] + right[1, 2]) / 2])
    loss = CrossEntropy(book)
    torch.testing.assert_close(loss(denoiser, Batch(values), x, sigma, weight), expected)
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]])[..., None].expand(2, 2, 3)
    expected[0] = right[0, 2]
    torch.testing.assert_close(loss(denoiser, Batch(values * mask, mask), x, sigma, weight), expected)


def test_the_answer_of_a_codebook_is_zero_where_nothing_is_free_and_keeps_the_dtype() -> None:
    book = Codebook(3)
    denoiser = Preconditioned(Fixed(book, torch.randn(2, 3)), 0.5)
    mask = torch.tensor([[1.0, 0.0]])[..., None].expand(1, 2, 3)
    answer = denoiser(torch.zeros(1, 2, 3, dtype=F64), torch.ones(1, dtype=F64), None, mask)
    assert answer.dtype == F64 and bool((answer[:, 1] == 0).all()) and bool((answer[:, 0] != 0).any())
