from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pfgm_science.batch import Condition
from pfgm_science.condition import DIMENSION, ESTIMATE, SEEN, dimension_feature
from pfgm_science.denoiser import AtDimension, Denoiser, GivenDimension, Preconditioned, Remembering, at_dimension
from pfgm_science.errors import ConfigError
from pfgm_science.exact import FiniteSet, Gaussian
from pfgm_science.noise import StudentT

F64 = torch.float64


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=gen(seed), dtype=F64)


def full(x: Tensor, sigma: float) -> Tensor:
    return torch.full((len(x),), sigma, dtype=x.dtype)


class Recorder(nn.Module):
    """A network that remembers what it was called with and answers with a constant."""

    def __init__(self, answer: float = 0.0) -> None:
        super().__init__()
        self.answer = answer
        self.seen: tuple[Tensor, Tensor, Condition | None, Tensor | None] | None = None

    def forward(
        self, x: Tensor, level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        self.seen = (x, level, condition, mask)
        return torch.full_like(x, self.answer)


class Counter:
    """A denoiser that counts its evaluations."""

    def __init__(self, denoiser: FiniteSet | Gaussian) -> None:
        self.denoiser, self.calls = denoiser, 0

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        self.calls += 1
        return self.denoiser(x, sigma, condition, mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_preconditioning_has_edms_coefficients(dtype: torch.dtype) -> None:
    d, sigma = 0.5, torch.tensor([0.002, 0.5, 3.0, 80.0], dtype=dtype)
    x = randn(4, 3, 2).to(dtype) * 10
    condition = {"label": torch.arange(4)}
    network = Recorder(answer=1.0)
    y = Preconditioned(network, d)(x, sigma, condition)

    s = sigma.double()
    c_skip, c_out = d**2 / (s**2 + d**2), s * d / (s**2 + d**2).sqrt()
    c_in, c_noise = 1 / (s**2 + d**2).sqrt(), s.log() / 4
    expected = c_skip[:, None, None] * x.double() + c_out[:, None, None]
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), expected, rtol=1e-5 if dtype == torch.float32 else 1e-13, atol=1e-7)
    assert network.seen is not None
    seen, level, given, mask = network.seen
    assert seen.dtype == level.dtype == torch.float32 and given is condition and mask is None
    torch.testing.assert_close(seen.double(), c_in[:, None, None] * x.double(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(level.double(), c_noise, rtol=1e-6, atol=1e-7)


def test_the_networks_input_has_unit_size_at_every_level() -> None:
    # 20000 values a level: the standard error of their variance is 0.01, and 5 of them fail by luck once in 2e6 seeds.
    d, sigma = 3.0, torch.tensor([0.01, 3.0, 500.0], dtype=F64)
    network = Recorder()
    Preconditioned(network, d)(d * randn(3, 20000) + sigma[:, None] * randn(3, 20000, seed=1), sigma)
    assert network.seen is not None
    assert float((network.seen[0].var(dim=1) - 1).abs().max()) < 0.05


def test_a_silent_network_leaves_the_skip() -> None:
    x, sigma = randn(3, 4), torch.tensor([0.1, 1.0, 9.0], dtype=F64)
    torch.testing.assert_close(Preconditioned(Recorder(), 0.5)(x, sigma), x * (0.25 / (sigma**2 + 0.25))[:, None])


def test_what_lies_beyond_data_and_noise_is_met_at_the_level_it_shows() -> None:
    """Small kappa of small D: the network's input stays of unit size and the skip does not carry x out."""
    network = Recorder()
    denoiser = Preconditioned(network, 1.0, radius=2.0)
    sigma = torch.tensor([0.5, 0.5, 0.5, 3.0], dtype=F64)
    x = torch.tensor([1.0, 3.2, 1000.0, 1000.0], dtype=F64)[:, None].expand(4, 3)
    level = denoiser.level(x, sigma)
    assert torch.equal(level[:2], sigma[:2])  # within sqrt(radius^2 + (5 sigma)^2) = 3.2016
    torch.testing.assert_close(level[2:], torch.full((2,), 1000.0, dtype=F64), rtol=2e-4, atol=0)
    y = denoiser(x, sigma)
    assert network.seen is not None
    assert float(network.seen[0].abs().max()) < 4
    torch.testing.assert_close(network.seen[1].double(), level.log() / 4, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(y, (1 / (1 + level**2))[:, None] * x, rtol=1e-13, atol=0)


def test_the_level_looks_at_free_coordinates_and_follows_the_units() -> None:
    x = 100 * randn(5, 4)
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=F64).expand(5, 4)
    denoiser, sigma = Preconditioned(Recorder(), 0.5, radius=1.5), full(x, 2.0)
    level = denoiser.level(x, sigma, mask)
    torch.testing.assert_close(level, denoiser.level(x[:, :2], sigma))
    assert bool((level > sigma).any())
    thousand = Preconditioned(Recorder(), 500.0, radius=1500.0)
    torch.testing.assert_close(thousand.level(1000 * x, 1000 * sigma, mask), 1000 * level, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("N", "D"), [(64, 16.0), (784, 16.0), (784, 64.0), (3072, 64.0), (2, math.inf)])
def test_at_large_sizes_the_level_is_sigma(N: int, D: float) -> None:
    """2,000 draws at each of three levels; one is beyond by luck once in 4e4 seeds (N = 64, D = 16), else far less."""
    y = torch.zeros(2000, N, dtype=F64)
    denoiser = Preconditioned(Recorder(), 1.0, radius=1.0)
    for seed, sigma in enumerate((0.01, 1.0, 100.0)):
        x = StudentT(D).perturb(y, full(y, sigma), generator=gen(seed))
        assert torch.equal(denoiser.level(x, full(y, sigma)), full(y, sigma))


def test_matched_levels_are_the_deviation_of_the_noise() -> None:
    denoiser = Preconditioned(Recorder(), 0.5, radius=1.0, D=4.0, preconditioning="matched")
    x, sigma = randn(3, 50), torch.tensor([0.5, 2.0, 9.0], dtype=F64)
    torch.testing.assert_close(denoiser.level(x, sigma), sigma * math.sqrt(2))
    with pytest.raises(ConfigError, match="D > 2"):
        Preconditioned(Recorder(), 0.5, D=2.0, preconditioning="matched")
    with pytest.raises(ConfigError, match="edm, matched, seen"):
        Preconditioned(Recorder(), 0.5, preconditioning="variance")


def test_seen_levels_are_those_of_the_draw_and_are_told() -> None:
    """With many coordinates x shows sigma / sqrt(kappa) to within its own 1/sqrt(2 N)."""
    N, D, d = 20000, 5.0, 0.5
    generator = torch.Generator().manual_seed(0)
    kappa = torch.exp(StudentT(D).log_kappa(8, generator=generator))
    sigma = full(kappa, 2.0)
    x = d * randn(8, N) + (sigma / kappa.sqrt())[:, None] * randn(8, N, seed=1)
    network = Recorder()
    denoiser = Preconditioned(network, d, radius=1.05 * d, D=D, preconditioning="seen")
    torch.testing.assert_close(denoiser.level(x, sigma), sigma / kappa.sqrt(), rtol=0.03, atol=0)
    denoiser(x, sigma)
    assert network.seen is not None and network.seen[2] is not None
    told = network.seen[2][SEEN]
    torch.testing.assert_close(told[:, 0].double(), (denoiser.level(x, sigma) / sigma).log(), rtol=1e-5, atol=1e-6)
    assert Preconditioned(Recorder(), d, preconditioning="seen").level(x, sigma).tolist() == sigma.tolist()  # D = inf


@pytest.mark.parametrize("D", [1.0, 4.0, 64.0])
@pytest.mark.parametrize("share", [0.003, 0.01, 0.1, 1.0, 10.0])
def test_sizes_of_data_are_not_taken_for_noise(D: float, share: float) -> None:
    """Data whose squares differ by a third of their mean: the log of the level is off by no more than that of sigma.

    "edm" is that of sigma, but where x lies too far out for it. Far above the data the noise itself is seen.
    """
    N, sizes = 64, torch.linspace(0.4, 1.6, 4000, dtype=F64)
    y = randn(4000, N) * sizes.sqrt()[:, None]
    radius, d = float(y.square().mean(1).max().sqrt()), float(y.square().mean().sqrt())
    kappa = torch.exp(StudentT(D).log_kappa(len(y), generator=torch.Generator().manual_seed(1)))
    sigma, level = full(y, share * d), share * d / kappa.sqrt()
    x = y + level[:, None] * randn(4000, N, seed=2)

    def off(name: str) -> float:
        denoiser = Preconditioned(Recorder(), d, radius=radius, D=D, preconditioning=name)
        return float((denoiser.level(x, sigma) / level).log().square().mean().sqrt())

    assert off("seen") < 1.02 * off("edm")
    if share == 10:
        assert off("seen") < 0.1


def test_nothing_is_seen_where_the_sizes_of_data_are_not_known() -> None:
    x, sigma = 9 * randn(5, 4), torch.full((5,), 2.0, dtype=F64)
    assert torch.equal(Preconditioned(Recorder(), 0.5, D=4.0, preconditioning="seen").level(x, sigma), sigma)


def test_the_loss_weight_asks_for_unit_output() -> None:
    """EDM, arXiv 2206.00364, table 1: 1 / c_out^2, at the level that x shows."""
    x, sigma = torch.tensor([[0.3], [500.0]], dtype=F64), torch.tensor([0.1, 0.1], dtype=F64)
    denoiser = Preconditioned(Recorder(), 0.5, radius=1.0)
    s = denoiser.level(x, sigma)
    torch.testing.assert_close(denoiser.loss_weight(x, sigma), (s**2 + 0.25) / (0.5 * s) ** 2)
    assert float(s[0]) == 0.1 and float(s[1]) == pytest.approx(500, rel=1e-4)


def test_padding_comes_out_as_zero() -> None:
    x, mask = randn(2, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    network = Recorder(answer=5.0)
    y = Preconditioned(network, 0.5)(x, full(x, 1.0), None, mask)
    assert bool((y[mask == 0] == 0).all() and (y[mask == 1] != 0).all())
    assert network.seen is not None and network.seen[3] is mask


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=gen(p.ndim)) / 3)
        self.dtype: torch.dtype | None = None

    def forward(
        self, x: Tensor, level: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        out = self.layer(x)
        self.dtype = out.dtype
        return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bfloat16_is_for_the_network_alone(dtype: torch.dtype) -> None:
    network = Linear()
    # At D = 1 the values before normalisation would overflow or lose all digits as halves.
    sigma = torch.logspace(-2, 2, 8, dtype=dtype)
    x = (StudentT(1.0).draw((8, 6), 1.0, generator=gen(), dtype=dtype) * sigma[:, None]).to(dtype)
    full_precision = Preconditioned(network, 0.5)(x, sigma)
    assert network.dtype == torch.float32
    half = Preconditioned(network, 0.5, "bfloat16")(x, sigma)
    assert network.dtype == torch.bfloat16 and half.dtype == dtype
    scale = 0.5 * x.norm(dim=1, keepdim=True) / (sigma[:, None] ** 2 + 0.25).sqrt() + 0.5
    assert float(((half - full_precision) / scale).detach().abs().max()) < 0.02


@pytest.mark.parametrize("sigma_data", [0.0, -1.0, math.inf, math.nan])
def test_data_must_vary(sigma_data: float) -> None:
    with pytest.raises(ConfigError, match="the data must vary"):
        Preconditioned(Recorder(), sigma_data)


@pytest.mark.parametrize("radius", [-1.0, math.nan])
def test_a_radius_is_not_negative(radius: float) -> None:
    with pytest.raises(ConfigError, match="radius is"):
        Preconditioned(Recorder(), 1.0, radius=radius)


def test_the_precision_must_be_known() -> None:
    with pytest.raises(ConfigError, match="'float16' is not known"):
        Preconditioned(Recorder(), 1.0, "float16")


@pytest.mark.parametrize("D", [1.0, math.inf, torch.tensor([1.0, math.inf, 64.0])])
def test_a_network_is_given_its_dimension(D: float | Tensor) -> None:
    network = Recorder()
    mask = torch.ones(3, 4)
    mask[1, 2:] = 0
    label = torch.arange(3)
    GivenDimension(Preconditioned(network, 0.5), D)(randn(3, 4), torch.ones(3, dtype=F64), {"label": label}, mask)
    assert network.seen is not None and network.seen[2] is not None
    condition = network.seen[2]
    expected = dimension_feature(torch.as_tensor(D).expand(3), torch.tensor([4, 2, 4]))
    assert torch.equal(condition[DIMENSION], expected) and bool(torch.isfinite(expected).all())
    assert condition["label"] is label
    GivenDimension(Preconditioned(network, 0.5), D)(randn(3, 4), torch.ones(3, dtype=F64))
    assert network.seen[2] is not None and set(network.seen[2]) == {DIMENSION}


def relative_error(y: Tensor, exact: Tensor) -> float:
    return float(((y - exact).norm(dim=1) / exact.norm(dim=1)).mean())


# The levels of docs/physics.md, section 4: data on an 8-dimensional manifold, sigma = 2.
@pytest.mark.parametrize("N, D, limit, without", [(3072, 1.0, 1e-3, 0.5), (64, 8.0, 0.03, 0.3)])
def test_one_fixed_point_turns_a_diffusion_denoiser_into_one_of_any_dimension(
    N: int, D: float, limit: float, without: float
) -> None:
    std = torch.zeros(N, dtype=F64)
    std[:8] = 1
    x = StudentT(D).perturb(randn(64, N) * std, 2.0, generator=gen(1))
    exact, diffusion = Gaussian(std, D)(x, full(x, 2.0)), Counter(Gaussian(std))
    assert relative_error(at_dimension(diffusion, D)(x, full(x, 2.0)), exact) < limit
    assert diffusion.calls == 3
    assert relative_error(diffusion(x, full(x, 2.0)), exact) > without


@pytest.mark.parametrize("N, D, limit", [(3072, 1.0, 1e-3), (64, 8.0, 0.03)])
def test_the_fixed_point_holds_on_a_curved_manifold(N: int, D: float, limit: float) -> None:
    points = torch.sin(randn(300, 8) @ randn(8, N, seed=1) / 8**0.5) / 4
    x = StudentT(D).perturb(points[:64], 2.0, generator=gen(2))
    exact = FiniteSet(points, D)(x, full(x, 2.0))
    for iterations in (1, 3):
        diffusion = Counter(FiniteSet(points))
        y = at_dimension(diffusion, D, iterations=iterations)(x, full(x, 2.0))
        assert relative_error(y, exact) < limit and diffusion.calls == 2 * iterations + 1


@pytest.mark.parametrize("N", [64, 3072])
@pytest.mark.parametrize("D", [4.0, 64.0, 512.0])
@pytest.mark.parametrize("relative, share", [(0.01, 1.1), (0.1, 0.5), (1.0, 0.3), (3.0, 0.2)])
def test_what_is_data_is_not_taken_for_noise(N: int, D: float, relative: float, share: float) -> None:
    """Data as most are, of all sizes from far above to far below sigma: share of the error that no correction leaves.

    At the lowest level next to nothing of x is noise for sure, and no level but the nominal one can be told from it.
    """
    std = torch.logspace(math.log10(2), math.log10(0.02), N, dtype=F64)
    sigma = relative * float(std.square().mean().sqrt())
    x = StudentT(D).perturb(randn(64, N) * std, sigma, generator=gen(1))
    exact, diffusion = Gaussian(std, D)(x, full(x, sigma)), Gaussian(std)

    def error(denoiser: Denoiser) -> float:
        return float(((denoiser(x, full(x, sigma)) - exact).norm(dim=1) / (x - exact).norm(dim=1)).mean())

    assert error(at_dimension(diffusion, D)) < share * error(diffusion)
    assert error(at_dimension(diffusion, D, iterations=4)) < share * error(diffusion)


@pytest.mark.parametrize("N", [1, 2, 8])
@pytest.mark.parametrize("D", [0.5, 1.0, 4.0, 64.0])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_quadrature_over_kappa_is_right_for_few_coordinates(N: int, D: float, sigma: float) -> None:
    points = randn(5, N, seed=N)
    x = StudentT(D).perturb(points.repeat(8, 1), sigma, generator=gen(1))
    exact, diffusion = FiniteSet(points, D)(x, full(x, sigma)), Counter(FiniteSet(points))
    y = at_dimension(diffusion, D, nodes=32)(x, full(x, sigma))
    assert diffusion.calls == 32
    assert float((y - exact).square().sum(1).mean().sqrt()) < 5e-3


def test_more_nodes_are_more_exact() -> None:
    points = randn(5, 2)
    x = StudentT(4.0).perturb(points.repeat(8, 1), 1.0, generator=gen(1))
    exact = FiniteSet(points, 4.0)(x, full(x, 1.0))
    errors = [
        float((at_dimension(FiniteSet(points), 4.0, nodes=n)(x, full(x, 1.0)) - exact).norm()) for n in (4, 8, 16, 32)
    ]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 10


@pytest.mark.parametrize("nodes", [0, 16])
def test_padding_does_not_change_the_dimension(nodes: int) -> None:
    points, x = randn(5, 2), randn(4, 2, seed=1)

    def pad(t: Tensor) -> Tensor:
        return nn.functional.pad(t, (0, 5))

    alone = at_dimension(FiniteSet(points), 2.0, nodes=nodes)(x, full(x, 0.8))
    mask = pad(torch.ones_like(x))
    padded = at_dimension(FiniteSet(pad(points)), 2.0, nodes=nodes)(pad(x), full(x, 0.8), mask=mask)
    torch.testing.assert_close(padded, pad(alone), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("nodes", [0, 16])
def test_the_change_of_dimension_follows_the_units(nodes: int) -> None:
    points, x = randn(5, 3), randn(4, 3, seed=1)
    one = at_dimension(FiniteSet(points), 2.0, nodes=nodes)(x, full(x, 0.8))
    other = at_dimension(FiniteSet(1000 * points), 2.0, nodes=nodes)(1000 * x, full(x, 800.0))
    torch.testing.assert_close(other, 1000 * one, rtol=1e-9, atol=1e-9)


def test_quadrature_records_no_gradient() -> None:
    x = randn(4, 3)
    with torch.no_grad():
        y = at_dimension(FiniteSet(randn(5, 3)), 2.0, nodes=4)(x, full(x, 1.0))
        assert not torch.is_grad_enabled()
    assert not y.requires_grad and not x.requires_grad


def test_with_many_coordinates_quadrature_estimates_the_divergence() -> None:
    N, D = 24, 2.0
    points = randn(4, N) / 2
    x = StudentT(D).perturb(points.repeat(10, 1), 1.0, generator=gen(1))
    exact = FiniteSet(points, D)(x, full(x, 1.0))
    y = at_dimension(FiniteSet(points), D, nodes=32)(x, full(x, 1.0))
    assert relative_error(y, exact) < 0.05
    assert torch.equal(y, at_dimension(FiniteSet(points), D, nodes=32)(x, full(x, 1.0)))


@pytest.mark.parametrize("nodes", [0, 4])
def test_infinite_d_is_the_diffusion_denoiser_itself(nodes: int) -> None:
    x, diffusion = randn(4, 3), Counter(FiniteSet(randn(5, 3)))
    y = at_dimension(diffusion, math.inf, nodes=nodes)(x, full(x, 1.0))
    assert torch.equal(y, diffusion.denoiser(x, full(x, 1.0))) and diffusion.calls == 1


def test_the_condition_is_passed_on() -> None:
    network, condition, x = Recorder(), {"label": torch.arange(4)}, randn(4, 3)
    at_dimension(Preconditioned(network, 0.5), 2.0)(x, full(x, 1.0), condition)
    assert network.seen is not None and network.seen[2] is condition


@pytest.mark.parametrize("D", [0.0, -1.0, math.nan])
def test_d_must_be_positive(D: float) -> None:
    with pytest.raises(ConfigError, match="must be > 0"):
        AtDimension(FiniteSet(randn(2, 1)), D)


@pytest.mark.parametrize("counts", [{"iterations": 0}, {"nodes": 1}, {"nodes": -2}])
def test_counts_must_make_sense(counts: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="iterations is"):
        AtDimension(FiniteSet(randn(2, 1)), 1.0, **counts)


def test_a_remembering_denoiser_shows_its_last_answer() -> None:
    seen: list[dict[str, Tensor]] = []

    def halved(x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None) -> Tensor:
        seen.append(dict(condition or {}))
        return x / 2

    x, sigma, label = torch.ones(2, 3), torch.ones(2), torch.tensor([0, 1])
    remembering = Remembering(halved)
    first = remembering(x, sigma, {"label": label})
    remembering(4 * x, sigma, {"label": label})
    remembering(x, sigma)
    assert ESTIMATE not in seen[0]
    assert torch.equal(seen[1][ESTIMATE], first) and torch.equal(seen[2][ESTIMATE], 2 * x)
    assert all(torch.equal(conditions["label"], label) for conditions in seen[:2])
    assert remembering.calls == 1
    Remembering(halved)(x, sigma)
    assert ESTIMATE not in seen[-1]
