"""Measurements and kept coordinates against exact posteriors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from modalities.images.adapter import Images
from modalities.vectors.adapter import Vectors
from pfgm_science.constraints import Kept, Knowing, Known
from pfgm_science.data import Dataset
from pfgm_science.denoiser import Denoiser, at_dimension
from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, Gaussian, Mixture
from pfgm_science.guidance import EnergyGuided, score_factor
from pfgm_science.measurement import Measured, Measurement, _at_one_kappa, _with_jacobian, selection
from pfgm_science.model import Model, fit
from pfgm_science.noise import StudentT
from pfgm_science.sampling import last, sample
from pfgm_science.schedule import karras
from pfgm_science.solvers import SOLVERS, Heun
from pfgm_science.stochastic import Renewal, Repeated

F64 = torch.float64
STD = torch.linspace(0.3, 2, 6, dtype=F64)
Z = torch.tensor([1.0, -0.5], dtype=F64)


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


A = torch.randn(2, 6, generator=gen(), dtype=F64)


def posterior(noise: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of y ~ N(0, diag(STD^2)) given A y + e = Z."""
    S = torch.diag(STD**2)
    gain = S @ A.T @ torch.linalg.inv(A @ S @ A.T + noise**2 * torch.eye(2, dtype=F64))
    return gain @ Z, S - gain @ A @ S


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_measurement_of_gaussian_data_is_exact_at_infinite_d(noise: float) -> None:
    """E[y | x, z] in closed form: x is one more measurement of N(mean, C) with noise sigma."""
    mean, C = posterior(noise)
    x, sigma = 3 * torch.randn(5, 6, generator=gen(1), dtype=F64), torch.tensor([0.05, 0.3, 1, 5, 80], dtype=F64)
    found = Measured(Gaussian(STD), A, Z.expand(5, 2), math.inf, noise)(x, sigma)
    for row, level, y in zip(x, sigma, found, strict=True):
        expected = mean + C @ torch.linalg.solve(C + level**2 * torch.eye(6, dtype=F64), row - mean)
        torch.testing.assert_close(y, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("D", [4.0, math.inf])
def test_samples_have_the_posterior(D: float) -> None:
    """At finite D by measuring first; 3,000 samples, whose covariance is off by 0.07 at most in 1e4 of 1e4+1 seeds."""
    mean, C = posterior(0.3)
    count = 3000
    measured = at_dimension(Measured(Gaussian(STD), A, Z.expand(count, 2), math.inf, 0.3), D, nodes=12)
    x = StudentT(D).prior((count, 6), 80.0, generator=gen(2), dtype=F64)
    end = last(sample(measured, x, karras(16))).x
    assert float((end.mean(0) - mean).abs().max()) < 0.12
    assert float((torch.cov(end.T) - C).abs().max()) < 0.2
    assert float((end @ A.T - Z).std()) < 0.45  # of the measurement: 0.3, unless the prior alone says less


@pytest.mark.parametrize("D", [2.0, 16.0, 128.0])
def test_a_jacobian_is_freed_of_what_kappa_adds(D: float) -> None:
    """Gaussian data of one size: E[grad Den_kappa | x] is the share of x that Den keeps, and grad Den less along x."""
    y, sigma = torch.randn(200, 6, generator=gen(11), dtype=F64), torch.full((200,), 0.8, dtype=F64)
    x = StudentT(D).perturb(y, 0.8, generator=gen(14))
    denoised, jacobian, change = _with_jacobian(Gaussian(1.0, D), x, sigma, None, None)
    wanted = (denoised / x).mean(1)[:, None, None] * torch.eye(6, dtype=F64)
    h = 1e-5
    by_differences = (Gaussian(1.0, D)(x, sigma * math.exp(h)) - Gaussian(1.0, D)(x, sigma * math.exp(-h))) / (2 * h)
    torch.testing.assert_close(change, by_differences, rtol=1e-5, atol=1e-7)
    factor = score_factor(x, denoised, sigma, D)
    found = _at_one_kappa(jacobian, change, x, denoised, factor, D, None)
    before, after = ((each - wanted).flatten(1).norm(dim=1).mean() for each in (jacobian, found))
    assert float(after) < 0.25 * float(before)


@pytest.mark.parametrize("D", [3.0, math.inf])
def test_repeated_steps_keep_the_law(D: float) -> None:
    """With the exact field: quantiles of a finite set's kernel at each level. 1 in 1e6 seeds fails."""
    points = torch.tensor([[-1.0], [0.5], [1.5]], dtype=F64)
    field, g, count = FiniteSet(points, D), gen(12), 20_000
    x = StudentT(D).perturb(points[torch.randint(0, 3, (count,), generator=g)], 4.0, generator=g)
    solver = Repeated(Heun(), Renewal(D, field, g), 4)
    for state in sample(field, x, np.geomspace(4.0, 0.3, 24).tolist(), solver=solver):
        if state.sigma < 4.0:
            fresh = StudentT(D).perturb(points[torch.randint(0, 3, (count,), generator=g)], state.sigma, generator=g)
            assert ks_2samp(state.x[:, 0].numpy(), fresh[:, 0].numpy()).pvalue > 1e-7


@pytest.mark.parametrize("D", [8.0, math.inf])
def test_repeated_steps_bring_modes_nearer_to_their_shares(D: float) -> None:
    """A mode that the measurement all but rules out is given too much in one pass: 0.2 for 0.04; takes mend half of it.

    2,000 samples: the share's standard deviation is 0.01.
    """
    means, std = torch.tensor([[-1.0, 0.5], [0.6, 0.8]], dtype=F64), torch.tensor([0.3, 0.2], dtype=F64)
    law, noise, z, count = Mixture(means, std, D, nodes=20), 0.2, 0.3, 2000
    spread = 2 * std**2 + noise**2
    likelihood = torch.exp(-((z - means.sum(1)) ** 2) / (2 * spread)) / spread.sqrt()
    wanted = float(likelihood[1] / likelihood.sum())
    measured = Measured(law, torch.ones(1, 2, dtype=F64), torch.full((count, 1), z, dtype=F64), D, noise)
    shares = []
    for repeats in (1, 30):
        g = gen(13)
        x = StudentT(D).prior((count, 2), 80.0, generator=g, dtype=F64)
        solver = Repeated(Heun(), Renewal(D, law, g), repeats, 0.15, 1.0)
        end = last(sample(measured, x, karras(20), solver=solver)).x
        distance = (end[:, None] - means).norm(dim=2) / std
        shares.append(float((distance.argmin(1) == 1).double().mean()))
    once, often = shares
    assert wanted < 0.05 < often < once - 0.04
    assert often - wanted < 0.7 * (once - wanted)


def test_without_noise_the_measurement_is_met() -> None:
    x = StudentT(16.0).prior((50, 6), 80.0, generator=gen(3), dtype=F64)
    end = last(sample(Measured(Gaussian(STD, 16.0), A, Z.expand(50, 2), 16.0), x, karras(16))).x
    torch.testing.assert_close(end @ A.T, Z.expand(50, 2), rtol=1e-6, atol=1e-6)


def test_many_coordinates_take_one_gradient() -> None:
    """Data of one size: the scalar is then the whole matrix, and the answer exact."""
    x, sigma = torch.randn(3, 80, generator=gen(4), dtype=F64), torch.full((3,), 0.7, dtype=F64)
    A80, z = torch.randn(4, 80, generator=gen(5), dtype=F64), torch.randn(3, 4, generator=gen(6), dtype=F64)
    found = Measured(Gaussian(1.0), A80, z, math.inf, 0.1)(x, sigma)
    C, denoised = 0.49 / 1.49, x / 1.49
    gain = C * A80.T @ torch.linalg.inv(C * A80 @ A80.T + 0.01 * torch.eye(4, dtype=F64))
    torch.testing.assert_close(found, denoised + (z - denoised @ A80.T) @ gain.T, rtol=1e-8, atol=1e-8)


POINTS = torch.randn(8, 6, generator=gen(7), dtype=F64)
KNOWN = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=F64)


