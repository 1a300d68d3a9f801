"""Power of sounds by time and frequency, and the mel bands that it is summed in."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

MEL = 700.0  # Hz at which the mel scale of HTK turns from straight to logarithmic


def power(waves: Tensor, window: int, hop: int, *, size: int = 0, edges: str = "constant") -> Tensor:
    """Squared magnitudes of a short-time Fourier transform: [..., samples] to [..., size / 2 + 1, frames].

    window: samples of a Hann window; hop: samples between frames; size: samples of a transform, if more than the
    window. edges: what stands around a sound, "constant" for silence, "reflect" for the sound mirrored (it must then be
    longer than half a window), "" for frames inside of it alone. Nothing is scaled, see `scale`.
    """
    from modalities.audio.torch_audio import torchaudio

    hann = torch.hann_window(window, dtype=waves.dtype, device=waves.device)
    found: Tensor = torchaudio.functional.spectrogram(
        waves, 0, hann, size or window, hop, window, 2.0, False, center=bool(edges), pad_mode=edges or "constant"
    )
    return found


def scale(window: int) -> float:
    """What makes a sum over frequencies of `power` the mean square of the samples, by Parseval."""
    return 2 / (window * float(torch.hann_window(window).square().sum()))


@cache
def mel_bands(bands: int, low: float, high: float, frequencies: int, rate: int) -> Tensor:
    """Triangles [bands, frequencies] float32 over low to high Hz, each of height 1: neighbours sum to 1 everywhere.

    By torchaudio, where narrow bands may hold no frequency; frequencies: evenly from 0 Hz to half the rate.
    """
    from modalities.audio.torch_audio import torchaudio

    filters: Tensor = torchaudio.functional.melscale_fbanks(frequencies, low, high, bands, rate)
    return filters.T.contiguous()


@cache
def mel_means(bands: int, high: float, frequencies: int, rate: int) -> Tensor:
    """Triangles [frequencies, bands] float32 over 0 to high Hz, each of sum 1: the mean over a band.

    None is empty, as some of torchaudio's are: what is narrower than a frequency step takes the nearest frequency. In
    float64, and for odd rates too, of which torchaudio drops half a Hz: what is undone by `LogMel` must be exact.
    """
    edges = mel_edges(bands, high)
    hertz = torch.linspace(0, rate / 2, frequencies, dtype=torch.float64)[:, None]
    low, middle, top = edges[:-2], edges[1:-1], edges[2:]
    filters = torch.minimum((hertz - low) / (middle - low), (top - hertz) / (top - middle)).clamp(min=0)
    nearest, each = (hertz - middle).abs().argmin(0), torch.arange(bands)
    filters[nearest, each] = filters[nearest, each].clamp(min=1e-3)
    return (filters / filters.sum(0)).float()


def mel_edges(bands: int, high: float) -> Tensor:
    """Hz, evenly in mel from 0 to high: band k reaches from edge k to edge k + 2; [bands + 2] float64."""
    top = torch.tensor(high / MEL, dtype=torch.float64).log1p()
    return MEL * torch.expm1(torch.linspace(0, 1, bands + 2, dtype=torch.float64) * top)
