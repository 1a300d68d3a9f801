"""Given sounds, mended: gaps filled in, a missing upper band added, clipped peaks restored, the end continued.

What is given is kept: value by value in the representation, by samples that are drawn around it (constraints.Kept), or
for clipped peaks by holding each estimate of the network to what is known of the waveform. Clips longer than those that
the model makes are worked on in windows that overlap by a half, each of which keeps what the one before made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from modalities.audio.objects import Clip, checked
from modalities.audio.preparation import mixed, resampled, sounding_db
from pfgm_science.batch import Batch, Condition
from pfgm_science.constraints import EncodedKnown
from pfgm_science.denoiser import Denoiser, Wrapper
from pfgm_science.errors import ConfigError, DataError

if TYPE_CHECKING:
    from modalities.audio.adapter import Audio
    from pfgm_science.model import Model

REPEATS, LOW, HIGH = 4, 0.05, 5.0  # takes of each step, and the noise levels between which there are several
SAME = 1e-5  # by how much a value may move that does not depend on what is unknown
FULL = 0.999  # share of the loudest sample from which on samples count as clipped, where no level is given


@dataclass(frozen=True)
class Part:
    """What samples keep of waveforms. A `Keeps`: model.sample(count, keep=Part(...)).

    waves: [1 or count, channels, samples] at the rate, length and loudness of the model; free: bool [samples], true
    where they are unknown; band: Hz below which they are known all the same. repeats, low, high: see Repeated.
    """

    waves: Tensor
    free: Tensor
    band: float = 0.0
    repeats: int = REPEATS
    low: float = LOW
    high: float = HIGH

    def encoded(self, adapter: Audio, count: int) -> EncodedKnown:
        """Values are known where they are the same whatever stands in the unknown samples, or below the band."""
        if len(self.waves) not in (1, count):
            raise ConfigError(f"{len(self.waves)} waveforms to keep for {count} samples: one, or one a sample")
        noise = torch.randn(self.waves.shape, generator=torch.Generator().manual_seed(0))
        values, others = (
            adapter.standardised(waves) for waves in (self.waves, torch.where(self.free, noise, self.waves))
        )
        known = ((values - others).abs() < SAME).to(values)
        if self.band:
            below = adapter.view.hertz(adapter.rate) < self.band
            known = known.maximum(below[:, None].to(values))
        shape = (count, *values.shape[1:])
        return EncodedKnown(Batch(values.expand(shape)), known.expand(shape), self.repeats, self.low, self.high)


@dataclass(frozen=True)
class Mending:
    """A job: what is to be done with one clip, or from none (clip None, with `seconds`).

    gaps: (from, to) in milliseconds, each filled in. band: Hz above which the clip holds nothing, and gets what could
    be there. declip: peaks at the loudest sample, or at `ceiling`, are restored. seconds: how long the result is to
    be, continued from the end. One of them at a time, ConfigError otherwise.
    """

    clip: Clip | None = None
    gaps: Sequence[tuple[float, float]] = ()
    band: float = 0.0
    declip: bool = False
    ceiling: float | None = None
    seconds: float = 0.0
    repeats: int = REPEATS
    low: float = LOW
    high: float = HIGH

    def __post_init__(self) -> None:
        asked = [bool(self.gaps), bool(self.band), self.declip, bool(self.seconds)]
        if sum(asked) != 1:
            raise ConfigError("one thing at a time: gaps to fill, a band to add, peaks to restore, or a longer clip")
        if self.clip is None and not self.seconds:
            raise ConfigError("a clip is needed, of which gaps, band or peaks are to be mended")
        if self.clip is not None:
            checked([self.clip])

    def draw(self, model: Model, count: int, **how: Any) -> list[Clip]:
        """So many versions of the mended clip, at the rate and with the channels of the model."""
        if self.gaps:
            return fill(model, _given(self.clip), self.gaps, count, self._repeated, **how)
        if self.band:
            return widen(model, _given(self.clip), self.band, count, self._repeated, **how)
        if self.declip:
            return declip(model, _given(self.clip), count, self.ceiling, **how)
        return prolong(model, self.seconds, count, self.clip, self._repeated, **how)

    @property
    def _repeated(self) -> dict[str, Any]:
        return {"repeats": self.repeats, "low": self.low, "high": self.high}


def fill(
    model: Model,
    clip: Clip,
    gaps: Sequence[tuple[float, float]],
    count: int,
    repeated: dict[str, Any] | None = None,
    **how: Any,
) -> list[Clip]:
    """Gaps, (from, to) in milliseconds, filled in: so many versions. What lies outside is the clip, sample by sample.

    Samples within a step of the representation beside a gap are drawn too, and blend into those of the clip. repeated:
    fields of Part; how: as in Model.sample. ConfigError for a gap that is not inside of the clip, or that leaves
    nothing to go by.
    """
    adapter: Any = model.adapter
    scene = _Scene.of(adapter, clip, [(start / 1000, stop / 1000) for start, stop in gaps])
    waves = scene.wave.expand(count, -1, -1).clone()
    for first, last in scene.free:
        window = _window(first, last, waves.shape[2], adapter.samples)
        free = torch.zeros(adapter.samples, dtype=torch.bool)
        free[first - window.start : last - window.start] = True
        free[waves.shape[2] - window.start :] = True  # behind the end of a short clip
        made = _drawn(model, Part(_cut(waves, window, adapter.samples), free, **(repeated or {})), count, how)
        waves[:, :, window] = blended(waves[:, :, window], made, free[: window.stop - window.start], adapter.view.hop)
    return scene.clips(waves)


def widen(
    model: Model, clip: Clip, band: float, count: int, repeated: dict[str, Any] | None = None, **how: Any
) -> list[Clip]:
    """What lies above `band` Hz, drawn anew and added to what the clip holds below: bandwidth extension."""
    adapter: Any = model.adapter
    if not 0 < band < adapter.rate / 2:
        raise ConfigError(
            f"the band is {band:g} Hz: it must lie between 0 and half of the model's rate, {adapter.rate}"
        )
    scene = _Scene.of(adapter, clip)
    part = partial(Part, band=band, **(repeated or {}))
    return scene.clips(_through(model, scene.wave, count, part, how))


def declip(model: Model, clip: Clip, count: int, ceiling: float | None = None, **how: Any) -> list[Clip]:
    """Peaks that were cut off, drawn anew: samples at or above the ceiling become at least as large, all others stay.

    ceiling: of the clip's own full scale, in (0, 1]; None takes its loudest sample.
    """
    adapter: Any = model.adapter
    highest = float(clip.waveform.abs().max())
    level = FULL * highest if ceiling is None else ceiling
    if not 0 < level <= highest:
        raise ConfigError(
            f"the ceiling is {level:g}, and the loudest sample {highest:g}: nothing of the clip is cut off"
        )
    scene = _Scene.of(adapter, clip)
    limit = level * scene.gain
    if how.get("steer") is not None:
        raise ConfigError("restoring peaks steers samples already: leave steer out")

    def part(window: Tensor, free: Tensor) -> Any:
        return partial(Unclipped, adapter=adapter, wave=window, ceiling=limit)

    return scene.clips(_through(model, scene.wave, count, part, how))


def prolong(
    model: Model,
    seconds: float,
    count: int,
    clip: Clip | None = None,
    repeated: dict[str, Any] | None = None,
    **how: Any,
) -> list[Clip]:
    """Clips of so many seconds: the given one, or samples, continued by windows that keep the half before."""
    adapter: Any = model.adapter
    samples = math.ceil(seconds * adapter.rate)
    if clip is None:
        if samples <= adapter.samples:
            raise ConfigError(
                f"{seconds:g} s: the model makes {adapter.samples / adapter.rate:g} s at once, ask for more"
            )
        scene = _Scene(adapter, torch.zeros(1, adapter.channels, 0))
    else:
        scene = _Scene.of(adapter, clip)
        if samples <= scene.wave.shape[2]:
            raise ConfigError(f"{seconds:g} s: the clip is that long already, ask for more")
    waves = scene.wave.expand(count, -1, -1)
    turn = 0
    while waves.shape[2] < samples:
        kept = min(waves.shape[2], adapter.samples // 2)
        window = torch.zeros(len(waves), adapter.channels, adapter.samples)
        window[:, :, :kept] = waves[:, :, waves.shape[2] - kept :]
        free = torch.arange(adapter.samples) >= kept
        own = how | {"seed": how.get("seed", 0) + turn * SEEDS}
        made = _drawn(model, Part(window, free, **(repeated or {})) if kept else None, count, own)
        joined = blended(window, made, free, adapter.view.hop)
        waves = torch.cat([waves[:, :, : waves.shape[2] - kept], joined], dim=2)
        turn += 1
    return scene.clips(waves[:, :, :samples])


SEEDS = 1_000_003  # between the seeds of windows that follow each other


@dataclass(frozen=True)
class _Scene:
    """A clip as the model hears it: its wave [1, channels, samples] after a gain, and the unknown spans in samples."""

    adapter: Audio
    wave: Tensor
    gain: float = 1.0
    free: Sequence[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, adapter: Audio, clip: Clip, gaps: Sequence[tuple[float, float]] = ()) -> _Scene:
        """gaps: in seconds. The gain is that of the adapter's loudness, measured outside of them."""
        wave = resampled(mixed(clip.waveform.float(), adapter.channels), clip.rate, adapter.rate).clone()
        free = []
        for start, stop in sorted(gaps):
            first, last = round(start * adapter.rate), round(stop * adapter.rate)
            if not 0 <= first < last <= wave.shape[1]:
                raise ConfigError(
                    f"a gap from {1000 * start:g} to {1000 * stop:g} ms: the clip has {1000 * clip.seconds:g} ms"
                )
            if last - first + 2 * adapter.view.hop > adapter.samples:
                raise ConfigError(
                    f"a gap of {1000 * (stop - start):g} ms leaves nothing to go by: the model hears "
                    f"{1000 * adapter.samples / adapter.rate:g} ms at once"
                )
            wave[:, first:last] = 0
            free.append((first, last))
        gain = 1.0
        if adapter.loudness is not None:
            gain = 10 ** ((adapter.loudness - sounding_db(wave, adapter.rate)) / 20)
        return cls(adapter, gain * wave[None], gain, free)

    def clips(self, waves: Tensor) -> list[Clip]:
        """At the loudness of the clip that was given."""
        return [Clip((wave / self.gain).clamp(-1, 1), self.adapter.rate) for wave in waves]


