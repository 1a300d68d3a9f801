"""Motifs that trouble the development of antibodies, by the names that people ask for them with.

They are what a chemist would look for first in the letters alone, and no verdict: many a motif is buried and harmless.
Deamidation and isomerisation: X. Lu et al., mAbs 11, 45 (2019).
"""

from __future__ import annotations

import re

from modalities.sequences.objects import without_gaps
from pfgm_science.errors import ConfigError

FREE_CYSTEINE = "free cysteine"
LIABILITIES = {
    "N-glycosylation": "N[^P][ST]",
    "deamidation": "N[GS]",
    "isomerisation": "D[GS]",
    "cleavage": "DP",
    FREE_CYSTEINE: "C",
    "oxidation": "[MW]",
    "integrin binding": "RGD",
}


def motif(name: str) -> str:
    """The pattern of a name, whatever its case; ConfigError with the names that there are."""
    return LIABILITIES[known(name)]


def known(name: str) -> str:
    """The name as it is written here, whatever its case; ConfigError with the names that there are."""
    for each in LIABILITIES:
        if each.lower() == name.lower():
            return each
    raise ConfigError(f"{name!r} is neither letters (in capitals) nor one of {', '.join(LIABILITIES)}")


def spans(pattern: str, aligned: str) -> list[list[int]]:
    """The columns of each place where a pattern stands in the letters of an aligned sequence, overlaps too."""
    columns = [column for column, letter in enumerate(aligned) if letter != "-"]
    plain = without_gaps(aligned)
    found = re.finditer(f"(?=({pattern}))", plain)
    return [columns[match.start() : match.start() + len(match.group(1))] for match in found]


def touching(name: str, aligned: str, drawn: set[int]) -> bool:
    """Whether a liability stands where a drawn column has a part in it.

    Cysteines pair, the two of the domain's core and those of many a loop with each other: one of them is free where the
    chain has an odd number.
    """
    if known(name) == FREE_CYSTEINE and aligned.count("C") % 2 == 0:
        return False
    return any(drawn & set(span) for span in spans(motif(name), aligned))
