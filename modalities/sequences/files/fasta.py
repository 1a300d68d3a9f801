"""FASTA, aligned or not, and FASTQ, by Biopython's parsers: one record at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from modalities.sequences.files.item import Item

WIDTH = 80  # letters of a line


def read(handle: TextIO) -> Iterator[Item]:
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    for number, (title, text) in enumerate(SimpleFastaParser(handle), 1):  # type: ignore[no-untyped-call]
        yield _item(number, title, text)


def read_fastq(handle: TextIO) -> Iterator[Item]:
    from Bio.SeqIO.QualityIO import FastqGeneralIterator

    for number, (title, text, _) in enumerate(FastqGeneralIterator(handle), 1):
        yield _item(number, title, text)


def write(handle: TextIO, items: Iterable[Item]) -> None:
    for item in items:
        handle.write(f">{item.name} {item.description}".rstrip() + "\n")
        handle.writelines(item.text[at : at + WIDTH] + "\n" for at in range(0, len(item.text), WIDTH))


def _item(number: int, title: str, text: str) -> Item:
    name, _, description = title.partition(" ")
    return Item(f"record {number} ({name})" if name else f"record {number}", name, description.strip(), text)
