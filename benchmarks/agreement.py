"""Do the cheap ways to D agree with networks that are trained at each? From the tables of the sweeps, per domain.

One figure of each sweep stands for the distance to data, named before the comparison was made: the one that its domain
judges by first, where lower is better (a share of what is valid is taken from 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runner import RESULTS, Table, dimension_text
from pfgm_science.dimension import ANALYSIS, ONE_NETWORK, SEARCH, Curve, agreement, pooled, regret

TRAINED = "trained"
CHEAP = {"one-network": ONE_NETWORK, "at-dimension": ANALYSIS}  # as the tables of the sweeps call them
DRAWS, SEED = 2000, 0


@dataclass(frozen=True)
class Source:
    """A sweep: whose data, which table, which figure, and what else a cell's key must hold. share: more is better.

    joined: whether a diffusion network draws at finite D in as many evaluations as at infinity, where it is the network
    that was trained there.
    """

    data: str
    table: str
    figure: str
    share: bool = False
    key: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = True


SOURCES = (
    # Cells of these count calls of the network, of which an evaluation takes three at finite D.
    Source("mnist5k", "images-sweep", "frechet_classifier", key={"evaluations": 19}, joined=False),
    Source("planar-20", "graphs-sweep-planar-20", "vun", share=True, joined=False),
    Source("tree-20", "graphs-sweep-tree-20", "vun", share=True, joined=False),
    Source("airrdb", "antibody-sweep", "W1 log likelihood"),
    Source("abnativ-vh", "antibody-sweep-abnativ-vh", "W1 log likelihood"),
    Source("trna", "rna-sweep-trna", "W1 bits"),
    Source("5s-rrna", "rna-sweep-5s-rrna", "W1 bits"),
    Source("syllables", "audio-sweep", "speech Frechet"),
    *(
        Source(f"digits, {network} network, {steps} steps", f"dimension-digits-{network}-{steps}", "frechet")
        for network in ("small", "large")
        for steps in (200, 1500)
    ),
)


def curves(source: Source, results: Path = RESULTS) -> dict[str, Curve]:
    """The curve of each way that was measured, by its name in the table."""
    table = Table(source.table, results)
    found = {}
    for way, name in {TRAINED: SEARCH, **CHEAP}.items():
        values: dict[float, dict[int, float]] = {}
        cells = table.select(way=way, **source.key)
        if way == "at-dimension" and source.joined:
            cells = cells + table.select(way=TRAINED, D=math.inf, **source.key)
        for cell in sorted(cells, key=lambda cell: float(cell["key"]["D"])):
            value = cell["figures"].get(source.figure)
            if value is not None:
                value = 1 - float(value) if source.share else float(value)
                values.setdefault(float(cell["key"]["D"]), {})[cell["key"]["seed"]] = value
        if len(values) > 2:
            found[way] = Curve(name, values, 0.0)
    return found


def spread(curve: Curve) -> float:
    """Standard deviation that is left when each D and each seed has its own mean; nan with fewer than two seeds."""
    seeds = sorted(set.intersection(*map(set, curve.values.values())))
    if len(seeds) < 2 or len(curve.values) < 2:
        return math.nan
    return pooled(np.array([[found[seed] for seed in seeds] for found in curve.values.values()]))


def redrawn(first: Curve, second: Curve, shared: float | None = None) -> tuple[float, float]:
    """Between what values the rank correlation lies in 95% of cases when the means are redrawn around those found.

    Each mean is moved by the error that its seeds leave. shared: a D at which both curves are the same measurement. nan
    where a curve has a single seed.
    """
    rng, deviations = np.random.default_rng(SEED), (spread(first), spread(second))
    if any(map(math.isnan, deviations)):
        return math.nan, math.nan

    def once() -> float:
        moved: list[Curve] = []
        for curve, deviation in zip((first, second), deviations, strict=True):
            values = {
                D: {0: curve.mean(D) + deviation / math.sqrt(len(found)) * rng.standard_normal()}
                for D, found in curve.values.items()
            }
            if moved and shared in values:
                values[shared] = dict(moved[0].values[shared])
            moved.append(Curve(curve.way, values, 0.0))
        return agreement(*moved)

    low, high = np.nanquantile([once() for _ in range(DRAWS)], [0.025, 0.975])
    return float(low), float(high)


def rows(results: Path = RESULTS) -> list[list[str]]:
    """A row for each sweep and cheap way: what it picks, how its ranks agree, and what the pick costs in the figure."""
    made = []
    for source in SOURCES:
        found = curves(source, results)
        truth = found.get(TRAINED)
        if truth is None:
            continue
        alike = ", ".join(dimension_text(D) for D in truth.alike)
        for way in CHEAP:
            if way not in found:
                continue
            curve = found[way]
            bounds = redrawn(truth, curve, math.inf if way == "at-dimension" else None)
            said = "" if math.isnan(bounds[0]) else f" ({bounds[0]:.1f} to {bounds[1]:.1f})"
            made.append(
                [
                    source.data,
                    source.figure if not source.share else f"1 - {source.figure}",
                    f"{dimension_text(truth.best)} ({alike})",
                    curve.way.replace("-", " "),
                    dimension_text(curve.best),
                    f"{agreement(truth, curve):.2f}{said}",
                    f"{regret(curve.best, truth):.3g}",
                    "-" if math.isnan(spread(truth)) else f"{spread(truth):.3g}",
                    f"1/{len(truth.values)}",
                ]
            )
    return made


HEADER = (
    "data", "figure", "best D, trained at each (alike)", "way", "its pick", "rank correlation (redrawn)",
    "regret", "spread over seeds", "networks trained",
)  # fmt: skip
