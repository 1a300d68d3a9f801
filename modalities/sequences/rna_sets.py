"""Families of RNAs by name: aligned, with their consensus structure, and the covariance model that judges each."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modalities.sequences import infernal
from modalities.sequences.alphabet import RNA
from modalities.sequences.clusters import clusters
from modalities.sequences.files import fasta, stockholm
from modalities.sequences.files.item import Item
from modalities.sequences.frame import Frame, common_columns, numbered
from modalities.sequences.objects import records
from modalities.sequences.sets import check_draw, described
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.files import write_bytes
from pfgm_science.packages import Package, cache

OFTEN = 0.01  # columns that fewer sequences have a letter in are left out, with those sequences
ALIKE = 0.1  # of the columns of RNAs in one group may differ
GENOME, MOST = 4, 100  # letters of an accession that name its sequencing project, and sequences kept of each
ALIKE_KEPT = 20  # sequences of a group that are kept in the large set
MEMBER, LENGTHS = 60.0, (105, 130)  # bits and letters that a 5S rRNA of the large set has

INFERNAL = Package(
    "infernal",
    "1.1.4-1",
    "infernal_1.1.4-1_amd64.deb",
    "4ae3c5d2a9afc61e4bf7081efc45461f388b661a7fb232eca78dd684e05f1a22",
    "BSD (Infernal), CC0 (Rfam)",
)
SOURCES = Package(
    "infernal",
    "1.1.4-1",
    "infernal_1.1.4.orig.tar.gz",
    "f9493c7dee9fbf25f6405706818883d24b9f5e455121a0662c96c8f0307f95fc",
    INFERNAL.licence,
)
SORTMERNA = Package(
    "sortmerna",
    "4.3.6-2",
    "sortmerna_4.3.6.orig.tar.gz",
    "1ddb7a9f50b63ab5b87c15855a4080949fb0ee0f33ecf0ea8dfb1c1c44cbe9da",
    "CC0 (Rfam)",
)
_EXAMPLES, _TUTORIAL = "usr/share/doc/infernal/examples/testsuite", "tutorial"
_DEBIAN = "fetched with apt-get download where there is Debian; elsewhere bring the .deb (5 MB)"
_SOURCE = "fetched with apt-get source where there is Debian; elsewhere bring the .orig.tar.gz ({})"

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
COBALAMIN = DatasetInfo(
    name="cobalamin",
    description="cobalamin riboswitches (Rfam RF00174, seed) in the columns of their alignment, with its structure",
    licence=SOURCES.licence,
    source="Cobalamin.sto of Infernal 1.1.4 (sources of Debian)",
    size="up to 431 sequences without rare insertions",
    citation="I. Kalvari et al., Rfam 14, Nucleic Acids Research 49, D192 (2021)",
    how=_SOURCE.format("29 MB"),
)
RRNA_5S = DatasetInfo(
    name="5s-rrna",
    description="5S ribosomal RNAs (Rfam RF00001) of at least 60 bits, aligned by Infernal, with their structure",
    licence=SORTMERNA.licence,
    source="rfam-5s-database-id98.fasta of SortMeRNA 4.3.6 (sources of Debian), columns of Infernal's 5S_rRNA.c.cm",
    size="2,304 distinct sequences, at most 20 that are alike",
    citation="I. Kalvari et al., Rfam 14, Nucleic Acids Research 49, D192 (2021); E. Kopylova et al., SortMeRNA, "
    "Bioinformatics 28, 3211 (2012)",
    how=_SOURCE.format("31 and 29 MB") + "; aligned once, in some minutes, by Infernal, which has to be installed",
)
CM_EMIT = DatasetInfo(
    name="cm-emit",
    description="an exact teacher: sequences drawn from a family's covariance model (cm-emit:family=trna:count=5000)",
    licence=INFERNAL.licence,
    source="drawn by cmemit of Infernal, which has to be installed",
    size="as many as asked for (5,000)",
    citation="E. P. Nawrocki and S. R. Eddy, Infernal 1.1, Bioinformatics 29, 2933 (2013)",
    how=_DEBIAN,
)


@dataclass(frozen=True)
class Family:
    """Where a family's alignment and covariance model are: a package, and files inside of it.

    alignment: "" where there is none, and members are found among other sequences.
    """

    info: DatasetInfo
    package: Package
    model_file: str
    alignment: str = ""

    def model(self) -> bytes:
        """Its covariance model."""
        return self.package.member(self.model_file)

    def load(self) -> Dataset:
        return _five_s(self) if not self.alignment else _aligned(self)


FAMILIES = {
    family.info.name: family
    for family in (
        Family(TRNA, INFERNAL, f"{_EXAMPLES}/tRNA.c.cm", f"{_EXAMPLES}/tRNA1415G.sto"),
        Family(RNASE_P, INFERNAL, f"{_EXAMPLES}/rnaseP-eubact.c.cm", f"{_EXAMPLES}/rnaseP-eubact.sto"),
        Family(COBALAMIN, SOURCES, f"{_TUTORIAL}/Cobalamin.c.cm", f"{_TUTORIAL}/Cobalamin.sto"),
        Family(RRNA_5S, SOURCES, f"{_TUTORIAL}/5S_rRNA.c.cm"),
    )
}


def emitted(info: DatasetInfo, family: str = TRNA.name, count: int = 5000, seed: int = 0) -> Dataset:
    """Distinct ones of so many draws of a family's covariance model, in columns of their own."""
    check_draw(count, seed)
    if family not in FAMILIES:
        raise ConfigError(f"{info.name}: there is no family {family!r} ({', '.join(FAMILIES)})")
    model = FAMILIES[family].model()
    texts = list(dict.fromkeys(infernal.emitted(model, count, seed)))
    structure, rows = infernal.aligned(texts, model)
    return _family(info, {row: str(i) for i, row in enumerate(rows)}, structure)


