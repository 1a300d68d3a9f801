from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from modalities.vectors.network import MLPConfig, ResidualMLP
from pfgm_science.condition import ConditionSpec
from pfgm_science.errors import ConfigError

SPECS = (ConditionSpec("class", "class", 3), ConditionSpec("dimension", "vector", 2))
CONFIG = MLPConfig(width=32, depth=2, embedding=16)


def awake(features: int, specs: tuple[ConditionSpec, ...] = (), size: float = 0.1) -> ResidualMLP:
    """A network with random weights in place of the zeros it starts with."""
    torch.manual_seed(0)
    network = ResidualMLP(features, CONFIG, specs)
    for parameter in network.parameters():
        parameter.data = parameter.data + size * torch.randn_like(parameter)
    return network


def inputs(features: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    condition = {"class": torch.tensor([0, 1, 2]), "dimension": torch.rand(3, 2, generator=generator)}
    return torch.randn(3, features, generator=generator), torch.randn(3, generator=generator) * 0.3, condition


@pytest.mark.parametrize("features", [1, 2, 13])
def test_it_answers_with_the_shape_of_its_input(features: int) -> None:
    x, noise_level, _ = inputs(features)
    answer = awake(features)(x, noise_level)
    assert answer.shape == x.shape
    assert answer.isfinite().all()


def test_an_empty_batch_gives_an_empty_answer() -> None:
    assert awake(2)(torch.zeros(0, 2), torch.zeros(0)).shape == (0, 2)


def test_the_output_is_zero_before_training() -> None:
    x, noise_level, condition = inputs(5)
    assert (ResidualMLP(5, CONFIG, SPECS)(x, noise_level, condition) == 0).all()


def test_gradients_reach_every_parameter() -> None:
    x, noise_level, condition = inputs(5)
    network = awake(5, SPECS)
    network(x, noise_level, condition).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_noise_level_and_each_condition_change_the_output() -> None:
    x, noise_level, condition = inputs(5)
    network = awake(5, SPECS)
    answer = network(x, noise_level, condition)
    assert (network(x, noise_level + 0.2, condition) - answer).abs().max() > 1e-3
    for name, other in {"class": condition["class"].roll(1), "dimension": condition["dimension"] + 1}.items():
        assert (network(x, noise_level, {**condition, name: other}) - answer).abs().max() > 1e-3, name


def test_not_given_equals_absent() -> None:
    x, noise_level, _ = inputs(5)
    network = awake(5, SPECS)
    blank = {"class": torch.full((3,), -1), "dimension": torch.full((3, 2), math.nan)}
    absent = network(x, noise_level)
    assert torch.equal(network(x, noise_level, blank), absent)
    assert torch.equal(network(x, noise_level, {}), absent)


def test_bf16_autocast_is_finite_and_close() -> None:
    x, noise_level, condition = inputs(5)
    network = awake(5, SPECS, 0.02)
    exact = network(x, noise_level, condition)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = network(x, noise_level, condition)
    assert answer.dtype == x.dtype
    assert (answer - exact).norm() < 0.05 * exact.norm()


def test_the_same_input_gives_the_same_output() -> None:
    x, noise_level, condition = inputs(5)
    assert torch.equal(awake(5, SPECS)(x, noise_level, condition), awake(5, SPECS)(x, noise_level, condition))


def test_a_sample_does_not_depend_on_the_others() -> None:
    x, noise_level, _ = inputs(5)
    network = awake(5)
    together = network(x, noise_level)
    for i in range(len(x)):
        torch.testing.assert_close(network(x[i : i + 1], noise_level[i : i + 1])[0], together[i], rtol=1e-5, atol=1e-5)


def test_masked_features_are_neither_seen_nor_written() -> None:
    x, noise_level, _ = inputs(5)
    network = awake(5)
    mask = torch.tensor([1.0, 1, 1, 0, 0]).expand_as(x)
    answer = network(x, noise_level, mask=mask)
    assert (answer[:, 3:] == 0).all()
    assert torch.equal(network(x + 7 * (1 - mask), noise_level, mask=mask), answer)


def test_far_out_the_answer_grows_with_x() -> None:
    x, noise_level, _ = inputs(5)
    network = awake(5)
    near, far = network(1e3 * x, noise_level), network(1e4 * x, noise_level)
    torch.testing.assert_close(far, 10 * near, rtol=0.02, atol=0.02 * float(far.detach().abs().max()))


@pytest.mark.parametrize("values", [{"width": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_a_wrong_setting_is_named(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(values))} = "):
        MLPConfig(**values)


@pytest.mark.parametrize("width", [2, 7])
def test_a_wrong_width_of_the_embedding_is_refused(width: int) -> None:
    with pytest.raises(ConfigError, match=f"width {width}"):
        ResidualMLP(2, MLPConfig(embedding=width))


def test_no_features_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 features"):
        ResidualMLP(0, CONFIG)
