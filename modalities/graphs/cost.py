"""What training on large graphs costs on this machine, measured on one graph before a run begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from pfgm_science.progress import duration

if TYPE_CHECKING:
    from modalities.graphs.adapter import Graphs
    from pfgm_science.config import RunConfig

LARGE = 200  # nodes; below, a run takes minutes to hours


def notice(adapter: Graphs, config: RunConfig) -> str:
    """Time and memory of a run on graphs of more than LARGE nodes, in words; "" for smaller ones.

    State and work grow with the square of the number of nodes, the matrix products in the network with its cube. Both
    are measured by one step on one graph of the largest size.
    """
    nodes = adapter.layout.nodes
    if nodes <= LARGE:
        return ""
    seconds, memory = _step(adapter, config.network)
    batch, steps = config.training.batch_size, config.training.steps
    step, whole = duration(seconds * batch), duration(seconds * batch * steps)
    return (
        f"graphs of up to {nodes} nodes are large for a dense state ({adapter.layout.pairs:,} pairs): on a machine "
        f"like this a step takes about {step} and {memory * batch / 2**30:.1f} GiB, and {steps:,} steps about {whole}. "
        "A smaller training.batch_size, network.pair_width or network.depth costs less."
    )


def _step(adapter: Graphs, settings: dict[str, Any]) -> tuple[float, int]:
    """Seconds and bytes that one graph of the largest size takes in a step of training."""
    with torch.random.fork_rng(devices=[]):
        network = adapter.network(settings, ())
    batch = adapter.sized([adapter.layout.nodes])
    held = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal held
        held += tensor.numel() * tensor.element_size()
        return tensor

    started = time.monotonic()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network(batch.values, torch.zeros(1), None, batch.mask).square().sum()
    torch.autograd.backward(loss)
    return time.monotonic() - started, held
