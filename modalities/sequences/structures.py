"""Secondary structures of RNAs: which bases pair, where they stand on paper, and how they are drawn.

Structures are folded by ViennaRNA (R. Lorenz et al., Algorithms Mol. Biol. 6, 26 (2011)) where it is installed, else
they are the consensus of the alignment.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modalities.sequences import rna_judges
from modalities.sequences.alphabet import CANONICAL, GAP, RNA
from modalities.sequences.colours import colours
from modalities.sequences.frame import Frame, pairs_of
from pfgm_science.figures import CSS_INCH, GENERATED, INK, MUTED, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
Pairs = Sequence[tuple[int, int]]

WIDTH = 1.4  # between the two bases of a pair, in units of the distance between neighbours
PANEL = 300  # CSS pixels of the side of a drawing
_FOOT = 34  # CSS pixels for the words below a drawing
_POINT = 72 / CSS_INCH


@dataclass(frozen=True)
class Fold:
    """An RNA and one structure of it. letters: without gaps; pairs: of places; note: what it is, in a few words."""

    letters: str
    pairs: tuple[tuple[int, int], ...]
    note: str = ""


def can_fold() -> bool:
    """Whether ViennaRNA is installed."""
    return importlib.util.find_spec("RNA") is not None


def consensus(frame: Frame, text: str) -> tuple[tuple[int, int], ...]:
    """The pairs of a frame between the letters of an aligned sequence, as places without gaps."""
    return frame.take([column for column, letter in enumerate(text) if letter != GAP]).pairs


def possible(letters: str, pair: tuple[int, int]) -> bool:
    """Whether two letters pair as Watson and Crick have it, or wobble."""
    return letters[pair[0]] + letters[pair[1]] in CANONICAL


def fold(text: str, frame: Frame | None) -> Fold | None:
    """The structure of least free energy where ViennaRNA is installed, else the frame's; None where there is neither.

    The note tells the energy, and how many of the consensus pairs are formed.
    """
    letters = text.replace(GAP, "")
    expected = consensus(frame, text) if frame is not None and frame.structure else ()
    if can_fold():
        structure, energy = rna_judges.fold(letters)
        pairs = pairs_of(structure)
        note = f"{energy:.1f} kcal/mol".replace("-", "−")
        if expected:
            note += f"\n{len(set(pairs) & set(expected))} of {len(expected)} consensus pairs"
        return Fold(letters, pairs, note)
    if not expected:
        return None
    formed = sum(possible(letters, pair) for pair in expected)
    return Fold(letters, expected, f"{formed} of {len(expected)} consensus pairs can form")


def nested(pairs: Pairs) -> list[tuple[int, int]]:
    """The pairs without those that cross one before them: what can be laid out in the plane."""
    kept: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if not any(first < low < last < high for first, last in kept):
            kept.append((low, high))
    return kept


def stems(pairs: Pairs) -> list[list[tuple[int, int]]]:
    """Pairs that follow each other, with nothing but unpaired places between: the stems, in their order."""
    paired = {place for pair in pairs for place in pair}
    found: list[list[tuple[int, int]]] = []
    for low, high in sorted(pairs):
        if found:
            before, behind = found[-1][-1]
            between = [*range(before + 1, low), *range(high + 1, behind)]
            if before < low < high < behind and not paired.intersection(between):
                found[-1].append((low, high))
                continue
        found.append([(low, high)])
    return found


def radial(length: int, pairs: Pairs) -> Array:
    """Where the bases stand: [length, 2], neighbours about 1 apart, ends on top; counterclockwise from the 5' end.

    Stems are ladders. Each loop is a circle whose parts have sectors of their own, seen from its centre, and as small
    as lets all of them fit in: no two bases stand on one spot, and those of a pair are WIDTH apart. Of pairs that cross
    the one that begins first is laid out.
    """
    flat = nested(pairs)
    partner = dict(flat)
    branches: dict[int, Array] = {}  # first base of a pair -> places of all bases from it to the other one
    for low, high in sorted(flat, key=lambda pair: pair[1] - pair[0]):
        parts = _parts(low + 1, high, partner, branches)
        stacked = partner.get(low + 1) == high - 1
        inside = parts[0] + np.array([1, 0]) if stacked else _loop(parts)  # a step down the ladder, or around
        branches[low] = np.concatenate([[(0, WIDTH / 2)], inside, [(0, -WIDTH / 2)]])
    places = _loop(_parts(0, length, partner, branches)) * (1, -1)
    middle = places.mean(0) if length else np.zeros(2)
    across, down = middle / max(float(np.linalg.norm(middle)), 1e-9)
    return np.asarray(places @ np.array([[-down, -across], [across, -down]]))


def _parts(start: int, end: int, partner: dict[int, int], branches: dict[int, Array]) -> list[Array]:
    """What stands between two places: branches, and bases by themselves as branches of one."""
    parts, place = [], start
    while place < end:
        parts.append(branches[place] if place in partner else np.zeros((1, 2)))
        place = partner.get(place, place) + 1
    return parts


def _loop(parts: Sequence[Array]) -> Array:
    """The places of a loop's parts; the pair that closes it stands across the origin, its loop to the right."""
    if not parts:
        return np.zeros((0, 2))
    small = WIDTH / 2 * 1.01
    large = small
    while _room(large, parts)[0] < 0:
        small, large = large, 2 * large
    for _ in range(30):
        middle = (small + large) / 2
        small, large = (middle, large) if _room(middle, parts)[0] < 0 else (small, middle)
    spare, sectors = _room(large, parts)
    centre = math.sqrt(large**2 - (WIDTH / 2) ** 2)
    gap = 1 / large + spare / (len(parts) + 1)
    angle = math.pi - math.asin(WIDTH / 2 / large)
    placed = []
    for part, (low, high) in zip(parts, sectors, strict=True):
        angle -= gap + high
        reach = large if len(part) == 1 else centre
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        placed.append((part + np.array([reach, 0])) @ turn + np.array([centre, 0]))
        angle += low
    return np.concatenate(placed)


