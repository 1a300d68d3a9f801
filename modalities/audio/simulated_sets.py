"""Sounds that are made here, so that nothing need be fetched: tones whose pitch rises, falls, dips or stays."""

from __future__ import annotations

import numpy as np
import torch

from modalities.audio.objects import Clip
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError

COUNT, RATE, SECONDS = 2000, 8000, 0.256
LOWEST, HIGHEST = 120.0, 400.0  # Hz, of the middle of a tone
HARMONICS, DECAY = 8, 0.6  # and how much weaker each is than the one before
GLIDE = 0.35  # ln of the ratio between the highest and the lowest pitch of a tone that moves
CONTOURS = {
    "dipping": lambda t: GLIDE * (8 * (t - 0.5) ** 2 - 1) / 2,
    "falling": lambda t: GLIDE * (0.5 - t),
    "flat": lambda t: np.zeros_like(t),
    "rising": lambda t: GLIDE * (t - 0.5),
}

TONES = DatasetInfo(
    name="tones",
    description="harmonic tones made by formula, with the course of their pitch (class), pitch and loudness (numbers)",
    licence="CC0-1.0",
    source="pfgm-science",
    size=f"count={COUNT} clips of {SECONDS} s at {RATE} Hz, 4 classes, seed=0",
)


def tones(info: DatasetInfo, *, count: int = COUNT, seed: int = 0) -> Dataset:
    """Conditions: label, the contour; pitch, log2 of the middle pitch over 220 Hz; loudness, dB of full scale / 10.

    ConfigError for a count or a seed out of range.
    """
    if count < 1 or seed < 0:
        raise ConfigError(f"{info.name}: count is {count} and seed {seed}: at least 1 clip, and a seed of 0 or more")
    rng = np.random.default_rng(seed)
    names = rng.choice(sorted(CONTOURS), count)
    pitch = np.exp(rng.uniform(np.log(LOWEST), np.log(HIGHEST), count))
    level = rng.uniform(-35.0, -15.0, count)
    waves = [_tone(name, hertz, decibels, rng) for name, hertz, decibels in zip(names, pitch, level, strict=True)]
    condition = {"label": names, "pitch": np.log2(pitch / 220)[:, None], "loudness": level[:, None] / 10}
    details = {"preparation": {"rate": RATE, "seconds": SECONDS, "channels": 1}}
    return Dataset(
        [Clip(torch.from_numpy(wave)[None], RATE) for wave in waves],
        condition,
        name=info.name,
        licence=info.licence,
        source=info.source,
        details=details,
    )


def _tone(contour: str, hertz: float, level: float, rng: np.random.Generator) -> np.ndarray:
    """A tone with its harmonics, which swells within a tenth of its length and dies away: float32 [samples]."""
    t = (np.arange(round(RATE * SECONDS)) + 0.5) / (RATE * SECONDS)
    phase = 2 * np.pi * np.cumsum(hertz * np.exp(CONTOURS[contour](t))) / RATE
    harmonics = np.arange(1, HARMONICS + 1)
    audible = harmonics * hertz * np.exp(GLIDE / 2) < RATE / 2
    starts = rng.uniform(0, 2 * np.pi, HARMONICS)
    parts = (DECAY**harmonics * audible)[:, None] * np.sin(harmonics[:, None] * phase + starts[:, None])
    wave = parts.sum(0) * np.minimum(t / 0.1, 1) * np.exp(-3 * t)
    wave *= 10 ** (level / 20) / np.sqrt(np.mean(wave**2))
    clipped: np.ndarray = np.clip(wave, -1, 1).astype(np.float32)
    return clipped
