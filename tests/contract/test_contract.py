"""The adapters of this distribution keep the contract."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from adapter_contract import AdapterContract

from modalities.images.adapter import Images
from modalities.vectors.adapter import Vectors


class TestVectors(AdapterContract):
    make = Vectors
    name = "vectors"
    network: ClassVar = {"width": 8, "depth": 1, "embedding": 8}
    misspelt = ("widht", "width")
    files = ("a.csv", "a.tsv", "a.npy", "a.npz", "a.parquet")
    dataset = "moons"

    def objects(self, count: int) -> np.ndarray:
        rows = np.random.default_rng(0).standard_normal((count, 3))
        return rows * [1.0, 50.0, 0.01] + [0.0, 300.0, 5.0]

    def bad(self) -> list[tuple[Any, str]]:
        return [
            (np.array([[0.0, 1.0], [np.nan, 1.0]]), "row 1 "),
            (np.array([[0.0, 1.0], [2.0, np.inf]]), "row 1 "),
            ([[0.0, 1.0], [2.0]], "one length"),
            ([["a", "b"]], "must be numbers"),
            (np.zeros((3, 0)), "(3, 0)"),
            (np.zeros((3, 2, 2)), "(3, 2, 2)"),
        ]


class TestImages(AdapterContract):
    make = Images
    name = "images"
    network: ClassVar = {"kind": "unet", "channels": 8, "multipliers": [1, 2], "attention": 4, "embedding": 8}
    misspelt = ("chanels", "channels")
    files = ("a.npy", "a.npz", "a.zip", "folder")
    dataset = "digits"

    def objects(self, count: int) -> np.ndarray:
        images = np.random.default_rng(0).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
        images[..., 1:] = images[..., 1:] // 2  # in colour, so that no reader takes them for grey
        return images

    def bad(self) -> list[tuple[Any, str]]:
        return [
            (np.zeros((3, 8, 8, 1), np.float32), "float32"),
            (np.zeros((3, 8, 8, 2), np.uint8), "(3, 8, 8, 2)"),
            (np.zeros((3, 8), np.uint8), "(3, 8)"),
            (np.zeros((3, 0, 8, 1), np.uint8), "(3, 0, 8, 1)"),
            ([np.zeros((8, 8, 1), np.uint8), np.zeros((9, 8, 1), np.uint8)], "one size"),
        ]


class TestImagesWithATransformer(TestImages):
    network: ClassVar = {"kind": "dit", "patch": 2, "width": 16, "depth": 1, "heads": 2}
    misspelt = ("widht", "width")
