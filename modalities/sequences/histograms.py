"""Histograms of what sequences are like: generated in orange before real ones in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modalities.sequences.alphabet import GAP, RNA, Alphabet
from modalities.sequences.frame import Frame
from modalities.sequences.metrics import pairing, properties
from modalities.sequences.objects import without_gaps
from modalities.sequences.rna_judges import fold
from modalities.sequences.structures import can_fold
from pfgm_science.figures import CSS_INCH, GENERATED, REAL, label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

PAGE = 920  # CSS pixels across a page
BARS = 30
FOLDED, LETTERS = 200, 20_000  # sequences that are folded, of so many letters together at most
ENERGY, CANONICAL = "free energy", "consensus pairs"
_UNITS = {
    "length": "letters",
    "weight": "Da",
    "isoelectric point": "pH",
    "hydropathy": "mean of Kyte and Doolittle's scale",
    "aromaticity": "share of F, W and Y",
    "instability": "index of Guruprasad",
    "charge": "at pH 7",
    "GC": "share of G and C",
    ENERGY: "kcal/mol per nucleotide",
    CANONICAL: "share that the letters can form",
}


def measured(texts: Sequence[str], alphabet: Alphabet, frame: Frame | None) -> dict[str, Array]:
    """What is counted of each sequence: properties, then of RNA how it folds, then lengths of the loops of a frame.

    The least free energy is that of the first FOLDED sequences, and there only where ViennaRNA is installed.
    """
    found = properties(texts, alphabet)
    if alphabet is RNA and frame is not None and frame.structure:
        shares = np.array([pairing([text], frame) for text in texts])
        found[CANONICAL] = shares[np.isfinite(shares)]
    if alphabet is RNA and can_fold():
        plain = [without_gaps(text) for text in texts[: foldable(texts)]]
        found[ENERGY] = np.array([fold(text)[1] / len(text) for text in plain])
    for name, first, end in loops(frame):
        found[name] = np.array([len(text[first:end]) - text[first:end].count(GAP) for text in texts])
    return found


def foldable(texts: Sequence[str]) -> int:
    """How many of the sequences are folded: fewer of longer ones, for which it takes longer."""
    longest = max((len(without_gaps(text)) for text in texts), default=1)
    return max(1, min(FOLDED, LETTERS // longest, len(texts)))


def loops(frame: Frame | None) -> list[tuple[str, int, int]]:
    """The regions of a frame that are loops of an antibody."""
    return [] if frame is None else [region for region in frame.regions if region[0].startswith("CDR")]


def sheet(real: Mapping[str, Array], generated: Mapping[str, Array]) -> Figure:
    """A histogram for everything that is measured of both."""
    names = [name for name in generated if len(generated[name]) and len(real.get(name, ()))]
    columns = min(4, max(len(names), 1))
    rows = -(-len(names) // columns)
    figure, axes = new_figure(columns * PAGE / 4 / CSS_INCH, 2.05 * rows, rows, columns)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes, names, strict=False):
        histogram(ax, name, real[name], generated[name], _UNITS.get(name, "letters"))
    return figure


def histogram(ax: Axes, name: str, real: Array, generated: Array, unit: str) -> None:
    """Shares of both sets in the same bins; of real there may be none."""
    from matplotlib.ticker import MaxNLocator

    edges = bins(np.concatenate([real, generated]))
    highest = 0.0
    for values, style in ((real, {"fill": True, "color": REAL, "alpha": 0.45}), (generated, {"color": GENERATED})):
        if len(values):
            shares = np.histogram(values, edges)[0] / len(values)
            highest = max(highest, float(shares.max()))
            ax.stairs(shares, edges, linewidth=1.4, **style)
    ax.set_ylim(0, 1.08 * max(highest, 1e-9))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    whole = float(edges[0]) % 1 == 0.5
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=whole, min_n_ticks=1 if whole else 2))
    label(ax, name, unit)


def bins(values: Array) -> Array:
    """Edges of at most BARS bins over all values: between whole numbers where they are whole, else about as many as
    their root."""
    low, high = float(values.min()), float(values.max())
    if np.all(values == np.round(values)):
        width = int((high - low) // BARS) + 1
        return np.arange(low - 0.5, high + width, width)
    return np.linspace(low, high, int(np.clip(len(values) ** 0.5, 8, BARS)) + 1)


def letters(real: Sequence[str], generated: Sequence[str], alphabet: Alphabet) -> Figure:
    """Shares of the letters, gaps left out."""
    figure, (ax,) = new_figure(max(3.0, 0.24 * len(alphabet.letters)), 2.2)
    places = np.arange(len(alphabet.letters))
    for side, (texts, colour) in enumerate(((real, REAL), (generated, GENERATED))):
        text = without_gaps("".join(texts))
        shares = [text.count(letter) / len(text) for letter in alphabet.letters]
        ax.bar(places + 0.4 * side - 0.2, shares, 0.38, color=colour, alpha=1 if side else 0.6)
    ax.set_xticks(places, list(alphabet.letters), fontsize=8)
    label(ax, "letters", "", "share")
    return figure
