"""Sequences by name: sets that ship in other people's packages, read where they are, and sets that are drawn.

A name can be followed by settings, where a set has any: `olga-h3:count=5000:seed=1`. What a set allows is said when a
setting is wrong.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from modalities.sequences import antibody_sets, simulated_sets
from modalities.sequences.alphabet import RNA
from modalities.sequences.clusters import clusters
from modalities.sequences.fetch import Package
from modalities.sequences.files import stockholm
from modalities.sequences.frame import Frame, common_columns, numbered
from modalities.sequences.objects import records
from modalities.sequences.sets import described
from pfgm_science.data import Dataset, DatasetInfo, settings_in
from pfgm_science.errors import DataError

OFTEN = 0.01  # columns of RNAs, whose insertions are many, that fewer have a letter in are left out
FAMILY = 0.1  # of the columns of RNAs in one group may differ

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
    """A set by name, with any settings in it; PfgmError for a name that is not there, or what cannot be fetched."""
    base, *given = name.split(":")
    info = DatasetInfo.find(names(), base)
    settings = settings_in(name, given, _SETTINGS.get(info.name, {}))
    return replace(_LOADERS[info.name][1](info, **settings), name=name)


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
    return described(
        info,
        drawn,
        condition={"isotype": np.array([name[1] for name in names])} if isotypes else {},
        details={"alphabet": RNA.name, "frame": frame.settings()},
        groups=clusters(texts, FAMILY),
    )


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
    return described(info, records(texts), details={"alphabet": RNA.name})


_LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {
    **antibody_sets.LOADERS,
    **simulated_sets.LOADERS,
    TRNA.name: (TRNA, partial(_infernal, "tRNA1415G.sto", isotypes=True)),
    RNASE_P.name: (RNASE_P, partial(_infernal, "rnaseP-eubact.sto")),
    HAIRPINS.name: (HAIRPINS, _hairpins),
}
_SETTINGS: dict[str, dict[str, Any]] = {HAIRPINS.name: {"count": 2000, "seed": 0}, **simulated_sets.SETTINGS}