def agreeing(D: float, repeats: int, *, told: bool = True, measured: bool = False, count: int = 160) -> float:
    """Of points whose first half is known, the share whose other half comes to be that of the same point.

    told: whether the denoiser is told the known half too, as Model does it.
    """
    wanted = torch.arange(count) % 8
    field, g = FiniteSet(POINTS, D), gen(8)
    renew = Renewal(D, field, g)
    kept = Repeated(Kept(Heun(), POINTS[wanted], KNOWN.expand(count, 6), renew), renew, repeats)
    x = StudentT(D).prior((count, 6), 80.0, generator=g, dtype=F64)
    denoiser = Measured(field, selection([0, 1, 2], 6), POINTS[wanted][:, :3], D) if measured else field
    if told:
        denoiser = Knowing(denoiser, POINTS[wanted], KNOWN.expand(count, 6))
    end = last(sample(denoiser, x, karras(24), solver=kept)).x
    assert torch.equal(end[:, :3], POINTS[wanted][:, :3]), "kept exactly"
    return float((torch.cdist(end, POINTS).argmin(1) == wanted).double().mean())


@pytest.mark.parametrize("D", [2.0, 16.0, math.inf])
def test_the_unknown_coordinates_come_to_agree_with_the_known(D: float) -> None:
    """Where the posterior is one point. Keeping alone needs many repeats; with a measurement, few are enough."""
    once, often, both = agreeing(D, 1), agreeing(D, 8), agreeing(D, 4, measured=True)
    assert once < often < both
    assert both > 0.97


