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


def frame(insertions: int, chain: str = "H") -> Frame:
    """All 128 positions of a chain with this many insertions on either side of the middle of CDR3."""
    before = [f"{chain}111{letter}" for letter in ascii_uppercase[:insertions]]
    after = [f"{chain}112{letter}" for letter in reversed(ascii_uppercase[:insertions])]
    columns = [f"{chain}{position}" for position in range(1, 112)]
    columns += [*before, *after, *(f"{chain}{position}" for position in range(112, 129))]
    regions = []
    for name, first, last in REGIONS:
        begin, end = columns.index(f"{chain}{first}"), columns.index(f"{chain}{last}")
        regions.append((f"{name[:-1]}-{chain}{name[-1]}", begin, end + 1))
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
