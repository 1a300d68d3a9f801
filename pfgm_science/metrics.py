"""How far apart are two sets of samples? Measures on features ([n, d] arrays, one row a sample) that know no domain.

Arrays, torch tensors and nested lists are taken, and all arithmetic is float64. Every function raises DataError for
features that are not two-dimensional, not numbers, not finite, of different width or too few, and ConfigError for a
setting out of range. Pairwise distances are made in blocks: memory does not grow with the product of the counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pfgm_science.errors import ConfigError, DataError

Array = npt.NDArray[np.float64]
Seed = int | np.random.Generator

# Entries of the largest temporary array: 32 MiB of float64.
_CELLS = 1 << 22
# The cubic kernel and its variance take the twelfth power of a feature: below this none of them overflows.
_LARGEST = 1e16
# Distances below this share of the features' size are rounding of the copy, not a difference.
_ROUNDING = 1e-6


class _Result:
    """Lets `dict(result)` and `result["name"]` read the fields of a frozen dataclass."""

    def keys(self) -> list[str]:
        return list(vars(self))

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]


@dataclass(frozen=True)
class Interval(_Result):
    """An estimate and its confidence interval: low <= value <= high, at the given level (0.95: 95 in 100 cover)."""

    value: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PrecisionRecall(_Result):
    """Quality (precision, density) and variety (recall, coverage) of generated samples; see `precision_recall`."""

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class TwoSampleTest(_Result):
    """Held-out accuracy of a classifier that tells the sets apart (0.5: it cannot) and the p-value of that accuracy."""

    accuracy: float
    p_value: float


@dataclass(frozen=True)
class Memorisation(_Result):
    """How near generated samples come to the training set; see `memorisation`."""

    distance_ratio: float
    copies: float
    near_copies: float
    near_copies_held_out: float


class Floor(NamedTuple):
    """Mean and standard deviation of a metric between two halves of real data; see `real_floor`."""

    mean: float
    std: float


def frechet_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Squared Frechet (2-Wasserstein) distance of the Gaussians fitted to a [n, d] and b [m, d].

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), unbiased covariances, in squared units of the features
    (Dowson and Landau 1982; Heusel et al. 2017, arXiv 1706.08500, eq. 6). With S = R^T R from a QR decomposition of
    the centred rows, tr (S_a S_b)^(1/2) is the sum of the singular values of R_a R_b^T: real and not negative whatever
    the rank, n < d included. Needs two rows in each. At equal laws its mean is above zero and falls with n: read it
    beside `real_floor` at the same number of rows.
    """
    x, y = _pair(a, b, least=2)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    overlap = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    return float(max(0.0, shift @ shift + np.sum(root_x**2) + np.sum(root_y**2) - 2 * overlap))


def mmd2(k_aa: npt.ArrayLike, k_ab: npt.ArrayLike, k_bb: npt.ArrayLike) -> float:
    """Unbiased squared maximum mean discrepancy from kernel matrices k_aa [n, n], k_ab [n, m] and k_bb [m, m].

    Gretton et al. 2012, eq. 3: the diagonals of k_aa and k_bb do not count, and the value may be below zero. n, m >= 2.
    """
    within_a, across, within_b = _matrix("k_aa", k_aa), _matrix("k_ab", k_ab), _matrix("k_bb", k_bb)
    n, m = across.shape
    if within_a.shape != (n, n) or within_b.shape != (m, m) or min(n, m) < 2:
        raise DataError(
            f"kernel matrices have shapes {within_a.shape}, {across.shape} and {within_b.shape}; "
            "they must be [n, n], [n, m] and [m, m] with n and m at least 2"
        )
    return _mmd2(_row_sums(within_a), across.sum(axis=1), across.sum(axis=0), _row_sums(within_b))


