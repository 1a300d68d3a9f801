"""A sampling loop recorded as one CUDA graph, so that no kernel waits for Python to launch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pfgm_science.batch import Batch

WARM_UP = 2  # runs in which libraries choose their kernels, before one is recorded


class Recording:
    """A function of a batch, recorded on a GPU and replayed for batches of the same shapes.

    loop: from a batch to a tensor, without asking the device for a value on the way: every branch is decided by what
    Python knows. Memory of inputs, result and all between is kept for as long as the recording.
    """

    def __init__(self, loop: Callable[[Batch], Tensor], batch: Batch) -> None:
        self._batch = batch.map(torch.clone)
        with torch.cuda.device(batch.values.device):
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UP):
                    loop(self._batch)
            torch.cuda.current_stream().wait_stream(beside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._end = loop(self._batch)

    def __call__(self, batch: Batch) -> Tensor:
        """What loop makes of another batch."""
        for kept, given in zip(_tensors(self._batch), _tensors(batch), strict=True):
            kept.copy_(given)
        self._graph.replay()
        return self._end.clone()


def _tensors(batch: Batch) -> Iterator[Tensor]:
    yield batch.values
    if batch.mask is not None:
        yield batch.mask
    yield from (value for _, value in sorted((batch.condition or {}).items()))
