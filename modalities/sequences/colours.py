"""What letters are coloured by: groups of amino acids by their chemistry, bases each by itself."""

from __future__ import annotations

from modalities.sequences.alphabet import Alphabet

_AMINO_ACIDS = {
    **dict.fromkeys("AVLIMC", "#3f7d4e"),
    **dict.fromkeys("FWYH", "#2f6fb0"),
    **dict.fromkeys("STNQ", "#8a5aa8"),
    **dict.fromkeys("KR", "#c0392b"),
    **dict.fromkeys("DE", "#c9791a"),
    **dict.fromkeys("GP", "#6b7280"),
}
_BASES = {"A": "#3f7d4e", "C": "#2f6fb0", "G": "#c9791a", "T": "#c0392b", "U": "#c0392b"}
STEMS = ("#2b6cb0", "#c2410c", "#2f855a", "#805ad5", "#b7791f", "#b83280")  # of a structure, one after the other


def colours(alphabet: Alphabet) -> dict[str, str]:
    """Letter -> colour."""
    return _AMINO_ACIDS if alphabet.name == "protein" else _BASES
