"""Layers that the networks of several modalities share."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

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
