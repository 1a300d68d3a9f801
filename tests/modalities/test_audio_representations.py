"""Representations of sounds: the way there and back, exact values of tones, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.audio.representations import (
    REPRESENTATIONS,
    LogMel,
    Mdct,
    Stft,
    Waveform,
    compress,
    default_bins,
    representation_named,
)
from pfgm_science.errors import ConfigError

EXACT = ("mdct", "stft", "waveform")


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def tone(hertz: float, rate: int, samples: int) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(samples, dtype=torch.float64) / rate)[None, None]


@pytest.mark.parametrize("name", EXACT)
@given(channels=st.integers(1, 2), steps=st.integers(1, 12), bins=st.sampled_from([4, 8, 64]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_waveform_comes_back(name: str, channels: int, steps: int, bins: int, seed: int) -> None:
    view = representation_named(name, 8000, bins)
    wave = noise(2, channels, steps * view.hop, seed=seed)
    values = view.forward(wave)
    assert values.shape == (2, *view.shape(channels, wave.shape[2]))
    torch.testing.assert_close(view.inverse(values), wave, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_shapes_are_what_is_said(name: str) -> None:
    view = representation_named(name, 8000)
    values = view.forward(0.1 * noise(3, 2, 1024, dtype=torch.float32))
    assert values.shape == (3, *view.shape(2, 1024))
    assert view.inverse(values).shape == (3, 2, 1024)
    assert values.dtype == torch.float32 and bool(values.isfinite().all())


@given(bins=st.sampled_from([4, 16, 64]), steps=st.integers(2, 9))
@settings(deadline=None)
def test_mdct_is_orthonormal_before_compression(bins: int, steps: int) -> None:
    view = Mdct(bins, 1.0)
    unit = torch.eye(bins * steps, dtype=torch.float64)[:, None]
    matrix = view.forward(unit).flatten(1)
    torch.testing.assert_close(matrix @ matrix.T, unit[:, 0], rtol=0, atol=1e-12)


def test_mdct_is_a_sum_of_windowed_cosines() -> None:
    """Frames away from the ends, sum by sum."""
    bins = 8
    wave = noise(1, 1, 6 * bins)
    values = Mdct(bins, 1.0).forward(wave)[0, 0]
    m = torch.arange(-bins // 2, 3 * bins // 2, dtype=torch.float64)
    window = torch.sin(math.pi * (m + bins / 2 + 0.5) / (2 * bins))
    for t in range(1, 5):
        piece = window * wave[0, 0, t * bins - bins // 2 : (t + 1) * bins + bins // 2]
        for k in range(bins):
            wanted = math.sqrt(2 / bins) * (piece * torch.cos(math.pi / bins * (m + 0.5) * (k + 0.5))).sum()
            torch.testing.assert_close(values[k, t], wanted)


def test_the_ends_of_a_clip_are_not_lapped_around() -> None:
    wave = torch.zeros(1, 1, 512, dtype=torch.float64)
    wave[..., :40] = noise(40)
    values = Mdct(64).forward(wave)[0, 0]
    assert values[:, 0].all() and values[:, 1].any() and not values[:, 2:].any()


@pytest.mark.parametrize("view", [Mdct(64), Stft(64), LogMel(64, rate=8000)])
@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3100.0])
def test_a_tone_is_loudest_at_its_own_frequency(view: Mdct | Stft | LogMel, hertz: float) -> None:
    values = view.forward(tone(hertz, 8000, 4096).float())
    strength = values.abs() if view.zero_mean else values
    row = int(strength[0].sum(0).mean(-1).argmax())
    step = max(float(view.hertz(8000)[min(row + 1, 63)] - view.hertz(8000)[row]), 8000 / (4 * view.hop))
    assert abs(float(view.hertz(8000)[row]) - hertz) <= step


def test_stft_has_the_amplitude_of_a_tone() -> None:
    """A tone of amplitude a in the middle of a bin: half of a times the sum of the window over its norm."""
    view = Stft(64, 1.0)
    values = view.forward(0.5 * tone(20 * 8000 / 126, 8000, 4096))
    window = torch.hann_window(126, dtype=torch.float64)
    wanted = 0.25 * float(window.sum() / window.square().sum().sqrt())
    magnitude = torch.complex(*values[:, :, 20, 5:-5].chunk(2, dim=1)).abs()
    torch.testing.assert_close(magnitude, torch.full_like(magnitude, wanted), rtol=1e-3, atol=0)


@given(power=st.floats(0.2, 1.0), seed=st.integers(0, 9))
def test_compression_has_an_inverse(power: float, seed: int) -> None:
    values = noise(50, seed=seed)
    torch.testing.assert_close(compress(compress(values, power), 1 / power), values)


def test_quiet_parts_are_raised() -> None:
    torch.testing.assert_close(
        compress(torch.tensor([-0.0001, 0.0, 0.25, -1.0]), 0.5), torch.tensor([-0.01, 0.0, 0.5, -1.0])
    )


def test_log_mel_keeps_the_spectrum_of_what_it_brings_back() -> None:
    """Phases are guessed, so the waveform is another one; its mel spectrum must be nearly the same."""
    view = LogMel(64, rate=8000)
    wave = (0.3 * (tone(400, 8000, 4096) + 0.5 * tone(1200, 8000, 4096))).float()
    there = view.forward(wave)
    again = view.forward(view.inverse(there))
    loud = there > there.max() - 4
    assert float((again - there)[loud].abs().mean()) < 0.3


def test_log_mel_decodes_alike_each_time() -> None:
    view = LogMel(32, rate=8000)
    values = view.forward(0.1 * noise(1, 1, 1024, dtype=torch.float32))
    assert torch.equal(view.inverse(values), view.inverse(values))


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100])
@pytest.mark.parametrize("bins", [16, 64, 128])
def test_no_mel_band_is_empty(rate: int, bins: int) -> None:
    filters = LogMel(bins, rate=rate)._filters()
    torch.testing.assert_close(filters.sum(0), torch.ones(bins))


@pytest.mark.parametrize(("rate", "bins"), [(8000, 64), (16000, 128), (44100, 256), (48000, 512), (100, 4)])
def test_a_step_is_about_eight_milliseconds(rate: int, bins: int) -> None:
    assert default_bins(rate) == bins


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mdtc", 8000), "Did you mean 'mdct'"),
        (("mdct", 8000, 6), "multiple of 4"),
        (("mdct", 8000, -4), "multiple of 4"),
        (("mdct", 8000, 64, 0.0), "power"),
        (("mdct", 8000, 64, 1.5), "power"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        representation_named(*arguments)  # type: ignore[arg-type]


def test_a_waveform_has_no_frequencies() -> None:
    with pytest.raises(ConfigError, match="mdct"):
        Waveform().hertz(8000)
