"""Graphs and molecules by name: sets drawn by recipe, and published ones from packages or from files of the user's.

A name can be followed by settings: `planar:nodes=32:count=500:seed=3`, `tree:nodes=16-24`, `qm9:properties=gap`,
`planar-spectre:part=test`. What a set allows is said when a setting is wrong.

The published Tree set is a pickle of networkx graphs. It is not read, because a pickle can run any program; whoever
trusts it converts it once, and trains on the result with `pfgm train graphs tree.g6`:

    graphs = pickle.load(open("tree.pkl", "rb"))["train"]
    open("tree.g6", "wb").writelines(networkx.to_graph6_bytes(graph, header=False) for graph in graphs)
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from pfgm_science.data import Dataset, DatasetInfo, nothing_usable, settings_in
from pfgm_science.errors import BadRecord, ConfigError, DataError, PfgmError
from pfgm_science.files import reading

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray[Any, Any]

PLANAR_VARIABLE = "PFGM_PLANAR"
SBM_VARIABLE = "PFGM_SBM"
CITESEER_VARIABLE = "PFGM_CITESEER"
ENZYMES_VARIABLE = "PFGM_ENZYMES"
MOSES_VARIABLE = "PFGM_MOSES"

PROPERTIES = {
    "mu": "Dipole_debye",
    "alpha": "Polarizability_bohr3",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "gap": "HOMO_LUMO_gap_au",
    "cv": "Heatcapacity_Cv_cal_mol_K",
}
_SPECTRE = "K. Martinkus et al., SPECTRE, ICML 2022, arXiv 2204.01613"
_GDSS = "J. Jo et al., Score-based Generative Modeling of Graphs via SDEs (GDSS), ICML 2022, arXiv 2202.02514"
_OURS = "drawn by modalities.graphs.recipes"
_FREE = "none needed: drawn on this machine"
_MOSES_FOLDER = "moses/dataset/data"

PLANAR = DatasetInfo(
    name="planar",
    description="Planar: Delaunay triangulations of uniform points, drawn afresh",
    licence=_FREE,
    source=_OURS,
    size="200 graphs of 64 nodes",
    citation=_SPECTRE,
)
TREE = DatasetInfo(
    name="tree",
    description="Tree: uniform labelled trees, drawn afresh",
    licence=_FREE,
    source=f"{_OURS}; the published files are data/tree.pkl of AndreasBergmeister/graph-generation (seeds 0, 1 and 2)",
    size="200 graphs of 64 nodes",
    citation="A. Bergmeister et al., Efficient and Scalable Graph Generation through Iterative Local Expansion, "
    "ICLR 2024, arXiv 2312.11529",
)
SBM = DatasetInfo(
    name="sbm",
    description="SBM: stochastic block models, 2 to 5 blocks of 20 to 40 nodes, drawn afresh",
    licence=_FREE,
    source=_OURS,
    size="200 graphs of 40 to 200 nodes",
    citation=_SPECTRE,
)
LOBSTER = DatasetInfo(
    name="lobster",
    description="Lobster: trees whose nodes are within two steps of one path",
    licence=_FREE,
    source=_OURS,
    size="100 graphs of 10 to 100 nodes",
    citation="R. Liao et al., Efficient Graph Generation with Graph Recurrent Attention Networks, NeurIPS 2019, "
    "arXiv 1910.00760",
)
GRID = DatasetInfo(
    name="grid",
    description="Grid: each lattice of 10 to 19 rows and columns; with count or seed, draws from them as in GDSS",
    licence=_FREE,
    source=_OURS,
    size="100 graphs of 100 to 361 nodes",
    citation="J. You et al., GraphRNN, ICML 2018, arXiv 1802.08773",
)
COMMUNITY_SMALL = DatasetInfo(
    name="community-small",
    description="Community-small, as published: only 5 pairs of communities and random bridges; fresh=yes draws all",
    licence=_FREE,
    source=_OURS,
    size="100 graphs of 12 to 20 nodes",
    citation=_GDSS,
)
PLANAR_20 = DatasetInfo(
    name="planar-20",
    description="small planar graphs, a benchmark of this package for machines without a GPU",
    licence=_FREE,
    source=_OURS,
    size="2,000 graphs of 16 to 24 nodes; held out: another seed",
)
TREE_20 = DatasetInfo(
    name="tree-20",
    description="small trees, a benchmark of this package for machines without a GPU",
    licence=_FREE,
    source=_OURS,
    size="2,000 graphs of 16 to 24 nodes; held out: another seed",
)
PLANAR_SPECTRE = DatasetInfo(
    name="planar-spectre",
    description="Planar, the published graphs",
    licence="MIT",
    source="data/planar_64_200.pt of github.com/KarolisMart/SPECTRE",
    size="128 graphs of 64 nodes; part=validation 32, part=test 40, part=all 200 in the order of the file",
    citation=_SPECTRE,
    how=f"download planar_64_200.pt from its source, then {PLANAR_VARIABLE}=path of it",
)
SBM_SPECTRE = DatasetInfo(
    name="sbm-spectre",
    description="SBM, the published graphs",
    licence="MIT",
    source="data/sbm_200.pt of github.com/KarolisMart/SPECTRE",
    size="128 graphs of 44 to 187 nodes; part=validation 32, part=test 40, part=all 200 in the order of the file",
    citation=_SPECTRE,
    how=f"download sbm_200.pt from its source, then {SBM_VARIABLE}=path of it",
)
EGO_SMALL = DatasetInfo(
    name="ego-small",
    description="Ego-small: papers of Citeseer, each with those it cites or is cited by",
    licence="not stated by the source",
    source="data/ind.citeseer.graph of github.com/kimiyoung/planetoid",
    size="160 graphs of 4 to 18 nodes; part=test 40, part=all 200",
    citation=f"P. Sen et al., Collective classification in network data, AI Magazine 29 (2008); as in {_GDSS}",
    how=f"download ind.citeseer.graph from its source, then {CITESEER_VARIABLE}=path of it",
)
ENZYMES = DatasetInfo(
    name="enzymes",
    description="ENZYMES: tertiary structures of proteins as graphs, without isolated nodes, at least 10 nodes",
    licence="not stated by the source",
    source="graphlearning.io (TUDataset), ENZYMES.zip",
    size="470 graphs of 10 to 125 nodes; part=test 117, part=all 587",
    citation="K. Borgwardt et al., Protein function prediction via graph kernels, Bioinformatics 21 (2005); "
    f"as in {_GDSS}",
    how=f"download and unpack ENZYMES.zip from its source, then {ENZYMES_VARIABLE}=the folder with ENZYMES_A.txt",
)
QM9 = DatasetInfo(
    name="qm9",
    description="QM9: molecules of up to 9 atoms C, N, O, F; with properties=gap+mu (and so on) these as conditions",
    licence="MIT (qm9pack); data of figshare 978904, see there",
    source="qm9pack 1.0.3",
    size="130,831 molecules of 1 to 9 heavy atoms; count=10000 takes that many at random",
    citation="R. Ramakrishnan et al., Quantum chemistry structures and properties of 134 kilo molecules, "
    "Scientific Data 1:140022 (2014)",
    how="pip install --no-deps qm9pack==1.0.3",
)
MOSES = DatasetInfo(
    name="moses",
    description="MOSES: drug-like molecules of ZINC; part=test and part=test_scaffolds are the published test sets",
    licence="MIT",
    source="molsets 0.3.1",
    size="50,000 of 1,584,663 molecules of 8 to 27 heavy atoms, at random; count=0 takes all (13 GB of memory)",
    citation="D. Polykovskiy et al., Molecular Sets (MOSES), Frontiers in Pharmacology 11 (2020), arXiv 1811.12823",
    how=f"pip download --no-deps molsets==0.3.1, then {MOSES_VARIABLE}=path of the .whl",
)


def names() -> list[DatasetInfo]:
    """What `load` knows."""
    return [info for info, _ in _SETS.values()]


def load(name: str) -> Dataset:
    """The data set of that name, with any settings in the name: a list of `torch_geometric.data.Data`.

    Raises PfgmError for an unknown name, with the nearest right one, and for what is not on this machine, with the
    command; ConfigError for a wrong setting, with those allowed.
    """
    base, *settings = name.split(":")
    info, make = _SETS[DatasetInfo.find(names(), base).name]
    return replace(make(name, settings), name=name, licence=info.licence, source=info.source, citation=info.citation)


def spectre_split(count: int) -> tuple[Array, Array, Array]:
    """Which graphs of a SPECTRE set are for training, validation and test: 128, 32 and 40 of 200.

    One permutation, `torch.randperm` with seed 1234 as in `torch.utils.data.random_split`, cut in that order; the
    indices keep its order. A fifth is for test and a fifth of the rest for validation, each rounded. Source: data.py of
    SPECTRE, and Bergmeister et al. The loader of DiGress permutes with seed 0, so its test graphs are others.
    """
    import torch

    test = round(0.2 * count)
    train = round(0.8 * (count - test))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1234)).numpy()
    return order[:train], order[train : count - test], order[count - test :]


def gdss_split(count: int) -> tuple[Array, Array]:
    """Which graphs of a GDSS set are for training and test: the first fifth, rounded down, is for test."""
    order = np.arange(count)
    return order[count // 5 :], order[: count // 5]


def spectre(path: str | os.PathLike[str], part: str = "train") -> Dataset:
    """A .pt file of SPECTRE, whose first entry is a list of adjacencies; part as in `spectre_split`, or "all".

    Raises DataError where one of them is no simple graph: without it the split would be another.
    """
    from modalities.graphs.files.tensors import read

    graphs = []
    with reading(path) as existing:
        for record, graph, _ in read(existing):
            if isinstance(graph, str):
                raise DataError(f"{record} of {path}: {graph}. Give planar_64_200.pt or sbm_200.pt as published.")
            graphs.append(graph)
    if not graphs:
        raise DataError(f"{path} holds no graphs.")
    train, validation, test = spectre_split(len(graphs))
    parts = {"train": train, "validation": validation, "test": test, "all": np.arange(len(graphs))}
    return Dataset(graphs, name=Path(path).stem).take(_choice("part", part, parts))


def ego_small(path: str | os.PathLike[str], part: str = "train") -> Dataset:
    """The first 200 graphs of `recipes.ego_graphs` of ind.citeseer.graph; part as in `gdss_split`, or "all"."""
    from modalities.graphs.files.planetoid import citations
    from modalities.graphs.recipes import ego_graphs

    graphs = ego_graphs(citations(path))[:200]
    if not graphs:
        raise DataError(f"{path} has no node with 3 to 17 neighbours: it is not Citeseer. {EGO_SMALL.how}.")
    return Dataset(graphs, name=EGO_SMALL.name).take(_gdss_part(part, len(graphs)))


def enzymes(path: str | os.PathLike[str], part: str = "train") -> Dataset:
    """The folder of ENZYMES as in GDSS: isolated nodes left out, then graphs of fewer than 10 nodes.

    Node labels and the class are kept as `formats.read` gives them. part as in `gdss_split`, or "all".
    """
    from modalities.graphs.formats import read

    data = read(path)
    graphs = [_without_isolated(graph) for graph in data.objects]
    large = np.array([i for i, graph in enumerate(graphs) if graph.num_nodes >= 10], dtype=np.int64)
    return replace(data, objects=graphs).take(large[_gdss_part(part, len(large))])


def qm9(properties: Sequence[str] = (), count: int = 0, seed: int = 0) -> Dataset:
    """The molecules of QM9 that RDKit can read, in the order of the data base.

    properties: of `PROPERTIES`, each a condition [n]: dipole moment mu in debye, polarisability alpha in bohr^3, homo,
    lumo and gap in hartree, heat capacity cv in cal/(mol K). Conditions are dropped together in training, so a model
    asked for some of several knows little of them: give those that you will ask for. count: that many, drawn with seed
    without replacement; 0: all.
    """
    columns = {name: _choice("properties", name, PROPERTIES) for name in properties}
    rows = _some(list(_qm9_rows(["SMILES", *columns.values()])), count, seed)
    return _molecules([row[0] for row in rows], {n: [row[i] for row in rows] for i, n in enumerate(columns, 1)}, QM9)


def moses(path: str | os.PathLike[str], part: str = "train", count: int = 50_000, seed: int = 0) -> Dataset:
    """Molecules of MOSES: count of part (train, test, test_scaffolds), drawn with seed without replacement; 0: all.

    path: the .whl of molsets, its unpacked folder, or a folder with the .csv.gz of the part.
    """
    _choice("part", part, dict.fromkeys(("train", "test", "test_scaffolds")))
    return _molecules(_some(_moses_smiles(path, part), count, seed), {}, MOSES)


def _gdss_part(part: str, count: int) -> Array:
    train, test = gdss_split(count)
    chosen: Array = _choice("part", part, {"train": train, "test": test, "all": np.arange(count)})
    return chosen


def _without_isolated(graph: Data) -> Data:
    import torch

    joined = torch.zeros(graph.num_nodes or 0, dtype=torch.bool)
    joined[graph.edge_index.flatten()] = True
    return graph if joined.all() else graph.subgraph(joined)


def _qm9_rows(columns: Sequence[str]) -> Iterator[list[str]]:
    folder = _package("qm9pack", QM9) / "data"
    for number in (1, 2, 3):
        with reading(folder / f"qm9_part{number}.csv") as existing, existing.open(newline="") as file:
            rows = csv.reader(file)
            header = next(rows)
            places = [header.index(column) for column in columns]
            yield from ([row[place] for place in places] for row in rows)


def _moses_smiles(path: str | os.PathLike[str], part: str) -> list[str]:
    name = f"{part}.csv.gz"
    try:
        with reading(path) as existing, ExitStack() as stack, _opened(existing, name, stack) as file:
            lines = io.TextIOWrapper(gzip.GzipFile(fileobj=file), encoding="ascii").read().split()
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError, zlib.error) as error:
        raise DataError(f"{path} is damaged, or no copy of molsets ({error}). Get it by: {MOSES.how}") from error
    if not lines or lines[0] != "SMILES":
        raise DataError(f"{name} in {path} does not begin with the line SMILES. Get it by: {MOSES.how}")
    return lines[1:]


def _opened(path: Path, name: str, stack: ExitStack) -> IO[bytes]:
    if path.is_file():
        return stack.enter_context(zipfile.ZipFile(path)).open(f"{_MOSES_FOLDER}/{name}")
    for folder in (path, path / _MOSES_FOLDER, path / "dataset/data"):
        if (folder / name).is_file():
            return (folder / name).open("rb")
    raise DataError(f"there is no {name} in {path} or its {_MOSES_FOLDER}. Get it by: {MOSES.how}")


def _molecules(smiles: Sequence[str], conditions: Mapping[str, Sequence[str]], info: DatasetInfo) -> Dataset:
    from modalities.graphs.molecules import from_smiles

    graphs, kept, rejected = [], [], []
    for i, text in enumerate(smiles):
        try:
            graphs.append(from_smiles(text))
            kept.append(i)
        except DataError as error:
            rejected.append(BadRecord(info.name, text, str(error)))
    if not graphs:
        raise DataError(nothing_usable(info.name, "molecule", rejected))
    if not any(bool(graph.charge.any()) for graph in graphs):
        for graph in graphs:
            del graph.charge
    condition = {name: np.array([float(values[i]) for i in kept]) for name, values in conditions.items()}
    return Dataset(graphs, condition, name=info.name, rejected=tuple(rejected))


def _some(items: list[Any], count: int, seed: int) -> list[Any]:
    """count of the items at random, in their order; all of them for 0."""
    if not 0 <= count <= len(items) or seed < 0:
        raise ConfigError(f"count is {count} and seed {seed}: count must be 0 (all) to {len(items)}, seed at least 0.")
    if count == 0:
        return items
    return [items[i] for i in np.sort(np.random.default_rng(seed).choice(len(items), count, replace=False))]


def _package(module: str, info: DatasetInfo) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(info)
    return Path(next(iter(spec.submodule_search_locations)))


def _missing(info: DatasetInfo) -> PfgmError:
    return PfgmError(f"the data set {info.name!r} is not on this machine. Get it by: {info.how}")


def _choice(name: str, value: str, allowed: Mapping[str, Any]) -> Any:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    return allowed[value]


Make = Callable[[str, Sequence[str]], Dataset]


def _recipe(info: DatasetInfo, count: int) -> tuple[DatasetInfo, Make]:
    def make(name: str, settings: Sequence[str]) -> Dataset:
        from modalities.graphs.recipes import RECIPES, Grid

        recipe = RECIPES[info.name]
        own = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
        given = settings_in(name, settings, own | {"count": count, "seed": 0})
        often, seed = given.pop("count", count), given.pop("seed", 0)
        law = replace(recipe, **given)
        drawn = any(setting.startswith(("count=", "seed=")) for setting in settings)
        return Dataset(law.every() if isinstance(law, Grid) and not drawn else law.draw(often, seed))

    return info, make


def _file(info: DatasetInfo, variable: str, read: Callable[..., Dataset], **defaults: Any) -> tuple[DatasetInfo, Make]:
    def make(name: str, settings: Sequence[str]) -> Dataset:
        given = settings_in(name, settings, {"part": "train"} | defaults)
        path = os.environ.get(variable)
        if not path:
            raise _missing(info)
        return read(path, **given)

    return info, make


def _qm9(name: str, settings: Sequence[str]) -> Dataset:
    given = settings_in(name, settings, {"properties": "", "count": 0, "seed": 0})
    return qm9(**given | {"properties": [each for each in given.get("properties", "").split("+") if each]})


_SETS: dict[str, tuple[DatasetInfo, Make]] = {
    entry[0].name: entry
    for entry in (
        _recipe(PLANAR, 200),
        _recipe(TREE, 200),
        _recipe(SBM, 200),
        _recipe(LOBSTER, 100),
        _recipe(GRID, 100),
        _recipe(COMMUNITY_SMALL, 100),
        _recipe(PLANAR_20, 2000),
        _recipe(TREE_20, 2000),
        _file(PLANAR_SPECTRE, PLANAR_VARIABLE, spectre),
        _file(SBM_SPECTRE, SBM_VARIABLE, spectre),
        _file(EGO_SMALL, CITESEER_VARIABLE, ego_small),
        _file(ENZYMES, ENZYMES_VARIABLE, enzymes),
        (QM9, _qm9),
        _file(MOSES, MOSES_VARIABLE, moses, count=50_000, seed=0),
    )
}