def _aligned(family: Family) -> Dataset:
    """The distinct sequences of an alignment. Of tRNAs, the second letter of a name is the amino acid ("DA0260")."""
    found: dict[str, str] = {}
    structure = ""
    for item in stockholm.read(io.StringIO(family.package.member(family.alignment).decode())):
        structure = item.structure
        try:
            found.setdefault(RNA.normal(item.text), item.name)
        except DataError:
            continue  # letters that stand for several
    data = _family(family.info, found, structure)
    if family.info is not TRNA:
        return data
    return replace(data, condition={"isotype": np.array([record.id[1] for record in data.objects])})


def _five_s(family: Family) -> Dataset:
    """Members among SortMeRNA's 5S rRNAs, few of which of one sequencing project, in the columns of the model.

    Aligning takes minutes, so that the columns are kept beside the packages.
    """
    kept = cache() / f"5s-rrna-{SORTMERNA.sha256[:12]}-{SOURCES.sha256[:12]}.sto.gz"
    if not kept.exists():
        found = _few_of_each(SORTMERNA.member("data/rRNA_databases/rfam-5s-database-id98.fasta").decode())
        model, texts = family.model(), list(found)
        members = [text for text, bits in zip(texts, infernal.bits(texts, model), strict=True) if bits >= MEMBER]
        structure, rows = infernal.aligned(members, model)
        shown = io.StringIO()
        items = (Item("", found[text], text=row) for text, row in zip(members, rows, strict=True))
        stockholm.write(shown, items, structure)
        write_bytes(kept, gzip.compress(shown.getvalue().encode(), mtime=0))
    found, structure = {}, ""
    for item in stockholm.read(io.StringIO(gzip.decompress(kept.read_bytes()).decode())):
        structure = item.structure
        found[RNA.normal(item.text)] = item.name
    return _few_alike(_family(family.info, found, structure))


def _few_alike(data: Dataset) -> Dataset:
    """At most ALIKE_KEPT of each group: a few large ones would be most of the set, and on one side of every split."""
    seen: Counter[int] = Counter()
    kept = []
    for i, group in enumerate(np.asarray(data.groups).tolist()):
        seen[group] += 1
        if seen[group] <= ALIKE_KEPT:
            kept.append(i)
    return data.take(np.array(kept))


def _few_of_each(content: str) -> dict[str, str]:
    """Sequence -> name of those of the right length, at most MOST of each sequencing project, in the file's order."""
    found: dict[str, str] = {}
    often: Counter[str] = Counter()
    for item in fasta.read(io.StringIO(content)):
        try:
            text = RNA.normal(item.text)
        except DataError:
            continue
        project = item.name[:GENOME]
        if LENGTHS[0] <= len(text) <= LENGTHS[1] and text not in found and often[project] < MOST:
            often[project] += 1
            found[text] = item.name
    return found


def _family(info: DatasetInfo, found: Mapping[str, str], structure: str) -> Dataset:
    """Rows of an alignment by name, in the columns that are not rare; groups: those that are alike."""
    whole = Frame(numbered(len(structure)).columns, structure=structure, scheme=info.source)
    frame, texts, kept = common_columns(whole, list(found), OFTEN)
    drawn = records(texts)
    names = [name for name, keep in zip(found.values(), kept, strict=True) if keep]
    for record, name in zip(drawn, names, strict=True):
        record.id = name
    return described(
        info,
        drawn,
        details={"alphabet": RNA.name, "frame": frame.settings()},
        groups=clusters(texts, ALIKE),
    )


def _loaded(info: DatasetInfo) -> Dataset:
    return FAMILIES[info.name].load()


LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {
    **{name: (family.info, _loaded) for name, family in FAMILIES.items()},
    CM_EMIT.name: (CM_EMIT, emitted),
}
SETTINGS: dict[str, dict[str, Any]] = {CM_EMIT.name: {"family": TRNA.name, "count": 5000, "seed": 0}}
