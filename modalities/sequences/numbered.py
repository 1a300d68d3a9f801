"""Antibodies of a package in the columns of a scheme: numbered once, and kept in a file beside the package.

The file is a packed table: a line of JSON with the frame and how it came about, then name, locus and columns of each
sample. It is written whole or not at all, and made anew where it is damaged or was made by another immunum.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modalities.sequences.frame import Frame
from modalities.sequences.numbering import PAIRED, Sample, number, pair, together
from pfgm_science.errors import DataError, PfgmError
from pfgm_science.files import replacing
from pfgm_science.packages import Package, cache
from pfgm_science.progress import progress

BETWEEN_LOCI = "+"


@dataclass(frozen=True)
class Numbered:
    """Samples in the columns of a frame: names, loci ("IGH", of a pair "IGH+IGK") and rows. failed: how many others
    are no variable domain of the chain.
    """

    frame: Frame
    names: tuple[str, ...]
    loci: tuple[str, ...]
    rows: tuple[str, ...]
    failed: int


def numbered(
    name: str, package: Package, records: Callable[[], Sequence[tuple[str, str]]], chain: str, scheme: str = "imgt"
) -> Numbered:
    """The records of a set in their columns, from the file kept for this set, package and scheme if there is one.

    records: gives name and letters of each, asked for only if need be. chain: H, L or paired. PfgmError where immunum
    is needed and missing, DataError where nothing can be numbered.
    """
    path = cache() / f"{name}-{package.sha256[:12]}-{scheme}.tsv.gz"
    found = _kept(path)
    if found is None:
        found = _by_immunum(name, records(), chain, scheme)
        try:
            _keep(path, found)
        except PfgmError as error:
            logging.getLogger(__name__).warning("the columns of %s are not kept: %s", name, error)
    return found


def _by_immunum(name: str, records: Sequence[tuple[str, str]], chain: str, scheme: str) -> Numbered:
    names: list[str] = []
    samples: list[Sample] = []
    with progress(f"numbering {name}") as update:
        for i, (own, text) in enumerate(records):
            try:
                sample = pair(text, scheme) if chain == PAIRED else (number(text, scheme),)
            except DataError:
                sample = ()
            if sample and chain in (PAIRED, sample[0].chain):
                names.append(own)
                samples.append(sample)
            update(i + 1, len(records))
    frame, rows = together(samples, scheme)
    if frame is None:
        raise DataError(f"none of {len(records)} sequences of {name} is a variable domain ({chain})")
    loci = tuple(BETWEEN_LOCI.join(domain.locus for domain in sample) for sample in samples)
    return Numbered(frame, tuple(names), loci, tuple(rows), len(records) - len(names))


def _keep(path: Path, found: Numbered) -> None:
    head = {"frame": found.frame.settings(), "failed": found.failed, "immunum": _immunum()}
    with replacing(path) as temporary, gzip.open(temporary, "wt", encoding="utf-8") as file:
        file.write(json.dumps(head) + "\n")
        table = zip(found.names, found.loci, found.rows, strict=True)
        file.writelines("\t".join(entries) + "\n" for entries in table)


def _kept(path: Path) -> Numbered | None:
    """What the file holds; None where there is none, it is damaged, or another immunum made it than the one here."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            head = json.loads(file.readline())
            names, loci, rows = zip(*(line.rstrip("\n").split("\t") for line in file), strict=True)
        frame = Frame.restore(head["frame"])
        whole = {len(row) for row in rows} == {len(frame)}
        if whole and _immunum() in ("", head["immunum"]):
            return Numbered(frame, names, loci, rows, int(head["failed"]))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        pass
    return None


def _immunum() -> str:
    try:
        return version("immunum")
    except PackageNotFoundError:
        return ""
