from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from pfgm_science import metrics
from pfgm_science.errors import ConfigError, DataError
from pfgm_science.metrics import (
    Interval,
    frechet_distance,
    kernel_distance,
    memorisation,
    mmd2,
    nearest_neighbours,
    precision_recall,
    real_floor,
    sliced_wasserstein,
    two_sample_test,
)


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def white(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Samples whose mean is exactly zero and whose unbiased covariance is exactly the unit matrix."""
    x = normal(n, d, seed)
    x -= x.mean(axis=0)
    return math.sqrt(n - 1) * np.linalg.qr(x)[0]


def rows_in_any_order(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    a, b = generator.standard_normal((12, 3)), generator.standard_normal((15, 3)) + 0.5
    return a, b, generator.permutation(a), generator.permutation(b)


class TestFrechetDistance:
    def test_of_shifted_and_scaled_gaussians_has_its_closed_form(self) -> None:
        # S_a = diag(1, 4, 9), S_b = diag(9, 4, 1): sum of (sqrt s_a - sqrt s_b)^2 = 4 + 0 + 4; the shift adds 9 + 16.
        a = white(60, 3, 0) * [1, 2, 3]
        b = white(45, 3, 1) * [3, 2, 1] + [3, 0, -4]
        assert frechet_distance(a, b) == pytest.approx(33, rel=1e-12)

    def test_of_covariances_that_do_not_commute_agrees_with_the_matrix_square_root(self) -> None:
        a, b = normal(50, 6, 0) @ normal(6, 6, 1), normal(70, 6, 2) @ normal(6, 6, 3) + 1
        s_a, s_b = np.cov(a.T), np.cov(b.T)
        trace = np.trace(s_a + s_b - 2 * np.real(sqrtm(s_a @ s_b)))
        assert frechet_distance(a, b) == pytest.approx(np.sum((a.mean(0) - b.mean(0)) ** 2) + trace, rel=1e-9)

    def test_of_lines_in_space_is_exact_without_full_rank(self) -> None:
        # Variances 1 and 4 along one axis, then along two axes at right angles, where nothing overlaps.
        line, other = np.zeros((10, 40)), np.zeros((30, 40))
        line[:, 7], other[:, 7] = white(10, 1)[:, 0], 2 * white(30, 1)[:, 0]
        assert frechet_distance(line, other) == pytest.approx(1, rel=1e-12)
        assert frechet_distance(line, np.roll(other, 1, axis=1)) == pytest.approx(5, rel=1e-12)

    @pytest.mark.parametrize(("n", "d"), [(2, 1), (2, 500), (30, 200), (300, 20)])
    def test_of_a_set_and_itself_is_zero_even_far_from_the_origin(self, n: int, d: int) -> None:
        a = normal(n, d)
        assert 0 <= frechet_distance(a, a) < 1e-11 * d
        assert 0 <= frechet_distance(a + 1e6, a + 1e6) < 1e-8 * d

    def test_of_constant_features_is_the_squared_shift(self) -> None:
        assert frechet_distance(np.full((5, 3), 2.0), np.full((9, 3), 4.0)) == pytest.approx(12, rel=1e-14)

    def test_scales_with_the_square_of_the_features(self) -> None:
        a, b = normal(40, 5, 0), normal(40, 5, 1) * 2 + 1
        assert frechet_distance(1000 * a, 1000 * b) == pytest.approx(1e6 * frechet_distance(a, b), rel=1e-11)


class TestKernelDistance:
    def test_mmd2_of_two_and_three_points_by_hand(self) -> None:
        k_aa, k_bb = [[100, 1], [3, 100]], [[100, 1, 2], [1, 100, 3], [2, 3, 100]]
        k_ab = [[1, 2, 3], [4, 5, 6]]
        assert mmd2(k_aa, k_ab, k_bb) == pytest.approx(4 / 2 + 12 / 6 - 2 * 21 / 6, abs=1e-14)

    def test_polynomial_value_is_that_of_the_definition(self) -> None:
        a, b = normal(7, 4, 0), normal(9, 4, 1)
        k_aa, k_ab, k_bb = ((x @ y.T / 4 + 1) ** 3 for x, y in ((a, a), (a, b), (b, b)))
        assert kernel_distance(a, b).value == pytest.approx(mmd2(k_aa, k_ab, k_bb), rel=1e-12)

    @pytest.mark.parametrize("d", [4, 40])
    def test_gaussian_value_is_that_of_the_definition(self, d: int) -> None:
        a, b = normal(7, d, 0) + 1e7, normal(9, d, 1) + (1e7 + 0.5)
        pooled = np.concatenate([a, b])
        h = np.median(cdist(pooled, pooled)[np.triu_indices(16, 1)])
        k_aa, k_ab, k_bb = (np.exp(-(cdist(x, y) ** 2) / (2 * h**2)) for x, y in ((a, a), (a, b), (b, b)))
        assert kernel_distance(a, b, kernel="gaussian").value == pytest.approx(mmd2(k_aa, k_ab, k_bb), rel=1e-10)

    @pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
    def test_mean_is_zero_at_equal_laws(self, kernel: str) -> None:
        # Four standard errors: fails by luck once in 16,000 seeds. Counting the diagonals shifts the mean by over 20.
        generator = np.random.default_rng(0)
        values = np.array(
            [
                kernel_distance(
                    generator.standard_normal((20, 3)), generator.standard_normal((20, 3)), kernel=kernel
                ).value
                for _ in range(300)
            ]
        )
        assert abs(values.mean()) < 4 * values.std() / math.sqrt(300)
        assert values.min() < 0 < values.max()

    @pytest.mark.parametrize("size", [1000, 50])
    def test_interval_covers_the_true_value_as_often_as_it_says(self, size: int) -> None:
        # For d = 1 the squared MMD is 3 dm1^2 + 3 dm2^2 + dm3^2 in the raw moments: for N(0, 1) and N(1/2, 1) the
        # differences are 1/2, 1/4 and 13/8. Of 300 intervals at 0.9 some 270 cover, standard deviation 5.2: the bounds
        # are four of them off, and 3 in 100 lower for the skewness of a cubic kernel at so few rows.
        truth = 3 / 4 + 3 / 16 + (13 / 8) ** 2
        generator = np.random.default_rng(1)
        covered, values = 0, []
        for _ in range(300):
            a, b = generator.standard_normal((200, 1)), generator.standard_normal((200, 1)) + 0.5
            found = kernel_distance(a, b, level=0.9, size=size, seed=generator)
            assert found.low < found.value < found.high and found.level == 0.9
            covered += found.low <= truth <= found.high
            values.append(found.value)
        assert 240 <= covered <= 290
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(300)

    def test_interval_is_that_of_leaving_out_one_row_at_a_time(self) -> None:
        a, b = normal(6, 2, 0), normal(9, 2, 1) + 1
        variance = 0.0
        for n, one_out in (
            (6, [kernel_distance(np.delete(a, i, axis=0), b).value for i in range(6)]),
            (9, [kernel_distance(a, np.delete(b, i, axis=0)).value for i in range(9)]),
        ):
            variance += (n - 1) * np.var(one_out)
        found = kernel_distance(a, b, level=0.95)
        assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-6)
        assert found.value - found.low == pytest.approx(found.high - found.value, rel=1e-12)

    def test_blocks_are_disjoint_and_average(self) -> None:
        # Copies of one row each: every block has the same value. More blocks narrow the interval.
        a, b = np.full((6, 2), 1.0), np.full((6, 2), 2.0)
        assert kernel_distance(a, b, size=3).value == pytest.approx(8 + 125 - 2 * 27, rel=1e-13)
        a, b = normal(40, 2, 0), normal(40, 2, 1)
        one = kernel_distance(a, b, size=10, subsets=1, seed=3)
        four = kernel_distance(a, b, size=10, subsets=9, seed=3)
        assert one.value != four.value
        assert four.high - four.low < one.high - one.low

    def test_gaussian_kernel_survives_copies(self) -> None:
        point = np.ones((8, 2))
        assert kernel_distance(point, point, kernel="gaussian").value == 0
        mostly = np.concatenate([point, [[5.0, 5.0]]])
        assert math.isfinite(kernel_distance(point, mostly, kernel="gaussian").value)


class TestPrecisionRecall:
    real = np.array([[0.0], [1.0], [2.0], [3.0]])

    @pytest.mark.parametrize("width", [1, 20])
    def test_by_hand(self, width: int) -> None:
        # Real balls reach 1: 0.5 lies in those of 0 and 1, 10 in none. Generated balls reach 9.5 and hold all of real.
        pad = ((0, 0), (0, width - 1))
        real, generated = np.pad(self.real, pad), np.pad(np.array([[0.5], [10.0]]), pad)
        found = precision_recall(real, generated, k=1)
        assert dict(found) == {"precision": 0.5, "recall": 1.0, "density": 1.0, "coverage": 0.5}
        assert found["recall"] == found.recall

    @pytest.mark.parametrize("width", [1, 20])
    def test_balls_are_closed(self, width: int) -> None:
        # 1 lies in the ball of 1 and on the edge of those of 0 and 2; 1.25 in those of 1 and 2. The latter reach 1/4.
        pad = ((0, 0), (0, width - 1))
        found = precision_recall(np.pad(self.real, pad), np.pad(np.array([[1.0], [1.25]]), pad), k=1)
        assert dict(found) == {"precision": 1.0, "recall": 0.25, "density": 2.5, "coverage": 0.75}

    def test_second_neighbour_widens_the_balls(self) -> None:
        # k = 2: real balls reach 2, 1, 1, 2. 4 lies in that of 3, 9 and 10 in none; they reach 6, 5 and 6.
        found = precision_recall(self.real, np.array([[4.0], [9.0], [10.0]]), k=2)
        assert dict(found) == pytest.approx({"precision": 1 / 3, "recall": 1.0, "density": 1 / 6, "coverage": 0.25})

    def test_collapse_costs_variety_and_outliers_cost_quality(self) -> None:
        real = normal(400, 2, 0)
        collapsed = precision_recall(real, 0.1 * normal(400, 2, 1))
        assert collapsed.precision == 1 and collapsed.recall < 0.1 and collapsed.coverage < 0.2
        wide = precision_recall(real, 5 * normal(400, 2, 1))
        assert wide.precision < 0.3 and wide.recall > 0.9 and wide.density < 0.3

    @pytest.mark.parametrize("width", [3, 30, 67, 300])
    def test_of_copies_among_duplicates_is_exact(self, width: int) -> None:
        # Every ball is a point that three real samples share: only distances of exactly zero find their way in.
        # The first 41 of the reversed rows are 13 whole points and two rows of another: 14 of 20 points.
        real = np.repeat(normal(20, width) + 100, 3, axis=0)
        found = precision_recall(real, real[::-1][:41], k=2)
        assert (found.precision, found.density, found.coverage) == (1.0, 1.5, 0.7)

    @pytest.mark.parametrize("width", [3, 30])
    def test_a_large_offset_does_not_matter(self, width: int) -> None:
        real, generated = normal(60, width, 0) + 1e8, normal(50, width, 1) + 1e8
        assert precision_recall(real, generated) == precision_recall(real - 1e8, generated - 1e8)


class TestTwoSampleTest:
    @pytest.mark.parametrize("classifier", ["logistic", "boosting"])
    def test_tells_shifted_sets_apart(self, classifier: str) -> None:
        # The best possible accuracy is Phi(3/2) = 0.933; of 200 held-out rows five standard deviations are 0.09.
        found = two_sample_test(normal(200, 3, 0), normal(200, 3, 1) + np.array([3, 0, 0]), classifier=classifier)
        assert 0.84 < found.accuracy < 1
        assert found.p_value < 1e-15

    def test_stays_at_chance_at_equal_laws(self) -> None:
        # P(p <= 0.05) <= 0.05: more than 4 of 15 has chance 6e-4. The mean accuracy stays within four standard errors
        # of 1/2, sqrt(1/4/40/15) each; on its training rows this classifier would reach 0.7.
        generator = np.random.default_rng(0)
        found = [
            two_sample_test(generator.standard_normal((40, 10)), generator.standard_normal((40, 10)), seed=generator)
            for _ in range(15)
        ]
        assert sum(result.p_value <= 0.05 for result in found) <= 4
        assert abs(np.mean([result.accuracy for result in found]) - 0.5) < 4 * math.sqrt(0.25 / 40 / 15)

    def test_p_value_is_the_binomial_tail(self) -> None:
        # Sets at a distance: all 20 held-out rows are told apart, by luck once in 2^20.
        found = two_sample_test(normal(20, 2, 0), normal(20, 2, 1) + 50)
        assert (found.accuracy, found.p_value) == (1.0, pytest.approx(2.0**-20, rel=1e-9))

    def test_unequal_counts_are_not_a_clue(self) -> None:
        # Always saying "the larger" would score 0.9 without cutting; with it, six standard deviations reach 0.8.
        found = two_sample_test(normal(100, 3, 0), normal(900, 3, 1))
        assert 0.2 < found.accuracy < 0.8

    def test_only_boosting_sees_a_scale(self) -> None:
        a, b = normal(300, 2, 0), 4 * normal(300, 2, 1)
        assert two_sample_test(a, b, classifier="boosting").p_value < 1e-6
        assert two_sample_test(a, b, classifier="logistic").p_value > 1e-3

    def test_does_not_depend_on_the_units_of_a_feature(self) -> None:
        a, b = normal(100, 3, 0), normal(100, 3, 1) + np.array([1, 0, 0])
        units = np.array([1e-6, 1e6, 1.0])
        assert two_sample_test(a * units, b * units) == two_sample_test(a, b)


class TestNearestNeighbours:
    @pytest.mark.parametrize("d", [2, 16, 17, 300])
    @pytest.mark.parametrize("cells", [1, 1 << 22])
    @pytest.mark.parametrize("offset", [0, 1e9])
    def test_agrees_with_all_distances(
        self, d: int, cells: int, offset: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(metrics, "_CELLS", cells)
        queries, reference = normal(30, d, 0) + offset, normal(40, d, 1) + offset
        distances, indices = nearest_neighbours(queries, reference, k=3)
        everything = cdist(queries, reference)
        np.testing.assert_array_equal(indices, np.argsort(everything, axis=1)[:, :3])
        np.testing.assert_allclose(distances, np.sort(everything, axis=1)[:, :3], rtol=1e-13)

    def test_copies_are_at_distance_zero_exactly(self) -> None:
        reference = 1e3 * normal(50, 64)
        order = np.random.default_rng(1).permutation(50)
        distances, indices = nearest_neighbours(reference[order], reference)
        assert (distances == 0).all()
        np.testing.assert_array_equal(indices[:, 0], order)

    def test_one_row_of_reference_is_enough(self) -> None:
        distances, indices = nearest_neighbours([[3.0, 4.0]], [[0, 0]])
        assert (distances.tolist(), indices.tolist()) == ([[5.0]], [[0]])


class TestMemorisation:
    train = normal(300, 8, 0)
    held_out = normal(300, 8, 1)

    def test_of_new_samples_shows_nothing(self) -> None:
        # The share of near copies has standard deviation sqrt(2 * 0.05 * 0.95 / 300) = 0.018 about 0.05: five of them.
        found = memorisation(normal(300, 8, 2), self.train, self.held_out)
        assert found.copies == 0
        assert 0.9 < found.distance_ratio < 1.1
        assert found.near_copies_held_out == 0.05
        assert found.near_copies < 0.14

    def test_counts_copies_and_near_copies(self) -> None:
        generated = np.concatenate([self.train[:30], self.train[30:90] + 1e-3, normal(210, 8, 2) + 100])
        found = memorisation(generated, self.train, self.held_out)
        assert (found.copies, found.near_copies) == (0.1, 0.3)
        assert found.distance_ratio > 10

    def test_ratio_by_hand(self) -> None:
        found = memorisation([[1.0], [2.0], [3.0]], [[0.0]], [[4.0], [-8.0]], quantile=0.5)
        assert dict(found) == pytest.approx(
            {"distance_ratio": 2 / 6, "copies": 0, "near_copies": 1, "near_copies_held_out": 0.5}
        )

    def test_where_held_out_samples_are_copies_themselves(self) -> None:
        assert memorisation(self.train, self.train, self.train).distance_ratio == 1
        assert memorisation(self.held_out, self.train, self.train).distance_ratio == math.inf


class TestSlicedWasserstein:
    @pytest.mark.parametrize(("n", "m"), [(10, 10), (7, 12), (1, 5), (100, 33)])
    def test_in_one_dimension_is_exact(self, n: int, m: int) -> None:
        a, b = normal(n, 1, 0), 2 * normal(m, 1, 1) + 1
        assert sliced_wasserstein(a, b) == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]), rel=1e-12)

    def test_of_second_order_by_hand(self) -> None:
        # The quantile functions jump at 1/2 and at 2/3: gaps 1, 2 and 2 on pieces of width 1/2, 1/6 and 1/3.
        a, b = np.array([[0.0], [3.0]]), np.array([[1.0], [1.0], [5.0]])
        assert sliced_wasserstein(a, b, p=2) == pytest.approx(math.sqrt(1 / 2 + 4 / 6 + 4 / 3), rel=1e-14)
        assert sliced_wasserstein(a, b, p=1) == pytest.approx(1 / 2 + 2 / 6 + 2 / 3, rel=1e-14)

    def test_of_a_translated_set_is_the_mean_projection_of_the_shift(self) -> None:
        # Of a shift v: p = 2 gives |v| sqrt(E cos^2) = |v| / sqrt(d); p = 1 in the plane |v| 2/pi. 20,000 directions:
        # five standard errors are below 1.1 and 1.3 in 100 of the value.
        a, shift = normal(9, 2), np.array([3.0, 4.0])
        assert sliced_wasserstein(a, a + shift, p=2, directions=20000) == pytest.approx(5 / math.sqrt(2), rel=0.013)
        assert sliced_wasserstein(a, a + shift, p=1, directions=20000) == pytest.approx(10 / math.pi, rel=0.018)

    def test_of_a_repeated_set_is_zero(self) -> None:
        a = normal(11, 4)
        assert sliced_wasserstein(a, np.tile(a, (3, 1)), p=2) == pytest.approx(0, abs=1e-14)

    def test_directions_come_from_the_seed_and_not_from_the_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        a, b = normal(20, 3, 0), normal(30, 3, 1)
        value = sliced_wasserstein(a, b, seed=5)
        assert value == sliced_wasserstein(a, b, seed=np.random.default_rng(5)) != sliced_wasserstein(a, b, seed=6)
        monkeypatch.setattr(metrics, "_CELLS", 1)
        assert sliced_wasserstein(a, b, seed=5) == pytest.approx(value, rel=1e-13)


class TestRealFloor:
    def test_halves_are_disjoint_and_of_the_size_asked_for(self) -> None:
        seen: list[tuple[int, int]] = []

        def metric(a: np.ndarray, b: np.ndarray) -> float:
            assert not set(a[:, 0]) & set(b[:, 0])
            seen.append((len(a), len(b)))
            return float(len(seen))

        features = np.arange(11.0)[:, None]
        assert real_floor(metric, features, repeats=3) == (2.0, 1.0)
        real_floor(metric, features, repeats=2, size=4)
        assert seen == [(5, 5)] * 3 + [(4, 4)] * 2

    def test_is_repeatable_by_its_seed(self) -> None:
        features = normal(60, 3)
        first = real_floor(frechet_distance, features, seed=1)
        assert first == real_floor(frechet_distance, features, seed=1) != real_floor(frechet_distance, features, seed=2)
        assert first.mean > 0 and first.std > 0

    def test_takes_the_value_of_an_interval(self) -> None:
        assert real_floor(lambda a, b: Interval(2.0, 1.0, 4.0, 0.9), normal(8, 2)) == (2.0, 0.0)


def test_blocks_do_not_change_precision_and_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    for d in (3, 30):
        real, generated = normal(60, d, 0), normal(50, d, 1)
        whole = precision_recall(real, generated)
        with monkeypatch.context() as patch:
            patch.setattr(metrics, "_CELLS", 70)
            assert precision_recall(real, generated) == whole


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(seed: int) -> None:
    a, b, a_shuffled, b_shuffled = rows_in_any_order(seed)
    near = {"rel": 1e-9, "abs": 1e-12}
    assert frechet_distance(a_shuffled, b_shuffled) == pytest.approx(frechet_distance(a, b), **near)
    assert dict(precision_recall(a_shuffled, b_shuffled, k=3)) == dict(precision_recall(a, b, k=3))
    assert sliced_wasserstein(a_shuffled, b_shuffled) == pytest.approx(sliced_wasserstein(a, b), **near)
    assert dict(memorisation(a_shuffled, b_shuffled, a)) == dict(memorisation(a, b, a))
    for kernel in ("polynomial", "gaussian"):
        assert dict(kernel_distance(a_shuffled, b_shuffled, kernel=kernel)) == pytest.approx(
            dict(kernel_distance(a, b, kernel=kernel)), **near
        )


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_distances_are_symmetric_and_not_negative(seed: int) -> None:
    a, b, _, _ = rows_in_any_order(seed)
    near = {"rel": 1e-9, "abs": 1e-12}
    for distance in (frechet_distance, sliced_wasserstein):
        assert distance(a, b) == pytest.approx(distance(b, a), **near)
        assert distance(a, b) >= 0
    assert kernel_distance(a, b).value == pytest.approx(kernel_distance(b, a).value, **near)
    forward, backward = precision_recall(a, b, k=3), precision_recall(b, a, k=3)
    assert (forward.precision, forward.recall) == (backward.recall, backward.precision)


def test_tensors_and_narrow_types_are_computed_in_float64() -> None:
    a, b = normal(30, 4, 0).astype(np.float32), normal(30, 4, 1).astype(np.float32)
    wanted = frechet_distance(a.astype(np.float64), b.astype(np.float64))
    assert frechet_distance(a, b) == wanted
    assert frechet_distance(torch.from_numpy(a).requires_grad_(), torch.from_numpy(b)) == wanted
    whole = np.arange(12, dtype=np.uint8).reshape(6, 2)
    assert frechet_distance(whole, whole + 200) == pytest.approx(80000)
    assert frechet_distance(torch.ones(3, 2, dtype=torch.bfloat16), np.zeros((3, 2), dtype=bool)) == 2


def test_input_is_left_as_it_was() -> None:
    a, b = normal(40, 3, 0), normal(40, 3, 1)
    a_before, b_before = a.copy(), b.copy()
    for metric in MEASURES.values():
        metric(a, b)
    assert (a == a_before).all() and (b == b_before).all()


MEASURES = {
    "frechet": frechet_distance,
    "kernel": kernel_distance,
    "precision_recall": precision_recall,
    "two_sample": two_sample_test,
    "nearest": nearest_neighbours,
    "memorisation": lambda a, b: memorisation(a, b, b),
    "sliced": sliced_wasserstein,
    "floor": lambda a, b: (real_floor(frechet_distance, b), frechet_distance(a, b)),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
class TestBadInput:
    good = normal(40, 3)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200])
    def test_names_the_place_of_a_bad_number(self, measure, value: float) -> None:
        bad = self.good.copy()
        bad[17, 2] = value
        for pair in ((self.good, bad), (bad, self.good)):
            with pytest.raises(DataError, match=r"holds .* at row 17, column 2 \(1 of 40 rows bad\)"):
                measure(*pair)

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (np.zeros((40, 4)), "features a row"),
            (np.zeros(40), r"has shape \(40,\); it must be two-dimensional"),
            (np.zeros((4, 2, 3)), "two-dimensional"),
            (np.zeros((0, 3)), "has 0 rows"),
            (np.zeros((40, 0)), "no columns"),
            (np.zeros((40, 3), dtype=complex), "complex128"),
            (torch.zeros(40, 3, dtype=torch.complex64), "complex64"),
            ([["a", "b", "c"]] * 40, "real numbers"),
            ([[1.0, 2.0], [1.0]], "rows of equal length"),
        ],
    )
    def test_says_what_was_given(self, measure, bad: object, message: str) -> None:
        for pair in ((self.good, bad), (bad, self.good)):
            with pytest.raises(DataError, match=message):
                measure(*pair)


def test_error_names_the_argument() -> None:
    good, bad = normal(9, 3), np.full((9, 3), np.nan)
    with pytest.raises(DataError, match=r"^a holds nan"):
        frechet_distance(bad, good)
    with pytest.raises(DataError, match=r"^b holds nan"):
        frechet_distance(good, bad)
    with pytest.raises(DataError, match=r"^generated holds nan"):
        precision_recall(good, bad)
    with pytest.raises(DataError, match=r"^held_out holds nan"):
        memorisation(good, good, bad)
    with pytest.raises(DataError, match=r"^reference holds nan"):
        nearest_neighbours(good, bad)
    with pytest.raises(DataError, match=r"^features holds nan"):
        real_floor(frechet_distance, bad)
    with pytest.raises(DataError, match=r"^k_ab has shape"):
        mmd2(good @ good.T, good[0], good @ good.T)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(normal(1, 2), normal(5, 2)), "a has 1 rows; .* at least 2"),
        (lambda: kernel_distance(normal(5, 2), normal(2, 2)), "b has 2 rows; .* at least 3"),
        (lambda: precision_recall(normal(5, 2), normal(6, 2), k=5), "real has 5 rows; .* at least 6"),
        (lambda: two_sample_test(normal(20, 2), normal(19, 2)), "b has 19 rows; .* at least 20"),
        (lambda: nearest_neighbours(normal(5, 2), normal(2, 2), k=3), "reference has 2 rows; .* at least 3"),
        (lambda: memorisation(normal(5, 2), normal(5, 2), normal(1, 2)), "held_out has 1 rows; .* at least 2"),
        (lambda: real_floor(frechet_distance, normal(9, 2), size=5), "features has 9 rows; .* at least 10"),
        (lambda: mmd2(np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 2))), r"\(2, 2\), \(2, 3\) and \(2, 2\)"),
        (lambda: mmd2(np.ones((1, 1)), np.ones((1, 3)), np.ones((3, 3))), "at least 2"),
    ],
)
def test_too_few_rows_are_refused(call, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: kernel_distance(x, x, kernel="cubic"), "kernel is 'cubic'; choose one of 'polynomial', 'gaussian'"),
        (lambda x: kernel_distance(x, x, subsets=0), "subsets is 0"),
        (lambda x: kernel_distance(x, x, size=2), "size is 2"),
        (lambda x: kernel_distance(x, x, level=95), "level is 95"),
        (lambda x: precision_recall(x, x, k=0), "k is 0"),
        (lambda x: precision_recall(x, x, k=2.5), "k is 2.5"),
        (lambda x: nearest_neighbours(x, x, k=True), "k is True"),
        (lambda x: two_sample_test(x, x, classifier="forest"), "classifier is 'forest'"),
        (lambda x: sliced_wasserstein(x, x, p=3), "p is 3; choose one of 1, 2"),
        (lambda x: sliced_wasserstein(x, x, directions=0), "directions is 0"),
        (lambda x: memorisation(x, x, x, quantile=0), "quantile is 0"),
        (lambda x: real_floor(frechet_distance, x, repeats=1), "repeats is 1"),
        (lambda x: real_floor(frechet_distance, x, size=0), "size is 0"),
    ],
)
def test_settings_out_of_range_are_refused(call, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(normal(30, 2))
