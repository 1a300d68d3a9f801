"""What papers report of generated molecules, on cases whose answer is known."""

from __future__ import annotations

import math
import sys
from dataclasses import FrozenInstanceError

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from modalities.graphs import molecule_metrics as metrics
from modalities.graphs.molecules import from_smiles
from pfgm_science.errors import DataError, PfgmError
from pfgm_science.metrics import frechet_distance

Chem = pytest.importorskip("rdkit.Chem")

REAL = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "C1CC2CCC1C2", "CCN", "OCC1CC1", "N#CC=O"]


def mols(smiles: list[str]) -> list[object]:
    return [Chem.MolFromSmiles(text) for text in smiles]


def overfilled() -> Data:
    """C(F)5: not valid, corrected to CF4."""
    ends = torch.tensor([[0, 0, 0, 0, 0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0, 0, 0, 0, 0]])
    kinds = torch.ones(10, dtype=torch.long)
    return Data(z=torch.tensor([6, 9, 9, 9, 9, 9]), edge_index=ends, edge_attr=kinds, num_nodes=6)


def onium() -> Data:
    """N with four carbons and no charge: valid only once it is charged."""
    ends = torch.tensor([[0, 0, 0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 0, 0, 0, 0]])
    kinds = torch.ones(8, dtype=torch.long)
    return Data(z=torch.tensor([7, 6, 6, 6, 6]), edge_index=ends, edge_attr=kinds, num_nodes=5)


def typed(graph: nx.Graph) -> Data:
    kinds = {edge: data.get("kind", 1) for *edge, data in graph.edges(data=True) for edge in [tuple(edge)]}
    rows = sorted([(u, v, k) for (u, v), k in kinds.items()] + [(v, u, k) for (u, v), k in kinds.items()])
    table = torch.tensor(rows, dtype=torch.long).reshape(-1, 3)
    types = torch.tensor([graph.nodes[node].get("kind", 6) for node in range(len(graph))])
    return Data(z=types, edge_index=table[:, :2].T, edge_attr=table[:, 2], num_nodes=len(graph))


def test_uniqueness_and_novelty() -> None:
    assert metrics.uniqueness(["CO", "CO", "CC", "C"]) == 0.75
    assert metrics.novelty(["CO", "CO", "CC", "C"], ["CO", "N"]) == pytest.approx(2 / 3)
    assert metrics.novelty(["CO"], ["CO"]) == 0
    assert math.isnan(metrics.uniqueness([])) and math.isnan(metrics.novelty([], ["C"]))


def test_canonical_smiles_know_no_stereochemistry() -> None:
    assert metrics.canonical(["OC[C@H](F)C", "CC(F)CO"]) == ["CC(F)CO", "CC(F)CO"]
    with pytest.raises(DataError, match="'C1CC'"):
        metrics.canonical(["C", "C1CC"])


def test_properties_of_known_molecules() -> None:
    values = metrics.properties(mols(["CCO", "C1CC2CCC1C2"]))
    assert values["weight"] == pytest.approx([46.069, 96.173], abs=1e-3)
    assert values["rings"].tolist() == [0, 2]
    assert values["TPSA"] == pytest.approx([20.23, 0], abs=1e-2)
    assert values["logP"][0] == pytest.approx(-0.0014, abs=1e-4)
    assert ((0 < values["QED"]) & (values["QED"] < 1)).all()


def test_scaffolds_of_two_rings_are_counted() -> None:
    found = metrics.scaffold_counts(mols(["CC1CC2CCC1C2", "C1CC2CCC1C2", "Cc1ccccc1", "CCO", REAL[2]]))
    assert found == {"C1CC2CCC1C2": 2, "O=c1[nH]c(=O)c2[nH]cnc2[nH]1": 1}


def test_fragments_are_counted() -> None:
    assert metrics.fragment_counts(mols(["CCO", "CCO"])) == {"CCO": 2}
    broken = metrics.fragment_counts(mols(["CCCOc1ccccc1"]))
    assert sum(broken.values()) == 3


def test_cosine_similarity() -> None:
    assert metrics.cosine_similarity({"a": 3, "b": 4}, {"a": 6, "b": 8}) == pytest.approx(1)
    assert metrics.cosine_similarity({"a": 3, "b": 4}, {"a": 1, "c": 0}) == pytest.approx(0.6)
    assert metrics.cosine_similarity({"a": 1}, {"b": 1}) == 0
    assert math.isnan(metrics.cosine_similarity({}, {"a": 1}))


