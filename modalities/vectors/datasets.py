"""Vectors by name: toys in the plane, mixtures with an exact log density, and tables that ship in packages."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pfgm_science.data import Dataset, DatasetInfo
from pfgm_science.errors import ConfigError, PfgmError
from pfgm_science.packages import Package

Array = np.ndarray[Any, Any]

COUNT = 10_000  # samples of a synthetic set, unless told otherwise


@dataclass(frozen=True)
class Mixture:
    """A mixture of multivariate Student-t densities with df degrees of freedom; df = inf is a Gaussian mixture.

    weights: [k], sum 1. means: [k, d]. scales: [k, d, d], symmetric, positive definite; the covariance for df = inf.
    """

    weights: Array
    means: Array
    scales: Array
    df: float = math.inf

    def __post_init__(self) -> None:
        components, width = self.means.shape
        if self.weights.shape != (components,) or self.scales.shape != (components, width, width):
            raise ConfigError(
                f"a mixture with means {self.means.shape} must have weights ({components},) and scales "
                f"({components}, {width}, {width}), not {self.weights.shape} and {self.scales.shape}."
            )
        if not self.df > 0:
            raise ConfigError(f"df is {self.df}; it must be above 0 (1: Cauchy, inf: Gaussian).")

    def sample(self, count: int, seed: int) -> Array:
        """count draws, float64 [count, d]: mean + L z / sqrt(kappa), L L^T = scale, kappa ~ Gamma(df/2, rate df/2)."""
        generator = np.random.default_rng(seed)
        component = generator.choice(len(self.weights), size=count, p=self.weights)
        normal = generator.standard_normal((count, self.means.shape[1]))
        factors = np.linalg.cholesky(self.scales)[component]
        kappa = np.ones(count) if math.isinf(self.df) else generator.gamma(self.df / 2, 2 / self.df, count)
        offsets: Array = np.einsum("nij,nj->ni", factors, normal) / np.sqrt(kappa)[:, None]
        return self.means[component] + offsets

    def log_prob(self, x: Array) -> Array:
        """Natural logarithm of the exact density at x [n, d]: float64 [n]."""
        width = self.means.shape[1]
        terms = []
        for weight, mean, scale in zip(self.weights, self.means, self.scales, strict=True):
            factor = np.linalg.cholesky(scale)
            distance = (np.linalg.solve(factor, (np.asarray(x, np.float64) - mean).T) ** 2).sum(axis=0)
            log_volume = np.log(np.diag(factor)).sum()
            terms.append(np.log(weight) - log_volume + _log_kernel(distance, width, self.df))
        log_density: Array = np.logaddexp.reduce(terms, axis=0)
        return log_density


def _log_kernel(distance: Array, width: int, df: float) -> Array:
    """Log density of the standard Student-t (Gaussian if df = inf) in width dimensions at a squared distance."""
    if math.isinf(df):
        return -0.5 * (width * math.log(2 * math.pi) + distance)
    constant = math.lgamma((df + width) / 2) - math.lgamma(df / 2) - width / 2 * math.log(df * math.pi)
    return constant - (df + width) / 2 * np.log1p(distance / df)


def names() -> list[DatasetInfo]:
    """What `load` knows."""
    return [info for info, _ in _SETS]


def load(name: str) -> Dataset:
    """The data set of that name: float64 [n, features], with condition {"label": [n]} for the tables.

    The synthetic ones are the defaults of the functions of the same name below (10,000 samples, seed 0).
    Raises PfgmError for an unknown name, with the nearest right one, and for what is not installed, with the command.
    """
    wanted = DatasetInfo.find(names(), name)
    return next(make for info, make in _SETS if info == wanted)()


def eight_gaussians(count: int = COUNT, seed: int = 0, radius: float = 2.0, spread: float = 0.1) -> Dataset:
    """Eight equal Gaussians of standard deviation spread, evenly on a circle: centres radius (cos, sin)(2 pi k / 8)."""
    return _synthetic("eight-gaussians", eight_gaussians_mixture(radius, spread).sample(count, seed))


def eight_gaussians_mixture(radius: float = 2.0, spread: float = 0.1) -> Mixture:
    """The law of `eight_gaussians`, for its log density."""
    return Mixture(np.full(8, 1 / 8), radius * _circle(8), np.tile(spread**2 * np.eye(2), (8, 1, 1)))


def moons(count: int = COUNT, seed: int = 0, noise: float = 0.05) -> Dataset:
    """Two half circles that reach into each other, each sample on either with chance 1/2.

    With t uniform on [0, pi]: (cos t, sin t) or (1 - cos t, 1/2 - sin t); plus Gaussian noise of that deviation.
    """
    generator = np.random.default_rng(seed)
    lower = generator.random(count) < 0.5
    angle = generator.uniform(0, np.pi, count)
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    return _synthetic("moons", np.stack([x, y], axis=1) + noise * generator.standard_normal((count, 2)))


def spirals(count: int = COUNT, seed: int = 0, turns: float = 1.5, noise: float = 0.02) -> Dataset:
    """Two arms of an Archimedean spiral, opposite to each other, each sample on either with chance 1/2.

    With s = sqrt(u), u uniform on [0, 1]: +-2 s (cos 2 pi turns s, sin 2 pi turns s); plus Gaussian noise of standard
    deviation noise. The square root makes the samples about even along the arm.
    """
    generator = np.random.default_rng(seed)
    sign = np.where(generator.random(count) < 0.5, -2.0, 2.0)
    along = np.sqrt(generator.random(count))
    angle = 2 * np.pi * turns * along
    arm = (sign * along)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _synthetic("spirals", arm + noise * generator.standard_normal((count, 2)))


def student_mixture(
    count: int = COUNT, seed: int = 0, df: float = 3.0, components: int = 4, radius: float = 10.0, scale: float = 1.0
) -> Dataset:
    """Equal Student-t densities in the plane, evenly on a circle: heavy tails, variance finite for df > 2."""
    return _synthetic("student-mixture", student_mixture_law(df, components, radius, scale).sample(count, seed))


def cauchy_mixture(
    count: int = COUNT, seed: int = 0, components: int = 4, radius: float = 10.0, scale: float = 1.0
) -> Dataset:
    """`student_mixture` with one degree of freedom: neither mean nor variance exists."""
    return _synthetic("cauchy-mixture", student_mixture_law(1.0, components, radius, scale).sample(count, seed))


def student_mixture_law(df: float = 3.0, components: int = 4, radius: float = 10.0, scale: float = 1.0) -> Mixture:
    """The law of `student_mixture` (df = 1: of `cauchy_mixture`): centres radius (cos, sin)(2 pi k / components)."""
    scales = np.tile(scale**2 * np.eye(2), (components, 1, 1))
    return Mixture(np.full(components, 1 / components), radius * _circle(components), scales, df)


MARKERS = ("FSC", "SSC", "CD3", "CD4", "CD8", "CD14", "CD19", "CD56")
# share, standard deviation of a marker, correlation of FSC with SSC, means of the markers (arcsinh scale)
_POPULATIONS = {
    "CD4 T": (0.34, 0.35, 0.3, (2.5, 1.5, 4.0, 4.2, 0.4, 0.2, 0.3, 0.3)),
    "CD8 T": (0.20, 0.35, 0.3, (2.5, 1.6, 3.9, 0.4, 4.5, 0.2, 0.3, 0.6)),
    "B": (0.10, 0.35, 0.3, (2.4, 1.4, 0.3, 0.3, 0.3, 0.3, 4.0, 0.2)),
    "NK": (0.08, 0.40, 0.3, (2.6, 1.8, 0.4, 0.4, 1.5, 0.3, 0.2, 3.8)),
    "monocyte": (0.18, 0.45, 0.5, (3.5, 2.8, 0.5, 1.8, 0.3, 4.5, 0.4, 0.4)),
    "granulocyte": (0.10, 0.50, 0.6, (3.6, 4.3, 0.4, 0.3, 0.3, 1.2, 0.3, 0.3)),
}


def cytometry(count: int = COUNT, seed: int = 0) -> Dataset:
    """Cells as a flow cytometer sees them: six Gaussian populations in the eight `MARKERS`, on an arcsinh scale.

    Shares, means and spreads are invented after the textbook phenotypes of blood leucocytes, not measured, so that the
    law is known exactly: see `cytometry_log_prob`.
    """
    return _synthetic("cytometry", cytometry_law().sample(count, seed))


def cytometry_log_prob(x: Array) -> Array:
    """Exact log density of `cytometry` at x [n, 8]: float64 [n], natural logarithm."""
    return cytometry_law().log_prob(x)


def cytometry_law() -> Mixture:
    """The law of `cytometry`: FSC and SSC correlate within a population, the other markers are independent."""
    weights, means, scales = [], [], []
    for share, spread, correlation, levels in _POPULATIONS.values():
        shape = np.eye(len(MARKERS))
        shape[0, 1] = shape[1, 0] = correlation
        weights.append(share)
        means.append(levels)
        scales.append(spread**2 * shape)
    return Mixture(np.array(weights), np.array(means), np.array(scales))


def wine() -> Dataset:
    """`wine`: float64 [178, 13], label the cultivar (0, 1, 2)."""
    return _table(WINE, "load_wine")


def breast_cancer() -> Dataset:
    """`breast-cancer`: float64 [569, 30], label "malignant" or "benign"."""
    return _table(BREAST_CANCER, "load_breast_cancer")


def returns() -> Dataset:
    """`returns`: float64 [5030, 2], daily log returns in percent of the S&P 500 and the Nasdaq Composite, by day."""
    columns = [_closing(name) for name in ("sp500", "nasdaq")]
    values = 100 * np.diff(np.log(np.stack(columns, axis=1)), axis=0)
    return Dataset(values, {}, RETURNS.name, RETURNS.licence, RETURNS.source, RETURNS.citation)


def _closing(name: str) -> Array:
    """The closing prices of an index, day after day: the fifth column of its table."""
    text = gzip.decompress(_ARCH.member(f"arch/data/{name}/{name}.csv.gz")).decode()
    return np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1, usecols=4)


_ARCH = Package(
    "arch",
    "8.0.0",
    "arch-8.0.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
    "975ec3bdf7926335742ac362251fafe32b448b8f194dead062f22a00beef772d",
    "NCSA, as the package",
)
RETURNS = DatasetInfo(
    "returns",
    "daily log returns of two stock indices, 1999 to 2018, in percent: heavy tails that come together",
    "NCSA, as the package",
    "the Python package arch 8.0.0, read in place",
    "5,030 days, 2 indices",
    "K. Sheppard, arch (2025), github.com/bashtage/arch; prices from Yahoo Finance",
    "fetched with pip when it is asked for",
)
WINE = DatasetInfo(
    "wine",
    "chemical analysis of wines from three cultivars",
    "CC-BY-4.0 (UCI)",
    "scikit-learn load_wine: UCI, Wine",
    "178 samples, 13 features, 3 classes",
    "S. Aeberhard and M. Forina, Wine, UCI (1992), doi:10.24432/C5PC7J",
    "pip install scikit-learn",
)
BREAST_CANCER = DatasetInfo(
    "breast-cancer",
    "shape of cell nuclei in breast masses, malignant or benign",
    "CC-BY-4.0 (UCI)",
    "scikit-learn load_breast_cancer: UCI, Breast Cancer Wisconsin (Diagnostic)",
    "569 samples, 30 features, 2 classes",
    "W. Wolberg, O. Mangasarian, N. Street, W. Street, Breast Cancer Wisconsin (Diagnostic), UCI (1995), "
    "doi:10.24432/C5DW2B",
    "pip install scikit-learn",
)


def _made(name: str, description: str, features: int) -> DatasetInfo:
    return DatasetInfo(
        name,
        description,
        "Apache-2.0",
        "synthetic, recipe in modalities/vectors/datasets.py",
        f"any number x {features}",
    )


_SETS: list[tuple[DatasetInfo, Callable[[], Dataset]]] = [
    (_made("eight-gaussians", "eight narrow Gaussians on a circle", 2), eight_gaussians),
    (_made("moons", "two half circles that reach into each other", 2), moons),
    (_made("spirals", "two arms of a spiral", 2), spirals),
    (_made("student-mixture", "four Student-t densities, 3 degrees of freedom: heavy tails", 2), student_mixture),
    (_made("cauchy-mixture", "four Cauchy densities: no mean, no variance", 2), cauchy_mixture),
    (_made("cytometry", "six Gaussian populations as in flow cytometry, exact log-likelihood", 8), cytometry),
    (RETURNS, returns),
    (WINE, wine),
    (BREAST_CANCER, breast_cancer),
]


def _circle(count: int) -> Array:
    angle = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _synthetic(name: str, values: Array) -> Dataset:
    info = DatasetInfo.find(names(), name)
    return Dataset(values, {}, info.name, info.licence, info.source, info.citation)


def _table(info: DatasetInfo, loader: str) -> Dataset:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise PfgmError(f"the data set {info.name!r} is not on this machine. Get it by: {info.how}") from error
    source = getattr(datasets, loader)()
    labels = source.target.astype(np.int64) if loader == "load_wine" else source.target_names[source.target].astype(str)
    return Dataset(
        source.data.astype(np.float64), {"label": labels}, info.name, info.licence, info.source, info.citation
    )
