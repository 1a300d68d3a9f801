"""How good are generated molecules? What papers report of them, on SMILES and on the graphs of `molecules`.

`evaluate` gives all of it at once, and `floor` the same for real molecules that a model did not make: no model can be
expected to do better, and with few molecules the floor is far from zero. RDKit is needed throughout, the package `fcd`
for the Frechet ChemNet distance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from scipy.stats import wasserstein_distance
from torch_geometric.data import Data

from modalities.graphs.molecules import corrected, quiet, rdkit, to_smiles, valid_without_correction
from pfgm_science.errors import DataError, PfgmError
from pfgm_science.metrics import frechet_distance

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint64]
Mol = Any

FCD_COUNT = 10_000  # generated molecules: the distance is biased upwards, the more the fewer there are
_NSPDK_RADIUS = _NSPDK_DISTANCE = 4
_GRAPHS_AT_ONCE = 1_000
_CELLS = 1 << 22


@dataclass(frozen=True)
class MoleculeReport:
    """What `evaluate` measures. Fractions are in [0, 1]; nan where nothing could be measured.

    count: molecules given.
    valid: fraction that RDKit sanitises as they stand. valid_without_correction: with N, O, S charged +1 where one bond
    is too many, as GDSS counts. valid_with_correction: fraction of which correction makes a molecule.
    connected: fraction of the valid ones that are in one part.
    judged: molecules that everything below is measured on.
    unique: distinct among the judged; novel: not in the training set among the distinct.
    fcd: Frechet ChemNet distance to the test set, of fcd_counts (generated, test) molecules.
    nspdk: squared MMD to the test set with the neighbourhood subgraph pairwise distance kernel.
    scaffolds, fragments: cosine similarities to the test set (1 is best). nearest: mean Tanimoto similarity to the
    nearest test molecule. diversity: 1 - mean Tanimoto similarity within the judged.
    properties: name -> 1-Wasserstein distance to the test set, in the property's own unit.
    notes: what a reader must know, such as too few molecules for a comparable FCD.
    """

    count: int
    valid: float
    valid_without_correction: float
    valid_with_correction: float
    connected: float
    judged: int
    unique: float
    novel: float
    fcd: float
    fcd_counts: tuple[int, int]
    nspdk: float
    scaffolds: float
    fragments: float
    nearest: float
    diversity: float
    properties: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def rows(self) -> dict[str, float]:
        """Name -> value of every number in the report, properties as "W1 logP"."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        rows = {name: float(value) for name, value in plain.items() if isinstance(value, int | float)}
        return rows | {f"W1 {name}": value for name, value in self.properties.items()}


def evaluate(
    generated: Sequence[Data],
    train_smiles: Sequence[str],
    test_smiles: Sequence[str],
    *,
    correct: bool = True,
    fcd: bool = True,
    seed: int = 0,
) -> MoleculeReport:
    """Everything that papers report of generated molecules, against the SMILES of a training and a test set.

    correct: judge the corrected molecules, as MoFlow, GraphDF and GDSS do (arXiv 2202.02514), so that an invalid one
    still counts. Otherwise judge the valid ones alone, of each its part with most atoms, as DiGress does
    (arXiv 2209.14734). Compare only figures of one kind.
    fcd: whether to measure the Frechet ChemNet distance, which takes most of the time (about 5 ms a molecule).
    It is measured on 10,000 generated molecules, drawn by seed where there are more, against the whole test set.

    What is computed of the same training and test set is kept for the next call. Raises DataError for no generated
    molecule or an empty test set, and for reference SMILES that RDKit cannot read.
    """
    if not generated:
        raise DataError("there is no generated molecule to judge.")
    reference = _reference(tuple(train_smiles), tuple(test_smiles))
    as_they_stand = [to_smiles(data) for data in generated]
    sound = [smiles for smiles in as_they_stand if smiles is not None]
    mended = [smiles for data in generated if (part := corrected(data)) is not None and (smiles := to_smiles(part))]
    judged = mended if correct else [_most_atoms(smiles) for smiles in sound]
    total = len(generated)
    mols = _mols(judged)
    notes = []
    distance, counts = math.nan, (0, 0)
    if fcd:
        sample = _draw(judged, seed)
        counts = (len(sample), len(reference.test))
        if min(counts) < FCD_COUNT:
            notes.append(f"FCD of {counts[0]} molecules against {counts[1]}: published ones have at least {FCD_COUNT}")
        if min(counts) > 1:
            distance = frechet_distance(chemnet_activations(sample), reference.activations)
    if not correct and len(sound) < total:
        notes.append(f"{total - len(sound)} invalid molecules are left out of everything below validity")
    return MoleculeReport(
        count=total,
        valid=len(sound) / total,
        valid_without_correction=sum(map(valid_without_correction, generated)) / total,
        valid_with_correction=len(mended) / total,
        connected=sum("." not in smiles for smiles in sound) / len(sound) if sound else math.nan,
        judged=len(judged),
        unique=uniqueness(judged),
        novel=novelty(judged, reference.train),
        fcd=distance,
        fcd_counts=counts,
        nspdk=_squared_distance(_mean_features(map(_typed, mols)), reference.features),
        scaffolds=cosine_similarity(scaffold_counts(mols), reference.scaffolds),
        fragments=cosine_similarity(fragment_counts(mols), reference.fragments),
        nearest=nearest_similarity(fingerprints(mols), reference.fingerprints),
        diversity=internal_diversity(fingerprints(mols)),
        properties={
            name: float(wasserstein_distance(values, reference.properties[name])) if len(values) else math.nan
            for name, values in properties(mols).items()
        },
        notes=tuple(notes),
    )


