"""What a person looks at: sequences letter by letter, and the parts of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modalities.sequences import histograms, logos, samples, structures
from modalities.sequences.alphabet import GAP, PROTEIN, RNA, Alphabet
from modalities.sequences.colours import colours
from modalities.sequences.novelty import candidates, nearest_columns, nearest_edits
from modalities.sequences.objects import text_of
from pfgm_science.figures import CSS_INCH, INK, MUTED, PAPER, new_figure
from pfgm_science.report import Figure as ReportFigure
from pfgm_science.report import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from modalities.sequences.adapter import Sequences

Array = np.ndarray[Any, Any]

MOST = 24  # sequences on a sheet
PAIRS = 8  # generated sequences that are shown with the nearest of the training set
FOLDS = 3  # structures of either kind that are drawn
SAME = "·"  # a letter that is that of the row above
_LETTER = 13  # CSS pixels of the height of a letter


def letters(objects: Sequence[Any], alphabet: Alphabet, title: str = "", pairs: bool = False) -> Figure:
    """The first sequences, a row each, letters in the colours of their kind. pairs: every second one is followed by a
    space."""
    from matplotlib.figure import Figure

    texts = [text_of(item) for item in objects][:MOST]
    width = max(map(len, texts))
    shown = colours(alphabet)
    rows = [row + (0.5 * (row // 2) if pairs else 0) for row in range(len(texts))]
    across = min(histograms.PAGE, max(220, width * 9 + 20))
    above = 22 if title else 4
    height = (rows[-1] + 1) * _LETTER + above + 4
    figure = Figure(figsize=(across / CSS_INCH, height / CSS_INCH), facecolor=PAPER)
    ax = figure.add_axes((0.01, 4 / height, 0.98, 1 - (above + 4) / height))
    size = min(8.0, 0.75 * 0.98 * across / width * 72 / CSS_INCH / 0.62)
    for row, text in zip(rows, texts, strict=True):
        for column, letter in enumerate(text):
            ax.text(
                column + 0.5, row + 0.5, letter, ha="center", va="center", fontsize=size, family="monospace",
                color=MUTED if letter in (GAP, SAME) else shown.get(letter, INK),
            )  # fmt: skip
    ax.set(xlim=(0, width), ylim=(rows[-1] + 1, 0))
    ax.set_axis_off()
    if title:
        figure.text(0.01, 1 - 4 / height, title, va="top", ha="left", fontsize=9, color=INK)
    return figure


def emergence(levels: Sequence[float], shares: Sequence[Array], alphabet: Alphabet) -> Figure:
    """One sequence on its way: a row a noise level with the likeliest letter of each place, the fainter the less sure.

    shares: of each symbol in each place, [length, symbols], one a level.
    """
    from matplotlib.figure import Figure

    width, shown, names = len(shares[0]), colours(alphabet), 60
    across = min(histograms.PAGE, max(220, width * 9 + 20) + names)
    height = len(levels) * _LETTER + 8
    figure = Figure(figsize=(across / CSS_INCH, height / CSS_INCH), facecolor=PAPER)
    ax = figure.add_axes((names / across, 4 / height, 1 - (names + 8) / across, 1 - 8 / height))
    size = min(8.0, 0.75 * (across - names) / width * 72 / CSS_INCH / 0.62)
    for row, (level, share) in enumerate(zip(levels, shares, strict=True)):
        ax.annotate(
            f"σ = {level:.2g}", (0, row + 0.5), (-6, 0), textcoords="offset points", ha="right", va="center",
            fontsize=7, color=MUTED,
        )  # fmt: skip
        for column, each in enumerate(share):
            letter = alphabet.symbols[int(each.argmax())]
            ax.text(
                column + 0.5, row + 0.5, letter, ha="center", va="center", fontsize=size, family="monospace",
                color=MUTED if letter == GAP else shown.get(letter, INK), alpha=float(np.clip(each.max(), 0.15, 1)),
            )  # fmt: skip
    ax.set(xlim=(0, width), ylim=(len(levels), 0))
    ax.set_axis_off()
    return figure


def on_its_way(levels: Sequence[float], shares: Sequence[Array], alphabet: Alphabet) -> Section:
    """The section of a report with `emergence` in it."""
    text = (
        "One sequence on its way from the prior to the data, at falling noise levels: what the network takes the "
        "letter of each place to be, the fainter the less sure it is."
    )
    figure = ReportFigure(emergence(levels, shares, alphabet), alt="A sequence that emerges out of noise, row by row")
    return Section("How a sequence emerges", text, [figure])


def sections(
    adapter: Sequences,
    real: Sequence[Any],
    generated: Sequence[Any],
    nearest: Sequence[Any] | None,
    distances: Array | None,
) -> list[Section]:
    """What a report shows of sequences. Where the training set is known (nearest), `novelty` has the table of them."""
    alphabet, frame = adapter.letters, adapter.frame
    ours, theirs = ([text_of(item) for item in objects] for objects in (generated, real))
    found = [_sheets(theirs, ours, alphabet)]
    if frame is not None:
        found.append(_logos(adapter, theirs, ours))
    found.append(_properties(adapter, theirs, ours))
    if alphabet is RNA:
        found += _structures(adapter, theirs, ours)
    if nearest is None:
        table = samples.table(ours[: samples.MOST], alphabet, frame, total=len(ours))
        found.append(Section("Samples", _about(adapter, len(ours)), [table]))
    return found


def novelty(
    adapter: Sequences, generated: Sequence[Any], training: Sequence[Any], held_out: Sequence[Any]
) -> list[Section]:
    """How far generated sequences are from the training set, beside held-out real ones, and the table of them."""
    ours, known, others = ([text_of(item) for item in objects] for objects in (generated, training, held_out))
    ours_shown, others_shown = ours[: samples.MOST], others[: samples.MOST]
    aligned = adapter.frame is not None

    def away(texts: Sequence[str], first: int = 0, end: int | None = None) -> tuple[Array, Array]:
        if not texts:
            return np.zeros(0), np.zeros(0, np.int64)
        if aligned:
            return nearest_columns([text[first:end] for text in texts], [text[first:end] for text in known])
        return nearest_edits(texts, known, adapter.letters)

    compared = len(known) if aligned else candidates(ours_shown, known)
    (apart, where), (floor, _) = away(ours_shown), away(others_shown)
    unit = "differing columns" if aligned else "edits"
    panels = [("all columns" if aligned else "whole sequences", floor, apart)]
    for name, first, end in histograms.loops(adapter.frame)[-1:]:
        panels.append((f"{name} alone", away(others_shown, first, end)[0], away(ours_shown, first, end)[0]))
    figure, axes = new_figure(3.6 * len(panels), 2.4, 1, len(panels))
    for ax, (name, theirs, mine) in zip(axes, panels, strict=True):
        histograms.histogram(ax, name, theirs, mine, f"{unit} to the nearest training sequence")
    shown = [text for i in range(min(PAIRS, len(ours))) for text in _pair(ours[i], known[where[i]], aligned)]
    items = [
        ReportFigure(figure, alt=f"Histograms of {unit} to the nearest training sequence, generated and held out"),
        ReportFigure(
            letters(shown, adapter.letters, pairs=True),
            f"The first {len(shown) // 2} generated sequences, each above the nearest of the training set"
            + (f"; {SAME} is the same letter." if aligned else "."),
            "Generated sequences and their nearest in the training set, letter by letter",
        ),
    ]
    table = samples.table(ours_shown, adapter.letters, adapter.frame, apart, len(ours))
    return [
        Section("Novelty", _far(apart, floor, len(known), compared, aligned), items),
        Section("Samples", _about(adapter, len(ours), unit), [table]),
    ]


def _sheets(real: Sequence[str], generated: Sequence[str], alphabet: Alphabet) -> Section:
    shown = min(len(real), len(generated), MOST)
    sheets = [
        ReportFigure(letters(texts[:shown], alphabet, name), alt=f"{shown} {name.lower()} sequences, letter by letter")
        for name, texts in (("Real", real), ("Generated", generated))
    ]
    return Section("Real and generated", "Neither is selected: these are the first of each.", sheets)


def _logos(adapter: Sequences, real: Sequence[str], generated: Sequence[str]) -> Section:
    assert adapter.frame is not None
    text = (
        f"Each column's letters in {len(real):,} real and {len(generated):,} generated sequences, as high as the "
        "information they carry (bits, small samples corrected). Columns that are often a gap are lower by as much."
    )
    if adapter.frame.structure:
        text += " Below them stands the consensus structure: brackets of one colour are a stem."
    items = [
        ReportFigure(figure, alt=f"Sequence logos of real and generated sequences{name and ', ' + name}")
        for name, figure in logos.logos(adapter.frame, adapter.letters, real, generated)
    ]
    return Section("Logos", text, items)


def _properties(adapter: Sequences, real: Sequence[str], generated: Sequence[str]) -> Section:
    theirs, ours = (histograms.measured(texts, adapter.letters, adapter.frame) for texts in (real, generated))
    text = f"Shares of {len(real):,} real sequences, in grey, and of {len(generated):,} generated ones, in orange."
    if histograms.loops(adapter.frame):
        text += " The last histograms are lengths of the loops."
    if histograms.ENERGY in ours:
        folded = (len(theirs[histograms.ENERGY]), len(ours[histograms.ENERGY]))
        text += (
            f" The free energy is the least one, folded by ViennaRNA at 37 °C, of the first {folded[0]:,} real and "
            f"{folded[1]:,} generated sequences."
        )
    items = [
        ReportFigure(histograms.sheet(theirs, ours), alt=f"Histograms of real and generated: {', '.join(ours)}"),
        ReportFigure(
            histograms.letters(real, generated, adapter.letters),
            alt="Shares of letters in real and generated sequences",
        ),
    ]
    return Section("Properties", text, items)


def _structures(adapter: Sequences, real: Sequence[str], generated: Sequence[str]) -> list[Section]:
    """Drawings of RNAs; nothing where no structure is known."""
    rows = []
    for name, texts in (("Real", real), ("Generated", generated)):
        folds = [structures.fold(text, adapter.frame) for text in texts[:FOLDS]]
        rows.append((name, [each for each in folds if each is not None]))
    if not any(folds for _, folds in rows):
        return []
    if structures.can_fold():
        text = "Each is drawn in its structure of least free energy, folded by ViennaRNA at 37 °C without pseudoknots."
        if adapter.frame is not None and adapter.frame.structure:
            text += " How many pairs of the alignment's consensus it has stands below."
    else:
        text = (
            "Each is drawn in the consensus structure of the alignment, without what pairs with a gap; none was "
            "folded (ViennaRNA does that where it is installed: pip install ViennaRNA). Dotted are pairs that its "
            "letters cannot form."
        )
    text += " Neither is selected: these are the first of each."
    figure = structures.drawings(rows, FOLDS)
    return [Section("Structures", text, [ReportFigure(figure, alt="Secondary structures of real and generated RNAs")])]


def _pair(generated: str, nearest: str, aligned: bool) -> tuple[str, str]:
    if not aligned:
        return generated, nearest
    return generated, "".join(SAME if a == b else b for a, b in zip(generated, nearest, strict=True))


def _far(apart: Array, floor: Array, known: int, compared: int, aligned: bool) -> str:
    """The novelty in words. compared: with how many of the known ones each was compared."""
    how = "In how many columns a sequence differs from" if aligned else "How many edits a sequence is away from"
    copies = int((apart == 0).sum())
    text = (
        f"{how} the nearest of {known:,} training sequences. Orange are {len(apart):,} generated ones, median "
        f"{np.median(apart):g}; {copies or 'none'} of them {'is a' if copies < 2 else 'are'} training "
        f"sequence{'s' if copies > 1 else ''}."
    )
    if len(floor):
        text += (
            f" Grey are {len(floor):,} real ones that were held out of training, median {np.median(floor):g}: a model "
            "that copies lies to the left of them, one that makes what does not occur to the right."
        )
    if compared < known:
        text += (
            f" Each is compared with the {compared:,} training sequences that have most words of letters in common "
            "with it, so that a nearer one may have been missed."
        )
    return text


def _about(adapter: Sequences, count: int, unit: str = "") -> str:
    """The table in words."""
    shown = f"the first {samples.MOST} of {count:,}" if count > samples.MOST else f"all {count:,}"
    text = f"These are {shown} generated sequences"
    text += f", those with the most {unit} to the nearest training sequence first." if unit else "."
    if adapter.letters is PROTEIN:
        where = "in the loops" if histograms.loops(adapter.frame) else "anywhere"
        text += f" Liabilities are motifs {where} that often trouble development: what to look at first, no verdict."
    return text