class Unclipped(Wrapper):
    """A denoiser whose answers agree with what is known of a clipped wave, [1 or n, channels, samples].

    Samples below the ceiling are what they are, those at it are at least as large: the nearest such waveform takes the
    place of the estimate (as data consistency in A. Moliner et al., arXiv 2210.15228, with a set in place of a plane).
    """

    def __init__(self, denoiser: Denoiser, adapter: Audio, wave: Tensor, ceiling: float) -> None:
        self.denoiser, self.adapter, self.wave, self.ceiling = denoiser, adapter, wave, ceiling

    def __call__(
        self, x: Tensor, sigma: Tensor, condition: Condition | None = None, mask: Tensor | None = None
    ) -> Tensor:
        answer = self.denoiser(x, sigma, condition, mask)
        guess, wave = self.adapter.wave(answer.float().cpu()), self.wave
        cut = torch.where(wave > 0, guess.clamp(min=self.ceiling), guess.clamp(max=-self.ceiling))
        agreed = torch.where(wave.abs() >= self.ceiling, cut, wave)
        return self.adapter.standardised(agreed).to(answer)


def _given(clip: Clip | None) -> Clip:
    if clip is None:
        raise DataError("there is no clip to mend")
    return clip


def _drawn(model: Model, part: Any, count: int, how: dict[str, Any]) -> Tensor:
    """Waves of the model's length [count, channels, samples] that keep the part, or are steered by it."""
    told = {"steer": part} if callable(part) else {"keep": part}
    clips = model.sample(count, **(how | told))
    return torch.stack([clip.waveform for clip in clips])