@pytest.mark.parametrize("D", [2.0, 16.0, math.inf])
def test_a_denoiser_that_is_told_what_is_known_agrees_more_often(D: float) -> None:
    """800 samples each, fixed seeds: the standard error of a difference is at most .025."""
    assert agreeing(D, 4, count=800) > agreeing(D, 4, told=False, count=800) + 0.02


def test_a_step_scales_the_noise_of_known_coordinates_alone() -> None:
    x = StudentT(4.0).perturb(POINTS, 2.0, generator=gen(11))
    field = Knowing(FiniteSet(POINTS, 4.0), POINTS, KNOWN.expand(8, 6))
    for solver in (SOLVERS["euler"], SOLVERS["heun"]):
        after = last(sample(field, x, [2.0, 0.5], solver=solver)).x
        torch.testing.assert_close((after - POINTS)[:, :3], (x - POINTS)[:, :3] / 4, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("D", [3.0, math.inf])
def test_known_and_unknown_coordinates_share_one_kappa(D: float) -> None:
    """One point, whose noise is exact: replacing half of it keeps the law of the norm. 1 in 1e6 seeds fails."""
    y, g = torch.ones(1, 6, dtype=F64), gen(9)
    x = StudentT(D).perturb(y.expand(40_000, 6), 2.0, generator=g)
    seen: list[Tensor] = []

    class Watch(Heun):
        def step(self, denoise, state, sigma):  # type: ignore[no-untyped-def]
            seen.append(state.x)
            return super().step(denoise, state, sigma)

    field = FiniteSet(y, D)
    kept = Kept(Watch(), y.expand(40_000, 6), KNOWN.expand(40_000, 6), Renewal(D, field, g))
    last(sample(field, x, [2.0, 1.0], solver=kept))
    before, after = ((each - y).norm(dim=1).numpy() for each in (x, seen[0]))
    assert not torch.equal(x, seen[0]) and torch.equal(x[:, 3:], seen[0][:, 3:])
    assert ks_2samp(before, after).pvalue > 1e-6
    # the halves belong together: their norms go up and down with kappa
    halves = torch.stack([(seen[0] - y)[:, :3].norm(dim=1).log(), (seen[0] - y)[:, 3:].norm(dim=1).log()])
    original = torch.stack([(x - y)[:, :3].norm(dim=1).log(), (x - y)[:, 3:].norm(dim=1).log()])
    assert float(torch.corrcoef(halves)[0, 1]) == pytest.approx(float(torch.corrcoef(original)[0, 1]), abs=0.03)


@pytest.mark.parametrize("name", ["euler", "heun", "unipc"])
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("exact", [True, False])
def test_evaluations_are_counted(name: str, repeats: int, exact: bool) -> None:
    field, calls = FiniteSet(POINTS, 4.0), []

    def counted(x: Tensor, sigma: Tensor, condition: object = None, mask: object = None) -> Tensor:
        calls.append(1)
        return field(x, sigma)

    renew = Renewal(4.0, field if exact else counted, gen(10))
    kept = Repeated(Kept(SOLVERS[name], POINTS, KNOWN.expand(8, 6), renew), renew, repeats)
    state = last(sample(counted, torch.randn(8, 6, dtype=F64), karras(5), solver=kept))
    assert state.evaluations == len(calls)
    assert kept.steps(len(calls)) == 5 and (len(calls) < 2 or kept.steps(len(calls) - 1) == 4)


def test_mistakes_are_refused() -> None:
    field = FiniteSet(POINTS, 4.0)
    with pytest.raises(ConfigError, match="A has shape"):
        Measured(field, A, torch.zeros(3, 5), 4.0)
    with pytest.raises(ConfigError, match="noise of the measurement is -1"):
        Measured(field, A, torch.zeros(3, 2), 4.0, -1.0)
    with pytest.raises(ConfigError, match="3 samples of 6 coordinates, but A measures 6 and z has 4 rows"):
        Measured(field, A, torch.zeros(4, 2), 4.0)(torch.zeros(3, 6, dtype=F64), torch.ones(3, dtype=F64))
    renew = Renewal(4.0, field, gen())
    with pytest.raises(ConfigError, match="known values have shape"):
        Kept(Heun(), POINTS, KNOWN, renew)
    with pytest.raises(ConfigError, match="repeats is 0"):
        Repeated(Heun(), renew, 0)
    with pytest.raises(ConfigError, match="repeated between sigma = 2 and 1"):
        Repeated(Heun(), renew, 2, 2, 1)
    assert torch.equal(
        selection([2, 0], 3) @ torch.tensor([5.0, 6.0, 7.0], dtype=F64), torch.tensor([7.0, 5.0], dtype=F64)
    )


def test_what_is_known_of_an_image_is_said_by_a_mask_of_its_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    adapter = Images().fit(Dataset(images))
    pixels = np.zeros((8, 8), dtype=bool)
    pixels[:4] = True
    for objects, count in ((images, 3), (images[:1], 5), (np.full((1, 8, 8, 1), 255, np.uint8), 2)):
        for mask in (pixels, pixels[..., None], pixels.astype(int)):
            found = Known(objects, mask, 4).encoded(adapter, count)
            assert found.repeats == 4 and len(found.batch) == count
            assert torch.equal(found.batch.values, adapter.encode(objects).values.expand(count, -1, -1, -1))
            assert torch.equal(found.known, torch.from_numpy(pixels).float().expand(count, 1, 8, 8))


def test_each_object_may_have_a_mask_of_its_own() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 4))
    adapter = Vectors().fit(Dataset(rows))
    mask = np.random.default_rng(1).random((3, 4)) < 0.5
    for objects, masks in ((rows, mask), (rows.tolist(), list(mask))):
        assert torch.equal(Known(objects, masks).encoded(adapter, 3).known, torch.from_numpy(mask).float())


