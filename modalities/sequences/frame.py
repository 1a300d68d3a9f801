"""The frame of an alignment: what its columns are called, which regions they make up, and which of them pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modalities.sequences.alphabet import GAP
from pfgm_science.errors import ConfigError

RARE = 0.001  # columns that fewer sequences have a letter in are left out, with those sequences
OPEN, CLOSE = "([{<", ")]}>"


@dataclass(frozen=True)
class Frame:
    """Columns of aligned sequences. columns: their names, such as "H105". regions: name, first column and the one
    behind the last, in order. structure: dot-bracket, a character a column, "" where there is none. scheme: how the
    columns were numbered, in words.
    """

    columns: tuple[str, ...]
    regions: tuple[tuple[str, int, int], ...] = ()
    structure: str = ""
    scheme: str = ""

    def __post_init__(self) -> None:
        if self.structure and len(self.structure) != len(self.columns):
            raise ConfigError(f"a structure of {len(self.structure)} characters for {len(self.columns)} columns")

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Frame:
        regions = tuple((str(name), int(first), int(end)) for name, first, end in settings["regions"])
        return cls(tuple(settings["columns"]), regions, settings["structure"], settings["scheme"])

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def __len__(self) -> int:
        return len(self.columns)

    def region(self, name: str) -> range:
        """The columns of a region, "CDR-H3" or "H3" for short; ConfigError with the names that there are."""
        for known, first, end in self.regions:
            if name.lower() in (known.lower(), known.lower().removeprefix("cdr-")):
                return range(first, end)
        known_names = ", ".join(known for known, _, _ in self.regions) or "none"
        raise ConfigError(f"there is no region {name!r} in this alignment ({known_names})")

    def column(self, name: str) -> int:
        """The place of a column by its name; ConfigError where there is none."""
        if name not in self.columns:
            shown = f"{self.columns[0]} to {self.columns[-1]}" if self.columns else "none"
            raise ConfigError(f"there is no column {name!r} in this alignment ({shown})")
        return self.columns.index(name)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Columns that pair in the structure."""
        return pairs_of(self.structure)

    def take(self, kept: Sequence[int]) -> Frame:
        """The frame of these columns alone; a pair whose other half is gone is none any more."""
        places = {column: place for place, column in enumerate(kept)}
        structure = ["."] * len(kept) if self.structure else []
        for low, high in self.pairs:
            if low in places and high in places:
                structure[places[low]], structure[places[high]] = self.structure[low], self.structure[high]
        regions = []
        for name, first, end in self.regions:
            inside = [places[column] for column in range(first, end) if column in places]
            if inside:
                regions.append((name, inside[0], inside[-1] + 1))
        return Frame(tuple(self.columns[c] for c in kept), tuple(regions), "".join(structure), self.scheme)

    def beside(self, other: Frame) -> Frame:
        """The columns of this frame, then those of the other; ConfigError where one of them has a structure."""
        if self.structure or other.structure:
            raise ConfigError("frames with a structure cannot be put beside each other")
        regions = [(name, first + len(self), end + len(self)) for name, first, end in other.regions]
        return Frame(self.columns + other.columns, (*self.regions, *regions), scheme=self.scheme)


def numbered(columns: int) -> Frame:
    """The frame of an alignment of which nothing else is known: columns 1, 2, 3, ..."""
    return Frame(tuple(str(i + 1) for i in range(columns)))


def common_columns(frame: Frame, texts: list[str], rare: float = RARE) -> tuple[Frame, list[str], list[bool]]:
    """The columns that are not rare, the sequences without letters in others, and which those are."""
    letters = np.array([list(text) for text in texts]) != GAP
    often = letters.mean(0) >= rare
    kept = ~letters[:, ~often].any(1)
    columns = np.flatnonzero(often).tolist()
    shown = ["".join(text[column] for column in columns) for text, keep in zip(texts, kept, strict=True) if keep]
    return frame.take(columns), shown, kept.tolist()


def pairs_of(structure: str) -> tuple[tuple[int, int], ...]:
    """Pairs of places of a dot-bracket string, brackets of four kinds; ConfigError where they do not match."""
    stacks: dict[str, list[int]] = {bracket: [] for bracket in OPEN}
    found = []
    for place, character in enumerate(structure):
        if character in OPEN:
            stacks[character].append(place)
        elif character in CLOSE:
            stack = stacks[OPEN[CLOSE.index(character)]]
            if not stack:
                raise ConfigError(f"the structure closes a pair at {place + 1} that was not opened: {structure}")
            found.append((stack.pop(), place))
    left = [place for stack in stacks.values() for place in stack]
    if left:
        raise ConfigError(f"the structure opens a pair at {min(left) + 1} that is not closed: {structure}")
    return tuple(sorted(found))