def floor(
    held_out: Sequence[Data],
    train_smiles: Sequence[str],
    test_smiles: Sequence[str],
    *,
    count: int = FCD_COUNT,
    correct: bool = True,
    fcd: bool = True,
    seed: int = 0,
) -> MoleculeReport:
    """The report that real molecules get: `count` of held_out, drawn without replacement, judged as if generated.

    held_out must share no molecule with test_smiles, or the floor comes out too low. Take count as large as the set
    of generated molecules beside which it is read; where fewer are held out, all are judged and a note says so.
    """
    order = np.random.default_rng(seed).permutation(len(held_out))[:count]
    report = evaluate([held_out[i] for i in order], train_smiles, test_smiles, correct=correct, fcd=fcd, seed=seed)
    if len(order) == count:
        return report
    notes = (f"a floor of {len(order)} molecules, {count} were asked for", *report.notes)
    return MoleculeReport(**{**{field.name: getattr(report, field.name) for field in fields(report)}, "notes": notes})


def canonical(smiles: Sequence[str]) -> list[str]:
    """RDKit's canonical SMILES without stereochemistry; raises DataError that names what RDKit cannot read."""
    return [rdkit().MolToSmiles(mol, isomericSmiles=False) for mol in _mols(smiles)]


def uniqueness(smiles: Sequence[str]) -> float:
    """Distinct molecules over all, of canonical SMILES; nan for none."""
    return len(set(smiles)) / len(smiles) if smiles else math.nan


def novelty(smiles: Sequence[str], train: Iterable[str]) -> float:
    """Distinct molecules that are not in train over distinct molecules, all canonical SMILES; nan for none."""
    distinct = set(smiles)
    return len(distinct - set(train)) / len(distinct) if distinct else math.nan


def chemnet_activations(smiles: Sequence[str]) -> Array:
    """Last hidden layer of ChemNet: [n, 512] (Preuer et al. 2018, arXiv 1803.09518); raises PfgmError without `fcd`.

    The Frechet distance of two such arrays (`pfgm_science.metrics.frechet_distance`) is the FCD. Give canonical SMILES:
    the network sees the string.
    """
    try:
        from fcd import load_ref_model
        from fcd.utils import SmilesDataset
    except ImportError as error:
        raise PfgmError("the Frechet ChemNet distance needs the package fcd: pip install fcd==1.2.2.") from error
    if not smiles:
        return np.zeros((0, 512))
    network = load_ref_model()
    batches = torch.utils.data.DataLoader(SmilesDataset(list(smiles)), batch_size=128)
    with torch.no_grad():
        return np.concatenate([network(batch.transpose(1, 2).float()).double().numpy() for batch in batches])


def frechet_chemnet_distance(generated: Sequence[str], reference: Sequence[str]) -> float:
    """FCD of two sets of SMILES, all of them; canonical ones are made first.

    It is biased upwards, the more the fewer molecules there are on either side. Two random parts of QM9 are .70 apart
    at 1,000 molecules each, .15 at 5,000, .07 at 10,000, and .045 with 10,000 against 35,000: publish it of 10,000, and
    say how many the reference has.
    """
    return frechet_distance(chemnet_activations(canonical(generated)), chemnet_activations(canonical(reference)))


