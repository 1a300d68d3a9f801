"""Audio: clips of sound, by class, by pitch and loudness, mended, varied, or longer than those trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalities.audio.adapter import Audio
    from modalities.audio.objects import Clip

__all__ = ["Audio", "Clip"]


def __getattr__(name: str) -> Any:
    if name == "Audio":
        from modalities.audio.adapter import Audio

        return Audio
    if name == "Clip":
        from modalities.audio.objects import Clip

        return Clip
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
