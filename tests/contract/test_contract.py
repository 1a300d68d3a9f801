"""The adapters of this distribution keep the contract."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import networkx as nx
import numpy as np
import pytest
import torch
from point_sets import PointSets
from torch import Tensor

from modalities.audio import mending
from modalities.audio.adapter import Audio
from modalities.audio.objects import Clip
from modalities.graphs import Graphs, Part
from modalities.graphs.layout import Layout
from modalities.graphs.simple import simple
from modalities.images.adapter import Images
from modalities.sequences import Sequences
from modalities.sequences.objects import records
from modalities.vectors.adapter import Vectors
from pfgm_science.batch import Batch
from pfgm_science.constraints import Known
from pfgm_science.data import Dataset
from pfgm_science.errors import ConfigError
from pfgm_science.model import Model
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


class _SequencesContract(AdapterContract):
    make = Sequences
    name = "sequences"
    misspelt = ("widht", "width")
    dataset = "hairpins"

    def bad(self) -> list[tuple[Any, str]]:
        return [
            (["ACD", "AC1"], "sequence 1: '1' at position 3"),
            (["ACDX"], "stands for several"),
            (["AC-D", "ACD"], "2 lengths"),
            (["ACD", ""], "sequence 1: it is empty"),
            (["ACD", 3], "object 1 is int"),
        ]

    def same(self, a: Any, b: Any) -> None:
        assert [str(record.seq) for record in a] == [str(record.seq) for record in b]

    def test_what_is_kept_is_kept(self, trained: Model) -> None:
        with pytest.raises(ConfigError, match="no such arrays"):
            trained.sample(2, keep=Known(self.objects(12)[:1], [np.ones(1)]))


class TestAlignedSequences(_SequencesContract):
    network: ClassVar = {"width": 8, "hidden": 8, "depth": 1, "embedding": 8}
    files = ("a.afa", "a.sto", "a.aln.gz")

    def objects(self, count: int) -> Any:
        rng = np.random.default_rng(0)
        return records(["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY-"), 9)) for _ in range(count)])

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "table.afa"
        path.write_text(">a\nEV-QL\n>b\nEVXQL\n>c\nEVKQL\n")
        return path, 2, "'X' at position 3"


class TestFreeSequences(_SequencesContract):
    network: ClassVar = {"width": 8, "heads": 2, "depth": 1, "embedding": 8}
    files = ("a.fasta", "a.fa.gz", "a.tsv", "a.dbn")

    def objects(self, count: int) -> Any:
        rng = np.random.default_rng(0)
        return records(["".join(rng.choice(list("ACGU"), 5 + i % 7)) for i in range(count)])

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "table.fasta"
        path.write_text(">a\nACGUU\n>b\nACGUUB\n>c\nGGU\n")
        return path, 2, "'B' at position 6"


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


class TestAudio(AdapterContract):
    """Clips of several lengths, which end in silence as tensors."""

    make = Audio
    name = "audio"
    network: ClassVar = {"channels": 4, "multipliers": [1, 2], "embedding": 8, "attention": 0}
    misspelt = ("chanels", "channels")
    files = ("folder", "a.zip")
    dataset = "tones"

    def objects(self, count: int) -> list[Clip]:
        rng = np.random.default_rng(0)
        noise = [rng.uniform(-0.5, 0.5, (1, 160 + 8 * (i % 5))).astype(np.float32) for i in range(count)]
        return [Clip(torch.from_numpy(wave - wave.mean()), 2000) for wave in noise]

    def bad(self) -> list[tuple[Any, str]]:
        good = self.objects(2)
        return [
            ([good[0], Clip(torch.full((1, 9), float("nan")), 2000)], "sound 1"),
            ([Clip(torch.zeros(9, 9), 2000)], "9 channels"),
            ([Clip(torch.zeros(1, 900), 2000)], "silent"),
            (["a.wav"], "str"),
        ]

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "clips"
        Audio().write(str(path), self.objects(12))
        torn = min(path.rglob("*.wav"))
        torn.write_bytes(torn.read_bytes()[:20])
        return path, 11, ""

    def same(self, a: Any, b: Any) -> None:
        """Equal where both have samples, and silent where one has none."""
        assert type(a) is type(b) and len(a) == len(b)
        for ours, theirs in zip(a, b, strict=True):
            assert ours.rate == theirs.rate
            both = min(ours.samples, theirs.samples)
            torch.testing.assert_close(ours.waveform[:, :both], theirs.waveform[:, :both], rtol=0, atol=1e-4)
            assert not (ours.waveform[:, both:].abs() > 1e-4).any()
            assert not (theirs.waveform[:, both:].abs() > 1e-4).any()

    def test_what_is_kept_is_kept(self, trained: Model) -> None:
        adapter: Any = trained.adapter
        wave = adapter.preparation(self.objects(12)[0])[None]
        free = torch.arange(adapter.samples) >= adapter.samples // 2
        values = adapter.standardised(wave)[0]
        known = mending.Part(wave, free).encoded(adapter, 1).known[0] > 0
        for sample in trained.sample(2, keep=mending.Part(wave, free, repeats=1), evaluations=8):
            again = adapter.standardised(sample.waveform[None])[0]
            torch.testing.assert_close(again[known], values[known], atol=1e-3, rtol=0)


class TestAudioAsWaveforms(TestAudio):
    """Every representation keeps the contract; of waveforms with another network."""

    make = partial(Audio, representation="waveform")
    network: ClassVar = {"channels": 4, "multipliers": [1, 2], "patch": 2, "stride": 2, "embedding": 8}


class TestGraphs(AdapterContract):
    """PyG graphs of 2 to 6 nodes with attributes of every kind."""

    make = Graphs
    name = "graphs"
    network: ClassVar = {
        "width": 8, "pair_width": 8, "depth": 1, "heads": 2, "product": 2, "walks": 3, "embedding": 8
    }  # fmt: skip
    misspelt = ("widht", "width")
    files = ("a.pt", "a.json")
    dataset = "community-small"

    def objects(self, count: int) -> list[Any]:
        rng = np.random.default_rng(0)
        graphs = []
        for i in range(count):
            size = 2 + i % 5
            low, high = np.triu_indices(size, 1)
            kept = rng.random(len(low)) < 0.6
            kept[0] = True
            edges = np.stack([low[kept], high[kept]], 1)
            graphs.append(
                simple(
                    size,
                    edges,
                    {
                        "kind": torch.from_numpy(rng.integers(1, 4, size)),
                        "place": torch.from_numpy(rng.normal(3, 2, (size, 2))).float(),
                    },
                    {
                        "bond": torch.from_numpy(rng.integers(0, 2, len(edges))),
                        "edge_length": torch.from_numpy(rng.random(len(edges))).float(),
                    },
                )
            )
        return graphs

    def bad(self) -> list[tuple[Any, str]]:
        good = TestGraphs.objects(self, 2)
        loop = good[0].clone()
        loop.edge_index[:, 0] = 1
        return [
            ([good[0], loop], "graph 1"),
            ([nx.DiGraph([(0, 1)])], "directed"),
            ([nx.MultiGraph([(0, 1), (0, 1)])], "multigraph"),
            ([nx.Graph()], "no nodes"),
            ([nx.empty_graph(1)], "one node"),
            (["a"], "graph 0"),
        ]

    def damaged(self, folder: Path) -> tuple[Path, int, str]:
        path = folder / "graphs.g6"
        path.write_text("DQc\nD\nD~{\n")
        return path, 2, ""

    def same(self, a: Any, b: Any) -> None:
        assert type(a) is type(b) and len(a) == len(b)
        for ours, theirs in zip(a, b, strict=True):
            assert ours.num_nodes == theirs.num_nodes and set(ours.keys()) == set(theirs.keys())
            for key in ours.keys():  # noqa: SIM118
                if isinstance(ours[key], Tensor):
                    assert ours[key].dtype == theirs[key].dtype
                    torch.testing.assert_close(ours[key], theirs[key], rtol=1e-5, atol=1e-5)

    def symmetries(self, batch: Batch) -> Iterator[Callable[[Tensor], Tensor]]:
        """Permutations of the nodes that all graphs of the batch have."""
        layout = type(self).make().fit(Dataset(self.objects(12))).layout
        assert batch.mask is not None
        for order in ([1, 0, *range(2, layout.nodes)], [2, 0, 1, *range(3, layout.nodes)]):
            if max(i + 1 for i, j in enumerate(order) if i != j) <= int(layout.sizes(batch.mask).min()):
                yield lambda values, order=order: permuted(layout, values, order)

    def test_what_is_kept_is_kept(self, trained: Model) -> None:
        part = self.objects(12)[1]
        samples = trained.sample(3, keep=Part(part, sizes=[3, 5, 6], repeats=2), evaluations=8)
        for sample, size in zip(samples, (3, 5, 6), strict=True):
            assert sample.num_nodes == size
            inside = (sample.edge_index < part.num_nodes).all(0)
            assert torch.equal(sample.edge_index[:, inside], part.edge_index)
            assert torch.equal(sample.bond[inside], part.bond)
            assert torch.equal(sample.kind[: part.num_nodes], part.kind)
            torch.testing.assert_close(sample.place[: part.num_nodes], part.place)

    def test_sizes_are_those_that_are_asked_for(self, trained: Model) -> None:
        for sizes in (5, [2, 6, 3]):
            samples = trained.sample(3, sizes=sizes, evaluations=5)
            wanted = [sizes] * 3 if isinstance(sizes, int) else sizes
            assert [sample.num_nodes for sample in samples] == wanted
        for sizes in (7, 0, [2, 3], 2.5):
            with pytest.raises(ConfigError, match="sizes"):
                trained.sample(3, sizes=sizes)


class TestNetworkxGraphs(TestGraphs):
    """networkx graphs without attributes come back as such."""

    files = ("a.g6", "a.pt", "a.json", "folder")

    def objects(self, count: int) -> list[Any]:
        return [nx.gnp_random_graph(3 + i % 4, 0.5, seed=i) for i in range(count)]

    def same(self, a: Any, b: Any) -> None:
        assert len(a) == len(b)
        for ours, theirs in zip(map(plain, a), map(plain, b), strict=True):
            assert nx.utils.graphs_equal(ours, theirs)

    def test_what_is_kept_is_kept(self, trained: Model) -> None:
        part = nx.path_graph(3)
        for sample in trained.sample(4, keep=Part(part, sizes=6), evaluations=8):
            assert isinstance(sample, nx.Graph) and len(sample) == 6
            assert set(sample.subgraph(range(3)).edges) == {(0, 1), (1, 2)}

    def test_sizes_are_those_that_are_asked_for(self, trained: Model) -> None:
        assert [len(sample) for sample in trained.sample(3, sizes=[2, 6, 3], evaluations=5)] == [2, 6, 3]


def plain(graph: Any) -> nx.Graph:
    """As networkx graph, whatever it was read as."""
    from modalities.graphs.objects import to_networkx

    return graph if isinstance(graph, nx.Graph) else to_networkx(graph)


def permuted(layout: Layout, values: Tensor, order: list[int]) -> Tensor:
    """Values of the same graphs with their nodes in another order."""
    nodes, pairs = layout.split(values)
    low, high = (torch.tensor(order)[torch.from_numpy(end)] for end in layout.ends)
    place = layout.place(torch.minimum(low, high), torch.maximum(low, high))
    return layout.join(nodes[:, order], pairs[:, place])
