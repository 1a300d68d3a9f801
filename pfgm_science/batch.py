"""A batch: values, the mask of their free coordinates, and what they are conditioned on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Condition = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Tensors of one batch of samples.

    values: [batch, *shape], floating point.
    mask: like values, 1 where a coordinate is free and 0 where it is padding; None when all are free.
    condition: name -> [batch, ...]; None when nothing is given.
    """

    values: Tensor
    mask: Tensor | None = None
    condition: Condition | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.values.shape:
            raise ValueError(
                f"mask has shape {tuple(self.mask.shape)}, values {tuple(self.values.shape)}: they must be equal"
            )
        for name, value in (self.condition or {}).items():
            if value.shape[:1] != self.values.shape[:1]:
                raise ValueError(
                    f"condition {name!r} has {tuple(value.shape)[:1]} samples, values have {len(self.values)}"
                )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """The chosen samples; index is [k] of integers or a slice."""
        return self.map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Batch:
        """On another device; dtype is that of values and mask, conditions keep their own."""
        moved = self.map(lambda tensor: tensor.to(device) if device is not None else tensor)
        mask = None if moved.mask is None else moved.mask.to(dtype or moved.mask.dtype)
        return Batch(moved.values.to(dtype or moved.values.dtype), mask, moved.condition)

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The same with a function applied to each tensor."""
        condition = None if self.condition is None else {k: function(v) for k, v in self.condition.items()}
        return Batch(function(self.values), None if self.mask is None else function(self.mask), condition)


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch after another; all have the same shape and the same conditions."""
    masks = [b.mask for b in batches if b.mask is not None]
    if masks and len(masks) != len(batches):
        masks = [torch.ones_like(b.values) if b.mask is None else b.mask for b in batches]
    first = batches[0].condition
    condition = (
        None if first is None else {k: torch.cat([b.condition[k] for b in batches if b.condition]) for k in first}
    )
    return Batch(torch.cat([b.values for b in batches]), torch.cat(masks) if masks else None, condition)


def free_coordinates(values: Tensor, mask: Tensor | None) -> Tensor:
    """N, the number of free coordinates of each sample: [batch], of the dtype of values."""
    if mask is None:
        return values.new_full((len(values),), values[0].numel() if len(values) else 0)
    return mask.to(values.dtype).flatten(1).sum(1)


def expand(per_sample: Tensor, like: Tensor) -> Tensor:
    """[batch] -> [batch, 1, ..., 1], so that it broadcasts against like."""
    return per_sample.reshape(-1, *[1] * (like.ndim - 1))
