"""The adapters of this distribution keep the contract."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from point_sets import PointSets
from torch import Tensor

from modalities.images.adapter import Images
from modalities.vectors.adapter import Vectors
from pfgm_science.batch import Batch
from pfgm_science.testing import AdapterContract


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

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "table.csv"
        path.write_text("a,b\n1,2\n3,many\n5,6\n")
        return path, 2, "many"


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

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "pictures"
        Images().write(str(path), self.objects(12))
        torn = min(path.rglob("*.png"))
        torn.write_bytes(torn.read_bytes()[:40])
        return path, 11, "image"


class TestImagesWithATransformer(TestImages):
    network: ClassVar = {"kind": "dit", "patch": 2, "width": 16, "depth": 1, "heads": 2}
    misspelt = ("widht", "width")


class TestPointSets(AdapterContract):
    """Ragged and in no order: what masks and symmetries are for."""

    make = PointSets
    name = "point-sets"
    network: ClassVar = {"width": 8}
    misspelt = ("widht", "width")
    files = ("a.json",)
    dataset = "pairs"

    @pytest.fixture(scope="class", autouse=True)
    def installed(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        """The entry point as an installer leaves it."""
        site = tmp_path_factory.mktemp("site")
        info = site / "point_sets-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: point-sets\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[pfgm_science.adapters]\npoint-sets = point_sets:PointSets\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(site))
            importlib.invalidate_caches()
            yield

    def objects(self, count: int) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal((1 + i % 4, 2)) for i in range(count)]

    def bad(self) -> list[tuple[Any, str]]:
        return [([np.zeros((5, 2))], "(5, 2)"), ([np.zeros((2, 2)), np.full((2, 2), np.nan)], "set 1")]

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "sets.json"
        path.write_text("[[[0, 1]], [[0, 1, 2]], [[1, 1], [2, 2]]]")
        return path, 2, "(1, 3)"

    def same(self, a: Any, b: Any) -> None:
        assert type(a) is type(b) and len(a) == len(b)
        for ours, theirs in zip(a, b, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)

    def symmetries(self, batch: Batch) -> Iterator[Callable[[Tensor], Tensor]]:
        """Permutations of the points, padding included."""
        yield lambda tensor: tensor.flip(1)
        yield lambda tensor: tensor[:, [1, 3, 0, 2]]
