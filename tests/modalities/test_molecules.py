"""Molecules in and out: SMILES, SDF, RDKit, correction and scaffolds, case by case."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from modalities.graphs import molecules
from modalities.graphs.molecules import (
    as_written,
    corrected,
    draw,
    drawing,
    from_mol,
    from_smiles,
    read_sdf,
    read_smiles,
    scaffold,
    settle_charges,
    to_mol,
    to_smiles,
    valid,
    valid_without_correction,
    write_sdf,
    write_smiles,
)
from pfgm_science.errors import ConfigError, DataError, PfgmError

Chem = pytest.importorskip("rdkit.Chem")

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
CAFFEINE = "Cn1c(=O)c2c(ncn2C)n(C)c1=O"
MOLECULES = [
    "C",
    "O=C=O",
    "C#N",
    ASPIRIN,
    CAFFEINE,
    "c1cc[nH]c1",
    "C[N+](=O)[O-]",
    "[NH3+]CC(=O)[O-]",
    "[C-]#[O+]",
    "O=S(=O)(O)c1ccccc1",
    "OP(=O)(O)O",
    "C1CC2CCC1C2",
    "FC(Cl)(Br)I",
]

fuzz = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def canonical(smiles: str) -> str:
    return str(Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False))


def molecule(atoms: list[int], bonds: list[tuple[int, int, int]], charges: list[int] | None = None) -> Data:
    both = sorted([(u, v, k) for u, v, k in bonds] + [(v, u, k) for u, v, k in bonds])
    table = torch.tensor(both, dtype=torch.long).reshape(-1, 3)
    data = Data(
        z=torch.tensor(atoms, dtype=torch.long),
        edge_index=table[:, :2].T.contiguous(),
        edge_attr=table[:, 2],
        num_nodes=len(atoms),
    )
    if charges is not None:
        data.charge = torch.tensor(charges)
    return data


def star(centre: int, around: list[int], orders: list[int] | None = None) -> Data:
    kinds = orders or [1] * len(around)
    return molecule([centre, *around], [(0, i + 1, kind) for i, kind in enumerate(kinds)])


def test_a_molecule_is_the_graph_that_is_promised() -> None:
    data = from_smiles("C[N+](=O)[O-]")
    assert data.z.tolist() == [6, 7, 8, 8]
    assert data.charge.tolist() == [0, 1, 0, -1]
    assert data.edge_index.tolist() == [[0, 1, 1, 1, 2, 3], [1, 0, 2, 3, 1, 1]]
    assert data.edge_attr.tolist() == [1, 1, 2, 1, 2, 1]
    assert data.num_nodes == 4
    assert {data[key].dtype for key in ("z", "charge", "edge_index", "edge_attr")} == {torch.int64}


def test_aromatic_bonds_are_kekulised() -> None:
    assert sorted(from_smiles("c1ccccc1").edge_attr.tolist()) == [1] * 6 + [2] * 6


def test_one_atom_has_no_bond() -> None:
    data = from_smiles("C")
    assert data.edge_index.shape == (2, 0)
    assert data.edge_attr.shape == (0,)
    assert to_smiles(data) == "C"


@pytest.mark.parametrize("smiles", MOLECULES)
def test_there_and_back(smiles: str) -> None:
    assert to_smiles(from_smiles(smiles)) == canonical(smiles)


@pytest.mark.parametrize(
    ("smiles", "plain"),
    [("C[C@H](N)C(=O)O", "CC(N)C(=O)O"), ("F/C=C/F", "FC=CF"), ("[H]C([H])([H])O[H]", "CO"), ("[CH3:7]O", "CO")],
)
def test_what_is_dropped(smiles: str, plain: str) -> None:
    assert to_smiles(from_smiles(smiles)) == plain


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("C1CC", "unclosed ring"),
        ("C(C)(C)(C)(C)C", r"Explicit valence for atom # 0 C, 5"),
        ("c1cccc1", "kekulize"),
        ("foo", "syntax error"),
        ("", "no atom"),
        ("[Na+].[Cl-]", r"2 parts \(\[Cl-\], \[Na\+\]\)"),
        ("CC*", r"atom 3 \(\*\) is no element"),
        ("C[13CH3]", "atom 2 is the isotope 13C"),
        ("[2H]C", "isotope 2H"),
        ("C[CH2]", "atom 2 .* radical"),
        ("[O][O]", "radical"),
        ("[H][H]", "hydrogen"),
        ("[PH5]", r"atom 1 \(P\) carries 5 hydrogens, but 3 follow"),
        ("N->[Fe]", "dative"),
        ("C$C", "quadruple"),
    ],
)
def test_what_is_refused(smiles: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=reason):
        from_smiles(smiles)
    assert capfd.readouterr().err == ""


def test_rdkit_speaks_on_the_terminal_again_after_a_complaint(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError):
        from_smiles("C1CC")
    Chem.MolFromSmiles("C1CC")
    assert "unclosed ring" in capfd.readouterr().err


def test_a_mol_is_read_in_its_own_order_and_left_alone() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("OC"))
    assert from_mol(mol).z.tolist() == [8, 6]
    assert mol.GetNumAtoms() == 6
    with pytest.raises(DataError, match="no element"):
        from_mol(Chem.MolFromSmarts("[C,N]C"))
    with pytest.raises(DataError, match="valence"):
        from_mol(Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False))


def test_to_mol_sanitises_nothing() -> None:
    mol = to_mol(star(6, [9] * 5))
    assert [atom.GetAtomicNum() for atom in mol.GetAtoms()] == [6, 9, 9, 9, 9, 9]
    assert mol.GetNumBonds() == 5
    charged = to_mol(molecule([7, 8], [(0, 1, 3)], [1, -1]))
    assert [atom.GetFormalCharge() for atom in charged.GetAtoms()] == [1, -1]
    assert charged.GetBondWithIdx(0).GetBondType() == Chem.BondType.TRIPLE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=3), "no z and no edge_attr"),
        (molecule([0, 6], [(0, 1, 1)]), "0 among them"),
        (molecule([119], []), "119 among"),
        (molecule([6, 6], [(0, 1, 4)]), "4 among"),
        (molecule([6, 6], [(0, 1, 1)], [0]), "2, 1 and 2"),
    ],
)
def test_graphs_that_are_no_molecule(data: Data, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        to_mol(data)


@pytest.mark.parametrize(
    ("data", "strict", "loose", "mended"),
    [
        (star(6, [6] * 4), True, True, "CC(C)(C)C"),
        (star(6, [9] * 5), False, False, "FC(F)(F)F"),
        (star(7, [6] * 3), True, True, "CN(C)C"),
        (star(7, [6] * 4), False, True, "C[N+](C)(C)C"),
        (star(7, [6] * 5), False, False, "C[N+](C)(C)C"),
        (star(8, [6] * 3), False, True, "C[O+](C)C"),
        (star(8, [6] * 4), False, False, "C[O+](C)C"),
        (star(6, [8, 8, 6], [3, 1, 1]), False, False, None),
        (star(9, [6, 6]), False, False, "CF"),
        (star(16, [6] * 6), True, True, "CS(C)(C)(C)(C)C"),
        (molecule([6, 6, 8], [(0, 1, 1)]), True, True, "CC"),
        (molecule([7, 6, 6, 6, 6], [(0, i, 1) for i in (1, 2, 3, 4)], [1, 0, 0, 0, 0]), True, True, "C[N+](C)(C)C"),
        (molecule([], []), False, False, None),
    ],
)
def test_validity_and_correction(data: Data, strict: bool, loose: bool, mended: str | None) -> None:
    before = data.clone()
    assert valid(data) is strict
    assert (to_smiles(data) is not None) is strict
    assert valid_without_correction(data) is loose
    if mended is not None or not data.num_nodes:
        part = corrected(data)
        assert (None if part is None else to_smiles(part)) == mended
    for key in before.keys():  # noqa: SIM118
        assert torch.equal(torch.as_tensor(before[key]), torch.as_tensor(data[key]))


def test_the_strongest_bond_is_lowered_first() -> None:
    part = corrected(star(6, [6, 8, 9], [3, 2, 1]))
    assert part is not None
    assert valid(part)
    assert sorted(part.edge_attr.tolist()) == [1, 1, 1, 1, 2, 2]


def test_two_overfilled_at_once_need_no_correction() -> None:
    bonds = [(0, 1, 1), *[(0, i, 1) for i in (2, 3, 4)], *[(1, i, 1) for i in (5, 6, 7)]]
    data = molecule([7, 7, 6, 6, 6, 6, 6, 6], bonds)
    assert valid_without_correction(data)
    part = corrected(data)
    assert part is not None
    assert part.charge.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_parts_count_as_valid_and_the_longest_smiles_is_kept() -> None:
    data = molecule([6, 6, 6, 17, 17], [(0, 1, 1), (1, 2, 1), (3, 4, 1)])
    assert to_smiles(data) == "CCC.ClCl"
    assert valid_without_correction(data)
    part = corrected(data)
    assert part is not None
    assert part.z.tolist() == [17, 17]
    chain = corrected(molecule([17, 6, 6, 6], [(1, 2, 1), (2, 3, 1)]))
    assert chain is not None
    assert chain.z.tolist() == [6, 6, 6]


@fuzz
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9), density=st.floats(0, 0.8))
def test_correction_always_ends_in_a_valid_connected_molecule(seed: int, size: int, density: float) -> None:
    random = np.random.default_rng(seed)
    atoms = random.choice([6, 7, 8, 9, 16, 17], size).tolist()
    bonds = [
        (u, v, int(random.integers(1, 4))) for u in range(size) for v in range(u + 1, size) if random.random() < density
    ]
    data = molecule(atoms, bonds)
    part = corrected(data)
    assert part is not None
    smiles = to_smiles(part)
    assert smiles is not None and "." not in smiles
    if valid(data):
        assert valid_without_correction(data)
        assert smiles in str(to_smiles(data)).split(".")


@fuzz
@given(smiles=st.sampled_from(MOLECULES), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_atoms_does_not_matter(smiles: str, seed: int) -> None:
    data = from_smiles(smiles)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(data.z)))
    ends = order[data.edge_index]
    turned = Data(edge_index=ends, edge_attr=data.edge_attr, num_nodes=len(data.z))
    turned.z, turned.charge = torch.empty_like(data.z), torch.empty_like(data.charge)
    turned.z[order], turned.charge[order] = data.z, data.charge
    assert to_smiles(turned) == canonical(smiles)


@pytest.mark.parametrize(
    ("smiles", "core", "atoms"),
    [
        (ASPIRIN, "c1ccccc1", [4, 5, 6, 7, 8, 9]),
        ("CCc1ccc(CCC2CC2)cc1", "c1ccc(CCC2CC2)cc1", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("CC1CCC(=O)C1", "O=C1CCCC1", [1, 2, 3, 4, 5, 6]),
        ("Cn1cccc1", "c1cc[nH]c1", [1, 2, 3, 4, 5]),
    ],
)
def test_known_scaffolds(smiles: str, core: str, atoms: list[int]) -> None:
    data = from_smiles(smiles)
    found = scaffold(data)
    assert found is not None
    part, index = found
    assert to_smiles(part) == core
    assert index.tolist() == atoms
    assert torch.equal(part.z, data.z[index])
    assert torch.equal(part.charge, data.charge[index])
    bonds = {(u, v, k) for (u, v), k in zip(index[part.edge_index].T.tolist(), part.edge_attr.tolist(), strict=True)}
    assert bonds <= {(u, v, k) for (u, v), k in zip(data.edge_index.T.tolist(), data.edge_attr.tolist(), strict=True)}


def test_no_scaffold_without_a_ring_or_validity() -> None:
    assert scaffold(from_smiles("CCO")) is None
    assert scaffold(star(6, [9] * 5)) is None


def test_charges_are_settled_for_all() -> None:
    neutral, zwitterion = from_smiles("CO"), from_smiles("C[N+](=O)[O-]")
    assert ["charge" in data for data in settle_charges([neutral, neutral])] == [False, False]
    assert "charge" in neutral
    bare = settle_charges([neutral])[0]
    settled = settle_charges([bare, zwitterion])
    assert settled[0].charge.tolist() == [0, 0]
    assert settled[1].charge.tolist() == [0, 1, 0, -1]
    assert "charge" not in bare


def read(path: Path) -> list[tuple[str, str | None]]:
    reader = read_sdf if ".sdf" in path.name else read_smiles
    return [(name, found if isinstance(found, str) else to_smiles(found)) for name, found in reader(path)]


def test_a_smi_file(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("SMILES name\nCCO ethanol\n\n# a comment\nC1CC broken\nOCC\tagain, with a tab\n")
    first, second, third = read(tmp_path / "a.smi")
    assert (first, third) == (("line 2", "CCO"), ("line 6", "CCO"))
    assert second[0] == "line 5"
    assert "unclosed ring" in str(second[1])
    (tmp_path / "b.smiles").write_text("CO\nsmiles")
    first, second = read(tmp_path / "b.smiles")
    assert first == ("line 1", "CO")
    assert "syntax error" in str(second[1])


@pytest.mark.parametrize("header", ["id,smiles,logP", "id,SMILES,logP", "id,canonical_smiles,logP"])
def test_a_table(tmp_path: Path, header: str) -> None:
    text = f'{header}\n1,CCO,"a\nb"\n2\n3,"C[N+](=O)[O-]",0\n'
    (tmp_path / "a.csv").write_text("\ufeff" + text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.csv", "a.csv.gz"):
        found = read(tmp_path / name)
        assert [place for place, _ in found] == ["line 3", "line 4", "line 5"]
        assert [what for _, what in found] == ["CCO", "it holds no atom", "C[N+](=O)[O-]"]


@pytest.mark.parametrize("header", ["id,formula", "smiles_a,smiles_b", ""])
def test_a_table_without_the_column(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n1,CCO\n")
    with pytest.raises(DataError, match="name one of them smiles"):
        list(read_smiles(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["a.smi", "a.smiles.gz", "a.csv", "a.csv.gz", "a.sdf", "a.sdf.gz"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (write_sdf if ".sdf" in name else write_smiles)(path, [from_smiles(smiles) for smiles in MOLECULES])
    assert [what for _, what in read(path)] == [canonical(smiles) for smiles in MOLECULES]
    begin = path.read_bytes()[:8]
    assert begin.startswith(b"\x1f\x8b") is name.endswith(".gz")
    assert not name.endswith(".gz") or begin.endswith(bytes(4))  # no time of writing: the same each time


@pytest.mark.parametrize("name", ["a.smi", "a.sdf"])
def test_invalid_molecules_are_written_as_they_are(tmp_path: Path, name: str) -> None:
    (write_sdf if ".sdf" in name else write_smiles)(tmp_path / name, [star(6, [9] * 5), from_smiles("CO")])
    first, second = read(tmp_path / name)
    assert "Explicit valence" in str(first[1])
    assert second[1] == "CO"


def test_an_sdf_file(tmp_path: Path) -> None:
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    titled = "ethanol" + block
    salt = Chem.MolToMolBlock(Chem.MolFromSmiles("[Na+].[Cl-]"))
    text = f"{titled}> <logP>\n-0.3\n\n$$$$\n{salt}$$$$\nbroken\n\n\n  x\n$$$$\n{block}\n"
    (tmp_path / "a.sdf").write_text(text.replace("\n", "\r\n"), newline="")
    found = read(tmp_path / "a.sdf")
    assert [place for place, _ in found] == ["molecule 1 (ethanol)", "molecule 2", "molecule 3 (broken)", "molecule 4"]
    assert found[0][1] == found[3][1] == "CCO"
    assert "2 parts" in str(found[1][1])
    assert "RDKit cannot read it" in str(found[2][1])


def test_coordinates_are_written_flat_and_apart(tmp_path: Path) -> None:
    write_sdf(tmp_path / "a.sdf", [from_smiles(ASPIRIN)])
    places = next(iter(Chem.SDMolSupplier(str(tmp_path / "a.sdf")))).GetConformer().GetPositions()
    assert (places[:, 2] == 0).all()
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)[~np.eye(13, dtype=bool)]
    assert gaps.min() > 0.5


def test_reading_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("C\n" * 3)
    stream = read_smiles(tmp_path / "a.smi")
    assert next(stream)[0] == "line 1"
    assert next(stream)[0] == "line 2"


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PfgmError, match="no file"):
        list(read_smiles(tmp_path / "a.smi"))
    (tmp_path / "a.xyz").write_text("C")
    for reader in (read_smiles, read_sdf):
        with pytest.raises(ConfigError, match=r"a\.xyz does not end in"):
            list(reader(tmp_path / "a.xyz"))
    packed = gzip.compress(b"CCO\n" * 1000)
    for content in (b"CCO\n", packed[:-30], packed[:20] + b"xxxx" + packed[24:]):
        (tmp_path / "a.smi.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.smi\.gz is damaged"):
            list(read_smiles(tmp_path / "a.smi.gz"))


@fuzz
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.smi", "a.csv", "a.sdf", "a.sdf.gz"]))
def test_arbitrary_bytes_raise_nothing_else(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    try:
        assert all(isinstance(what, str | None) for _, what in read(tmp_path / name))
    except PfgmError as error:
        assert name in str(error)


@pytest.mark.parametrize("name", ["a.smi", "a.sdf"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_text("old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PfgmError, match="No space left"):
        (write_sdf if ".sdf" in name else write_smiles)(tmp_path / name, [from_smiles("CO")])
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_drawings() -> None:
    shown = [from_smiles(ASPIRIN), from_smiles("CO"), star(6, [9] * 5)]
    found = scaffold(shown[0])
    assert found is not None
    plain = drawing(shown, ["aspirin", "methanol", "broken"], columns=2)
    assert plain.startswith("<?xml") and plain.rstrip().endswith("</svg>")
    assert "width='360px' height='360px'" in plain
    marked = drawing(shown, columns=2, highlights=[found[1], [], [0]])
    assert marked.count("<ellipse") == 7
    assert plain.count("<ellipse") == 0


def test_a_drawing_as_a_figure() -> None:
    figure = draw([from_smiles(ASPIRIN), from_smiles("CO")], ["aspirin", "methanol"], columns=5, panel=100)
    pixels = np.asarray(figure.axes[0].get_images()[0].get_array())
    assert pixels.shape == (200, 400, 3)
    assert (pixels[0, 0] == 255).all()
    assert all((half < 128).any() for half in (pixels[:, :200], pixels[:, 200:]))


def test_drawings_that_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="1 labels for 2 molecules"):
        drawing([from_smiles("C"), from_smiles("CO")], ["one"])
    with pytest.raises(ConfigError, match="at least 1"):
        drawing([])


def test_without_rdkit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    molecules.rdkit.cache_clear()
    monkeypatch.setattr("importlib.import_module", missing)
    try:
        with pytest.raises(PfgmError, match=r'pip install "pfgm-science\[molecules\]"'):
            from_smiles("C")
    finally:
        monkeypatch.undo()
    assert to_smiles(from_smiles("C")) == "C"


@pytest.mark.parametrize(
    ("smiles", "atoms", "is_valid"),
    [
        ("CCO", 3, True),
        ("c1ccoc1", 5, True),
        ("[Na+].[Cl-]", 2, True),
        ("CC.O", 3, True),
        ("CC(C)(C)(C)C", 6, False),
        ("C=O=C", 3, False),
    ],
)
def test_samples_are_read_as_they_are_written(smiles: str, atoms: int, is_valid: bool) -> None:
    found = as_written(smiles)
    assert found.num_nodes == atoms and valid(found) == is_valid


@pytest.mark.parametrize(
    ("smiles", "reason"), [("CC(", "syntax"), ("C*", "no element"), ("c1cccc1", "ekuli"), ("", "no atom")]
)
def test_what_is_no_graph_even_as_written(smiles: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        as_written(smiles)
