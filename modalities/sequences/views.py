"""What a person looks at: sequences letter by letter, logos of columns, and how letters and lengths are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modalities.sequences.alphabet import GAP, Alphabet
from modalities.sequences.objects import text_of, without_gaps
from pfgm_science.figures import CSS_INCH, GENERATED, INK, MUTED, PAPER, REAL, label, new_figure
from pfgm_science.report import Figure as ReportFigure
from pfgm_science.report import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modalities.sequences.adapter import Sequences

Array = np.ndarray[Any, Any]

MOST = 24  # sequences on a sheet
PAIRS = 8  # generated sequences that are shown with the nearest of the training set
PAGE = 920  # CSS pixels across a page
ROW = 48  # columns of a logo in one row
_LETTER = 13  # CSS pixels of the height of a letter

# Groups of amino acids by their chemistry, bases each by itself.
_COLOURS = {
    **dict.fromkeys("AVLIMC", "#3f7d4e"),
    **dict.fromkeys("FWYH", "#2f6fb0"),
    **dict.fromkeys("STNQ", "#8a5aa8"),
    **dict.fromkeys("KR", "#c0392b"),
    **dict.fromkeys("DE", "#c9791a"),
    **dict.fromkeys("GP", "#6b7280"),
}
_BASES = {"A": "#3f7d4e", "C": "#2f6fb0", "G": "#c9791a", "T": "#c0392b", "U": "#c0392b"}


def colours(alphabet: Alphabet) -> dict[str, str]:
    return _COLOURS if alphabet.name == "protein" else _BASES


def letters(objects: Sequence[Any], alphabet: Alphabet, title: str = "") -> Figure:
    """The first sequences, a row each, letters in the colours of their kind."""
    from matplotlib.figure import Figure

    texts = [text_of(item) for item in objects][:MOST]
    width = max(map(len, texts))
    shown = colours(alphabet)
    across = min(PAGE, max(220, width * 9 + 20))
    height = len(texts) * _LETTER + 28
    figure = Figure(figsize=(across / CSS_INCH, height / CSS_INCH), facecolor=PAPER)
    ax = figure.add_axes((0.01, 0, 0.98, 1 - 22 / height))
    size = min(8.0, 0.75 * 0.98 * across / width * 72 / CSS_INCH / 0.62)
    for row, text in enumerate(texts):
        for column, letter in enumerate(text):
            ax.text(
                column + 0.5, row + 0.5, letter, ha="center", va="center", fontsize=size, family="monospace",
                color=MUTED if letter == GAP else shown.get(letter, INK),
            )  # fmt: skip
    ax.set(xlim=(0, width), ylim=(len(texts), 0))
    ax.set_axis_off()
    if title:
        figure.text(0.01, 1 - 4 / height, title, va="top", ha="left", fontsize=9, color=INK)
    return figure


def heights(texts: Sequence[str], alphabet: Alphabet) -> Array:
    """Information of each letter in each column, in bits, gaps left out: [columns, letters] (Schneider, Stephens 1990).

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


