"""Images: uint8 arrays [n, height, width, channels]. `from modalities.images import Images`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalities.images.adapter import Images

__all__ = ["Images"]


def __getattr__(name: str) -> Any:
    if name != "Images":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modalities.images.adapter import Images

    return Images
