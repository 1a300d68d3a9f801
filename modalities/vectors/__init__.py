"""Vectors: rows of real numbers, float64 [n, features]. `from modalities.vectors import Vectors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalities.vectors.adapter import Vectors

__all__ = ["Vectors"]


def __getattr__(name: str) -> Any:
    if name != "Vectors":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modalities.vectors.adapter import Vectors

    return Vectors