def logo(ax: Axes, bits: Array, alphabet: Alphabet, names: Sequence[str]) -> None:
    """Letters stacked in each column, as high as what they tell, the highest on top."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    shown = colours(alphabet)
    outlines = {}
    for letter in alphabet.letters:
        path = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans Mono", weight="bold"))
        outlines[letter] = path, path.get_extents()
    for column, row in enumerate(bits):
        base = 0.0
        for number in np.argsort(row):
            height = float(row[number])
            if height < 0.02:
                continue
            letter = alphabet.letters[number]
            path, box = outlines[letter]
            move = Affine2D().translate(-box.x0, -box.y0).scale(0.92 / box.width, height / box.height)
            placed = move.translate(column + 0.04, base).transform_path(path)
            ax.add_patch(PathPatch(placed, color=shown.get(letter, INK), linewidth=0))
            base += height
    ax.set(xlim=(0, max(len(bits), 1)), ylim=(0, np.log2(len(alphabet.letters))))
    every = max(1, len(names) // 12)
    ax.set_xticks([i + 0.5 for i in range(0, len(names), every)], list(names)[::every], fontsize=6, rotation=90)
    ax.tick_params(labelsize=6, length=2)


def logos(adapter: Sequences, real: Sequence[Any], generated: Sequence[Any]) -> Figure:
    """Real above generated, in rows of columns."""
    from matplotlib.figure import Figure

    assert adapter.frame is not None
    names = adapter.frame.columns
    starts = range(0, len(names), ROW)
    height = 150 * len(starts)
    figure = Figure(figsize=(PAGE / CSS_INCH, height / CSS_INCH), facecolor=PAPER, layout="constrained")
    axes = figure.subplots(2 * len(starts), 1, squeeze=False)[:, 0]
    for side, (objects, said) in enumerate(((real, "real"), (generated, "generated"))):
        bits = heights([text_of(item) for item in objects], adapter.letters)
        for band, start in enumerate(starts):
            ax = axes[2 * band + side]
            shown = slice(start, start + ROW)
            logo(ax, bits[shown], adapter.letters, names[shown])
            ax.set_xlim(0, ROW)
            ax.set_ylabel(f"{said}\nbits", fontsize=7)
            ax.spines[["top", "right"]].set_visible(False)
    return figure


def sections(
    adapter: Sequences,
    real: Sequence[Any],
    generated: Sequence[Any],
    nearest: Sequence[Any] | None,
    distances: Array | None,
) -> list[Section]:
    """What a report shows of sequences."""
    alphabet = adapter.letters
    shown = min(len(real), len(generated), MOST)
    sheets = [
        ReportFigure(letters(real[:shown], alphabet, "Real"), alt=f"{shown} real sequences"),
        ReportFigure(letters(generated[:shown], alphabet, "Generated"), alt=f"{shown} generated sequences"),
    ]
    found = [Section("Real and generated", "Neither is selected: these are the first of each.", sheets)]
    if adapter.aligned:
        text = (
            "Each column's letters, as high as the information they carry (bits, small samples corrected); columns "
            "that are often a gap are lower by as much."
        )
        figure = ReportFigure(logos(adapter, real, generated), alt="Sequence logos of real and generated sequences")
        found.append(Section("Logos", text, [figure]))
    histograms = [
        ReportFigure(_lengths(real, generated), alt="Lengths of real and generated sequences"),
        ReportFigure(_letters(real, generated, alphabet), alt="Shares of letters in real and generated sequences"),
    ]
    found.append(Section("Lengths and letters", "", histograms))
    if nearest is not None and distances is not None:
        pairs = [item for pair in zip(generated[:PAIRS], nearest[:PAIRS], strict=False) for item in pair]
        text = (
            "Generated sequences, each above the one of the training set that is nearest to it. A model that copies "
            "would show pairs of twins."
        )
        figure = ReportFigure(letters(pairs, alphabet), alt="Generated sequences and their nearest in the training set")
        found.append(Section("Nearest training sequences", text, [figure]))
    return found


def _lengths(real: Sequence[Any], generated: Sequence[Any]) -> Figure:
    figure, (ax,) = new_figure(4.6, 2.6)
    both = [[len(without_gaps(text_of(item))) for item in objects] for objects in (real, generated)]
    low, high = min(map(min, both)), max(map(max, both))
    bins = np.arange(low - 0.5, high + 1.5, max(1, (high - low) // 40)).tolist()
    for values, colour, said in zip(both, (REAL, GENERATED), ("real", "generated"), strict=True):
        ax.hist(values, bins, density=True, histtype="step", linewidth=1.6, color=colour, label=said)
    ax.legend(frameon=False, fontsize=8)
    label(ax, "Lengths", "letters", "density")
    return figure


def _letters(real: Sequence[Any], generated: Sequence[Any], alphabet: Alphabet) -> Figure:
    figure, (ax,) = new_figure(4.6, 2.6)
    places = np.arange(len(alphabet.letters))
    for side, (objects, colour, said) in enumerate(((real, REAL, "real"), (generated, GENERATED, "generated"))):
        text = "".join(without_gaps(text_of(item)) for item in objects)
        shares = [text.count(letter) / len(text) for letter in alphabet.letters]
        ax.bar(places + 0.4 * side - 0.2, shares, 0.38, color=colour, label=said)
    ax.set_xticks(places, list(alphabet.letters), fontsize=8)
    ax.legend(frameon=False, fontsize=8)
    label(ax, "Letters", "", "share")
    return figure
