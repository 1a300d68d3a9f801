from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from modalities.images.network import DiT, DiTConfig, default_config
from pfgm_science.condition import ConditionSpec
from pfgm_science.errors import ConfigError
from pfgm_science.unet import Shape, UNet, UNetConfig

SPECS = (ConditionSpec("class", "class", 10), ConditionSpec("dimension", "vector", 2))
SMALL = (
    UNetConfig(channels=8, multipliers=(1, 2), embedding=16, patch=1),
    UNetConfig(channels=32, multipliers=(1, 2, 2), blocks=2, embedding=16, patch=2),
    DiTConfig(patch=4, width=32, depth=2, heads=2),
)
KINDS = ["unet", "unet-deep", "dit"]
every_network = pytest.mark.parametrize("config", SMALL, ids=KINDS)


def build(shape: Shape, config: UNetConfig | DiTConfig, specs: Sequence[ConditionSpec] = ()) -> nn.Module:
    torch.manual_seed(0)
    return UNet(shape, config, specs) if isinstance(config, UNetConfig) else DiT(shape, config, specs)


def awake(network: nn.Module, size: float = 0.1) -> nn.Module:
    """With random weights in place of the zeros it starts with."""
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data = parameter.data + size * torch.randn(parameter.shape, generator=generator)
    return network


def inputs(shape: Shape, batch: int = 3) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    condition = {"class": torch.tensor([0, 4, 9])[:batch], "dimension": torch.rand(batch, 2, generator=generator)}
    noise_level = torch.randn(batch, generator=generator) * 0.3
    return torch.randn(batch, *shape, generator=generator), noise_level, condition


@every_network
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (1, 28, 28), (2, 1, 5), (3, 20, 33)])
def test_it_answers_with_the_shape_of_its_input(config: UNetConfig | DiTConfig, shape: Shape) -> None:
    x, noise_level, _ = inputs(shape)
    answer = awake(build(shape, config))(x, noise_level)
    assert answer.shape == x.shape
    assert answer.isfinite().all()


@every_network
def test_an_empty_batch_gives_an_empty_answer(config: UNetConfig | DiTConfig) -> None:
    assert build((1, 8, 8), config)(torch.zeros(0, 1, 8, 8), torch.zeros(0)).shape == (0, 1, 8, 8)


