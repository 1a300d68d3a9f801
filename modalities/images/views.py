"""What a person looks at: sheets of images, and generated ones above the training images that they are nearest to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pfgm_science.figures import CSS_INCH, INK, MUTED, PAPER
from pfgm_science.report import Figure as ReportFigure
from pfgm_science.report import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

SHEET = 460  # CSS pixels across a sheet, about: two fit beside each other on a page
MOST = 100  # images on a sheet


def grid(images: Array, title: str = "") -> Figure:
    """A sheet of the first hundred images, in reading order, each pixel a square where images are small.

    images: uint8 [n, height, width, channels], n >= 1. Images of up to 46 pixels stand ten in a row.
    """
    sheet, scale = _sheet(images[:MOST], _columns(images))
    figure, ax = _canvas(sheet.shape[1] * scale, sheet.shape[0] * scale, 21 if title else 0)
    _show(ax, sheet, scale)
    if title:
        figure.text(0, 1, title, va="top", ha="left", fontsize=9.5, color=INK)
    return figure


def neighbours(generated: Array, nearest_training: Array, distances: Array) -> Figure:
    """Pairs: above a generated image, below it the training image nearest to it, and their distance.

    generated, nearest_training: uint8 [n, height, width, channels]; distances: [n], in whatever units; the first two
    rows of pairs are shown.
    """
    columns = _columns(generated)
    count = min(len(generated), 2 * columns)
    bands = range(0, count, columns)
    sheets = [
        _sheet(
            np.concatenate(
                [_row(part[start : min(start + columns, count)], columns) for part in (generated, nearest_training)]
            ),
            columns,
        )
        for start in bands
    ]
    scale = sheets[0][1]
    height, width = sheets[0][0].shape[0] * scale, sheets[0][0].shape[1] * scale
    caption, names = 22, 76
    from matplotlib.figure import Figure

    total = len(sheets) * (height + caption)
    figure = Figure(figsize=((width + names) / CSS_INCH, total / CSS_INCH), facecolor=PAPER)
    for band, (start, (sheet, _)) in enumerate(zip(bands, sheets, strict=True)):
        top = 1 - band * (height + caption) / total
        left = names / (width + names)
        ax = figure.add_axes((left, top - height / total, 1 - left, height / total))
        _show(ax, sheet, scale)
        for row, name in enumerate(("generated", "nearest in\ntraining set")):
            y = top - (row + 0.5) / 2 * height / total
            figure.text(0, y, name, va="center", ha="left", fontsize=8, color=INK)
        for column, distance in enumerate(distances[start : min(start + columns, count)]):
            x = left + (1 - left) * (column + 0.5) / columns
            figure.text(
                x, top - (height + 3) / total, f"{distance:.2f}", va="top", ha="center", fontsize=7, color=MUTED
            )
    return figure


def sections(real: Array, generated: Array, nearest: Array | None, distances: Array | None) -> list[Section]:
    """What a report shows of images: real and generated sheets, and the nearest training images if they are known."""
    shown = min(len(real), len(generated), MOST)
    items = [
        ReportFigure(grid(real[:shown], "Real"), alt=f"Sheet of {shown} real images"),
        ReportFigure(grid(generated[:shown], "Generated"), alt=f"Sheet of {shown} generated images"),
    ]
    found = [Section("Real and generated", "Neither is selected: these are the first of each.", items)]
    if nearest is not None and distances is not None:
        text = (
            "Below each generated image stands the one of the training set that is nearest to it in pixels, with the "
            "Euclidean distance (pixels between -1 and 1). A model that copies would show pairs of twins at distance 0."
        )
        pairs = ReportFigure(
            neighbours(generated, nearest, distances),
            alt="Generated images, each above the nearest image of the training set",
        )
        found.append(Section("Nearest training images", text, [pairs]))
    return found


def _columns(images: Array) -> int:
    """Ten in a row, or as many as the width of a sheet allows for large images, but not less than four."""
    return max(1, min(10, len(images), max(4, SHEET // int(images.shape[2]))))


def _row(images: Array, columns: int) -> Array:
    """One row of a sheet, filled up with white."""
    missing = columns - len(images)
    return np.concatenate([images, np.full((missing, *images.shape[1:]), 255, images.dtype)]) if missing else images


def _sheet(images: Array, columns: int) -> tuple[Array, int]:
    """Images side by side with gaps of white, RGB, and how many CSS pixels a pixel of it takes."""
    count, height, width, channels = images.shape
    scale = max(1, round(SHEET / columns / (width + 1)))
    gap = 1 if scale >= 3 else 3
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = image if channels == 3 else np.repeat(image, 3, axis=2)
    return sheet, scale


def _canvas(width: int, height: int, above: int) -> tuple[Figure, Axes]:
    """A figure of that many CSS pixels, with one axes that fills all but a strip above."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / CSS_INCH, (height + above) / CSS_INCH), facecolor=PAPER)
    return figure, figure.add_axes((0, 0, 1, height / (height + above)))


def _show(ax: Axes, sheet: Array, scale: int) -> None:
    ax.imshow(sheet, interpolation="nearest" if scale > 1 else "antialiased", aspect="auto")
    ax.set_axis_off()