def nspdk_features(
    graphs: Iterable[Data], *, radius: int = _NSPDK_RADIUS, distance: int = _NSPDK_DISTANCE
) -> tuple[csr_matrix, Codes]:
    """Features of the neighbourhood subgraph pairwise distance kernel (Costa and De Grave 2010) of typed graphs.

    Returns a sparse [graphs, features] with rows of unit length, and the code of each feature, ascending: the same
    feature has the same code everywhere. The kernel of two graphs is the product of their rows. Node types are the
    integers in `z`, edge types those in `edge_attr`; graphs without them have one type.

    A feature is a pair of nodes at distance d <= distance with the neighbourhoods of radius r <= radius around both, or
    that of the second node alone. A neighbourhood is known by the types and degrees of its nodes and the types of its
    edges, each by their distance from its centre, as in the program EDeN, which GDSS takes with radius and distance 4:
    the original compares whole subgraphs. Each (r, d) is scaled to unit length, and then the whole row. EDeN puts
    features into 65,536 bins, so that some collide, and others in another process; here codes have 64 bits. The kernels
    agree where no features collide; for two random thousands of QM9 the MMD is .001705 here and .001699 in EDeN.
    """
    rows: list[tuple[Codes, Array]] = []
    for graph in graphs:
        rows.append(_nspdk_row(graph, radius, distance))
    codes, columns = np.unique(
        np.concatenate([row[0] for row in rows] or [np.zeros(0, np.uint64)]), return_inverse=True
    )
    values = np.concatenate([row[1] for row in rows] or [np.zeros(0)])
    ends = np.concatenate([[0], np.cumsum([len(row[0]) for row in rows])]).astype(np.int64)
    return csr_matrix((values, columns, ends), shape=(len(rows), len(codes))), codes


def nspdk_mmd(a: Iterable[Data], b: Iterable[Data]) -> float:
    """Squared maximum mean discrepancy, biased V-statistic, of typed graphs with the kernel of `nspdk_features`.

    The kernel is linear in the features, so this is the squared distance of their means. GDSS reports it of molecules
    whose aromatic bonds have the type 1, as single ones; `evaluate` does the same. Graphs without nodes do not count.
    """
    return _squared_distance(_mean_features(a), _mean_features(b))


def properties(mols: Sequence[Mol]) -> dict[str, Array]:
    """Name -> [n] of sanitised RDKit molecules, in the units below.

    logP (Crippen), TPSA in square angstroms, QED in [0, 1], molecular weight in dalton, number of rings.
    """
    descriptors, qed = rdkit("Chem.Descriptors"), rdkit("Chem.QED")
    measures: dict[str, Callable[[Mol], float]] = {
        "logP": descriptors.MolLogP,
        "TPSA": descriptors.TPSA,
        "QED": qed.qed,
        "weight": descriptors.MolWt,
        "rings": descriptors.RingCount,
    }
    return {name: np.array([float(measure(mol)) for mol in mols]) for name, measure in measures.items()}


def scaffold_counts(mols: Sequence[Mol]) -> Counter[str]:
    """Canonical SMILES of Bemis-Murcko scaffolds of two rings or more, counted, as in MOSES (arXiv 1811.12823)."""
    murcko, descriptors = rdkit("Chem.Scaffolds.MurckoScaffold"), rdkit("Chem.rdMolDescriptors")
    cores = (murcko.GetScaffoldForMol(mol) for mol in mols)
    return Counter(rdkit().MolToSmiles(core) for core in cores if descriptors.CalcNumRings(core) > 1)


def fragment_counts(mols: Sequence[Mol]) -> Counter[str]:
    """BRICS fragments (Degen et al. 2008) of all molecules, counted, as in MOSES (arXiv 1811.12823)."""
    brics = rdkit("Chem.BRICS")
    pieces = (rdkit().MolToSmiles(brics.BreakBRICSBonds(mol)).split(".") for mol in mols)
    return Counter(piece for broken in pieces for piece in broken)


