"""A page to listen to: real and generated sounds, the nearest training clips, a row per D and per number of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.runner import dimension_text
from modalities.audio.objects import Clip
from modalities.audio.players import Cell, listening_table
from pfgm_science.metrics import nearest_neighbours
from pfgm_science.model import Drawing
from pfgm_science.report import Report, Section, write

Draw = Callable[[Sequence[str], Drawing], Sequence[Clip]]
Row = tuple[str, Sequence[Cell]]

EVALUATIONS = (35, 18, 10, 5)
CLASSES = 4  # columns of the rows per D and per number of steps


def listening_page(
    path: Path,
    name: str,
    real: tuple[Sequence[Clip], Sequence[str]],
    train: Sequence[Clip],
    embed: Callable[[Sequence[Clip]], np.ndarray],
    long: Draw,
    every: Mapping[float, Draw],
) -> Path:
    """Write the page. real: held-out clips and their classes; long: draws by the long run; every: D -> draws at it.

    embed: the space in which training clips are nearest.
    """
    clips, labels = real[0], np.asarray(real[1]).astype(str)
    classes = sorted(set(labels))
    drawn = long(classes, {"seed": 0})
    where = nearest_neighbours(embed(drawn), embed(train))[1][:, 0]
    rows: list[Row] = [
        (each, [clips[int(np.flatnonzero(labels == each)[0])], ours, train[int(at)]])
        for each, ours, at in zip(classes, drawn, where, strict=True)
    ]
    some = classes[:: max(1, len(classes) // CLASSES)][:CLASSES]
    sections = [
        Section(
            "Classes",
            "The first sample of each class, none selected.",
            [listening_table(rows, ("real, held out", "generated", "nearest training clip"), "class")],
        )
    ]
    if every:
        by_dimension: list[Row] = [
            (f"D = {dimension_text(D)}", list(draw(some, {"seed": 0, "dimension": D}))) for D, draw in every.items()
        ]
        text = "Short runs, and the same noise in each row but for the kappa of D."
        sections.append(Section("A row per D", text, [listening_table(by_dimension, some, "D")]))
    by_steps: list[Row] = [
        (f"{count} evaluations", list(long(some, {"seed": 0, "evaluations": count}))) for count in EVALUATIONS
    ]
    text = "The long run from the same noise, in fewer and fewer steps."
    sections.append(Section("A row per number of steps", text, [listening_table(by_steps, some, "steps")]))
    return write(path, Report(f"{name}, generated with PFGM++", "Click a spectrogram to hear it.", {}, sections))
