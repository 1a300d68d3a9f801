"""Spectrograms: the power of a sound by time and frequency, in decibels, and pictures of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from modalities.audio.objects import Clip, checked
from modalities.audio.spectra import power
from pfgm_science.errors import DataError
from pfgm_science.figures import CSS_INCH, INK, LINE, MUTED, PAPER, label, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

REACH = 80.0  # dB from the loudest down to the end of the colour scale
FLOOR = -160.0  # dB of what has no power at all
MOST = 12  # clips on a sheet
COLUMNS = 4  # of them in a row
FRAMES = 600  # of a spectrogram, about: more could not be seen
COLOURS = "magma"
_WINDOW = 0.024  # seconds: harmonics of a voice stand apart, and so do its syllables' beginnings
_WIDE, _HIGH, _STRIP, _LEFT = 194, 92, 30, 38  # CSS pixels of a clip on a sheet, its outline, and the margin
_SMALL, _SHADES = (96, 220), 64  # bins and frames of a thumbnail at most, and its colours: pages hold many
_NOTHING = "#f1f2f4"  # where a clip has no frequency or has ended


def decibels(clip: Clip) -> Array:
    """Power of a clip by frequency and time: [bins, frames] float64, dB, where a sine of full scale has 0.

    Bins run evenly from 0 Hz to half the sample rate, frames evenly from the first sample to the last. Hann windows of
    about 24 ms; of two channels the mean. What has less than FLOOR is given as FLOOR.
    """
    window = _window(clip.rate)
    apart = max(window // 8, -(-clip.samples // FRAMES))
    hop = min(apart, window // 2)
    found = power(clip.plain, window, hop, size=2 * window).double().mean(0) * (4 / window) ** 2
    if apart >= 2 * hop:  # frames farther apart than a window would pass over what lies between
        found = torch.nn.functional.avg_pool1d(found, apart // hop, ceil_mode=True)
    return np.asarray(10 * found.clamp(min=10 ** (FLOOR / 10)).log10())


def spectrogram(clip: Clip, title: str = "") -> Figure:
    """A clip's spectrogram with the outline of its waveform below. Colours reach from its loudest to 80 dB less.

    Raises DataError for what is no clip that can be used.
    """
    (clip,) = checked([clip])
    figure, (ax, strip) = new_figure(6.4, 3.4, 2, 1, sharex=True, height_ratios=[4, 1])
    levels = decibels(clip)
    image = _paint(ax, levels, clip, float(levels.max()))
    _outline(strip, clip, float(clip.waveform.abs().max()))
    label(ax, title, "", "kHz")
    label(strip, "", "seconds", "")
    _bar(figure.colorbar(image, ax=ax, pad=0.01, fraction=0.03, aspect=30, ticks=[0, -REACH / 2, -REACH]))
    return figure


def grid(clips: Sequence[Clip], title: str = "", names: Sequence[str] = ()) -> Figure:
    """A sheet of the first twelve clips: their spectrograms, with the outline of each waveform below.

    All have one scale of time, of frequency and of colour (dB below the loudest of the sheet) and of the waveform.
    names: a word above each. Raises DataError for an empty list and for what is no clip that can be used.
    """
    from matplotlib.figure import Figure

    shown = checked(clips)[:MOST]
    if not shown:
        raise DataError("there are no clips to draw: at least one is needed")
    levels = [decibels(clip) for clip in shown]
    loudest, highest = max(float(each.max()) for each in levels), max(clip.rate for clip in shown) / 2
    longest, peak = max(clip.seconds for clip in shown), max(float(clip.waveform.abs().max()) for clip in shown)
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    above, named = (24 if title else 8), (16 if names else 0)
    high = _HIGH + _STRIP + named + 10
    size = (_LEFT + columns * (_WIDE + 14) + 52, above + rows * high + 34)
    figure = Figure(figsize=(size[0] / CSS_INCH, size[1] / CSS_INCH), facecolor=PAPER)

    def axes(left: float, top: float, width: float, height: float) -> Axes:
        made = figure.add_axes((left / size[0], 1 - (top + height) / size[1], width / size[0], height / size[1]))
        style(made)
        return made

    for place, (clip, each) in enumerate(zip(shown, levels, strict=True)):
        row, column = divmod(place, columns)
        left, top = _LEFT + column * (_WIDE + 14), above + row * high + named
        last = place + columns >= len(shown)
        ax, strip = axes(left, top, _WIDE, _HIGH), axes(left, top + _HIGH, _WIDE, _STRIP)
        image = _paint(ax, each, clip, loudest)
        _outline(strip, clip, peak)
        ax.set(xlim=(0, longest), ylim=(0, highest / 1000), facecolor=_NOTHING)
        strip.set(xlim=(0, longest))
        ax.tick_params(labelbottom=False, labelleft=column == 0)
        strip.tick_params(labelbottom=last)
        label(ax, names[place] if place < len(names) else "", "", "" if column else "kHz")
        label(strip, "", "seconds" if last else "", "")
    bar = axes(size[0] - 46, above + named + 12, 8, _HIGH + _STRIP - 12)
    _bar(figure.colorbar(image, cax=bar, ticks=[0, -REACH / 2, -REACH]))
    if title:
        figure.text(0.005, 1 - 4 / size[1], title, va="top", ha="left", fontsize=9.5, color=INK)
    return figure


def thumbnail(clip: Clip) -> bytes:
    """The spectrogram alone, without axes, as a small PNG: time to the right, low frequencies below.

    Colours reach from its loudest to 80 dB less.
    """
    from matplotlib import colormaps
    from PIL import Image

    levels = torch.from_numpy(decibels(clip))
    size = (min(levels.shape[0], _SMALL[0]), min(levels.shape[1], _SMALL[1]))
    levels = torch.nn.functional.adaptive_avg_pool2d(levels[None], size)[0].flip(0)
    shades = (1 + _below(levels.numpy(), float(levels.max())) / REACH).clip(0, 1)
    image = Image.fromarray(np.round((_SHADES - 1) * shades).astype(np.uint8)).convert("P")
    image.putpalette((colormaps[COLOURS](np.linspace(0, 1, _SHADES))[:, :3] * 255).round().astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _window(rate: int) -> int:
    """The power of two that is nearest to a window in samples, at least 16."""
    return int(2 ** max(4, round(float(np.log2(_WINDOW * rate)))))


def _below(levels: Array, loudest: float) -> Array:
    """dB from the loudest down; silence stays at the end of the scale."""
    return levels - max(loudest, FLOOR + REACH)


def _paint(ax: Axes, levels: Array, clip: Clip, loudest: float) -> Any:
    image = ax.imshow(
        _below(levels, loudest),
        origin="lower",
        aspect="auto",
        cmap=COLOURS,
        vmin=-REACH,
        vmax=0,
        extent=(0, clip.seconds, 0, clip.rate / 2000),
        interpolation="nearest",
    )
    _ticks(ax.xaxis)
    _ticks(ax.yaxis)
    return image


def _outline(ax: Axes, clip: Clip, peak: float) -> None:
    """The least and the greatest sample of every stretch, all channels together."""
    wave = clip.plain.numpy()
    starts = np.unique(np.linspace(0, clip.samples, min(FRAMES, clip.samples), endpoint=False).astype(int))
    low, high = np.minimum.reduceat(wave.min(0), starts), np.maximum.reduceat(wave.max(0), starts)
    times = np.append(starts, clip.samples) / clip.rate
    ax.fill_between(times, np.append(low, low[-1]), np.append(high, high[-1]), step="post", color=MUTED, linewidth=0.4)
    reach = 1.05 * max(peak, 1e-6)
    ax.set(ylim=(-reach, reach), xlim=(0, clip.seconds), yticks=[])
    _ticks(ax.xaxis)
    ax.spines["left"].set_visible(False)


def _bar(bar: Any) -> None:
    bar.outline.set_edgecolor(LINE)
    style(bar.ax)
    bar.ax.set_title("dB", fontsize=8, color=MUTED, loc="left", pad=6)


def _ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
