"""Transfer RNA genes by organism and amino acid: letters alone, of free length."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable

import numpy as np

from modalities.sequences.alphabet import RNA
from modalities.sequences.clusters import clusters
from modalities.sequences.files import fasta
from modalities.sequences.objects import records
from modalities.sequences.sets import described
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import DataError
from pfgm_science.packages import Package

LENGTHS = (60, 95)  # letters: a longer gene has an intron
LEAST = 35.0  # bits by tRNAscan-SE, as they stand in the names
ALIKE = 0.1  # of the letters of two tRNAs of one length in one group may differ

MIMSEQ = Package(
    "mimseq",
    "1.3.11",
    "mimseq-1.3.11-py3-none-any.whl",
    "a41b462b551fd6c530b99b113ea7e3567cd7a981c6c624daf48300bd57e01398",
    "GPL-3",
)
INFO = DatasetInfo(
    name="trna-organisms",
    description="transfer RNA genes of eleven organisms, with their amino acid, of free length; genes of 60 to 95 "
    "letters, which leaves out those with a long intron, and not the short introns of most Tyr and some others",
    licence=MIMSEQ.licence,
    source="references of mim-tRNAseq, in the package mimseq 1.3.11",
    size="5,082 genes of 4,704 different sequences, 3,136 of them of the zebrafish",
    citation="A. Behrens, G. Rodschinka and D. D. Nedialkova, High-resolution quantitative profiling of tRNA abundance "
    "and modification status in eukaryotes by mim-tRNAseq, Molecular Cell 81, 1802 (2021); P. P. Chan and T. M. Lowe, "
    "GtRNAdb 2.0, Nucleic Acids Research 44, D184 (2016)",
    how="fetched with pip when it is asked for (3 MB)",
)
# The fullest file of each organism; some have a tRNA of E. coli beside, which was added to samples.
FILES = {
    "Arabidopsis thaliana": "araTha1-eColitK/araTha1-tRNAs-all.fa",
    "Caenorhabditis elegans": "ce11-eColitK/ce11-tRNAs-filtered.fa",
    "Danio rerio": "danRer11-eColitK/danRer11_eColitK_filtered.fa",
    "Drosophila melanogaster": "dm6-tRNAs/dm6-tRNAs.fa",
    "Escherichia coli": "eschColi-K_12_MG1655-tRNAs/eschColi_K_12_MG1655-tRNAs.fa",
    "Gorilla gorilla": "gorGor4-eColitK/gorGor4-tRNAs-all.fa",
    "Homo sapiens": "hg38-eColitK/hg38-tRNAs-all.fa",
    "Mus musculus": "mm39-eColitK/mm39-tRNAs-noeColi.fa",
    "Rattus norvegicus": "rn7-eColitK/rn7-tRNAs.fa",
    "Saccharomyces cerevisiae": "sacCer3-tRNAs/sacCer3-tRNAs.fa",
    "Schizosaccharomyces pombe": "schiPomb-972H/schiPomb_972H-tRNAs.fa",
}
UNKNOWN = ("Und", "Sup")  # no amino acid: an anticodon that is not known, or reads a stop
_NAME = re.compile(r"tR(?:NA|X)-(\w+)-[ACGTN]{3}\b")
_SCORE = re.compile(r"Sc: (\d+(?:\.\d+)?)")

OTHER = "left out: of another organism, added to the file"
NAMELESS = "left out: no amino acid or score in its name"
WEAK = f"left out: under {LEAST:g} bits by tRNAscan-SE"
LONG = f"left out: not {LENGTHS[0]} to {LENGTHS[1]} letters, such as with a long intron"
STRANGE = "left out: letters that are no base"
AGAIN = "left out: the same letters as another of the organism"


def organisms(info: DatasetInfo = INFO) -> Dataset:
    """Distinct tRNAs of each organism. Conditions: organism, and isotype as their files have it ("iMet", "SeC").

    The same letters can stand under several organisms, and then belong to one group.
    """
    found: dict[tuple[str, str], tuple[str, str]] = {}
    changed: Counter[str] = Counter()
    for organism, file in FILES.items():
        content = MIMSEQ.member(f"mimseq/data/{file}").decode()
        for item in fasta.read(io.StringIO(content)):
            try:
                text, isotype = gene(item.name, item.description, item.text, organism)
            except DataError as error:
                changed[str(error)] += 1
                continue
            changed[AGAIN] += (organism, text) in found
            found.setdefault((organism, text), (isotype, item.name))
    drawn = records(text for _, text in found)
    for record, (_, name) in zip(drawn, found.values(), strict=True):
        record.id = name
    return described(
        info,
        drawn,
        condition={
            "organism": np.array([organism for organism, _ in found]),
            "isotype": np.array([isotype for isotype, _ in found.values()]),
        },
        details={"alphabet": RNA.name, "changed": dict(changed)},
        groups=clusters([text for _, text in found], ALIKE),
    )


def gene(name: str, description: str, letters: str, organism: str) -> tuple[str, str]:
    """Letters and isotype of a record; DataError with the reason why it is left out."""
    kind, score = _NAME.search(name), _SCORE.search(description)
    if not name.startswith(organism.replace(" ", "_")):
        raise DataError(OTHER)
    if kind is None or score is None or kind[1] in UNKNOWN:
        raise DataError(NAMELESS)
    if float(score[1]) < LEAST:
        raise DataError(WEAK)
    if not LENGTHS[0] <= len(letters) <= LENGTHS[1]:
        raise DataError(LONG)
    try:
        return RNA.normal(letters), kind[1]
    except DataError:
        raise DataError(STRANGE) from None


LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {INFO.name: (INFO, organisms)}
