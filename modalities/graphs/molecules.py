"""Molecules as graphs: to and from RDKit, SMILES and SDF files, correction, scaffolds, drawings.

A molecule is a `Data` with `z` [n] (atomic numbers), `charge` [n] (formal charges), `edge_index` [2, 2m] (both
directions of every bond, sorted) and `edge_attr` [2m] (bond orders 1, 2, 3: Kekule form), all int64. Hydrogens are
implicit: as many as fill the valence that RDKit gives an atom of that element and charge.

What is read is brought to that form or refused, never changed in silence. Stereochemistry is dropped, aromatic bonds
are kekulised, explicit hydrogens become implicit. Refused, with the reason: several parts (salts, mixtures), atoms
without an element (`*`, R groups), isotopes, radicals, atoms whose number of hydrogens does not follow from their bonds
and charge (`[PH5]`), hydrogen bound to no single heavier atom, dative and quadruple bonds.

RDKit is imported where it is used; without it every function raises PfgmError that says what to install.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import logging
import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from pfgm_science.errors import ConfigError, DataError, PfgmError
from pfgm_science.files import reading, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Mol = Any  # of RDKit, which need not be installed

SMILES_SUFFIXES = (".smi", ".smiles", ".csv")
SDF_SUFFIXES = (".sdf",)
_HEADERS = {"smiles", "smi", "canonical_smiles", "isosmiles", "structure"}
_PANEL = 180  # CSS pixels across the drawing of one molecule
_CHARGED = {7: 3, 8: 2, 16: 2}  # N, O, S: the valence above which one more bond makes a cation


def from_smiles(smiles: str) -> Data:
    """The molecule that a SMILES string describes; raises DataError with the reason when it cannot be used."""
    chem = rdkit()
    with quiet():
        mol = chem.MolFromSmiles(smiles)
    if mol is None:
        raise DataError(_complaint(lambda: chem.MolFromSmiles(smiles)))
    return _checked(mol)


def as_written(smiles: str) -> Data:
    """The graph of a SMILES string whatever stands in it: too many bonds, several parts, isotopes; for judging samples.

    Raises DataError where there is no graph: a syntax error, an atom without an element, aromatic bonds that have no
    Kekule form.
    """
    chem = rdkit()
    with quiet():
        mol = chem.MolFromSmiles(smiles) or chem.MolFromSmiles(smiles, sanitize=False)
        if mol is None:
            raise DataError(_complaint(lambda: chem.MolFromSmiles(smiles, sanitize=False)))
        if not mol.GetNumAtoms():
            raise DataError("it holds no atom")
        if any(atom.GetAtomicNum() < 1 for atom in _atoms(mol)):
            raise DataError("it holds an atom that is no element")
        try:
            return _graph(mol)
        except (ValueError, RuntimeError) as error:
            raise DataError(str(error).strip()) from error


def from_mol(mol: Mol) -> Data:
    """The molecule of an RDKit Mol, which is left as it is; raises DataError with the reason when it cannot be used.

    Atoms keep their order; explicit hydrogens leave it.
    """
    chem = rdkit()
    copy = chem.Mol(mol)
    with quiet():
        try:
            copy = chem.RemoveHs(copy)
        except (ValueError, RuntimeError) as error:
            raise DataError(str(error).strip()) from error
    return _checked(copy)


def to_mol(data: Data) -> Mol:
    """The molecule as RDKit's RWMol, atoms in the same order, not sanitised: it may break every rule of valence.

    A molecule without `charge` is neutral throughout. Raises DataError for a graph that is no molecule.
    """
    chem = rdkit()
    atoms, charges, bonds = _parts(data)
    mol = chem.RWMol()
    for number, charge in zip(atoms, charges, strict=True):
        atom = chem.Atom(number)
        if charge:
            atom.SetFormalCharge(charge)
        mol.AddAtom(atom)
    kinds = _bond_types()
    for u, v, order in bonds:
        mol.AddBond(u, v, kinds[order])
    return mol


def to_smiles(data: Data) -> str | None:
    """RDKit's canonical SMILES, without stereochemistry, of a valid molecule; None for one that is not `valid`.

    Parts that are not bound to each other are joined by a dot.
    """
    mol = _sanitised(to_mol(data))
    return None if mol is None else str(rdkit().MolToSmiles(mol))


def valid(data: Data) -> bool:
    """Whether RDKit sanitises the molecule as it stands: the strict validity of DiGress (arXiv 2209.14734).

    No charge is added and no bond is touched. A molecule in several parts counts as valid, as it does there; a graph
    without atoms does not.
    """
    return _sanitised(to_mol(data)) is not None


def valid_without_correction(data: Data) -> bool:
    """Validity without correction, as GDSS counts it (arXiv 2202.02514, section 5.2): is no bond too many?

    It is looser than `valid`: a neutral N, O or S that has one bond more than its normal valence (3, 2, 2) is given the
    charge +1, as in MoFlow (arXiv 2006.10137). The molecule counts when no atom is overfilled after that and RDKit
    sanitises it. Parts that are not bound to each other do not count against it. Here the charges do not depend on
    the order of the atoms; GDSS, which builds the molecule bond by bond, leaves the second atom uncharged where its
    last bond overfills two at once.
    """
    mol = to_mol(data)
    return _mend(mol) == 0 and _sanitised(mol) is not None


def corrected(data: Data) -> Data | None:
    """The molecule after the field's valency correction; None when nothing valid can be made of it.

    As described for MoFlow (arXiv 2006.10137, section 3.4) and used by GraphDF and GDSS: while an atom holds more bonds
    than its valence allows, the strongest of its bonds is lowered by one order (a single bond is removed), where one
    charge +1 would not do (see `valid_without_correction`). Then the largest part is kept, which in GDSS is the one
    with the longest SMILES. Atoms keep their order.
    """
    mol = to_mol(data)
    if _mend(mol) is None:
        return None
    mended = _sanitised(mol)
    return None if mended is None else _graph(_largest_part(mended))


def scaffold(data: Data) -> tuple[Data, Tensor] | None:
    """The Bemis-Murcko scaffold, and which atoms of the molecule it is: int64 [k], ascending.

    Rings, what links them, and atoms double-bonded to either (Bemis and Murcko 1996, in RDKit's reading). None for a
    molecule without a ring or one that is not valid. Atoms keep their order, so `data.z[index]` are those of the
    scaffold.
    """
    mol = _sanitised(to_mol(data))
    if mol is None:
        return None
    murcko = rdkit("Chem.Scaffolds.MurckoScaffold")
    for atom in mol.GetAtoms():
        atom.SetIntProp("index", atom.GetIdx())
    kept = sorted(atom.GetIntProp("index") for atom in murcko.GetScaffoldForMol(mol).GetAtoms())
    if not kept:
        return None
    index = torch.tensor(kept)
    return _induced(data, index), index


def settle_charges(molecules: Sequence[Data], needed: bool = False) -> list[Data]:
    """The molecules, all with `charge` if it is needed or any atom of any is charged, all without it otherwise.

    Inputs stay as they are.
    """
    charged = needed or any(bool(data.charge.any()) for data in molecules if "charge" in data)
    settled = []
    for data in molecules:
        copy = data.clone()
        if charged and "charge" not in copy:
            copy.charge = torch.zeros_like(copy.z)
        elif not charged and "charge" in copy:
            del copy.charge
        settled.append(copy)
    return settled


def read_smiles(
    path: str | os.PathLike[str], read: Callable[[str], Data] = from_smiles
) -> Iterator[tuple[str, Data | str]]:
    """Molecules of a file of SMILES one by one: ("line 12", the molecule, or the reason why it cannot be used).

    .smi, .smiles: one SMILES a line, then a name or nothing; empty lines, lines that begin with # and a header in the
    first line are passed over. .csv: the column named smiles (in any case), or the only one with smiles in its name.
    Each may be compressed (.gz). read: what makes a molecule of a string, such as `as_written`.

    Raises PfgmError for a path that cannot be read, DataError for a table without such a column.
    """
    with _opened(path, SMILES_SUFFIXES) as (file, suffix):
        for line, smiles in _column(file, path) if suffix == ".csv" else _lines(file):
            yield f"line {line}", _attempt(lambda smiles=smiles: read(smiles))  # type: ignore[misc]


def read_sdf(path: str | os.PathLike[str]) -> Iterator[tuple[str, Data | str]]:
    """Molecules of an SDF file (.sdf, .sdf.gz) one by one: ("molecule 3 (its title)", the molecule or the reason).

    Coordinates and properties are passed over. Raises PfgmError for a path that cannot be read.
    """
    with _opened(path, SDF_SUFFIXES) as (file, _):
        for number, block in enumerate(_blocks(file), start=1):
            title = block.split("\n", 1)[0].strip()
            name = f"molecule {number} ({title})" if title else f"molecule {number}"
            yield name, _attempt(lambda block=block: _from_block(block))  # type: ignore[misc]


def write_smiles(path: str | os.PathLike[str], molecules: Iterable[Data]) -> None:
    """Write canonical SMILES to .smi, .smiles or .csv (a column smiles), each perhaps .gz, whole or not at all.

    One molecule a line. A molecule that is not valid is written as it stands, and a reader names it.
    """
    suffix, packed = _suffix(path, SMILES_SUFFIXES)
    lines = [_written(data) for data in molecules]
    text = "".join(line + "\n" for line in (["smiles", *lines] if suffix == ".csv" else lines))
    _write(path, text, packed)


def write_sdf(path: str | os.PathLike[str], molecules: Iterable[Data]) -> None:
    """Write molecules to .sdf or .sdf.gz with 2D coordinates, whole or not at all; invalid ones as they stand."""
    chem = rdkit()
    _, packed = _suffix(path, SDF_SUFFIXES)
    with quiet():
        blocks = [chem.MolToMolBlock(_laid_out(data), kekulize=False) for data in molecules]
    _write(path, "".join(block + "$$$$\n" for block in blocks), packed)


def drawing(
    molecules: Sequence[Data],
    labels: Sequence[str] = (),
    *,
    columns: int = 5,
    highlights: Sequence[Tensor | Sequence[int]] = (),
    panel: int = _PANEL,
) -> str:
    """Structural formulas in a grid, row by row, as SVG.

    labels: one text under each molecule, or none. highlights: the atoms to mark in each, such as its scaffold, or none.
    panel: width and height of one molecule in pixels. Molecules that are not valid are drawn as they stand.
    """
    width, height = _sheet(len(molecules), columns, panel)
    canvas = rdkit("Chem.Draw.rdMolDraw2D").MolDraw2DSVG(width, height, panel, panel)
    return str(_drawn(canvas, molecules, labels, highlights, min(columns, len(molecules))))


def draw(
    molecules: Sequence[Data],
    labels: Sequence[str] = (),
    *,
    columns: int = 5,
    highlights: Sequence[Tensor | Sequence[int]] = (),
    panel: int = _PANEL,
) -> Figure:
    """The grid of `drawing` as a matplotlib Figure, twice as many pixels as it is wide in CSS pixels (1/96 inch)."""
    from matplotlib.figure import Figure
    from PIL import Image

    width, height = _sheet(len(molecules), columns, 2 * panel)
    canvas = rdkit("Chem.Draw.rdMolDraw2D").MolDraw2DCairo(width, height, 2 * panel, 2 * panel)
    canvas.drawOptions().minFontSize = 12
    pixels = np.asarray(
        Image.open(io.BytesIO(_drawn(canvas, molecules, labels, highlights, min(columns, len(molecules))))).convert(
            "RGB"
        )
    )
    figure = Figure(figsize=(width / 192, height / 192), dpi=192)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(pixels, interpolation="none", aspect="auto")
    axes.axis("off")
    return figure


@cache
def rdkit(module: str = "Chem") -> Any:
    """A module of RDKit, by its name in it; raises PfgmError that says what to install when there is no RDKit."""
    try:
        return importlib.import_module(f"rdkit.{module}")
    except ImportError as error:
        raise PfgmError('molecules need RDKit: pip install "pfgm-science[molecules]".') from error


def quiet() -> Any:
    """A context in which RDKit keeps its complaints off the terminal: they are raised, or looked for on purpose."""
    return rdkit("rdBase").BlockLogs()


def _complaint(attempt: Callable[[], Any]) -> str:
    """What RDKit says when an attempt to read fails: it logs the reason and returns None."""
    base = rdkit("rdBase")
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage().split("] ", 1)[-1].strip())

    logger = logging.getLogger("rdkit")
    handlers, propagates = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [Listener()], False
    base.LogToPythonLogger()
    try:
        attempt()
    finally:
        base.LogToCppStreams()
        logger.handlers, logger.propagate = handlers, propagates
    reasons = [line for line in said if any(letter.isalpha() for letter in line)]
    return f"RDKit cannot read it ({reasons[0]})" if reasons else "RDKit cannot read it"


def _checked(mol: Mol) -> Data:
    """The graph of a sanitised molecule, or DataError when the graph would be another molecule."""
    if not mol.GetNumAtoms():
        raise DataError("it holds no atom")
    if len(rdkit().GetMolFrags(mol)) > 1:
        parts = rdkit().MolToSmiles(mol).split(".")
        raise DataError(f"it has {len(parts)} parts ({', '.join(parts)}): give one molecule, without salt or solvent")
    bracketed = False
    for atom in _atoms(mol):
        if atom.GetAtomicNum() <= 1 or atom.GetIsotope() or atom.HasQuery():
            raise DataError(_refusal(atom))
        bracketed = bracketed or atom.GetNoImplicit()
    data = _graph(mol)
    if bracketed:  # its hydrogens are written out
        _check_hydrogens(mol, data)
    return data


def _atoms(mol: Mol) -> list[Any]:
    return [mol.GetAtomWithIdx(index) for index in range(mol.GetNumAtoms())]  # GetAtoms() takes four times as long


def _refusal(atom: Any) -> str:
    place = f"atom {atom.GetIdx() + 1}"
    if atom.GetIsotope():
        return f"{place} is the isotope {atom.GetIsotope()}{atom.GetSymbol()}: isotopes have no place in a graph"
    if atom.GetAtomicNum() == 1:
        return f"{place} is a hydrogen that is bound to no single heavier atom"
    return f"{place} ({atom.GetSymbol()}) is no element: wildcards and R groups have no place in a graph"


def _check_hydrogens(mol: Mol, data: Data) -> None:
    plain = to_mol(data)
    plain.UpdatePropertyCache(strict=False)
    for atom, bare in zip(_atoms(mol), _atoms(plain), strict=True):
        place = f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()})"
        if atom.GetNumRadicalElectrons():
            raise DataError(f"{place} is a radical: unpaired electrons have no place in a graph")
        given, implied = atom.GetTotalNumHs(), bare.GetTotalNumHs()
        if given != implied:
            raise DataError(f"{place} carries {given} hydrogens, but {implied} follow from its bonds and charge")


def _graph(mol: Mol) -> Data:
    """The graph of a sanitised molecule, which is kekulised in place."""
    chem = rdkit()
    chem.Kekulize(mol, clearAromaticFlags=True)
    orders = chem.GetAdjacencyMatrix(mol, useBO=True, force=True)
    ends = np.nonzero(orders)
    values = orders[ends].astype(np.int64)
    if len(values) != 2 * mol.GetNumBonds() or (len(values) and values.max() > 3):  # dative bonds count one way only
        kinds = sorted({str(bond.GetBondType()).lower() for bond in mol.GetBonds()} - {"single", "double", "triple"})
        raise DataError(f"it has bonds of type {', '.join(kinds)}: only single, double and triple ones can be used")
    atoms = _atoms(mol)
    return Data(
        edge_index=torch.from_numpy(np.stack(ends)),
        edge_attr=torch.from_numpy(values),
        z=torch.tensor([atom.GetAtomicNum() for atom in atoms]),
        charge=torch.tensor([atom.GetFormalCharge() for atom in atoms]),
        num_nodes=len(atoms),
    )


@cache
def _bond_types() -> dict[int, Any]:
    kinds = rdkit().BondType
    return {1: kinds.SINGLE, 2: kinds.DOUBLE, 3: kinds.TRIPLE}


def _parts(data: Data) -> tuple[list[int], list[int], list[tuple[int, int, int]]]:
    """Atomic numbers, charges, and bonds (u, v, order) with u < v."""
    missing = [key for key in ("z", "edge_attr", "edge_index") if data.get(key) is None]
    if missing:
        raise DataError(
            f"this graph is no molecule: it has no {' and no '.join(missing)} ({', '.join(data.keys()) or 'nothing'}). "
            "A molecule needs z (atomic numbers [n]) and edge_attr (bond orders [2m])."
        )
    atoms: list[int] = data.z.flatten().tolist()
    charges: list[int] = data.charge.flatten().tolist() if "charge" in data else [0] * len(atoms)
    orders: list[int] = data.edge_attr.flatten().tolist()
    sources, targets = data.edge_index.tolist()
    wrong = [number for number in atoms if not (isinstance(number, int) and 1 <= number <= 118)]
    wrong += [order for order in orders if order not in (1, 2, 3)]
    if wrong or len(charges) != len(atoms) or len(orders) != len(sources):
        found = f"{wrong[0]} among them" if wrong else f"{len(atoms)}, {len(charges)} and {len(orders)} of them"
        raise DataError(
            f"z must hold atomic numbers 1 to 118, charge one number an atom, edge_attr bond orders 1, 2 or 3: "
            f"there is {found}."
        )
    bonds = zip(sources, targets, orders, strict=True)
    return atoms, charges, [(u, v, order) for u, v, order in bonds if u < v]


def _sanitised(mol: Mol) -> Mol | None:
    """The molecule, sanitised in place; None when RDKit refuses it or it holds no atom."""
    chem = rdkit()
    with quiet():
        try:
            chem.SanitizeMol(mol)
        except (ValueError, RuntimeError):
            return None
    return mol if mol.GetNumAtoms() else None


def _mend(mol: Mol) -> int | None:
    """Charge N, O and S and lower bonds until no atom is overfilled: how often, None if that cannot help."""
    kinds = _bond_types()
    lowered = 0
    while (atom := _overfilled(mol)) is not None:
        bonds = sorted(atom.GetBonds(), key=lambda bond: -bond.GetBondTypeAsDouble())
        valence = sum(int(bond.GetBondTypeAsDouble()) for bond in bonds)
        if not atom.GetFormalCharge() and valence - 1 == _CHARGED.get(atom.GetAtomicNum()):
            atom.SetFormalCharge(1)
            continue
        if not bonds:
            return None
        order = int(bonds[0].GetBondTypeAsDouble())
        if order > 1:
            bonds[0].SetBondType(kinds[order - 1])
        else:
            mol.RemoveBond(bonds[0].GetBeginAtomIdx(), bonds[0].GetEndAtomIdx())
        lowered += 1
    return lowered


def _overfilled(mol: Mol) -> Any | None:
    """The first atom with more bonds than its valence allows."""
    chem = rdkit()
    with quiet():
        problems = chem.DetectChemistryProblems(mol, sanitizeOps=chem.SanitizeFlags.SANITIZE_PROPERTIES)
    found = [problem.GetAtomIdx() for problem in problems if problem.GetType() == "AtomValenceException"]
    return mol.GetAtomWithIdx(min(found)) if found else None


def _largest_part(mol: Mol) -> Mol:
    chem = rdkit()
    parts = chem.GetMolFrags(mol, asMols=True)
    return max(parts, key=lambda part: len(chem.MolToSmiles(part)))


def _induced(data: Data, index: Tensor) -> Data:
    """The graph on some nodes alone, in ascending order, with its node and edge attributes."""
    place = torch.full((int(data.num_nodes or 0),), -1)
    place[index] = torch.arange(len(index))
    ends = place[data.edge_index]
    kept = (ends >= 0).all(dim=0)
    part = Data(edge_index=ends[:, kept], edge_attr=data.edge_attr[kept], z=data.z[index], num_nodes=len(index))
    if "charge" in data:
        part.charge = data.charge[index]
    return part


def _attempt(make: Callable[[], Data]) -> Data | str:
    try:
        return make()
    except DataError as error:
        return str(error)


def _from_block(block: str) -> Data:
    chem = rdkit()
    with quiet():
        mol = chem.MolFromMolBlock(block)
    if mol is None:
        raise DataError(_complaint(lambda: chem.MolFromMolBlock(block)))
    return _checked(mol)


def _suffix(path: str | os.PathLike[str], allowed: Sequence[str]) -> tuple[str, bool]:
    """The suffix of a file without .gz, and whether it has .gz."""
    name = Path(path).name.lower()
    packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in allowed:
        raise ConfigError(f"{path} does not end in {', '.join(allowed)}, with or without .gz: give it another name.")
    return suffix, packed


@contextmanager
def _opened(path: str | os.PathLike[str], allowed: Sequence[str]) -> Iterator[tuple[TextIO, str]]:
    rdkit()
    with reading(path) as existing:
        suffix, packed = _suffix(path, allowed)
        try:
            with gzip.open(existing, "rb") if packed else existing.open("rb") as binary:
                yield io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=None), suffix
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path} is damaged, or not compressed by gzip ({error}).") from error


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file, start=1):
        words = line.split(maxsplit=1)
        if words and not line.startswith("#") and not (number == 1 and words[0].lower() in _HEADERS):
            yield number, words[0]


def _column(file: TextIO, path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    rows = csv.reader(file)
    try:
        names = [name.strip() for name in next(rows, [])]
        exact = [i for i, name in enumerate(names) if name.lower() == "smiles"]
        near = [i for i, name in enumerate(names) if "smiles" in name.lower()]
        if len(exact) != 1 and len(near) != 1:
            raise DataError(f"{path} has the columns {', '.join(names) or '(none)'}: name one of them smiles.")
        place = (exact if len(exact) == 1 else near)[0]
        for row in rows:
            if row:
                yield rows.line_num, row[place].strip() if place < len(row) else ""
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: no table of comma-separated values ({error}).") from error


def _blocks(file: TextIO) -> Iterator[str]:
    """The records of an SDF file, without the line $$$$ that ends each."""
    lines: list[str] = []
    for line in file:
        if line.startswith("$$$$"):
            yield "".join(lines)
            lines = []
        else:
            lines.append(line)
    if any(line.strip() for line in lines):
        yield "".join(lines)


def _written(data: Data) -> str:
    return to_smiles(data) or str(rdkit().MolToSmiles(to_mol(data)))


def _write(path: str | os.PathLike[str], text: str, packed: bool) -> None:
    content = text.encode()
    write_bytes(path, gzip.compress(content, mtime=0) if packed else content)


def _laid_out(data: Data) -> Mol:
    """The molecule with 2D coordinates, valid or not."""
    chem = rdkit()
    mol = to_mol(data)
    mol.UpdatePropertyCache(strict=False)
    chem.FastFindRings(mol)
    rdkit("Chem.rdDepictor").Compute2DCoords(mol)
    return mol


def _sheet(count: int, columns: int, panel: int) -> tuple[int, int]:
    """Width and height in pixels of a grid."""
    if count < 1 or columns < 1 or panel < 1:
        raise ConfigError(f"{count} molecules in {columns} columns of {panel} pixels: each must be at least 1.")
    return min(count, columns) * panel, math.ceil(count / columns) * panel


def _drawn(
    canvas: Any,
    molecules: Sequence[Data],
    labels: Sequence[str],
    highlights: Sequence[Tensor | Sequence[int]],
    columns: int,
) -> Any:
    for name, given in (("labels", labels), ("highlights", highlights)):
        if len(given) not in (0, len(molecules)):
            raise ConfigError(f"{len(given)} {name} for {len(molecules)} molecules: give one each, or none.")
    options = canvas.drawOptions()
    options.prepareMolsBeforeDrawing = False  # it sanitises, which an invalid molecule would not survive
    options.drawMolsSameScale = False
    options.fixedBondLength = canvas.Width() / columns / 7  # at most: what is larger is made to fit
    with quiet():
        canvas.DrawMolecules(
            [_laid_out(data) for data in molecules],
            legends=list(labels) or None,
            highlightAtoms=[[int(atom) for atom in marked] for marked in highlights] or None,
        )
    canvas.FinishDrawing()
    return canvas.GetDrawingText()