def _through(
    model: Model, wave: Tensor, count: int, part: Callable[[Tensor, Tensor], Any], how: dict[str, Any]
) -> Tensor:
    """A wave [1, channels, n] of any length, window by window of what part(window, free) leaves to be drawn.

    Each window after the first keeps what the one before made of its first half, where it can.
    """
    adapter: Any = model.adapter
    size, length = adapter.samples, wave.shape[2]
    half = size // 2
    starts = [0, *range(half, max(length - half, 1), half)] if length > size else [0]
    done = torch.zeros(count, adapter.channels, length)
    for turn, start in enumerate(starts):
        window = slice(start, min(start + size, length))
        given = _cut(wave, window, size).expand(count, -1, -1).clone()
        free = torch.ones(size, dtype=torch.bool)
        if start:
            given[:, :, :half] = done[:, :, start : start + half]
            free[:half] = False
        own = how | {"seed": how.get("seed", 0) + turn * SEEDS}
        made = _drawn(model, part(given, free), count, own)
        kept = blended(given, made, free, adapter.view.hop)
        done[:, :, window] = kept[:, :, : window.stop - start]
    return done


def _window(first: int, last: int, length: int, size: int) -> slice:
    """Where a window of that size lies, with the span in its middle as far as the clip allows."""
    start = min(max((first + last - size) // 2, 0), max(length - size, 0))
    return slice(start, min(start + size, length))


def _cut(waves: Tensor, window: slice, size: int) -> Tensor:
    """The window, followed by silence where the clip is shorter."""
    part = waves[:, :, window]
    return torch.nn.functional.pad(part, (0, size - part.shape[2]))


def blended(given: Tensor, made: Tensor, free: Tensor, hop: int) -> Tensor:
    """made where it is free, given elsewhere, with a crossfade over `hop` samples, a step, beside what is free.

    given, made: [clips, channels, samples], of which made may be longer; free: bool [at least as many samples].
    """
    length = given.shape[2]
    there = np.flatnonzero(free[:length].numpy())
    if not len(there):
        return given
    away = np.abs(np.arange(length)[:, None] - there[None, :]).min(1)  # samples to the nearest that is free
    weight = torch.from_numpy(np.clip(1 - away / (hop + 1), 0, 1)).to(made)
    return given + weight * (made[:, :, :length] - given)
