"""AIRR rearrangements: a table with tabs and the column names of the AIRR community (docs.airr-community.org)."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from modalities.sequences.files.item import Item
from pfgm_science.errors import DataError

# aligned before not, amino acids before nucleotides
COLUMNS = ("sequence_alignment_aa", "sequence_aa", "sequence_alignment", "sequence")
NAME = "sequence_id"
_GENE = re.compile(r"(?:IG|TR)[A-Z]+[^*,\s]*")
_FAMILY = re.compile(r"(?:IG|TR)[A-Z]+\d*")

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def read(handle: TextIO, column: str | None = None, delimiter: str = "\t") -> Iterator[Item]:
    """column: which holds the letters; without it the first of COLUMNS that is there."""
    rows = csv.DictReader(handle, delimiter=delimiter)
    names = list(rows.fieldnames or ())
    chosen = column or next((name for name in COLUMNS if name in names), None)
    if chosen not in names:
        wanted = repr(column) if column else f"of {', '.join(COLUMNS)}"
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise DataError(f"there is no column {wanted} ({shown}); name one with --read column=NAME")
    for row in rows:
        name = row.get(NAME) or ""
        place = f"line {rows.line_num}" + (f" ({name})" if name else "")
        if None in row or None in row.values():
            yield Item(place, name, reason=f"it has not the {len(names)} columns of the header")
            continue
        yield Item(place, name, text=row[chosen], reason="" if row[chosen] else f"its {chosen} is empty", values=row)


def write(handle: TextIO, rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
    """A table with these columns; what a row does not have stays empty."""
    table = csv.DictWriter(handle, columns, delimiter="\t", lineterminator="\n", extrasaction="ignore", restval="")
    table.writeheader()
    table.writerows(rows)


def gene(call: str) -> str:
    """IGHV1-2 of "IGHV1-2*02,IGHV1-2*04" or "Homsap IGHV1-2*02 F"; the call itself where it names no gene."""
    found = _GENE.search(call)
    return found[0] if found else call


def family(call: str) -> str:
    """IGHV1 of "IGHV1-69D*01"; the call itself where it names no gene."""
    found = _FAMILY.search(call)
    return found[0] if found else call