def test_tanimoto_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]], np.float32)
    b = np.array([[1, 0, 0, 0], [0, 1, 1, 1]], np.float32)
    for cells in (1, 1 << 22):
        monkeypatch.setattr(metrics, "_CELLS", cells)
        assert metrics.nearest_similarity(a, b) == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
        assert metrics.internal_diversity(a) == pytest.approx(1 - (3 + 2 * (0 + 2 / 3 + 1 / 4)) / 9)
    assert math.isnan(metrics.nearest_similarity(a[:0], b)) and math.isnan(metrics.internal_diversity(a[:0]))


def test_fingerprints_are_those_of_rdkit() -> None:
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    maker = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    theirs = [maker.GetFingerprint(mol) for mol in mols(REAL)]
    mean = np.mean([DataStructs.BulkTanimotoSimilarity(one, theirs) for one in theirs])
    assert metrics.internal_diversity(metrics.fingerprints(mols(REAL))) == pytest.approx(1 - mean)


def test_nspdk_by_hand() -> None:
    """Two joined nodes of one type, radius and distance 1.

    (r, d) = (0, 0), (0, 1), (1, 0), (1, 1) each hold one pair and one lone neighbourhood, seen twice: eight features,
    each 1/sqrt(2) within its block and 1/sqrt(8) in the row.
    """
    matrix, codes = metrics.nspdk_features([typed(nx.path_graph(2))], radius=1, distance=1)
    assert matrix.shape == (1, 8) == (1, len(codes))
    assert matrix.toarray()[0] == pytest.approx(np.full(8, 8**-0.5))
    single, _ = metrics.nspdk_features([typed(nx.empty_graph(1))], radius=1, distance=1)
    assert single.toarray()[0] == pytest.approx(np.full(2, 2**-0.5))


def test_nspdk_of_two_edges_that_differ_in_one_node() -> None:
    """Radius 0, distance 1: pairs and neighbourhoods at distance 0 share the carbon alone, at distance 1 its lone half.

    CC has per block two features of 1/sqrt(2). CO has at distance 0 four of 1/2, at distance 1 a pair counted twice
    and two lone ones: 2, 1, 1 over sqrt(6). Both rows have the norm sqrt(2).
    """
    carbon, mixed = typed(nx.path_graph(2)), typed(nx.path_graph(2))
    mixed.z = torch.tensor([6, 8])
    matrix, _ = metrics.nspdk_features([carbon, mixed], radius=0, distance=1)
    expected = (2 * 0.5**0.5 * 0.5 + 0.5**0.5 / 6**0.5) / 2
    assert (matrix @ matrix.T).toarray()[0, 1] == pytest.approx(expected)


def test_nspdk_does_not_depend_on_the_order_of_nodes() -> None:
    for smiles in REAL:
        data = metrics._typed(Chem.MolFromSmiles(smiles))
        order = torch.from_numpy(np.random.default_rng(1).permutation(len(data.z)))
        turned = Data(z=torch.empty_like(data.z), edge_attr=data.edge_attr, num_nodes=len(data.z))
        turned.z[order], turned.edge_index = data.z, order[data.edge_index]
        matrix, _ = metrics.nspdk_features([data, turned])
        assert (matrix @ matrix.T).toarray() == pytest.approx(np.ones((2, 2)))


@pytest.mark.parametrize("what", ["node", "edge", "shape"])
def test_nspdk_sees_types_and_shape(what: str) -> None:
    graph, other = nx.path_graph(6), nx.path_graph(6)
    if what == "node":
        other.nodes[2]["kind"] = 7
    elif what == "edge":
        other.edges[2, 3]["kind"] = 2
    else:
        other.add_edge(0, 5)
    matrix, _ = metrics.nspdk_features([typed(graph), typed(other)])
    assert 0 < (matrix @ matrix.T).toarray()[0, 1] < 0.95