@pytest.fixture(scope="module")
def gaussian() -> Model:
    """Rows of N(0, 1) and N(0, 100) around (0, 5), and their exact denoiser at D = inf: a network whose answer is 0."""
    rows = np.random.default_rng(0).standard_normal((4000, 2)) * [1, 10] + [0, 5]
    model = fit(Vectors(), rows, dimension=math.inf, steps=1, network={"width": 8, "depth": 1, "embedding": 8})
    with torch.no_grad():
        for parameter in model.denoiser.parameters():
            parameter.zero_()
    return model


@pytest.mark.parametrize(("D", "count"), [(None, 2000), (8.0, 300)])
def test_a_measurement_is_in_the_units_of_the_objects(gaussian: Model, D: float | None, count: int) -> None:
    """y0 + y1/10 = 2 with noise 0.5: the closed posterior, within five standard errors."""
    measurement = Measurement([[1.0, 0.1]], [2.0], 0.5)
    found = gaussian.sample(count, measurement=measurement, dimension=D, evaluations=15 if D else 41, seed=1)
    means = np.array([(gaussian.adapter.encode(np.zeros((1, 2))).values[0, i]).item() for i in (0, 1)])
    scale = 1 / (gaussian.adapter.encode(np.eye(2)).values.numpy().diagonal() - means)
    prior, std = -means * scale, scale * gaussian.denoiser.sigma_data
    A = np.array([1.0, 0.1])
    gain = std**2 * A / (A @ (std**2 * A) + 0.25)
    expected = prior + gain * (2 - A @ prior)
    covariance = np.diag(std**2) - np.outer(gain, A * std**2)
    error = 5 * np.sqrt(covariance.diagonal() / count)
    assert (np.abs(found.mean(0) - expected) < error).all()
    errors = 5 * np.sqrt((np.outer(covariance.diagonal(), covariance.diagonal()) + covariance**2) / count)
    assert (np.abs(np.cov(found.T) - covariance) < errors).all()


