"""Audio: clips of sound, by class, by pitch and loudness, filled in, varied, or longer than those trained on."""

from __future__ import annotations

from modalities.audio.objects import Clip

__all__ = ["Clip"]
