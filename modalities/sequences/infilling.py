"""What a network is taught to fill in: parts of aligned sequences, the rest of which it is given.

In training every sample is either drawn whole or around a part of itself (the condition GIVEN): a region of the frame,
such as a loop of an antibody, or columns at random. In half of these it is told where the gaps are, so that a loop of
an exact length can be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modalities.sequences.frame import Frame
from pfgm_science.batch import Batch
from pfgm_science.condition import GIVEN

LOOP = "CDR"  # how the names of regions begin that are redesigned more often than others
WHOLE, FIRST, LOOPS = 0.5, 0.25, 0.125  # shares of samples: all free, the last loop, some loops; the rest is random
TOLD = 0.5  # share of samples that are told where the gaps are


@dataclass(frozen=True)
class Parts:
    """Draws what is free of each training sample. loops: columns of the regions that are redesigned most, the most
    important one last (CDR3). gap: the number of the gap among the symbols, None where there is none.
    """

    columns: int
    loops: tuple[tuple[int, int], ...]
    gap: int | None

    def free(self, count: int, generator: torch.Generator) -> Tensor:
        """1 where a column is to be filled in, at least one of each sample: bool [count, columns]."""
        draw = torch.rand(count, 4, generator=generator, device=generator.device)
        which, share, start, length = draw.unbind(1)
        each = torch.rand(count, self.columns, generator=generator, device=generator.device)
        at = torch.arange(self.columns, device=draw.device)
        first = (start * self.columns).long()
        window = (at >= first[:, None]) & (at <= (first + (length * self.columns).long())[:, None])
        free = torch.where((each[:, :1] < 0.5), window, each < share[:, None])
        if self.loops:
            spans = torch.stack([(at >= low) & (at < high) for low, high in self.loops])
            chosen = torch.rand(count, len(self.loops), generator=generator, device=generator.device) < 0.5
            chosen[:, -1] |= ~chosen.any(1)
            some = (chosen[..., None] & spans).any(1)
            free = torch.where((which < WHOLE + FIRST + LOOPS)[:, None], some, free)
            free = torch.where((which < WHOLE + FIRST)[:, None], spans[-1], free)
        free = torch.where((which < WHOLE)[:, None], torch.ones_like(free), free)
        return free

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with a part of each sample given in place of free."""
        values = batch.values
        free = self.free(len(values), generator).to(values.device)
        if self.gap is not None:
            told = torch.rand(len(values), 1, generator=generator, device=generator.device).to(values.device) < TOLD
            gaps = values.argmax(-1) == self.gap
            free = free & ~(told & gaps & ~free.all(1, keepdim=True))
        free = free | ~free.any(1, keepdim=True)  # nothing to fill in teaches nothing
        mask = free[..., None].to(values.dtype).expand_as(values).contiguous()
        condition = {**(batch.condition or {}), GIVEN: values * (1 - mask)}
        return Batch(values * mask, mask, condition)


def parts(frame: Frame, gap: int | None) -> Parts:
    """Of the alignments of this frame."""
    loops = tuple((first, end) for name, first, end in frame.regions if name.startswith(LOOP))
    return Parts(len(frame), loops, gap)
