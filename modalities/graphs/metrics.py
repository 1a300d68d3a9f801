"""How graph generators are compared: MMD of five statistics, their ratio to the training set, and V.U.N.

The figures are those of the published protocol, on sets of `torch_geometric.data.Data` or `networkx.Graph`. They depend
on the number of graphs: compare equal numbers, print the `floor` beside them, and repeat over at least five seeds of
the sampler. Precision and recall: `gin.features` with `pfgm_science.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import networkx as nx
import numpy as np
from scipy.spatial.distance import cdist
from torch_geometric.data import Data

from modalities.graphs.gin import Distances
from modalities.graphs.statistics import CLUSTERING_BINS, STATISTICS, Statistic, describe
from modalities.graphs.validity import VALIDITY, isomorphism_classes, missing
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.metrics import Floor

Array = np.ndarray[Any, Any]
Graph: TypeAlias = Data | nx.Graph
Graphs: TypeAlias = Sequence[Graph]
Kernel = Literal["tv", "emd"]
Validity = Callable[[Graph], bool]

SIGMA: Mapping[Statistic, float] = {"degree": 1.0, "clustering": 0.1, "orbit": 30.0, "spectral": 1.0, "wavelet": 1.0}
RATIO_DECIMALS = 4  # of the denominators, as published tables print them


@dataclass(frozen=True)
class VUN:
    """Shares in [0, 1] of generated graphs: valid, unique, novel, unique and novel, and all three (`vun`).

    unique: the first of its isomorphism class among the generated; novel: isomorphic to no training graph. valid and
    vun are None when there was no check, or when it could not run: then `missing` says why.
    """

    valid: float | None
    unique: float
    novel: float
    unique_novel: float
    vun: float | None
    missing: str | None = None


@dataclass(frozen=True)
class Report:
    """What `evaluate` measured.

    mmd: squared MMD of generated and test graphs, by statistic; reference: the same of training and test graphs. ratio:
    the mean over statistics of the one over the other, None if every denominator is zero. gin: distances of random
    features, see `gin.Distances`; empty for a single graph. The rest are counts.
    """

    kernel: Kernel
    mmd: Mapping[Statistic, float]
    reference: Mapping[Statistic, float]
    ratio: float | None
    gin: Mapping[str, float]
    vun: VUN
    generated: int
    test: int
    train: int

    def figures(self) -> dict[str, float]:
        """Every figure about the generated graphs, by name; those that could not be measured are left out."""
        every: dict[str, Any] = {**dict(self.mmd.items()), "ratio": self.ratio, **self.gin, **vars(self.vun)}
        return {name: value for name, value in every.items() if isinstance(value, float)}


class Suite:
    """`evaluate` for many generated sets: what test and training graphs have to be asked is asked once.

    suite = Suite(test, train, valid="planar"); reports = [suite(generated) for generated in samples]
    """

    def __init__(
        self,
        test: Graphs,
        train: Graphs,
        *,
        valid: str | Validity | None = None,
        kernel: Kernel = "tv",
        statistics: Sequence[Statistic] = STATISTICS,
    ) -> None:
        _check_choice("kernel", kernel, get_args(Kernel))
        if isinstance(valid, str):
            _check_choice("valid", valid, tuple(VALIDITY))
        _check_some("test", test)
        _check_some("train", train)
        self.kernel, self.valid, self.statistics = kernel, valid, tuple(statistics)
        self._train, self._test = train, describe(test, statistics)
        self._counts = len(test), len(train)
        self._gin = Distances(test) if len(test) > 1 else None
        self.reference = self._mmd(describe(train, statistics))

    def __call__(self, generated: Graphs) -> Report:
        """Raises DataError for an empty set, or for graphs that have no statistics."""
        _check_some("generated", generated)
        found = self._mmd(describe(generated, self.statistics))
        return Report(
            self.kernel,
            found,
            self.reference,
            ratio(found, self.reference),
            self._gin(generated) if self._gin and len(generated) > 1 else {},
            vun(generated, self._train, self.valid),
            len(generated),
            *self._counts,
        )

    def _mmd(self, described: Mapping[Statistic, Array]) -> dict[Statistic, float]:
        return {name: mmd2(described[name], self._test[name], name, self.kernel) for name in self.statistics}


def evaluate(
    generated: Graphs,
    test: Graphs,
    train: Graphs,
    *,
    valid: str | Validity | None = None,
    kernel: Kernel = "tv",
    statistics: Sequence[Statistic] = STATISTICS,
) -> Report:
    """Generated graphs against test graphs, with training graphs for the ratio and for novelty.

    valid: what makes a graph valid, by name ("planar", "tree", "sbm", "connected", "lobster") or as a function of one
    graph; None leaves validity out. kernel: "tv" (SPECTRE, DiGress, GruM, DeFoG) or "emd" (EDP-GNN, GDSS); see `gram`.
    Raises DataError for an empty set, a graph without nodes or with a self-loop, ConfigError for an unknown name.
    """
    return Suite(test, train, valid=valid, kernel=kernel, statistics=statistics)(generated)


def floor(
    test: Graphs,
    train: Graphs,
    draw: Callable[[int, int], Graphs],
    count: int,
    *,
    seeds: Sequence[int] = range(5),
    valid: str | Validity | None = None,
    kernel: Kernel = "tv",
    statistics: Sequence[Statistic] = STATISTICS,
) -> dict[str, Floor]:
    """What a perfect generator scores: mean and standard deviation of every figure over fresh draws of the true one.

    draw(count, seed) gives `count` graphs of the true generator. The draws are independent, but share the test and
    training graphs. The ratio of a perfect generator is not 1, nor is its MMD 0. Names: those of `Report.figures`.
    Raises ConfigError for fewer than two seeds.
    """
    if len(seeds) < 2:
        raise ConfigError(f"{len(seeds)} seed(s) show no spread: give at least two, better five")
    suite = Suite(test, train, valid=valid, kernel=kernel, statistics=statistics)
    rows = [suite(draw(count, seed)).figures() for seed in seeds]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {name: Floor(float(np.mean(values)), float(np.std(values, ddof=1))) for name, values in columns.items()}


def ratio(mmd: Mapping[Statistic, float], reference: Mapping[Statistic, float]) -> float | None:
    """Mean of mmd / reference over statistics, None if no denominator is left.

    Denominators are rounded to four decimals, and those that become zero are left out, as in Bergmeister et al. (ICLR
    2024) and DeFoG.
    """
    below = {name: round(value, RATIO_DECIMALS) for name, value in reference.items()}
    terms = [mmd[name] / value for name, value in below.items() if value]
    return float(np.mean(terms)) if terms else None


def vun(generated: Graphs, train: Graphs, valid: str | Validity | None = None) -> VUN:
    """Shares of valid, unique and novel graphs by exact isomorphism; see `VUN`. Graphs may lack nodes."""
    _check_some("generated", generated)
    if isinstance(valid, str):
        _check_choice("valid", valid, tuple(VALIDITY))
    classes = isomorphism_classes([*train, *generated])[len(train) :]
    novel = classes >= len(train)
    unique = np.zeros(len(generated), bool)
    unique[np.unique(classes, return_index=True)[1]] = True
    shares = float(unique.mean()), float(novel.mean()), float((unique & novel).mean())
    reason = missing(valid) if isinstance(valid, str) else None
    if valid is None or reason is not None:
        return VUN(None, *shares, None, reason)
    check = VALIDITY[valid] if isinstance(valid, str) else valid
    fit = np.array([bool(check(graph)) for graph in generated])
    return VUN(float(fit.mean()), *shares, float((fit & unique & novel).mean()))


def mmd2(a: Array, b: Array, statistic: Statistic, kernel: Kernel = "tv") -> float:
    """Biased squared MMD (V-statistic, no root) of descriptors a [n, k] and b [m, l].

    |mean k_aa + mean k_bb - 2 mean k_ab|. The kernels are not positive definite, and so the sum can lie below zero:
    hence the bars, as in the published code.
    """
    _check_choice("kernel", kernel, get_args(Kernel))
    _check_some("a", a)
    _check_some("b", b)
    aa, bb, ab = (gram(x, y, statistic, kernel).mean() for x, y in ((a, a), (b, b), (a, b)))
    return float(abs(aa + bb - 2 * ab))


def gram(a: Array, b: Array, statistic: Statistic, kernel: Kernel = "tv") -> Array:
    """Kernel values [n, m] of descriptors a [n, k] and b [m, l]; the shorter rows are filled up with zeros.

    exp(-distance^2 / (2 sigma^2)), sigma = 1, for clustering 0.1, for orbits 30, with the distance
    - "tv": half the L1 distance (Martinkus et al., SPECTRE, ICML 2022; also called Gaussian TV)
    - "emd": the earth mover's distance in bins, for clustering over the number of bins, 100 (You et al., GraphRNN, ICML
      2018); for orbits, which are no histograms, the Euclidean distance (Jo et al., GDSS, ICML 2022)
    """
    width = max(a.shape[1], b.shape[1])
    a, b = (np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (a, b))
    if kernel == "tv":
        distance = cdist(a, b, "cityblock") / 2
    elif statistic == "orbit":
        distance = cdist(a, b)
    else:
        distance = cdist(a.cumsum(1), b.cumsum(1), "cityblock")
        distance /= CLUSTERING_BINS if statistic == "clustering" else 1
    values: Array = np.exp(-((distance / SIGMA[statistic]) ** 2) / 2)
    return values


def _check_some(name: str, given: Sequence[Any] | Array) -> None:
    if not len(given):
        raise DataError(f"{name} is empty: give at least one graph")


def _check_choice(name: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise ConfigError(f"{name} is {given!r}; choose one of {', '.join(map(repr, allowed))}")
