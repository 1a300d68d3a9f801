"""What images are compared by."""

from __future__ import annotations

from typing import Any

import numpy as np

from modalities.images.pixels import to_unit

Array = np.ndarray[Any, Any]


def pixel_features(images: Array) -> Array:
    """Pixels of uint8 [n, height, width, channels] as rows: float64 [n, channels * height * width] in [-1, 1]."""
    rows: Array = to_unit(np.asarray(images)).double().flatten(1).numpy()
    return rows
