"""The network of graphs: a transformer over nodes whose attention is biased by the states of their pairs.

Every layer also multiplies the matrices of pair states (PPGN: Maron et al., arXiv 1905.11136), which counts walks and
so tells a triangle from a path, and every layer hears of the noise level and the condition. When an estimate of the
clean graph is given, the probabilities of its random walks are features of its pairs (RRWP: Ma et al., arXiv
2305.17589). Nothing depends on the order of the nodes, so training need not permute them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modalities.graphs.layout import Layout, pair_count
from pfgm_science.batch import Condition
from pfgm_science.condition import ESTIMATE, ConditionSpec
from pfgm_science.embedding import NoiseEmbedding
from pfgm_science.errors import ConfigError
from pfgm_science.layers import AdaptiveLayerNorm, FeedForward, zeroed


@dataclass(frozen=True)
class TransformerConfig:
    """width, pair_width: of the states of nodes and pairs. depth: layers. heads: of the attention. product: channels of
    the matrix product. walks: powers of the random walk. embedding: width of the embedding of noise level and
    condition. self_conditioning: whether the network may be shown an estimate. Raises ConfigError for values out of
    range.
    """

    width: int = 128
    pair_width: int = 32
    depth: int = 6
    heads: int = 8
    product: int = 16
    walks: int = 12
    embedding: int = 128
    dropout: float = 0.0
    self_conditioning: bool = True

    def __post_init__(self) -> None:
        for name in ("width", "pair_width", "depth", "heads", "product", "walks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: it must be at least 1")
        if self.width % self.heads:
            raise ConfigError(f"width = {self.width}: it must be a multiple of heads = {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout = {self.dropout}: it must be in [0, 1)")


class GraphTransformer(nn.Module):
    """x [batch, layout.size] of about unit size, noise_level [batch] = ln(sigma)/4 -> like x.

    condition[ESTIMATE], like x but in the units of the encoded data, is an estimate of the clean graphs. The output is
    zero before training, and where mask is 0.
    """

    def __init__(
        self, layout: Layout, config: TransformerConfig, specs: Sequence[ConditionSpec] = (), centre: float = 0.0
    ) -> None:
        super().__init__()
        self.layout, self.config, self.centre = layout, config, centre
        self.self_conditioning = config.self_conditioning
        self.embedding = NoiseEmbedding(config.embedding, specs)
        shown = 2 if config.self_conditioning else 1
        walks = config.walks if config.self_conditioning else 0
        self.size = nn.Linear(1, config.embedding)
        self.node_entry = nn.Linear(shown * layout.node_channels + walks + 1, config.width)
        self.pair_entry = nn.Linear(shown * layout.pair_channels + walks + 1, config.pair_width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.depth))
        self.node_exit = _Exit(config.width, layout.node_channels, config.embedding) if layout.node_channels else None
        self.pair_exit = _Exit(config.pair_width, layout.pair_channels, config.embedding)
        low, high = layout.ends
        self.register_buffer("low", torch.from_numpy(low), persistent=False)
        self.register_buffer("high", torch.from_numpy(high), persistent=False)

    def forward(
        self, x: Tensor, noise_level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        mask = torch.ones_like(x) if mask is None else mask
        estimate = (condition or {}).get(ESTIMATE)
        sizes = self.layout.sizes(mask)
        low, high = cast(Tensor, self.low), cast(Tensor, self.high)
        frame = _Frame(low, high, sizes, self._largest(sizes))
        nodes, pairs = self._cut(x * mask, frame.nodes)
        embedding = self.embedding(noise_level, condition) + self.size(frame.sizes.to(x.dtype).log()[:, None])
        node_features, pair_features = [nodes], [pairs]
        if self.self_conditioning:
            shown = torch.zeros_like(x) if estimate is None else estimate.to(x.dtype) * mask
            known_nodes, known_pairs = self._cut(shown, frame.nodes)
            present = ((known_pairs[..., :1] + self.centre + 1) / 2).clamp(0, 1) * frame.pair_mask[..., None]
            if estimate is None:
                present = torch.zeros_like(present)
            walks = random_walks(frame.square(present)[..., 0], self.config.walks)
            node_features += [known_nodes, walks.diagonal(dim1=2, dim2=3).transpose(1, 2)]
            pair_features += [known_pairs, frame.flat(walks.permute(0, 2, 3, 1))]
        one = frame.node_mask[..., None].to(x.dtype)
        h = self.node_entry(torch.cat([*node_features, one], -1))
        e = self.pair_entry(torch.cat([*pair_features, frame.pair_mask[..., None].to(x.dtype)], -1))
        for layer in self.layers:
            h, e = layer(h, e, embedding, frame)
        out_pairs = self.pair_exit(e, embedding)
        out_nodes = nodes if self.node_exit is None else self.node_exit(h, embedding)
        answer: Tensor = self._uncut(out_nodes, out_pairs).to(x.dtype) * mask
        return answer

    def _largest(self, sizes: Tensor) -> int:
        """Nodes of the largest graph; where no value may be asked for, as while a CUDA graph is recorded, of any."""
        if not len(sizes):
            return 0
        if sizes.is_meta or (sizes.is_cuda and torch.cuda.is_current_stream_capturing()):
            return self.layout.nodes
        return int(sizes.max())

    def _cut(self, values: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
        """Nodes and pairs of the largest graph of the batch: the rest is padding."""
        all_nodes, all_pairs = self.layout.split(values)
        return all_nodes[:, :nodes], all_pairs[:, : pair_count(nodes)]

    def _uncut(self, nodes: Tensor, pairs: Tensor) -> Tensor:
        missing = self.layout.nodes - nodes.shape[1], self.layout.pairs - pairs.shape[1]
        return self.layout.join(F.pad(nodes, (0, 0, 0, missing[0])), F.pad(pairs, (0, 0, 0, missing[1])))


class _Frame:
    """Sizes of the graphs of a batch, and the way from flat pairs to square matrices and back."""

    def __init__(self, low: Tensor, high: Tensor, sizes: Tensor, nodes: int) -> None:
        self.sizes, self.nodes = sizes, nodes
        pairs = pair_count(nodes)
        self.low, self.high = low[:pairs], high[:pairs]
        self.places = self.low * nodes + self.high
        self.mirrored = self.high * nodes + self.low
        each = torch.arange(pairs, device=sizes.device)
        diagonal = torch.full((nodes * nodes,), pairs, device=sizes.device)  # after the last pair stands a zero
        self.pair = diagonal.index_copy(0, self.places, each).index_copy(0, self.mirrored, each)
        self.node_mask = torch.arange(nodes, device=sizes.device) < sizes[:, None]
        self.pair_mask = torch.arange(pairs, device=sizes.device) < (sizes * (sizes - 1) // 2)[:, None]

    def square(self, pairs: Tensor) -> Tensor:
        """[batch, pairs, channels] -> symmetric [batch, nodes, nodes, channels] with a diagonal of zeros."""
        # Rows are copied whole, here and in flat: to add a square to its own transpose walks memory across the grain.
        rows = F.pad(pairs, (0, 0, 0, 1)).index_select(1, self.pair)
        return rows.view(len(pairs), self.nodes, self.nodes, pairs.shape[2])

    def flat(self, square: Tensor) -> Tensor:
        """What stands above the diagonal of [batch, nodes, nodes, channels]: [batch, pairs, channels]."""
        return square.flatten(1, 2).index_select(1, self.places)

    def folded(self, square: Tensor) -> Tensor:
        """The sum of what stands above the diagonal and of what stands below it, like flat."""
        rows = square.flatten(1, 2)
        return rows.index_select(1, self.places) + rows.index_select(1, self.mirrored)


class _Layer(nn.Module):
    """Nodes attend to each other, biased by their pairs; pairs hear of their ends and of the walks between them."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, pair_width = config.width, config.pair_width
        self.heads, self.product = config.heads, config.product
        self.node_norm = AdaptiveLayerNorm(width, config.embedding)
        self.pair_norm = AdaptiveLayerNorm(pair_width, config.embedding)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.matrices = nn.Linear(pair_width, config.heads + 3 * config.product)
        self.attended = nn.Linear(width + config.product, width)
        self.node_ff = FeedForward(width, 2 * width, config.embedding, config.dropout)
        self.pair_in = nn.Linear(pair_width + config.heads + config.product, 2 * pair_width)
        self.ends = nn.Linear(width, 2 * pair_width)
        self.pair_out = zeroed(nn.Linear(2 * pair_width, pair_width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, e: Tensor, embedding: Tensor, frame: _Frame) -> tuple[Tensor, Tensor]:
        batch, nodes, width = h.shape
        root = frame.sizes.to(h.dtype)[:, None, None] ** 0.5
        normed, pairs = self.node_norm(h, embedding), self.pair_norm(e, embedding)
        # Padding is zero in the matrices, so that sums and products over nodes do not see it.
        matrices = frame.square(self.matrices(pairs) * frame.pair_mask[..., None]).permute(0, 3, 1, 2).contiguous()
        bias, near, left, right = torch.split(matrices, [self.heads, *[self.product] * 3], 1)

        split = (batch, nodes, self.heads, width // self.heads)
        query, key, value = (part.reshape(split).transpose(1, 2) for part in self.query_key_value(normed).chunk(3, 2))
        logits = query @ key.transpose(2, 3) / split[3] ** 0.5 + bias
        attention = logits.masked_fill(~frame.node_mask[:, None, None, :], -torch.inf).softmax(3)
        mixed = (attention @ value).transpose(1, 2).reshape(batch, nodes, width)
        h = h + self.attended(torch.cat([mixed, near.sum(3).transpose(1, 2) / root], 2))
        h = self.node_ff(h, embedding)

        both = torch.cat([logits, left @ right / root[..., None]], 1)
        walks = frame.folded(both.permute(0, 2, 3, 1).contiguous())
        ends = self.ends(h)
        inner = self.pair_in(torch.cat([pairs, walks], 2))
        inner = inner + ends.index_select(1, frame.low) + ends.index_select(1, frame.high)
        e = e + self.pair_out(self.dropout(F.silu(inner)))
        return h, e


class _Exit(nn.Module):
    def __init__(self, width: int, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(width, embedding)
        self.linear = zeroed(nn.Linear(width, channels))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        answer: Tensor = self.linear(self.norm(h, embedding))
        return answer


def random_walks(adjacency: Tensor, steps: int) -> Tensor:
    """Powers 1 to steps of D^-1/2 A D^-1/2 for weights A: [batch, nodes, nodes] -> [batch, steps, nodes, nodes].

    The diagonal holds the return probabilities of the random walk itself; the symmetric form keeps pairs symmetric.
    """
    degree = adjacency.sum(2)
    root = torch.where(degree > 0, degree, 1.0).rsqrt()
    step = adjacency * root[:, :, None] * root[:, None, :]
    powers = [step]
    for _ in range(steps - 1):
        powers.append(powers[-1] @ step)
    return torch.stack(powers, 1)
