"""Networks of sequences, which answer with logits: an MLP over all columns, and a transformer where lengths differ.

Both add what they learn to what independent places would say: the log frequency of each symbol, and x itself, which
speaks for the symbols that it points to, the more so the less noise there is. What the two say together is shown to
the layers as well. Of columns that pair in a known structure, each is shown what is believed of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pfgm_science.batch import Condition
from pfgm_science.codebook import RMS, Codebook
from pfgm_science.condition import ESTIMATE, GIVEN, ConditionSpec
from pfgm_science.config import update
from pfgm_science.embedding import NoiseEmbedding, fourier_features
from pfgm_science.errors import ConfigError
from pfgm_science.layers import AdaptiveLayerNorm, FeedForward, zeroed

CERTAIN = 50.0  # the most that a place by itself sets two symbols apart, in nats
PLACES = 32  # features of where a letter stands, from either end


@dataclass(frozen=True)
class MLPConfig:
    """A residual MLP over all columns. width: of the state of a column. hidden: units of a layer, which see them all.
    depth: layers. embedding: width of the embedding of noise level and condition. self_conditioning: whether the
    network may be shown an estimate. Raises ConfigError for values out of range.
    """

    width: int = 16
    hidden: int = 256
    depth: int = 4
    embedding: int = 128
    dropout: float = 0.0
    self_conditioning: bool = True

    def __post_init__(self) -> None:
        _check(self, ("width", "hidden", "depth"))


@dataclass(frozen=True)
class TransformerConfig:
    """width: of the state of a letter. depth: layers. heads: of the attention. reach: distances of two letters that the
    attention tells apart. The rest as in MLPConfig.
    """

    width: int = 128
    depth: int = 6
    heads: int = 8
    reach: int = 64
    embedding: int = 128
    dropout: float = 0.0
    self_conditioning: bool = True

    def __post_init__(self) -> None:
        _check(self, ("width", "depth", "heads", "reach"))
        if self.width % self.heads:
            raise ConfigError(f"width = {self.width}: it must be a multiple of heads = {self.heads}")


def configured(settings: Mapping[str, Any], aligned: bool) -> MLPConfig | TransformerConfig:
    """The user's settings on top of those of the network for aligned or for free sequences."""
    return update(MLPConfig() if aligned else TransformerConfig(), settings, "network.")


class _Network(nn.Module):
    """What both have: x [batch, length, symbols] of about unit size, noise_level [batch] = ln(sigma)/4 -> logits.

    prior: log frequencies, [length or 1, symbols]. condition[ESTIMATE], like x in the units of the encoded data, is an
    estimate of the clean values, condition[GIVEN] their codewords where they are given and 0 elsewhere. Where mask is
    0, x is not looked at and the answer is 0.
    """

    layers: nn.ModuleList
    pairing: _Pairing | None

    def __init__(
        self,
        codebook: Codebook,
        prior: Tensor,
        config: MLPConfig | TransformerConfig,
        specs: Sequence[ConditionSpec],
    ) -> None:
        super().__init__()
        self.codebook = codebook
        self.pairing = None
        self.self_conditioning = config.self_conditioning
        self.embedding = NoiseEmbedding(config.embedding, specs)
        self.entry = nn.Linear((4 if config.self_conditioning else 3) * codebook.size + 2, config.width)
        self.norm = AdaptiveLayerNorm(config.width, config.embedding)
        self.exit = zeroed(nn.Linear(config.width, codebook.size))
        self.prior = nn.Parameter(prior.clone())

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        mask = torch.ones_like(x) if mask is None else mask
        condition = condition or {}
        x = x * mask
        given = condition.get(GIVEN)
        given = torch.zeros_like(x) if given is None else given.to(x.dtype)
        known = (given != 0).any(-1, keepdim=True).to(x.dtype)
        alone = self.alone(x, noise_level)
        believed = [self.codebook.mean(alone) * mask + given]
        if self.self_conditioning:
            estimate = condition.get(ESTIMATE)
            believed.append(given if estimate is None else estimate.to(x.dtype) * mask + given)
        h = self.entry(torch.cat([x, given, *believed, mask[..., :1], known], -1))
        logits = alone
        if self.pairing is not None:
            state, heard = self.pairing(torch.cat(believed, -1))
            h, logits = h + state, logits + heard
        embedding = self.embedding(noise_level, condition)
        inside = torch.maximum(mask[..., 0], known[..., 0])
        h = self.mixed(h, embedding, inside)
        answer: Tensor = logits + self.exit(self.norm(h, embedding))
        return answer.to(x.dtype) * mask

    def alone(self, x: Tensor, noise_level: Tensor) -> Tensor:
        """The logits that each place has by itself, were D = inf: log frequencies, and x / sigma^2 for its symbols."""
        variance = (8 * noise_level).exp()
        size = torch.sqrt(variance + RMS**2)  # by which the input was divided
        scale = self.codebook.scale
        logits: Tensor = self.prior + (scale * size / variance.clamp(min=scale**2 / CERTAIN))[:, None, None] * x
        return logits

    def mixed(self, h: Tensor, embedding: Tensor, inside: Tensor) -> Tensor:
        """States of places [batch, length, width] that have heard of each other; inside: 1 but for padding."""
        raise NotImplementedError


