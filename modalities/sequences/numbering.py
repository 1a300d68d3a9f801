"""Antibodies in the columns of a numbering scheme, by immunum (MIT; the extra `antibodies`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modalities.sequences.alphabet import GAP
from modalities.sequences.frame import Frame
from modalities.sequences.objects import without_gaps
from pfgm_science.errors import ConfigError, DataError, PfgmError

SCHEMES = ("imgt", "aho", "kabat", "chothia", "martin")
CHAINS = {"H": "heavy", "L": "light"}
CONSTANT = "what stands before or behind the variable domain taken away"


@dataclass(frozen=True)
class Domain:
    """A variable domain. chain: "H" or "L". letters: by column name, such as "H105". outside: letters around it."""

    chain: str
    letters: dict[str, str]
    outside: int


def number(text: str, scheme: str) -> Domain:
    """The columns of an antibody's letters; DataError with the reason for what is no variable domain.

    Of several domains in one sequence, as in an scFv, none is chosen: they are refused.
    """
    plain = without_gaps(text)
    found = _annotator(scheme).number_domains(plain)
    if found[0].error:
        raise DataError(f"it is no variable domain of an antibody: {found[0].error}")
    if len(found) > 1:
        raise DataError(f"it has {len(found)} variable domains: give one chain a record")
    (domain,) = found
    chain = "H" if domain.chain == "H" else "L"
    letters = {f"{chain}{place}": letter for place, letter in domain.numbering.items()}
    return Domain(chain, letters, len(plain) - len(letters))


def aligned(
    texts: Sequence[str], scheme: str, chain: str | None = None, changed: Counter[str] | None = None
) -> tuple[Frame | None, list[str | DataError]]:
    """The frame of all columns that occur, and each text in them, or why it is not.

    chain: "H" or "L", the one that most have if None; the others are left out. changed: is told how many had something
    around the domain. The frame is None where nothing could be numbered.
    """
    if chain is not None and chain not in CHAINS:
        raise ConfigError(f"chain {chain!r} is not known; there are {', '.join(CHAINS)}")
    domains: list[Domain | DataError] = []
    for text in texts:
        try:
            domains.append(number(text, scheme))
        except DataError as error:
            domains.append(error)
    chains = Counter(domain.chain for domain in domains if isinstance(domain, Domain))
    if not chains:
        return None, [domain for domain in domains if isinstance(domain, DataError)]
    wanted = chain or chains.most_common(1)[0][0]
    kept = [domain for domain in domains if isinstance(domain, Domain) and domain.chain == wanted]
    frame = frame_of({column for domain in kept for column in domain.letters}, wanted, scheme)
    answer: list[str | DataError] = []
    for domain in domains:
        if isinstance(domain, DataError):
            answer.append(domain)
        elif domain.chain != wanted:
            answer.append(DataError(f"it is a {CHAINS[domain.chain]} chain, the others are {CHAINS[wanted]} ones"))
        else:
            if changed is not None and domain.outside:
                changed[CONSTANT] += 1
            answer.append("".join(domain.letters.get(column, GAP) for column in frame.columns))
    return frame, answer


def framed(text: str, frame: Frame) -> str:
    """An antibody in the columns of a frame that was made by a scheme; DataError where it has letters elsewhere."""
    if frame.scheme not in SCHEMES:
        raise ConfigError(f"the columns of this model ({frame.scheme or 'no scheme'}) cannot be found by numbering")
    domain = number(text, frame.scheme)
    chain = frame.columns[0][0]
    if domain.chain != chain:
        raise DataError(f"it is a {CHAINS[domain.chain]} chain, this model makes {CHAINS.get(chain, chain)} ones")
    strange = [column for column in domain.letters if column not in set(frame.columns)]
    if strange:
        raise DataError(f"it has letters at {', '.join(strange[:5])}, where no sequence that this model knows has any")
    return "".join(domain.letters.get(column, GAP) for column in frame.columns)


def frame_of(columns: set[str], chain: str, scheme: str) -> Frame:
    """The frame of these columns, in their order along the chain, with the scheme's regions."""
    import immunum

    ordered = sorted(columns, key=lambda column: _order(column[1:], scheme))
    bounds = immunum.regions_for(scheme, "H" if chain == "H" else "K")
    regions = []
    for name, (low, high) in bounds.items():
        inside = [i for i, column in enumerate(ordered) if low <= _order(column[1:], scheme)[0] <= high]
        if inside:
            regions.append((f"{name[:-1].upper()}-{chain}{name[-1]}", inside[0], inside[-1] + 1))
    return Frame(tuple(ordered), tuple(regions), scheme=scheme)


def _order(place: str, scheme: str) -> tuple[int, int]:
    """Position and rank of an insertion: 111B is behind 111A, but in IMGT 112B is before 112A, and that before 112."""
    digits = place.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    rank = sum(ord(letter) - 64 for letter in place[len(digits) :])
    return int(digits), -rank if scheme == "imgt" and digits == "112" else rank


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