def _room(radius: float, parts: Sequence[Array]) -> tuple[float, list[tuple[float, float]]]:
    """The angle that is left of a loop of this radius, below 0 where it is too small, and the sector of each part."""
    centre = math.sqrt(radius**2 - (WIDTH / 2) ** 2)
    sectors = []
    for part in parts:
        angles = np.arctan2(part[:, 1], part[:, 0] + centre) if len(part) > 1 else np.zeros(1)
        sectors.append((float(angles.min()), float(angles.max())))
    taken = 2 * math.asin(WIDTH / 2 / radius) + (len(parts) + 1) / radius
    return 2 * math.pi - taken - sum(high - low for low, high in sectors), sectors


def drawings(rows: Sequence[tuple[str, Sequence[Fold]]], columns: int) -> Figure:
    """Structures in panels, a row under a title: bases as coloured discs, with their letters where there is room."""
    from matplotlib.figure import Figure

    title, tall = 24, PANEL + _FOOT
    height = len(rows) * (title + tall)
    figure = Figure(figsize=(columns * PANEL / CSS_INCH, height / CSS_INCH), facecolor=PAPER)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, columns * PANEL), ylim=(height, 0))
    ax.set_axis_off()
    for number, (name, folds) in enumerate(rows):
        top = number * (title + tall)
        ax.text(4, top + 4, name, va="top", fontsize=9.5, color=INK)
        for column, each in enumerate(folds):
            _draw(ax, each, np.array([column * PANEL, top + title]))
            where = (column + 0.5) * PANEL, top + title + PANEL + 2
            ax.text(*where, each.note, ha="center", va="top", fontsize=7.5, color=MUTED, linespacing=1.3)
    return figure


def _draw(ax: Axes, each: Fold, corner: Array) -> None:
    """In a square of PANEL pixels."""
    from matplotlib.collections import LineCollection

    places, scale = _fitted(radial(len(each.letters), each.pairs))
    places = places + corner
    disc = min(0.78 * scale, 15)
    ax.plot(*places.T, color="#b8bec9", linewidth=max(0.09 * scale, 0.5) * _POINT * 1.3, zorder=1)
    for formed, colour, dashes, width in ((True, INK, "-", 0.07), (False, GENERATED, (0, (1, 1)), 0.12)):
        ends = [places[list(pair)] for pair in each.pairs if possible(each.letters, pair) is formed]
        lines = LineCollection(ends, colors=colour, linestyles=[dashes], linewidths=max(width * scale, 0.5), zorder=2)
        ax.add_collection(lines, autolim=False)
    shown = colours(RNA)
    faces = [shown[letter] for letter in each.letters]
    ax.scatter(places[:, 0], places[:, 1], s=(disc * _POINT) ** 2, c=faces, linewidths=0, zorder=3)
    if disc >= 7:
        size = 0.62 * disc * _POINT
        for (x, y), letter in zip(places, each.letters, strict=True):
            ax.text(x, y, letter, ha="center", va="center_baseline", fontsize=size, color=PAPER, weight="bold")
    for place, beside, name in ((0, 1, "5′"), (-1, -2, "3′")):
        away = places[place] - (places[beside] if len(places) > 1 else places.mean(0))
        x, y = places[place] + away / max(float(np.linalg.norm(away)), 1e-9) * (disc / 2 + 8)
        ax.text(x, y, name, ha="center", va="center", fontsize=7, color=MUTED, zorder=4)


def _fitted(places: Array) -> tuple[Array, float]:
    """Places in the middle of a square of PANEL pixels, y downwards, and how many pixels 1 is."""
    margin = 20
    flipped = places * (1, -1)
    low, high = flipped.min(0), flipped.max(0)
    scale = float(min((PANEL - 2 * margin) / max(float((high - low).max()), 1e-9), 20))
    return (flipped - (low + high) / 2) * scale + PANEL / 2, scale
