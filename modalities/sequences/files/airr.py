"""AIRR rearrangements: a table with tabs and the column names of the AIRR community (docs.airr-community.org).

A pair of chains is one row with columns of both, such as sequence_aa_heavy and sequence_aa_light: the names of the
paired tables of the Observed Antibody Space (T. H. Olsen et al., Protein Science 31, 141, 2022).
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from modalities.sequences.files.item import Item
from modalities.sequences.files.pairs import BETWEEN
from pfgm_science.errors import DataError

# aligned before not, amino acids before nucleotides
COLUMNS = ("sequence_alignment_aa", "sequence_aa", "sequence_alignment", "sequence")
NAME = "sequence_id"
SIDES = ("_heavy", "_light")  # how columns of a pair end
_DERIVED = re.compile(r"([vdj])_(gene|family)((?:_heavy|_light)?)")  # in v_call and so on
_GENE = re.compile(r"(?:IG|TR)[A-Z]+[^*,\s]*")
_FAMILY = re.compile(r"(?:IG|TR)[A-Z]+\d*")

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def read(handle: TextIO, column: str | None = None, delimiter: str = "\t", *, paired: bool = False) -> Iterator[Item]:
    """column: which holds the letters; without it the first of COLUMNS that is there.

    paired: where there are columns of both chains (see SIDES), their letters with BETWEEN between them.
    """
    rows = csv.DictReader(handle, delimiter=delimiter)
    names = list(rows.fieldnames or ())
    chosen = _chosen(names, (column,) if column else COLUMNS, paired)
    if not chosen:
        wanted = repr(column) if column else f"of {', '.join(COLUMNS)}"
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise DataError(f"there is no column {wanted} ({shown}); name one with --read column=NAME")
    for row in rows:
        name = row.get(NAME) or row.get(NAME + SIDES[0]) or ""
        place = f"line {rows.line_num}" + (f" ({name})" if name else "")
        if None in row or None in row.values():
            yield Item(place, name, reason=f"it has not the {len(names)} columns of the header")
            continue
        empty = [each for each in chosen if not row[each]]
        reason = f"its {empty[0]} is empty" if empty else ""
        yield Item(place, name, text=BETWEEN.join(row[each] for each in chosen), reason=reason, values=row)


def _chosen(names: Sequence[str], wanted: Sequence[str], paired: bool) -> list[str]:
    """The column that holds the letters, or the two that hold those of a pair."""
    for column in wanted:
        both = [column + side for side in SIDES]
        if paired and set(both) <= set(names):
            return both
    return [column for column in wanted if column in names][:1]


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


def label(row: Mapping[str, str], name: str) -> str | None:
    """The entry of this column; of v_gene, v_family, j_gene, v_gene_heavy and so on, where they are no columns, what
    v_call and so on say. None where there is neither.
    """
    if name in row:
        return row[name]
    found = _DERIVED.fullmatch(name)
    call = row.get(f"{found[1]}_call{found[3]}") if found else None
    if found is None or call is None:
        return None
    return gene(call) if found[2] == "gene" else family(call)
