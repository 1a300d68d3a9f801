"""What images are compared by."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def pixel_features(images: Array) -> Array:
    """Pixels of uint8 [n, height, width, channels] as rows: float64 [n, height * width * channels] in [-1, 1]."""
    rows: Array = np.asarray(images).reshape(len(images), -1).astype(np.float64) / 127.5 - 1
    return rows
