"""Do the cheap ways to D agree with networks that are trained at each? From the tables of the sweeps, per domain.

One figure of each sweep stands for the distance to data, named before the comparison was made: the one that its domain
judges by first, where lower is better (a share of what is valid is taken from 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.runner import RESULTS, Table, dimension_text
from benchmarks.sweeps import ANY
from pfgm_science.dimension import ANALYSIS, ONE_NETWORK, SEARCH, Curve, agreement, place, pooled, regret

TRAINED = "trained"
CHEAP = {"one-network": ONE_NETWORK, "at-dimension": ANALYSIS}  # as the tables of the sweeps call them
ALONG = "along the way"  # where errors of the noise are measured, as the tables call it
DRAWS, SEED = 2000, 0
BACKWARD = 2  # calls of a network that a gradient of it is worth
SMALL, LARGE = "small", "large"


@dataclass(frozen=True)
class Sized:
    """Data with a bad and a good network: the name of its distance, and the budgets of training in steps.

    calls: of the network in an evaluation of a diffusion model at finite D.
    """

    figure: str
    steps: tuple[int, ...]
    calls: int = 3


SIZED = {  # how they are trained and judged is in subjects.py
    "digits": Sized("frechet", (200, 1500)),
    "cytometry": Sized("sliced Wasserstein", (200, 1500), 32 * (1 + BACKWARD * 8)),  # gradients of 8 numbers, 32 levels
    "5s-rrna": Sized("W1 bits", (500,)),  # the table of `pfgm benchmark rna sweep` has 5,000 of the large one
}


@dataclass(frozen=True)
class Source:
    """A sweep: whose data, which table, which figure, and what else a cell's key must hold. share: more is better.

    joined: whether a diffusion network draws at finite D in as many evaluations as at infinity, where it is the network
    that was trained there; calls: of the network in each.
    """

    data: str
    table: str
    figure: str
    share: bool = False
    key: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = True
    calls: int = 3


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
        Source(
            f"{data}, {size} network, {steps:,} steps",
            f"dimension-{data}-{size}-{steps}",
            sized.figure,
            calls=sized.calls,
        )
        for data, sized in SIZED.items()
        for size in (SMALL, LARGE)
        for steps in sized.steps
    ),
)


def curves(source: Source, results: Path = RESULTS) -> dict[str, Curve]:
    """The curve of each way that was measured, by its name in the table."""
    table = Table(source.table, results)
    found = {}
    for way, name in {TRAINED: SEARCH, **CHEAP}.items():
        values: dict[float, dict[int, float]] = {}
        for cell in sorted(_cells(source, table, way), key=lambda cell: float(cell["key"]["D"])):
            value = cell["figures"].get(source.figure)
            if value is not None:
                value = 1 - float(value) if source.share else float(value)
                values.setdefault(float(cell["key"]["D"]), {})[cell["key"]["seed"]] = value
        if len(values) > 2:
            found[way] = Curve(name, values, 0.0)
    return found


def _cells(source: Source, table: Table, way: str) -> list[dict[str, Any]]:
    """What a way drew, a diffusion network at infinity included where it is joined."""
    cells = table.select(way=way, **source.key)
    joined = way == "at-dimension" and source.joined
    return cells + table.select(way=TRAINED, D=math.inf, **source.key) if joined else cells


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


def seconds(source: Source, way: str, results: Path = RESULTS) -> float:
    """What a way took a seed: its trainings, and drawing and judging at each D; nan where that was not noted.

    A training that was not noted counts as much as the others of its kind.
    """
    table = Table(source.table, results)
    cells = table.select(errors=ALONG) if way == ALONG else _cells(source, table, way)
    runs = {(_run(way, cell["key"]), cell["key"]["seed"]) for cell in cells}
    noted = {(run, c["key"]["seed"]): c["figures"]["seconds"] for run, _ in runs for c in table.select(training=run)}
    if not noted:
        return math.nan
    training = len(runs) * float(np.mean([noted[run] for run in runs if run in noted]))
    drawing = sum(cell["figures"].get("seconds", math.nan) for cell in cells)
    return float(training + drawing) / len({seed for _, seed in runs})


def _run(way: str, key: Mapping[str, Any]) -> str:
    """The network that a cell needs, as `sweeps.note_training` calls it."""
    if way == "one-network":
        return ANY
    return f"d{dimension_text(key['D'] if way == TRAINED else math.inf)}"


def work(source: Source, way: str, results: Path = RESULTS) -> float:
    """Calls of the network on one sample: of one training and of drawing at each D; of TRAINED and SEARCH, of all.

    A measure of cost that other work on the machine does not change. A step is one call and one gradient a sample.
    """
    table = Table(source.table, results)
    protocol = table.about["protocol"]
    training = (1 + BACKWARD) * protocol["training"]["steps"] * protocol["training"]["batch_size"]
    drawing = protocol["count"] * source.key.get("evaluations", protocol.get("evaluations"))
    if way == TRAINED:
        return float(len(table.select(way=TRAINED, **source.key)) * (training + drawing))
    if way == SEARCH:
        (found,) = searches(source, results)[:1] or [{"steps": math.nan, "judged": math.nan}]
        steps = protocol["training"]["steps"]
        return float(found["steps"] / steps * training + found["judged"] * drawing)
    if way == ALONG:
        return float(training + drawing)  # about: a fourth of the trajectories, and ten readings at each level
    drawn = {cell["key"]["D"] for cell in _cells(source, table, way)}
    finite = source.calls if way == "at-dimension" and source.joined else 1
    return float(training + sum(1 if D == "inf" else finite for D in drawn) * drawing)


def searches(source: Source, results: Path = RESULTS) -> list[dict[str, Any]]:
    """What searches found, if there was one."""
    return [cell["figures"] for cell in Table(source.table, results).cells if "search" in cell["key"]]


def suggested(source: Source, among: Sequence[float], results: Path = RESULTS) -> list[float]:
    """The D of the grid next to what errors along the way suggest, of each seed; nan where they suggest none.

    They do not where they cannot be told from none, and where no D corrects them.
    """
    found = []
    for cell in Table(source.table, results).select(errors=ALONG):
        figures = cell["figures"]
        D, told = float(figures["D"]), figures["second moment"] >= figures["told from none"]
        nearest = min(among, key=lambda other, D=D: abs(place(other) - place(D)))  # type: ignore[misc]
        found.append(nearest if told and D >= 1 else math.nan)
    return found


def picks(curve: Curve) -> list[float]:
    """The best D of each seed alone, as one training gives it."""
    return [each.best for each in _alone(curve)]


def _as_drawn(curve: Curve) -> float:
    """The figure that a way itself has at the D that it picks, on the mean of its trainings."""
    return float(np.mean([each.mean(each.best) for each in _alone(curve)]))


def _alone(curve: Curve) -> list[Curve]:
    """A curve of each seed that was drawn at every D."""
    seeds = sorted(set.intersection(*map(set, curve.values.values())))
    alone = [{D: {seed: found[seed]} for D, found in curve.values.items()} for seed in seeds]
    return [Curve(curve.way, values, 0.0) for values in alone]


class Answer(NamedTuple):
    """What a way says.

    picks: a D of each training, nan for none; work: see `work`; own: the figure of its own samples, less the best.
    """

    way: str
    picks: Sequence[float]
    work: float
    seconds: float
    ranks: str = ""
    own: float = math.nan


def rows(results: Path = RESULTS) -> list[list[str]]:
    """A row for each sweep and way: what it picks, how its ranks agree, and what the pick costs in the figure."""
    return [row for source in SOURCES for row in _rows(source, results)]


def _rows(source: Source, results: Path) -> Iterator[list[str]]:
    found = curves(source, results)
    if TRAINED not in found:
        return
    truth = found[TRAINED]
    ways = [
        Answer(
            curve.way.replace("-", " "),
            picks(curve),
            work(source, way, results),
            seconds(source, way, results),
            _ranks(truth, curve, way),
            _as_drawn(curve) - truth.mean(truth.best),
        )
        for way, curve in found.items()
        if way in CHEAP
    ]
    if told := suggested(source, truth.finite, results):
        ways.append(Answer(f"errors {ALONG}", told, work(source, ALONG, results), seconds(source, ALONG, results)))
    ways += [
        Answer(SEARCH, [float(each["best"])], work(source, SEARCH, results), float(each["seconds"]))
        for each in searches(source, results)
    ]
    # A cheap way is one training; trainings at each D are of every seed, because one cannot tell them apart.
    thorough = [work(source, way, results) for way in (TRAINED, SEARCH)]
    lost = {D: regret(D, truth) for D in truth.finite}
    for answer in ways:
        chosen = [D for D in answer.picks if not math.isnan(D)]
        yield [
            source.data,
            source.figure if not source.share else f"1 - {source.figure}",
            f"{dimension_text(truth.best)} ({', '.join(dimension_text(D) for D in truth.alike)})",
            answer.way,
            ", ".join("none" if math.isnan(D) else dimension_text(D) for D in answer.picks),
            answer.ranks,
            "-" if not chosen else _known(float(np.mean([lost[D] for D in chosen]))),
            _known(float(np.mean(list(lost.values())))),
            _known(spread(truth)),
            "" if math.isnan(answer.own) else f"{answer.own:+.3g}",
            "-" if math.isnan(answer.seconds) else f"{answer.seconds:,.0f}",
            *(_known(answer.work / other, 2) for other in thorough),
        ]


def _ranks(truth: Curve, curve: Curve, way: str) -> str:
    low, high = redrawn(truth, curve, math.inf if way == "at-dimension" else None)
    return f"{agreement(truth, curve):.2f}" + ("" if math.isnan(low) else f" ({low:.1f} to {high:.1f})")


def _known(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}g}"


HEADER: tuple[str, ...] = (
    "data", "figure", "best D, trained at each (alike)", "way", "its pick, by training", "rank correlation (redrawn)",
    "regret", "regret of any D", "spread", "its own samples", "seconds", "work over the grid's", "over the search's",
)  # fmt: skip
