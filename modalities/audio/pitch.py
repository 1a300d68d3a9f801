"""The melody of a voice without a learned model: F0 by YIN, tones by the nearest of their mean contours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from modalities.audio.hearing import waves
from modalities.audio.objects import Clip
from pfgm_science.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]

RATE = 16000  # Hz that sounds are heard at: at 8 kHz a period of 400 Hz is 20 samples, too coarse for a parabola
HOP = 0.010  # seconds between frames
LOWEST, HIGHEST = 70.0, 600.0  # Hz, of a voice
APERIODIC = 0.2  # what YIN's difference must fall below for the first dip to be the period
VOICED = 0.45  # and at the most for a voice; white noise stays above 0.7, a creaky voice is near 0.4
QUIET = 35.0  # dB below the loudest frame of a clip from which nothing counts as voiced
_LEAP = 0.7  # octaves
_WINDOW = 0.025  # seconds that are compared with themselves one period later


def contour(
    waveform: Any, rate: int, *, lowest: float = LOWEST, highest: float = HIGHEST
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """F0 in Hz and whether it is a voice's, both [frames], a frame each 10 ms.

    waveform: samples, or [channels, samples]. YIN (de Cheveigne and Kawahara 2002, JASA 111, 1917): the first dip of
    the cumulative mean normalised difference below APERIODIC, else its lowest point, with a parabola through it.
    Voiced: that dip is below VOICED and the frame at most QUIET dB below the loudest. F0 is given for all frames and
    means something for the voiced ones. Harmonic tones come out within 0.5%. Raises ConfigError for a range of F0 that
    is empty or above what the window holds.
    """
    if not 1 / _WINDOW <= lowest < highest <= RATE / 8:
        raise ConfigError(
            f"F0 from {lowest:g} to {highest:g} Hz: it must lie between {1 / _WINDOW:g} and {RATE / 8:g} Hz, and the "
            "lower end come first"
        )
    wave = torch.as_tensor(waveform, dtype=torch.float32)
    heard = waves([Clip(wave if wave.ndim == 2 else wave[None], rate)], RATE)[0]
    return _contour(heard.astype(np.float64), lowest, highest)


def tone_contour(clip: Clip) -> npt.NDArray[np.float64]:
    """F0 at the start, middle and end, in Hz [3]: medians over thirds of the voiced frames. NaN without three of them.

    Frames an octave off the median of the clip are taken back by one, as syllables do not leap so far.
    """
    f0, voiced = contour(clip.waveform, clip.rate)
    spoken = f0[voiced]
    if len(spoken) < 3:
        return np.full(3, np.nan)
    octaves = np.log2(spoken / np.median(spoken))
    spoken = np.where(octaves > _LEAP, spoken / 2, np.where(octaves < -_LEAP, spoken * 2, spoken))
    return np.array([np.median(part) for part in np.array_split(spoken, 3)])


def voiced_share(clip: Clip) -> float:
    """Share of the frames that are voiced, among those at most QUIET dB below the loudest."""
    wave = waves([clip], RATE)[0].astype(np.float64)
    voiced = _contour(wave, LOWEST, HIGHEST)[1]
    return float(voiced.sum() / max(_loud(_framed(wave, LOWEST)).sum(), 1))


@dataclass(frozen=True)
class Tones:
    """What the tones of real speech look like, for each speaker: a mean contour each, and how they vary about it.

    tones: names. centroids: speaker -> [tones, 3], log2 F0 in Hz at start, middle and end. covariance: speaker ->
    [3, 3], within a tone.
    """

    tones: tuple[str, ...]
    centroids: Mapping[str, Array]
    covariance: Mapping[str, Array]

    @classmethod
    def of(cls, clips: Sequence[Clip], tones: Any, speakers: Any = None) -> Tones:
        """From real clips, the tone of each and, where there are several, the speaker.

        Raises DataError where a speaker has fewer than four voiced clips, or none of some tone.
        """
        said, who = _names(tones, clips, "tones"), _speakers(speakers, clips)
        logs = _logs(clips)
        known = ~np.isnan(logs).any(1)
        names = tuple(np.unique(said).tolist())
        centroids, covariance = {}, {}
        for speaker in np.unique(who).tolist():
            there = known & (who == speaker)
            lacking = [name for name in names if not (there & (said == name)).any()]
            if lacking or there.sum() < 4:
                raise DataError(
                    f"{there.sum()} clips of speaker {speaker!r} have a voice, and none of tone "
                    f"{', '.join(lacking) or '-'}: tones are learned from at least four clips, and one of each tone"
                )
            centroids[speaker] = np.stack([logs[there & (said == name)].mean(0) for name in names])
            left = logs[there] - centroids[speaker][np.searchsorted(names, said[there])]
            covariance[speaker] = left.T @ left / len(left) + 1e-6 * np.eye(3)
        return cls(names, centroids, covariance)

    def heard(self, clips: Sequence[Clip], speakers: Any = None) -> Array:
        """The tone whose centroid each clip is nearest to, "" where no voice is heard: names [n].

        Nearest in F0 at start, middle and end, in units of how these vary together within a tone of that speaker, so
        that slopes count beside height. Raises DataError for a speaker that the reference does not know.
        """
        who = _speakers(speakers, clips)
        if strangers := sorted(set(who.tolist()) - set(self.centroids)):
            raise DataError(
                f"tones of {', '.join(map(repr, strangers))} are not known: say of each clip which of "
                f"{', '.join(map(repr, self.centroids))} speaks"
            )
        logs = _logs(clips)
        found = np.full(len(clips), "", dtype=f"U{max(map(len, self.tones))}")
        for speaker in np.unique(who).tolist():
            rows = np.flatnonzero((who == speaker) & ~np.isnan(logs).any(1))
            apart = logs[rows, None] - self.centroids[speaker]
            squared = np.einsum("nti,ij,ntj->nt", apart, np.linalg.inv(self.covariance[speaker]), apart)
            found[rows] = np.array(self.tones)[squared.argmin(1)]
        return found


def agreement(clips: Sequence[Clip], tones: Any, reference: Tones, speakers: Any = None) -> float:
    """F0 tone agreement: share of clips that `reference` hears in the tone asked for. A clip without voice does not."""
    said = _names(tones, clips, "tones")
    return float((reference.heard(clips, speakers) == said).mean()) if len(said) else float("nan")


def _contour(wave: Array, lowest: float, highest: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    frames = _framed(wave, lowest)
    window, longest = round(_WINDOW * RATE), frames.shape[1] - round(_WINDOW * RATE)
    shortest = int(RATE / highest)
    difference = _difference(frames, window)
    lags = np.arange(1, longest + 1)
    total = np.cumsum(difference[:, 1:], axis=1)
    normal = np.ones_like(difference)
    np.divide(difference[:, 1:] * lags, total, out=normal[:, 1:], where=total > 0)
    dip = _first_dip(normal, shortest, longest - 1)
    rows = np.arange(len(frames))
    before, here, after = normal[rows, dip - 1], normal[rows, dip], normal[rows, dip + 1]
    bend = before - 2 * here + after
    shift = np.divide((before - after) / 2, bend, out=np.zeros(len(frames)), where=bend > 0)
    f0 = RATE / (dip + np.clip(shift, -1, 1))
    return f0, (here < VOICED) & _loud(frames)


def _framed(wave: Array, lowest: float) -> Array:
    """Frames [frames, window + longest lag + 1], a hop apart; the first starts at the first sample."""
    size, hop = round(_WINDOW * RATE) + int(RATE / lowest) + 2, round(HOP * RATE)
    padded = np.pad(wave, (0, max(0, size - len(wave))))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def _loud(frames: Array) -> npt.NDArray[np.bool_]:
    """Whether a frame is at most QUIET dB below the loudest, and no silence."""
    power = np.square(frames[:, : round(_WINDOW * RATE)]).mean(1)
    loud: npt.NDArray[np.bool_] = power > max(power.max() * 10 ** (-QUIET / 10), 1e-12)
    return loud


def _difference(frames: Array, window: int) -> Array:
    """d(lag) = sum over the window of (x_j - x_(j + lag))^2, for lags 0 to size - window: [frames, lags]."""
    size = frames.shape[1]
    length = 1 << (size + window - 1).bit_length()
    spectrum = np.fft.rfft(frames, length) * np.fft.rfft(frames[:, :window], length).conj()
    across = np.fft.irfft(spectrum, length)[:, : size - window + 1]
    sums = np.pad(np.cumsum(np.square(frames), axis=1), ((0, 0), (1, 0)))
    power = sums[:, window:] - sums[:, : size - window + 1]
    difference: Array = np.maximum(power[:, :1] + power - 2 * across, 0.0)
    return difference


def _first_dip(normal: Array, shortest: int, longest: int) -> npt.NDArray[np.int64]:
    """The first lag from shortest to longest - 1 that is a local minimum below APERIODIC, else the lowest point."""
    part = normal[:, shortest:longest]
    lower = (part <= normal[:, shortest - 1 : longest - 1]) & (part <= normal[:, shortest + 1 : longest + 1])
    found = lower & (part < APERIODIC)
    places: npt.NDArray[np.int64] = shortest + np.where(found.any(1), found.argmax(1), part.argmin(1))
    return places


def _logs(clips: Sequence[Clip]) -> Array:
    return np.log2(np.stack([tone_contour(clip) for clip in clips])) if len(clips) else np.zeros((0, 3))


def _names(given: Any, clips: Sequence[Clip], what: str) -> Array:
    names = np.asarray(given).astype(str)
    if names.shape != (len(clips),):
        raise DataError(f"{what} have shape {list(names.shape)} for {len(clips)} clips: give one a clip")
    return names


def _speakers(given: Any, clips: Sequence[Clip]) -> Array:
    return np.full(len(clips), "one") if given is None else _names(given, clips, "speakers")
