"""Sequence logos: letters of columns, as high as what they tell (T. Schneider, R. Stephens, NAR 18, 6097 (1990))."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from modalities.sequences.alphabet import Alphabet
from modalities.sequences.colours import STEMS, colours
from modalities.sequences.frame import Frame
from modalities.sequences.structures import stems
from pfgm_science.figures import CSS_INCH, INK, LINE, MUTED, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

ROW = 48  # columns of a logo in one row
COLUMN = 18  # CSS pixels across a column
_LEFT, _RIGHT, _TITLE, _LOGO, _GAP, _STRUCTURE = 46, 8, 22, 72, 10, 16  # CSS pixels
_LEAST = 0.02  # bits of the lowest letter that is drawn


def heights(texts: Sequence[str], alphabet: Alphabet) -> Array:
    """Information of each letter in each column, in bits, gaps left out: [columns, letters].

    The small-sample correction is taken off; columns that are mostly gaps are scaled by the share that have a letter.
    """
    numbers = np.array([alphabet.numbers(text) for text in texts])
    size = len(alphabet.letters)
    counts = np.stack([(numbers == letter).sum(0) for letter in range(size)], 1).astype(float)
    total = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(total, 1)
    entropy = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(1, keepdims=True)
    correction = (size - 1) / (2 * np.log(2) * np.maximum(total, 1))
    information = np.maximum(np.log2(size) - entropy - correction, 0)
    bits: Array = shares * information * total / len(texts)
    return bits


def stretches(frame: Frame) -> list[tuple[str, range]]:
    """The regions of a frame, and under the name "" the columns between them: all columns, in order."""
    found, place = [], 0
    for name, first, end in (*frame.regions, ("", len(frame), len(frame))):
        if place < first:
            found.append(("", range(place, first)))
        if first < end:
            found.append((name, range(first, end)))
        place = end
    return found


def logos(frame: Frame, alphabet: Alphabet, real: Sequence[str], generated: Sequence[str]) -> list[tuple[str, Figure]]:
    """Each stretch of the frame, with its name: real above generated, their structure and columns below.

    Longer ones than ROW columns are broken.
    """
    sides = (("real", heights(real, alphabet)), ("generated", heights(generated, alphabet)))
    shades = _shades(frame)
    return [(name, _stretch(name, columns, frame, alphabet, sides, shades)) for name, columns in stretches(frame)]


def logo(ax: Axes, bits: Array, alphabet: Alphabet) -> None:
    """Letters stacked in each column, as high as what they tell, the highest on top; column k from k to k + 1."""
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    shown = colours(alphabet)
    for column, row in enumerate(bits):
        base = 0.0
        for number in np.argsort(row):
            height = float(row[number])
            if height < _LEAST:
                continue
            letter = alphabet.letters[number]
            path, box = _outline(letter)
            move = Affine2D().translate(-box.x0, -box.y0).scale(0.92 / box.width, height / box.height)
            placed = move.translate(column + 0.04, base).transform_path(path)
            ax.add_patch(PathPatch(placed, color=shown.get(letter, INK), linewidth=0))
            base += height
    ax.set(xlim=(0, max(len(bits), 1)), ylim=(0, np.log2(len(alphabet.letters))))


@lru_cache
def _outline(letter: str) -> tuple[Any, Any]:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans Mono", weight="bold"))
    return path, path.get_extents()


def _shades(frame: Frame) -> dict[int, str]:
    """Column -> colour of the stem that it is part of."""
    found = {}
    for number, stem in enumerate(stems(frame.pairs)):
        for column in (column for pair in stem for column in pair):
            found[column] = STEMS[number % len(STEMS)]
    return found


def _stretch(
    name: str,
    columns: range,
    frame: Frame,
    alphabet: Alphabet,
    sides: Sequence[tuple[str, Array]],
    shades: dict[int, str],
) -> Figure:
    from matplotlib.figure import Figure

    bands = [columns[i : i + ROW] for i in range(0, len(columns), ROW)]
    width = _LEFT + COLUMN * len(bands[0]) + _RIGHT
    structure = _STRUCTURE if frame.structure else 0
    names = 20 + 5 * max(len(frame.columns[column]) for column in columns)  # small letters that stand on end
    band = len(sides) * (_LOGO + _GAP) - _GAP + structure + names
    title = _TITLE if name else 6
    height = title + band * len(bands)
    figure = Figure(figsize=(width / CSS_INCH, height / CSS_INCH), facecolor=PAPER)
    if name:
        figure.text(6 / width, 1 - 4 / height, name, va="top", fontsize=9.5, color=INK)
    for number, shown in enumerate(bands):
        top = title + number * band
        across = COLUMN * len(shown)
        for k, (said, bits) in enumerate(sides):
            low = top + (k + 1) * _LOGO + k * _GAP
            ax = figure.add_axes((_LEFT / width, 1 - low / height, across / width, _LOGO / height))
            logo(ax, bits[shown.start : shown.stop], alphabet)
            _axis(ax, said)
        for k, column in enumerate(shown):
            x = (_LEFT + COLUMN * (k + 0.5)) / width
            if structure:
                figure.text(
                    x, 1 - (low + 9) / height, frame.structure[column], ha="center", va="center", fontsize=9,
                    family="monospace", weight="bold", color=shades.get(column, MUTED),
                )  # fmt: skip
            below = 1 - (low + structure + 4) / height
            figure.text(x, below, frame.columns[column], ha="center", va="top", fontsize=6, rotation=90, color=MUTED)
    return figure


def _axis(ax: Axes, said: str) -> None:
    top = ax.get_ylim()[1]
    ax.set_xticks([])
    ax.set_yticks([0, int(top)])
    ax.tick_params(labelsize=6.5, length=2, colors=MUTED, color=LINE)
    ax.set_ylabel(f"{said}\nbits", fontsize=7, color=MUTED, labelpad=1)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["bottom", "left"]].set_color(LINE)