def test_a_measurement_of_pixels_is_met() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), dtype=np.uint8)
    network = {"kind": "unet", "channels": 4, "multipliers": [1], "patch": 1}
    model = fit(Images(), images, dimension=16, steps=2, batch_size=4, network=network)
    halves = np.zeros((2, 16))
    halves[0, :8] = halves[1, 8:] = 1 / 8  # means of the upper and of the lower half
    found = model.sample(3, measurement=Measurement(halves, [[100, 150], [80, 90], [200, 60]]), evaluations=12)
    means = found.reshape(3, 2, 8).mean(2)
    np.testing.assert_allclose(means, [[100, 150], [80, 90], [200, 60]], atol=12)  # 8-bit values are cut off at 0, 255


@pytest.mark.parametrize(
    ("A", "z", "words"),
    [
        (np.ones((1, 3)), [1.0], "must be [measurements, 2]"),
        (np.ones((2, 2)), [1.0], "must be [measurements, 2]"),
        (np.ones(2), [1.0], "must be [measurements, 2]"),
        (np.ones((1, 2)), [[1.0]] * 3, "[5, measurements]"),
    ],
)
def test_measurements_of_other_shapes_are_refused(gaussian: Model, A: np.ndarray, z: list[float], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        gaussian.sample(5, measurement=Measurement(A, z))
    assert words in str(error.value)


def test_a_denoiser_may_be_steered(gaussian: Model) -> None:
    """The energy -y0^2/2 makes of N(0, 1) one of half the variance."""

    def steer(denoiser: Denoiser) -> EnergyGuided:
        def log_weight(x: Tensor, sigma: Tensor) -> Tensor:
            return -(x[:, 0] ** 2) / (2 * (1 + sigma**2) * (1 + 2 * sigma**2)) * (1 + sigma**2)

        return EnergyGuided(denoiser, log_weight, math.inf)

    plain, steered = (gaussian.sample(1000, steer=s, evaluations=25)[:, 0].std() for s in (None, steer))
    assert steered < 0.9 * plain
