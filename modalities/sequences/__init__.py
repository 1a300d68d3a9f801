"""Antibody, protein, DNA and RNA sequences: Biopython's SeqRecord. `from modalities.sequences import Sequences`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalities.sequences.adapter import Sequences
    from modalities.sequences.design import Design
    from modalities.sequences.fold import Fold

__all__ = ["Design", "Fold", "Sequences"]


def __getattr__(name: str) -> Any:
    if name == "Sequences":
        from modalities.sequences.adapter import Sequences

        return Sequences
    if name == "Design":
        from modalities.sequences.design import Design

        return Design
    if name == "Fold":
        from modalities.sequences.fold import Fold

        return Fold
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
