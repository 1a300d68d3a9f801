"""Networks of sounds: shapes, what they are told, what a mask hides, and settings that are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from modalities.audio.network import Diffwave, SpectralUNet, Unet1d, build
from pfgm_science.condition import ConditionSpec
from pfgm_science.errors import ConfigError

SPECS = (ConditionSpec("kind", "class", 2, ("a", "b")),)
SPECTRAL = {"channels": 8, "multipliers": [1, 2], "embedding": 16}
CASES: list[tuple[type, tuple[int, ...], dict[str, Any]]] = [
    (SpectralUNet, (1, 16, 12), SPECTRAL),
    (SpectralUNet, (2, 16, 13), SPECTRAL),
    (Unet1d, (2, 250), {"channels": 8, "multipliers": [1, 2], "embedding": 16}),
    (Diffwave, (1, 100), {"kind": "diffwave", "channels": 8, "layers": 4, "cycle": 3, "embedding": 16}),
]


def awake(network: torch.nn.Module) -> torch.nn.Module:
    """With the layers that begin as zero given weights, so that the output says something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1, generator=generator)
    return network


@pytest.mark.parametrize(("kind", "shape", "settings"), CASES)
def test_output_is_like_the_input_and_zero_before_training(
    kind: type, shape: tuple[int, ...], settings: dict[str, Any]
) -> None:
    network = build(shape, settings, SPECS)
    assert isinstance(network, kind)
    out = network(torch.randn(3, *shape), torch.zeros(3), {"kind": torch.tensor([0, 1, 2])})
    assert out.shape == (3, *shape) and not out.any()


@pytest.mark.parametrize(("kind", "shape", "settings"), CASES)
def test_noise_level_and_condition_are_seen(kind: type, shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = awake(build(shape, settings, SPECS))
    x = torch.randn(1, *shape)
    plain = network(x, torch.zeros(1), {"kind": torch.tensor([0])})
    assert not torch.allclose(plain, network(x, torch.ones(1), {"kind": torch.tensor([0])}))
    assert not torch.allclose(plain, network(x, torch.zeros(1), {"kind": torch.tensor([1])}))


@pytest.mark.parametrize(("kind", "shape", "settings"), CASES)
def test_what_a_mask_hides_is_not_looked_at(kind: type, shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = awake(build(shape, settings, ()))
    mask = torch.ones(1, *shape)
    mask[..., shape[-1] // 2 :] = 0
    x = torch.randn(1, *shape)
    out = network(x, torch.zeros(1), None, mask)
    assert not out[mask == 0].any() and out[mask == 1].any()
    torch.testing.assert_close(out, network(x + 5 * (1 - mask), torch.zeros(1), None, mask))


def test_a_spectrum_moved_in_frequency_is_another_one() -> None:
    """A plain convolution would answer with the same, moved; the plane of frequencies tells them apart."""
    torch.manual_seed(0)
    network = awake(build((1, 32, 16), SPECTRAL, ()))
    x = torch.zeros(2, 1, 32, 16)
    x[0, 0, 10, 8] = x[1, 0, 22, 8] = 3.0
    low, high = network(x, torch.zeros(2))
    assert not torch.allclose(low[0, 8:13, 6:11], high[0, 20:25, 6:11], atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "settings", "words"),
    [
        ((1, 16, 16), {"kind": "diffwave"}, "'unet'"),
        ((1, 64), {"kind": "unet"}, "'unet-1d' or 'diffwave'"),
        ((1, 64), {"channels": 6}, "multiple of 4"),
        ((1, 64), {"multipliers": []}, "one whole number"),
        ((1, 64), {"stride": 0}, "at least 1"),
        ((1, 64), {"kind": "diffwave", "layers": 0}, "at least 1"),
        ((1, 64), {"chanels": 8}, "network.channels"),
    ],
)
def test_settings_out_of_range_are_refused(shape: tuple[int, ...], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build(shape, settings, ())