def kernel_distance(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    kernel: Literal["polynomial", "gaussian"] = "polynomial",
    subsets: int = 100,
    size: int = 1000,
    level: float = 0.95,
    seed: Seed = 0,
) -> Interval:
    """Unbiased squared MMD of a [n, d] and b [m, d], with a confidence interval.

    kernel "polynomial": (x.y/d + 1)^3, the kernel inception distance of Binkowski et al. 2018 (arXiv 1801.01401,
    section 4) when the features are Inception's. kernel "gaussian": exp(-|x-y|^2 / 2h^2), h the median distance among
    (at most 1,000, drawn at random) pooled rows (Gretton et al. 2012, section 8).

    Both sets are shuffled and cut into at most `subsets` disjoint blocks of at most `size` rows; the value is the mean
    over blocks of the unbiased estimate. Binkowski et al. draw overlapping subsets, whose spread gives no interval;
    disjoint ones are independent. The interval is normal, with the jackknife variance over rows within blocks; it is
    too wide where the laws agree, and a little narrow for few rows of long tails. Memory: 3 * size^2 numbers. Needs
    three rows in each.
    """
    _choice("kernel", kernel, ("polynomial", "gaussian"))
    _whole("subsets", subsets, least=1)
    _whole("size", size, least=3)
    _share("level", level)
    x, y = _pair(a, b, least=3)
    generator = np.random.default_rng(seed)
    x, y = generator.permutation(x), generator.permutation(y)
    size_x, size_y = min(size, len(x)), min(size, len(y))
    blocks = min(subsets, len(x) // size_x, len(y) // size_y)
    bandwidth = _median_distance(np.concatenate([x, y]), generator) if kernel == "gaussian" else None

    values, variances = [], []
    for block in range(blocks):
        part_x = x[block * size_x : (block + 1) * size_x]
        part_y = y[block * size_y : (block + 1) * size_y]
        across = _kernel(part_x, part_y, bandwidth)
        sums = (
            _row_sums(_kernel(part_x, part_x, bandwidth)),
            across.sum(axis=1),
            across.sum(axis=0),
            _row_sums(_kernel(part_y, part_y, bandwidth)),
        )
        values.append(_mmd2(*sums))
        variances.append(_jackknife_variance(*sums))
    value = float(np.mean(values))
    half_width = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(float(np.mean(variances)) / blocks)
    return Interval(value, value - half_width, value + half_width, level)


def precision_recall(real: npt.ArrayLike, generated: npt.ArrayLike, k: int = 5) -> PrecisionRecall:
    """Precision, recall, density and coverage of generated [m, d] against real [n, d], from one set of distances.

    Every sample owns the closed ball that reaches its k-th nearest neighbour in its own set.
    precision: share of generated samples in some real ball. recall: share of real samples in some generated ball
    (Kynkaanniemi et al. 2019, arXiv 1904.06991, eq. 1 and 2, there k = 3). density: mean number of real balls around
    a generated sample, over k; may exceed 1. coverage: share of real balls that hold a generated sample
    (Naeem et al. 2020, arXiv 2002.09797, section 3, there k = 5). Needs more than k rows in each.
    Recall and coverage depend on the counts: compare at equal n and m.
    """
    _whole("k", k, least=1)
    x, y = _pair(real, generated, least=k + 1, names=("real", "generated"))
    centre = np.median(x, axis=0)
    x, y = x - centre, y - centre
    reach_x, reach_y = _ball_radii(x, k), _ball_radii(y, k)

    inside = 0
    precise = 0
    recalled, covered = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    for rows in _blocks(len(y), len(x)):
        squared = _squared_distances(y[rows], x)
        in_real = squared <= reach_x
        inside += int(in_real.sum())
        precise += int(in_real.any(axis=1).sum())
        covered |= in_real.any(axis=0)
        recalled |= (squared <= reach_y[rows, None]).any(axis=0)
    return PrecisionRecall(
        precision=precise / len(y),
        recall=float(recalled.mean()),
        density=inside / (k * len(y)),
        coverage=float(covered.mean()),
    )


def two_sample_test(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    classifier: Literal["logistic", "boosting"] = "logistic",
    seed: Seed = 0,
) -> TwoSampleTest:
    """Classifier two-sample test of a [n, d] and b [m, d] (Lopez-Paz and Oquab 2017, arXiv 1610.06545, section 3).

    The larger set is cut at random to the size of the smaller. A classifier learns on a random half of each set and is
    scored on the other halves; the p-value is the chance of so many hits or more from fair coins. Half the rows are
    held out, rather than each fold in turn, because predictions of different folds are not independent: the same test
    over five folds raises 7 to 12 false alarms in 100 at the nominal level of 5.

    "logistic": logistic regression, blind to all but linear differences, its penalty chosen by five folds of the
    training half, features standardised inside each. "boosting": gradient-boosted trees, for differences of any form.
    Needs scikit-learn and 20 rows in each.
    """
    _choice("classifier", classifier, ("logistic", "boosting"))
    x, y = _pair(a, b, least=20)
    generator = np.random.default_rng(seed)
    count = min(len(x), len(y))
    x, y = generator.permutation(x)[:count], generator.permutation(y)[:count]
    half = count // 2
    model = _classifier(classifier, int(generator.integers(2**31)))
    model.fit(np.concatenate([x[:half], y[:half]]), np.repeat([0, 1], half))
    said_b = model.predict(np.concatenate([x[half:], y[half:]]))
    truth = np.repeat([0, 1], count - half)
    hits = int((said_b == truth).sum())

    from scipy.stats import binomtest

    p_value = binomtest(hits, len(truth), 0.5, alternative="greater").pvalue
    return TwoSampleTest(hits / len(truth), float(p_value))


def nearest_neighbours(
    queries: npt.ArrayLike, reference: npt.ArrayLike, k: int = 1
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Euclidean distances [n, k] and row numbers [n, k] of the k rows of reference [m, d] nearest to each query [n, d].

    Nearest first. The candidates come from a matrix product and their distances from differences, so that the distance
    of a copy is exactly zero. A query that is itself in the reference finds itself. Needs k rows of reference.
    """
    _whole("k", k, least=1)
    x, y = _pair(queries, reference, least=1, names=("queries", "reference"))
    _enough("reference", y, least=k)
    centre = np.median(y, axis=0)
    x_centred, y_centred = x - centre, y - centre
    # A few more than k: rounding of the matrix product may exchange neighbours that are almost equally near.
    candidates = min(len(y), k + 4)
    distances, indices = np.empty((len(x), k)), np.empty((len(x), k), dtype=np.int64)
    for rows in _blocks(len(x), max(len(y), candidates * x.shape[1])):
        squared = _squared_distances(x_centred[rows], y_centred)
        near = np.sort(np.argpartition(squared, candidates - 1, axis=1)[:, :candidates], axis=1)
        exact = np.sqrt(np.sum((x[rows, None] - y[near]) ** 2, axis=-1))
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        indices[rows] = np.take_along_axis(near, order, axis=1)
    return distances, indices


def memorisation(
    generated: npt.ArrayLike, train: npt.ArrayLike, held_out: npt.ArrayLike, *, quantile: float = 0.05
) -> Memorisation:
    """Whether generated samples lie nearer to the training set than real samples that were not trained on.

    Each sample of generated [n, d] and held_out [m, d] has its distance to the nearest row of train [l, d].
    distance_ratio: median of the generated over median of the held-out: about 1 for new samples, near 0 for copies.
    copies: share of generated samples that are a training sample up to rounding (1e-6 of the held-out median).
    near_copies: share no farther than the `quantile` of the held-out distances. near_copies_held_out: the same
    share among held-out samples, about `quantile`: what a generator without memory would show. Needs two rows of
    held_out. (Derived; the comparison with held-out data follows Meehan et al. 2020, arXiv 2004.05675.)
    """
    _share("quantile", quantile)
    x, y = _pair(generated, train, least=1, names=("generated", "train"))
    z, _ = _pair(held_out, y, least=1, names=("held_out", "train"))
    _enough("held_out", z, least=2)
    near_x, near_z = nearest_neighbours(x, y)[0][:, 0], nearest_neighbours(z, y)[0][:, 0]
    median_x, median_z = float(np.median(near_x)), float(np.median(near_z))
    threshold = np.quantile(near_z, quantile)
    return Memorisation(
        distance_ratio=_ratio(median_x, median_z),
        copies=float(np.mean(near_x <= _ROUNDING * median_z)),
        near_copies=float(np.mean(near_x <= threshold)),
        near_copies_held_out=float(np.mean(near_z <= threshold)),
    )


def sliced_wasserstein(
    a: npt.ArrayLike, b: npt.ArrayLike, *, directions: int = 128, p: Literal[1, 2] = 1, seed: Seed = 0
) -> float:
    """Sliced p-Wasserstein distance of a [n, d] and b [m, d], in units of the features (Bonneel et al. 2015).

    (mean of W_p^p over random unit directions)^(1/p); each W_p is the exact integral between the quantile functions of
    the projections, so n and m may differ. For d = 1 there is one direction, and it is the Wasserstein distance itself.
    """
    _whole("directions", directions, least=1)
    _choice("p", p, (1, 2))
    x, y = _pair(a, b, least=1)
    generator = np.random.default_rng(seed)
    drawn = generator.standard_normal((directions, x.shape[1])) if x.shape[1] > 1 else np.ones((1, 1))
    units = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    pick_x, pick_y, weights = _common_quantiles(len(x), len(y))
    total = 0.0
    for rows in _blocks(len(units), len(weights)):
        quantiles_x = np.sort(units[rows] @ x.T, axis=1)[:, pick_x]
        quantiles_y = np.sort(units[rows] @ y.T, axis=1)[:, pick_y]
        total += float(np.sum(np.abs(quantiles_x - quantiles_y) ** p @ weights))
    return float((total / len(units)) ** (1 / p))


def real_floor(
    metric: Callable[[Array, Array], float | Interval],
    features: npt.ArrayLike,
    *,
    repeats: int = 10,
    size: int | None = None,
    seed: Seed = 0,
) -> Floor:
    """The real-real floor: metric(one half, other half) over `repeats` random disjoint halves of real features [n, d].

    No generator can be expected to stay below the mean. size: rows in each part (default: half of all); choose it as
    large as the sets that the floor is compared with, because most metrics depend on it. std is the sample standard
    deviation over repeats, which share rows: the spread of one comparison, not the error of the mean.
    """
    _whole("repeats", repeats, least=2)
    rows = _features("features", features, least=2)
    part = len(rows) // 2 if size is None else size
    _whole("size", part, least=1)
    _enough("features", rows, least=2 * part)
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        order = generator.permutation(len(rows))
        value = metric(rows[order[:part]], rows[order[part : 2 * part]])
        values.append(value.value if isinstance(value, Interval) else float(value))
    return Floor(float(np.mean(values)), float(np.std(values, ddof=1)))


def _features(name: str, given: npt.ArrayLike, least: int) -> Array:
    values = _matrix(name, given)
    if values.shape[1] == 0:
        raise DataError(f"{name} has shape {values.shape}: no columns; give at least one feature a row")
    _enough(name, values, least)
    bad = ~(np.abs(values) <= _LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        affected = int(bad.any(axis=1).sum())
        raise DataError(
            f"{name} holds {values[row, column]} at row {row}, column {column} ({affected} of {len(values)} rows bad); "
            f"features must be finite and at most {_LARGEST:g} in size: remove these rows or rescale"
        )
    return values


def _matrix(name: str, given: npt.ArrayLike) -> Array:
    if isinstance(given, torch.Tensor):
        given = (
            given.detach().to("cpu", torch.float64).numpy() if not given.is_complex() else given.detach().cpu().numpy()
        )
    try:
        values = np.asarray(given)
    except ValueError as error:
        raise DataError(f"{name} is not an array: {error}; give rows of equal length, one a sample") from None
    if values.ndim != 2:
        raise DataError(f"{name} has shape {values.shape}; it must be two-dimensional, one row a sample: reshape it")
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} holds values of type {values.dtype}; it must hold real numbers: convert it")
    return values.astype(np.float64, copy=False)


def _pair(
    a: npt.ArrayLike, b: npt.ArrayLike, *, least: int, names: tuple[str, str] = ("a", "b")
) -> tuple[Array, Array]:
    x, y = _features(names[0], a, least), _features(names[1], b, least)
    if x.shape[1] != y.shape[1]:
        raise DataError(
            f"{names[0]} has {x.shape[1]} features a row and {names[1]} has {y.shape[1]}; both must be of one kind"
        )
    return x, y


def _enough(name: str, values: Array, least: int) -> None:
    if len(values) < least:
        raise DataError(f"{name} has {len(values)} rows; this measure needs at least {least}: give more samples")


def _whole(name: str, given: int, least: int) -> None:
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
        raise ConfigError(f"{name} is {given!r}; it must be a whole number of at least {least}")


def _share(name: str, given: float) -> None:
    if not 0 < given < 1:
        raise ConfigError(f"{name} is {given!r}; it must lie between 0 and 1, both excluded")


def _choice(name: str, given: object, allowed: tuple[object, ...]) -> None:
    if given not in allowed:
        raise ConfigError(f"{name} is {given!r}; choose one of {', '.join(map(repr, allowed))}")


def _ratio(above: float, below: float) -> float:
    if below == 0:
        return 1.0 if above == 0 else math.inf
    return above / below


def _covariance_root(x: Array) -> Array:
    """R [min(n, d), d] with R^T R the unbiased covariance of x [n, d]."""
    return np.asarray(np.linalg.qr((x - x.mean(axis=0)) / math.sqrt(len(x) - 1), mode="r"))


def _blocks(rows: int, cells_a_row: int) -> Iterator[slice]:
    step = max(1, _CELLS // cells_a_row)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 [n, m]: of few columns from the differences, of many by a matrix product, which is much faster.

    The callers first subtract a median: rounding of the product then does not grow with an offset of the data, and
    whole numbers stay exact. What is below rounding counts as zero, so that copies are at distance zero.
    """
    if x.shape[1] <= 16:
        from scipy.spatial.distance import cdist

        return cdist(x, y, "sqeuclidean")
    norms = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1)
    squared: Array = norms - 2 * (x @ y.T)
    squared[squared <= 1e-13 * norms] = 0.0
    return squared


def _ball_radii(x: Array, k: int) -> Array:
    """Squared distance [n] from each row of x to its k-th nearest other row."""
    radii = np.empty(len(x))
    for rows in _blocks(len(x), len(x)):
        squared = _squared_distances(x[rows], x)
        here = np.arange(rows.start, rows.stop)
        squared[here - rows.start, here] = np.inf
        radii[rows] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii


def _median_distance(pooled: Array, generator: np.random.Generator) -> float:
    if len(pooled) > 1000:
        pooled = pooled[generator.choice(len(pooled), 1000, replace=False)]
    squared = _squared_distances(*(2 * [pooled - np.median(pooled, axis=0)]))
    distances = np.sqrt(squared[np.triu_indices(len(pooled), 1)])
    median = float(np.median(distances))
    if median > 0:
        return median
    # More than half of the pairs are copies: the mean still knows the scale of the rest. One point has no scale.
    return float(np.mean(distances)) or 1.0


def _kernel(x: Array, y: Array, bandwidth: float | None) -> Array:
    """The Gaussian kernel of that bandwidth, or the cubic polynomial kernel for None."""
    if bandwidth is None:
        polynomial: Array = (x @ y.T / x.shape[1] + 1) ** 3
        return polynomial
    centre = np.median(y, axis=0)
    gaussian: Array = np.exp(_squared_distances(x - centre, y - centre) / (-2 * bandwidth**2))
    return gaussian


def _row_sums(kernel: Array) -> Array:
    """Sum of each row of a square kernel matrix without its diagonal."""
    sums: Array = kernel.sum(axis=1) - np.diagonal(kernel)
    return sums


def _mmd2(within_a: Array, a_to_b: Array, b_to_a: Array, within_b: Array) -> float:
    n, m = len(within_a), len(within_b)
    return float(
        within_a.sum() / (n * (n - 1))
        + within_b.sum() / (m * (m - 1))
        - a_to_b.sum() / (n * m)
        - b_to_a.sum() / (n * m)
    )


def _jackknife_variance(within_a: Array, a_to_b: Array, b_to_a: Array, within_b: Array) -> float:
    """Variance of the estimate by leaving out one row at a time, of either set (Efron and Stein 1981)."""
    across = a_to_b.sum()
    variance = 0.0
    for within, towards, other in ((within_a, a_to_b, len(within_b)), (within_b, b_to_a, len(within_a))):
        n = len(within)
        without = (within.sum() - 2 * within) / ((n - 1) * (n - 2)) - 2 * (across - towards) / ((n - 1) * other)
        variance += (n - 1) / n * float(np.sum((without - without.mean()) ** 2))
    return variance


def _classifier(name: str, seed: int) -> Any:
    if name == "boosting":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(min_samples_leaf=5, early_stopping=False, random_state=seed)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": [0.001, 0.03, 1.0]},
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
    )


def _common_quantiles(n: int, m: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array]:
    """Where the quantile functions of n and m values are both constant: ranks in each, and the width of the piece.

    In whole numbers (n m pieces of probability 1 / (n m)), so that no break is lost to rounding.
    """
    breaks = np.union1d(np.arange(1, n + 1, dtype=np.int64) * m, np.arange(1, m + 1, dtype=np.int64) * n)
    return (breaks - 1) // m, (breaks - 1) // n, np.diff(breaks, prepend=0) / (n * m)
