"""Stockholm alignments, as Pfam, Rfam and Infernal write them: aligned sequences with a consensus structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from modalities.sequences.files.item import Item
from pfgm_science.errors import DataError

_WUSS = str.maketrans("_-,:~", ".....")  # unpaired, in as many words (Infernal user's guide, "WUSS notation")


def read(handle: TextIO) -> Iterator[Item]:
    from Bio import AlignIO

    try:
        for alignment in AlignIO.parse(handle, "stockholm"):  # type: ignore[no-untyped-call]
            given = alignment.column_annotations.get("secondary_structure", "")
            structure = brackets(given)
            for record in alignment:
                yield Item(record.id, record.id, text=str(record.seq), structure=structure)
    except (ValueError, AssertionError, IndexError, KeyError) as error:
        raise DataError(f"it is no Stockholm alignment: {error}") from None


def write(handle: TextIO, items: Iterable[Item], structure: str) -> None:
    """One alignment; structure: of its columns, "" for none."""
    listed = list(items)
    width = max((len(item.name) for item in listed), default=0)
    width = max(width, len("#=GC SS_cons")) + 2
    handle.write("# STOCKHOLM 1.0\n\n")
    handle.writelines(f"{item.name:<{width}}{item.text}\n" for item in listed)
    if structure:
        handle.write(f"{'#=GC SS_cons':<{width}}{structure}\n")
    handle.write("//\n")


def brackets(structure: str) -> str:
    """A WUSS structure as dot-bracket: what is not paired becomes ".", letters of pseudoknots too."""
    plain = structure.translate(_WUSS)
    return "".join("." if character.isalpha() else character for character in plain)
