"""Antibody, protein, DNA and RNA sequences: Biopython's SeqRecord. `from modalities.sequences import Sequences`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalities.sequences.adapter import Sequences

__all__ = ["Sequences"]


def __getattr__(name: str) -> Any:
    if name == "Sequences":
        from modalities.sequences.adapter import Sequences

        return Sequences
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