class SequenceMLP(_Network):
    """Of aligned sequences: layers that see the states of all columns at once, so that each hears of every other.

    pairs: columns that pair in the structure of the alignment.
    """

    def __init__(
        self,
        length: int,
        codebook: Codebook,
        prior: Tensor,
        config: MLPConfig,
        specs: Sequence[ConditionSpec] = (),
        pairs: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__(codebook, prior, config, specs)
        if pairs:
            believed = (2 if config.self_conditioning else 1) * codebook.size
            self.pairing = _Pairing(length, pairs, believed, config.width, codebook.size)
        self.place = nn.Parameter(0.1 * torch.randn(length, config.width))
        size = length * config.width
        self.layers = nn.ModuleList(_FlatLayer(size, config) for _ in range(config.depth))

    def mixed(self, h: Tensor, embedding: Tensor, inside: Tensor) -> Tensor:
        flat = (h + self.place).flatten(1)
        for layer in self.layers:
            flat = layer(flat, embedding)
        return flat.view_as(h)


class SequenceTransformer(_Network):
    """Of sequences of any length up to the longest: attention that knows how far apart two letters are."""

    def __init__(
        self,
        length: int,
        codebook: Codebook,
        prior: Tensor,
        config: TransformerConfig,
        specs: Sequence[ConditionSpec] = (),
    ) -> None:
        super().__init__(codebook, prior, config, specs)
        self.places = nn.Linear(2 * PLACES + 1, config.width)
        self.distance = nn.Embedding(2 * config.reach + 1, config.heads * config.depth)
        self.layers = nn.ModuleList(_AttentionLayer(config) for _ in range(config.depth))
        offset = (torch.arange(length)[:, None] - torch.arange(length)).clamp(-config.reach, config.reach)
        self.register_buffer("offset", offset + config.reach, persistent=False)

    def mixed(self, h: Tensor, embedding: Tensor, inside: Tensor) -> Tensor:
        batch, length, _ = h.shape
        sizes = inside.sum(1, keepdim=True)
        place = torch.arange(length, device=h.device, dtype=h.dtype)
        ends = torch.stack([place.expand(batch, -1), sizes - 1 - place])
        features = fourier_features(ends.abs().flatten().add(1).log() / 4, PLACES).view(2, batch, length, PLACES)
        features = torch.cat([*features, sizes.log()[..., None].expand(-1, length, 1)], -1)
        h = h + self.places(features)
        bias = self.distance(cast(Tensor, self.offset)).permute(2, 0, 1).chunk(len(self.layers))
        outside = torch.where(inside > 0, 0.0, -torch.inf)[:, None, None, :]
        for layer, distances in zip(self.layers, bias, strict=True):
            h = layer(h, embedding, distances[None] + outside)
        return h


class _Pairing(nn.Module):
    """What columns hear of those that they pair with: believed [batch, length, inputs] -> a state and logits.

    The state is found alike for all pairs, the logits by a table of each column's own. Unpaired columns hear nothing.
    """

    def __init__(self, length: int, pairs: Sequence[tuple[int, int]], inputs: int, width: int, symbols: int) -> None:
        super().__init__()
        low, high = torch.tensor(pairs, dtype=torch.long).unbind(1)
        self.register_buffer("ours", torch.cat([low, high]), persistent=False)
        self.register_buffer("theirs", torch.cat([high, low]), persistent=False)
        self.length = length
        self.state = nn.Linear(inputs, width)
        self.tables = nn.Parameter(torch.zeros(2 * len(pairs), inputs, symbols))

    def forward(self, believed: Tensor) -> tuple[Tensor, Tensor]:
        ours, theirs = cast(Tensor, self.ours), cast(Tensor, self.theirs)
        heard = believed[:, theirs]
        found = self.state(heard), torch.einsum("bpi,pis->bps", heard, self.tables)
        state, logits = (
            each.new_zeros(len(each), self.length, each.shape[-1]).index_copy(1, ours, each) for each in found
        )
        return state, logits


class _FlatLayer(nn.Module):
    """A residual layer of two over all columns together, whose hidden units are set by the embedding."""

    def __init__(self, size: int, config: MLPConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size, elementwise_affine=False)
        self.first = nn.Linear(size, config.hidden)
        self.modulation = zeroed(nn.Linear(config.embedding, 2 * config.hidden))
        self.second = zeroed(nn.Linear(config.hidden, size))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding).chunk(2, 1)
        inner = F.silu(torch.addcmul(shift, self.first(self.norm(h)), 1 + scale))
        updated: Tensor = h + self.second(self.dropout(inner))
        return updated


class _AttentionLayer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = AdaptiveLayerNorm(config.width, config.embedding)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.attended = zeroed(nn.Linear(config.width, config.width))
        self.feed = FeedForward(config.width, 2 * config.width, config.embedding, config.dropout)

    def forward(self, h: Tensor, embedding: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = h.shape
        split = (batch, length, self.heads, width // self.heads)
        parts = self.query_key_value(self.norm(h, embedding)).chunk(3, 2)
        query, key, value = (part.reshape(split).transpose(1, 2) for part in parts)
        heard = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        h = h + self.attended(heard.transpose(1, 2).reshape(batch, length, width))
        answer: Tensor = self.feed(h, embedding)
        return answer


def _check(config: Any, names: Sequence[str]) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} = {getattr(config, name)}: it must be at least 1")
    if not 0 <= config.dropout < 1:
        raise ConfigError(f"dropout = {config.dropout}: it must be in [0, 1)")
