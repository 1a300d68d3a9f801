"""The IMGT frame of antibody variable domains: its columns, its regions, and where a CDR3 stands in it.

M.-P. Lefranc et al., IMGT unique numbering for immunoglobulin and T cell receptor variable domains, Dev. Comp. Immunol.
27, 55 (2003). Columns are named by chain and position, "H105"; insertions of CDR3 are H111A, H111B, ... behind 111 and
..., H112B, H112A before 112.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from modalities.sequences.alphabet import GAP
from modalities.sequences.frame import Frame
from pfgm_science.errors import DataError

REGIONS = (
    ("FR1", 1, 26),
    ("CDR1", 27, 38),
    ("FR2", 39, 55),
    ("CDR2", 56, 65),
    ("FR3", 66, 104),
    ("CDR3", 105, 117),
    ("FR4", 118, 128),
)
LOOP = 13  # places of a CDR3 without insertions
LEFT = 7  # of them before the insertions
MOST_INSERTIONS = len(ascii_uppercase)  # on either side
_V_LETTERS = 104  # positions of the V region up to the second cysteine
_FR4 = 11  # letters


def frame(insertions: int, chain: str = "H") -> Frame:
    """All 128 positions of a chain with this many insertions on either side of the middle of CDR3."""
    before = [f"{chain}111{letter}" for letter in ascii_uppercase[:insertions]]
    after = [f"{chain}112{letter}" for letter in reversed(ascii_uppercase[:insertions])]
    columns = [f"{chain}{position}" for position in range(1, 112)]
    columns += [*before, *after, *(f"{chain}{position}" for position in range(112, 129))]
    return frame_of(columns)


def frame_of(columns: Sequence[str]) -> Frame:
    """The frame of these columns of one chain, which are in their order along it: "H1", "H2", ..."""
    positions = [int(column[1:].rstrip(ascii_uppercase)) for column in columns]
    regions = []
    for name, first, last in REGIONS:
        inside = [place for place, position in enumerate(positions) if first <= position <= last]
        if inside:
            regions.append((f"{name[:-1]}-{columns[0][0]}{name[-1]}", inside[0], inside[-1] + 1))
    return Frame(tuple(columns), tuple(regions), scheme="imgt")


def loop(letters: str, insertions: int) -> str:
    """A CDR3 in its columns: the first half from 105 on, the other up to 117, gaps in between.

    Of an odd number the middle letter belongs to the first half, as IMGT has it.
    """
    width = LOOP + 2 * insertions
    left = (len(letters) + 1) // 2
    return letters[:left] + GAP * (width - len(letters)) + letters[left:]


def insertions(longest: int) -> int:
    """How many insertions on either side a CDR3 of this length needs."""
    return max(0, -(-(longest - LOOP) // 2))


def regions_of(frame: Frame, texts: Sequence[str], name: str) -> list[str]:
    """The letters of a region, without gaps."""
    columns = frame.region(name)
    return [text[columns.start : columns.stop].replace(GAP, "") for text in texts]


def domain(alignment: str, junction: int) -> tuple[str, str, str]:
    """V region in its 104 positions, CDR3 and FR4 of a gapped nucleotide sequence; DataError where one is incomplete.

    junction: nucleotides from the second cysteine (104) to the tryptophan of FR4 (118), both included.
    """
    start = 3 * (_V_LETTERS - 1)
    v, rest = translated(alignment[: start + 3]), translated(alignment[start + 3 :])
    loop = junction // 3 - 2
    if junction % 3 or loop < 1:
        raise DataError(f"its junction has {junction} nucleotides: out of frame, or too few")
    if v is None or rest is None or GAP in rest:
        raise DataError("it has a stop codon, an unknown base, or a gap that is no codon")
    if v[:1] not in ("Q", "E") or v[-1] != "C":
        raise DataError(f"it has {v[:1] or GAP} at 1 and {v[-1:] or GAP} at 104, not Q or E, and C: it is not complete")
    fr4 = rest[loop : loop + _FR4]
    if not (len(fr4) == _FR4 and fr4[0] in "WF" and fr4.endswith("VSS")):
        raise DataError(f"its FR4 is {fr4 or 'not there'}, not W or F, 7 letters and VSS: it is not complete")
    return v, rest[:loop], fr4


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
