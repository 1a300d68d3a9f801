"""What a person listens to and looks at: players of real and of generated sounds, their spectra, levels and lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modalities.audio.levels import sounding_part
from modalities.audio.objects import Clip, checked
from modalities.audio.players import LOUDNESS, Cell, level, listening_table, wall
from modalities.audio.spectra import mel_edges, mel_means, power, scale
from modalities.audio.spectrograms import grid, spectrogram
from pfgm_science.errors import DataError
from pfgm_science.figures import GENERATED, INK, REAL, label, new_figure
from pfgm_science.report import Figure as ReportFigure
from pfgm_science.report import Item, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["grid", "listening_table", "on_its_way", "sections", "shown", "spectrogram"]

Array = np.ndarray[Any, Any]

MOST = 10  # players of either kind
PAIRS = 6  # generated clips beside the nearest of the training set
MEASURED = 500  # clips of either kind that are measured for the figures
BANDS = 64  # of a mel spectrum
QUIET, SILENCE = -100.0, -70.0  # dB of full scale: the least that is shown of a spectrum, and of a level
SILENT = -50.0  # dB below the loudest moment of a clip, from where on it has ended


def shown(clips: Sequence[Clip], title: str = "") -> list[Item]:
    """Players of all of these clips, as items of a section."""
    return [wall(clips, title=title, caption=LOUDNESS)]


def sections(
    real: Sequence[Clip], generated: Sequence[Clip], nearest: Sequence[Clip] | None, distances: Array | None
) -> list[Section]:
    """What a report shows of sounds: players of both, the nearest training clips if they are known, and what can be
    measured of both without a model.

    distances: [n], of generated to nearest, in the features that the measures compare. Raises DataError where there are
    no clips of one kind, and for what is no clip.
    """
    theirs, ours = checked(real), checked(generated)
    if not theirs or not ours:
        raise DataError(f"{len(theirs)} real and {len(ours)} generated sounds: a report needs one of each at least")
    count = min(len(theirs), len(ours), MOST)
    text = f"Neither is selected: these are the first of each. {LOUDNESS}"
    walls = [wall(theirs[:count], title="Real"), wall(ours[:count], title="Generated")]
    found = [Section("Real and generated", text, walls)]
    if nearest is not None and distances is not None:
        found.append(_nearest(ours, checked(nearest), distances))
    return [*found, _measured(theirs[:MEASURED], ours[:MEASURED])]


def on_its_way(panels: Sequence[tuple[float, Clip, Clip]]) -> Section:
    """The section of a report that shows one clip emerge: a row a noise level, what the network is given beside what
    it takes the finished clip to be.

    panels: (noise level sigma, state, estimate), the last one at sigma 0, where both are the sample.
    """
    text = (
        "One clip on its way from the prior to the data, at falling noise levels: what the network is given, and what "
        "it takes the finished clip to be."
    )
    rows: list[tuple[str, list[Cell]]] = [
        (f"σ = {sigma:.2g}" if sigma else "sample", [state if sigma else None, estimate])
        for sigma, state, estimate in panels
    ]
    table = listening_table(rows, ("given", "taken to be"), "noise level")
    return Section("How a clip emerges", text, [table])


def spectra(clips: Sequence[Clip], highest: float) -> tuple[Array, Array]:
    """Mean power of every clip in mel bands up to `highest` Hz: centres of the bands in Hz [BANDS], dB [n, BANDS].

    The mean over time is one of power; clips of a lower rate than 2 highest are not allowed. QUIET is the least.
    """
    found = []
    for clip in clips:
        window = int(2 ** max(6, round(math.log2(0.064 * clip.rate))))
        mean = power(clip.plain, window, window // 2).mean(dim=(0, 2)) * scale(window)
        found.append((mean @ mel_means(BANDS, highest, window // 2 + 1, clip.rate)).double().numpy())
    least = 10 ** (QUIET / 10)
    return mel_edges(BANDS, highest)[1:-1].numpy(), 10 * np.log10(np.maximum(np.stack(found), least))


def sounding(clip: Clip) -> float:
    """Seconds from the start of a clip to where it stays 50 dB below its loudest moment (10 ms); 0 for silence."""
    return sounding_part(clip.plain, clip.rate, SILENT)[1] / clip.rate if clip.plain.any() else 0.0


def _nearest(generated: Sequence[Clip], nearest: Sequence[Clip], distances: Array) -> Section:
    text = (
        "Beside each generated clip, the one of the training set that is nearest to it in the features that the "
        "measures compare, with its distance in them. A model that copies would bring pairs of twins at distance 0."
    )
    rows: list[tuple[str, list[Cell]]] = [
        (str(i + 1), [ours, (theirs, f"distance {away:.3g}")])
        for i, (ours, theirs, away) in enumerate(zip(generated[:PAIRS], nearest, distances, strict=False))
    ]
    return Section("Nearest training clips", text, [listening_table(rows, ("generated", "nearest in training set"))])


def _measured(real: Sequence[Clip], generated: Sequence[Clip]) -> Section:
    text = (
        f"Grey is real ({len(real):,} clips), orange is generated ({len(generated):,}). The spectrum is the power of "
        "a clip in mel bands, as loud as it is: the line is the median over clips, and 80% of the clips lie in the "
        "shade. The level is the RMS where a clip sounds; it lasts until it stays 50 dB below its loudest moment."
    )
    items = [
        ReportFigure(_spectra(real, generated), alt="Mel spectra of real and generated clips: median and 80% range"),
        ReportFigure(_histograms(real, generated), alt="Histograms of level and duration, real and generated"),
    ]
    return Section("Spectrum, level and duration", text, items)


def _spectra(real: Sequence[Clip], generated: Sequence[Clip]) -> Figure:
    figure, (ax,) = new_figure(4.6, 3.0)
    highest = min(clip.rate for clip in (*real, *generated)) / 2
    for name, clips, colour in (("real", real, REAL), ("generated", generated, GENERATED)):
        centres, levels = spectra(clips, highest)
        low, middle, high = np.quantile(levels, (0.1, 0.5, 0.9), axis=0)
        mels = np.log1p(centres / 700)
        ax.fill_between(mels, low, high, color=colour, alpha=0.22, linewidth=0)
        ax.plot(mels, middle, color=colour, linewidth=1.6, label=name)
    ticks = [each for each in (0, 200, 500, 1000, 2000, 4000, 8000, 16000, 32000) if each <= highest]
    ax.set_xticks(np.log1p(np.array(ticks) / 700), [_hertz(each) for each in ticks])
    ax.set_xlim(0, np.log1p(highest / 700))
    ax.legend(frameon=False, fontsize=8, labelcolor=INK)
    label(ax, "Spectrum", "frequency (mel scale)", "dB of full scale")
    return figure


def _histograms(real: Sequence[Clip], generated: Sequence[Clip]) -> Figure:
    figure, axes = new_figure(4.6, 3.0, 1, 2)
    panels = (("Level", "dB RMS", _level), ("Duration", "seconds", sounding))
    for ax, (name, unit, measure) in zip(axes, panels, strict=True):
        theirs, ours = (np.array([measure(clip) for clip in clips]) for clips in (real, generated))
        _histogram(ax, theirs, ours)
        label(ax, name, unit, "")
    axes[0].set_ylabel("share of clips", fontsize=8.5)
    axes[0].yaxis.label.set_color(axes[0].xaxis.label.get_color())
    return figure


def _level(clip: Clip) -> float:
    return max(level(clip), SILENCE)


def _histogram(ax: Axes, real: Array, generated: Array) -> None:
    from matplotlib.ticker import MaxNLocator

    both = np.concatenate([real, generated])
    middle, reach = (both.min() + both.max()) / 2, max(np.ptp(both), 1e-3 * max(1.0, float(np.abs(both).max()))) / 2
    bars = int(np.clip(min(len(real), len(generated)) ** 0.5, 8, 30))
    edges = np.linspace(middle - reach, middle + reach, bars + 1)
    ax.stairs(np.histogram(real, edges)[0] / len(real), edges, color=REAL, alpha=0.45, fill=True)
    ax.stairs(np.histogram(generated, edges)[0] / len(generated), edges, color=GENERATED, linewidth=1.4)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))


def _hertz(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
