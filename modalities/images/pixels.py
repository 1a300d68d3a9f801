"""Pixels as the rest of the package sees them: numbers from -1 (black) to 1 (white)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_unit(images: np.ndarray) -> Tensor:
    """uint8 [n, height, width, channels] to float32 [n, channels, height, width] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def from_unit(values: Tensor) -> np.ndarray:
    """The inverse, clipped to what a pixel can hold."""
    pixels = ((values.float() + 1) * 127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
