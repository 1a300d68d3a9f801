"""Alphabets of sequences, and what is done with letters that are not of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pfgm_science.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]

GAP = "-"
BONDS = {"GC": 3, "AU": 2, "AT": 2, "GU": 1, "GT": 1}  # hydrogen bonds of two bases; the wobble counts as one
CANONICAL = frozenset(pair for bond in BONDS for pair in (bond, bond[::-1]))  # that pair, in either order
_GAPS = str.maketrans("._~", "---")


@dataclass(frozen=True)
class Alphabet:
    """Letters of one kind of molecule. name: "protein", "dna" or "rna"; unknown: the letters that stand for several."""

    name: str
    letters: str
    unknown: str

    @cached_property
    def symbols(self) -> str:
        """Letters and the gap, in the order of their numbers."""
        return self.letters + GAP

    @cached_property
    def _numbers(self) -> Array:
        table = np.full(128, -1, dtype=np.int64)
        for number, symbol in enumerate(self.symbols):
            table[ord(symbol)] = number
        return table

    def numbers(self, text: str) -> Array:
        """The number of each letter, the gap last: int64 [len(text)]. The text is one that `normal` gave."""
        return self._numbers[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]

    def text(self, numbers: Iterable[int]) -> str:
        return "".join(self.symbols[number] for number in numbers)

    def normal(self, text: str, changed: Counter[str] | None = None) -> str:
        """The text in capitals of this alphabet, with "-" for every gap; what was changed is counted by name.

        T and U are each other's in DNA and RNA, and the "*" of a stop codon at the end of a protein is taken away.
        Raises DataError for a text that is empty, or holds anything else, with the first place of it.
        """
        counts: Counter[str] = Counter() if changed is None else changed
        clean = text.upper().translate(_GAPS)
        if text != text.upper():
            counts["lower case made upper case"] += 1
        if self.name == "protein" and clean.endswith("*"):
            clean = clean[:-1]
            counts["stop at the end taken away"] += 1
        if self.name == "rna" and "T" in clean:
            clean = clean.replace("T", "U")
            counts["T made U"] += 1
        if self.name == "dna" and "U" in clean:
            clean = clean.replace("U", "T")
            counts["U made T"] += 1
        if not clean.strip(GAP):
            raise DataError("it is empty" if not clean else "it holds nothing but gaps")
        strange = set(clean) - set(self.symbols)
        if strange:
            raise DataError(self._refusal(clean, strange))
        return clean

    def _refusal(self, clean: str, strange: set[str]) -> str:
        place, letter = min((clean.index(letter), letter) for letter in strange)
        where = f"{letter!r} at position {place + 1}"
        if strange <= set(self.unknown):
            return f"{where} stands for several letters, or none that is known"
        if letter == "*":
            return f"{where}: a stop within a protein"
        return f"{where} is no letter of {self.name} ({self.letters})"


PROTEIN = Alphabet("protein", "ACDEFGHIKLMNPQRSTVWY", "XBZJUO")
DNA = Alphabet("dna", "ACGT", "NRYSWKMBDHV")
RNA = Alphabet("rna", "ACGU", "NRYSWKMBDHV")
ALPHABETS = {alphabet.name: alphabet for alphabet in (PROTEIN, DNA, RNA)}


def alphabet_named(name: str) -> Alphabet:
    """ConfigError for a name that is not there."""
    if name not in ALPHABETS:
        raise ConfigError(f"alphabet {name!r} is not known; there are {', '.join(ALPHABETS)}")
    return ALPHABETS[name]


def guessed(texts: Iterable[str]) -> Alphabet:
    """The alphabet of most texts: nucleic acids where nine letters in ten are theirs, RNA where U outnumbers T."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.upper())
    letters = sum(count for letter, count in counts.items() if letter.isalpha())
    nucleic = sum(counts[letter] for letter in "ACGTUN")
    if not letters or nucleic < 0.9 * letters:
        return PROTEIN
    return RNA if counts["U"] > counts["T"] else DNA
