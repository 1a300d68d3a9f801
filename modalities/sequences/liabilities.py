"""Motifs that trouble the development of antibodies, by the names that people ask for them with.

R. Jain et al. and others list them; these are those of M. Raybould et al., PNAS 116, 4025 (2019) and of the usual
sequence checks: what a chemist would look for first, and no verdict.
"""

from __future__ import annotations

import re

from modalities.sequences.objects import without_gaps
from pfgm_science.errors import ConfigError

LIABILITIES = {
    "N-glycosylation": "N[^P][ST]",
    "deamidation": "N[GS]",
    "isomerisation": "D[GS]",
    "cleavage": "DP",
    "free cysteine": "C",
    "oxidation": "[MW]",
    "integrin binding": "RGD",
}


def motif(name: str) -> str:
    """The pattern of a name, whatever its case; ConfigError with the names that there are."""
    for known, pattern in LIABILITIES.items():
        if known.lower() == name.lower():
            return pattern
    raise ConfigError(f"{name!r} is neither letters nor one of {', '.join(LIABILITIES)}")


def spans(pattern: str, aligned: str) -> list[list[int]]:
    """The columns of each place where a pattern stands in the letters of an aligned sequence, overlaps too."""
    columns = [column for column, letter in enumerate(aligned) if letter != "-"]
    plain = without_gaps(aligned)
    found = re.finditer(f"(?=({pattern}))", plain)
    return [columns[match.start() : match.start() + len(match.group(1))] for match in found]


def touching(name: str, aligned: str, drawn: set[int]) -> bool:
    """Whether a liability stands where a drawn column has a part in it."""
    return any(drawn & set(span) for span in spans(motif(name), aligned))
