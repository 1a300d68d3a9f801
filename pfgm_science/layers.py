"""Layers that the networks of several modalities share."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layer = TypeVar("Layer", bound=nn.Module)


def zeroed(layer: Layer) -> Layer:
    """The same layer with all of its parameters zero, so that what it adds begins as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class AdaptiveLayerNorm(nn.Module):
    """Layer norm whose scale and shift are set by an embedding (DiT: Peebles and Xie, arXiv 2212.09748).

    h [batch, tokens, width], embedding [batch, embedding] -> like h; before training a plain layer norm.
    """

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = zeroed(nn.Linear(embedding, 2 * width))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, None].chunk(2, dim=2)
        modulated: Tensor = torch.addcmul(shift, self.norm(h), 1 + scale)
        return modulated


class FeedForward(nn.Module):
    """A residual layer of two, its norm set by an embedding: h [batch, tokens, width] -> like h, at first h itself."""

    def __init__(self, width: int, inner: int, embedding: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(width, embedding)
        self.first = nn.Linear(width, inner)
        self.second = zeroed(nn.Linear(inner, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        updated: Tensor = h + self.second(self.dropout(F.silu(self.first(self.norm(h, embedding)))))
        return updated
