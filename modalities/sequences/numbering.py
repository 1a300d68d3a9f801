"""Antibodies in the columns of a numbering scheme, by immunum (MIT; the extra `antibodies`).

A sample is one variable domain, heavy or light, or a pair of both: its row is the heavy columns, then the light ones.
Single-domain antibodies of camelids (VHH) are heavy ones.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modalities.sequences.alphabet import GAP
from modalities.sequences.files.pairs import halves
from modalities.sequences.frame import Frame
from modalities.sequences.objects import without_gaps
from pfgm_science.errors import ConfigError, DataError, PfgmError

SCHEMES = ("imgt", "aho", "kabat", "chothia", "martin")
CHAINS = {"H": "heavy", "L": "light"}
PAIRED = "paired"  # in place of a chain: both, in one sample
CONSTANT = "what stands before or behind the variable domain taken away"
_REVERSED = ("33", "61", "112")  # IMGT positions with insertions before them, the last letter first
_BOTH = "HL"

Sample = tuple["Domain", ...]


@dataclass(frozen=True)
class Domain:
    """A variable domain. locus: IGH, IGK or IGL. columns: the name of each letter's column, such as "H105". text: the
    letters. outside: how many letters stood around it.
    """

    locus: str
    columns: tuple[str, ...]
    text: str
    outside: int = 0

    @property
    def chain(self) -> str:
        """ "H" or "L"."""
        return _chain(self.locus[-1])


def number(text: str, scheme: str) -> Domain:
    """The columns of an antibody's letters; DataError with the reason for what is no variable domain.

    Of several domains in one sequence, as in an scFv, none is chosen: they are refused.
    """
    found = _domains(text, scheme)
    if len(found) > 1:
        raise DataError(
            f"it has {len(found)} variable domains: give one chain a record, or read pairs (--read chain={PAIRED})"
        )
    return found[0]


def pair(text: str, scheme: str) -> Sample:
    """The heavy and the light domain of a text, whichever is first; DataError with the reason where it is no pair.

    The two follow one another, with a linker between them or not, or have ":" or "/" between them. A light domain whose
    first letter is missing can take the last one of a linker for it.
    """
    parts = halves(text)
    found = _domains(text, scheme) if len(parts) == 1 else [number(part, scheme) for part in parts]
    counts = Counter(domain.chain for domain in found)
    if counts != Counter(_BOTH):
        have = f"{counts['H']} heavy and {counts['L']} light variable domains"
        raise DataError(f"it has {have}: a pair is one of each")
    return tuple(sorted(found, key=lambda domain: domain.chain))


def aligned(
    texts: Sequence[str], scheme: str, chain: str | None = None, changed: Counter[str] | None = None
) -> tuple[Frame | None, list[str | DataError]]:
    """The frame of all columns that occur, and each text in them, or why it is not.

    chain: "H" or "L", the one that most have if None; the others are left out. "paired": both in each text, see `pair`.
    changed: is told how many had something around the domain. The frame is None where nothing could be numbered.
    """
    if chain is not None and chain not in (*CHAINS, PAIRED):
        raise ConfigError(f"chain {chain!r} is not known; there are {', '.join(CHAINS)} and {PAIRED}")
    samples = [_attempt(text, scheme, chain == PAIRED) for text in texts]
    if chain is None:
        often = Counter(sample[0].chain for sample in samples if not isinstance(sample, DataError))
        chain = often.most_common(1)[0][0] if often else "H"
    if chain != PAIRED:
        samples = [_of_chain(sample, chain) for sample in samples]
    if changed is not None:
        around = sum(any(domain.outside for domain in s) for s in samples if not isinstance(s, DataError))
        changed.update({CONSTANT: around} if around else {})
    frame, rows = together([sample for sample in samples if not isinstance(sample, DataError)], scheme)
    left = iter(rows)
    return frame, [sample if isinstance(sample, DataError) else next(left) for sample in samples]


def together(samples: Sequence[Sample], scheme: str) -> tuple[Frame | None, list[str]]:
    """The frame of all columns that occur, and each sample in them; samples have the same chains. None for none."""
    frame: Frame | None = None
    for domains in zip(*samples, strict=True):
        own = frame_of({column for domain in domains for column in domain.columns}, domains[0].chain, scheme)
        frame = own if frame is None else frame.beside(own)
    return frame, [] if frame is None else [_row(sample, frame) for sample in samples]


def framed(text: str, frame: Frame) -> str:
    """An antibody in the columns of a frame that was made by a scheme; DataError where it has letters elsewhere.

    Where the frame is one of pairs, so is the text (see `pair`).
    """
    if frame.scheme not in SCHEMES:
        raise ConfigError(f"the columns of this model ({frame.scheme or 'no scheme'}) cannot be found by numbering")
    if heavy_columns(frame):
        sample = pair(text, frame.scheme)
    else:
        sample = (number(text, frame.scheme),)
        chain = frame.columns[0][0]
        if sample[0].chain != chain:
            named = CHAINS.get(chain, chain)
            raise DataError(f"it is a {CHAINS[sample[0].chain]} chain, this model makes {named} ones")
    known = set(frame.columns)
    strange = [column for domain in sample for column in domain.columns if column not in known]
    if strange:
        raise DataError(f"it has letters at {', '.join(strange[:5])}, where no sequence that this model knows has any")
    return _row(sample, frame)


def heavy_columns(frame: Frame | None) -> int:
    """How many columns of a frame of pairs are the heavy chain's, the first ones; 0 for any other frame."""
    if frame is None or frame.scheme not in SCHEMES:
        return 0
    chains = [column[0] for column in frame.columns]
    return chains.index("L") if set(chains) == set(_BOTH) else 0