def test_nspdk_sees_no_further_than_it_says() -> None:
    """Two cycles of 20 or 24 nodes look alike from every node up to radius 4."""
    matrix, _ = metrics.nspdk_features([typed(nx.cycle_graph(20)), typed(nx.cycle_graph(24))])
    assert (matrix @ matrix.T).toarray() == pytest.approx(np.ones((2, 2)))
    matrix, _ = metrics.nspdk_features([typed(nx.cycle_graph(8)), typed(nx.cycle_graph(24))])
    assert (matrix @ matrix.T).toarray()[0, 1] < 0.95


def test_nspdk_mmd_is_that_of_the_kernel_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = [metrics._typed(mol) for mol in mols(REAL)]
    a, b = graphs[:3], graphs[3:]
    matrix, codes = metrics.nspdk_features(graphs)
    assert (np.diff(codes.astype(object)) > 0).all()
    kernel = (matrix @ matrix.T).toarray()
    expected = kernel[:3, :3].mean() + kernel[3:, 3:].mean() - 2 * kernel[:3, 3:].mean()
    for at_once in (2, 1000):
        monkeypatch.setattr(metrics, "_GRAPHS_AT_ONCE", at_once)
        assert metrics.nspdk_mmd(a, b) == pytest.approx(expected)
        assert metrics.nspdk_mmd(a, a[::-1]) == pytest.approx(0, abs=1e-15)
    empty = typed(nx.empty_graph(0))
    assert metrics.nspdk_mmd([*a, empty], b) == pytest.approx(expected)
    assert math.isnan(metrics.nspdk_mmd([], b))


def test_nspdk_is_that_of_eden() -> None:
    """Kernel values of EDeN (eden-kernel 0.3.1350, complexity 4, 24 bits) for small molecules."""
    graphs = [metrics._typed(mol) for mol in mols(["CCC", "CCCO", "C1CC1"])]
    matrix, _ = metrics.nspdk_features(graphs)
    kernel = (matrix @ matrix.T).toarray()
    assert kernel[np.triu_indices(3, 1)] == pytest.approx([0.22002030, 0.13008798, 0.21261878], abs=1e-8)
    matrix, _ = metrics.nspdk_features([metrics._typed(mol) for mol in mols(["CC=CCO", "CCC=CO"])])
    assert (matrix @ matrix.T).toarray()[0, 1] == pytest.approx(0.37272727, abs=1e-8)


def test_chemnet_distance() -> None:
    pytest.importorskip("fcd")
    activations = metrics.chemnet_activations(REAL)
    assert activations.shape == (7, 512)
    assert frechet_distance(activations, activations) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_chemnet_distance(REAL[:4], [REAL[0][::-1], *REAL[1:4]]) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_chemnet_distance(REAL[:4], REAL[3:]) > 1
    assert metrics.chemnet_activations([]).shape == (0, 512)


def test_chemnet_activations_are_those_of_the_package() -> None:
    fcd = pytest.importorskip("fcd")
    theirs = fcd.get_predictions(fcd.load_ref_model(), REAL, n_jobs=0, device="cpu")
    assert metrics.chemnet_activations(REAL) == pytest.approx(theirs, abs=1e-6)


def test_without_fcd_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcd", None)
    with pytest.raises(PfgmError, match="pip install fcd"):
        metrics.chemnet_activations(REAL)


def test_identical_sets_get_the_best_of_everything() -> None:
    report = metrics.evaluate([from_smiles(smiles) for smiles in REAL], REAL, REAL, fcd=False)
    assert (report.count, report.judged) == (7, 7)
    assert (report.valid, report.valid_without_correction, report.valid_with_correction) == (1, 1, 1)
    assert (report.connected, report.unique, report.novel) == (1, 1, 0)
    assert report.nspdk == pytest.approx(0, abs=1e-15)
    assert (report.scaffolds, report.fragments, report.nearest) == pytest.approx((1, 1, 1))
    assert 0 < report.diversity < 1
    assert report.properties == {name: 0 for name in ("logP", "TPSA", "QED", "weight", "rings")}
    assert math.isnan(report.fcd) and report.fcd_counts == (0, 0)
    assert report.notes == ()