def cosine_similarity(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Cosine of the angle between two sets of counts, in [0, 1]; nan when either is empty."""
    if not a or not b:
        return math.nan
    product = sum(count * b[name] for name, count in a.items() if name in b)
    norms = (math.sqrt(sum(count**2 for count in counts.values())) for counts in (a, b))
    return float(product / math.prod(norms))


def fingerprints(mols: Sequence[Mol]) -> npt.NDArray[np.float32]:
    """Morgan fingerprints of radius 2 and 1024 bits: [n, 1024] of 0 and 1."""
    maker = rdkit("Chem.rdFingerprintGenerator").GetMorganGenerator(radius=2, fpSize=1024)
    return np.array([maker.GetFingerprintAsNumPy(mol) for mol in mols], np.float32).reshape(-1, 1024)


def nearest_similarity(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Mean over a of the Tanimoto similarity to the nearest of b, of fingerprints [n, bits] and [m, bits].

    In [0, 1]; nan when either is empty. It is called SNN in MOSES (arXiv 1811.12823).
    """
    if not len(a) or not len(b):
        return math.nan
    return float(np.concatenate([block.max(axis=1) for block in _tanimoto(a, b)]).mean())


def internal_diversity(a: npt.NDArray[np.float32]) -> float:
    """1 - mean Tanimoto similarity over all pairs of fingerprints [n, bits], each with itself too; IntDiv1 in MOSES."""
    if not len(a):
        return math.nan
    return float(1 - sum(block.sum(dtype=np.float64) for block in _tanimoto(a, a)) / len(a) ** 2)


class _Reference:
    """What generated molecules are compared with, computed when first asked for."""

    def __init__(self, train: Sequence[str], test: Sequence[str]) -> None:
        if not test:
            raise DataError("the test set holds no molecule to compare with.")
        self.train = frozenset(canonical(train))
        self.test = canonical(test)
        self.mols = _mols(self.test)

    @cached_property
    def activations(self) -> Array:
        return chemnet_activations(self.test)

    @cached_property
    def features(self) -> tuple[Codes, Array]:
        return _mean_features(map(_typed, self.mols))

    @cached_property
    def scaffolds(self) -> Counter[str]:
        return scaffold_counts(self.mols)

    @cached_property
    def fragments(self) -> Counter[str]:
        return fragment_counts(self.mols)

    @cached_property
    def fingerprints(self) -> npt.NDArray[np.float32]:
        return fingerprints(self.mols)

    @cached_property
    def properties(self) -> dict[str, Array]:
        return properties(self.mols)


@lru_cache(maxsize=2)
def _reference(train: tuple[str, ...], test: tuple[str, ...]) -> _Reference:
    return _Reference(train, test)


def _mols(smiles: Sequence[str]) -> list[Mol]:
    chem = rdkit()
    with quiet():
        mols = [chem.MolFromSmiles(text) for text in smiles]
    for text, mol in zip(smiles, mols, strict=True):
        if mol is None:
            raise DataError(f"RDKit cannot read the SMILES {text!r}: leave it out.")
    return mols


def _most_atoms(smiles: str) -> str:
    if "." not in smiles:
        return smiles
    return max(canonical(smiles.split(".")), key=lambda part: rdkit().MolFromSmiles(part).GetNumAtoms())


def _draw(smiles: Sequence[str], seed: int) -> list[str]:
    """At most FCD_COUNT of them, at random, in their order."""
    if len(smiles) <= FCD_COUNT:
        return list(smiles)
    index = np.sort(np.random.default_rng(seed).choice(len(smiles), FCD_COUNT, replace=False))
    return [smiles[i] for i in index]


def _typed(mol: Mol) -> Data:
    """Atoms by element and bonds by the whole part of their order, as GDSS types them: an aromatic bond is 1."""
    orders = rdkit().GetAdjacencyMatrix(mol, useBO=True).astype(np.int64)
    ends = np.stack(np.nonzero(orders))
    numbers = [mol.GetAtomWithIdx(index).GetAtomicNum() for index in range(mol.GetNumAtoms())]
    return Data(
        z=torch.tensor(numbers),
        edge_index=torch.from_numpy(ends),
        edge_attr=torch.from_numpy(orders[tuple(ends)]),
        num_nodes=len(numbers),
    )


def _nspdk_row(graph: Data, radius: int, distance: int) -> tuple[Codes, Array]:
    """Codes of one graph's features, ascending, and their values."""
    count = int(graph.num_nodes or 0)
    ends = graph.edge_index.numpy()
    ends, kinds = ends[:, ends[0] < ends[1]], _types(graph, "edge_attr", ends.shape[1])[ends[0] < ends[1]]
    nodes = _types(graph, "z", count)
    most = max(radius, distance)
    steps = _distances(count, ends, most)
    degrees = np.bincount(ends.ravel(), minlength=count).astype(np.uint64)
    # Levels alternate: nodes at 0, 1, 2, ... steps, and between them the edges first met from there. Summed codes know
    # a multiset, whatever the order of its members.
    members = np.concatenate([2 * steps, 2 * np.minimum(steps[:, ends[0]], steps[:, ends[1]]) + 1], axis=1)
    marks = np.concatenate([_mix(nodes, degrees), _mix(kinds, np.full(len(kinds), 2, np.uint64), 1)])
    neighbourhood = np.zeros((count, radius + 1), np.uint64)
    deep = np.zeros((count, radius + 1), bool)
    running = np.zeros(count, np.uint64)
    for level in range(2 * radius + 1):
        here = members == level
        running = _mix(running, (here * marks).sum(axis=1, dtype=np.uint64), level)
        if level % 2 == 0:
            neighbourhood[:, level // 2], deep[:, level // 2] = running, here.any(axis=1)
    first, second = np.nonzero(steps <= distance)
    apart = steps[first, second]
    pairs, where = deep[first] & deep[second], apart[:, None] * (radius + 1) + np.arange(radius + 1)
    left, right = neighbourhood[first][pairs], neighbourhood[second][pairs]
    kind = where[pairs]
    labels = kind.astype(np.uint64)
    both = _mix(_mix(np.minimum(left, right), np.maximum(left, right)), labels, 2)
    codes, place, counts = np.unique(
        np.concatenate([both, _mix(right, labels, 3)]), return_inverse=True, return_counts=True
    )
    block = np.zeros(len(codes), np.int64)
    block[place] = np.tile(kind, 2)
    norms = np.sqrt(np.bincount(block, counts.astype(float) ** 2))
    values = counts / norms[block]
    return codes, values / np.linalg.norm(values) if len(values) else values


def _types(graph: Data, key: str, count: int) -> Codes:
    given = graph.get(key)
    return np.zeros(count, np.uint64) if given is None else given.numpy().reshape(-1).astype(np.uint64)


def _distances(count: int, ends: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Steps between all pairs of nodes, [count, count]; beyond `most` a larger number."""
    joined = np.eye(count, dtype=np.float32)
    joined[ends[0], ends[1]] = joined[ends[1], ends[0]] = 1
    reached = np.eye(count, dtype=np.float32)
    steps = np.full((count, count), most + 1)
    for step in range(most + 1):
        steps[(reached > 0) & (steps > most)] = step
        reached = np.minimum(reached @ joined, 1)
    return steps


def _mix(a: Codes, b: Codes, salt: int = 0) -> Codes:
    """One well-spread 64-bit code of two, which depends on their order (the finaliser of SplitMix64)."""
    code = a * np.uint64(0x9E3779B97F4A7C15) + b + np.uint64((salt + 1) * 0xD1B54A32D192ED03 % 2**64)
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(code ^ (code >> np.uint64(31)))


def _mean_features(graphs: Iterable[Data]) -> tuple[Codes, Array]:
    """Codes and mean values of the features of many graphs, those without nodes left out."""
    codes: Codes = np.zeros(0, np.uint64)
    totals: Array = np.zeros(0)
    count = 0
    waiting: list[Data] = []

    def absorb() -> None:
        nonlocal codes, totals, count
        matrix, new = nspdk_features(waiting)
        joint, place = np.unique(np.concatenate([codes, new]), return_inverse=True)
        sums = np.concatenate([totals, np.asarray(matrix.sum(axis=0)).ravel()])
        totals = np.bincount(place, sums, len(joint)).astype(float)
        codes, count = joint, count + len(waiting)
        waiting.clear()

    for graph in graphs:
        if graph.num_nodes:
            waiting.append(graph)
        if len(waiting) == _GRAPHS_AT_ONCE:
            absorb()
    absorb()
    return codes, totals / count if count else totals


def _squared_distance(a: tuple[Codes, Array], b: tuple[Codes, Array]) -> float:
    """|mean a - mean b|^2 of sparse vectors; nan when either is of nothing."""
    if not len(a[0]) or not len(b[0]):
        return math.nan
    joint, place = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
    difference = np.bincount(place, np.concatenate([a[1], -b[1]]), len(joint))
    return float(difference @ difference)


def _tanimoto(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> Iterable[npt.NDArray[np.float32]]:
    """Similarities [some rows of a, m], block by block."""
    ones_a, ones_b = a.sum(axis=1), b.sum(axis=1)
    step = max(1, _CELLS // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        shared = a[rows] @ b.T
        union = ones_a[rows, None] + ones_b - shared
        yield np.divide(shared, union, out=np.ones_like(shared), where=union > 0)