def frame_of(columns: set[str], chain: str, scheme: str) -> Frame:
    """The frame of these columns of one chain, in their order along it, with the scheme's regions."""
    import immunum

    ordered = sorted(columns, key=lambda column: _order(column[1:], scheme))
    bounds = immunum.regions_for(scheme, "H" if chain == "H" else "K")
    regions = []
    for name, (low, high) in bounds.items():
        inside = [i for i, column in enumerate(ordered) if low <= _order(column[1:], scheme)[0] <= high]
        if inside:
            regions.append((f"{name[:-1].upper()}-{chain}{name[-1]}", inside[0], inside[-1] + 1))
    return Frame(tuple(ordered), tuple(regions), scheme=scheme)


def _attempt(text: str, scheme: str, paired: bool) -> Sample | DataError:
    try:
        return pair(text, scheme) if paired else (number(text, scheme),)
    except DataError as error:
        return error


def _of_chain(sample: Sample | DataError, chain: str) -> Sample | DataError:
    """The sample, or that it is of the other chain."""
    if isinstance(sample, DataError) or sample[0].chain == chain:
        return sample
    return DataError(f"it is a {CHAINS[sample[0].chain]} chain, the others are {CHAINS[chain]} ones")


def _row(sample: Sample, frame: Frame) -> str:
    letters = {column: letter for domain in sample for column, letter in zip(domain.columns, domain.text, strict=True)}
    return "".join(letters.get(column, GAP) for column in frame.columns)


def _domains(text: str, scheme: str) -> list[Domain]:
    plain = without_gaps(text)
    found = _annotator(scheme).number_domains(plain)
    if found[0].error:
        raise DataError(f"it is no variable domain of an antibody: {found[0].error}")
    outside = len(plain) - sum(len(each.numbering) for each in found)
    domains = []
    for each in found:
        # The same few hundred names in every domain, each kept once.
        columns = tuple(sys.intern(_chain(each.chain) + place) for place in each.numbering)
        domains.append(Domain(f"IG{each.chain}", columns, "".join(each.numbering.values()), outside))
    return domains


def _chain(letter: str) -> str:
    return "H" if letter == "H" else "L"


def _order(place: str, scheme: str) -> tuple[int, int]:
    """Position and rank of an insertion: 111B is behind 111A, but in IMGT 112B is before 112A, and that before 112."""
    digits = place.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    rank = sum(ord(letter) - 64 for letter in place[len(digits) :])
    return int(digits), -rank if scheme == "imgt" and digits in _REVERSED else rank


@lru_cache
def _annotator(scheme: str) -> Any:
    if scheme not in SCHEMES:
        raise ConfigError(f"numbering {scheme!r} is not known; there are {', '.join(SCHEMES)}")
    try:
        from immunum import Annotator
    except ImportError as error:
        raise PfgmError(
            f"numbering antibodies needs immunum ({error}): pip install 'pfgm-science[antibodies]'"
        ) from None
    return Annotator(chains=["ig"], scheme=scheme)