@every_network
def test_the_output_is_zero_before_training(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, condition = inputs((3, 9, 7))
    assert (build((3, 9, 7), config, SPECS)(x, noise_level, condition) == 0).all()


@every_network
def test_gradients_reach_every_parameter(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, condition = inputs((3, 9, 7))
    network = awake(build((3, 9, 7), config, SPECS))
    network(x, noise_level, condition).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@every_network
def test_noise_level_and_each_condition_change_the_output(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, condition = inputs((1, 8, 8))
    network = awake(build((1, 8, 8), config, SPECS))
    answer = network(x, noise_level, condition)
    assert (network(x, noise_level + 0.2, condition) - answer).abs().max() > 1e-3
    for name, other in {"class": condition["class"].roll(1), "dimension": condition["dimension"] + 1}.items():
        assert (network(x, noise_level, {**condition, name: other}) - answer).abs().max() > 1e-3, name


@every_network
def test_not_given_equals_absent(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, _ = inputs((1, 8, 8))
    network = awake(build((1, 8, 8), config, SPECS))
    blank = {"class": torch.full((3,), -1), "dimension": torch.full((3, 2), math.nan)}
    absent = network(x, noise_level)
    assert torch.equal(network(x, noise_level, blank), absent)
    assert torch.equal(network(x, noise_level, {}), absent)


@every_network
def test_bf16_autocast_is_finite_and_close(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, condition = inputs((3, 9, 7))
    network = awake(build((3, 9, 7), config, SPECS), 0.02)
    exact = network(x, noise_level, condition)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = network(x, noise_level, condition)
    assert answer.dtype == x.dtype
    assert answer.isfinite().all()
    assert (answer - exact).norm() < 0.05 * exact.norm()


@every_network
def test_the_same_input_gives_the_same_output(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, condition = inputs((1, 8, 8))
    answers = [awake(build((1, 8, 8), config, SPECS))(x, noise_level, condition) for _ in range(2)]
    assert torch.equal(*answers)


@every_network
def test_a_sample_does_not_depend_on_the_others(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, condition = inputs((3, 9, 7))
    network = awake(build((3, 9, 7), config, SPECS))
    together = network(x, noise_level, condition)
    for i in range(len(x)):
        alone = network(x[i : i + 1], noise_level[i : i + 1], {name: v[i : i + 1] for name, v in condition.items()})
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-5, atol=1e-5)


@every_network
def test_masked_pixels_are_neither_seen_nor_written(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, _ = inputs((1, 8, 8))
    network = awake(build((1, 8, 8), config))
    mask = torch.ones_like(x)
    mask[..., 5:] = 0
    answer = network(x, noise_level, mask=mask)
    assert (answer[..., 5:] == 0).all()
    assert torch.equal(network(x + 7 * (1 - mask), noise_level, mask=mask), answer)


@every_network
def test_double_precision_works(config: UNetConfig | DiTConfig) -> None:
    x, noise_level, _ = inputs((1, 8, 8))
    network = awake(build((1, 8, 8), config))
    single = network(x, noise_level)
    torch.testing.assert_close(network.double()(x.double(), noise_level.double()).float(), single, rtol=1e-3, atol=1e-3)


def test_a_pixel_reaches_every_other_through_attention() -> None:
    x, noise_level, _ = inputs((1, 28, 28), 1)
    network = awake(build((1, 28, 28), default_config((1, 28, 28))))
    moved = x.clone()
    moved[..., 0, 0] += 5
    assert ((network(moved, noise_level) - network(x, noise_level)).abs() > 0).all()


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_small_images_get_a_unet_and_large_ones_a_dit(side: int) -> None:
    assert isinstance(default_config((1, side, side)), UNetConfig)
    assert isinstance(default_config((3, 2 * max(side, 33), side)), DiTConfig)


@pytest.mark.parametrize("side", [65, 128, 256, 512])
def test_the_default_dit_has_at_most_256_tokens(side: int) -> None:
    config = default_config((3, side, side))
    assert isinstance(config, DiTConfig)
    assert math.ceil(side / config.patch) ** 2 <= 256


@pytest.mark.parametrize("side", [1, 8, 12, 28, 32, 64])
def test_every_default_can_be_built(side: int) -> None:
    config = default_config((1, side, side))
    assert isinstance(config, UNetConfig)
    x, noise_level, _ = inputs((1, side, side), 1)
    assert UNet((1, side, side), config)(x, noise_level).shape == x.shape


def test_a_configuration_from_a_file_equals_one_from_code() -> None:
    assert UNetConfig(**{"multipliers": [1, 2]}) == UNetConfig(multipliers=(1, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "culprit"),
    [
        ({"channels": 30}, "channels = 30"),
        ({"channels": 0}, "channels = 0"),
        ({"multipliers": ()}, "multipliers"),
        ({"multipliers": (1, 0)}, "multipliers"),
        ({"patch": 0}, "patch = 0"),
        ({"blocks": 0}, "blocks = 0"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"attention": -1}, "attention = -1"),
    ],
)
def test_a_wrong_setting_of_the_unet_is_named(values: dict[str, int], culprit: str) -> None:
    with pytest.raises(ConfigError, match=culprit):
        UNetConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"width": 30}, {"heads": 5}, {"depth": 0}, {"patch": -1}, {"dropout": -0.1}])
def test_a_wrong_setting_of_the_dit_is_named(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        DiTConfig(**values)


@pytest.mark.parametrize("shape", [(28, 28), (0, 8, 8), (1, 8, 0)])
def test_a_wrong_image_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="image shape"):
        default_config(shape)  # type: ignore[arg-type]