def test_a_report_counted_by_hand() -> None:
    """Valid: two ethanols, ammonia, and one in two parts. An onium needs a charge, an overfilled carbon correction."""
    parts = Data(z=torch.tensor([6, 6, 8]), edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=3)
    parts.edge_attr = torch.tensor([1, 1])
    generated = [from_smiles("CCO"), from_smiles("OCC"), from_smiles("N"), parts, onium(), overfilled()]
    report = metrics.evaluate(generated, ["CCO", "FC(F)(F)F"], REAL, fcd=False)
    assert report.count == report.judged == 6
    assert (report.valid, report.valid_without_correction, report.valid_with_correction) == (4 / 6, 5 / 6, 1)
    assert report.connected == 3 / 4
    assert report.unique == 5 / 6
    assert report.novel == pytest.approx(3 / 5)
    strict = metrics.evaluate(generated, ["CCO", "FC(F)(F)F"], REAL, correct=False, fcd=False)
    assert strict.judged == 4
    assert strict.unique == 3 / 4
    assert strict.novel == pytest.approx(2 / 3)
    assert "2 invalid molecules are left out" in strict.notes[0]


def test_the_part_with_most_atoms_is_judged_or_that_with_the_longest_smiles() -> None:
    ends, kinds = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]]), torch.ones(6, dtype=torch.long)
    parts = Data(z=torch.tensor([6, 6, 6, 17, 17]), edge_index=ends, edge_attr=kinds, num_nodes=5)
    assert metrics.evaluate([parts], ["CCC"], REAL, correct=False, fcd=False).novel == 0
    assert metrics.evaluate([parts], ["ClCl"], REAL, fcd=False).novel == 0


def test_property_distances_are_in_their_units() -> None:
    report = metrics.evaluate([from_smiles("CCCO")], [], ["CCO"], fcd=False)
    assert report.properties["weight"] == pytest.approx(14.027, abs=1e-3)
    assert report.rows()["W1 weight"] == report.properties["weight"]
    assert report.rows()["valid"] == 1
    with pytest.raises(FrozenInstanceError):
        report.valid = 0.0  # type: ignore[misc]


def test_fcd_in_a_report_says_when_there_are_too_few() -> None:
    pytest.importorskip("fcd")
    report = metrics.evaluate([from_smiles(smiles) for smiles in REAL], [], REAL)
    assert report.fcd == pytest.approx(0, abs=1e-6)
    assert report.fcd_counts == (7, 7)
    assert "FCD of 7 molecules against 7" in report.notes[0]


def test_fcd_is_measured_on_at_most_the_usual_count(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def count(smiles: list[str]) -> np.ndarray:
        seen.append(len(smiles))
        return np.eye(8)[: len(smiles)]

    monkeypatch.setattr(metrics, "chemnet_activations", count)
    monkeypatch.setattr(metrics, "FCD_COUNT", 4)
    report = metrics.evaluate([from_smiles(smiles) for smiles in REAL], ["C"], REAL)
    assert sorted(seen) == [4, 7]
    assert report.fcd_counts == (4, 7)
    assert report.notes == ()


def test_nothing_valid_gives_a_report_all_the_same() -> None:
    report = metrics.evaluate([overfilled()], [], REAL, correct=False, fcd=False)
    assert (report.valid, report.judged) == (0, 0)
    assert all(math.isnan(value) for value in (report.unique, report.novel, report.nspdk, report.nearest))
    assert all(math.isnan(value) for value in report.properties.values())


def test_sets_that_cannot_be_judged() -> None:
    with pytest.raises(DataError, match="no generated"):
        metrics.evaluate([], REAL, REAL)
    with pytest.raises(DataError, match="test set"):
        metrics.evaluate([from_smiles("C")], REAL, [])


def test_the_floor_judges_as_many_as_asked_for() -> None:
    held_out = [from_smiles(smiles) for smiles in REAL]
    report = metrics.floor(held_out, ["C"], REAL, count=3, fcd=False)
    assert (report.count, report.valid, report.novel) == (3, 1, 1)
    assert report.notes == ()
    again = metrics.floor(held_out, ["C"], REAL, count=3, fcd=False)
    assert again.rows() == pytest.approx(report.rows(), nan_ok=True)
    others = {metrics.floor(held_out, ["C"], REAL, count=3, fcd=False, seed=seed).nspdk for seed in range(4)}
    assert len(others) > 1
    everything = metrics.floor(held_out, ["C"], REAL, count=10, fcd=False)
    assert everything.count == 7
    assert "floor of 7 molecules, 10 were asked for" in everything.notes[0]
