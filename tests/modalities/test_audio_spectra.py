"""Power by time and frequency, and mel bands: exact sums."""

from __future__ import annotations

import pytest
import torch

from modalities.audio.spectra import mel_bands, mel_edges, mel_means, power, scale


def noise(samples: int) -> torch.Tensor:
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("window", [64, 512])
def test_scaled_power_sums_to_the_mean_square(window: int) -> None:
    """Frames a quarter of a window apart weigh all samples alike, but for those at the ends, which are silent here."""
    wave = noise(64 * window)
    wave[:, : 2 * window] = wave[:, -2 * window :] = 0
    found = power(wave, window, window // 4)
    found[:, [0, -1]] /= 2  # of the frequencies with a twin below 0 Hz, both are meant
    total = float(found.sum() * scale(window)) / 4 / 64
    assert total == pytest.approx(float(wave.square().mean()), rel=1e-6)


def test_frames_are_those_that_are_asked_for() -> None:
    wave = noise(1000)
    assert power(wave, 100, 50).shape == (1, 51, 21)
    assert power(wave, 100, 50, edges="").shape == (1, 51, 19)
    assert power(wave, 100, 50, size=200).shape == (1, 101, 21)
    assert power(wave[:, :1], 100, 50).shape == (1, 51, 1)
    torch.testing.assert_close(power(wave, 100, 50)[..., 1:-1], power(wave, 100, 50, edges=""))
    torch.testing.assert_close(power(wave, 100, 50)[..., 1:-1], power(wave, 100, 50, edges="reflect")[..., 1:-1])


def test_bands_share_each_frequency_among_neighbours() -> None:
    filters = mel_bands(24, 50.0, 8000.0, 257, 16000)
    hertz = torch.linspace(0, 8000, 257)
    edges = 50 < hertz  # below the middle of the first band and above that of the last there is one alone
    inside = edges & (hertz > hertz[filters[0].argmax()]) & (hertz < hertz[filters[-1].argmax()])
    torch.testing.assert_close(filters.sum(0)[inside], torch.ones(int(inside.sum())), rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [4000, 11025, 44100])
@pytest.mark.parametrize("bands", [16, 128])
def test_means_over_bands_have_weights_of_sum_one_and_none_is_empty(rate: int, bands: int) -> None:
    filters = mel_means(bands, rate / 2, 129, rate)
    assert filters.shape == (129, bands) and bool((filters >= 0).all())
    torch.testing.assert_close(filters.sum(0), torch.ones(bands))


def test_edges_are_even_in_mel() -> None:
    edges = mel_edges(3, 8000.0)
    assert edges[0] == 0 and float(edges[-1]) == pytest.approx(8000)
    mel = 2595 * torch.log10(1 + edges / 700)
    torch.testing.assert_close(mel.diff(), mel[-1].expand(4) / 4)
